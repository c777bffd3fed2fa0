"""One incident as a chapter of report.md."""

from __future__ import annotations

from collections.abc import Sequence

from forensics.report import times, words
from forensics.report.account import Report, Row, bracket, duration, part, rows
from forensics.report.citations import Citations
from forensics.report.escape import code, markdown
from forensics.report.tables import display_filter, table, titled


def chapter(incident: Row, report: Report) -> list[str]:
    """Write one incident: brackets, evidence, servers, signers, resolvers, acts."""
    cited = Citations(report, incident)
    onset, recovery = part(incident, "onset"), part(incident, "recovery")
    zone = str(incident.get("zone", "?"))
    servers, impact = rows(incident.get("servers")), part(incident, "impact")
    ends = (onset.get("last_good"), onset.get("first_bad"))
    outs = (recovery.get("last_bad"), recovery.get("first_good"))
    began = cited.pair(("last good", ends[0]), ("first bad", ends[1]))
    over = cited.pair(("last bad", outs[0]), ("first good", outs[1]))
    facts = [
        f"Onset (UTC): {markdown(bracket(*ends, 'good', 'bad'))}{began}",
        f"Recovery (UTC): {markdown(bracket(*outs, 'bad', 'good'))}{over}",
        f"Lasted {markdown(duration(incident))}",
        "Impact: "
        + ", ".join(
            f"{words.number(value)} {markdown(words.phrase(name))}"
            for name, value in impact.items()
            if not isinstance(value, dict)
        ),
        f"Record types: {markdown(', '.join(map(str, incident.get('types') or ['?'])))}",
        *(f"Pattern: {_pattern(row)}" for row in rows(incident.get("patterns"))),
        *(
            f"Phase: {markdown(words.phrase(row.get('reason', '?')))}, "
            f"{cited.stamp(row.get('from'))} to {cited.stamp(row.get('to'))} UTC"
            for row in _phases(incident)
        ),
        *(markdown(str(note)) for note in incident.get("notes") or []),
    ]
    head = f"{zone}: {words.phrase(incident.get('reason', '?'))}"
    severity = words.SEVERITY_WORDS.get(str(incident.get("severity")), "Incident")
    confidence = f"{incident.get('confidence', 'weak')} evidence"
    return [
        f"## {markdown(head)}",
        f"*{markdown(', '.join((severity, confidence, _view(incident))))}*",
        markdown(str(incident.get("sentence") or "")),
        markdown(words.explanation(incident.get("reason"), zone)),
        "\n".join(f"- {fact}" for fact in facts),
        *titled("Evidence", _evidence(incident)),
        *titled("Servers", _servers(servers, cited)),
        *titled("Who signed", _signers(incident)),
        *titled("Who would refuse it, and when", _validity(incident)),
        *titled("Resolvers", _resolvers(incident)),
        *titled("What was done", _acts(incident, cited)),
        *titled("What resolvers logged", _testimony(incident)),
        *titled("The chain of trust then", _chain(incident)),
        *_quote(incident),
    ]


def _phases(incident: Row) -> Sequence[Row]:
    """Give the phases, if the reason ever changed."""
    phases = rows(incident.get("phases"))
    return phases if len(phases) > 1 else ()


def _view(incident: Row) -> str:
    """Name the view that the incident was judged by."""
    return f"{incident.get('view', 'published')} view"


def _pattern(row: Row) -> str:
    """Write a pattern: its name, what it means, its figures."""
    kind = str(row.get("kind", "?"))
    figures = words.figures(row.get("figures"))
    meaning = words.PATTERNS.get(kind)
    text = f"{words.phrase(kind)}: {meaning}" if meaning else words.phrase(kind)
    return markdown(f"{text} ({figures})" if figures else text)


def _evidence(incident: Row) -> str:
    """List the frames that prove it, and name the file that holds their packets."""
    file = incident.get("evidence_file")
    cut_out = f"\n\nTheir packets, each with a comment, are in {code(str(file))}." if file else ""
    listed = table(
        ("Shows", "Time (UTC)", "Display filter", "Capture"),
        (
            (
                markdown(words.phrase(row.get("shows", "?"))),
                times.stamp(row.get("time")),
                display_filter(row),
                code(str(row.get("capture", "?"))),
            )
            for row in rows(incident.get("evidence"))
        ),
    )
    return listed and listed + cut_out


def _servers(servers: Sequence[Row], cited: Citations) -> str:
    """List good and bad sightings and both brackets by server."""
    return table(
        (
            "Server", "NSID", "Good:", "Bad:",
            "Last good (UTC)", "First bad (UTC)", "Last bad (UTC)", "Good again (UTC)",
        ),
        (
            (
                code(str(row.get("address", "?"))),
                code(str(row.get("nsid") or "")),
                words.number(row.get("good")),
                words.number(row.get("bad")),
                cited.stamp(part(row, "onset").get("last_good")),
                cited.stamp(part(row, "onset").get("first_bad") or row.get("first_bad")),
                cited.stamp(part(row, "recovery").get("last_bad")),
                cited.stamp(part(row, "recovery").get("first_good")),
            )
            for row in servers
        ),
    )  # fmt: skip


