"""Arrow columns as numpy arrays, and the rows nearest to an instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.limits import EXPLAIN_AFTER, EXPLAIN_BEFORE, EXPLAIN_ROWS, EXPLAIN_SERVERS

Tables = Callable[[str], Iterator[Any]]
"""Gives the record batches of a table by its name, places folded."""


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


def nearest(
    where: NDArray[np.int64], time: NDArray[np.int64], number: NDArray[np.int64], at: int
) -> NDArray[np.int64]:
    """Return the transactions nearest to an instant, of each server.

    Args:
        where: int64 (N), the server of each row.
        time: int64 (N), ns.
        number: int64 (N), the transaction; one that comes again counts once.
        at: ns.

    Returns:
        int64: at most limits.EXPLAIN_BEFORE at or before `at` and EXPLAIN_AFTER after it, of
        limits.EXPLAIN_SERVERS servers, those seen nearest first: a flood of forged servers must
        not push the others out.
    """
    first = np.unique(number, return_index=True)[1]
    where, time, number = where[first], time[first], number[first]
    order = np.lexsort((number, time, where))
    where, time, number = where[order], time[order], number[order]
    if not len(where):
        return number
    starts = np.flatnonzero(np.r_[True, where[1:] != where[:-1]])
    ends = np.r_[starts[1:], len(where)]
    counted = np.r_[0, np.cumsum(time <= at)]
    split = starts + counted[ends] - counted[starts]
    far = np.iinfo(np.int64).max
    past = np.where(split > starts, at - time[np.maximum(split - 1, 0)], far)
    coming = np.where(split < ends, time[np.minimum(split, len(time) - 1)] - at, far)
    ranked = np.lexsort((where[starts], np.minimum(past, coming)))[:EXPLAIN_SERVERS]
    low = np.maximum(starts, split - EXPLAIN_BEFORE)[ranked]
    high = np.minimum(ends, split + EXPLAIN_AFTER)[ranked]
    return np.concatenate([number[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)])
