"""The row of a transaction while it is open, and the batch that holds many.

A row is made at the transaction's first message and closed in place, so that rows leave in the
order of their numbers. Rows still open when a batch is full are carried into the next one.

A row holds its addresses and its name as they came. Which of them are equal only matters once the
row is written, and is found out there (`numbers`): that takes most of the waiting for memory, and
can be done in another thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.wire.intern import Interner, clear, intern, interner
from forensics.wire.jit import lean_kernel
from forensics.wire.moves import SLACK, put64
from forensics.wire.words import le64, lowered, some

ROW: Final = np.dtype(
    [
        ("transaction", np.int64),
        ("time", np.int64),
        ("latency", np.int64),
        ("session", np.uint64),  # see SESSION below
        ("name_hash", np.uint64),
        ("asks", np.uint64),  # the client's address as two words, least octet first
        ("asks_low", np.uint64),
        ("serves", np.uint64),  # the server's address
        ("serves_low", np.uint64),
        ("query_frame", np.uint32),
        ("response_frame", np.uint32),
        ("name", np.int32),  # offset in `Batch.names`, -1: none
        ("ede_text", np.int32),
        ("nsid", np.int32),
        ("identity", np.int32),
        ("capture", np.uint16),
        ("response_capture", np.uint16),
        ("qtype", np.uint16),
        ("qclass", np.uint16),
        ("rcode", np.uint16),
        ("ede", np.uint16),
        ("answers", np.uint16),
        ("authorities", np.uint16),
        ("query_size", np.uint16),
        ("response_size", np.uint16),
        ("query_flags", np.uint16),
        ("response_flags", np.uint16),
        ("edns_size", np.uint16),
        ("has", np.uint16),
        ("kind", np.uint8),
        ("pairing", np.uint8),
        ("vantage", np.uint8),
        ("name_length", np.uint8),
    ],
    align=True,
)
"""SESSION: client port, server port << 16, message id << 32, transport << 48, dnstap family << 56
(the family joins a query kind with its response kind; packets are family 0). Two cache lines."""

HAS_QUERY, HAS_RESPONSE, HAS_QUESTION, HAS_EDNS = 1, 2, 4, 8
HAS_DO, HAS_RESPONSE_EDNS, HAS_EDE, HAS_LATENCY = 16, 32, 64, 128
HAS_COUNTS = 256

CLOSED, OPEN_QUERY, OPEN_RESPONSE = 0, 1, 2
"""Status of a row: final; a query that waits; a response that may precede its query."""

CAPACITY: Final = limits.BATCH_ROWS + limits.OPEN_TRANSACTIONS
NAME_OCTETS: Final = limits.BATCH_TEXT_OCTETS + 256 * limits.OPEN_TRANSACTIONS
"""Most octets of names in a batch: those of its new rows and those carried into it."""


@dataclass(slots=True)
class Batch:
    """Rows and the strings that they name.

    Attributes:
        rows: structured array `ROW`, the first `count` in use.
        status: uint8, CLOSED, OPEN_QUERY or OPEN_RESPONSE of each row.
        names: uint8, lower-case wire names of the rows, one after the other.
        texts: interner of EXTRA-TEXT and NSID octets.
        nsids: int32, by place: number in `texts` of the place's NSID, -1: not yet met.
        count: rows in use, set when the batch is full.
        identities: dnstap identities of the run, by number, when the batch was full.
    """

    rows: Any = field(default_factory=lambda: np.empty(CAPACITY, ROW))
    status: Any = field(default_factory=lambda: np.empty(CAPACITY, np.uint8))
    names: Any = field(default_factory=lambda: np.empty(NAME_OCTETS + SLACK, np.uint8))
    texts: Interner = field(default_factory=lambda: interner(CAPACITY, limits.BATCH_TEXT_OCTETS))
    nsids: NDArray[np.int32] = field(
        default_factory=lambda: np.full(limits.PLACES + 1, -1, np.int32)
    )
    count: int = 0
    identities: tuple[str, ...] = ()

    def empty(self) -> None:
        """Forget rows and strings, to be filled again."""
        self.count = 0
        self.nsids.fill(-1)
        clear(self.texts)


@lean_kernel
def keep_name(names: Any, at: Any, octets: Any, start: Any, length: Any) -> None:
    """Append a wire name in lower case at `at`; both ranges are checked by the caller."""
    for done in range(0, length, 8):
        word = some(octets, start + done, min(length - done, 8))
        put64(names, at + done, lowered(word))


@lean_kernel
def _carried_text(old: Any, number: Any, new: Any) -> Any:
    """Intern a string of one interner in another; give its number there, -1: none, or no room."""
    if number < 0:
        return np.int32(-1)
    start = old.starts[number]
    length = np.int64(le64(old.arena, start - 8) >> np.uint64(32))
    return np.int32(
        intern(
            new.slots,
            new.hashes,
            new.starts,
            new.arena,
            new.state,
            old.hashes[number],
            old.arena,
            start,
            length,
            False,
        )
    )


@lean_kernel
def _carry(
    rows: Any,
    status: Any,
    count: Any,
    names: Any,
    texts: Any,
    new_rows: Any,
    new_status: Any,
    new_names: Any,
    new_texts: Any,
    state: Any,
) -> Any:
    """Copy the open rows and their strings; give their number. `state` counts octets of names."""
    carried = 0
    used = np.int64(0)
    for row in range(count):
        if status[row] == 0:
            continue
        new_rows[carried] = rows[row]
        new_status[carried] = status[row]
        entry = new_rows[carried]
        length = np.int64(entry.name_length)
        if entry.name >= 0 and used + length + 8 <= len(new_names):
            keep_name(new_names, used, names, np.int64(entry.name), length)
            entry.name = used
            used += length
        entry.ede_text = _carried_text(texts, entry.ede_text, new_texts)
        entry.nsid = _carried_text(texts, entry.nsid, new_texts)
        carried += 1
    state[7] = used
    return carried


def carry(full: Batch, fresh: Batch, state: NDArray[np.int64]) -> int:
    """Carry the open rows of a full batch into an empty one; give how many.

    `state` is `waiting.Waiting.state`, of which the octets of names are set.
    """
    return int(
        _carry(
            full.rows,
            full.status,
            full.count,
            full.names,
            full.texts,
            fresh.rows,
            fresh.status,
            fresh.names,
            fresh.texts,
            state,
        )
    )
