"""Counts by bin as short lists of pairs: what is told of them, and how little room it takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics.timeline.series import MOST_BINS

PAIRS: Final = 2**16
"""Pairs of bin and count told at most, 8 octets each: with more, bins are made longer."""

DISTINCT: Final = 2**14
"""Distinct (bin, name) kept of an incident, and as many clients: with more, none are told."""

DISTINCT_TOLD: Final = 2**12
"""Of these told at most of one incident."""

BIN_BITS: Final = 10
assert 2**BIN_BITS == MOST_BINS

Counts = Mapping[int, int]
"""From the number of a bin to a count."""


class Marks:
    """Distinct (bin, hash), at most so many: beyond, none at all, in whatever order they came."""

    def __init__(self) -> None:
        self._held: NDArray[np.uint64] | None = np.zeros(0, np.uint64)

    def add(self, bins: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
        """Take in N of them."""
        if self._held is None or not len(bins):
            return
        marks = bins.astype(np.uint64) << np.uint64(64 - BIN_BITS)
        marks |= hashes >> np.uint64(BIN_BITS)
        held = np.union1d(self._held, marks)
        self._held = held if len(held) <= DISTINCT else None

    def numbered(self) -> list[tuple[int, int]] | None:
        """Give bin and a number for the thing seen in it, in order; None: there were too many."""
        if self._held is None or len(self._held) > DISTINCT_TOLD:
            return None
        things = self._held & np.uint64(2 ** (64 - BIN_BITS) - 1)
        _, number = np.unique(things, return_inverse=True)
        bins = (self._held >> np.uint64(64 - BIN_BITS)).tolist()
        return list(zip(bins, number.reshape(-1).tolist(), strict=True))

    def counts(self) -> Counts | None:
        """Give how many different things each bin saw; None: there were too many."""
        if self._held is None:
            return None
        bins, counts = np.unique(self._held >> np.uint64(64 - BIN_BITS), return_counts=True)
        return dict(zip(bins.tolist(), counts.tolist(), strict=True))


def sparse(counts: NDArray[np.int64]) -> Counts:
    """Give the bins that count anything."""
    at = np.flatnonzero(counts)
    return dict(zip(at.tolist(), counts[at].tolist(), strict=True))


def flat(counts: Counts, by: int) -> list[int]:
    """Give bin and count in turn; `by` bins make one."""
    sums: dict[int, int] = {}
    for step in sorted(counts):
        sums[step // by] = sums.get(step // by, 0) + counts[step]
    return [number for pair in sums.items() for number in pair]


def joined(marks: Collection[tuple[int, int]], by: int) -> list[int]:
    """Give bin and the number of a distinct thing in turn; `by` bins make one."""
    pairs = sorted({(step // by, thing) for step, thing in marks})
    return [number for pair in pairs for number in pair]


def size(counts: Iterable[Counts], marks: Iterable[Collection[tuple[int, int]]], by: int) -> int:
    """Count the pairs that would be told."""
    return sum(len({step // by for step in held}) for held in counts) + sum(
        len({(step // by, thing) for step, thing in held}) for held in marks
    )
