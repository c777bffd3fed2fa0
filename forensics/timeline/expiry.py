"""When signatures of an incident ran out, or begin, and when each validator would refuse them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from forensics import vocabulary
from forensics.timeline import quote
from forensics.timeline.evidence import Catalog
from forensics.timeline.moments import Moment, clock, rfc3339
from forensics.timeline.survey import Spell

_EXPIRED: Final = vocabulary.REASON_CODE["signature-expired"]
_EARLY: Final = vocabulary.REASON_CODE["signature-not-yet-valid"]

_LAST: Final = 253_402_300_800 * 10**9
"""The year 10000 in ns: RFC 3339 has no later one."""


class Horizon(Protocol):
    """What `validation.horizon.horizons` gives for each policy: accepted in [start, end), ns."""

    @property
    def policy(self) -> str:
        """Give its name."""
        ...

    @property
    def start(self) -> int:
        """Give the first instant at which the policy accepts."""
        ...

    @property
    def end(self) -> int:
        """Give the first instant after it at which the policy refuses."""
        ...


Horizons = Callable[[int, int, int], Sequence[Horizon]]
"""Inception, expiration (seconds, 32 bits) and a near instant (ns) to a horizon a policy."""


def validity(
    spells: Sequence[Spell], catalog: Catalog, horizons: Horizons
) -> dict[str, Any] | None:
    """Tell of the first signature that was bad by its time when it is refused.

    Args:
        spells: the bad sightings of an incident.
        catalog: for the signatures' periods.
        horizons: the policies' clocks, `strict` first.

    Returns:
        `validity` of report.json; None where nothing was bad by its time.
    """
    timely = [spell for spell in spells if spell.reason in (_EXPIRED, _EARLY)]
    shown = [spell for spell in timely if 0 <= spell.first.signature < len(catalog.row)]
    if not shown:
        return None
    spell = min(shown, key=lambda spell: spell.first)
    moment, expired = spell.first, spell.reason == _EXPIRED
    told = _row(moment, catalog, horizons)
    if not told:
        return None
    strict = told[0]
    number = moment.signature
    happened = (
        f"became invalid at {_said(strict.end)}"
        if expired
        else f"is not valid before {_said(strict.start)}"
    )
    return {
        "sentence": (
            f"The first such signature, over {quote.type_name(int(catalog.type[number]))} by key "
            f"{int(catalog.tag[number])}, {happened}; it was seen at {_said(moment.time)}."
        ),
        "type": quote.type_name(int(catalog.type[number])),
        "tag": int(catalog.tag[number]),
        "valid_from": _text(strict.start),
        "became_invalid": _text(strict.end) if expired else None,
        "seen": rfc3339(moment.time),
        "policies": [
            {
                "policy": one.policy,
                "would_refuse_from": _text(one.end) if expired else None,
                "would_refuse_until": None if expired else _text(one.start),
                "refused_when_seen": not one.start <= moment.time < one.end,
            }
            for one in told
        ],
    }


def _row(moment: Moment, catalog: Catalog, horizons: Horizons) -> Sequence[Horizon]:
    """Ask the policies about one signature."""
    number = moment.signature
    return horizons(int(catalog.inception[number]), int(catalog.expiration[number]), moment.time)


def _said(time: int) -> str:
    """Give the time for a sentence."""
    return clock(time) if 0 <= time < _LAST else "a time outside the calendar"


def _text(time: int) -> str | None:
    """Give RFC 3339 text, None where it can say no such year."""
    return rfc3339(time) if 0 <= time < _LAST else None
