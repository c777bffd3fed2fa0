"""Pair queries with their responses, in capture time.

Both endpoints, the id and the transport must agree (RFC 5452 section 9.1), then the question; of
dnstap the message family and the identity too. A response without question (some FORMERR) is
matched by the rest. Every message ends in exactly one row:

- a query opens a row and waits; `limits.LATE_TIMEOUT` later, or when too many wait, it is closed
  as unanswered;
- the same query again while the first waits is a row of its own, *retransmitted*;
- a response closes the row of its query: *answered*, or *late* after `limits.QUERY_TIMEOUT`;
- a response without query waits `limits.SKEW_TIMEOUT` for a query that was written after it, then
  it is *unsolicited*; after an answered query it is a *duplicate*.

The state persists from block to block and from file to file; where a block ends changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.transactions.places import Places, place_of
from forensics.transactions.rows import Batch, carry
from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.intern import intern, intern_address
from forensics.wire.jit import kernel
from forensics.wire.words import address_hash, finished, mixed

_SLOTS: Final = 4 * limits.OPEN_TRANSACTIONS
_FIRST_SLOTS: Final = 1 << 12
_FREE, _GONE = -1, -2

# Numbers in `Table.state`
_ROWS, _QUERY_HEAD, _RESPONSE_HEAD, _OPEN, _MASK, _DEAD, _EVICTED, _IDENTITY = range(8)

_QUERY_TIMEOUT: Final = limits.QUERY_TIMEOUT
_LATE_TIMEOUT: Final = limits.LATE_TIMEOUT
_SKEW_TIMEOUT: Final = limits.SKEW_TIMEOUT
_OPEN_MOST: Final = limits.OPEN_TRANSACTIONS
_SETS: Final = limits.ANSWERED_KEPT // 4
_EXTRA_TEXT: Final = limits.EXTRA_TEXT_OCTETS
_NSID: Final = limits.NSID_OCTETS
_PROBES: Final = 256


class Table(NamedTuple):
    """Open transactions by session, and the answered ones of late.

    Attributes:
        slots: int64, tag << 32 | row; -1: free, -2: was in use.
        state: int64: rows in use, first row that may be an open query, first that may be an open
            response, open rows, slot mask, slots that were in use, evicted rows.
        answered: uint64, hashes of answered transactions, in sets of four.
        answered_at: int64, time of the response.
    """

    slots: NDArray[np.int64]
    state: NDArray[np.int64]
    answered: NDArray[np.uint64]
    answered_at: NDArray[np.int64]


class Columns(NamedTuple):
    """The columns of a block that the kernel reads, and those of `Parsed` that it fills."""

    octets: Any
    length: Any
    time: Any
    frame: Any
    source: Any
    destination: Any
    source_port: Any
    destination_port: Any
    transport: Any
    kind: Any
    identity: Any
    other_time: Any
    ordinal: Any
    id: Any
    header_flags: Any
    answers: Any
    authorities: Any
    name_start: Any
    name_length: Any
    qtype: Any
    qclass: Any
    name_hash: Any
    rcode: Any
    edns_size: Any
    dnssec_ok: Any
    ede: Any
    ede_start: Any
    ede_length: Any
    nsid_start: Any
    nsid_length: Any
    place: Any
    transaction: Any
    state: Any
    do_known: Any
    do_asked: Any


class Strings(NamedTuple):
    """The interners of a batch."""

    clients: Any
    servers: Any
    names: Any
    texts: Any


@kernel
def _session_hash(client: int, server: int, session: Any, identity: int) -> Any:
    """Hash a session by the numbers that the batch gives to its addresses."""
    ends = np.uint64(client) | (np.uint64(server) << np.uint64(32))
    state = mixed(mixed(ends, session), np.uint64(identity + 1))
    return finished(state)


@kernel
def _insert(slots: Any, state: Any, hashed: Any, row: int) -> bool:
    """Enter a row by its session; False: no slot near its place is free."""
    mask = state[4]
    slot = np.int64(hashed & np.uint64(mask))
    tag = np.int64(hashed >> np.uint64(33))
    for _ in range(_PROBES):
        if slots[slot] < 0:
            if slots[slot] == -2:
                state[5] -= 1
            slots[slot] = (tag << 32) | row
            return True
        slot = (slot + 1) & mask
    return False


@kernel
def _remove(slots: Any, state: Any, hashed: Any, row: int) -> None:
    """Take a row out. Its slot stays marked, so that searches run on past it."""
    mask = state[4]
    slot = np.int64(hashed & np.uint64(mask))
    for _ in range(_PROBES):
        entry = slots[slot]
        if entry == -1:
            return
        if entry >= 0 and (entry & 0xFFFFFFFF) == row:
            if slots[(slot + 1) & mask] == -1:
                slots[slot] = -1
            else:
                slots[slot] = -2
                state[5] += 1
            return
        slot = (slot + 1) & mask


@kernel
def _rebuild(table: Any, rows: Any, status: Any) -> None:
    """Enter all open rows anew into a table of the right size."""
    slots, state = table.slots, table.state
    size = _FIRST_SLOTS
    while size < 4 * (state[3] + 1) and size < len(slots):
        size *= 2
    slots[:size] = -1
    state[4] = size - 1
    state[5] = 0
    for row in range(min(state[1], state[2]), state[0]):
        if status[row] == 0:
            continue
        entry = rows[row]
        hashed = _session_hash(entry.client, entry.server, entry.session, entry.identity)
        if not _insert(slots, state, hashed, row):
            status[row] = 0
            state[3] -= 1
            state[6] += 1


@kernel
def _close(table: Any, rows: Any, status: Any, row: int) -> None:
    """Close an open row and take it out of the table."""
    entry = rows[row]
    status[row] = 0
    table.state[3] -= 1
    hashed = _session_hash(entry.client, entry.server, entry.session, entry.identity)
    _remove(table.slots, table.state, hashed, row)


@kernel
def _expire(table: Any, rows: Any, status: Any, now: int) -> None:
    """Close what has waited too long by the time of the message at hand.

    A time that lies far *behind* an open row's counts as well: after a step of the clock nothing
    may wait for ever.
    """
    state = table.state
    row = state[1]
    while row < state[0]:
        if status[row] == 1:
            waited = now - rows[row].time
            if -_LATE_TIMEOUT <= waited <= _LATE_TIMEOUT:
                break
            _close(table, rows, status, row)
        row += 1
    state[1] = row
    row = state[2]
    while row < state[0]:
        if status[row] == 2:
            waited = now - rows[row].time
            if -_QUERY_TIMEOUT <= waited <= _SKEW_TIMEOUT:
                break
            _close(table, rows, status, row)
        row += 1
    state[2] = row


@kernel
def _evict(table: Any, rows: Any, status: Any) -> None:
    """Close the oldest open row."""
    state = table.state
    row = min(state[1], state[2])
    while row < state[0] and status[row] == 0:
        row += 1
    if row < state[0]:
        _close(table, rows, status, row)
        state[6] += 1


@kernel
def _is_answered(table: Any, key: Any, now: int) -> bool:
    """Whether a transaction with this key was answered within the query timeout."""
    first = 4 * np.int64(key & np.uint64(_SETS - 1))
    for slot in range(first, first + 4):
        if table.answered[slot] == key:
            waited = now - table.answered_at[slot]
            return bool(-_QUERY_TIMEOUT <= waited <= _QUERY_TIMEOUT)
    return False


@kernel
def _remember(table: Any, key: Any, now: int) -> None:
    """Remember an answered transaction; the oldest of its set gives way."""
    first = 4 * np.int64(key & np.uint64(_SETS - 1))
    chosen = first
    for slot in range(first, first + 4):
        if table.answered[slot] == key or table.answered[slot] == np.uint64(0):
            chosen = slot
            break
        if table.answered_at[slot] < table.answered_at[chosen]:
            chosen = slot
    table.answered[chosen] = key
    table.answered_at[chosen] = now


@kernel
def _count_place(places: Any, place: int, kind: int, flags: int, referral: bool) -> int:
    """Count a response for its place's role; give the vantage (vocabulary.Vantage)."""
    aa = (flags & 0x0400) != 0
    ra = (flags & 0x0080) != 0
    if kind == 2 or kind == 4 or (aa and not ra and (kind == 0 or kind > 10)):
        places.authority[place] += 1
        return 2
    if (6 <= kind <= 10) or (ra and not aa):
        places.recursive[place] += 1
        return 1
    if referral and not aa and not ra:
        places.referrals[place] += 1
    return 0


