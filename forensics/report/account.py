"""What the report says first: the gravest incident, and when, where, why and whom it hurt.

The page, the Markdown file and the terminal summary tell the same story: they all render the
`Account` built here. Nothing is escaped yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from forensics.report import times, words

NOTHING_FOUND: Final = "No DNSSEC failure was found in these captures."
NOTHING_JUDGED: Final = "No signature was there to be judged, so nothing can be said of DNSSEC."
"""Where the captures, or the zone and times asked for, hold no signature."""

NOBODY_BLAMED: Final = (
    "Lookups failed because validation failed, but these captures show no zone at fault."
)
"""Where resolvers say so, or their clock is wrong: the findings tell what is known."""

HEADLINE_LENGTH: Final = 160
"""Characters of a headline that is left whole; a longer one is parted after its first sentence."""

_SENTENCE_END: Final = re.compile(r"\.\s+(?=[A-Z])")
"""A full stop before a capital: the dot at the end of a zone's name is followed by small letters,
or by the full stop of its sentence."""

SERVERS_NAMED: Final = 4
"""Servers named on the first screen; the incident's own table has them all."""

Report = Mapping[str, Any]
Row = Mapping[str, Any]


class Fact(NamedTuple):
    """One of the four answers: its question, the answer in a few words, and its grounds."""

    question: str
    answer: str
    grounds: tuple[str, ...]


class Account(NamedTuple):
    """The first screen.

    Attributes:
        severity: of the gravest incident; empty where there is none.
        kicker: a few words above the headline.
        headline: the plain sentence.
        deck: sentences below it.
        facts: when, where, why, whom.
        urgent: findings that change how all the rest is to be read.
        findings: the other findings.
        incidents: all incidents, the gravest first.
    """

    severity: str
    kicker: str
    headline: str
    deck: tuple[str, ...]
    facts: tuple[Fact, ...]
    urgent: tuple[Row, ...]
    findings: tuple[Row, ...]
    incidents: tuple[Row, ...]


