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
from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.transactions.entries import begin, put_query, put_question, put_response
from forensics.transactions.exchange import (
    OF_PARSED,
    Columns,
    ask_ahead,
    ask_columns,
    ask_row,
    ends_of,
)
from forensics.transactions.places import Places
from forensics.transactions.responders import responder, vantage_of
from forensics.transactions.rows import NAME_OCTETS, Batch, carry
from forensics.transactions.search import expire, find_row
from forensics.transactions.waiting import (
    AHEAD,
    EVICTED,
    OPEN,
    QUERY_HEAD,
    RESPONSE_HEAD,
    ROWS,
    answered_key,
    close,
    enter,
    evict,
    insert,
    is_answered,
    rebuild,
    remember,
    remove,
    waiting,
)
from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.jit import inlined_kernel, lean_kernel

_QUERY_TIMEOUT: Final = limits.QUERY_TIMEOUT
_OPEN_MOST: Final = limits.OPEN_TRANSACTIONS
_TEXT_MOST: Final = limits.EXTRA_TEXT_OCTETS + limits.NSID_OCTETS
_NAMES_MOST: Final = NAME_OCTETS - 256
_AHEAD: Final = AHEAD
_SOON: Final = 16
"""Messages before a response is matched at which the row of its query is asked for."""


@inlined_kernel
def _leave_open(
    table: Any,
    status: Any,
    row: Any,
    key: Any,
    is_response: Any,
    again: Any,
    exchange: Any,
    now: Any,
) -> Any:
    """Let a new row without its other half wait, if it may; give its pairing so far."""
    waits = 0
    if is_response:
        if is_answered(table.answered, exchange, now):
            pairing = 4
        else:
            pairing = 2
            waits = 2
    elif again >= 0:
        pairing = 5
    else:
        pairing = 1
        waits = 1
    if waits and insert(table.slots, table.state, key, row):
        table.state[3] += 1
    else:
        waits = 0
    status[row] = waits
    return pairing


@lean_kernel
def _match(
    columns: Any,
    first: Any,
    captures: Any,
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

    That is the number of messages, or less when the batch is full. What is called with a whole
    tuple is compiled into this kernel: a tuple would be copied at every call.
    """
    slots, state, answered, entered, keys = table
    texts_most = texts.state[4] - _TEXT_MOST

    first = max(first, 0)  # tells the compiler that no index below counts from the end
    last = len(columns.time)
    for ahead in range(first, min(first + _AHEAD, last)):
        ask_ahead(columns, ahead, slots, state[4], answered, keys)
    for at in range(first, last):
        if at % _AHEAD == 0:
            ask_columns(columns, at + _AHEAD)
        key = keys[at % _AHEAD]
        if at + _AHEAD < last:
            ask_ahead(columns, at + _AHEAD, slots, state[4], answered, keys)
        if at + _SOON < last:
            ask_row(keys[(at + _SOON) % _AHEAD], slots, state[4], rows)
        count = state[0]
        if count >= row_limit or state[7] > _NAMES_MOST or texts.state[2] > texts_most:
            return at
        now = columns.time[at]
        expire(slots, state, rows, status, now)
        if state[3] >= _OPEN_MOST:
            evict(slots, state, rows, status)
        if 2 * (state[3] + state[5]) > state[4]:
            rebuild(slots, state, rows, status, entered)

        ends = ends_of(columns, at)
        is_response = ends[0]
        kind = np.int64(columns.kind[at])
        asked = 0 < columns.name_length[at] < 256
        name_hash = columns.name_hash[at]
        qtype = columns.qtype[at]
        place = np.int64(0)
        vantage = np.int64(0)
        if is_response:
            place, vantage = responder(columns, at, places, ends[3], ends[4])
        elif kind > 0:
            vantage = vantage_of(kind, 0)
        columns.place[at] = place

        found, again, stale = find_row(
            slots,
            state,
            rows,
            status,
            key,
            ends,
            np.int64(columns.identity[at]),
            name_hash,
            qtype,
            columns.qclass[at],
            asked,
            now,
        )
        if not is_response and again < 0 and stale >= 0:
            close(slots, state, rows, status, stale)
        paired = found >= 0 and (is_response or again < 0)

        has = np.int64(0)
        if paired:
            entry = rows[found]
            has = np.int64(entry.has)
        else:
            entry = rows[count]
            begin(entry, columns, at, captures[at], ends, vantage)
        if not paired or (asked and (has & 4) == 0):
            has = put_question(entry, columns, at, asked, names, state, has)
        columns.do_known[at] = paired and is_response
        columns.do_asked[at] = paired and is_response and (has & 16) != 0
        if is_response:
            latency = now - entry.time
            answered_time = now
            has = put_response(entry, columns, at, captures[at], place, vantage, texts, nsids, has)
            if not paired and kind > 0 and columns.other_time[at] > 0:
                entry.latency = now - columns.other_time[at]
                has |= 128
        else:
            latency = entry.time - now
            answered_time = entry.time
            has = put_query(entry, columns, at, has)

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
            entry.pairing = _leave_open(
                table, status, count, key, is_response, again, exchange, now
            )
            state[0] = count + 1
        entry.has = has
        columns.transaction[at] = entry.transaction
        columns.state[at] = entry.pairing
    return len(columns.time)


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
                block.captures,
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
            *(getattr(parsed, name) for name in Columns._fields[OF_PARSED:]),
        )
