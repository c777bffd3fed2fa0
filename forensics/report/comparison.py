"""Two reports held against each other: before and after, two resolvers, two sites.

Incidents are the same where zone and view are, the reason too where it can be: the second
of a zone is held against the second. What differs is listed field by field; a time that differs is
no fault, for two sites never see the same packet. Nothing is escaped yet.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from forensics.errors import UsageError
from forensics.jsontext import parsed
from forensics.report import words
from forensics.report.account import Report, Row, duration, part, rows

SCHEMA: Final = "dns-forensics/report/1"

TIMES: Final = (
    ("onset", "last_good", "last good"),
    ("onset", "first_bad", "first bad"),
    ("recovery", "last_bad", "last bad"),
    ("recovery", "first_good", "first good again"),
)
"""Field, its field, and what it is called: the four ends of an incident's two brackets."""

COUNTS: Final = (
    ("transactions", "lookups"),
    ("servfail", "failed lookups"),
    ("names", "names"),
    ("clients", "clients"),
    ("zones", "zones below"),
)
"""Counts of the impact that are compared."""


def read_report(source: str | Path, option: str = "--baseline") -> tuple[dict[str, Any], str]:
    """Read the report of a folder, or of a report.json; with the SHA-256 of its octets.

    Raises:
        UsageError: there is none, or it is none of this program.
    """
    path = Path(source)
    path = path / "report.json" if path.is_dir() else path
    try:
        content = path.read_bytes()
    except OSError as error:
        why = (error.strerror or "error").lower()
        raise UsageError(f"{option} {path}: {why}; name a folder that analyze wrote") from None
    try:
        found = parsed(content)
    except ValueError:
        raise UsageError(f"{option} {path}: not a report (no JSON)") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageError(f"{option} {path}: not a report of schema {SCHEMA}")
    return found, hashlib.sha256(content).hexdigest()


def compare(here: Report, there: Report, name: str, digest: str = "") -> dict[str, Any]:
    """Hold a report against its baseline.

    Args:
        here: the report.
        there: the baseline.
        name: how the baseline was named.
        digest: SHA-256 of the baseline's report.json, hex.

    Returns:
        The field `baseline` of report.json: `path`, `sha256`, `window`, `captures`, `sentence`;
        `rates` of lookups here and there; `new`, `gone` and `both`, rows of incidents.
    """
    pairs, new, gone = _paired(rows(here.get("incidents")), rows(there.get("incidents")))
    both = [_both(one, other) for one, other in pairs]
    rates = {"here": _rates(here), "there": _rates(there)}
    return {
        "path": name,
        "sha256": digest,
        "window": {end: part(there, "window").get(end) for end in ("from", "to")},
        "captures": [str(row.get("path", "?")) for row in rows(there.get("captures"))],
        "sentence": _sentence(len(new), len(gone), both, rates),
        "rates": rates,
        "new": [_named(row) for row in new],
        "gone": [_named(row) for row in gone],
        "both": both,
    }


def _paired(
    here: list[Row], there: list[Row]
) -> tuple[list[tuple[Row, Row]], list[Row], list[Row]]:
    """Pair incidents of both reports, in the order of `here`; and what is left of each."""
    pairs: dict[int, Row] = {}
    left = list(there)
    taken: set[int] = set()
    # With the reason first, so that one that changed takes nobody's like away.
    for fields in (("zone", "view", "reason"), ("zone", "view")):
        waiting: dict[tuple[Any, ...], deque[Row]] = defaultdict(deque)
        for row in sorted(left, key=_begun):
            waiting[tuple(str(row.get(field)) for field in fields)].append(row)
        for at, row in sorted(enumerate(here), key=lambda item: _begun(item[1])):
            like = waiting[tuple(str(row.get(field)) for field in fields)]
            if at not in pairs and like:
                pairs[at] = like.popleft()
                taken.add(id(pairs[at]))
        left = [other for other in left if id(other) not in taken]
    return (
        [(row, pairs[at]) for at, row in enumerate(here) if at in pairs],
        [row for at, row in enumerate(here) if at not in pairs],
        left,
    )


def _begun(incident: Row) -> str:
    return str(part(incident, "onset").get("first_bad"))


def _named(incident: Row) -> dict[str, Any]:
    """Name an incident that only one report has."""
    return {
        **{name: incident.get(name) for name in ("id", "zone", "reason", "severity")},
        "first_bad": part(incident, "onset").get("first_bad"),
        "lasted": duration(incident),
        "servfail": part(incident, "impact").get("servfail"),
        "sentence": incident.get("sentence"),
    }


