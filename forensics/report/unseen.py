"""What an incident's captures leave open, in plain sentences; and what those of the run do."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.report import times, words
from forensics.report.account import Report, Row, part, rows


def unseen(incident: Row) -> Iterator[str]:
    """Give a sentence for each thing that nobody could see of an incident."""
    onset, recovery = part(incident, "onset"), part(incident, "recovery")
    yield _gap("It began", onset.get("last_good"), onset.get("first_bad")) or (
        "When it began: nothing comparable was seen good before the first bad answer."
    )
    yield _gap("It ended", recovery.get("last_bad"), recovery.get("first_good")) or (
        "When it ended: not everything that was bad was seen good again in these captures."
    )
    open_ends = [
        row
        for row in rows(incident.get("strata"))
        if row.get("last_bad") and not row.get("first_good")
    ]
    if open_ends and recovery.get("first_good"):
        named = sorted({f"{words.place(row)} ({row.get('class', '?')})" for row in open_ends})
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        yield f"Not seen good again by themselves: {', '.join(named[:6])}{more}."
    if incident.get("confidence") == "weak":
        yield f"The evidence is weak: {words.CONFIDENCE_MEANINGS['weak']}."
    if any(row.get("recoverable") is False for row in rows(incident.get("signers"))):
        yield "Which key made the bad signatures: EdDSA signatures do not reveal their key."
    if any(row.get("basis") == "inferred" for row in rows(incident.get("mitigations"))):
        yield (
            "Measures marked as inferred are concluded from answers; when an operator acted, and "
            "whether others did too, no packet says."
        )
    if not rows(incident.get("resolvers")):
        yield "Whom it hurt: no answer of a resolver to a client is in these captures."
    elif not rows(incident.get("testimony")):
        yield "What resolvers logged: no log was given, or none tells of it (`--resolver-log`)."


def _gap(event: str, before: object, after: object) -> str:
    """Say how long nobody looked at an end of it; empty where one side was not seen."""
    early, late = times.parse(before), times.parse(after)
    if early is None or late is None or late < early:
        return ""
    return f"{event} within {times.length(late - early)} in which nobody looked."


def unseen_of_all(report: Report) -> Iterator[str]:
    """Give a sentence for each thing that could not be judged or read in the whole run."""
    indeterminate = part(part(report, "counts"), "verdicts").get("indeterminate")
    if isinstance(indeterminate, int) and indeterminate:
        yield (
            f"{words.counted(indeterminate, 'verdict')} stayed open: a key, a delegation or a part "
            "of the answer is not in the captures. They accuse nobody."
        )
    unanswered = part(report, "counts").get("unanswered")
    if isinstance(unanswered, int) and unanswered:
        one = "query has" if unanswered == 1 else "queries have"
        yield f"{words.number(unanswered)} {one} no answer in the captures."
    lost = sum(
        count
        for row in rows(report.get("captures"))
        for count in part(row, "losses").values()
        if isinstance(count, int)
    )
    if lost:
        yield f"{words.number(lost)} packets or records were lost or left out, as listed below."
    else:
        yield "Every packet of the inputs could be read."
