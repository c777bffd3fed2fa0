"""Verdicts for sightings, many at once: from (signature, place, time) to status and reason.

The verdicts table is intervals by signature and place, with place -1 for every place that has no
rows of its own (schemas.VERDICTS). `VerdictIndex` holds it as sorted arrays, and looks up whole
blocks of sightings by bisection in numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.vocabulary import REASON_CODE, STATUSES, Status

_Codes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int32]]


class VerdictIndex:
    """The verdicts of one view, sorted for bisection.

    Attributes:
        zones: names that the zone numbers of `codes` stand for.
        later: bool, one a row of the index: only a later key set holds the key.
        rows: int64, one a row of the index: its row in the table that it was made of.
    """

    zones: list[str]
    later: NDArray[np.bool_]
    rows: NDArray[np.int64]

    def __init__(self, verdicts: Any, view: str = "published") -> None:
        """Sort the rows of one view of schemas.VERDICTS."""
        import pyarrow as pa
        import pyarrow.compute as pc

        chosen = np.flatnonzero(
            pc.equal(verdicts["view"].cast(pa.string()), view).to_numpy(zero_copy_only=False)
        )
        signature = verdicts["signature"].to_numpy().astype(np.int64)[chosen]
        place = verdicts["place"].to_numpy().astype(np.int64)[chosen]
        start = verdicts["start"].to_numpy().astype(np.int64)[chosen]
        order = np.lexsort((start, place, signature))
        self.rows = chosen[order]
        self._start = start[order]
        self._end = verdicts["end"].to_numpy().astype(np.int64)[self.rows]
        self._status = _coded(verdicts["status"], self.rows, {s: n for n, s in enumerate(STATUSES)})
        self._reason = _coded(verdicts["reason"], self.rows, REASON_CODE)
        self._weak = _coded(verdicts["confidence"], self.rows, {"strong": 0, "weak": 1}) == 1
        self.later = verdicts["later"].to_numpy(zero_copy_only=False)[self.rows].astype(np.bool_)
        self._zone, self.zones = _numbered(verdicts["zone"], self.rows)
        packed = _packed(signature[order], place[order])
        self._group, first = np.unique(packed, return_index=True)
        self._bounds = np.append(first, len(packed)).astype(np.int64)
        most = int(np.diff(self._bounds).max(initial=1))
        self._longest = 1 << (most.bit_length() - 1) if most > 1 else 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def find(
        self,
        signature: NDArray[np.integer[Any]],
        place: NDArray[np.integer[Any]],
        time: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return the index row that holds for each sighting, -1 where none does.

        Args:
            signature: numbers as in schemas.SIGHTINGS; length N.
            place: likewise.
            time: ns; length N.
        """
        if not len(self._group) or not len(signature):
            return np.full(len(signature), -1, np.int64)
        number = signature.astype(np.int64)
        group = self._group_of(_packed(number, place.astype(np.int64)))
        other = np.flatnonzero(group < 0)
        group[other] = self._group_of(_packed(number[other], np.full(len(other), -1, np.int64)))
        known = group >= 0
        group[~known] = 0
        row = self._bounds[group]
        high = self._bounds[group + 1]
        # The last row of the group that starts at or before the time: halving steps, all at once.
        step = self._longest
        while step:
            further = row + step
            inside = np.minimum(further, len(self._start) - 1)
            row = np.where((further < high) & (self._start[inside] <= time), further, row)
            step >>= 1
        held = known & (self._start[row] <= time) & (time < self._end[row])
        return np.where(held, row, -1)

    def codes(
        self,
        signature: NDArray[np.integer[Any]],
        place: NDArray[np.integer[Any]],
        time: NDArray[np.int64],
    ) -> _Codes:
        """Return status, reason, weak and zone of each sighting.

        A sighting that no interval covers is indeterminate for no reason of its own (reason 0,
        zone -1): it was left out of what was judged, and never accuses.

        Args:
            signature: numbers as in schemas.SIGHTINGS; length N.
            place: likewise.
            time: ns; length N.

        Returns:
            status (vocabulary.Status), reason (index into vocabulary.REASONS), weak confidence,
            zone (index into `zones`); each of length N.
        """
        row = self.find(signature, place, time)
        held = row >= 0
        if not len(self.rows):
            count = len(row)
            return (
                np.full(count, Status.INDETERMINATE, np.uint8),
                np.zeros(count, np.uint8),
                np.zeros(count, np.bool_),
                np.full(count, -1, np.int32),
            )
        at = np.where(held, row, 0)
        return (
            np.where(held, self._status[at], Status.INDETERMINATE).astype(np.uint8),
            np.where(held, self._reason[at], 0).astype(np.uint8),
            held & self._weak[at],
            np.where(held, self._zone[at], -1).astype(np.int32),
        )

    def _group_of(self, packed: NDArray[np.uint64]) -> NDArray[np.int64]:
        at = np.minimum(np.searchsorted(self._group, packed), len(self._group) - 1)
        return np.where(self._group[at] == packed, at, -1).astype(np.int64)


def _packed(signature: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Join both numbers into one that sorts like the pair; place -1 becomes 0."""
    return signature.astype(np.uint64) << np.uint64(31) | (place + 1).astype(np.uint64)


def _encoded(column: Any) -> tuple[list[str], NDArray[np.int64]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    flat = column.cast(pa.string())
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.combine_chunks()
    coded = pc.dictionary_encode(flat)
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)


def _coded(column: Any, rows: NDArray[np.int64], code: dict[str, int]) -> NDArray[np.uint8]:
    """Turn a column of words of a closed list into their codes."""
    if not len(rows):
        return np.empty(0, np.uint8)
    words, index = _encoded(column)
    return np.array([code[word] for word in words], np.uint8)[index[rows]]


def _numbered(column: Any, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], list[str]]:
    """Number the distinct names of a column in their sorted order."""
    if not len(rows):
        return np.empty(0, np.int32), []
    words, index = _encoded(column)
    order = sorted(range(len(words)), key=words.__getitem__)
    place = np.empty(len(words), np.int32)
    place[order] = np.arange(len(words), dtype=np.int32)
    return place[index[rows]], [words[i] for i in order]