def _both(here: Row, there: Row) -> dict[str, Any]:
    """Name an incident that both have, and what differs: rows of `what`, `there` and `here`."""
    found: list[dict[str, Any]] = []

    def note(what: str, before: Any, now: Any, kind: str) -> None:
        if before != now:
            found.append({"what": what, "kind": kind, "there": before, "here": now})

    for name in ("reason", "severity", "confidence"):
        note(name, there.get(name), here.get(name), "words")
    for field, name, label in TIMES:
        note(label, part(there, field).get(name), part(here, field).get(name), "time")
    note("lasted", duration(there), duration(here), "words")
    for label, choose in (("bad servers", _bad), ("resolvers that failed", _failing)):
        note(label, sorted(choose(there)), sorted(choose(here)), "list")
    for name, label in COUNTS:
        note(label, part(there, "impact").get(name), part(here, "impact").get(name), "count")
    return {
        **{name: here.get(name) for name in ("id", "zone", "reason", "severity")},
        "baseline_id": there.get("id"),
        "differences": found,
    }


def _bad(incident: Row) -> set[str]:
    return {words.place(row) for row in rows(incident.get("servers")) if row.get("bad")}


def _failing(incident: Row) -> set[str]:
    return {words.place(row) for row in rows(incident.get("resolvers")) if row.get("servfail")}


def _rates(report: Report) -> dict[str, Any]:
    """Count the lookups of a report, retries apart, and the share that failed; None: no lookup."""
    series = rows(part(report, "series").get("lookups"))

    def total(*names: str) -> int:
        return sum(row[name] for row in series for name in names if isinstance(row.get(name), int))

    lookups, failed = total("noerror", "nxdomain", "servfail", "other"), total("servfail")
    return {
        "lookups": lookups,
        "servfail": failed,
        "share": round(failed / lookups, 6) if lookups else None,
        "retries": total("retries"),
        "bogus": part(part(report, "counts"), "verdicts").get("bogus"),
    }


def _sentence(
    new: int, gone: int, both: Iterable[dict[str, Any]], rates: dict[str, dict[str, Any]]
) -> str:
    """Say in plain words what changed."""
    same = list(both)
    if not new and not gone and not same:
        text = "Neither report has an incident"
    else:
        told = [
            f"{words.counted(count, 'incident')} {'is' if count == 1 else 'are'} {what}"
            for count, what in ((new, "here alone"), (gone, "in the baseline alone"))
            if count
        ]
        if same:
            like = sum(not row["differences"] for row in same)
            told.append(
                f"{words.counted(len(same), 'incident')} {'is' if len(same) == 1 else 'are'} in "
                f"both" + (f" ({like} without any difference)" if like else "")
            )
        text = "; ".join(told)
    return (
        f"{text}. SERVFAIL ended {share(rates['here'])} of the lookups here, "
        f"{share(rates['there'])} in the baseline."
    )


def share(rates: Row) -> str:
    """Write the share of failed lookups."""
    value = rates.get("share")
    return f"{value:.1%}" if isinstance(value, int | float) else "none"


def cell(row: Row, side: str, write_time: Callable[[Any], str]) -> str:
    """Write one side of a difference, `there` or `here`."""
    value = row.get(side)
    if value is None:
        return "not seen"
    if row.get("kind") == "time":
        return write_time(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return words.number(value) if isinstance(value, int) else words.phrase(value)


def render_comparison(told: Row) -> str:
    """Tell a comparison in lines of plain text, made visible, for a terminal."""
    from forensics.report.escape import visible
    from forensics.report.times import stamp

    lines = [str(told.get("sentence", ""))]
    for name, head in (("new", "Here alone"), ("gone", "In the baseline alone")):
        for row in rows(told.get(name)):
            what = f"{head}: {row.get('zone', '?')}, {words.phrase(row.get('reason', '?'))}"
            begun, lasted = stamp(row.get("first_bad")), row.get("lasted", "?")
            lines += ["", f"{what}, first bad {begun} UTC, lasted {lasted}"]
    for row in rows(told.get("both")):
        lines += ["", f"In both: {row.get('zone', '?')}, {words.phrase(row.get('reason', '?'))}"]
        lines += [
            f"  {one.get('what', '?')}: {cell(one, 'there', stamp)} -> {cell(one, 'here', stamp)}"
            for one in rows(row.get("differences"))
        ] or ["  no difference"]
    return "\n".join(map(visible, lines))
