"""Which signature was seen at which place, and when: the sightings reduced to distinct pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import SightingPairs


def sighting_pairs(batches: Iterable[Any]) -> SightingPairs:
    """Reduce sightings (schemas.SIGHTINGS, record batches) to one entry a (signature, place).

    Memory grows with the distinct pairs, not with the sightings. Sorted by signature, then place.
    """
    held = _Pairs.empty()
    for batch in batches:
        if batch.num_rows:
            held = _reduced([held, _pairs_of(batch)])
    return SightingPairs(
        signature=(held.key >> np.uint64(32)).astype(np.int64),
        place=(held.key & np.uint64(0xFFFFFFFF)).astype(np.int64),
        first=held.first,
        last=held.last,
        count=held.count,
    )


class _Pairs:
    """Sorted by key (signature << 32 | place); arrays of one length."""

    def __init__(
        self,
        key: NDArray[np.uint64],
        first: NDArray[np.int64],
        last: NDArray[np.int64],
        count: NDArray[np.int64],
    ) -> None:
        self.key = key
        self.first = first
        self.last = last
        self.count = count

    @classmethod
    def empty(cls) -> _Pairs:
        none = np.empty(0, np.int64)
        return cls(np.empty(0, np.uint64), none, none, none)


def _pairs_of(batch: Any) -> _Pairs:
    import pyarrow as pa

    signature = batch.column("signature").to_numpy(zero_copy_only=False).astype(np.uint64)
    place = batch.column("place").to_numpy(zero_copy_only=False).astype(np.uint64)
    time = batch.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    ones = np.ones(len(time), np.int64)
    return _reduced([_Pairs(signature << np.uint64(32) | place, time, time, ones)])


def _reduced(parts: list[_Pairs]) -> _Pairs:
    """Join parts, one entry a key."""
    key = np.concatenate([part.key for part in parts])
    if not len(key):
        return _Pairs.empty()
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    first, last, count = (
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("first", "last", "count")
    )
    return _Pairs(
        key[starts],
        np.minimum.reduceat(first, starts),
        np.maximum.reduceat(last, starts),
        np.add.reduceat(count, starts),
    )
