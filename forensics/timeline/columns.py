"""Columns of Arrow batches as numpy arrays, whatever their encoding."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Coded(NamedTuple):
    """A text column of N rows: int64 codes into `values`, -1 for null, and the M values."""

    codes: NDArray[np.int64]
    values: Any

    def lookup(self, table: NDArray[Any], absent: Any) -> NDArray[Any]:
        """Give `table[code]` for each row, `absent` for null."""
        if not len(table):
            return np.full(len(self.codes), absent)
        return np.where(self.codes >= 0, table[np.maximum(self.codes, 0)], absent)


def single(column: Any) -> Any:
    """Give one Arrow array where a table's column may be in chunks."""
    import pyarrow as pa

    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def integers(column: Any, absent: int = 0) -> NDArray[np.int64]:
    """Give int64; times as ns; `absent` for null."""
    import pyarrow as pa

    column = single(column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns", tz=column.type.tz)).view(pa.int64())
    if column.null_count:
        column = column.cast(pa.int64()).fill_null(absent)
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)


def truths(column: Any) -> NDArray[np.bool_]:
    """Give booleans; null is false."""
    return np.asarray(single(column).fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)


def present(column: Any) -> NDArray[np.bool_]:
    """Tell which rows are not null."""
    return np.asarray(single(column).is_valid().to_numpy(zero_copy_only=False), dtype=bool)


def coded(column: Any) -> Coded:
    """Give a text column as codes and values."""
    import pyarrow as pa

    column = single(column)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return Coded(integers(column.indices, -1), column.dictionary)
