"""Writes the long tables as Parquet: flat columns, whose values our own kernels encode.

Arrow's writer spends some 370 ns on a row of transactions: it
goes through the levels, the values and the nulls of each of 38 columns one by one. Here columns
that share a bitmap share what was found out about it, and all takes half as long. What
is written is plain Parquet (format 2.11): data pages of version 1, one row group a call.

Source: parquet-format, `parquet.thrift` and Encodings.md.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forensics.archive import encodings
from forensics.archive.choices import Choice
from forensics.archive.thrift import (
    Value,
    binary,
    byte,
    flag,
    i16,
    i32,
    i64,
    listed,
    struct,
)
from forensics.archive.views import Rows, Texts, every_row, frozen, octets_of

PAGE_ROWS: Final = 2**16
"""Rows of a data page: what is written, compressed and read at once stays near the core. A
multiple of eight, so that a page begins at an octet of the bitmaps."""

_MAGIC: Final = b"PAR1"
_WRITER: Final = "dns-forensics"
_NO_STRING: Final = "a string is not in its dictionary"
_BUFFERED: Final = 2**20

_BOOLEAN, _INT32, _INT64, _BYTE_ARRAY = 0, 1, 2, 6
_PLAIN, _RLE, _DELTA, _DICTIONARY, _SPLIT = 0, 3, 5, 8, 9
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_REQUIRED, _OPTIONAL = 0, 1
_CODECS: Final = {"zstd": 6, "lz4_raw": 7}
_CONVERTED: Final = {
    pa.uint8(): 11,
    pa.uint16(): 12,
    pa.uint32(): 13,
    pa.uint64(): 14,
}
_TIME: Final = pa.timestamp("ns", tz="UTC")
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())


class _Column(NamedTuple):
    """A column as it is stored."""

    name: str
    kind: Any
    optional: bool
    physical: int
    width: int
    stored: int
    encoding: int
    codec: str
    pruned: bool

    @classmethod
    def of(cls, field: Any, choice: Choice) -> _Column:
        """Say how a field of a schema is stored.

        Raises:
            TypeError: this writer has no use for its type.
        """
        kind = field.type
        width = stored = 0
        if kind == pa.bool_():
            physical, encoding = _BOOLEAN, _PLAIN
        elif kind == _TEXT:
            physical, encoding = _BYTE_ARRAY, _PLAIN if choice.plain else _DICTIONARY
        elif kind in _CONVERTED or kind in (pa.int64(), _TIME):
            width = kind.bit_width // 8
            stored = max(width, 4)
            physical = _INT64 if stored == 8 else _INT32
            encoding = _DELTA if choice.running and width >= 4 else _SPLIT
        else:
            msg = f"column {field.name}: {kind} is not written here"
            raise TypeError(msg)
        codec = "zstd" if choice.zstd else "lz4_raw"
        return cls(
            field.name,
            kind,
            field.nullable,
            physical,
            width,
            stored,
            encoding,
            codec,
            choice.pruned,
        )

    def element(self) -> Value:
        """Describe the column for the footer's schema."""
        logical = None
        converted = _CONVERTED.get(self.kind)
        if converted is not None:
            logical = struct({10: struct({1: byte(8 * self.width), 2: flag(False)})})
        elif self.kind == _TIME:
            logical = struct({8: struct({1: flag(True), 2: struct({3: struct({})})})})
        elif self.physical == _BYTE_ARRAY:
            converted = 0
            logical = struct({1: struct({})})
        return struct(
            {
                1: i32(self.physical),
                3: i32(_OPTIONAL if self.optional else _REQUIRED),
                4: binary(self.name),
                6: None if converted is None else i32(converted),
                10: logical,
            }
        )


