"""One table as text for a terminal, CSV, JSON lines or Parquet, batch by batch.

Cells hold what attackers sent: text is made visible, and a CSV cell that a spreadsheet would take
for a formula gets an apostrophe before it.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from forensics.report.escape import visible
from forensics.report.times import NONE

FORMATS: Final = ("table", "csv", "jsonl", "parquet")
"""The formats by name; all but `table` hold every column."""

SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "transactions": (
        "time", "client", "server", "qname", "qtype", "rcode", "ede", "pairing", "query_frame",
        "response_frame",
    ),
    "keys": (
        "zone", "type", "tags", "algorithms", "detail", "server", "nsid", "first", "last", "count",
        "first_frame",
    ),
    "signatures": (
        "owner", "type", "signer", "key_tag", "algorithm", "inception", "expiration", "serial",
        "problem",
    ),
}  # fmt: skip
"""Columns of each table that fit a terminal."""

WIDEST: Final = 44
"""Characters of a cell in a terminal's table; the other formats have all."""

_FORMULA: Final = ("=", "+", "-", "@")

_RCODES: Final = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP",
                  5: "REFUSED"}  # fmt: skip

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Convert = Callable[[Any], Any]


def text_of(name: str, batches: Iterable[Any], schema: Any, form: str) -> Iterator[str]:
    """Give a table as text, some rows at a time.

    Args:
        name: a key of `SHOWN`.
        batches: Arrow record batches of `schema`.
        schema: of all batches, for an empty table.
        form: table, csv or jsonl.
    """
    if form == "table":
        columns = [column for column in SHOWN[name] if column in schema.names]
        yield from _aligned(columns, _records(batches, schema, columns))
    elif form == "csv":
        yield _csv([schema.names])
        for rows in _records(batches, schema, schema.names):
            yield _csv([_safe(_joined(cell)) for cell in row.values()] for row in rows)
    else:
        for rows in _records(batches, schema, schema.names):
            yield "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)


def write_parquet(path: Any, batches: Iterable[Any], schema: Any) -> None:
    """Write a table as one Parquet file under exactly this path."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=True) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _records(
    batches: Iterable[Any], schema: Any, columns: Sequence[str]
) -> Iterator[list[dict[str, Any]]]:
    """Give rows as dicts of JSON's kinds: times in RFC 3339, types by name, octets in base64."""
    import pyarrow as pa

    for batch in batches:
        found = {}
        for name in columns:
            column = batch.column(name)
            kind = schema.field(name).type
            if pa.types.is_timestamp(kind):
                column = column.cast(pa.int64())
            convert = _converter(name, kind)
            cells = column.to_pylist()
            found[name] = (
                cells
                if convert is None
                else [None if cell is None else convert(cell) for cell in cells]
            )
        yield [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def _converter(name: str, kind: Any) -> Convert | None:
    """Give what turns the cells of a column into JSON's kinds, None where they are."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return _instant
    if pa.types.is_binary(kind):
        return _base64
    if pa.types.is_list(kind) and pa.types.is_binary(kind.value_type):
        return lambda cells: [_base64(cell) for cell in cells]
    if name in ("qtype", "type"):
        return _type_name
    if name == "rcode":
        return lambda code: _RCODES.get(code, code)
    return None


def _instant(time: int) -> str:
    """Give ns since 1970 in RFC 3339."""
    seconds, rest = divmod(time, 10**9)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _base64(octets: bytes) -> str:
    """Give octets in base64."""
    return base64.b64encode(octets).decode("ascii")


def _type_name(number: int) -> str:
    """Give a record type's mnemonic."""
    import dns.rdatatype

    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


def _joined(cell: Any) -> Any:
    """Write a list as its items between spaces."""
    return " ".join(map(str, cell)) if isinstance(cell, list) else cell


def _safe(cell: Any) -> Any:
    """Make a CSV cell safe for terminals and spreadsheets (CWE-1236); numbers stay numbers."""
    if not isinstance(cell, str):
        return cell
    # Base64 is never cut; only what needs it is made visible.
    text = cell if cell.isascii() and cell.isprintable() else visible(cell)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    """Write rows as RFC 4180, with plain line ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _aligned(columns: Sequence[str], chunks: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    """Align the columns by the first rows; a later cell that is wider only shifts its line."""
    widths: list[int] = []
    for rows in chunks:
        lines = [[_cell(_dated(column, row[column])) for column in columns] for row in rows]
        if not widths:
            widths = [max(map(len, cells)) for cells in zip(columns, *lines, strict=True)]
            yield _line(columns, widths)
        yield "".join(_line(line, widths) for line in lines)
    if not widths:
        yield _line(columns, [len(column) for column in columns])


def _dated(column: str, value: Any) -> Any:
    """Write the ends of a signature as dates, as its presentation form does (RFC 4034 3.2)."""
    if column not in ("inception", "expiration"):
        return value
    return f"{_EPOCH + timedelta(seconds=value):%Y%m%d%H%M%S}"


def _cell(value: Any) -> str:
    """Write a cell for a terminal."""
    text = NONE if value is None or value == [] else visible(str(_joined(value)))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Write one line, two spaces between columns."""
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip() + "\n"
