"""Arrow arrays seen as numpy's, without a copy: what the kernels of `encodings` take."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_NO_OCTETS: Final = np.zeros(0, np.uint8)


class Rows(NamedTuple):
    """Which rows of a row group hold a value in some columns.

    Attributes:
        bits: uint8, the validity bitmap; empty: all rows do.
        positions: int32, of the rows that do, in the Arrow arrays.
        edges: int64, index in `positions` of each page's first value, and of the end.
    """

    bits: NDArray[np.uint8]
    positions: NDArray[np.int32]
    edges: NDArray[np.int64]


class Texts(NamedTuple):
    """A column of strings with codes, as arrays.

    Attributes:
        octets: uint8, the strings.
        offsets: int32, where each starts in them, and the last one ends.
        codes: int32, by row.
        strings: how many.
    """

    octets: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    codes: NDArray[np.int32]
    strings: int

    @classmethod
    def of(cls, array: Any) -> Texts:
        """Take the arrays out of an Arrow array with dictionary."""
        strings = array.dictionary
        _, offsets, octets = strings.buffers()
        where = strings.offset
        return cls(
            octets_of(octets),
            numbers_of(offsets)[where : where + len(strings) + 1],
            numbers_of(array.indices.buffers()[1]),
            len(strings),
        )

    def all(self) -> Texts:
        """The strings of the dictionary, each once."""
        return self._replace(codes=every_row(0, self.strings))


def frozen(array: Any) -> Any:
    """Make an array read-only, so that kernels meet one type whatever made the buffer."""
    array.flags.writeable = False
    return array


def octets_of(buffer: Any) -> NDArray[np.uint8]:
    """See an Arrow buffer as octets, none as no octets."""
    if buffer is None or not buffer.size:
        return frozen(_NO_OCTETS.view())  # type: ignore[no-any-return]
    return frozen(np.frombuffer(buffer, np.uint8))  # type: ignore[no-any-return]


def numbers_of(buffer: Any) -> NDArray[np.int32]:
    """See an Arrow buffer as int32; only what fills whole numbers counts."""
    octets = octets_of(buffer)
    return octets[: len(octets) // 4 * 4].view(np.int32)


def every_row(first: int, count: int) -> NDArray[np.int32]:
    """The positions of rows without nulls."""
    return frozen(np.arange(first, first + count, dtype=np.int32))  # type: ignore[no-any-return]
