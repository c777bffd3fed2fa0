"""The lanes of a drawing: each draws one kind of thing over the canvas's time axis.

A lane takes the canvas and the report, draws below what stands already, and tells whether there
was anything to draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from forensics.report import times, words
from forensics.report.account import Report, Row, gravest_first, part, rows
from forensics.report.canvas import CHARACTER, LEFT, RIGHT, WIDTH, Canvas, cut
from forensics.report.rolls import steps

INCIDENTS_DRAWN: Final = 3
"""Incidents whose servers get lanes: the gravest. All have their tables."""

SERVERS_DRAWN: Final = 10
"""Lanes of servers per incident: a TLD has at most thirteen addresses worth a lane each."""

ZONES_DRAWN: Final = 6
ACTS_DRAWN: Final = 12


def acts(canvas: Canvas, report: Report) -> bool:
    """Mark what was done and when: causes, history, mitigations, onset and recovery."""
    marks = [mark for mark in _marks(report) if canvas.start <= mark[0] <= canvas.end]
    # What went bad and good again gets its label first; then in order of time.
    marks = sorted(sorted(marks, key=lambda mark: mark[1] == "mark")[:ACTS_DRAWN])
    if not marks:
        return False
    ends = [LEFT - 20.0] * 5  # right end of the last label in each row
    base = canvas.y + 8
    deepest = 0
    for time, kind, label in marks:
        x = canvas.x(time)
        text = f"{times.clock(time)} {label}"
        wide = len(text) * CHARACTER + 14
        flip = x + wide > WIDTH
        left = x - wide if flip else x - 6
        row = next((row for row, end in enumerate(ends) if end < left), None)
        if row is None:
            continue  # no room: the event table has it
        ends[row] = x + (6 if flip else wide)
        deepest = max(deepest, row)
        y = base + row * 17
        canvas.diamond(x, y, {"bad": "bad", "good": "halo-good"}.get(kind, "mark"), text)
        canvas.text(
            x - 9 if flip else x + 9, y + 4, text, f"t-{kind}{' end' if flip else ''}", text
        )
    canvas.label(base + 4, "What happened")
    canvas.y = base + deepest * 17 + 12
    return True


def _marks(report: Report) -> list[tuple[int, str, str]]:
    """Collect instants worth a label: (time, kind, label), in order of time."""
    marks: list[tuple[int, str, str]] = []
    for incident in gravest_first(report)[:INCIDENTS_DRAWN]:
        zone = cut(str(incident.get("zone", "?")), 120)
        onset, recovery = part(incident, "onset"), part(incident, "recovery")
        found = [
            (onset.get("first_bad"), "bad", f"{zone} first bad"),
            (recovery.get("first_good"), "good", f"{zone} recovered"),
        ]
        for row in rows(incident.get("history")):
            event = words.phrase(row.get("event", ""))
            found.append((row.get("at"), "mark", f"{zone} {event}"))
        for row in rows(incident.get("mitigations")):
            found.append((row.get("at"), "mark", words.phrase(row.get("kind", ""))))
        marks += [
            (time, kind, label)
            for text, kind, label in found
            if (time := times.parse(text)) is not None
        ]
    if not marks:
        marks = list(steps(rows(part(report, "series").get("keys"))))
    return sorted(set(marks))


def binned(
    canvas: Canvas, found: Iterable[tuple[int, Mapping[str, int]]], bin_length: int
) -> tuple[list[tuple[int, dict[str, int]]], int]:
    """Sum rows into bins that are at least two pixels wide."""
    per_pixel = (canvas.end - canvas.start) / (WIDTH - LEFT - RIGHT)
    factor = max(1, int(-(-2.0 * per_pixel // bin_length)))
    wide = bin_length * factor
    sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for time, values in found:
        if canvas.start - wide < time <= canvas.end:
            bucket = sums[canvas.start + (time - canvas.start) // wide * wide]
            for name, value in values.items():
                bucket[name] += value
    return sorted((time, dict(values)) for time, values in sums.items()), wide


def bin_length(report: Report) -> int:
    """Give the length of a bin of the series, ns."""
    seconds = part(report, "series").get("bin_seconds")
    if isinstance(seconds, int | float) and seconds > 0:
        return max(int(seconds * times.SECOND), 1)
    return times.SECOND


def number(row: Row, name: str) -> int:
    """Read a count, nothing where it is absent."""
    value: Any = row.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def lookups(canvas: Canvas, report: Report) -> bool:
    """Draw lookups: answered upwards, failed downwards, on one scale."""
    kinds = ("noerror", "nxdomain", "servfail", "other", "retries")
    found = [
        (time, {**{kind: number(row, kind) for kind in kinds}, "raw": _with_retries(row)})
        for row in rows(part(report, "series").get("lookups"))
        if (time := times.parse(row.get("at"))) is not None
    ]
    bins, wide = binned(canvas, found, bin_length(report))
    up = max((row["noerror"] + row["nxdomain"] for _, row in bins), default=0)
    down = max((row["raw"] for _, row in bins), default=0)
    if not up and not down:
        return False
    per = times.length(wide)
    canvas.heading("Lookups", f"per {per}; answered above the line, failed below it")
    height = 130.0
    above = max(height * up / (up + down), 14.0 if up else 0.0)
    base = canvas.y + 6 + above
    scale = height / (up + down)
    places = [(canvas.x(at), max(canvas.x(at + wide) - canvas.x(at) - 0.6, 1.2)) for at, _ in bins]
    stacks: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for (left, width), (_, row) in zip(places, bins, strict=True):
        noerror, nxdomain = row["noerror"] * scale, row["nxdomain"] * scale
        servfail, other = row["servfail"] * scale, row["other"] * scale
        stacks["good"].append((left, base - noerror, width, noerror))
        stacks["good-soft"].append((left, base - noerror - nxdomain, width, nxdomain))
        stacks["retry"].append((left, base, width, row["raw"] * scale))
        stacks["hatch"].append((left, base, width, servfail))
        stacks["open"].append((left, base + servfail, width, other))
    # What failed with the retries stands behind what failed without them.
    canvas.bars(stacks["retry"], "retry")
    for kind in ("good", "good-soft", "hatch", "open"):
        canvas.bars(stacks[kind], kind)
    canvas.line(((LEFT, base), (WIDTH - RIGHT, base)), "axis")
    canvas.y = base + height - above + 8
    if up:
        canvas.label(base - above + 9, f"answered, at most {words.number(up)}")
        if above > 40 and any(row["nxdomain"] for _, row in bins):
            canvas.text(LEFT - 14, base - above + 23, "NOERROR dark, NXDOMAIN pale", "small end")
    if down:
        canvas.label(max(base + 13, canvas.y - 20), f"failed, at most {words.number(down)}")
        if height - above > 40 and any(row["other"] for _, row in bins):
            canvas.text(LEFT - 14, canvas.y - 4, "SERVFAIL hatched, other grey", "small end")
    retries = sum(row["retries"] for _, row in bins)
    if retries:
        drawn = any(row["raw"] > row["servfail"] + row["other"] for _, row in bins)
        told = f"{words.counted(retries, 'retry')} {'drawn pale' if drawn else 'left out'}"
        canvas.text(WIDTH - RIGHT, canvas.y + 2, told, "small end")
    return True


def verdicts(canvas: Canvas, report: Report) -> bool:
    """Draw judged sightings by status: what holds upwards, the rest downwards, on one scale."""
    found = [
        (time, {name: number(row, name) for name in (*HOLDS, *FAILS)})
        for row in rows(part(report, "series").get("verdicts"))
        if (time := times.parse(row.get("at"))) is not None
    ]
    bins, wide = binned(canvas, found, bin_length(report))
    up = max((sum(row[name] for name in HOLDS) for _, row in bins), default=0)
    down = max((sum(row[name] for name in FAILS) for _, row in bins), default=0)
    if not up and not down:
        return False
    told = f"signatures seen per {times.length(wide)}, by what each was worth then"
    canvas.heading("Verdicts", told)
    height = 96.0
    above = max(height * up / (up + down), 12.0 if up else 0.0)
    base = canvas.y + 6 + above
    scale = height / (up + down)
    stacks: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for at, row in bins:
        left = canvas.x(at)
        width = max(canvas.x(at + wide) - left - 0.6, 1.2)
        for names, way in ((HOLDS, -1), (FAILS, 1)):
            edge = base
            for name in names:
                # One bogus signature among thousands of good ones is still to be seen.
                tall = max(row[name] * scale, 1.5) if row[name] else 0.0
                stacks[name].append((left, edge - tall if way < 0 else edge, width, tall))
                edge += way * tall
    for name in (*HOLDS, *FAILS):
        canvas.bars(stacks[name], VERDICT_STYLES[name])
    canvas.line(((LEFT, base), (WIDTH - RIGHT, base)), "axis")
    deepest = max(
        (top + tall for held in stacks.values() for _, top, _, tall in held), default=base
    )
    canvas.y = max(base + height - above, deepest) + 8
    if up:
        canvas.label(base - above + 9, f"hold, at most {words.number(up)}")
        if above > 40:
            canvas.text(LEFT - 14, base - above + 23, "secure dark, valid pale", "small end")
            canvas.text(LEFT - 14, base - above + 36, "insecure green", "small end")
    if down:
        canvas.label(max(base + 13, canvas.y - 20), f"do not, at most {words.number(down)}")
        if height - above > 30:
            text = "bogus hatched, indeterminate grey"
            canvas.text(LEFT - 14, canvas.y - 6, text, "small end")
    return True


HOLDS: Final = ("secure", "valid", "insecure")
FAILS: Final = ("bogus", "indeterminate")
VERDICT_STYLES: Final = {
    "secure": "good",
    "valid": "good-soft",
    "insecure": "key",
    "bogus": "hatch",
    "indeterminate": "open",
}
"""How each status is drawn."""


def _with_retries(row: Row) -> int:
    """Count the failed lookups of a bin with the retries; without, where they were not counted."""
    raw = part(row, "raw")
    failed = number(row, "servfail") + number(row, "other")
    return max(failed, number(raw, "servfail") + number(raw, "other"))


def zones(canvas: Canvas, report: Report) -> bool:
    """Draw the sightings of each zone: good upwards, bad downwards."""
    found: dict[str, list[tuple[int, dict[str, int]]]] = defaultdict(list)
    for row in rows(part(report, "series").get("sightings")):
        time = times.parse(row.get("at"))
        if time is not None:
            counts = {kind: number(row, kind) for kind in ("good", "bad", "indeterminate")}
            found[str(row.get("zone", "?"))].append((time, counts))
    if not found:
        return False
    weight = {zone: (-sum(row["bad"] for _, row in series), zone) for zone, series in found.items()}
    order = sorted(found, key=lambda zone: weight[zone])
    note = "signatures seen: good above, bad below the line"
    if len(order) > ZONES_DRAWN:
        note += f"; {words.counted(len(order) - ZONES_DRAWN, 'further zone')} not drawn"
    canvas.heading("Zones", note)
    for zone in order[:ZONES_DRAWN]:
        _strip(canvas, found[zone], bin_length(report), 36.0)
        good = sum(values["good"] for _, values in found[zone])
        bad = sum(values["bad"] for _, values in found[zone])
        canvas.label(
            canvas.y - 24,
            zone_named({"zone": zone}),
            f"{words.number(good)} good, {words.number(bad)} bad",
        )
    return True


def _strip(
    canvas: Canvas, found: list[tuple[int, dict[str, int]]], bin_length: int, height: float
) -> None:
    """Draw one lane of good and bad sightings around a line, each half on its own scale."""
    bins, wide = binned(canvas, found, bin_length)
    base = canvas.y + height / 2
    half = height / 2 - 3
    peaks = {kind: max((row[kind] for _, row in bins), default=0) for kind in ("good", "bad")}
    open_peak = max((row["indeterminate"] for _, row in bins), default=0)
    good, bad, unjudged = [], [], []
    for at, row in bins:
        left = canvas.x(at)
        width = max(canvas.x(at + wide) - left - 0.6, 1.2)
        if row["good"]:
            tall = max(half * row["good"] / peaks["good"], 2.0)
            good.append((left, base - tall, width, tall))
        if row["bad"]:
            tall = max(half * row["bad"] / peaks["bad"], 2.0)
            bad.append((left, base, width, tall))
        if row["indeterminate"] and open_peak and not row["good"] and not row["bad"]:
            unjudged.append((left, base - 1.5, width, 3.0))
    canvas.bars(good, "good")
    canvas.bars(bad, "hatch")
    canvas.bars(unjudged, "open")
    canvas.line(((LEFT, base), (WIDTH - RIGHT, base)), "axis")
    canvas.y += height


def servers(canvas: Canvas, report: Report) -> bool:
    """Draw each server of the gravest incidents: sightings, bad time, and both brackets."""
    drawn = False
    series: dict[tuple[str, str, str], list[tuple[int, dict[str, int]]]] = defaultdict(list)
    for row in rows(part(report, "series").get("sightings")):
        time = times.parse(row.get("at"))
        if time is not None and row.get("server"):
            key = (str(row.get("zone")), str(row["server"]), str(row.get("nsid") or ""))
            counts = {kind: number(row, kind) for kind in ("good", "bad", "indeterminate")}
            series[key].append((time, counts))
    for incident in gravest_first(report)[:INCIDENTS_DRAWN]:
        found = rows(incident.get("servers"))
        if not found:
            continue
        drawn = True
        note = "the grey part of a bar is the bracket: between these two sightings nobody looked"
        if len(found) > SERVERS_DRAWN:
            note = f"{words.counted(len(found) - SERVERS_DRAWN, 'further server')} not drawn"
        canvas.heading(cut(f"Servers of {incident.get('zone', '?')}", LEFT - 16), note)
        worst = sorted(found, key=lambda server: -number(server, "bad"))[:SERVERS_DRAWN]
        for server in [server for server in found if server in worst]:
            zone, address = str(incident.get("zone")), str(server.get("address"))
            key = (zone, address, str(server.get("nsid") or ""))
            top = canvas.y
            _brackets(canvas, server, top + 4)
            canvas.y = top + 14
            if series.get(key):
                _strip(canvas, series[key], bin_length(report), 22.0)
            else:
                canvas.y += 16
            seen = number(server, "good") + number(server, "bad")
            tally = f"{words.number(number(server, 'bad'))} of {words.number(seen)} bad"
            instance = server.get("nsid")
            canvas.label(top + 12, address, f"{instance} · {tally}" if instance else tally)
    return drawn


def _brackets(canvas: Canvas, server: Row, top: float) -> None:
    """Draw the bad time of one server, with the two brackets at its ends."""
    onset, recovery = part(server, "onset"), part(server, "recovery")
    last_good = times.parse(onset.get("last_good"))
    first_bad = times.parse(onset.get("first_bad") or server.get("first_bad"))
    last_bad = times.parse(recovery.get("last_bad"))
    first_good = times.parse(recovery.get("first_good"))
    middle = top + 4
    if first_bad is not None:
        right = canvas.x(first_bad if last_bad is None else last_bad)
        canvas.box(canvas.x(first_bad), middle - 2.5, right - canvas.x(first_bad), 5, "bad")
        if last_bad is None:
            canvas.line(((right, middle), (WIDTH - RIGHT, middle)), "bad-line dashed")
    for before, after in ((last_good, first_bad), (last_bad, first_good)):
        if before is not None and after is not None:
            left = canvas.x(before)
            canvas.box(left, middle - 1.5, canvas.x(after) - left, 3, "open")
    for time, text in ((last_good, "last good"), (first_good, "first good again")):
        if time is not None:
            canvas.dot(canvas.x(time), middle, f"{text} {times.exact(time)} UTC")
    for time, text in ((first_bad, "first bad"), (last_bad, "last bad")):
        if time is not None:
            canvas.diamond(canvas.x(time), middle, "bad", f"{text} {times.exact(time)} UTC")


def zone_named(row: Row) -> str:
    """Name a zone; the root's dot alone is easily overlooked."""
    name = str(row.get("zone", "?"))
    return ". (root)" if name == "." else name
