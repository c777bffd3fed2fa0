"""What the two halves of an exchange share: its ends, and the key by which it is found."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from forensics.transactions.waiting import AHEAD, answered_key, answered_set, key_of, session_of
from forensics.wire.jit import inlined_kernel
from forensics.wire.words import ask_lines, le64, prefetch, prefetch_behind


class Columns(NamedTuple):
    """The columns of a block that the kernels read, and those of `Parsed` that they fill."""

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


OF_PARSED: Final = 13
"""The columns of `Columns` from this one on are those of `Parsed`."""


@inlined_kernel
def ends_of(columns: Any, at: Any) -> Any:
    """Tell whether a message is a response, and who asks whom.

    Returns:
        (is a response; the asking address as two words; the asked one; the session, see `rows`)
    """
    kind = np.int64(columns.kind[at])
    asks = le64(columns.source, 16 * at)
    asks_low = le64(columns.source, 16 * at + 8)
    serves = le64(columns.destination, 16 * at)
    serves_low = le64(columns.destination, 16 * at + 8)
    asks_port = columns.source_port[at]
    serves_port = columns.destination_port[at]
    is_response = (columns.header_flags[at] & 0x8000) != 0 if kind == 0 else (kind & 1) == 0
    if is_response:
        asks, asks_low, serves, serves_low = serves, serves_low, asks, asks_low
        asks_port, serves_port = serves_port, asks_port
    session = session_of(asks_port, serves_port, columns.id[at], columns.transport[at], kind)
    return is_response, asks, asks_low, serves, serves_low, session


@inlined_kernel
def ask_ahead(columns: Any, ahead: Any, slots: Any, mask: Any, answered: Any, keys: Any) -> None:
    """Make the key of a message to come, and ask for the memory that its search will need."""
    is_response, asks, asks_low, serves, serves_low, session = ends_of(columns, ahead)
    key = key_of(asks, asks_low, serves, serves_low, session, columns.identity[ahead])
    keys[ahead % AHEAD] = key
    prefetch(slots, np.int64(key & np.uint64(mask)))
    if is_response:
        key = answered_key(key, columns.name_hash[ahead], columns.qtype[ahead])
        prefetch(answered, answered_set(key))
        prefetch(columns.octets, columns.nsid_start[ahead])
    else:
        prefetch(columns.octets, columns.name_start[ahead])


@inlined_kernel
def ask_row(key: Any, slots: Any, mask: Any, rows: Any) -> None:
    """Ask for the row that a search by this key will probably find."""
    held = slots[np.int64(key & np.uint64(mask))]
    if held >= 0 and (held >> 32) == np.int64(key >> np.uint64(33)):
        row = held & 0xFFFFFFFF
        prefetch(rows, row)
        prefetch_behind(rows, row, 64)


@inlined_kernel
def ask_columns(columns: Any, at: Any) -> None:
    """Ask for what `AHEAD` messages from `at` on have in the columns that `ask_ahead` leaves."""
    end = at + AHEAD
    ask_lines(columns.length, at, end)
    ask_lines(columns.time, at, end)
    ask_lines(columns.frame, at, end)
    ask_lines(columns.message_flags, at, end)
    ask_lines(columns.ordinal, at, end)
    ask_lines(columns.answers, at, end)
    ask_lines(columns.authorities, at, end)
    ask_lines(columns.name_length, at, end)
    ask_lines(columns.qclass, at, end)
    ask_lines(columns.rcode, at, end)
    ask_lines(columns.edns_size, at, end)
    ask_lines(columns.dnssec_ok, at, end)
    ask_lines(columns.ede, at, end)
    ask_lines(columns.nsid_length, at, end)
    ask_lines(columns.place, at, end)
    ask_lines(columns.transaction, at, end)
    ask_lines(columns.state, at, end)
    ask_lines(columns.do_known, at, end)
    ask_lines(columns.do_asked, at, end)
