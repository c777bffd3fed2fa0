"""What resolvers' caches did in an incident, by the TTLs of their answers.

- *Old data*: a good answer whose TTL had run down since before the first bad one of an authority.
  The cache still held what was right then; when it runs out, that resolver fails, too.
- *Stale data* (RFC 8767): an answer whose TTL stands still. A TTL that is given anew with each
  answer (30 seconds by section 5 there) while the RRset was signed with a longer one is no cache
  entry's age; a resolver that caps its TTLs shows it running down between two fetches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.timeline.judged import AUTHORITY, RESOLVER, Judged
from forensics.timeline.kernels import GOOD
from forensics.timeline.moments import Moment

if TYPE_CHECKING:
    from forensics.timeline.evidence import Catalog
    from forensics.timeline.strata import Case

STALE_TTL: Final = 30
"""Seconds that a stale answer is given (RFC 8767 5)."""

STILL: Final = 3 * limits.SECOND
"""A TTL that stands still for so long does not run down."""

FEWEST: Final = 3
"""Answers with the same TTL that show it: two may be two fetches."""

WATCHED: Final = 2**16
"""Signatures by resolver whose TTLs are watched in one incident."""


@dataclass(slots=True)
class Still:
    """Answers of one resolver with one signature, all with STALE_TTL so far."""

    first: Moment
    last: Moment
    count: int = 1


@dataclass(slots=True)
class Caches:
    """What the caches of one incident's resolvers showed.

    Attributes:
        old: by place, first and last answer with data from before the incident.
        still: by (place, signature), answers whose TTL stands still; None: it was seen to move.
    """

    old: dict[int, tuple[Moment, Moment]] = field(default_factory=dict)
    still: dict[tuple[int, int], Still | None] = field(default_factory=dict)

    def stale(self) -> dict[int, Moment]:
        """Give by place when it first served stale data."""
        found: dict[int, Moment] = {}
        for (place, _), held in sorted(self.still.items()):
            if held is None or held.count < FEWEST or held.last.time - held.first.time < STILL:
                continue
            found[place] = min(found.get(place, held.first), held.first)
        return found


def note(
    cases: list[Case],
    within: NDArray[np.int64],
    rows: Judged,
    at: NDArray[np.int64],
    case: NDArray[np.int64],
    outcome: NDArray[np.uint8],
    catalog: Catalog,
) -> None:
    """Take in one batch.

    Args:
        cases: filled in place.
        within: int64 (C, 2), first and last time that each case's own side was bad.
        rows: the batch.
        at: int64 (K), the rows that the cases are about.
        case: int64 (K), the case of each.
        outcome: uint8 (K).
        catalog: the signatures as arrays.
    """
    served = np.array([held.episode.side == AUTHORITY for held in cases])
    begin, end = within[case, 0], within[case, 1]
    time = rows.time[at]
    chosen = (rows.side[at] == RESOLVER) & served[case] & (time > begin) & (time <= end)
    at, case, outcome, begin = at[chosen], case[chosen], outcome[chosen], begin[chosen]
    signed = catalog.ttl[rows.signature[at]]
    age = np.maximum(signed - rows.ttl[at], 0) * limits.SECOND
    # A TTL counts whole seconds: one more may have passed.
    old = (outcome == GOOD) & (age > 0) & (rows.time[at] - age + limits.SECOND < begin)
    for row, number in zip(at[old].tolist(), case[old].tolist(), strict=True):
        held = cases[number].caches.old
        moment, place = _moment(rows, row), int(rows.place[row])
        first, last = held.get(place, (moment, moment))
        held[place] = (min(first, moment), max(last, moment))
    capped = np.flatnonzero(signed > STALE_TTL)
    for row, number in zip(at[capped].tolist(), case[capped].tolist(), strict=True):
        _watch(cases[number].caches.still, rows, row)


def _watch(held: dict[tuple[int, int], Still | None], rows: Judged, row: int) -> None:
    key = (int(rows.place[row]), int(rows.signature[row]))
    if int(rows.ttl[row]) != STALE_TTL:
        held[key] = None
        return
    moment = _moment(rows, row)
    if key not in held:
        if len(held) < WATCHED:
            held[key] = Still(moment, moment)
        return
    one = held[key]
    if one is not None:
        one.first, one.last = min(one.first, moment), max(one.last, moment)
        one.count += 1


def _moment(rows: Judged, row: int) -> Moment:
    where = int(rows.where[row])
    return Moment(int(rows.time[row]), where >> 32, where & 0xFFFFFFFF, int(rows.signature[row]))
