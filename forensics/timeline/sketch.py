"""Counts of distinct things in bounded memory: exact while few, estimated when many.

The k smallest of all hashes are kept. While fewer than k were seen the count is exact; beyond,
k - 1 hashes below the greatest one kept tell how dense all of them are (the k minimum values
estimate, Bar-Yossef and others 2002; its relative error is about 1 / sqrt(k)). What is kept does
not depend on the order of arrival.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

KEPT: Final = 2**14
"""Hashes kept: exact up to 16,384, within about 1 % beyond; 128 KiB."""


class Distinct:
    """Counts distinct uint64 hashes."""

    def __init__(self, kept: int = KEPT) -> None:
        """Start empty."""
        self.kept = kept
        self.hashes: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Take in some hashes."""
        if len(self.hashes) >= self.kept:
            hashes = hashes[hashes < self.hashes[-1]]
        if len(hashes):
            self.hashes = np.union1d(self.hashes, hashes)[: self.kept]

    def count(self) -> int:
        """Give how many distinct hashes there were."""
        if len(self.hashes) < self.kept:
            return len(self.hashes)
        return int((self.kept - 1) * (2**64 / (int(self.hashes[-1]) + 1)))


def hash_values(values: Any) -> NDArray[np.uint64]:
    """Hash each of M texts of an Arrow array; the same text gives the same hash in every run."""
    import pyarrow as pa

    from forensics.timeline.kernels import hash_texts

    if not len(values):
        return np.zeros(0, dtype=np.uint64)
    whole = pa.concat_arrays([values.cast(pa.large_string())])
    _, offsets, octets = whole.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[whole.offset : whole.offset + len(whole) + 1]
    data = np.frombuffer(bytearray(octets or b"\0"), dtype=np.uint8)
    hashes = np.empty(max(len(bounds) - 1, 0), np.uint64)
    hash_texts(np.ascontiguousarray(bounds).copy(), data, hashes)
    return hashes


def mix(*parts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix columns of hashes to one."""
    mixed = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        mixed = (mixed ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
