"""Transactions that wait for their other half, and those answered of late: two hash tables.

The first finds the open rows of a batch by what both halves share; the second remembers for a
while what was answered. Hashes are public: whoever finds a row compares it, and every search gives
up after `PROBES` steps.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.words import finished, mixed

SLOTS: Final = 4 * limits.OPEN_TRANSACTIONS
FIRST_SLOTS: Final = 1 << 12
PROBES: Final = 256
AHEAD: Final = 64
"""Messages before it is matched at which the key of one is made, and the memory asked for that the
search will need; a power of two."""

ROWS, QUERY_HEAD, RESPONSE_HEAD, OPEN, MASK, DEAD, EVICTED, NAMES = range(8)
"""Numbers in `Waiting.state`. In kernels they stand as literals."""

_QUERY_TIMEOUT: Final = limits.QUERY_TIMEOUT
_SETS: Final = limits.ANSWERED_KEPT // 4


class Waiting(NamedTuple):
    """Open transactions by session, and the answered ones of late.

    Attributes:
        slots: int64, tag << 32 | row; -1: free, -2: was in use.
        state: int64: rows in use, first row that may be an open query, first that may be an open
            response, open rows, slot mask, slots that were in use, evicted rows, octets of names
            in the batch.
        answered: uint64, answered transactions in sets of four: four keys, then the times of
            their responses, so that a set is one cache line.
        entered: int64, room for the rows of all open transactions.
        keys: uint64, the keys of `AHEAD` messages, by their numbers modulo `AHEAD`.
    """

    slots: NDArray[np.int64]
    state: NDArray[np.int64]
    answered: NDArray[np.uint64]
    entered: NDArray[np.int64]
    keys: NDArray[np.uint64]


def waiting() -> Waiting:
    """Make empty tables. Memory is touched only as it is used."""
    made = Waiting(
        np.empty(SLOTS, np.int64),
        np.zeros(8, np.int64),
        np.zeros(2 * limits.ANSWERED_KEPT, np.uint64),
        np.empty(limits.OPEN_TRANSACTIONS + 1, np.int64),
        np.zeros(AHEAD, np.uint64),
    )
    made.slots[:FIRST_SLOTS] = -1
    made.state[MASK] = FIRST_SLOTS - 1
    return made


@lean_kernel
def session_of(asks_port: Any, serves_port: Any, id_: Any, transport: Any, kind: Any) -> Any:
    """Join ports, id, transport and dnstap family, as `rows.ROW` says.

    AUTH and CLIENT are one family: BIND without recursion calls a query with RD AUTH_QUERY, and its
    response CLIENT_RESPONSE.
    """
    family: Any = (np.int64(kind) + 1) >> 1
    if family == 3:
        family = 1
    return (
        np.uint64(asks_port)
        | (np.uint64(serves_port) << np.uint64(16))
        | (np.uint64(id_) << np.uint64(32))
        | (np.uint64(transport) << np.uint64(48))
        | (np.uint64(family) << np.uint64(56))
    )


@lean_kernel
def key_of(
    asks: Any, asks_low: Any, serves: Any, serves_low: Any, session: Any, identity: Any
) -> Any:
    """Hash what query and response share; addresses as two words each."""
    state = mixed(mixed(mixed(np.uint64(16), asks), asks_low), serves)
    state = mixed(mixed(state, serves_low), session)
    return finished(mixed(state, np.uint64(np.int64(identity) + 1)))


@lean_kernel
def answered_key(key: Any, name_hash: Any, qtype: Any) -> Any:
    """Hash an answered transaction: its key and its question."""
    return finished(mixed(key, name_hash + np.uint64(qtype)))


@lean_kernel
def insert(slots: Any, state: Any, key: Any, row: Any) -> Any:
    """Enter a row by its key; False: no slot near its place is free."""
    mask = state[4]
    slot = np.int64(key & np.uint64(mask))
    tag = np.int64(key >> np.uint64(33))
    for _ in range(PROBES):
        if slots[slot] < 0:
            if slots[slot] == -2:
                state[5] -= 1
            slots[slot] = (tag << 32) | row
            return True
        slot = (slot + 1) & mask
    return False


@lean_kernel
def remove(slots: Any, state: Any, key: Any, row: Any) -> None:
    """Take a row out. Its slot stays marked where a search may have to run on past it."""
    mask = state[4]
    slot = np.int64(key & np.uint64(mask))
    for _ in range(PROBES):
        entry = slots[slot]
        if entry == -1:
            return
        if entry >= 0 and (entry & 0xFFFFFFFF) == row:
            if slots[(slot + 1) & mask] == -1:
                slots[slot] = -1
                slot = (slot - 1) & mask
                while slots[slot] == -2:  # nothing lies behind these any more
                    slots[slot] = -1
                    state[5] -= 1
                    slot = (slot - 1) & mask
            else:
                slots[slot] = -2
                state[5] += 1
            return
        slot = (slot + 1) & mask


@lean_kernel
def enter(slots: Any, state: Any, rows: Any, status: Any, entered: Any) -> None:
    """Enter these rows into an empty table; one that finds no slot is closed."""
    size = FIRST_SLOTS
    while size < 4 * (len(entered) + 1) and size < len(slots):
        size *= 2
    slots[:size] = -1
    state[3] = len(entered)
    state[4] = size - 1
    state[5] = 0
    for row in entered:
        entry = rows[row]
        key = key_of(
            entry.asks,
            entry.asks_low,
            entry.serves,
            entry.serves_low,
            entry.session,
            entry.identity,
        )
        if not insert(slots, state, key, row):
            status[row] = 0
            state[3] -= 1
            state[6] += 1


@lean_kernel
def rebuild(slots: Any, state: Any, rows: Any, status: Any, entered: Any) -> None:
    """Enter all open rows anew into a table of the right size; `entered` is scratch."""
    count = 0
    for slot in range(state[4] + 1):
        if slots[slot] >= 0 and count < len(entered):
            entered[count] = slots[slot] & 0xFFFFFFFF
            count += 1
    enter(slots, state, rows, status, entered[:count])


@lean_kernel
def close(slots: Any, state: Any, rows: Any, status: Any, row: Any) -> None:
    """Close an open row and take it out of the table."""
    entry = rows[row]
    status[row] = 0
    state[3] -= 1
    key = key_of(
        entry.asks, entry.asks_low, entry.serves, entry.serves_low, entry.session, entry.identity
    )
    remove(slots, state, key, row)


@lean_kernel
def evict(slots: Any, state: Any, rows: Any, status: Any) -> None:
    """Close the oldest open row."""
    row = min(state[1], state[2])
    while row < state[0] and status[row] == 0:
        row += 1
    if row < state[0]:
        close(slots, state, rows, status, row)
        state[6] += 1


@lean_kernel
def answered_set(key: Any) -> Any:
    """Where in `Waiting.answered` the set of a key starts."""
    return 8 * np.int64(key & np.uint64(_SETS - 1))


@inlined_kernel
def is_answered(answered: Any, key: Any, now: Any) -> Any:
    """Whether a transaction with this key was answered within the query timeout."""
    first = answered_set(key)
    for slot in range(first, first + 4):
        if answered[slot] == key:
            waited = now - np.int64(answered[slot + 4])
            return -_QUERY_TIMEOUT <= waited <= _QUERY_TIMEOUT
    return False


@inlined_kernel
def remember(answered: Any, key: Any, now: Any) -> None:
    """Remember an answered transaction; the oldest of its set gives way."""
    first = answered_set(key)
    chosen: Any = first
    for slot in range(first, first + 4):
        if answered[slot] == key or answered[slot] == np.uint64(0):
            chosen = slot
            break
        if np.int64(answered[slot + 4]) < np.int64(answered[chosen + 4]):
            chosen = slot
    answered[chosen] = key
    answered[chosen + 4] = np.uint64(now)