def rows(value: Any) -> list[Row]:
    """Give the rows of a field that may be absent."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def part(row: Row, name: str) -> Row:
    """Give an object inside a row, empty where it is absent."""
    value = row.get(name)
    return value if isinstance(value, Mapping) else {}


def gravest_first(report: Report) -> tuple[Row, ...]:
    """Order incidents by severity, confidence and failed lookups; equals keep their order."""

    def weight(incident: Row) -> tuple[int, bool, float]:
        severity = incident.get("severity")
        rank = words.SEVERITIES.index(severity) if severity in words.SEVERITIES else 9
        return (
            rank,
            incident.get("confidence") != "strong",
            -_count(part(incident, "impact"), "servfail"),
        )

    return tuple(sorted(rows(report.get("incidents")), key=weight))


def window(report: Report) -> tuple[int, int] | None:
    """Give the time that the report covers: its own word, else from the captures."""
    given = part(report, "window")
    captures = rows(report.get("captures"))
    first = [time for row in captures if (time := times.parse(row.get("first"))) is not None]
    last = [time for row in captures if (time := times.parse(row.get("last"))) is not None]
    start, end = times.parse(given.get("from")), times.parse(given.get("to"))
    start = min(first, default=None) if start is None else start
    end = max(last, default=None) if end is None else end
    return None if start is None or end is None or end < start else (start, end)


def account(report: Report) -> Account:
    """Tell the report in the few words of a first screen."""
    incidents = gravest_first(report)
    found = rows(report.get("findings"))
    urgent = tuple(row for row in found if row.get("kind") in words.URGENT)
    others = tuple(row for row in found if row.get("kind") not in words.URGENT)
    if not incidents:
        return Account(
            "", "No incident", _nothing(report), _seen(report), _quiet(report), urgent, others, ()
        )
    first = incidents[0]
    headline, rest = _headline(str(first.get("sentence") or _sentence(first)))
    severity = str(first.get("severity") or "")
    confidence = str(first.get("confidence") or "weak")
    return Account(
        severity,
        " · ".join(
            [
                words.SEVERITY_WORDS.get(severity, severity or "Incident"),
                str(first.get("zone", "?")),
                f"{confidence} evidence",
            ]
        ),
        headline,
        (*rest, *_deck(first, len(incidents) - 1)),
        (when(first), where(first), why(first), whom(first)),
        urgent,
        others,
        incidents,
    )


def when(incident: Row) -> Fact:
    """Answer when it began and ended, as brackets, and how long it lasted."""
    onset, recovery = part(incident, "onset"), part(incident, "recovery")
    first_bad, last_bad = times.parse(onset.get("first_bad")), times.parse(recovery.get("last_bad"))
    first_good = times.parse(recovery.get("first_good"))
    if first_bad is None:
        return Fact("When", "unknown", ())
    end = first_good if first_good is not None else last_bad
    digits = times.digits_for(end - first_bad) if end is not None else 0
    answer = times.clock(first_bad, digits)
    if first_good is None:
        answer += " → no recovery seen"
    elif first_good // times.DAY == first_bad // times.DAY:
        answer += f" → {times.clock(first_good, digits)}"
    else:
        answer += f" → {times.day(first_good)}, {times.clock(first_good, digits)}"
    grounds = (
        f"{times.day(first_bad)}, UTC",
        f"Lasted {duration(incident)}",
        f"Onset: {bracket(onset.get('last_good'), onset.get('first_bad'), 'good', 'bad')}",
        f"Recovery: {bracket(recovery.get('last_bad'), recovery.get('first_good'), 'bad', 'good')}",
    )
    return Fact("When", answer, grounds)


def duration(incident: Row) -> str:
    """Give the length as its own bracket: from certainly bad to possibly bad."""
    onset, recovery = part(incident, "onset"), part(incident, "recovery")
    first_bad, last_bad = times.parse(onset.get("first_bad")), times.parse(recovery.get("last_bad"))
    if first_bad is None or last_bad is None:
        return "an unknown time"
    least = times.length(last_bad - first_bad)
    last_good = times.parse(onset.get("last_good"))
    first_good = times.parse(recovery.get("first_good"))
    if last_good is None or first_good is None:
        return f"at least {least}"
    most = times.length(first_good - last_good)
    return least if least == most else f"at least {least}, at most {most}"


def bracket(before: Any, after: Any, state: str, next_state: str) -> str:
    """Give a bracket in words: last sighting in one state, first in the next, and the gap."""
    early, late = times.parse(before), times.parse(after)
    gap = late - early if early is not None and late is not None else times.HOUR
    digits = max(times.digits_for(gap), 3)
    first = f"last {state} {times.clock(early, digits)}" if early is not None else ""
    second = f"first {next_state} {times.clock(late, digits)}" if late is not None else ""
    if early is None:
        return f"{second}; never seen {state} before" if second else "not seen"
    if late is None:
        return f"{first}; not seen {next_state} again"
    return f"{first}, {second} ({times.length(gap)} between them)"


def where(incident: Row) -> Fact:
    """Answer where: the zone, and its servers or resolvers that were bad."""
    servers = rows(incident.get("servers"))
    bad = [server for server in servers if _count(server, "bad")]
    named = [words.place(server) for server in bad[:SERVERS_NAMED]]
    if len(bad) > SERVERS_NAMED:
        named.append(f"and {len(bad) - SERVERS_NAMED} more")
    kinds = ", ".join(str(kind) for kind in (incident.get("types") or [])[:8])
    grounds = []
    if servers and incident.get("view") != "resolver":
        grounds.append(f"{len(bad)} of {words.counted(len(servers), 'server')} served bad data")
        grounds += named
    elif incident.get("resolvers"):
        grounds.append("Seen in answers of resolvers; no authority showed bad data")
        resolvers = rows(incident["resolvers"])
        hurt = [row for row in resolvers if _count(row, "bad")]
        hurt = hurt or [row for row in resolvers if _count(row, "servfail")]
        shown = hurt or resolvers
        grounds += [words.place(resolver) for resolver in shown[:SERVERS_NAMED]]
    if kinds:
        grounds.append(f"Record types: {kinds}")
    return Fact("Where", str(incident.get("zone", "?")), tuple(grounds))


def why(incident: Row) -> Fact:
    """Answer why: the reason, what it means, and how validators name it."""
    reason = incident.get("reason")
    named = [text for text in (words.ede(incident.get("ede")), words.source(reason)) if text]
    grounds = [words.explained(incident)]
    if named:
        grounds.append(" · ".join(named))
    return Fact("Why", words.phrase(reason or "unknown"), tuple(grounds))


def whom(incident: Row) -> Fact:
    """Answer whom it hurt."""
    impact = part(incident, "impact")
    failed, asked = _count(impact, "servfail"), _count(impact, "transactions")
    grounds = [
        " · ".join(
            words.counted(impact.get(key), noun)
            for key, noun in (("names", "name"), ("clients", "client"), ("zones", "zone"))
            if key in impact
        )
    ]
    if asked:
        zone = incident.get("zone", "?")
        grounds.append(f"{failed / asked:.0%} of {words.counted(asked, 'lookup')} for {zone} then")
    if _count(impact, "signed") + _count(impact, "unsigned"):
        grounds.append(
            f"{words.number(_count(impact, 'signed'))} for signed names, "
            f"{words.number(_count(impact, 'unsigned'))} for unsigned ones"
        )
    repeats = _count(impact, "repeats")
    if repeats:
        grounds.append(f"{words.number(repeats)} of them repeat a question that had just failed")
    if _count(impact, "retries") > repeats:
        again = _count(impact, "retries") - repeats
        grounds.append(f"{words.counted(again, 'retransmission')} not counted")
    answer = f"{words.counted(failed, 'lookup')} failed" if failed else "no failed lookup seen"
    return Fact("Whom", answer, tuple(text for text in grounds if text))


def _deck(incident: Row, more: int) -> tuple[str, ...]:
    """Say how sure it is, and that there is more."""
    severity, confidence = incident.get("severity"), incident.get("confidence")
    texts = []
    if severity in words.SEVERITY_MEANINGS:
        texts.append(f"{words.SEVERITY_WORDS[severity]}: {words.SEVERITY_MEANINGS[severity]}.")
    if confidence == "weak":
        texts.append(f"The evidence is weak: {words.CONFIDENCE_MEANINGS['weak']}.")
    if incident.get("view") == "resolver":
        texts.append("Judged by what the resolver held, not by what the zone published.")
    if more:
        texts.append(f"These captures show {words.counted(more, 'further incident')}.")
    return tuple(texts)


def _headline(text: str) -> tuple[str, tuple[str, ...]]:
    """Part a long account after its first sentence: the headline, and what stands below it."""
    end = _SENTENCE_END.search(text) if len(text) > HEADLINE_LENGTH else None
    return (text, ()) if end is None else (text[: end.start() + 1], (text[end.end() :],))


def _sentence(incident: Row) -> str:
    """Stand in for a sentence that the report lacks."""
    return f"{incident.get('zone', '?')} failed: {words.phrase(incident.get('reason', 'unknown'))}."


def _nothing(report: Report) -> str:
    """Say that nothing was found, that no zone was to blame, or that nothing was to be seen."""
    counts = part(report, "counts")
    if _count(part(report, "triage"), "validation"):
        return NOBODY_BLAMED
    return NOTHING_JUDGED if counts.get("sightings") == 0 else NOTHING_FOUND


def _seen(report: Report) -> tuple[str, ...]:
    """Say what was looked at where nothing was found."""
    counts = part(report, "counts")
    signatures = _count(counts, "signatures")
    read = words.counted(counts.get("packets"), "packet")
    held = words.counted(counts.get("messages"), "DNS message")
    judged = words.counted(signatures, "distinct signature")
    texts = [f"{read} with {held} were read, and {judged} judged."]
    if not signatures:
        texts.append("Without a signature in the capture nothing could be judged at all.")
    indeterminate = _count(part(counts, "verdicts"), "indeterminate")
    if indeterminate:
        texts.append(f"{words.counted(indeterminate, 'verdict')} stayed open for lack of evidence.")
    return tuple(texts)


def _quiet(report: Report) -> tuple[Fact, ...]:
    """Give the facts of a report without incidents: what was seen, and what failed otherwise."""
    counts, triage = part(report, "counts"), part(report, "triage")
    covered = window(report)
    facts = [
        Fact(
            "Covers",
            times.length(covered[1] - covered[0]) if covered else "no packets",
            (times.span(*covered),) if covered else (),
        ),
        Fact(
            "Seen",
            words.counted(counts.get("transactions"), "transaction"),
            tuple(
                f"{words.number(counts.get(kind))} {kind}"
                for kind in ("answered", "unanswered", "unsolicited")
            ),
        ),
    ]
    verdicts = part(counts, "verdicts")
    judged = [(name, _count(verdicts, name)) for name, _ in words.STATUSES]
    facts.append(
        Fact(
            "Judged",
            words.counted(sum(number for _, number in judged), "verdict"),
            tuple(f"{words.number(number)} {name}" for name, number in judged if number),
        )
    )
    failed = [(label, _count(triage, key)) for key, label, _ in words.TRIAGE if _count(triage, key)]
    facts.append(
        Fact(
            "Failed otherwise",
            words.counted(sum(number for _, number in failed), "lookup"),
            tuple(f"{words.number(number)} {label}" for label, number in failed),
        )
    )
    return tuple(facts)


def _count(row: Row, name: str) -> int:
    """Read a count that may be absent."""
    value = row.get(name)
    return value if isinstance(value, int) else 0


def shows(incident: Row) -> Mapping[str, Sequence[Row]]:
    """Group the evidence by what it shows."""
    groups: dict[str, list[Row]] = {}
    for row in rows(incident.get("evidence")):
        groups.setdefault(str(row.get("shows")), []).append(row)
    return groups
