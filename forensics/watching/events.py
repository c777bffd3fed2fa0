"""From a report to notices: what began, changed and recovered since the last report. Pure.

A report covers a horizon that moves, so one incident shows in many reports, its beginning perhaps
no longer among them. An event is what was told of one incident; `compare` holds each report
against the events that are known. Times are ns since 1970 UTC, of the capture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from forensics.report.times import parse
from forensics.watching import bounds

SCHEMA: Final = "dns-forensics/notice/1"

FAMILIES: Final = (
    ("signature-", "signature"),
    ("rrsig-", "signature"),
    ("denial-", "denial"),
    ("", "keys"),
)
"""Reasons whose beginning is alike are one event: the reason of one outage becomes clearer as keys
are seen."""

OPEN: Final = "open"
RECOVERED: Final = "recovered"
WITHDRAWN: Final = "withdrawn"

_SEVERITIES: Final = ("near-miss", "partial", "outage")
_CONFIDENCES: Final = ("weak", "strong")


@dataclass(frozen=True, slots=True)
class Event:
    """What was told of one incident.

    Attributes:
        id: stands in all its notices.
        zone, reason, view, severity, confidence: as last told.
        began: the first bad answer as first told.
        last_bad: the latest bad answer known.
        ended: the first good answer behind it; 0: not recovered.
        state: OPEN, RECOVERED or WITHDRAWN.
        servers: those that were ever bad, `address nsid`, sorted.
        told: notices so far.
        told_at: time of the capture at the last notice.
        seen: mark of the incident that it had in the last report, so that it has it again.
    """

    id: str
    zone: str
    reason: str
    view: str
    severity: str
    confidence: str
    began: int
    last_bad: int
    ended: int
    state: str
    servers: tuple[str, ...]
    told: int
    told_at: int
    seen: str = ""

    def row(self) -> dict[str, Any]:
        """Give it as JSON holds it."""
        return asdict(self)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Event:
        """Give back what `row` gave."""
        return cls(**{**row, "servers": tuple(row["servers"])})


Notice = dict[str, Any]


def family(reason: str) -> str:
    """Name the family of a reason."""
    return next(name for prefix, name in FAMILIES if reason.startswith(prefix))


def compare(
    known: Sequence[Event], report: Mapping[str, Any], horizon: int
) -> tuple[tuple[Event, ...], list[Notice]]:
    """Hold a report against what was told; give what is known now, and what is to be told.

    Nothing is told twice: of an unchanged report the second comparison tells nothing.

    Args:
        known: events, as this function gave them.
        report: the contents of report.json of the present horizon.
        horizon: ns; what is earlier is no longer among the inputs, so that its absence from the
            report says nothing.
    """
    now = parse(report["window"]["to"])
    if now is None:
        return tuple(known), []
    incidents = [one for one in report["incidents"] if one["severity"] != "near-miss"]
    pairs, fresh = _paired(known, incidents)
    kept: list[Event] = []
    notices: list[Notice] = []
    for event, incident in pairs:
        if incident is None:
            after, told = _missing(event, horizon, now)
        else:
            after, told = _continued(event, incident, now)
        notices += told
        if after.state == OPEN or max(after.ended, after.last_bad) >= horizon:
            kept.append(after)
    for incident in sorted(fresh, key=_span):
        if _span(incident)[1] < horizon or _is_part(incident, kept):
            continue
        begun = _begun(incident, now)
        if begun is None:
            continue
        event, notice = begun
        if any(event.id == other.id for other in (*known, *kept)):
            continue  # an event that began so goes by another reason now
        notices.append(notice)
        # What came and went since the last look is told as both.
        event, told = _continued(event, incident, now)
        notices += told
        kept.append(event)
    kept.sort(key=lambda event: (event.began, event.zone, event.id))
    return tuple(kept[-bounds.EVENTS :]), notices


def _span(incident: Mapping[str, Any]) -> tuple[int, int]:
    """Give first and last bad answer of an incident."""
    first = parse(incident["onset"]["first_bad"]) or 0
    return first, max(first, parse(incident["recovery"]["last_bad"]) or 0)


def _paired(
    known: Sequence[Event], incidents: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[Event, Mapping[str, Any] | None]], list[Mapping[str, Any]]]:
    """Find each event's incident: the one it had, one of its reason and view, else as near.

    Returns:
        the events with their incidents, None: it shows no more; and incidents without event.
    """
    free = sorted(incidents, key=_span)
    found: dict[int, Mapping[str, Any]] = {}
    for alike in (_is_seen, _is_begun, _is_same, _is_like, _is_any):
        for number, event in enumerate(known):
            fitting = [
                incident
                for incident in free
                if event.zone == incident["zone"]
                and _is_joined(event, incident)
                and alike(event, incident)
            ]
            if fitting and number not in found:
                found[number] = min(fitting, key=lambda one: abs(_span(one)[0] - event.began))
                free.remove(found[number])
    return [(event, found.get(number)) for number, event in enumerate(known)], free


def _is_part(incident: Mapping[str, Any], events: Sequence[Event]) -> bool:
    """Whether an incident lies within the time of a like event: it is a part of that."""
    return any(
        event.zone == incident["zone"] and _is_like(event, incident) and _is_joined(event, incident)
        for event in events
    )


def _is_seen(event: Event, incident: Mapping[str, Any]) -> bool:
    return event.seen == _mark(incident)


def _is_begun(event: Event, incident: Mapping[str, Any]) -> bool:
    return event.began == _span(incident)[0] and _is_like(event, incident)


def _is_same(event: Event, incident: Mapping[str, Any]) -> bool:
    return (event.reason, event.view) == (incident["reason"], incident["view"])


def _is_like(event: Event, incident: Mapping[str, Any]) -> bool:
    told = family(event.reason), event.view
    return told == (family(incident["reason"]), incident["view"])


def _is_any(_event: Event, _incident: Mapping[str, Any]) -> bool:
    return True


def _is_joined(event: Event, incident: Mapping[str, Any]) -> bool:
    """Whether an incident can be the one of an event: an open one goes on until a good answer."""
    first, last = _span(incident)
    if last < event.began:
        return False
    return event.state == OPEN or first <= max(event.last_bad, event.ended)


def _missing(event: Event, horizon: int, now: int) -> tuple[Event, list[Notice]]:
    """Follow an event that the report does not show any more."""
    if event.state != OPEN or event.began < horizon:
        return event, []
    after = replace(event, state=WITHDRAWN, told=event.told + 1, told_at=now)
    notice = _head(after, "withdrawn", now) | {
        "sentence": (
            f"What was told of {event.zone} ({event.reason}) does not stand: answers captured since"
            " explain it otherwise."
        )
    }
    return after, [notice]


def _continued(
    event: Event, incident: Mapping[str, Any], now: int
) -> tuple[Event, list[Notice]]:
    """Hold an event against its incident in the present report."""
    first_good = parse(incident["recovery"]["first_good"])
    event = replace(event, seen=_mark(incident))
    last_bad = max(event.last_bad, _span(incident)[1])
    servers = tuple(sorted({*event.servers, *_bad_servers(incident)}))
    if event.state == RECOVERED and first_good is not None:
        return replace(event, last_bad=last_bad), []
    notices: list[Notice] = []
    after = replace(event, last_bad=last_bad)
    changes: dict[str, Any] = {}
    for name in ("reason", "severity", "confidence", "view"):
        if getattr(event, name) != incident[name]:
            changes[name] = [getattr(event, name), incident[name]]
    if event.servers != servers:
        changes["servers"] = [len(event.servers), len(servers)]
    if event.state != OPEN:
        changes["state"] = [event.state, OPEN]
    graver = (
        "reason" in changes
        or event.state == RECOVERED
        or _rank(_SEVERITIES, incident["severity"]) > _rank(_SEVERITIES, event.severity)
        or _rank(_CONFIDENCES, incident["confidence"]) > _rank(_CONFIDENCES, event.confidence)
    )
    if changes and (graver or now - event.told_at >= bounds.NOTICE_PAUSE):
        after = replace(
            after,
            reason=incident["reason"],
            severity=incident["severity"],
            confidence=incident["confidence"],
            view=incident["view"],
            servers=servers,
            state=OPEN,
            ended=0,
            told=after.told + 1,
            told_at=now,
        )
        notices.append(_head(after, "changed", now) | _body(incident) | {"changes": changes})
    # What was withdrawn stands again first, be it a pause later, and recovers then.
    is_open = after.state == OPEN
    if is_open and first_good is not None and now - first_good >= bounds.NOTICE_RECOVERY:
        after = replace(
            after, state=RECOVERED, ended=first_good, told=after.told + 1, told_at=now
        )
        notices.append(_head(after, "recovered", now) | _body(incident))
    return after, notices


def _begun(incident: Mapping[str, Any], now: int) -> tuple[Event, Notice] | None:
    """Make the event of an incident that nothing was told of; None: it is too early to tell."""
    first, last = _span(incident)
    wait = bounds.NOTICE_WEAK if incident["confidence"] == "weak" else bounds.NOTICE_STRONG
    if now - first < wait:
        return None
    named = f"{incident['zone']}|{family(incident['reason'])}|{incident['view']}|{first}"
    event = Event(
        id=hashlib.sha256(named.encode()).hexdigest()[:12],
        zone=incident["zone"],
        reason=incident["reason"],
        view=incident["view"],
        severity=incident["severity"],
        confidence=incident["confidence"],
        began=first,
        last_bad=last,
        ended=0,
        state=OPEN,
        servers=tuple(sorted(_bad_servers(incident))),
        told=1,
        told_at=now,
        seen=_mark(incident),
    )
    return event, _head(event, "began", now) | _body(incident)


def _mark(incident: Mapping[str, Any]) -> str:
    """Tell incidents of a report apart, by all that notices depend on."""
    names = ("zone", "reason", "view", "severity", "confidence")
    good = parse(incident["recovery"]["first_good"])
    told = [*(incident[name] for name in names), *_span(incident), good, *_bad_servers(incident)]
    return hashlib.sha256("|".join(map(str, told)).encode()).hexdigest()[:16]


def _rank(order: Sequence[str], value: str) -> int:
    return order.index(value) if value in order else -1


def _bad_servers(incident: Mapping[str, Any]) -> Iterable[str]:
    """Name the servers that were bad; the resolvers where only they show it."""
    for row in incident["servers"]:
        if row["bad"]:
            yield f"{row['address']} {row['nsid'] or ''}".strip()
    for row in incident["resolvers"] if incident["view"] == "resolver" else ():
        if row.get("bad"):
            yield f"{row['address']} {row['identity'] or ''}".strip()


def notice_id(*parts: object) -> str:
    """Name a notice by what it is about: the same again after a restart."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]


def _head(event: Event, kind: str, now: int) -> Notice:
    """Begin a notice."""
    from forensics.timeline.moments import rfc3339

    return {
        "schema": SCHEMA,
        "id": notice_id(event.id, event.told),
        "event": kind,
        "incident": event.id,
        "number": event.told,
        "noticed": rfc3339(now),
        "zone": event.zone,
        "reason": event.reason,
        "severity": event.severity,
        "confidence": event.confidence,
        "view": event.view,
        "began": rfc3339(event.began),
        "servers": list(event.servers),
    }


def _body(incident: Mapping[str, Any]) -> Notice:
    """Take over what the report says of the incident now."""
    first = next((row for row in incident["evidence"] if row["shows"] == "first-bad"), None)
    signers = incident["signers"] or incident["keys"]
    return {
        "ede": incident["ede"],
        "sentence": incident["sentence"],
        "tags": sorted({row["tag"] for row in signers}),
        "types": incident["types"],
        "onset": incident["onset"],
        "recovery": incident["recovery"],
        "first_bad": first and {name: first[name] for name in ("capture", "frame", "time")},
        "failed_lookups": incident["impact"]["servfail"],
    }
