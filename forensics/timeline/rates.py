"""How often lookups failed in an incident, held against the time before and against other zones.

A rate says nothing by itself: resolvers answer some lookups with SERVFAIL all day long. So each is
given four times, in the zone and elsewhere, before the incident and in it. How much more was asked
(the storm of retries) is seen in the same way, and so is what still failed when the zone was well
again: caches that had not run out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline.moments import FAR, Moment, rfc3339

if TYPE_CHECKING:
    from forensics.timeline.lookups import Lookups


@dataclass(slots=True)
class Counted:
    """Queries of clients: all that were sent, those that were no retransmission, and failed."""

    queries: int = 0
    lookups: int = 0
    servfail: int = 0

    def told(self, span: int) -> dict[str, Any]:
        """Give the row of the report; `span` in ns."""
        return {
            "queries": self.queries,
            "lookups": self.lookups,
            "servfail": self.servfail,
            "share": round(self.servfail / self.lookups, 4) if self.lookups else None,
            "queries_per_second": _per_second(self.queries, span),
        }


@dataclass(slots=True)
class Rates:
    """Of one incident, from client-side transactions of the whole capture.

    Attributes:
        zone, elsewhere: before the window and in it.
        first, last: ns, of client-side transactions; last is -1 where there are none.
        late: lookups of the zone that failed after the window; last_late: the last of them.
    """

    zone: tuple[Counted, Counted] = field(default_factory=lambda: (Counted(), Counted()))
    elsewhere: tuple[Counted, Counted] = field(default_factory=lambda: (Counted(), Counted()))
    first: int = FAR
    last: int = -1
    late: int = 0
    last_late: Moment | None = None

    def note(self, rows: Lookups, below: NDArray[np.bool_], begin: int, end: int) -> None:
        """Take in a batch.

        Args:
            rows: N transactions.
            below: bool (N), at or below the zone.
            begin: ns, of the window.
            end: likewise, inclusive.
        """
        mine = rows.client_side & rows.query
        if not mine.any():
            return
        self.first = min(self.first, int(rows.begin[mine].min()))
        self.last = max(self.last, int(rows.instant[mine].max()))
        failed = rows.rcode == vocabulary.SERVFAIL
        times = (mine & (rows.instant < begin), mine & (rows.instant >= begin))
        times = (times[0], times[1] & (rows.instant <= end))
        for place, held in ((below, self.zone), (~below, self.elsewhere)):
            for time, one in zip(times, held, strict=True):
                at = place & time
                one.queries += int(at.sum())
                one.lookups += int((at & ~rows.again).sum())
                one.servfail += int((at & failed & ~rows.again).sum())
        late = np.flatnonzero(mine & below & failed & ~rows.again & (rows.instant > end))
        if len(late):
            self.late += len(late)
            row = late[np.lexsort((rows.where[late], rows.instant[late]))[-1]]
            where = int(rows.where[row])
            moment = Moment(int(rows.instant[row]), where >> 32, where & 0xFFFFFFFF)
            self.last_late = moment if self.last_late is None else max(self.last_late, moment)

    def told(self, begin: int, end: int) -> dict[str, Any]:
        """Give the report's parts; `begin` and `end` of the window, ns (FAR: never)."""
        spans = (max(begin - self.first, 0), max(min(end, self.last) - begin, 0))
        names = ("before", "during")
        rates = {
            where: {
                name: one.told(span) for name, one, span in zip(names, held, spans, strict=True)
            }
            for where, held in (("zone", self.zone), ("elsewhere", self.elsewhere))
        }
        before, during = (rates["zone"][name]["queries_per_second"] for name in names)
        return {
            "rates": {
                **rates,
                "seconds": {n: _seconds(s) for n, s in zip(names, spans, strict=True)},
            },
            "storm": {
                "before": before,
                "during": during,
                "factor": round(during / before, 2) if before and during is not None else None,
            },
            "caches": self._caches(end),
        }

    def _caches(self, end: int) -> dict[str, Any]:
        """Tell what failed after the zone was well again."""
        if end == FAR or self.last_late is None:
            return {"servfail": self.late, "last": None, "seconds": None}
        return {
            "servfail": self.late,
            "last": rfc3339(self.last_late.time),
            "seconds": _seconds(self.last_late.time - end),
        }


def _seconds(span: int) -> float:
    return round(span / limits.SECOND, 3)


def _per_second(number: int, span: int) -> float | None:
    """Give a rate; None over no time at all."""
    return round(number * limits.SECOND / span, 3) if span > 0 else None
