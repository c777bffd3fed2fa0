"""The search among open rows: for the other half of an exchange, or the same query before."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.transactions.waiting import PROBES, close
from forensics.wire.jit import inlined_kernel

_QUERY_TIMEOUT: Final = limits.QUERY_TIMEOUT
_LATE_TIMEOUT: Final = limits.LATE_TIMEOUT
_SKEW_TIMEOUT: Final = limits.SKEW_TIMEOUT


@inlined_kernel
def expire(slots: Any, state: Any, rows: Any, status: Any, now: Any) -> None:
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
def find_row(
    slots: Any,
    state: Any,
    rows: Any,
    status: Any,
    key: Any,
    ends: Any,
    identity: Any,
    name_hash: Any,
    qtype: Any,
    qclass: Any,
    asked: Any,
    now: Any,
) -> Any:
    """Find the open rows that a message belongs to.

    Args:
        slots: of the table, see `waiting`.
        state: of the table.
        rows: the batch's.
        status: of each row.
        key: of the message.
        ends: what `exchange.ends_of` told of the message.
        identity: of the message.
        name_hash: of the message, like qtype and qclass.
        qtype: see name_hash.
        qclass: see name_hash.
        asked: whether it has a question; a response without one is matched by the rest.
        now: its time.

    Returns:
        (row of the other half, the first if several wait; row of the same query that still waits;
        row of the same query that waited too long), each -1: none.
    """
    is_response, asks, asks_low, serves, serves_low, session = ends
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
    return found, again, stale