@kernel
def _query_part(entry: Any, columns: Any, at: int, capture: int, flags: int) -> None:
    """Write what only the query says into a row."""
    entry.time = columns.time[at]
    entry.query_frame = columns.frame[at]
    entry.query_size = min(columns.length[at], 65535)
    entry.query_flags = flags
    has = entry.has | 1
    if columns.edns_size[at] >= 0:
        entry.edns_size = columns.edns_size[at]
        has |= 8
        if columns.dnssec_ok[at]:
            has |= 16
    entry.has = has


@kernel
def _response_part(
    entry: Any, columns: Any, at: int, capture: int, flags: int, texts: Any
) -> None:
    """Write what only the response says into a row."""
    entry.response_capture = capture
    entry.response_frame = columns.frame[at]
    entry.response_size = min(columns.length[at], 65535)
    entry.response_flags = flags
    entry.rcode = columns.rcode[at]
    entry.answers = columns.answers[at]
    entry.authorities = columns.authorities[at]
    has = entry.has | 2
    if columns.edns_size[at] >= 0:
        has |= 32
    if columns.ede[at] >= 0:
        has |= 64
        entry.ede = columns.ede[at]
        length = min(np.int64(columns.ede_length[at]), _EXTRA_TEXT)
        if length > 0:
            entry.ede_text = _text(texts, columns.octets, columns.ede_start[at], length)
    length = min(np.int64(columns.nsid_length[at]), _NSID)
    if length > 0:
        entry.nsid = _text(texts, columns.octets, columns.nsid_start[at], length)
    entry.has = has


