"""Where the frames of a seam come from: it is read as one capture, and is of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.archive.store import Store

FRAMES: Final = "frames.parquet"
"""File of a seam's part: the capture, as a number in the record's `of`, and the frame of each."""

COLUMNS: Final = ("frame", "query_frame", "response_frame")
"""Columns of long tables that hold frames."""


class Frames:
    """Where the frames of a seam come from; arrays with the entry of frame 1 first.

    Args:
        store: the dataset.
        name: of the file.
        captures: numbers among all of the captures that the seam is of.

    Attributes:
        capture: int64, number of the capture among all. frame: int64, number in it.
    """

    def __init__(self, store: Store, name: str, captures: Sequence[int]) -> None:
        import pyarrow.parquet as pq

        table = pq.read_table(store.open(name))
        self.capture = np.array(captures, np.int64)[table["of"].to_numpy()]
        self.frame = table["frame"].to_numpy()

    def translated(self, batch: Any) -> dict[str, Any]:
        """The columns of a batch that name captures and frames, as in those captures."""
        names = batch.schema.names
        changed = {}
        own = {name: batch.column(name) for name in COLUMNS if name in names}
        for name, column in own.items():
            changed[name] = self._taken(self.frame, column)
        if "response_capture" in names:
            changed["response_capture"] = self._taken(self.capture, own["response_frame"])
        if "capture" in names:
            first = own.get("frame")
            if first is None:
                first = _least(own["query_frame"], own["response_frame"])
            changed["capture"] = self._taken(self.capture, first)
        return {
            name: column.cast(batch.schema.field(name).type) for name, column in changed.items()
        }

    def _taken(self, values: NDArray[np.int64], column: Any) -> Any:
        import pyarrow as pa

        at = column.fill_null(1).to_numpy(zero_copy_only=False).astype(np.int64) - 1
        empty = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
        return pa.array(values[at], mask=empty)


def _least(left: Any, right: Any) -> Any:
    """The lesser of two columns, row by row; null only where both are."""
    import pyarrow.compute as pc

    return pc.min_element_wise(left, right)
