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
from forensics.transactions.places import Places, find_place, place_of
from forensics.transactions.rows import Batch, carry
from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.intern import append, find, intern, prefetch_slot, prefetch_string
from forensics.wire.jit import lean_kernel
from forensics.wire.words import address_hash, finished, mixed, octets_hash, prefetch

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
_AHEAD: Final = 16


class Table(NamedTuple):
    """Open transactions by session, and the answered ones of late.

    Attributes:
        slots: int64, tag << 32 | row; -1: free, -2: was in use.
        state: int64: rows in use, first row that may be an open query, first that may be an open
            response, open rows, slot mask, slots that were in use, evicted rows.
        answered: uint64, answered transactions in sets of four: four keys, then the times of
            their responses, so that a set is one cache line.
        scratch: int64, room for the rows of all open transactions.
    """

    slots: NDArray[np.int64]
    state: NDArray[np.int64]
    answered: NDArray[np.uint64]
    scratch: NDArray[np.int64]


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


@lean_kernel
def _session(asks_port: Any, serves_port: Any, id_: Any, transport: Any, kind: Any) -> Any:
    """Join ports, id, transport and dnstap family, as `rows.ROW` says."""
    return (
        asks_port
        | (serves_port << np.uint64(16))
        | (np.uint64(id_) << np.uint64(32))
        | (np.uint64(transport) << np.uint64(48))
        | (np.uint64((np.int64(kind) + 1) >> 1) << np.uint64(56))
    )


@lean_kernel
def _session_hash(client: Any, server: Any, session: Any, identity: Any) -> Any:
    """Hash a session by the numbers that the batch gives to its addresses."""
    ends = np.uint64(client) | (np.uint64(server) << np.uint64(32))
    state = mixed(mixed(ends, session), np.uint64(identity + 1))
    return finished(state)


@lean_kernel
def _insert(slots: Any, state: Any, hashed: Any, row: Any) -> Any:
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


@lean_kernel
def _remove(slots: Any, state: Any, hashed: Any, row: Any) -> None:
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


@lean_kernel
def _rebuild(slots: Any, state: Any, rows: Any, status: Any, entered: Any) -> None:
    """Enter all open rows anew into a table of the right size; `entered` is scratch."""
    count = 0
    for slot in range(state[4] + 1):
        if slots[slot] >= 0 and count < len(entered):
            entered[count] = slots[slot] & 0xFFFFFFFF
            count += 1
    _enter(slots, state, rows, status, entered[:count])


@lean_kernel
def _enter(slots: Any, state: Any, rows: Any, status: Any, entered: Any) -> None:
    """Enter these rows into an empty table; one that finds no slot is closed."""
    size = _FIRST_SLOTS
    while size < 4 * (len(entered) + 1) and size < len(slots):
        size *= 2
    slots[:size] = -1
    state[3] = len(entered)
    state[4] = size - 1
    state[5] = 0
    for row in entered:
        entry = rows[row]
        hashed = _session_hash(entry.client, entry.server, entry.session, entry.identity)
        if not _insert(slots, state, hashed, row):
            status[row] = 0
            state[3] -= 1
            state[6] += 1


@lean_kernel
def _close(slots: Any, state: Any, rows: Any, status: Any, row: Any) -> None:
    """Close an open row and take it out of the table."""
    entry = rows[row]
    status[row] = 0
    state[3] -= 1
    hashed = _session_hash(entry.client, entry.server, entry.session, entry.identity)
    _remove(slots, state, hashed, row)


@lean_kernel
def _expire(slots: Any, state: Any, rows: Any, status: Any, now: Any) -> None:
    """Close what has waited too long by the time of the message at hand.

    A time that lies far *behind* an open row's counts as well: after a step of the clock nothing
    may wait for ever.
    """
    row = state[1]
    while row < state[0]:
        if status[row] == 1:
            waited = now - rows[row].time
            if -_LATE_TIMEOUT <= waited <= _LATE_TIMEOUT:
                break
            _close(slots, state, rows, status, row)
        row += 1
    state[1] = row
    row = state[2]
    while row < state[0]:
        if status[row] == 2:
            waited = now - rows[row].time
            if -_QUERY_TIMEOUT <= waited <= _SKEW_TIMEOUT:
                break
            _close(slots, state, rows, status, row)
        row += 1
    state[2] = row


@lean_kernel
def _evict(slots: Any, state: Any, rows: Any, status: Any) -> None:
    """Close the oldest open row."""
    row = min(state[1], state[2])
    while row < state[0] and status[row] == 0:
        row += 1
    if row < state[0]:
        _close(slots, state, rows, status, row)
        state[6] += 1


