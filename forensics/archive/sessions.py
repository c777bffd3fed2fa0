"""Sessions of stored transactions: what a query and its response share, as one number a row.

The same parts as in `transactions.waiting.key_of`, from the columns of `schemas.TRANSACTIONS`. Two
files of a rotated capture are stitched where they hold rows of one session.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.vocabulary import DNSTAP_KINDS

COLUMNS: Final = (
    "client",
    "server",
    "client_port",
    "server_port",
    "transport",
    "id",
    "kind",
    "identity",
)
"""What a session is made of."""

_TEXT_OCTETS: Final = 48
"""Octets of a text that count, more than an address has."""
_MULTIPLIERS: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def families() -> dict[str, int]:
    """The dnstap family by the name of a kind: what joins a query with its response."""
    found = {}
    for code, name in enumerate(DNSTAP_KINDS):
        family = (code + 1) >> 1
        found[name] = 1 if family == 3 else family
    return found


def sessions(batch: Any) -> NDArray[np.uint64]:
    """Hash the session of each row of a record batch that has `COLUMNS`."""
    family = families()
    state = np.full(batch.num_rows, 16, np.uint64)
    for name in ("client", "server", "transport", "identity"):
        state = _mixed(state, _by_text(batch.column(name), _hashes))
    kinds = _by_text(batch.column("kind"), lambda texts: _families(texts, family))
    numbers = kinds
    for name in ("client_port", "server_port", "id"):
        column = batch.column(name).to_numpy(zero_copy_only=False).astype(np.uint64)
        numbers = (numbers << np.uint64(16)) | column
    return _mixed(state, numbers)


def _mixed(state: NDArray[np.uint64], value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Fold a value into a hash."""
    one, two, three = (np.uint64(number) for number in _MULTIPLIERS)
    state = (state ^ value) * one
    state = (state ^ (state >> np.uint64(30))) * two
    return (state ^ (state >> np.uint64(27))) * three


def _by_text(column: Any, of: Any) -> NDArray[np.uint64]:
    """One number a row of a dictionary column, by its texts; null is 0."""
    texts = of(column.dictionary)
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.append(texts, np.uint64(0))[codes]  # type: ignore[no-any-return]


def _families(texts: Any, family: dict[str, int]) -> NDArray[np.uint64]:
    return np.array([family[text] for text in texts.to_pylist()], np.uint64)


def _hashes(texts: Any) -> NDArray[np.uint64]:
    """Hash each text of an Arrow array of strings; never 0."""
    count = len(texts)
    if not count:
        return np.zeros(0, np.uint64)
    _, offsets, octets = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + count + 1]
    data = np.frombuffer(octets, np.uint8) if octets is not None else np.zeros(0, np.uint8)
    padded = np.concatenate((data, np.zeros(_TEXT_OCTETS, np.uint8)))
    lengths = np.minimum(np.diff(edges), _TEXT_OCTETS)
    state = lengths.astype(np.uint64) + np.uint64(1)
    for start in range(0, int(lengths.max()), 8):
        at = edges[:-1].astype(np.int64)[:, None] + np.arange(start, start + 8)
        words = np.where(np.arange(start, start + 8) < lengths[:, None], padded[at], 0)
        state = _mixed(state, words.astype(np.uint8).view(np.uint64).reshape(-1))
    return state | np.uint64(1)
