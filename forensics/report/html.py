"""Render report.html: one file, no network, nothing in it that came from a packet can run."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from forensics.report import charts, comparison, times, words
from forensics.report.account import Report, Row, account, bracket, duration, part, rows, window
from forensics.report.course import course, marked, reason_of, status_of
from forensics.report.escape import shown, xml
from forensics.report.following import Following
from forensics.report.held import elsewhere, held
from forensics.report.palette import CHART_CSS, DARK, LIGHT, variables

EVENTS_AS_ROWS: Final = 500
"""Events written as rows of the table. A browser needs seconds to lay out 100,000 rows; the others
stand as lines of text behind them, and the page's script makes rows of those that are looked at."""

TEMPLATES: Final = Path(__file__).with_name("templates")


def render_html(report: Report) -> str:
    """Render the page. The same report gives the same octets."""
    from markupsafe import Markup

    style, script = _style(), _text("report.js")
    zone = times.zone_named(part(report, "options").get("timezone"))
    told = account(report)
    drawing = charts.timeline(report)
    covered = window(report)
    following = Following(report)

    def follow(name: str, *of: Any) -> Any:
        # Digits and commas alone; as text it would be cut to a readable length.
        return Markup(getattr(following, name)(*of))  # noqa: S704

    def courses(incident: Row) -> Any:
        # Each field is made visible and escaped; as one text it would be cut.
        return Markup(course(incident))  # noqa: S704

    return str(
        _template().render(
            report=report,
            told=told,
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            # The drawing escapes every text in it.
            drawing=Markup(drawing),  # noqa: S704
            is_low=_is_low(drawing),
            covered=times.span(*covered) if covered else "",
            timezone=zone,
            matrix=matrix(report),
            follow=follow,
            courses=courses,
            marked=marked,
            step=times.length(int(following.step * times.SECOND)),
            # Digits and separators alone; as text it would be cut to a readable length.
            bins=Markup(bins(report)),  # noqa: S704
            # Each field is made visible and escaped; as one text it would be cut.
            further=Markup(further(report, zone)),  # noqa: S704
            kinds=sorted({str(row.get("kind", "")) for row in rows(report.get("events"))}),
        )
    )


def _is_low(drawing: str) -> bool:
    """Whether a drawing is low enough to stand on the first printed page below the answers."""
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawing)
    return size is not None and int(size[2]) <= int(size[1])


def bins(report: Report) -> str:
    """Give the lookups over time for the page's time brush: `start:end:answered:failed`, ms."""
    series = part(report, "series")
    width = series.get("bin_seconds")
    step = int(width * 1_000) if isinstance(width, int | float) else 0
    found = []
    for row in rows(series.get("lookups")):
        time = times.parse(row.get("at"))
        if time is None or step <= 0:
            continue
        answered, failed = (
            sum(row[name] for name in names if isinstance(row.get(name), int))
            for names in (("noerror", "nxdomain"), ("servfail", "other"))
        )
        begin = time // 1_000_000
        found.append(f"{begin}:{begin + step}:{answered}:{failed}")
    return ";".join(found)


def further(report: Report, zone: str | None) -> str:
    """Give the events behind the first `EVENTS_AS_ROWS` as lines of fields with tabs between them.

    Fields: ms since 1970, time (UTC), time in `zone`, kind as it is and in words, whether it is bad
    (1 or nothing), zone, place, text, frame, capture. Made visible, no field holds a tab or a line
    break; escaped, none holds markup.
    """
    lines = []
    for event in rows(report.get("events"))[EVENTS_AS_ROWS:]:
        when, kind = event.get("at"), str(event.get("kind") or "")
        fields = (
            str(_milliseconds(when)),
            times.stamp(when),
            times.local(when, zone)[11:] if zone else "",
            kind,
            words.phrase(kind),
            "1" if _is_bad(kind) else "",
            *(str(event.get(name) or "") for name in ("zone", "place", "text", "frame", "capture")),
        )
        lines.append("\t".join(map(xml, fields)))
    return "\n".join(lines)


def _is_bad(kind: str) -> bool:
    """Whether an event of this kind is printed as bad."""
    return "bad" in kind or kind == "servfail"


