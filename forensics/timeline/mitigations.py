"""The mitigations of one incident, per resolver, with their times and what shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from forensics.timeline import mitigation
from forensics.timeline.moments import Moment, rfc3339

if TYPE_CHECKING:
    from forensics.timeline.evidence import Places
    from forensics.timeline.impact import Impact
    from forensics.timeline.onset import Brackets
    from forensics.timeline.strata import Case

KINDS: Final = ("negative-trust-anchor", "serve-stale", "old-cache", "other-server", "repair")
"""What helps a resolver's clients in an incident: by its operator's hand, by its own design, or by
luck; a `repair` without a resolver is the zone's own."""

Row = tuple[Moment, str, str | None, str, Moment | None]
"""When, kind, resolver, basis, until."""


def told(
    case: Case, brackets: Brackets, impact: Impact, places: Places, paths: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Tell who did what against it: what resolvers say or show, and the repair as it shows.

    Each with the frame that shows it first, in the capture that `paths` names by its number.
    """
    found: list[Row] = _by_word(impact)
    spoken = {(kind, address) for _, kind, address, *_ in found}
    last_bad = brackets.last_bad.time
    signed = mitigation.vouched(impact.trusts.values())
    for key, trust in sorted(impact.trusts.items()):
        failed = impact.resolvers[key].last_servfail if key in impact.resolvers else None
        lapse = None if failed is None else trust.lapse(signed, failed.time, last_bad)
        if lapse is not None and ("negative-trust-anchor", key[0]) not in spoken:
            found.append((lapse, "negative-trust-anchor", key[0], "inferred", None))
    for place, moment in sorted(case.caches.stale().items()):
        if ("serve-stale", places.server[place]) not in spoken:
            found.append((moment, "serve-stale", places.server[place], "inferred", None))
    if brackets.last_good is not None:
        # Else the fault may be older than the capture, and what was fetched before its first sign
        # no older than the fault.
        found += _old(case, places)
    found += [
        (first, "other-server", resolver, "inferred", last)
        for resolver, (first, last) in impact.upstream.switches().items()
    ]
    found += _repairs(brackets, impact)
    found.sort(key=lambda row: (row[0], row[1], row[2] or ""))
    return [
        {
            "kind": kind,
            "resolver": resolver,
            "at": rfc3339(moment.time),
            "basis": basis,
            **({} if until is None else {"until": rfc3339(until.time)}),
            **shown(moment, paths),
        }
        for moment, kind, resolver, basis, until in found
    ]


def shown(moment: Moment, paths: Mapping[int, str]) -> dict[str, Any]:
    """Name capture and frame of a moment; nothing where no frame of a capture shows it."""
    path = paths.get(moment.capture)
    return {} if path is None or moment.frame <= 0 else {"capture": path, "frame": moment.frame}


def _by_word(impact: Impact) -> list[Row]:
    """Tell what resolvers say by extended errors."""
    found: list[Row] = []
    for (address, _), resolver in sorted(impact.resolvers.items()):
        for code, moment in sorted(resolver.ede_first.items()):
            kind = "negative-trust-anchor" if code == mitigation.NTA_EDE else "serve-stale"
            if code == mitigation.NTA_EDE or code in mitigation.STALE_EDES:
                found.append((moment, kind, address, "ede", None))
    return found


def _old(case: Case, places: Places) -> list[Row]:
    """Tell which caches still held the good data, from when until when that was seen."""
    spans: dict[str, tuple[Moment, Moment]] = {}
    for place, (first, last) in case.caches.old.items():
        held = spans.get(places.server[place], (first, last))
        spans[places.server[place]] = (min(held[0], first), max(held[1], last))
    return [
        (first, "old-cache", server, "inferred", last)
        for server, (first, last) in sorted(spans.items())
    ]


def _repairs(brackets: Brackets, impact: Impact) -> list[Row]:
    """Tell when the zone was well again, and when each resolver that had failed answered again."""
    good = brackets.first_good
    if good is None:
        return []
    found: list[Row] = [(good, "repair", None, "inferred", None)]
    healed: dict[str, Moment] = {}
    for (address, _), moment in impact.healing.answered.items():
        if moment.time > brackets.last_bad.time:
            healed[address] = max(healed.get(address, moment), moment)
    found += [
        (moment, "repair", address, "inferred", None) for address, moment in sorted(healed.items())
    ]
    return found
