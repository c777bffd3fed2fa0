"""The row of a transaction while it is open, and the batch that holds many.

A row is made at the transaction's first message and closed in place, so that rows leave in the
order of their numbers. Rows still open when a batch is full are carried into the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.wire.intern import Interner, clear, intern, interner
from forensics.wire.jit import lean_kernel
from forensics.wire.words import le64

ROW: Final = np.dtype(
    [
        ("transaction", np.int64),
        ("time", np.int64),
        ("latency", np.int64),
        ("session", np.uint64),  # see SESSION below
        ("name_hash", np.uint64),
        ("query_frame", np.uint32),
        ("response_frame", np.uint32),
        ("client", np.int32),
        ("server", np.int32),
        ("name", np.int32),
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
        ("spare", np.uint8),
    ],
    align=True,
)
"""SESSION: client port, server port << 16, message id << 32, transport << 48, dnstap family << 56
(the family joins a query kind with its response kind; packets are family 0)."""

HAS_QUERY, HAS_RESPONSE, HAS_QUESTION, HAS_EDNS = 1, 2, 4, 8
HAS_DO, HAS_RESPONSE_EDNS, HAS_EDE, HAS_LATENCY = 16, 32, 64, 128

CLOSED, OPEN_QUERY, OPEN_RESPONSE = 0, 1, 2
"""Status of a row: final; a query that waits; a response that may precede its query."""

_CAPACITY: Final = limits.BATCH_ROWS + limits.OPEN_TRANSACTIONS


@dataclass(slots=True)
class Batch:
    """Rows and the strings that they name.

    Attributes:
        rows: structured array `ROW`, the first `count` in use.
        status: uint8, CLOSED, OPEN_QUERY or OPEN_RESPONSE of each row.
        clients, servers: interners of addresses, 16 octets each.
        names: interner of lower-case wire names.
        texts: interner of EXTRA-TEXT and NSID octets.
        count: rows in use, set when the batch is full.
        identities: dnstap identities of the run, by number, when the batch was full.
    """

    rows: Any = field(default_factory=lambda: np.empty(_CAPACITY, ROW))
    status: Any = field(default_factory=lambda: np.empty(_CAPACITY, np.uint8))
    clients: Interner = field(default_factory=lambda: interner(_CAPACITY, 16 * _CAPACITY))
    servers: Interner = field(default_factory=lambda: interner(_CAPACITY, 16 * _CAPACITY))
    names: Interner = field(
        default_factory=lambda: interner(
            _CAPACITY, limits.BATCH_TEXT_OCTETS + 256 * limits.OPEN_TRANSACTIONS
        )
    )
    texts: Interner = field(default_factory=lambda: interner(_CAPACITY, limits.BATCH_TEXT_OCTETS))
    count: int = 0
    identities: tuple[str, ...] = ()

    def empty(self) -> None:
        """Forget rows and strings, to be filled again."""
        self.count = 0
        for strings in (self.clients, self.servers, self.names, self.texts):
            clear(strings)


@lean_kernel
def _moved(old: Any, numbers: Any, new: Any) -> None:
    """Intern strings of one interner in another, and renumber them; -1: none, or no room."""
    _, hashes, starts, arena, _ = old
    new_slots, new_hashes, new_starts, new_arena, state = new
    for row in range(len(numbers)):
        number = np.int64(numbers[row])
        if number < 0:
            continue
        start = starts[number]
        length = np.int64(le64(arena, start - 8) >> np.uint64(32))
        numbers[row] = intern(
            new_slots,
            new_hashes,
            new_starts,
            new_arena,
            state,
            hashes[number],
            arena,
            start,
            length,
            False,
        )


@lean_kernel
def _copy_open(rows: Any, status: Any, count: Any, new_rows: Any, new_status: Any) -> Any:
    """Copy the open rows; give their number."""
    carried = 0
    for row in range(count):
        if status[row] != 0:
            new_rows[carried] = rows[row]
            new_status[carried] = status[row]
            carried += 1
    return carried


def carry(full: Batch, fresh: Batch) -> int:
    """Carry the open rows of a full batch into an empty one; give how many."""
    carried = int(_copy_open(full.rows, full.status, full.count, fresh.rows, fresh.status))
    rows = fresh.rows[:carried]
    for column, old, new in (
        ("client", full.clients, fresh.clients),
        ("server", full.servers, fresh.servers),
        ("name", full.names, fresh.names),
        ("ede_text", full.texts, fresh.texts),
        ("nsid", full.texts, fresh.texts),
    ):
        numbers = np.ascontiguousarray(rows[column])
        _moved(old, numbers, new)
        rows[column] = numbers
    return carried