class ParquetFile:
    """A Parquet file being written, a row group a call.

    Args:
        path: where it goes.
        schema: flat columns of unsigned integers, int64, UTC times in ns, booleans, and strings
            with int32 codes.
        choices: how columns are written, by name.
    """

    def __init__(self, path: Path, schema: Any, choices: Mapping[str, Choice]) -> None:
        self._schema = schema
        self._columns = [_Column.of(field, choices.get(field.name, Choice())) for field in schema]
        self._codecs = {
            "zstd": pa.Codec("zstd", compression_level=1),
            "lz4_raw": pa.Codec("lz4_raw"),
        }
        self._groups: list[Value] = []
        self._count = 0
        self._room = np.empty(2**20, np.uint8)
        # positions by bitmap, used again for each row group, which saves the pages
        self._lists: list[NDArray[np.int32]] = []
        self._scratch = np.zeros(encodings.DELTA_SCRATCH, np.int64)
        self._file: BinaryIO = path.open("wb", buffering=_BUFFERED)
        self._at = 0
        self._put(_MAGIC)

    def write(self, rows: Any) -> None:
        """Append a record batch as a row group.

        Raises:
            ValueError: the batch is of another schema, a column that may not has nulls, or a
                string's code is not in its dictionary.
        """
        if not rows.schema.equals(self._schema):
            msg = "the rows are of another schema"
            raise ValueError(msg)
        count = rows.num_rows
        begin = self._at
        known: dict[tuple[int, int], Rows] = {}
        chunks = []
        octets = 0
        for column, array in zip(self._columns, rows.columns, strict=True):
            held = self._held_rows(array, count, known)
            if len(held.bits) and not column.optional:
                msg = f"column {column.name} has nulls"
                raise ValueError(msg)
            chunk, size = self._chunk(column, array, held, count)
            chunks.append(chunk)
            octets += size
        self._groups.append(
            struct(
                {
                    1: listed(chunks),
                    2: i64(octets),
                    3: i64(count),
                    5: i64(begin),
                    6: i64(self._at - begin),
                    7: i16(len(self._groups)),
                }
            )
        )
        self._count += count

    def close(self) -> None:
        """Write the footer and close the file."""
        root = struct({4: binary("schema"), 5: i32(len(self._columns))})
        entries = {key.decode(): held.decode() for key, held in self._schema.metadata.items()}
        # what Arrow needs to give back the very types, dictionaries among them
        entries["ARROW:schema"] = base64.b64encode(self._schema.serialize()).decode()
        footer = struct(
            {
                1: i32(2),
                2: listed([root, *(column.element() for column in self._columns)]),
                3: i64(self._count),
                4: listed(self._groups),
                5: listed(
                    struct({1: binary(key), 2: binary(held)}) for key, held in entries.items()
                ),
                6: binary(_WRITER),
                7: listed(struct({1: struct({})}) for _ in self._columns),
            }
        ).octets
        self._put(footer)
        self._put(len(footer).to_bytes(4, "little"))
        self._put(_MAGIC)
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, without a footer."""
        self._file.close()

    def _put(self, octets: Any) -> None:
        """Write octets, and count them."""
        self._at += self._file.write(octets)

    def _held_rows(self, array: Any, count: int, known: dict[tuple[int, int], Rows]) -> Rows:
        """Find the rows that hold a value; columns that share a bitmap share the answer."""
        buffer = array.buffers()[0] if array.null_count else None
        key = (buffer.address if buffer is not None else 0, array.offset)
        if key in known:
            return known[key]
        edges = np.arange(0, count + PAGE_ROWS, PAGE_ROWS).clip(max=count)
        bits = octets_of(buffer)
        if len(bits):
            while len(self._lists) <= len(known):
                self._lists.append(np.empty(0, np.int32))
            if len(self._lists[len(known)]) <= count:
                self._lists[len(known)] = np.empty(count * 5 // 4 + 1, np.int32)
            positions = self._lists[len(known)]
            found = encodings.known_rows(bits, array.offset, count, positions)
            positions = frozen(positions[:found])
            edges = np.searchsorted(positions, (array.offset + edges).astype(np.int32))
        else:
            positions = every_row(array.offset, count)
        known[key] = Rows(bits, positions, edges.astype(np.int64))
        return known[key]

    def _chunk(self, column: _Column, array: Any, held: Rows, count: int) -> tuple[Value, int]:
        """Write a column chunk; give its description and its octets before compression."""
        begin = self._at
        dictionary = None
        size = 0
        used = [_RLE]
        texts = Texts.of(array) if column.physical == _BYTE_ARRAY else None
        encoding = column.encoding
        if encoding == _DICTIONARY and texts is not None:
            if texts.strings:
                dictionary = self._at
                end = self._write_texts(
                    texts.all(), every_row(0, texts.strings), 0, texts.strings, 0
                )
                page = struct({1: i32(texts.strings), 2: i32(_PLAIN), 3: flag(False)})
                size += self._page(_DICTIONARY_PAGE, {7: page}, end, column.codec)
                used.append(_PLAIN)
            else:
                encoding = _PLAIN  # all nulls
        used.append(encoding)
        pages = self._at
        for number, first in enumerate(range(0, count, PAGE_ROWS)):
            last = min(first + PAGE_ROWS, count)
            low, high = int(held.edges[number]), int(held.edges[number + 1])
            self._make_room(8 * (last - first) + 8 * encodings.DELTA_SCRATCH)
            end = 0
            if column.optional:
                where = array.offset
                end = encodings.levels(
                    held.bits, where + first, where + last, high - low, self._room, 0
                )
            end = self._values(column, encoding, array, texts, held.positions, low, high, end)
            page = struct({1: i32(last - first), 2: i32(encoding), 3: i32(_RLE), 4: i32(_RLE)})
            size += self._page(_DATA_PAGE, {5: page}, end, column.codec)
        description = struct(
            {
                1: i32(column.physical),
                2: listed(i32(number) for number in sorted(set(used))),
                3: listed([binary(column.name)]),
                4: i32(_CODECS[column.codec]),
                5: i64(count),
                6: i64(size),
                7: i64(self._at - begin),
                9: i64(pages),
                11: None if dictionary is None else i64(dictionary),
                12: _statistics(column, array) if column.pruned and count else None,
            }
        )
        return struct({2: i64(begin), 3: description}), size

    def _page(self, kind: int, header: dict[int, Value], end: int, codec: str) -> int:
        """Compress and write the page in the room; give its octets before compression."""
        packed = self._codecs[codec].compress(memoryview(self._room[:end].data))
        head = struct({1: i32(kind), 2: i32(end), 3: i32(packed.size), **header}).octets
        self._put(head)
        self._put(packed)
        return len(head) + end

    def _make_room(self, octets: int) -> None:
        """Have room for a page of so many octets; what was in it is kept."""
        wanted = octets + encodings.SLACK
        if len(self._room) < wanted:
            room = np.empty(wanted * 5 // 4, np.uint8)
            room[: len(self._room)] = self._room
            self._room = room

    def _values(
        self,
        column: _Column,
        encoding: int,
        array: Any,
        texts: Texts | None,
        positions: NDArray[np.int32],
        low: int,
        high: int,
        at: int,
    ) -> int:
        """Write the values at positions [low, high) into the room from `at`; give the end."""
        if texts is not None:
            if encoding == _PLAIN:
                return self._write_texts(texts, positions, low, high, at)
            end = int(
                encodings.codes(texts.codes, texts.strings, positions, low, high, self._room, at)
            )
            if end < 0:
                raise ValueError(_NO_STRING)
            return end
        values = octets_of(array.buffers()[1])
        if column.physical == _BOOLEAN:
            return int(encodings.bits_of(values, positions, low, high, self._room, at))
        if encoding == _DELTA:
            return int(
                encodings.deltas(
                    values,
                    column.width,
                    column.stored,
                    positions,
                    low,
                    high,
                    self._scratch,
                    self._room,
                    at,
                )
            )
        return int(
            encodings.split(
                values, column.width, column.stored, positions, low, high, self._room, at
            )
        )

    def _write_texts(
        self, texts: Texts, positions: NDArray[np.int32], low: int, high: int, at: int
    ) -> int:
        """Write strings into the room from `at`; give the end."""
        octets = encodings.texts_octets(texts.offsets, texts.codes, positions, low, high)
        if octets < 0:
            raise ValueError(_NO_STRING)
        self._make_room(at + octets + 4 * (high - low))
        return int(
            encodings.texts(
                texts.octets, texts.offsets, texts.codes, positions, low, high, self._room, at
            )
        )


def _statistics(column: _Column, array: Any) -> Value:
    """Give the least and the greatest value of a column of numbers without nulls."""
    values = octets_of(array.buffers()[1])
    kind = f"{'i' if column.kind in (pa.int64(), _TIME) else 'u'}{column.width}"
    numbers = values[: len(values) // column.width * column.width].view(kind)
    numbers = numbers[array.offset : array.offset + len(array)]
    ends = [
        int(end).to_bytes(8, "little", signed=int(end) < 0)[: column.stored]
        for end in (numbers.max(), numbers.min())
    ]
    return struct({3: i64(0), 5: binary(ends[0]), 6: binary(ends[1])})
