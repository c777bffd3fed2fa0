"""Tables as text: nothing in a cell may act in a spreadsheet or on a terminal."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pytest

from forensics.report.tablewriter import text_of

SCHEMA = pa.schema([("owner", pa.string()), ("signed_data", pa.binary()), ("labels", pa.uint8())])


def text(owner: str | None, form: str, octets: bytes = b"\xff") -> str:
    batch = pa.record_batch([[owner], [octets], [3]], schema=SCHEMA)
    return "".join(text_of("signatures", [batch], SCHEMA, form))


@pytest.mark.parametrize("owner", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r=1"])
def test_a_csv_cell_is_no_formula(owner) -> None:
    cell = next(iter(csv.DictReader(text(owner, "csv").splitlines())))["owner"]
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert cell.isprintable()


@pytest.mark.parametrize("form", ["csv", "table", "jsonl"])
def test_no_format_lets_a_terminal_escape_through(form) -> None:
    told = text("\x1b[2J\x07evil\u202e\n.example.", form)
    assert told.replace("\n", "").isprintable()
    assert told.count("\n") == (1 if form == "jsonl" else 2)
    assert "\u202e" not in told


def test_octets_are_never_cut() -> None:
    octets = bytes(range(256)) * 40
    row = json.loads(text("a.", "jsonl", octets))
    import base64

    assert base64.b64decode(row["signed_data"]) == octets
    cell = next(iter(csv.DictReader(text("a.", "csv", octets).splitlines())))["signed_data"]
    assert base64.b64decode(cell) == octets


@pytest.mark.parametrize(("form", "lines"), [("csv", 1), ("table", 1), ("jsonl", 0)])
def test_a_table_without_rows_has_its_heads(form, lines) -> None:
    told = "".join(text_of("signatures", [], SCHEMA, form))
    assert len(told.splitlines()) == lines
