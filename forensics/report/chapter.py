"""One incident as a chapter of report.md, in the order in which post-mortems are written.

Timeline, cause, impact, mitigation, detection, what could not be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forensics.report import grounds, times, words
from forensics.report.account import Report, Row, bracket, duration, part, rows
from forensics.report.citations import Citations
from forensics.report.escape import code, markdown
from forensics.report.heldtable import held_table
from forensics.report.tables import display_filter, table, titled
from forensics.report.unseen import unseen


def chapter(incident: Row, report: Report, *, brief: bool = False) -> list[str]:
    """Write one incident; `brief`: what happened and why, and where the rest stands."""
    cited = Citations(report, incident)
    zone = str(incident.get("zone", "?"))
    head = f"{zone}: {words.phrase(incident.get('reason', '?'))}"
    severity = words.SEVERITY_WORDS.get(str(incident.get("severity")), "Incident")
    confidence = f"{incident.get('confidence', 'weak')} evidence"
    first = _shown_by(incident, "first-bad")
    opening = [
        f"## {markdown(head)}",
        f"*{markdown(', '.join((severity, confidence, _view(incident))))}*",
        markdown(str(incident.get("sentence") or "")),
    ]
    if brief:
        ends = [_ends(incident, cited), _cause(incident, cited), _impact(incident)]
        rest = "Its tables stand in report.html and report.json."
        return [*opening, "\n".join(filter(None, ends)), _cut_out(incident), rest]
    return [
        *opening,
        "### Timeline (UTC)",
        _ends(incident, cited),
        _local(incident, report),
        _timeline(incident),
        _cut_out(incident),
        "### Cause",
        markdown(words.explained(incident)),
        _cause(incident, cited),
        *_labelled(f"Who signed{first}:", grounds.signers(incident)),
        *_labelled(f"Keys then{_shown_by(incident, 'key-set')}:", grounds.keys(incident)),
        *_labelled(f"Who would refuse it, and when{first}:", grounds.validity(incident)),
        *_labelled("The chain of trust at the first bad answer:", grounds.chain(incident)),
        "### Impact",
        _impact(incident),
        *_labelled("Servers:", grounds.servers(incident, cited)),
        *_labelled("Resolvers, by what they told their clients:", grounds.resolvers(incident)),
        *_labelled("What each resolver held, and until when:", held_table(report, zone)),
        "### Mitigation",
        _mitigation(incident, cited) or "None was seen in these captures.",
        *_bullets(markdown(str(note)) for note in incident.get("notes") or []),
        "### Detection",
        _detection(incident, cited),
        *_quote(incident),
        *titled("What resolvers logged", grounds.testimony(incident)),
        "### What we could not see",
        *_bullets(markdown(text) for text in unseen(incident)),
    ]


def _bullets(lines: Iterator[str] | Sequence[str]) -> list[str]:
    """List finished lines; nothing where there are none."""
    found = "\n".join(f"- {line}" for line in lines)
    return [found] if found else []


def _shown_by(incident: Row, what: str) -> str:
    """Give ` (first bad: frame 7)` of the evidence that shows it."""
    found = next((row for row in rows(incident.get("evidence")) if row.get("shows") == what), {})
    frame = found.get("frame")
    return f" ({markdown(words.phrase(what))}: frame {frame})" if isinstance(frame, int) else ""


def _labelled(label: str, block: str) -> list[str]:
    """Put a line over a table, if there is one."""
    return [label, block] if block else []


def _view(incident: Row) -> str:
    """Name the view that the incident was judged by."""
    return f"{incident.get('view', 'published')} view"


def _ends(incident: Row, cited: Citations) -> str:
    """Give onset, recovery and length, each end with its frame."""
    onset, recovery = part(incident, "onset"), part(incident, "recovery")
    ends = (onset.get("last_good"), onset.get("first_bad"))
    outs = (recovery.get("last_bad"), recovery.get("first_good"))
    began = cited.pair(("last good", ends[0]), ("first bad", ends[1]))
    over = cited.pair(("last bad", outs[0]), ("first good", outs[1]))
    return "\n".join(
        [
            f"- Onset: {markdown(bracket(*ends, 'good', 'bad'))}{began}",
            f"- Recovery: {markdown(bracket(*outs, 'bad', 'good'))}{over}",
            f"- Lasted {markdown(duration(incident))}",
        ]
    )


def _local(incident: Row, report: Report) -> str:
    """Give the ends in the time zone that was asked for, labelled with it."""
    zone = times.zone_named(part(report, "options").get("timezone"))
    if zone is None:
        return ""
    onset, recovery = part(incident, "onset"), part(incident, "recovery")
    ends = (
        ("last good", onset), ("first bad", onset), ("last bad", recovery), ("first good", recovery)
    )  # fmt: skip
    told = [
        f"{name} {times.local(time, zone)}"
        for name, row in ends
        if (time := row.get(name.replace(" ", "_")))
    ]
    return markdown(f"In {zone}: {', '.join(told)}.")


def _timeline(incident: Row) -> str:
    """List what was seen and what was done, each with the frame that shows it."""
    found = [
        (row.get("time"), "observed", markdown(words.phrase(row.get("shows", "?"))), row)
        for row in rows(incident.get("evidence"))
    ]
    found += [(row.get("at"), *_act(row), row) for row in rows(incident.get("history"))]
    found += [(row.get("at"), *_measure(row), row) for row in rows(incident.get("mitigations"))]
    dated = sorted(
        ((times.parse(at), at, who, what, row) for at, who, what, row in found),
        key=lambda line: (line[0] is None, line[0] or 0),
    )
    return table(
        ("Time (UTC)", "By", "What", "Display filter", "Capture"),
        (
            (
                times.stamp(at),
                who,
                what,
                display_filter(row),
                code(str(row.get("capture") or "")) if row.get("frame") else "",
            )
            for _, at, who, what, row in dated
        ),
    )


def _act(row: Row) -> tuple[str, str]:
    """Tell of an act of the operator."""
    return "operator", markdown(f"{words.phrase(row.get('event', '?'))}: {row.get('detail') or ''}")


def _measure(row: Row) -> tuple[str, str]:
    """Tell who mitigated, and how; by what that is known."""
    who = code(str(row["resolver"])) if row.get("resolver") else "operator"
    named = words.MITIGATIONS.get(str(row.get("kind"))) or words.phrase(row.get("kind"))
    return who, markdown(f"{named} ({row.get('basis', '?')})")


def _cut_out(incident: Row) -> str:
    """Name the file that holds the packets."""
    file = incident.get("evidence_file")
    return f"The packets that prove it, each with a comment: {code(str(file))}." if file else ""


def _cause(incident: Row, cited: Citations) -> str:
    """Give the act that caused it, the reasons through time, and the pattern of places."""
    cause = part(incident, "cause")
    lines = []
    if cause.get("after") or cause.get("before"):
        edges = [
            f"{name} {cited.stamp(cause[name])}" for name in ("after", "before") if cause.get(name)
        ]
        detail = str(cause.get("detail") or "")
        lines.append(f"Act (UTC): {', '.join(edges)}" + (f": {markdown(detail)}" if detail else ""))
    phases = rows(incident.get("phases"))
    lines += [
        f"Phase: {markdown(words.phrase(row.get('reason', '?')))}, "
        f"{cited.stamp(row.get('from'))} to {cited.stamp(row.get('to'))} UTC"
        for row in (phases if len(phases) > 1 else ())
    ]
    lines += [f"Pattern: {_pattern(row)}" for row in rows(incident.get("patterns"))]
    return "\n".join(f"- {line}" for line in lines)


def _pattern(row: Row) -> str:
    """Write a pattern: its name, what it means, its figures."""
    kind = str(row.get("kind", "?"))
    figures = words.figures(row.get("figures"))
    meaning = words.PATTERNS.get(kind)
    text = f"{words.phrase(kind)}: {meaning}" if meaning else words.phrase(kind)
    return markdown(f"{text} ({figures})" if figures else text)


def _impact(incident: Row) -> str:
    """Count whom it hurt."""
    impact = part(incident, "impact")
    counted = [
        f"{words.number(value)} {markdown(words.phrase(name))}"
        for name, value in impact.items()
        if not isinstance(value, dict)
    ]
    domains = part(impact, "domains")
    if domains:
        signed, unsigned = (words.number(domains.get(kind)) for kind in ("signed", "unsigned"))
        counted.append(f"registrable domains: {signed} signed, {unsigned} unsigned")
    kinds = ", ".join(map(str, incident.get("types") or ["?"]))
    quoted = part(incident, "quote").get("frame")
    lines = [f"- Impact: {', '.join(counted)}", f"- Record types: {markdown(kinds)}"]
    if isinstance(quoted, int):
        lines.append(f"- One failing answer: frame {quoted}, quoted below")
    return "\n".join(lines)


def _mitigation(incident: Row, cited: Citations) -> str:
    """List what the operator and the resolvers did against it."""
    return table(
        ("Time (UTC)", "By", "Measure"),
        ((cited.stamp(row.get("at")), *_measure(row)) for row in rows(incident.get("mitigations"))),
    )


def _detection(incident: Row, cited: Citations) -> str:
    """Say when it could have been seen, when clients were hurt, and what resolvers called it."""
    bad = part(incident, "onset").get("first_bad")
    failures = [row for row in rows(incident.get("evidence")) if row.get("shows") == _HURT]
    lines = [f"A monitor that validates could have seen it from {cited.stamp(bad)} UTC on."]
    began = times.parse(bad)
    for row in failures[:1]:
        told = times.parse(row.get("time"))
        late = f", {times.length(told - began)} later" if told and began and told > began else ""
        lines.append(
            f"The first lookup of a client failed at {cited.stamp(row.get('time'))} UTC{late}."
        )
    if not failures:
        lines.append("No failed lookup of a client is in these captures.")
    said: dict[str, int] = {}
    for resolver in rows(incident.get("resolvers")):
        for claim, count in part(resolver, "ede").items():
            name = words.ede(claim) or str(claim)
            said[name] = said.get(name, 0) + (count if isinstance(count, int) else 0)
    if said:
        told_of = ", ".join(f"{name}: {words.number(count)}" for name, count in said.items())
        lines.append(f"Resolvers named it themselves (their claims): {markdown(told_of)}.")
    elif rows(incident.get("resolvers")):
        lines.append("No resolver sent an extended DNS error about it.")
    return "\n".join(f"- {line}" for line in lines)


_HURT = "client-failure"


def _quote(incident: Row) -> list[str]:
    """Quote one failing answer, line by line as code."""
    quote = part(incident, "quote")
    lines = [code(str(line)) for line in quote.get("lines") or []]
    if not lines:
        return []
    where = " in ".join(
        filter(None, (display_filter(quote), code(str(quote.get("capture") or ""))))
    )
    return [f"One failing answer: {where}", "\n".join(f"> {line}<br>" for line in lines if line)]
