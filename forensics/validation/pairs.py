"""Which signature was seen at which place, and when: the sightings reduced to distinct pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import SightingPairs
from forensics.vocabulary import SightingFlag


def sighting_pairs(batches: Iterable[Any], places: Any = None) -> SightingPairs:
    """Reduce sightings (schemas.SIGHTINGS, record batches) to one entry a (signature, place).

    Memory grows with the distinct pairs, not with the sightings. Sorted by signature, then place.
    With `places` (schemas.PLACES), stray responses of an address whose queries the capture holds
    are left out: they are not evidence of anything, the keys and DS that they carry neither.
    """
    held, strays = _Pairs.empty(), _Pairs.empty()
    asked: set[int] = set()
    for batch in batches:
        if not batch.num_rows:
            continue
        flags = batch.column("flags").to_numpy(zero_copy_only=False)
        stray = (flags & int(SightingFlag.UNPAIRED)) != 0
        if places is None or not stray.any():
            held = _reduced([held, _pairs_of(batch)])
        else:
            held = _reduced([held, _pairs_of(batch.filter(_mask(~stray)))])
            strays = _reduced([strays, _pairs_of(batch.filter(_mask(stray)))])
        known = (flags & int(SightingFlag.DO_KNOWN)) != 0
        place = batch.column("place").to_numpy(zero_copy_only=False)
        asked.update(np.unique(place[known]).tolist())
    if len(strays.key):
        held = _reduced([held, strays.kept(~np.isin(strays.place, _siblings(asked, places)))])
    return SightingPairs(
        signature=(held.key >> np.uint64(32)).astype(np.int64),
        place=held.place,
        first=held.first,
        last=held.last,
        count=held.count,
    )


def _siblings(asked: set[int], places: Any) -> NDArray[np.int64]:
    """Return the places of the addresses that were asked: one who forges leaves out the NSID."""
    numbers, servers = (places[name].to_pylist() for name in ("place", "server"))
    addresses = {s for n, s in zip(numbers, servers, strict=True) if n in asked}
    mine = [n for n, s in zip(numbers, servers, strict=True) if s in addresses]
    return np.array(mine, np.int64)


def _mask(keep: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(keep)


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

    @property
    def place(self) -> NDArray[np.int64]:
        """Return the place of each."""
        return (self.key & np.uint64(0xFFFFFFFF)).astype(np.int64)

    def kept(self, mask: NDArray[np.bool_]) -> _Pairs:
        """Return those that the mask says."""
        return _Pairs(self.key[mask], self.first[mask], self.last[mask], self.count[mask])

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
