"""The long tables of many parts, read as the one table that a single run would have written.

Parts number their captures, transactions, signatures and places each from 0. An index of the state
says how these become the numbers of all parts together, and which rows the borders between files
have changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.archive.frames import COLUMNS, Frames
from forensics.archive.layout import INDEX, LONG
from forensics.archive.store import Store
from forensics.errors import UsageError
from forensics.jsontext import parsed
from forensics.vocabulary import SightingFlag

ROOT: Final = "root.txt"
"""File beside an index that was copied from elsewhere: where the dataset lies."""

_UNPAIRED: Final = int(SightingFlag.UNPAIRED)
_KNOWN: Final = int(SightingFlag.DO_KNOWN)
_DO: Final = int(SightingFlag.DO)
_EMPTY: Final = np.empty(0, np.int64)

Span = tuple[int | None, int | None]
"""ns since 1970: [from, to), None: open."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a border changed of the responses of one part, by ascending number of `transaction`.

    Attributes:
        transaction: int64, the part's own number of the response's row.
        to: int64, number in all of the row that it belongs to now.
        paired: bool, it answers a query. do: bool, that had DO.
    """

    transaction: NDArray[np.int64]
    to: NDArray[np.int64]
    paired: NDArray[np.bool_]
    do: NDArray[np.bool_]


class View:
    """The long tables of a state.

    Args:
        folder: of the state, with `INDEX`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held_frames: dict[int, Frames] = {}
        self._parts = _parts(folder)
        mark = folder / ROOT
        root = mark.read_text(encoding="utf-8") if mark.exists() else str(folder.parent.parent)
        self._store = Store(root)

    def batches(
        self, name: str, columns: list[str] | None = None, span: Span = (None, None)
    ) -> Iterator[Any]:
        """Give a long table in batches of about `limits.BATCH_ROWS` rows, in order of its parts.

        Args:
            name: one of `layout.LONG`.
            columns: some of its schema; None: all.
            span: row groups that hold nothing of it are not read.
        """
        held: list[Any] = []
        rows = 0
        for batch in self._pieces(name, columns, span):
            held.append(batch)
            rows += batch.num_rows
            if rows >= limits.BATCH_ROWS // 2:
                yield from _joined(held)
                held, rows = [], 0
        if held:
            yield from _joined(held)

    def _pieces(self, name: str, columns: list[str] | None, span: Span) -> Iterator[Any]:
        """Give what each part has, and its own rows of the stitches."""
        for rank, part in enumerate(self._parts):
            if not _overlaps(part, span):
                continue
            for file in part["files"].get(name, ()):
                yield from self._read(name, file, rank, columns, span)
            if name == "transactions":
                stitched = self._stitched(rank, columns, span)
                if stitched.num_rows:
                    yield from stitched.to_batches()
            if name == "unsigned":
                yield from self._aside(rank, columns)

    def _read(
        self, name: str, file: str, rank: int, columns: list[str] | None, span: Span
    ) -> Iterator[Any]:
        import pyarrow.parquet as pq

        wanted = columns
        if columns is not None:
            needed = ["transaction"]
            if "frames" in self._parts[rank] and {"capture", "response_capture"} & set(columns):
                needed += COLUMNS[1:] if name == "transactions" else COLUMNS[:1]
            wanted = [*columns, *(extra for extra in needed if extra not in columns)]
        with pq.ParquetFile(self._store.open(file)) as opened:
            at = opened.schema_arrow.get_field_index("time")
            for group in range(opened.num_row_groups):
                found = opened.metadata.row_group(group).column(at).statistics
                if found is not None and not within(found.min_raw, found.max_raw, span):
                    continue
                table = opened.read_row_group(group, columns=wanted).unify_dictionaries()
                for batch in table.combine_chunks().to_batches():
                    made = self._numbered(name, batch, rank)
                    if made.num_rows:
                        yield made if columns is None else made.select(columns)

    def _numbered(self, name: str, batch: Any, rank: int) -> Any:
        """Give a part's rows the numbers of all."""
        import pyarrow as pa

        own = batch.column("transaction").to_numpy(zero_copy_only=False).astype(np.int64)
        numbers = own + self._parts[rank]["base"]
        flags = None
        if name == "transactions":
            gone = self._superseded(rank)
            if len(gone):
                keep = ~np.isin(own, gone)
                if not keep.all():
                    batch, numbers = batch.filter(pa.array(keep)), numbers[keep]
        else:
            moved = self._moved.get(rank)
            if moved is not None:
                numbers, flags = _follow(batch, own, numbers, moved)
        changed = {"transaction": pa.array(numbers.astype(np.uint64))}
        names = batch.schema.names
        if "continues" in names:
            changed["continues"] = self._continued(batch, rank)
        if flags is not None:
            changed["flags"] = pa.array(flags, pa.uint16())
        captures = self._parts[rank].get("captures", [rank])
        if "frames" in self._parts[rank]:
            changed |= self._frames(rank).translated(batch)
        else:
            for column in ("capture", "response_capture"):
                if column in names:
                    changed[column] = _constant(batch.column(column), captures[0])
        if "signature" in names:
            changed["signature"] = self._translated(batch, "signature", rank)
        if "place" in names:
            changed["place"] = self._translated(batch, "place", rank)
        return pa.RecordBatch.from_arrays(
            [changed.get(column, batch.column(column)) for column in names], schema=batch.schema
        )

    def _translated(self, batch: Any, column: str, rank: int) -> Any:
        import pyarrow as pa

        numbers = self._numbers(rank)[column]
        return pa.array(numbers[batch.column(column).to_numpy(zero_copy_only=False)])

    def _numbers(self, rank: int) -> dict[str, NDArray[np.uint32]]:
        """The numbers in all of a part's signatures and places, by its own."""
        if self._held_rank != rank:
            row = self._numbering.read_row_group(rank)
            self._held = {
                name: row[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                for name in ("signature", "place")
            }
            self._held_rank = rank
        return self._held

    _held_rank = -1

    def _frames(self, rank: int) -> Frames:
        """Where the frames of a seam come from."""
        if rank not in self._held_frames:
            part = self._parts[rank]
            self._held_frames = {rank: Frames(self._store, part["frames"], part["captures"])}
        return self._held_frames[rank]

    @cached_property
    def _numbering(self) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self._folder / "numbers.parquet")

    def _changes(self, name: str) -> Any:
        import pyarrow.parquet as pq

        return pq.read_table(self._folder / f"{name}.parquet")

    def _continued(self, batch: Any, rank: int) -> Any:
        """The column `continues` with the numbers of all, and what the borders changed of it."""
        import pyarrow as pa

        column = batch.column("continues")
        before = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        empty = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
        values = before + self._parts[rank]["base"]
        changed = self._chained.get(rank)
        if changed is not None:
            own = batch.column("transaction").to_numpy(zero_copy_only=False).astype(np.int64)
            mine, others = changed
            at = np.minimum(np.searchsorted(mine, own), len(mine) - 1)
            hit = mine[at] == own
            values = np.where(hit, others[at], values)
            empty = np.where(hit, others[at] < 0, empty)
        return pa.array(values.astype(np.uint64), mask=empty)

    @cached_property
    def _chained(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """By rank: own numbers of rows whose `continues` a border changed, and what it is now."""
        if not (self._folder / "chained.parquet").exists():
            return {}
        table = self._changes("chained")
        mine, others = _by_rank(table, "transaction"), _by_rank(table, "continues")
        return {rank: (mine[rank], others[rank]) for rank in mine}

    @cached_property
    def _gone(self) -> dict[int, NDArray[np.int64]]:
        table = self._changes("superseded")
        return _by_rank(table, "transaction")

    def _superseded(self, rank: int) -> NDArray[np.int64]:
        return self._gone.get(rank, _EMPTY)

    @cached_property
    def _moved(self) -> dict[int, Moved]:
        table = self._changes("moved")
        ranks = table["rank"].to_numpy()
        columns = {name: table[name].to_numpy() for name in ("transaction", "to", "paired", "do")}
        found = {}
        for rank in np.unique(ranks).tolist():
            chosen = ranks == rank
            found[rank] = Moved(**{name: column[chosen] for name, column in columns.items()})
        return found

    @cached_property
    def _all_stitched(self) -> tuple[Any, NDArray[np.int64]]:
        table = self._changes("stitched")
        return table, table["rank"].to_numpy()

    def _stitched(self, rank: int, columns: list[str] | None, span: Span) -> Any:
        """The rows that the borders made of a part's first messages."""
        import pyarrow as pa

        table, ranks = self._all_stitched
        begin, end = np.searchsorted(ranks, [rank, rank + 1]).tolist()
        rows = table.slice(begin, end - begin).drop_columns(["rank"])
        if span != (None, None) and rows.num_rows:
            time = rows["time"].cast(pa.int64()).to_numpy()
            rows = rows.filter(pa.array([within(at, at, span) for at in time.tolist()], pa.bool_()))
        if columns is not None:
            rows = rows.select(columns)
        return rows.combine_chunks()

    def _aside(self, rank: int, columns: list[str] | None) -> Iterator[Any]:
        """The unsigned RRsets of responses of which a border told that they were asked with DO."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        moved = self._moved.get(rank)
        if moved is None or not (moved.paired & moved.do).any():
            return
        table = pq.read_table(self._store.open(f"parts/{self._parts[rank]['part']}/aside.parquet"))
        own = table["transaction"].to_numpy().astype(np.int64)
        keep = np.isin(own, moved.transaction[moved.paired & moved.do])
        for batch in table.filter(pa.array(keep)).combine_chunks().to_batches():
            made = self._numbered("unsigned", batch, rank)
            yield made if columns is None else made.select(columns)


def is_state(folder: Path) -> bool:
    """Whether a folder of tables is the state of a dataset of parts."""
    return (folder / INDEX).is_file()


def _parts(folder: Path) -> Any:
    """The parts of a state.

    Raises:
        UsageError: its index is damaged.
    """
    try:
        return parsed((folder / INDEX).read_bytes())["parts"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{folder / INDEX}: damaged; ingest the captures anew") from None


def side_by_side(folder: Path) -> int:
    """Captures of a state that begin before an earlier one has ended; 0 of other folders."""
    if not is_state(folder):
        return 0
    parts = _parts(folder)
    spans = sorted(
        (one["first"], one["last"])
        for one in parts
        if "frames" not in one and one["first"] is not None
    )
    found = 0
    latest = None
    for first, last in spans:
        if latest is not None and first < latest - limits.SENSOR_SLACK:
            found += 1
        latest = last if latest is None else max(latest, last)
    return found


def has(folder: Path, name: str) -> bool:
    """Whether a folder of tables has this one, in whatever form."""
    return (folder / f"{name}.parquet").is_file() or (name in LONG and is_state(folder))


def within(least: int, most: int, span: Span) -> bool:
    """Whether [least, most] and the span [from, to) have an instant in common."""
    start, end = span
    return (start is None or most >= start) and (end is None or least < end)


def _overlaps(part: dict[str, Any], span: Span) -> bool:
    if part["first"] is None:
        return span == (None, None)
    return within(part["first"], part["last"], span)


def _follow(
    batch: Any, own: NDArray[np.int64], numbers: NDArray[np.int64], moved: Moved
) -> tuple[NDArray[np.int64], NDArray[np.uint16] | None]:
    """Let rows follow the responses that a border has given to another transaction."""
    at = np.minimum(np.searchsorted(moved.transaction, own), len(moved.transaction) - 1)
    hit = moved.transaction[at] == own
    if not hit.any():
        return numbers, None
    numbers = np.where(hit, moved.to[at], numbers)
    if "flags" not in batch.schema.names:
        return numbers, None
    flags = batch.column("flags").to_numpy(zero_copy_only=False).astype(np.int64)
    asked = np.where(moved.do[at], _KNOWN | _DO, _KNOWN)
    told = np.where(moved.paired[at], (flags & ~(_UNPAIRED | _DO)) | asked, flags)
    return numbers, np.where(hit, told, flags).astype(np.uint16)


def _constant(column: Any, number: int) -> Any:
    """A column of one number where the old one has a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pa.array(np.full(len(column), number, np.uint16))
    if not column.null_count:
        return filled
    return pc.if_else(column.is_valid(), filled, pa.scalar(None, pa.uint16()))


def _by_rank(table: Any, column: str) -> dict[int, NDArray[np.int64]]:
    ranks = table["rank"].to_numpy()
    values = table[column].to_numpy().astype(np.int64)
    return {rank: values[ranks == rank] for rank in np.unique(ranks).tolist()}


def _joined(batches: list[Any]) -> Iterator[Any]:
    """One batch out of several."""
    import pyarrow as pa

    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    yield from table.to_batches()


def write_changes(
    folder: Path,
    parts: list[str],
    stitched: Any,
    superseded: NDArray[np.int64],
    moved: NDArray[np.int64],
) -> None:
    """Write what the borders change into a state's folder, in an order of its own.

    Args:
        folder: of the state.
        parts: ids by rank.
        stitched: a table of schemas.TRANSACTIONS, numbered among all parts, with the `rank` of one.
        superseded: int64[n, 2]: rank of the part and its own number of rows that these replace.
        moved: int64[n, 5]: of responses rank, own number, number among all, whether it answers a
            query, whether that had DO.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = _encoded(stitched.sort_by([("rank", "ascending"), ("transaction", "ascending")]))
    gone = superseded[np.lexsort(superseded.T[::-1])]
    followed = moved[np.lexsort(moved.T[::-1])]
    # The dataset's own files name a part by its id: whoever reads them elsewhere joins by that.
    ids = pa.array([parts[rank] for rank in gone[:, 0].tolist()], pa.string())
    names = ("rank", "transaction", "to", "paired", "do")
    columns = {name: pa.array(followed[:, at]) for at, name in enumerate(names)}
    for name in ("paired", "do"):
        columns[name] = columns[name].cast(pa.bool_())
    tables = {
        "stitched": rows,
        "superseded": pa.table(
            {"rank": pa.array(gone[:, 0]), "transaction": pa.array(gone[:, 1]), "part": ids}
        ),
        "moved": pa.table(columns),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")


def _encoded(table: Any) -> Any:
    """A table whose dictionaries are in the order of its rows, however they came together."""
    import pyarrow as pa

    columns = []
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_dictionary(field.type):
            plain = column.cast(field.type.value_type).combine_chunks()
            column = plain.dictionary_encode().cast(field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=table.schema).combine_chunks()
