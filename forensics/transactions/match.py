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

What the halves share is hashed for some messages ahead, so that the memory which the search will
need is already on its way. The state persists from block to block and from file to file; where a
block ends changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from forensics import limits
from forensics.transactions.places import Places, find_place, place_hash, place_of
from forensics.transactions.rows import NAME_OCTETS, Batch, carry, keep_name
from forensics.transactions.waiting import (
    AHEAD,
    EVICTED,
    OPEN,
    PROBES,
    QUERY_HEAD,
    RESPONSE_HEAD,
    ROWS,
    answered_key,
    answered_set,
    close,
    enter,
    evict,
    insert,
    is_answered,
    key_of,
    rebuild,
    remember,
    remove,
    session_of,
    waiting,
)
from forensics.vocabulary import MessageFlag
from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.intern import intern
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.words import address_hash, le64, octets_hash, prefetch

_QUERY_TIMEOUT: Final = limits.QUERY_TIMEOUT
_LATE_TIMEOUT: Final = limits.LATE_TIMEOUT
_SKEW_TIMEOUT: Final = limits.SKEW_TIMEOUT
_OPEN_MOST: Final = limits.OPEN_TRANSACTIONS
_EXTRA_TEXT: Final = limits.EXTRA_TEXT_OCTETS
_NSID: Final = limits.NSID_OCTETS
_NAMES_MOST: Final = NAME_OCTETS - 256
_PARTIAL: Final = int(MessageFlag.PARTIAL)


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
    message_flags: Any
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


@inlined_kernel
def _expire(slots: Any, state: Any, rows: Any, status: Any, now: Any) -> None:
    """Close what has waited too long by the time of the message at hand.

    A time that lies far *behind* an open row's counts as well: after a step of the clock nothing
    may wait for ever.
    """
    count = state[0]
    row = state[1]
    while row < count:
        if status[row] == 1:
            waited = now - rows[row].time
            if -_LATE_TIMEOUT <= waited <= _LATE_TIMEOUT:
                break
            close(slots, state, rows, status, row)
        row += 1
    state[1] = row
    row = state[2]
    while row < count:
        if status[row] == 2:
            waited = now - rows[row].time
            if -_QUERY_TIMEOUT <= waited <= _SKEW_TIMEOUT:
                break
            close(slots, state, rows, status, row)
        row += 1
    state[2] = row


@inlined_kernel
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
def _text(texts: Any, octets: Any, start: Any, length: Any) -> Any:
    """Intern EXTRA-TEXT or NSID octets; -1: no room."""
    slots, hashes, starts, arena, state = texts
    hashed = octets_hash(octets, start, length)
    return np.int32(
        intern(slots, hashes, starts, arena, state, hashed, octets, start, length, False)
    )


