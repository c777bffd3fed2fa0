"""What goes into a row: a new one's beginning, the question, what query and response say."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.transactions.rows import keep_name
from forensics.vocabulary import MessageFlag
from forensics.wire.intern import intern
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.words import octets_hash

_EXTRA_TEXT: Final = limits.EXTRA_TEXT_OCTETS
_NSID: Final = limits.NSID_OCTETS
_PARTIAL: Final = int(MessageFlag.PARTIAL)


@inlined_kernel
def begin(entry: Any, columns: Any, at: Any, capture: Any, ends: Any, vantage: Any) -> None:
    """Fill a new row, but for its question and what its first message says."""
    _, asks, asks_low, serves, serves_low, session = ends
    entry.transaction = columns.ordinal[at]
    entry.time = columns.time[at]
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
    entry.identity = columns.identity[at]
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
    entry.kind = columns.kind[at]
    entry.vantage = vantage


@inlined_kernel
def put_question(
    entry: Any, columns: Any, at: Any, asked: Any, names: Any, state: Any, has: Any
) -> Any:
    """Take the question of a message over, or that it has none; give what the row has then."""
    entry.name_hash = columns.name_hash[at]
    entry.qtype = columns.qtype[at]
    entry.qclass = columns.qclass[at]
    entry.name = -1
    entry.name_length = 0
    if asked:
        has |= 4
        length: Any = np.int64(columns.name_length[at])
        entry.name = state[7]
        entry.name_length = length
        keep_name(names, state[7], columns.octets, columns.name_start[at], length)
        state[7] += length
    return has


@inlined_kernel
def put_query(entry: Any, columns: Any, at: Any, has: Any) -> Any:
    """Put in what only the query says; give what the row has then."""
    entry.time = columns.time[at]
    entry.query_frame = columns.frame[at]
    entry.query_size = min(columns.length[at], 65535)
    entry.query_flags = columns.header_flags[at]
    has |= 1
    if columns.edns_size[at] >= 0:
        entry.edns_size = columns.edns_size[at]
        has |= 8
        if columns.dnssec_ok[at]:
            has |= 16
    return has


@inlined_kernel
def put_response(
    entry: Any,
    columns: Any,
    at: Any,
    capture: Any,
    place: Any,
    vantage: Any,
    texts: Any,
    nsids: Any,
    has: Any,
) -> Any:
    """Put in what only the response says; give what the row has then."""
    entry.response_capture = capture
    entry.response_frame = columns.frame[at]
    entry.response_size = min(columns.length[at], 65535)
    entry.response_flags = columns.header_flags[at]
    entry.rcode = columns.rcode[at]
    entry.answers = columns.answers[at]
    entry.authorities = columns.authorities[at]
    entry.vantage = vantage
    has |= 2
    if (columns.message_flags[at] & _PARTIAL) == 0:
        has |= 256
    if columns.edns_size[at] >= 0:
        has |= 32
    if columns.ede[at] >= 0:
        has |= 64
        entry.ede = columns.ede[at]
        length: Any = min(np.int64(columns.ede_length[at]), _EXTRA_TEXT)
        if length > 0:
            entry.ede_text = _text(texts, columns.octets, columns.ede_start[at], length)
    length = min(np.int64(columns.nsid_length[at]), _NSID)
    if length > 0:
        # a place has one NSID; only place 0, *other*, has many
        text = nsids[place] if place > 0 else np.int32(-1)
        if text < 0:
            text = _text(texts, columns.octets, columns.nsid_start[at], length)
            nsids[place] = text
        entry.nsid = text
    return has


@lean_kernel
def _text(texts: Any, octets: Any, start: Any, length: Any) -> Any:
    """Intern EXTRA-TEXT or NSID octets; -1: no room."""
    slots, hashes, starts, arena, state = texts
    hashed = octets_hash(octets, start, length)
    return np.int32(
        intern(slots, hashes, starts, arena, state, hashed, octets, start, length, False)
    )
