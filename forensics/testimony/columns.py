"""Columns of the transactions as arrays, and which of them are answers to clients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary


def words(column: Any) -> tuple[NDArray[np.int64], list[str | None]]:
    """Give a text column as codes (-1: null) and values."""
    import pyarrow as pa

    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return ints(coded.indices, -1), coded.dictionary.to_pylist()


def ints(column: Any, absent: int = 0) -> NDArray[np.int64]:
    """Give int64; times as ns; `absent` for null."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns", tz=column.type.tz)).view(pa.int64())
    if column.null_count:
        column = column.cast(pa.int64()).fill_null(absent)
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)


def flags(column: Any) -> NDArray[np.bool_]:
    """Give booleans; null is false."""
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)


def to_clients(batch: Any) -> Any:
    """Choose responses to clients, each lookup once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.and_(
        pc.and_(
            pc.equal(batch["vantage"].cast(pa.string()), vocabulary.VANTAGES[1]),
            pc.is_valid(batch["response_frame"]),
        ),
        pc.is_in(
            batch["pairing"].cast(pa.string()),
            value_set=pa.array(["answered", "late", "unsolicited"]),
        ),
    )