@lean_kernel
def _match(
    columns: Any,
    first: Any,
    capture: Any,
    rows: Any,
    status: Any,
    row_limit: Any,
    names: Any,
    texts: Any,
    nsids: Any,
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
        message_flags,
    ) = columns[:13]
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
    ) = columns[13:]
    slots, state, answered, entered, keys = table
    place_slots, place_hashes, place_addresses, place_nsids, place_lengths = places[:5]
    authority, recursive, referrals = places[5:8]
    text_state = texts.state
    texts_most = text_state[4] - _EXTRA_TEXT - _NSID

    first = max(first, 0)  # tells the compiler that no index below counts from the end
    ready = first
    begun = first
    for at in range(first, len(time)):
        if at == ready:
            ready = min(at + AHEAD, len(time))
            for ahead in range(at, ready):
                asks = le64(source, 16 * ahead)
                asks_low = le64(source, 16 * ahead + 8)
                serves = le64(destination, 16 * ahead)
                serves_low = le64(destination, 16 * ahead + 8)
                kind = np.int64(kinds[ahead])
                asks_port = source_port[ahead]
                serves_port = destination_port[ahead]
                is_response = (header_flags[ahead] & 0x8000) != 0 if kind == 0 else (kind & 1) == 0
                if is_response:
                    asks, asks_low, serves, serves_low = serves, serves_low, asks, asks_low
                    asks_port, serves_port = serves_port, asks_port
                session = session_of(asks_port, serves_port, ids[ahead], transport[ahead], kind)
                key = key_of(asks, asks_low, serves, serves_low, session, identities[ahead])
                keys[ahead - at] = key
                prefetch(slots, np.int64(key & np.uint64(state[4])))
                if is_response:
                    key = answered_key(key, name_hashes[ahead], qtypes[ahead])
                    prefetch(answered, answered_set(key))
                    prefetch(octets, nsid_start[ahead])
                else:
                    prefetch(octets, name_start[ahead])
            begun = at
        count = state[0]
        if count >= row_limit or state[7] > _NAMES_MOST or text_state[2] > texts_most:
            return at
        now = time[at]
        _expire(slots, state, rows, status, now)
        if state[3] >= _OPEN_MOST:
            evict(slots, state, rows, status)
        if 2 * (state[3] + state[5]) > state[4]:
            rebuild(slots, state, rows, status, entered)

        flags = np.int64(header_flags[at])
        kind = np.int64(kinds[at])
        is_response = (flags & 0x8000) != 0 if kind == 0 else (kind & 1) == 0
        asks = le64(source, 16 * at)
        asks_low = le64(source, 16 * at + 8)
        serves = le64(destination, 16 * at)
        serves_low = le64(destination, 16 * at + 8)
        asks_port = source_port[at]
        serves_port = destination_port[at]
        if is_response:
            asks, asks_low, serves, serves_low = serves, serves_low, asks, asks_low
            asks_port, serves_port = serves_port, asks_port
        session = session_of(asks_port, serves_port, ids[at], transport[at], kind)
        identity = np.int64(identities[at])
        key = keys[at - begun]
        asked = 0 < name_length[at] < 256
        name_hash = name_hashes[at]
        qtype = qtypes[at]
        qclass = qclasses[at]

        place = np.int64(0)
        vantage = np.int64(0)
        if is_response:
            kept = min(np.int64(nsid_length[at]), _NSID)
            from_hash = address_hash(source, 16 * at)
            place = find_place(
                place_slots,
                place_hashes,
                place_addresses,
                place_nsids,
                place_lengths,
                place_hash(from_hash, octets, nsid_start[at], kept),
                serves,
                serves_low,
                octets,
                nsid_start[at],
                kept,
            )
            if place < 0:
                place = place_of(places, from_hash, source, 16 * at, octets, nsid_start[at], kept)
            vantage = _vantage(kind, flags)
            if vantage == 2:
                authority[place] += 1
            elif vantage == 1:
                recursive[place] += 1
            elif (
                (flags & 0x0480) == 0
                and (message_flags[at] & _PARTIAL) == 0
                and answers[at] == 0
                and authorities[at] > 0
                and rcode[at] == 0
            ):
                referrals[place] += 1
        elif kind > 0:
            vantage = _vantage(kind, 0)
        place_column[at] = place

        # the search for the other half, or for the same query before
        mask = np.uint64(state[4])
        slot = key & mask
        tag = np.int64(key >> np.uint64(33))
        found = np.int64(-1)
        stale = np.int64(-1)
        again = np.int64(-1)
        for _ in range(PROBES):
            held = slots[slot]
            slot = (slot + np.uint64(1)) & mask
            if held == -1:
                break
            if held < 0 or (held >> 32) != tag:
                continue
            row = held & 0xFFFFFFFF
            entry = rows[row]
            if (
                entry.session != session
                or entry.asks != asks
                or entry.asks_low != asks_low
                or entry.serves != serves
                or entry.serves_low != serves_low
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
            close(slots, state, rows, status, stale)
        paired = found >= 0 and (is_response or again < 0)

        if not paired:
            entry = rows[count]
            entry.transaction = ordinal[at]
            entry.time = now
            entry.latency = 0
            entry.session = session
            entry.query_frame = 0
            entry.response_frame = 0
            entry.asks = asks
            entry.asks_low = asks_low
            entry.serves = serves
            entry.serves_low = serves_low
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
        else:
            entry = rows[found]
        has = np.int64(entry.has) if paired else np.int64(0)
        if not paired or (asked and (has & 4) == 0):
            entry.name_hash = name_hash
            entry.qtype = qtype
            entry.qclass = qclass
            entry.name = -1
            entry.name_length = 0
            if asked:
                has |= 4
                length: Any = np.int64(name_length[at])
                entry.name = state[7]
                entry.name_length = length
                keep_name(names, state[7], octets, name_start[at], length)
                state[7] += length
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
            if (message_flags[at] & _PARTIAL) == 0:
                has |= 256
            if edns_size[at] >= 0:
                has |= 32
            if ede[at] >= 0:
                has |= 64
                entry.ede = ede[at]
                length = min(np.int64(ede_length[at]), _EXTRA_TEXT)
                if length > 0:
                    entry.ede_text = _text(texts, octets, ede_start[at], length)
            length = min(np.int64(nsid_length[at]), _NSID)
            if length > 0:
                # a place has one NSID; only place 0, *other*, has many
                text = nsids[place] if place > 0 else np.int32(-1)
                if text < 0:
                    text = _text(texts, octets, nsid_start[at], length)
                    nsids[place] = text
                entry.nsid = text
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

        exchange = np.uint64(0)
        if paired or is_response:
            exchange = answered_key(key, name_hash, qtype)
        if paired:
            entry.latency = latency
            has |= 128
            entry.pairing = 3 if latency > _QUERY_TIMEOUT else 0
            status[found] = 0
            state[3] -= 1
            remove(slots, state, key, found)
            remember(answered, exchange, answered_time)
        else:
            waits = 0
            if is_response:
                if is_answered(answered, exchange, now):
                    entry.pairing = 4
                else:
                    entry.pairing = 2
                    waits = 2
            elif again >= 0:
                entry.pairing = 5
            else:
                entry.pairing = 1
                waits = 1
            if waits and insert(slots, state, key, count):
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
        self._table = waiting()
        self._identities: dict[str, int] = {}
        self._spare: list[Batch] = []
        self._batch = Batch()
        self._batch_rows = limits.BATCH_ROWS
        self._row_limit = limits.BATCH_ROWS

    @property
    def evicted(self) -> int:
        """Rows closed before their time because too many were open."""
        return int(self._table.state[EVICTED])

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
            reached = _match(
                columns,
                reached,
                block.capture,
                batch.rows,
                batch.status,
                self._row_limit,
                batch.names,
                batch.texts,
                batch.nsids,
                self._table,
                self.places,
            )
            if reached >= len(block):
                return
            yield self._turn()

    def finish(self) -> Batch:
        """Close everything, at the end of the last input; give the last batch."""
        batch = self._batch
        batch.count = int(self._table.state[ROWS])
        batch.status[: batch.count] = 0
        batch.identities = tuple(self._identities)
        self._table.state[OPEN] = 0
        return batch

    def reuse(self, batch: Batch) -> None:
        """Take back a batch whose rows have been read."""
        self._spare.append(batch)

    def _turn(self) -> Batch:
        """Start a new batch with the rows still open in the full one."""
        full = self._batch
        state = self._table.state
        full.count = int(state[ROWS])
        full.identities = tuple(self._identities)
        fresh = self._spare.pop() if self._spare else Batch()
        fresh.empty()
        carried = carry(full, fresh, state)
        state[ROWS] = carried
        state[QUERY_HEAD] = 0
        state[RESPONSE_HEAD] = 0
        enter(self._table.slots, state, fresh.rows, fresh.status, np.arange(carried))
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
            block.flags,
            *(getattr(parsed, name) for name in Columns._fields[13:]),
        )