@lean_kernel
def _is_answered(answered: Any, key: Any, now: Any) -> Any:
    """Whether a transaction with this key was answered within the query timeout."""
    first = 8 * np.int64(key & np.uint64(_SETS - 1))
    for slot in range(first, first + 4):
        if answered[slot] == key:
            waited = now - np.int64(answered[slot + 4])
            return -_QUERY_TIMEOUT <= waited <= _QUERY_TIMEOUT
    return False


@lean_kernel
def _remember(answered: Any, key: Any, now: Any) -> None:
    """Remember an answered transaction; the oldest of its set gives way."""
    first = 8 * np.int64(key & np.uint64(_SETS - 1))
    chosen: Any = first
    for slot in range(first, first + 4):
        if answered[slot] == key or answered[slot] == np.uint64(0):
            chosen = slot
            break
        if np.int64(answered[slot + 4]) < np.int64(answered[chosen + 4]):
            chosen = slot
    answered[chosen] = key
    answered[chosen + 4] = np.uint64(now)


@lean_kernel
def _vantage(kind: Any, flags: Any) -> Any:
    """Tell the side of a response (vocabulary.Vantage): dnstap says it, else AA and RA."""
    aa = (flags & 0x0400) != 0
    ra = (flags & 0x0080) != 0
    if 0 < kind <= 4:
        return 2
    if 4 < kind <= 10:
        return 1
    if aa and not ra:
        return 2
    if ra and not aa:
        return 1
    return 0


@lean_kernel
def _key(
    asks_hash: Any, serves_hash: Any, session: Any, name_hash: Any, qtype: Any, identity: Any
) -> Any:
    """Hash an answered transaction by its octets: the numbers of addresses end with their batch."""
    key = mixed(mixed(asks_hash, serves_hash), session)
    key = mixed(key, name_hash + np.uint64(qtype))
    return finished(mixed(key, np.uint64(identity + 1)))


