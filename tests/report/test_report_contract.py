"""report.json against its schema, and the files as they are written."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import report_sample as samples

from forensics.report import writer
from forensics.report.charts import FIGURES
from forensics.report.json import SCHEMA, text_of, write_json
from forensics.report.png import denser
from forensics.report.words import EXPLANATIONS
from forensics.report.writer import WRITERS, write_report
from forensics.vocabulary import REASONS

CODES = [reason.code for reason in REASONS if reason.code != "none"]


@pytest.fixture(scope="module")
def schema() -> Any:
    contract = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(contract)
    return jsonschema.Draft202012Validator(contract)


@pytest.mark.parametrize("make", [samples.sample, samples.empty, samples.still_open, samples.many])
def test_reports_follow_the_schema(schema: Any, make: Callable[[], dict[str, Any]]) -> None:
    assert [error.message for error in schema.iter_errors(make())] == []


def test_additions_are_allowed_everywhere(schema: Any) -> None:
    def add(value: Any) -> None:
        if isinstance(value, dict):
            for member in list(value.values()):
                add(member)
            # Maps from a name to a count have no fixed fields to add to.
            if not all(isinstance(member, int) for member in value.values()) or "packets" in value:
                value["added-later"] = {"anything": [1]}
        elif isinstance(value, list):
            for member in value:
                add(member)

    report = samples.sample(3)
    add(report)
    assert schema.is_valid(report)


def _break(*path: str | int, to: Any = None) -> Callable[[dict[str, Any]], None]:
    def damage(report: dict[str, Any]) -> None:
        holder: Any = report
        for step in path[:-1]:
            holder = holder[step]
        if to is None:
            del holder[path[-1]]
        else:
            holder[path[-1]] = to

    return damage


FIRST = ("incidents", 0)


@pytest.mark.parametrize(
    "damage",
    [
        _break("schema", to="dns-forensics/report/2"),
        _break("captures", 0, "sha256", to="7D" * 32),
        _break("captures", 0, "sha256", to="7d"),
        _break("captures", 0, "packets", to=-1),
        _break("captures", 0, "losses", to={"truncated": "many"}),
        _break("counts", "verdicts", "bogus"),
        _break("counts", "packets", to=1.5),
        _break(*FIRST, "reason", to="none"),
        _break(*FIRST, "reason", to="bad-luck"),
        _break(*FIRST, "severity", to="catastrophe"),
        _break(*FIRST, "confidence", to="certain"),
        _break(*FIRST, "view", to="both"),
        _break(*FIRST, "onset", "first_bad", to="2026-05-05T19:43:15Z"),
        _break(*FIRST, "onset", "first_bad", to="2026-05-05 19:43:15.000000000Z"),
        _break(*FIRST, "onset", "first_bad", to="2026-05-05T21:43:15.000000000+02:00"),
        _break(*FIRST, "onset", "last_good"),
        _break(*FIRST, "recovery", "last_bad"),
        _break(*FIRST, "cause"),
        _break(*FIRST, "keys", 0, "tag", to=65_536),
        _break(*FIRST, "signers", 0, "recovered"),
        _break(*FIRST, "servers", 0, "role", to="resolver"),
        _break(*FIRST, "resolvers", 0, "ede", to={"6": -1}),
        _break(*FIRST, "patterns", 0, "kind", to="gremlins"),
        _break(*FIRST, "mitigations", 0, "basis", to="rumour"),
        _break(*FIRST, "mitigations", 0, "frame", to=0),
        _break(*FIRST, "history", 0, "event", to="key-added"),
        _break(*FIRST, "evidence", 0, "frame", to=0),
        _break(*FIRST, "evidence", 0, "shows", to=""),
        _break(*FIRST, "impact", "clients"),
        _break(*FIRST, "sentence", to=""),
        _break("triage", "servfail-other"),
        _break("agreement", "cases"),
        _break("series", "lookups", 0, "at", to=12),
        _break("events", 0, "kind"),
    ],
)  # fmt: skip
def test_a_broken_report_is_refused(schema: Any, damage: Callable[[dict[str, Any]], None]) -> None:
    report = samples.sample(3)
    damage(report)
    assert not schema.is_valid(report)


def test_every_fixed_field_is_required(schema: Any) -> None:
    report = samples.empty()
    for name in list(report):
        assert not schema.is_valid({key: report[key] for key in report if key != name}), name
    incident = samples.sample(1)["incidents"][0]
    for name in set(incident) - {"notes", "quote", "chain", "course"}:
        report["incidents"] = [{key: incident[key] for key in incident if key != name}]
        assert not schema.is_valid(report), name


def test_schema_and_catalogue_know_the_same_reasons() -> None:
    contract = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert contract["$defs"]["reason"]["enum"] == CODES


@pytest.mark.parametrize("code", CODES)
def test_every_reason_has_a_plain_explanation(code: str) -> None:
    text = EXPLANATIONS[code]
    assert text.endswith(".")
    assert "RFC" not in text  # for a person who has never read one


@pytest.mark.parametrize("make", [samples.sample, samples.empty, samples.many, samples.hostile])
def test_json_text_is_the_same_data_in_ascii(make: Callable[[], dict[str, Any]]) -> None:
    report = make()
    text = text_of(report)
    assert json.loads(text) == report
    assert text.isascii()
    assert "\x1b" not in text
    assert text.endswith("}\n")


def test_json_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        text_of({"share": float("nan")})


def test_a_row_is_a_line() -> None:
    lines = text_of(samples.sample(5)).splitlines()
    assert sum('"frame": 1019' in line and line.lstrip().startswith("{") for line in lines) >= 2


def test_write_report_gives_every_file(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    written = write_report(samples.sample(10), out)
    names = {path.relative_to(out).as_posix() for path in written}
    assert names == {name for name, _ in WRITERS} | {
        f"figures/{name}.{ending}" for name, *_ in FIGURES for ending in ("svg", "png")
    }
    assert {path for path in out.rglob("*") if path.is_file()} == set(written)
    assert (out / "figures/timeline.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    page = (out / "report.md").read_text(encoding="utf-8")
    for name, *_ in FIGURES:
        assert f"(figures/{name}.png)" in page


def test_figures_are_optional_and_never_stale(tmp_path: Path) -> None:
    write_report(samples.sample(3), tmp_path)
    write_report(samples.empty(), tmp_path)  # has nothing to draw
    assert list((tmp_path / "figures").iterdir()) == []
    assert "figures/" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    bare = tmp_path / "bare"
    write_report(samples.sample(3), bare, figures=False)
    assert {path.name for path in bare.iterdir()} == {name for name, _ in WRITERS}


@pytest.mark.parametrize("make", [samples.sample, samples.hostile, samples.empty])
def test_same_report_same_octets(tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    first = write_report(make(), tmp_path / "a")
    second = write_report(copy.deepcopy(make()), tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_a_failing_writer_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(samples.empty(), tmp_path, figures=False)
    before = (tmp_path / "report.html").read_bytes()

    def fail(*_: Any) -> str:
        raise RuntimeError

    monkeypatch.setattr(writer, "WRITERS", (("report.html", fail),))
    with pytest.raises(RuntimeError):
        write_report(samples.sample(3), tmp_path, figures=False)
    assert (tmp_path / "report.html").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_write_json_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(samples.sample(2), path)
    write_json(samples.empty(), path)
    assert json.loads(path.read_text(encoding="ascii")) == samples.empty()
    assert list(tmp_path.iterdir()) == [path]


def test_denser_png_keeps_every_pixel() -> None:
    from vl_convert import svg_to_png

    picture = bytes(svg_to_png(FIGURES[3][2](samples.sample(3), standalone=True), scale=1))
    smaller = denser(picture)
    assert len(smaller) < len(picture)
    assert _pixels(smaller) == _pixels(picture)


def _pixels(png: bytes) -> tuple[bytes, bytes]:
    """Header and filtered rows; chunk checksums are checked on the way."""
    at, header, data = 8, b"", b""
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert int.from_bytes(png[at + 8 + size : at + 12 + size]) == zlib.crc32(kind + content)
        header = content if kind == b"IHDR" else header
        data += content if kind == b"IDAT" else b""
        at += size + 12
    return header, zlib.decompress(data)
