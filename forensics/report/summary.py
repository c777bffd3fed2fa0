"""The answer in a few lines for a terminal: when, where, why, whom."""

from __future__ import annotations

import textwrap
from typing import Final

from forensics.report import words
from forensics.report.account import Report, account, part, rows
from forensics.report.escape import visible
from forensics.vocabulary import NOT_READ

WIDTH: Final = 88
"""Columns: fits an 80-column quote in a mail after wrapping, and the usual terminal."""

INCIDENTS_LISTED: Final = 8
"""Further incidents named in one line each; the report has them all."""

_JOINTS: Final = {"When": ". ", "Where": "; ", "Why": ". ", "Whom": ". "}
"""What parts the grounds of each answer: sentences, or items of a list."""

_COLOURS: Final = {"outage": "31;1", "partial": "31", "near-miss": "33", "": "32"}


def plain(text: str) -> str:
    """Make a text safe to print: a terminal must not obey what a packet or a path says."""
    return visible(text)


def render_summary(report: Report, *, colour: bool = False) -> str:
    """Tell the report in a few lines, without a line break at the end."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text

    told = account(report)
    code = _COLOURS.get(told.severity, "")
    lines = []
    for finding in told.urgent:
        name, sentence = words.finding(finding)
        lines += _wrapped(f"{name}: {sentence}", "! ", "  ")
    lines.append(paint(plain(told.kicker), code))
    lines += [paint(line, "1") for line in _wrapped(told.headline)]
    lines.append("")
    for fact in told.facts:
        joint = _JOINTS.get(fact.question, ", ")
        text = joint.join([fact.answer, *(text.rstrip(".") for text in fact.grounds)])
        head = f"{fact.question + ':':<8}" if len(fact.question) < 8 else f"{fact.question}: "
        first, *more = _wrapped(f"{text}.", head, " " * 8)
        lines += [paint(first[: len(head)], "1") + first[len(head) :], *more]
    if not told.incidents:
        lines += [line for text in told.deck for line in _wrapped(text)]
    elif len(told.incidents) > 1:
        lines += ["", f"Further incidents ({len(told.incidents) - 1}):"]
        for incident in told.incidents[1 : 1 + INCIDENTS_LISTED]:
            severity = words.SEVERITY_WORDS.get(str(incident.get("severity")), "Incident")
            reason = words.phrase(incident.get("reason", "?"))
            lines += _wrapped(f"{severity}: {incident.get('zone', '?')}, {reason}", "- ", "  ")
        if len(told.incidents) > 1 + INCIDENTS_LISTED:
            lines.append(f"- and {len(told.incidents) - 1 - INCIDENTS_LISTED} more")
    notes = [f"{name}: {text}" for name, text in map(words.finding, told.findings)]
    lost = sum(
        number
        for capture in rows(report.get("captures"))
        for reason, number in part(capture, "losses").items()
        if isinstance(number, int) and reason not in NOT_READ
    )
    if lost and not any(row.get("kind") == "losses" for row in told.findings):
        notes.append(f"Damaged input: {words.counted(lost, 'piece')} could not be read")
    if part(report, "baseline"):
        notes.insert(0, f"Against the baseline: {part(report, 'baseline').get('sentence', '')}")
    if notes:
        lines.append("")
        lines += [line for note in notes for line in _wrapped(note, "* ", "  ")]
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """Break a text into lines; a name longer than a line stays whole, to be copied."""
    return textwrap.wrap(
        plain(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]