@lean_kernel
def _match(
    columns: Any,
    first: Any,
    capture: Any,
    rows: Any,
    status: Any,
    row_limit: Any,
    strings: Any,
    table: Any,
    places: Any,
) -> Any:
    """Put messages into rows from number `first` on; give the number of the first one not put.

    That is the number of messages, or less when the batch is full. Tuples are taken apart here
    once, and arrays handed on: a tuple would be copied at every call.
    """
    (
        octets,
        wire_length,
        time,
        frame,
        source,
        destination,
        source_port,
        destination_port,
        transport,
        kinds,
        identities,
        other_time,
    ) = columns[:12]
    (
        ordinal,
        ids,
        header_flags,
        answers,
        authorities,
        name_start,
        name_length,
        qtypes,
        qclasses,
        name_hashes,
        rcode,
        edns_size,
        dnssec_ok,
        ede,
        ede_start,
        ede_length,
        nsid_start,
        nsid_length,
        place_column,
        transaction,
        state_column,
        do_known,
        do_asked,
    ) = columns[12:]
    client_slots, client_hashes, client_starts, client_arena, client_state = strings.clients
    server_slots, server_hashes, server_starts, server_arena, server_state = strings.servers
    name_slots, name_table, name_starts, name_arena, name_state = strings.names
    text_slots, text_hashes, text_starts, text_arena, text_state = strings.texts
    slots, state, answered, scratch = table
    place_slots, place_hashes, place_addresses, _, place_lengths = places[:5]
    authority, recursive, referrals = places[5:8]
    texts_most = text_state[4] - _EXTRA_TEXT - _NSID
    names_most = name_state[4] - 256

    for at in range(first, len(time)):
        # memory is asked for some messages ahead: waiting for it is most of the cost
        ahead = at + _AHEAD
        if ahead < len(time):
            asks_hash = address_hash(source, 16 * ahead)
            serves_hash = address_hash(destination, 16 * ahead)
            if header_flags[ahead] & 0x8000:
                asks_hash, serves_hash = serves_hash, asks_hash
                prefetch(octets, nsid_start[ahead])
                session = _session(
                    np.uint64(destination_port[ahead]),
                    np.uint64(source_port[ahead]),
                    ids[ahead],
                    transport[ahead],
                    kinds[ahead],
                )
                key = _key(
                    asks_hash,
                    serves_hash,
                    session,
                    name_hashes[ahead],
                    qtypes[ahead],
                    np.int64(identities[ahead]),
                )
                prefetch(answered, 8 * np.int64(key & np.uint64(_SETS - 1)))
            else:
                prefetch_slot(name_slots, name_state[1], name_hashes[ahead])
                prefetch(octets, name_start[ahead])
            prefetch_slot(client_slots, client_state[1], asks_hash)
            ahead = at + _AHEAD // 2
            if header_flags[ahead] & 0x8000:
                asks_hash = address_hash(destination, 16 * ahead)
            else:
                asks_hash = address_hash(source, 16 * ahead)
                prefetch_string(name_slots, name_arena, name_state[1], name_hashes[ahead])
            prefetch_string(client_slots, client_arena, client_state[1], asks_hash)
        count = state[0]
        if count >= row_limit or name_state[2] > names_most or text_state[2] > texts_most:
            return at
        now = time[at]
        _expire(slots, state, rows, status, now)
        if state[3] >= _OPEN_MOST:
            _evict(slots, state, rows, status)
        if 2 * (state[3] + state[5]) > state[4]:
            _rebuild(slots, state, rows, status, scratch)

        flags = np.int64(header_flags[at])
        kind = np.int64(kinds[at])
        is_response = (flags & 0x8000) != 0 if kind == 0 else (kind & 1) == 0
        asks_port = np.uint64(source_port[at])
        serves_port = np.uint64(destination_port[at])
        from_hash = address_hash(source, 16 * at)
        to_hash = address_hash(destination, 16 * at)
        asks, asks_hash, serves, serves_hash = source, from_hash, destination, to_hash
        if is_response:
            asks, asks_hash, serves, serves_hash = destination, to_hash, source, from_hash
            asks_port, serves_port = serves_port, asks_port
        client = find(
            client_slots, client_arena, client_state[1], asks_hash, asks, 16 * at, 16, False
        )
        if client < 0:
            client = append(
                client_slots,
                client_hashes,
                client_starts,
                client_arena,
                client_state,
                asks_hash,
                asks,
                16 * at,
                16,
                False,
            )
        server = find(
            server_slots, server_arena, server_state[1], serves_hash, serves, 16 * at, 16, False
        )
        if server < 0:
            server = append(
                server_slots,
                server_hashes,
                server_starts,
                server_arena,
                server_state,
                serves_hash,
                serves,
                16 * at,
                16,
                False,
            )
        if client < 0 or server < 0:
            return at  # only a flood of chosen collisions fills these before the rows are full
        session = _session(asks_port, serves_port, ids[at], transport[at], kind)
        identity = np.int64(identities[at])
        hashed = _session_hash(client, server, session, identity)
        asked = name_length[at] > 0
        name_hash = name_hashes[at]
        qtype = qtypes[at]
        qclass = qclasses[at]

        place = np.int64(0)
        vantage = np.int64(0)
        if is_response:
            nsid_octets = np.int64(nsid_length[at])
            place = np.int64(-1)
            if nsid_octets == 0:
                place = find_place(
                    place_slots,
                    place_hashes,
                    place_addresses,
                    place_lengths,
                    from_hash,
                    source,
                    16 * at,
                )
            if place < 0:
                place = place_of(
                    places, from_hash, source, 16 * at, octets, nsid_start[at], nsid_octets
                )
            vantage = _vantage(kind, flags)
            if vantage == 2:
                authority[place] += 1
            elif vantage == 1:
                recursive[place] += 1
            elif (
                (flags & 0x0480) == 0
                and answers[at] == 0
                and authorities[at] > 0
                and rcode[at] == 0
            ):
                referrals[place] += 1
        elif kind > 0:
            vantage = _vantage(kind, 0)
        place_column[at] = place

        # the search for the other half, or for the same query before
        mask = state[4]
        slot = np.int64(hashed & np.uint64(mask))
        tag = np.int64(hashed >> np.uint64(33))
        found = np.int64(-1)
        stale = np.int64(-1)
        again = np.int64(-1)
        for _ in range(_PROBES):
            held = slots[slot]
            slot = (slot + 1) & mask
            if held == -1:
                break
            if held < 0 or (held >> 32) != tag:
                continue
            row = held & 0xFFFFFFFF
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
            _close(slots, state, rows, status, stale)
        paired = found >= 0 and (is_response or again < 0)

        if not paired:
            entry = rows[count]
            entry.transaction = ordinal[at]
            entry.time = now
            entry.latency = 0
            entry.session = session
            entry.query_frame = 0
            entry.response_frame = 0
            entry.client = client
            entry.server = server
            entry.ede_text = -1
            entry.nsid = -1
            entry.identity = identity
            entry.capture = capture
            entry.response_capture = 0
            entry.rcode = 0
            entry.ede = 0
            entry.answers = 0
            entry.authorities = 0
            entry.query_size = 0
            entry.response_size = 0
            entry.query_flags = 0
            entry.response_flags = 0
            entry.edns_size = 0
            entry.kind = kind
            entry.vantage = vantage
            entry.spare = 0
        else:
            entry = rows[found]
        has = np.int64(entry.has) if paired else np.int64(0)
        if not paired or (asked and (has & 4) == 0):
            entry.name_hash = name_hash
            entry.qtype = qtype
            entry.qclass = qclass
            entry.name = -1
            if asked:
                has |= 4
                entry.name = intern(
                    name_slots,
                    name_table,
                    name_starts,
                    name_arena,
                    name_state,
                    name_hash,
                    octets,
                    name_start[at],
                    np.int64(name_length[at]),
                    True,
                )
        do_known[at] = paired and is_response
        do_asked[at] = paired and is_response and (has & 16) != 0

        # what only the query says, or only the response
        if is_response:
            latency = now - entry.time
            answered_time = now
            entry.response_capture = capture
            entry.response_frame = frame[at]
            entry.response_size = min(wire_length[at], 65535)
            entry.response_flags = flags
            entry.rcode = rcode[at]
            entry.answers = answers[at]
            entry.authorities = authorities[at]
            entry.vantage = vantage
            has |= 2
            if edns_size[at] >= 0:
                has |= 32
            if ede[at] >= 0:
                has |= 64
                entry.ede = ede[at]
                length: Any = min(np.int64(ede_length[at]), _EXTRA_TEXT)
                if length > 0:
                    entry.ede_text = intern(
                        text_slots,
                        text_hashes,
                        text_starts,
                        text_arena,
                        text_state,
                        octets_hash(octets, ede_start[at], length),
                        octets,
                        ede_start[at],
                        length,
                        False,
                    )
            length = min(np.int64(nsid_length[at]), _NSID)
            if length > 0:
                entry.nsid = intern(
                    text_slots,
                    text_hashes,
                    text_starts,
                    text_arena,
                    text_state,
                    octets_hash(octets, nsid_start[at], length),
                    octets,
                    nsid_start[at],
                    length,
                    False,
                )
            if not paired and kind > 0 and other_time[at] > 0:
                entry.latency = now - other_time[at]
                has |= 128
        else:
            latency = entry.time - now
            answered_time = entry.time
            entry.time = now
            entry.query_frame = frame[at]
            entry.query_size = min(wire_length[at], 65535)
            entry.query_flags = flags
            has |= 1
            if edns_size[at] >= 0:
                entry.edns_size = edns_size[at]
                has |= 8
                if dnssec_ok[at]:
                    has |= 16

        key = np.uint64(0)
        if paired or is_response:
            key = _key(asks_hash, serves_hash, session, name_hash, qtype, identity)
        if paired:
            entry.latency = latency
            has |= 128
            entry.pairing = 3 if latency > _QUERY_TIMEOUT else 0
            status[found] = 0
            state[3] -= 1
            _remove(slots, state, hashed, found)
            _remember(answered, key, answered_time)
        else:
            waits = 0
            if is_response:
                if _is_answered(answered, key, now):
                    entry.pairing = 4
                else:
                    entry.pairing = 2
                    waits = 2
            elif again >= 0:
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
        entry.has = has
        transaction[at] = entry.transaction
        state_column[at] = entry.pairing
    return len(time)


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
            np.zeros(2 * limits.ANSWERED_KEPT, np.uint64),
            np.empty(limits.OPEN_TRANSACTIONS + 1, np.int64),
        )
        self._table.slots[:_FIRST_SLOTS] = -1
        self._table.state[_MASK] = _FIRST_SLOTS - 1
        self._identities: dict[str, int] = {}
        self._spare: list[Batch] = []
        self._batch = Batch()
        self._batch_rows = limits.BATCH_ROWS
        self._row_limit = limits.BATCH_ROWS

    @property
    def evicted(self) -> int:
        """Rows closed before their time because too many were open."""
        return int(self._table.state[_EVICTED])

    def limit_rows(self, rows: int) -> None:
        """Let batches leave with fewer new rows, at least one, than `limits.BATCH_ROWS`."""
        self._batch_rows = self._row_limit = min(max(rows, 1), limits.BATCH_ROWS)

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
        _enter(self._table.slots, state, fresh.rows, fresh.status, np.arange(carried))
        self._batch = fresh
        self._row_limit = carried + self._batch_rows
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