def _signers(incident: Row) -> str:
    """List the keys that made the signatures."""
    return table(
        ("Key", "Published", "Signatures:"),
        (
            (
                markdown(_key(row)),
                "yes" if row.get("published") else _unpublished(row),
                words.number(row.get("signatures")),
            )
            for row in rows(incident.get("signers"))
        ),
    )


def _unpublished(row: Row) -> str:
    """Say what is known of a signer that was never published."""
    if row.get("recoverable") is False:
        return "**never**; EdDSA signatures do not reveal their key"
    return "**never**, recovered from its signatures" if row.get("recovered") else "**never**"


def _key(row: Row) -> str:
    """Name a key by tag and algorithm."""
    return f"{row.get('tag', '?')} ({words.algorithm(row.get('algorithm', '?'))})"


def _validity(incident: Row) -> str:
    """List by policy when a signature is refused that was bad by its time."""
    told = part(incident, "validity")
    listed = table(
        ("Validator (default settings)", "Would refuse from (UTC)", "Would refuse until (UTC)"),
        (
            (
                markdown(str(row.get("policy", "?"))),
                times.stamp(row.get("would_refuse_from")),
                times.stamp(row.get("would_refuse_until")),
            )
            for row in rows(told.get("policies"))
        ),
    )
    return listed and f"{markdown(str(told.get('sentence') or ''))}\n\n{listed}"


def _resolvers(incident: Row) -> str:
    """List what resolvers told their clients."""
    return table(
        ("Resolver", "SERVFAIL:", "Answered:", "Said"),
        (
            (
                code(words.place(row)),
                words.number(row.get("servfail")),
                words.number(row.get("answered")),
                markdown(
                    ", ".join(
                        f"{words.ede(said) or said}: {words.number(count)}"
                        for said, count in part(row, "ede").items()
                    )
                ),
            )
            for row in rows(incident.get("resolvers"))
        ),
    )


def _acts(incident: Row, cited: Citations) -> str:
    """List what the operator and the resolvers did."""
    lines = [
        (
            cited.stamp(row.get("at")),
            "operator",
            markdown(f"{words.phrase(row.get('event', '?'))}: {row.get('detail') or ''}"),
        )
        for row in rows(incident.get("history"))
    ]
    lines += [
        (
            cited.stamp(row.get("at")),
            code(str(row["resolver"])) if row.get("resolver") else "operator",
            markdown(
                f"{words.MITIGATIONS.get(str(row.get('kind'))) or words.phrase(row.get('kind'))} "
                f"({row.get('basis', '?')})"
            ),
        )
        for row in rows(incident.get("mitigations"))
    ]
    return table(("Time (UTC)", "By", "Act"), lines)


def _testimony(incident: Row) -> str:
    """List the validation failures in the logs that were given, with their own words."""
    return table(
        ("Log", "Written by", "Failures:", "First (UTC)", "Last (UTC)", "In its own words"),
        (
            (
                code(str(row.get("log", "?"))),
                markdown(str(row.get("format", "?"))),
                words.number(row.get("failures")),
                times.stamp(row.get("first")),
                times.stamp(row.get("last")),
                "; ".join(
                    f"{markdown(str(said.get('text', '?')))} ({words.number(said.get('count'))})"
                    for said in rows(row.get("words"))
                ),
            )
            for row in rows(incident.get("testimony"))
        ),
    )


def _chain(incident: Row) -> str:
    """List the links of the chain of trust, the root first."""
    return table(
        ("Zone", "Link", "Status", "Key", "Display filter"),
        (
            (
                code(str(row.get("zone", "?"))),
                markdown(words.phrase(row.get("link", "?"))),
                markdown(_status(row)),
                ", ".join(str(key.get("tag", "?")) for key in rows(row.get("keys"))),
                " ".join(display_filter({"frame": at}) for at in (row.get("frames") or [])[:4]),
            )
            for row in rows(incident.get("chain"))
        ),
    )


def _status(link: Row) -> str:
    """Write a link's status, with the reason where there is one."""
    reason = link.get("reason")
    status = str(link.get("status", "?"))
    return status if reason in (None, "none") else f"{status}: {words.phrase(reason)}"


def _quote(incident: Row) -> list[str]:
    """Quote one failing answer, line by line as code."""
    quote = part(incident, "quote")
    lines = [code(str(line)) for line in quote.get("lines") or []]
    if not lines:
        return []
    where = " in ".join(
        filter(None, (display_filter(quote), code(str(quote.get("capture") or ""))))
    )
    return ["### One failing answer", where, "\n".join(f"> {line}<br>" for line in lines if line)]
