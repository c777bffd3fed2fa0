"""The course of a chain of trust as the page draws it: links and states, as lines of text."""

from __future__ import annotations

from typing import Any, Final

from forensics.report import times, words
from forensics.report.account import Row, part, rows
from forensics.report.escape import xml

STATUSES: Final = frozenset({"secure", "valid", "bogus", "insecure", "indeterminate"})


def marked(incident: Row) -> list[dict[str, Any]]:
    """Give the states of the story, each with its chain: for paper, and without scripts."""
    told = part(incident, "course")
    links = rows(told.get("links"))
    return [
        {**state, "chain": [links[at] for at in _numbers(state) if at < len(links)]}
        for state in rows(told.get("states"))
        if state.get("marked")
    ]


def course(incident: Row) -> str:
    """Give all states of an incident's chain for the page's script; empty: it has none.

    Each field is a line, and the first of a link or state says what it is. `L`: zone, link in
    words, status, reason in words, keys, time, frame, capture, time until which its signature is
    valid. `S`: ms since 1970, time, status, reason in words, numbers of its links with commas.
    Made visible, no field holds a line break; escaped, none holds markup.
    """
    told = part(incident, "course")
    lines: list[str] = []
    has_states = False
    for link in rows(told.get("links")):
        fields = (
            str(link.get("zone", "?")), words.link_name(link), status_of(link), reason_of(link),
            words.keys_of(rows(link.get("keys"))), _stamp(link.get("time")),
            str(link.get("frame") or ""), str(link.get("capture") or ""),
            _stamp(link.get("valid_until")),
        )  # fmt: skip
        lines += map(xml, ("L", *fields))
    for state in rows(told.get("states")):
        time = times.parse(state.get("at"))
        if time is None:
            continue
        # Rounded up: an instant chosen to the millisecond never shows what came after it.
        at = str(-(-time // 1_000_000))
        numbers = ",".join(map(str, _numbers(state)))
        told_of = (times.stamp(state.get("at")), status_of(state), reason_of(state))
        lines += map(xml, ("S", at, *told_of, numbers))
        has_states = True
    return "\n".join(lines) if has_states else ""


def status_of(row: Row) -> str:
    """Give a status that the page has a style for."""
    status = str(row.get("status"))
    return status if status in STATUSES else "indeterminate"


def reason_of(row: Row) -> str:
    """Give a reason in words, nothing where all is well."""
    reason = row.get("reason")
    return "" if reason in (None, "none") else words.phrase(str(reason))


def _numbers(state: Row) -> list[int]:
    """Give the numbers of a state's links."""
    found = state.get("links")
    return [at for at in found if type(at) is int and at >= 0] if isinstance(found, list) else []


def _stamp(text: Any) -> str:
    """Give a time, nothing where there is none."""
    told = times.stamp(text)
    return "" if told == times.NONE else told
