"""Tables on disk: Parquet files `<name>.parquet` in one folder, written whole or not at all.

Bytes depend on the rows alone: no time, host or library version of the day is written but the
writer's fixed name. Encodings are chosen by measurement, column by column (see `choices`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from forensics import limits, schemas
from forensics.archive.choices import CHOICES
from forensics.archive.layout import LONG
from forensics.archive.view import Span, View, is_state, within

_SCHEMAS: Final = dict(schemas.TABLES)


class TableWriter:
    """Writes one table, a row group a call; the file appears under its name when closed whole.

    Args:
        folder: where tables live; made if missing.
        name: one of `schemas.TABLES`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._path = folder / f"{name}.parquet"
        self._part = folder / f".{name}.parquet.part"
        self._is_long = name in CHOICES
        self._writer: Any
        if self._is_long:
            from forensics.archive.parquet import ParquetFile

            self._writer = ParquetFile(self._part, _SCHEMAS[name], CHOICES[name])
        else:
            self._writer = _arrow_writer(self._part, _SCHEMAS[name])

    def write(self, rows: Any) -> None:
        """Append a table or a record batch as one row group (of at most `limits.BATCH_ROWS`)."""
        import pyarrow as pa

        if rows.num_rows == 0:
            return
        if self._is_long:
            if isinstance(rows, pa.Table):
                (rows,) = rows.unify_dictionaries().combine_chunks().to_batches()
            self._writer.write(rows)
        else:
            if isinstance(rows, pa.RecordBatch):
                rows = pa.Table.from_batches([rows])
            self._writer.write_table(rows, row_group_size=rows.num_rows)
        self.rows += rows.num_rows

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._writer.close()
        self._part.replace(self._path)

    def abandon(self) -> None:
        """Drop what was written."""
        self._writer.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def _arrow_writer(path: Path, schema: Any) -> Any:
    """Open a Parquet file for Arrow's own writer."""
    import pyarrow.parquet as pq

    flat = [field.name for field in schema if not _is_nested_or_binary(field.type)]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in flat if str(schema.field(name).type) != "bool"],
        write_page_checksum=False,
        store_schema=True,
    )


def _is_nested_or_binary(kind: Any) -> bool:
    """Whether a dictionary page would hardly ever repeat a value of this type."""
    import pyarrow as pa

    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind))


def write_table(folder: Path, name: str, table: Any) -> None:
    """Write a whole table of `schemas.TABLES`; an older file of that name is replaced at once."""
    with TableWriter(folder, name) as writer:
        for start in range(0, table.num_rows, limits.BATCH_ROWS):
            writer.write(table.slice(start, limits.BATCH_ROWS))


def read_table(folder: Path, name: str, columns: list[str] | None = None) -> Any:
    """Read a table whole, places folded (see `folded`).

    The folder may be the state of a dataset of parts (`view`), here and in `iter_batches`.

    Raises:
        FileNotFoundError: the folder has no such table.
    """
    import pyarrow as pa

    batches = list(iter_batches(folder, name, columns))
    if batches:
        return pa.Table.from_batches(batches)
    chosen = _SCHEMAS[name]
    if columns is not None:
        chosen = pa.schema([chosen.field(column) for column in columns], chosen.metadata)
    return chosen.empty_table()


def iter_batches(
    folder: Path, name: str, columns: list[str] | None = None, span: Span = (None, None)
) -> Iterator[Any]:
    """Read a table row group by row group, as record batches, places folded.

    Row groups of a long table that have nothing in the `span` of times are passed over; what else
    lies outside is for the caller to leave out.

    Raises:
        FileNotFoundError: the folder has no such table.
    """
    import pyarrow.parquet as pq

    map_ = _place_map(folder) if name in ("sightings", "unsigned", "keys") else None
    if name in LONG and is_state(folder):
        for batch in View(folder).batches(name, columns, span):
            yield folded(batch, map_)
        return
    with pq.ParquetFile(folder / f"{name}.parquet") as file:
        at = file.schema_arrow.get_field_index("time") if name in LONG else -1
        for group in range(file.num_row_groups):
            told = file.metadata.row_group(group).column(at).statistics if at >= 0 else None
            if told is not None and not within(told.min_raw, told.max_raw, span):
                continue
            table = file.read_row_group(group, columns=columns).unify_dictionaries()
            for batch in table.combine_chunks().to_batches():
                yield folded(batch, map_)


def _place_map(folder: Path) -> Any:
    """The `fold` column of the folder's places, None where nothing is folded."""
    import pyarrow.parquet as pq

    path = folder / "places.parquet"
    if not path.exists():
        return None
    places = pq.read_table(path, columns=["place", "fold"])
    if places["place"].equals(places["fold"]):
        return None
    return places["fold"].combine_chunks()


def folded(batch: Any, map_: Any) -> Any:
    """Put the place that stands for it in the stead of each place.

    An instance that gave its NSID to some and not to others has two numbers while a capture is
    read. The files keep both; readers see the one that `places.fold` names.
    """
    import pyarrow as pa

    if map_ is None or "place" not in batch.schema.names:
        return batch
    at = batch.schema.get_field_index("place")
    places = map_.take(batch.column(at))
    return pa.RecordBatch.from_arrays(
        [places if number == at else column for number, column in enumerate(batch.columns)],
        schema=batch.schema,
    )