@kernel
def _text(texts: Any, octets: Any, start: int, length: int) -> int:
    """Intern octets as they are."""
    state = np.uint64(length)
    for at in range(start, start + length):
        state = mixed(state, np.uint64(octets[at]))
    return intern(texts, finished(state), octets, start, length, False)


@kernel
def _match(
    columns: Any,
    first: int,
    capture: int,
    rows: Any,
    status: Any,
    row_limit: int,
    strings: Any,
    table: Any,
    places: Any,
) -> int:
    """Put messages into rows from number `first` on; give the number of the first one not put.

    That is the number of messages, or less when the batch is full.
    """
    slots, state = table.slots, table.state
    octets = columns.octets
    texts_most = strings.texts.state[4] - _EXTRA_TEXT - _NSID
    names_most = strings.names.state[4] - 256
    for at in range(first, len(columns.time)):
        count = state[0]
        if (
            count >= row_limit
            or strings.names.state[2] > names_most
            or strings.texts.state[2] > texts_most
        ):
            return at
        now = columns.time[at]
        _expire(table, rows, status, now)
        if state[3] >= _OPEN_MOST:
            _evict(table, rows, status)
        if 2 * (state[3] + state[5]) > state[4]:
            _rebuild(table, rows, status)

        flags = np.int64(columns.header_flags[at])
        kind = np.int64(columns.kind[at])
        is_response = (flags & 0x8000) != 0 if kind == 0 else (kind & 1) == 0
        source_port = np.uint64(columns.source_port[at])
        destination_port = np.uint64(columns.destination_port[at])
        if is_response:
            client = intern_address(strings.clients, columns.destination, 16 * at)
            server = intern_address(strings.servers, columns.source, 16 * at)
            ports = destination_port | (source_port << np.uint64(16))
        else:
            client = intern_address(strings.clients, columns.source, 16 * at)
            server = intern_address(strings.servers, columns.destination, 16 * at)
            ports = source_port | (destination_port << np.uint64(16))
        if client < 0 or server < 0:
            return at  # only a flood of chosen collisions fills these before the rows are full
        session = (
            ports
            | (np.uint64(columns.id[at]) << np.uint64(32))
            | (np.uint64(columns.transport[at]) << np.uint64(48))
            | (np.uint64((kind + 1) >> 1) << np.uint64(56))
        )
        identity = np.int64(columns.identity[at])
        hashed = _session_hash(client, server, session, identity)
        asked = columns.name_length[at] > 0
        name_hash = columns.name_hash[at]
        qtype = columns.qtype[at]
        qclass = columns.qclass[at]

        vantage = 0
        if is_response:
            referral = (
                columns.answers[at] == 0
                and columns.authorities[at] > 0
                and columns.rcode[at] == 0
            )
            place = place_of(
                places,
                columns.source,
                16 * at,
                octets,
                columns.nsid_start[at],
                np.int64(columns.nsid_length[at]),
            )
            columns.place[at] = place
            vantage = _count_place(places, place, kind, flags, referral)
        else:
            columns.place[at] = 0

        # the search for the other half, or for the same query before
        mask = state[4]
        slot = np.int64(hashed & np.uint64(mask))
        tag = np.int64(hashed >> np.uint64(33))
        found = np.int64(-1)
        stale = np.int64(-1)
        again = np.int64(-1)
        for _ in range(_PROBES):
            entry_slot = slots[slot]
            slot = (slot + 1) & mask
            if entry_slot == -1:
                break
            if entry_slot < 0 or (entry_slot >> 32) != tag:
                continue
            row = entry_slot & 0xFFFFFFFF
            entry = rows[row]
            if (
                entry.session != session
                or entry.client != client
                or entry.server != server
                or entry.identity != identity
            ):
                continue
            same_question = (
                entry.name_hash == name_hash and entry.qtype == qtype and entry.qclass == qclass
            )
            waited = now - entry.time
            if is_response:
                if (
                    status[row] == 1
                    and (same_question or not asked)
                    and waited >= -_QUERY_TIMEOUT
                    and (found < 0 or row < found)
                ):
                    found = row
            elif status[row] == 2:
                if (same_question or (entry.has & 4) == 0) and (found < 0 or row < found):
                    found = row
            elif same_question:
                if -_QUERY_TIMEOUT <= waited <= _QUERY_TIMEOUT:
                    again = row
                else:
                    stale = row
        if not is_response and again < 0 and stale >= 0:
            _close(table, rows, status, stale)

        if found >= 0 and (is_response or again < 0):
            entry = rows[found]
            if is_response:
                latency = now - entry.time
                _response_part(entry, columns, at, capture, flags, strings.texts)
                columns.do_known[at] = True
                columns.do_asked[at] = (entry.has & 16) != 0
                entry.vantage = vantage
                answered_at = now
            else:
                # a query that was written after its response
                latency = entry.time - now
                answered_at = entry.time
                _query_part(entry, columns, at, capture, flags)
                columns.do_known[at] = False
                columns.do_asked[at] = False
                if asked and (entry.has & 4) == 0:
                    entry.has |= 4
                    entry.qtype = qtype
                    entry.qclass = qclass
                    entry.name_hash = name_hash
                    entry.name = intern(
                        strings.names,
                        name_hash,
                        octets,
                        columns.name_start[at],
                        np.int64(columns.name_length[at]),
                        True,
                    )
            entry.latency = latency
            entry.has |= 128
            entry.pairing = 3 if latency > _QUERY_TIMEOUT else 0
            status[found] = 0
            state[3] -= 1
            _remove(slots, state, hashed, found)
            key = _key(columns, at, is_response, session, identity, name_hash, qtype)
            _remember(table, key, answered_at)
            columns.transaction[at] = entry.transaction
            columns.state[at] = entry.pairing
            continue

        # a row of its own
        entry = rows[count]
        entry.transaction = columns.ordinal[at]
        entry.time = now
        entry.latency = 0
        entry.session = session
        entry.name_hash = name_hash
        entry.query_frame = 0
        entry.response_frame = 0
        entry.client = client
        entry.server = server
        entry.name = -1
        entry.ede_text = -1
        entry.nsid = -1
        entry.identity = identity
        entry.capture = capture
        entry.response_capture = 0
        entry.qtype = qtype
        entry.qclass = qclass
        entry.rcode = 0
        entry.ede = 0
        entry.answers = 0
        entry.authorities = 0
        entry.query_size = 0
        entry.response_size = 0
        entry.query_flags = 0
        entry.response_flags = 0
        entry.edns_size = 0
        entry.has = 0
        entry.kind = kind
        entry.vantage = vantage
        entry.spare = 0
        if asked:
            entry.has = 4
            entry.name = intern(
                strings.names,
                name_hash,
                octets,
                columns.name_start[at],
                np.int64(columns.name_length[at]),
                True,
            )
        columns.do_known[at] = False
        columns.do_asked[at] = False
        waits = 0
        if is_response:
            _response_part(entry, columns, at, capture, flags, strings.texts)
            other = columns.other_time[at]
            if other > 0 and kind > 0:
                entry.latency = now - other
                entry.has |= 128
            key = _key(columns, at, True, session, identity, name_hash, qtype)
            if _is_answered(table, key, now):
                entry.pairing = 4
            else:
                entry.pairing = 2
                waits = 2
        else:
            _query_part(entry, columns, at, capture, flags)
            if kind > 0:
                entry.vantage = 2 if kind <= 4 else (1 if kind <= 10 else 0)
            if again >= 0:
                entry.pairing = 5
            else:
                entry.pairing = 1
                waits = 1
        if waits and _insert(slots, state, hashed, count):
            state[3] += 1
        else:
            waits = 0
        status[count] = waits
        state[0] = count + 1
        columns.transaction[at] = entry.transaction
        columns.state[at] = entry.pairing
    return len(columns.time)


