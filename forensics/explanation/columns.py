"""Arrow columns as numpy arrays, and the rows nearest to an instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.limits import EXPLAIN_AFTER, EXPLAIN_BEFORE, EXPLAIN_ROWS, EXPLAIN_SERVERS

Tables = Callable[[str], Iterator[Any]]
"""Gives the record batches of a table by its name, places folded."""


_FAR: Final = 2**63 - 1
"""ns; farther from an instant than anything."""


class Kept:
    """Gives a table's batches, from memory where it has at most limits.EXPLAIN_ROWS rows.

    Args:
        tables: reads them from disk.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._kept: dict[str, list[Any]] = {}

    def __call__(self, name: str) -> Iterator[Any]:
        """Give the batches of a table, in order."""
        if name in self._kept:
            yield from self._kept[name]
            return
        held: list[Any] = []
        rows = 0
        for batch in self._tables(name):
            rows += batch.num_rows
            held = [*held, batch] if rows <= EXPLAIN_ROWS else []
            yield batch
        if rows <= EXPLAIN_ROWS:
            self._kept[name] = held


def joined(batches: Iterable[Any], columns: list[str] | None = None) -> Any:
    """Join batches to one table, of some columns if given; None where there are none."""
    import pyarrow as pa

    held = [batch.select(columns) if columns else batch for batch in batches]
    return pa.Table.from_batches(held).combine_chunks() if held else None


def numbers(batch: Any, name: str) -> NDArray[np.int64]:
    """Return a column of numbers or times as int64, null as 0."""
    import pyarrow as pa

    column = batch.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: NDArray[np.int64] = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return values


def is_in_text(column: Any, wanted: Iterable[str]) -> NDArray[np.bool_]:
    """Whether each text of a column is one of the wanted; null is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(sorted(wanted), pa.string())
    if pa.types.is_dictionary(column.type):
        hits = pc.is_in(column.dictionary, value_set=texts)
        column = hits.take(column.indices) if len(column.dictionary) else pa.nulls(len(column))
    else:
        column = pc.is_in(column, value_set=texts)
    found: NDArray[np.bool_] = (
        column.cast(pa.bool_()).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return found


def masked(batch: Any, mask: NDArray[np.bool_]) -> Any:
    """Return the rows of a batch where the mask is set."""
    import pyarrow as pa

    return batch.filter(pa.array(mask))


@dataclass(frozen=True)
class Ordered:
    """Transactions of each server in order of time: put in order once, asked at many instants.

    Arrays of length N; the last two of one entry a server.

    Attributes:
        where: int64, the server of each row.
        time: int64, ns.
        number: int64, the transaction; each once.
        starts, ends: int64, the rows of each server.
    """

    where: NDArray[np.int64]
    time: NDArray[np.int64]
    number: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(
        cls, where: NDArray[np.int64], time: NDArray[np.int64], number: NDArray[np.int64]
    ) -> Ordered:
        """Put rows in order: server, ns and transaction of each; one that comes again counts once.

        Each array is int64 (N).
        """
        first = np.unique(number, return_index=True)[1]
        where, time, number = where[first], time[first], number[first]
        order = np.lexsort((number, time, where))
        where, time, number = where[order], time[order], number[order]
        is_first = np.ones(len(where), bool)
        is_first[1:] = where[1:] != where[:-1]
        starts = np.flatnonzero(is_first)
        return cls(where, time, number, starts, np.append(starts, len(where))[1:])

    def nearest(self, at: int) -> NDArray[np.int64]:
        """Return the transactions nearest to an instant (ns), of each server.

        Returns:
            int64: at most limits.EXPLAIN_BEFORE at or before `at` and EXPLAIN_AFTER after it, of
            limits.EXPLAIN_SERVERS servers, those seen nearest first: a flood of forged servers
            must not push the others out.
        """
        time, number, starts, ends = self.time, self.number, self.starts, self.ends
        if not len(number):
            return number
        split = starts + np.add.reduceat(time <= at, starts, dtype=np.int64)
        past = np.where(split > starts, at - time[np.maximum(split - 1, 0)], _FAR)
        coming = np.where(split < ends, time[np.minimum(split, len(time) - 1)] - at, _FAR)
        ranked = np.lexsort((self.where[starts], np.minimum(past, coming)))[:EXPLAIN_SERVERS]
        low = np.maximum(starts, split - EXPLAIN_BEFORE)[ranked]
        high = np.minimum(ends, split + EXPLAIN_AFTER)[ranked]
        rows = zip(low.tolist(), high.tolist(), strict=True)
        return np.concatenate([number[a:b] for a, b in rows])
