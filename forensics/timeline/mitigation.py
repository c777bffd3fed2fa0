"""What resolvers did against an outage: as they say it by EDE, or as their answers show it.

A resolver whose operator installs a negative trust anchor (RFC 7646) goes on answering, but vouches
for nothing below it any more. That shows without a word from anyone: at other times it set AD
below the zone, it failed in the incident, and then it answers without AD to clients that ask with
DO, from places that some resolver has vouched for, while authorities still serve bad data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.timeline.lineage import child_label
from forensics.timeline.lookups import Lookups
from forensics.timeline.moments import Moment
from forensics.timeline.sketch import Distinct, hash_values

NTA_EDE: Final = 33
"""Negative Trust Anchor, in IANA's registry of extended DNS errors"""

STALE_EDES: Final = frozenset({3, 19})
"""Stale Answer and Stale NXDOMAIN Answer (RFC 8914 4.4, 4.20): answered in spite of the failure."""

FEWEST_ANSWERS: Final = 3
"""Answers without AD that show a lapse of trust: one may be an accident of a cache."""

KEPT: Final = 2**12
"""Places kept per resolver, by least hash: the same ones on either side of the comparison."""


@dataclass(slots=True)
class Bare:
    """The first few answers without AD from one place; more prove nothing more."""

    moments: list[Moment] = field(default_factory=list)

    def add(self, moment: Moment) -> None:
        """Take one in."""
        self.moments = sorted([*self.moments, moment])[: 2 * FEWEST_ANSWERS]


@dataclass(slots=True)
class Trust:
    """Of one resolver and one incident: the places it vouched for, and answered bare from.

    Attributes:
        vouched: places (hashes) that it set AD on at any time: they are signed.
        bare: by place, its first answers without AD from the incident's first bad answer on.
    """

    vouched: Distinct = field(default_factory=lambda: Distinct(KEPT))
    bare: dict[int, Bare] = field(default_factory=dict)

    def lapse(self, signed: frozenset[int], failed: int, last_bad: int) -> Moment | None:
        """Give when the resolver first answered without validating; None: no sign that it did.

        Args:
            signed: places (hashes) that some resolver vouched for.
            failed: ns, when it last failed a client: answers before show no lapse that lasted.
            last_bad: ns, the last bad answer of an authority: what comes later may be the repair.
        """
        if not self.vouched.count():
            return None  # it may never validate
        moments = sorted(
            moment
            for place, bare in self.bare.items()
            if place in signed
            for moment in bare.moments
            if failed < moment.time < last_bad
        )
        return moments[0] if len(moments) >= FEWEST_ANSWERS else None


def vouched(trusts: Iterable[Trust]) -> frozenset[int]:
    """Return the places (hashes) that any of some resolvers vouched for."""
    return frozenset(place for trust in trusts for place in trust.vouched.hashes.tolist())


def note(
    trusts: dict[tuple[str, str], Trust],
    rows: Lookups,
    at: NDArray[np.int64],
    zone: str,
    begin: int,
    *,
    shallow: bool,
) -> None:
    """Take in client-side rows at or below a zone, in its incident and outside.

    Args:
        trusts: by resolver: address and dnstap identity.
        rows: of a batch.
        at: rows of answers to clients.
        zone: of the incident.
        begin: ns, the first bad answer.
        shallow: whether each label below the zone is a zone cut.
    """
    asked = rows.do[at] & ~rows.cd[at] & (rows.rcode[at] == 0) & (rows.answers[at] > 0)
    chosen = at[asked & (rows.ad[at] | (rows.instant[at] >= begin))]
    if not len(chosen):
        return
    codes, inverse = np.unique(rows.name.codes[chosen], return_inverse=True)
    places = _places(rows.name.values, codes, zone, shallow=shallow)[inverse.reshape(-1)]
    who = np.stack([rows.server.codes[chosen], rows.identity.codes[chosen]])
    found, number = np.unique(who, axis=1, return_inverse=True)
    number = number.reshape(-1)
    for index in range(found.shape[1]):
        mine = np.flatnonzero(number == index)
        trust = trusts.setdefault(_who(rows, int(chosen[mine[0]])), Trust())
        vouches = rows.ad[chosen[mine]]
        trust.vouched.add(np.unique(places[mine[vouches]]))
        _note_bare(trust, rows, chosen[mine[~vouches]], places[mine[~vouches]])


def _note_bare(
    trust: Trust, rows: Lookups, at: NDArray[np.int64], places: NDArray[np.uint64]
) -> None:
    """Keep the first few answers of each place, of the places with the least hashes."""
    order = np.lexsort((rows.where[at], rows.instant[at], places))
    at, places = at[order], places[order]
    starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]]) if len(at) else np.zeros(0, int)
    for start in starts[:KEPT].tolist():
        place = int(places[start])
        held = trust.bare.setdefault(place, Bare())
        few = slice(start, start + FEWEST_ANSWERS * 2)
        for row in at[few][places[few] == places[start]].tolist():
            where = int(rows.where[row])
            held.add(Moment(int(rows.instant[row]), where >> 32, where & 0xFFFFFFFF))
    if len(trust.bare) > KEPT:
        trust.bare = {place: trust.bare[place] for place in sorted(trust.bare)[:KEPT]}


def _places(
    values: Any, codes: NDArray[np.int64], zone: str, *, shallow: bool
) -> NDArray[np.uint64]:
    """Hash what stands at the place of a zone for each name: the child of a shallow zone."""
    import pyarrow as pa

    names = values.take(pa.array(codes)).to_pylist()
    if shallow:
        names = [child_label(name, zone) or name for name in names]
    return hash_values(pa.array(names, type=pa.string()))


def _who(rows: Lookups, row: int) -> tuple[str, str]:
    server, identity = int(rows.server.codes[row]), int(rows.identity.codes[row])
    name = "" if identity < 0 else rows.identity.values[identity].as_py()
    return (rows.server.values[server].as_py() if server >= 0 else "?", name)