@kernel
def _key(
    columns: Any,
    at: int,
    is_response: bool,
    session: Any,
    identity: int,
    name_hash: Any,
    qtype: Any,
) -> Any:
    """Hash a transaction by its octets, not by the numbers of a batch."""
    one = address_hash(columns.source, 16 * at)
    two = address_hash(columns.destination, 16 * at)
    if is_response:
        one, two = two, one
    state = mixed(mixed(one, two), session)
    state = mixed(state, name_hash + np.uint64(qtype))
    return finished(mixed(state, np.uint64(identity + 1)))


class Matcher:
    """The open transactions of a run, from the first file to the last.

    Args:
        places: the run's table of places, filled on the way.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self._table = Table(
            np.empty(_SLOTS, np.int64),
            np.zeros(8, np.int64),
            np.zeros(limits.ANSWERED_KEPT, np.uint64),
            np.zeros(limits.ANSWERED_KEPT, np.int64),
        )
        self._table.slots[:_FIRST_SLOTS] = -1
        self._table.state[_MASK] = _FIRST_SLOTS - 1
        self._identities: dict[str, int] = {}
        self._spare: list[Batch] = []
        self._batch = Batch()
        self._row_limit = limits.BATCH_ROWS

    @property
    def evicted(self) -> int:
        """Rows closed before their time because too many were open."""
        return int(self._table.state[_EVICTED])

    def match(self, block: MessageBlock, parsed: Parsed) -> Iterator[Batch]:
        """Pair the messages of a block, and fill `parsed`'s columns that tell the transaction.

        `place`, `transaction`, `state`, `do_known` and `do_asked` are filled up to the message at
        which a batch is yielded, and whole when the iterator ends. A yielded batch must be given
        back with `reuse` once its closed rows have been taken.
        """
        columns = self._columns(block, parsed)
        reached = 0
        while True:
            batch = self._batch
            strings = Strings(batch.clients, batch.servers, batch.names, batch.texts)
            reached = _match(
                columns,
                reached,
                block.capture,
                batch.rows,
                batch.status,
                self._row_limit,
                strings,
                self._table,
                self.places,
            )
            if reached >= len(block):
                return
            yield self._turn()

    def finish(self) -> Batch:
        """Close everything, at the end of the last input; give the last batch."""
        batch = self._batch
        batch.count = int(self._table.state[_ROWS])
        batch.status[: batch.count] = 0
        batch.identities = tuple(self._identities)
        self._table.state[_OPEN] = 0
        return batch

    def reuse(self, batch: Batch) -> None:
        """Take back a batch whose rows have been read."""
        self._spare.append(batch)

    def _turn(self) -> Batch:
        """Start a new batch with the rows still open in the full one."""
        full = self._batch
        state = self._table.state
        full.count = int(state[_ROWS])
        full.identities = tuple(self._identities)
        fresh = self._spare.pop() if self._spare else Batch()
        fresh.empty()
        carried = carry(full, fresh)
        state[_ROWS] = carried
        state[_QUERY_HEAD] = 0
        state[_RESPONSE_HEAD] = 0
        state[_OPEN] = carried
        _rebuild(self._table, fresh.rows, fresh.status)
        self._batch = fresh
        self._row_limit = carried + limits.BATCH_ROWS
        return full

    def _columns(self, block: MessageBlock, parsed: Parsed) -> Columns:
        """Hand the columns of a block to the kernel, identities numbered for the whole run."""
        identity = block.identity
        if block.identities:
            numbers = [
                self._identities.setdefault(name, len(self._identities))
                for name in block.identities
            ]
            chosen = np.array([*numbers, -1], np.int32)
            identity = chosen[identity]
        return Columns(
            block.octets,
            block.length,
            block.time,
            block.frame,
            block.source.reshape(-1),
            block.destination.reshape(-1),
            block.source_port,
            block.destination_port,
            block.transport,
            block.kind,
            identity,
            block.other_time,
            *(getattr(parsed, name) for name in Columns._fields[12:]),
        )
