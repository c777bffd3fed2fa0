"""What caches go on refusing when servers serve what is right again.

A repair of keys or DS is right from the moment that servers give it. A cache that holds the older
set refuses it until that has run out, and so does one that holds a DS which was withdrawn. Answers
of servers in that time are no bad answers of theirs: the bracket of what was published ends before
them, and until when caches may refuse is said beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics import limits
from forensics.timeline.moments import FAR, clock, rfc3339

if TYPE_CHECKING:
    from forensics.timeline.evidence import Evidence
    from forensics.timeline.strata import Case
    from forensics.timeline.survey import Episode
    from forensics.timeline.undelegated import Withdrawal


def ceased(episode: Episode, withdrawn: Withdrawal | None) -> int:
    """Give the instant (ns) from which on only caches refuse the data; FAR: to the end, or never.

    Args:
        episode: with spells of both kinds, or of one.
        withdrawn: the DS of its zone was.
    """
    published = [spell for spell in episode.spells if not spell.cached]
    last = FAR
    if published and len(published) < len(episode.spells):
        last = max(spell.last.time for spell in published)
    if withdrawn is not None and episode.first.time <= withdrawn.last.time:
        last = min(last, withdrawn.absent[0].time)
    return last


def told(case: Case, withdrawn: Withdrawal | None, evidence: Evidence) -> dict[str, Any] | None:
    """Give `aftermath` of the report; None where no cache was seen to be behind.

    Args:
        case: the incident's.
        withdrawn: the DS of its zone was.
        evidence: for how long caches may hold the older set.
    """
    late = [
        moment
        for spell in case.episode.spells
        for moment in (spell.first, spell.last)
        if moment.time > case.ceased
    ]
    if not late:
        return None
    if withdrawn is not None and withdrawn.absent[0].time == case.ceased:
        until, ttl = withdrawn.last.time + withdrawn.ttl * limits.SECOND, withdrawn.ttl
        what = "the parent's record of its keys (DS), since withdrawn,"
    else:
        held = [evidence.caches[m.signature] for m in late if m.signature in evidence.caches]
        if not held:
            return None
        until = max(row["until"] for row in held)
        ttl = max(row["ttl"] for row in held) // limits.SECOND
        what = "the keys or the parent's record of them (DS) of before"
    return {
        "refuse_until": rfc3339(until),
        "ttl": ttl,
        "sentence": (
            f"Caches that still held {what} could go on refusing it until {clock(until)} "
            f"(TTL {ttl} s)."
        ),
    }
