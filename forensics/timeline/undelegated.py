"""Zones whose DS went: from then on nothing below is bogus, but for caches that still hold the DS.

The parent's servers say that there is no DS (NODATA to a question for it). Two things follow:

- *The end*: a broken link between DS and keys is no link any more. The zone is insecure, and
  answered again, when the parent's servers say so, and none gives the DS any more.
- *Whose fault it was*: keys that are gone while no server was seen giving the DS any more are no
  fault of what is published. Only caches that still hold the DS refuse it (RFC 6781 4.3.5.1: wait
  for the TTL of the DS).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from forensics import limits, vocabulary
from forensics.timeline.moments import Moment, rfc3339

if TYPE_CHECKING:
    from forensics.timeline.evidence import Evidence, Places
    from forensics.timeline.keysets import Run
    from forensics.timeline.onset import Brackets


class Withdrawal(NamedTuple):
    """The DS of a zone was withdrawn.

    Attributes:
        last: last sighting of the DS at a server of the parent.
        ttl: seconds, the longest that it was given with.
        absent: answers of the parent's servers behind it that there is none, in order of time.
        everywhere: ns, by when each server that gave it, and was asked again, had said so.
    """

    last: Moment
    ttl: int
    absent: tuple[Moment, ...]
    everywhere: int


def withdrawal(
    zone: str, runs: Sequence[Run], evidence: Evidence, places: Places
) -> Withdrawal | None:
    """Tell when the parent withdrew a zone's DS; None: not seen.

    Args:
        zone: whose DS.
        runs: of the zone.
        evidence: for the answers without a DS.
        places: the responders.
    """
    given = [
        run
        for run in runs
        if run.type == vocabulary.TYPE_DS and not places.resolver[run.place]
    ]
    if not given:
        return None
    last = max(run.last for run in given)
    ttl = max(run.ttl for run in given)
    denied = [
        (int(places.same[place]), Moment(time, capture, frame))
        for place, time, capture, frame in evidence.undelegated.get(zone, ())
        if time > last.time and not places.resolver[place]
    ]
    if not denied:
        return None
    first: dict[int, int] = {}
    for place, moment in denied:
        first[place] = min(first.get(place, moment.time), moment.time)
    gave = {run.place for run in given} & first.keys()
    everywhere = max((first[place] for place in gave), default=min(first.values()))
    return Withdrawal(last, ttl, tuple(sorted(moment for _, moment in denied)), everywhere)


def ended(found: Withdrawal, brackets: Brackets) -> Brackets:
    """Close the recovery of a broken link by the first answer without a DS behind the last bad."""
    if brackets.first_good is not None:
        return brackets
    last = max(brackets.last_bad.time, found.everywhere - 1)
    if is_of_caches(found, brackets):
        last = max(last, found.last.time + found.ttl * limits.SECOND)
    good = next((moment for moment in found.absent if moment.time > last), None)
    return replace(brackets, first_good=good)


def is_of_caches(found: Withdrawal, brackets: Brackets) -> bool:
    """Whether no server gave the DS any more when the first answer without keys was seen."""
    return found.last.time < brackets.first_bad.time


def told(found: Withdrawal, zone: str) -> dict[str, Any]:
    """Give `caches` of the report."""
    until = found.last.time + found.ttl * limits.SECOND
    return {
        "filled_before": rfc3339(found.absent[0].time),
        "refuse_until": rfc3339(until),
        "ttl": found.ttl,
        "sentence": (
            f"A cache that fetched the DS of {zone} before {rfc3339(found.absent[0].time)[:19]}Z "
            f"would refuse this until {rfc3339(until)[:19]}Z (TTL {found.ttl} s); one that fetched "
            "it later finds none, and accepts it."
        ),
    }