def matrix(report: Report) -> list[dict[str, Any]]:
    """Arrange server x serial x record type: a table a zone and type, those with bad data first.

    Returns:
        Per zone and type: `title`, `bad` (how many), `corner`, `heads` of the columns and `lines`,
        each with `head`, `cells` (good, bad) and `rows`, of which each cell is made. Whatever is
        more, serials or servers, goes down.
    """
    tables: dict[str, dict[tuple[str, str], list[int]]] = {}
    sources: dict[int, list[Row]] = {}
    for row in rows(part(report, "series").get("matrix")):
        kind = str(row.get("type", "?"))
        serial = row.get("serial")
        place = words.place(row)
        key = (place, "no serial" if serial is None else str(serial))
        table = tables.setdefault(f"{row['zone']} {kind}" if row.get("zone") else kind, {})
        cell = table.setdefault(key, [0, 0])
        for at, name in enumerate(("good", "bad")):
            cell[at] += row[name] if isinstance(row.get(name), int) else 0
        sources.setdefault(id(cell), []).append(row)
    arranged = [_table(title, cells, sources) for title, cells in tables.items()]
    return sorted(arranged, key=lambda table: -table["bad"])


def _table(
    title: str, cells: Mapping[tuple[str, str], list[int]], sources: Mapping[int, list[Row]]
) -> dict[str, Any]:
    """Arrange the cells of one zone and type, by server and serial."""
    places = list(dict.fromkeys(place for place, _ in cells))
    serials = sorted({serial for _, serial in cells}, key=_by_number)
    down = len(serials) > len(places)
    heads, sides = (places, serials) if down else (serials, places)
    lines = []
    for side in sides:
        found = [cells.get((head, side) if down else (side, head)) for head in heads]
        made_of = [sources.get(id(cell), []) for cell in found]
        lines.append({"head": side, "cells": found, "rows": made_of})
    return {
        "title": title,
        "bad": sum(bad for _, bad in cells.values()),
        "corner": "Serial" if down else "Server",
        "heads": heads,
        "lines": lines,
    }


def _by_number(text: str) -> tuple[int, str]:
    """Order serials by number, what is none before them."""
    return (int(text), "") if text.isascii() and text.isdigit() else (-1, text)


def _policy(style: str, script: str) -> str:
    """Forbid everything but these very octets of style and script (CSP level 2 hashes)."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )


@cache
def _text(name: str) -> str:
    """Read a file that ships beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    """Join the colours, the page's styles and the drawings' styles."""
    return (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
        f"@media print{{:root{{{variables(LIGHT)}}}}}\n"
        f"{_text('report.css')}{CHART_CSS}"
    )


@cache
def _template() -> Any:
    """Load the template: every expression made visible, then escaped, without exception."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        bytecode_cache=_compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(WORDING)
    return environment.get_template("report.html.j2")


def _compiled() -> Any:
    """Keep the compiled template where Python keeps compiled modules, if that can be written."""
    from jinja2 import FileSystemBytecodeCache

    folder = TEMPLATES / "__pycache__"
    if sys.dont_write_bytecode:
        return None
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    """Give a mapping, empty where there is none."""
    return value if isinstance(value, Mapping) else {}


def _milliseconds(text: Any) -> int:
    """Give a time of the report in ms since 1970 for the page's script; -1: no time."""
    time = times.parse(text)
    return -1 if time is None else time // 1_000_000


WORDING: Final[dict[str, Any]] = {
    "rows": rows,
    "part": part,
    "mapping": _mapping,
    "stamp": times.stamp,
    "milliseconds": _milliseconds,
    "brief": times.brief,
    "date_of": times.date_of,
    "local": times.local,
    "bracket": bracket,
    "duration": duration,
    "number": words.number,
    "counted": words.counted,
    "phrase": words.phrase,
    "place": words.place,
    "algorithm": words.algorithm,
    "keys_of": words.keys_of,
    "link_name": words.link_name,
    "status_of": status_of,
    "reason_of": reason_of,
    "ede": words.ede,
    "explained": words.explained,
    "source": words.source,
    "finding": words.finding,
    "figures": words.figures,
    "octets": words.octets,
    "LEDGER": words.LEDGER,
    "adds_up": words.adds_up,
    "SEVERITY_WORDS": words.SEVERITY_WORDS,
    "CONFIDENCE_MEANINGS": words.CONFIDENCE_MEANINGS,
    "PATTERNS": words.PATTERNS,
    "MITIGATIONS": words.MITIGATIONS,
    "TRIAGE": words.TRIAGE,
    "triage_case": words.triage_case,
    "STATUSES": words.STATUSES,
    "held": held,
    "held_elsewhere": elsewhere,
    "share": comparison.share,
    "difference": comparison.cell,
    "is_bad": _is_bad,
    "EVENTS_AS_ROWS": EVENTS_AS_ROWS,
    "NONE": times.NONE,
}
"""What both templates may call: functions and lists of wording, all pure."""
