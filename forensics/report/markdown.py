"""Render report.md: the same account in GitHub's Markdown, with the figures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from forensics.report import comparison, times, words
from forensics.report.account import Account, Report, Row, account, part, rows, window
from forensics.report.chapter import chapter
from forensics.report.charts import FIGURES
from forensics.report.escape import code, markdown
from forensics.report.heldtable import elsewhere_table
from forensics.report.html import matrix
from forensics.report.tables import display_filter, table, titled
from forensics.report.unseen import unseen_of_all

COMMENT: Final = 65_536
"""Characters that GitHub takes as a comment."""


LISTED: Final = 100
"""Incidents without a chapter that are listed."""

_ALL: Final = 2**31


class Size(NamedTuple):
    """How much is told: whole chapters, chapters in all, events, the matrix, or bad rows of it."""

    whole: int
    chapters: int
    events: int
    only_bad: bool
    matrix: bool


SIZES: Final = (
    Size(_ALL, _ALL, 100, only_bad=False, matrix=True),
    Size(_ALL, _ALL, 100, only_bad=True, matrix=True),
    Size(3, _ALL, 50, only_bad=True, matrix=True),
    Size(3, _ALL, 25, only_bad=True, matrix=False),
    Size(1, 8, 25, only_bad=True, matrix=False),
)
"""From the most to the least: the first that fits into a comment is taken, else the last. The page
and the tables have all."""

_LEFT_OUT: Final = "Server by serial and record type: in report.html."


def render_markdown(report: Report, figures: Sequence[str] = ()) -> str:
    """Render the report as Markdown, short enough for a comment if leaving out tables can do it.

    Args:
        report: the contents of report.json.
        figures: names of the figures that stand in `figures/` beside the file.
    """
    text = ""
    for size in SIZES:
        text = _rendered(report, figures, size)
        if len(text) <= COMMENT:
            break
    return text


def _rendered(report: Report, figures: Sequence[str], size: Size) -> str:
    """Render with so many chapters whole, and so many events."""
    told = account(report)
    blocks = [
        *_opening(told),
        *_drawings(figures),
        *_bullets("To keep in mind", [words.finding(row) for row in told.findings]),
    ]
    for order, incident in enumerate(told.incidents[: size.chapters]):
        blocks += chapter(incident, report, brief=order >= size.whole)
    blocks += _further(told.incidents[size.chapters :])
    blocks += [
        *_baseline(report),
        *(_matrix(report, only_bad=size.only_bad) if size.matrix else [_LEFT_OUT]),
        *_lookups(report),
        *titled("What resolvers held of other zones", elsewhere_table(report)),
        *_events(report, size.events),
        "## What could not be read or judged",
        "\n".join(f"- {markdown(text)}" for text in unseen_of_all(report)),
        *_inputs(report),
        *_method(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _opening(told: Account) -> list[str]:
    """Write the first screen."""
    blocks = []
    for row in told.urgent:
        name, sentence = words.finding(row)
        blocks.append(f"> **{markdown(name)}:** {markdown(sentence)}")
    blocks += [f"# {markdown(told.headline)}", f"*{markdown(told.kicker)}*"]
    blocks += [markdown(text) for text in told.deck]
    facts = [
        (
            f"**{fact.question}**",
            "<br>".join([f"**{markdown(fact.answer)}**", *map(markdown, fact.grounds)]),
        )
        for fact in told.facts
    ]
    return [*blocks, table(("", ""), facts)]


def _drawings(figures: Sequence[str]) -> list[str]:
    """Show the figures, the timeline first, and link their vector form."""
    captions = {name: caption for name, caption, _ in FIGURES}
    return [
        f"![{captions[name]}](figures/{name}.png)\n\n"
        f"*{captions[name]}; times in UTC.* [SVG](figures/{name}.svg)"
        for name in figures
        if name in captions
    ]


def _bullets(title: str, items: Sequence[tuple[str, str]]) -> list[str]:
    """List named sentences under a heading."""
    lines = [f"- **{markdown(name)}.** {markdown(text)}" for name, text in items]
    return [f"## {title}", "\n".join(lines)] if lines else []


def _further(incidents: Sequence[Row]) -> list[str]:
    """List the incidents for whose chapters no room is left."""
    lines = [
        (
            code(str(row.get("zone", "?"))),
            markdown(words.SEVERITY_WORDS.get(str(row.get("severity")), "?")),
            markdown(words.phrase(row.get("reason", "?"))),
            times.stamp(part(row, "onset").get("first_bad")),
            times.stamp(part(row, "recovery").get("first_good")),
            words.number(part(row, "impact").get("servfail")),
        )
        for row in incidents[:LISTED]
    ]
    heads = ("Zone", "Severity", "Reason", "First bad (UTC)", "Good again (UTC)", "Failed lookups:")
    more = len(incidents) - len(lines)
    rest = f"{words.counted(more, 'more incident')} in report.json." if more else ""
    return ["## Further incidents", table(heads, lines), rest] if lines else []


def _matrix(report: Report, *, only_bad: bool) -> list[str]:
    """Draw server by serial, a table a zone and record type; name those that were all good.

    `only_bad` leaves out what is good at every server or serial.
    """
    blocks, fine = [], []
    for one in matrix(report):
        if not one["bad"]:
            fine.append(markdown(one["title"]))
            continue
        lines = [
            [code(line["head"]), *(_cell(cell) for cell in line["cells"])]
            for line in one["lines"]
            if not only_bad or any(cell and cell[1] for cell in line["cells"])
        ]
        heads = [one["corner"], *(code(head) for head in one["heads"])]
        less = len(one["lines"]) - len(lines)
        more = f"{words.counted(less, 'further row')}, all good, in report.html." if less else ""
        title = f"### {markdown(one['title'])} by server and serial"
        blocks += [title, table(heads, lines), more]
    return [*blocks, f"All good: {', '.join(fine)}." if fine else ""]


def _cell(cell: Sequence[int] | None) -> str:
    """Write good and bad of one cell."""
    good, bad = cell or (0, 0)
    if not good and not bad:
        return times.NONE
    return " / ".join(
        text
        for text, count in ((f"{good:,} good", good), (f"**{bad:,} bad**", bad))
        if count
    )  # fmt: skip


def _baseline(report: Report) -> list[str]:
    """Say what differs from the report that this one was held against."""
    told = part(report, "baseline")
    if not told:
        return []
    alone = [
        (
            side,
            code(str(row.get("zone", "?"))),
            markdown(words.phrase(row.get("reason", "?"))),
            times.stamp(row.get("first_bad")),
            markdown(str(row.get("lasted", "?"))),
            words.number(row.get("servfail")),
        )
        for name, side in (("new", "here"), ("gone", "baseline"))
        for row in rows(told.get(name))
    ]
    heads = ("Only in", "Zone", "Reason", "First bad (UTC)", "Lasted", "Failed lookups:")
    blocks = [
        "## Against the baseline",
        f"Baseline: {code(str(told.get('path', '?')))}. {markdown(str(told.get('sentence', '')))}",
        table(heads, alone),
    ]
    for row in rows(told.get("both")):
        zone, reason = str(row.get("zone", "?")), words.phrase(row.get("reason", "?"))
        differences = table(
            ("What", "Baseline", "Here"),
            (
                [
                    markdown(str(one.get("what", "?"))),
                    *(markdown(comparison.cell(one, side, times.stamp)) for side in _SIDES),
                ]
                for one in rows(row.get("differences"))
            ),
        )
        blocks += [f"### In both: {markdown(f'{zone}, {reason}')}", differences or "No difference."]
    return blocks


_SIDES: Final = ("there", "here")


def _quoted(text: str) -> str:
    """Quote what comes from the capture; nothing stays nothing."""
    return code(text) if text else ""


def _lookups(report: Report) -> list[str]:
    """Count failed lookups by kind, verdicts, and testimony against evidence."""
    triage, verdicts = part(report, "triage"), part(part(report, "counts"), "verdicts")
    agreement, cases = part(report, "agreement"), part(report, "triage_cases")
    return [
        "## Lookups, and what resolvers said",
        table(
            ("Failed lookups", "Meaning", "Number:", "Typical case", "Its first frame"),
            (
                (label, meaning, words.number(triage.get(key, 0)), *map(_quoted, told))
                for key, label, meaning in words.TRIAGE
                for told in (words.triage_case(cases.get(key)),)
            ),
        ),
        table(
            ("Verdict", "Meaning", "Number:"),
            (
                (name, meaning, words.number(verdicts.get(name, 0)))
                for name, meaning in words.STATUSES
            ),
        ),
        (
            "What resolvers said agreed with these verdicts in "
            f"{words.counted(agreement.get('agree', 0), 'case')}, and disagreed in "
            f"{words.number(agreement.get('disagree', 0))}."
        ),
    ]


def _events(report: Report, most: int) -> list[str]:
    """List the first events."""
    events = rows(report.get("events"))
    omitted = report.get("events_omitted")
    left = len(events) - most + (omitted if isinstance(omitted, int) else 0)
    listed = table(
        ("Time (UTC)", "Kind", "Zone", "Place", "What", "Display filter", "Capture"),
        (
            (
                times.stamp(row.get("at")),
                markdown(words.phrase(row.get("kind") or "")),
                code(str(row.get("zone") or "")),
                code(str(row.get("place") or "")),
                markdown(str(row.get("text") or "")),
                display_filter(row),
                code(str(row.get("capture") or "")),
            )
            for row in events[:most]
        ),
    )
    more = f"{words.number(left)} more stand in `timeline.jsonl`." if left > 0 else ""
    return ["## Events", listed, more] if listed else []


LEDGER_HEADS: Final = ("File", *(f"{head}:" for head in words.LEDGER.values()), "Sum")


def _inputs(report: Report) -> list[str]:
    """List the inputs, and what could not be read."""
    captures = rows(report.get("captures"))
    losses = [
        (
            code(str(row.get("capture", "?"))),
            markdown(words.phrase(row.get("reason", "?"))),
            words.number(row.get("count")),
            words.octets(row.get("octets")),
            words.number(row.get("offset")),
            display_filter(row),
            markdown(str(row.get("detail") or "")),
        )
        for row in rows(report.get("losses"))
    ]
    carried = [
        (code(str(row.get("path", "?"))), code(name), words.number(count))
        for row in captures
        for name, count in part(row, "encapsulations").items()
    ]
    heads = ("Capture", "Lost", "Count:", "Size:", "First offset:", "First frame", "Detail")
    return [
        "## Inputs",
        table(
            ("File", "Format", "Packets:", "DNS messages:", "First (UTC)", "Last (UTC)", "SHA-256"),
            (
                (
                    code(str(row.get("path", "?"))),
                    code(str(row.get("format", "?"))),
                    words.number(row.get("packets")),
                    words.number(row.get("messages")),
                    times.stamp(row.get("first")),
                    times.stamp(row.get("last")),
                    code(str(row.get("sha256", "?"))),
                )
                for row in captures
            ),
        ),
        *titled("Where every octet went", table(LEDGER_HEADS, _ledgers(captures))),
        *titled("Encapsulations", table(("Capture", "Encapsulation", "Packets:"), carried)),
        *titled("Losses", table(heads, losses)),
    ]


def _ledgers(captures: Sequence[Row]) -> list[tuple[str, ...]]:
    """Account for the octets of each input."""
    return [
        (
            code(str(row.get("path", "?"))),
            *(words.number(ledger.get(name)) for name in words.LEDGER),
            words.adds_up(ledger),
        )
        for row in captures
        if (ledger := part(row, "ledger"))
    ]


def _method(report: Report) -> list[str]:
    """Say how it was judged, and with which options."""
    covered = window(report)
    tool = part(report, "tool")
    name = " ".join(str(tool[key]) for key in ("name", "version") if tool.get(key))
    options = [
        f"- {markdown(words.phrase(key))}: {code(_option(value))}"
        for key, value in part(report, "options").items()
        if value not in (None, False, [], {})
    ]
    return [
        "## Method and limits",
        (
            "Every signature was checked with every key that the captures show for its zone, by "
            "the time of the capture. A beginning or an end is a bracket between two sightings, "
            "because between them nobody looked. Missing evidence accuses nobody. An extended DNS "
            "error is the claim of whoever sent it."
        ),
        f"Made by {markdown(name or 'dns-forensics')}"
        + (f" for {markdown(times.span(*covered))}." if covered else "."),
        "\n".join(options),
    ]


def _option(value: Any) -> str:
    """Write the value of an option."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
