"""Signatures that are near their end though their zone's signer leaves more time: near misses.

Nothing has failed yet: each of them is right when it is seen. A signer makes its signatures anew so
long before their end that nobody ever sees them run out; that time, its *refresh interval*, is read
from the capture and not assumed. It is the least that was left of a signature over records of which
the same key then made another one, whatever their changes: the records are the same octet by octet.
Where fewer than FEWEST RRsets of a zone were seen made anew, nothing is known and nothing is said.

It is said of the newest signature over an RRset of a zone's servers that was last seen with less
left than that, and only in the last tenth of its life: an operator who once had everything signed
early sets no rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.timeline import quote
from forensics.timeline.columns import single
from forensics.timeline.judged import AUTHORITY, judged
from forensics.timeline.kernels import GOOD
from forensics.timeline.moments import clock, length, rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from forensics.timeline.evidence import Catalog, Evidence, Judge, Places
    from forensics.timeline.judged import Judged

FEWEST: Final = 3
"""RRsets seen made anew that show a rhythm."""

SHARE: Final = 10
"""A signature is near its end in this part of its life."""

HELD: Final = 2**16
"""Signatures near their end that are looked at."""

_FAR: Final = np.iinfo(np.int64).max
_FIXED: Final = 18
"""Octets of an RRSIG's RDATA before the signer's name (RFC 4034 3.1)."""


@dataclass(slots=True)
class Last:
    """The last good sighting of a signature at a name server of its zone."""

    time: int
    where: int
    place: int


class Ending:
    """Notes, while sightings are walked, which good signatures are near their end."""

    def __init__(self, catalog: Catalog) -> None:
        """Lay out what is asked of each sighting."""
        self.catalog = catalog
        self.near: dict[int, Last] = {}

    def note(self, rows: Judged) -> None:
        """Take in a batch."""
        catalog, number = self.catalog, rows.signature
        left = _ahead(catalog.expiration[number], rows.time // limits.SECOND)
        life = _ahead(catalog.expiration[number], catalog.inception[number])
        chosen = (rows.outcome == GOOD) & (rows.side == AUTHORITY) & ~rows.stray
        chosen &= (left > 0) & (life > 0) & (left * SHARE <= life)
        at = np.flatnonzero(chosen)
        order = at[np.lexsort((rows.where[at], rows.time[at], number[at]))]
        last = order[np.r_[number[order][1:] != number[order][:-1], True]] if len(order) else order
        for row in last.tolist():
            key = int(number[row])
            seen = Last(int(rows.time[row]), int(rows.where[row]), int(rows.place[row]))
            held = self.near.get(key)
            if held is None and len(self.near) >= HELD:
                continue
            if held is None or (held.time, held.where) < (seen.time, seen.where):
                self.near[key] = seen


def findings(
    found: Ending,
    evidence: Evidence,
    judge: Judge,
    places: Places,
    paths: Mapping[int, str],
    bad: Collection[str],
) -> list[dict[str, Any]]:
    """Tell of each zone the signature that ends first.

    Args:
        found: after the walk.
        evidence: for another walk, where there is anything to tell.
        judge: for the verdicts.
        places: the responders.
        paths: of the captures, by number.
        bad: zones with an incident, which are told there.
    """
    catalog = found.catalog
    concerned = {int(catalog.signer[number]) for number in found.near}
    concerned -= {at for at, zone in enumerate(catalog.signers) if zone in bad}
    if not concerned:
        return []
    first = _first_seen(evidence, judge, catalog, places, concerned)
    families = _families(catalog, first)
    refresh = _refreshes(families, catalog, first, _records(evidence, catalog, concerned))
    told: dict[int, tuple[int, int]] = {}
    for family in families:
        newest = family[-1]
        seen, zone = found.near.get(newest), int(catalog.signer[newest])
        if seen is None or zone not in refresh:
            continue
        left = int(_ahead(catalog.expiration[newest], seen.time // limits.SECOND))
        end = seen.time // limits.SECOND + left
        if left < refresh[zone]:
            told[zone] = min(told.get(zone, (end, newest)), (end, newest))
    return [
        _finding(number, end, refresh[zone], found.near[number], evidence, catalog, places, paths)
        for zone, (end, number) in sorted(told.items(), key=lambda item: catalog.signers[item[0]])
    ]


def _ahead(later: NDArray[np.int64] | np.int64, earlier: Any) -> Any:
    """Give later - earlier, s, in serial arithmetic of 32 bits (RFC 1982)."""
    return ((later - earlier + 2**31) & 0xFFFFFFFF) - 2**31


def _first_seen(
    evidence: Evidence, judge: Judge, catalog: Catalog, places: Places, concerned: set[int]
) -> NDArray[np.int64]:
    """Give when each signature of some signers was first seen good at a name server, ns."""
    first = np.full(len(catalog.signer), _FAR, dtype=np.int64)
    wanted = np.isin(catalog.signer, sorted(concerned))
    for rows in judged(evidence, judge, catalog, places):
        mine = (rows.outcome == GOOD) & (rows.side == AUTHORITY) & ~rows.stray
        mine &= wanted[rows.signature]
        np.minimum.at(first, rows.signature[mine], rows.time[mine])
    return first


def _families(catalog: Catalog, first: NDArray[np.int64]) -> list[list[int]]:
    """Give the signatures that were seen, RRset by RRset and key by key, the newest last."""
    seen = np.flatnonzero(first != _FAR)
    groups: dict[tuple[int, int], list[int]] = {}
    for number in seen.tolist():
        key = (int(catalog.signer[number]), int(catalog.family[number]))
        groups.setdefault(key, []).append(number)
    base = int(catalog.inception[seen].min()) if len(seen) else 0
    for group in groups.values():
        group.sort(key=lambda n: (int(_ahead(catalog.inception[n], base)), int(first[n]), n))
    return [groups[key] for key in sorted(groups)]


def _records(evidence: Evidence, catalog: Catalog, concerned: set[int]) -> dict[int, bytes]:
    """Give the records that each signature of some signers is over, in canonical form."""
    numbers = np.flatnonzero(np.isin(catalog.signer, sorted(concerned)) & (catalog.row >= 0))
    data = single(evidence.signatures["signed_data"]).take(catalog.row[numbers]).to_pylist()
    return {
        number: octets[_FIXED + _name_length(octets[_FIXED:]) :]
        for number, octets in zip(numbers.tolist(), data, strict=True)
        if octets and len(octets) > _FIXED
    }


def _name_length(octets: bytes) -> int:
    """Give the length of an uncompressed name."""
    at = 0
    while at < len(octets) and octets[at]:
        at += 1 + octets[at]
    return at + 1


def _refreshes(
    families: list[list[int]],
    catalog: Catalog,
    first: NDArray[np.int64],
    records: dict[int, bytes],
) -> dict[int, int]:
    """Give the refresh interval of each signer whose rhythm shows, s."""
    left: dict[int, list[int]] = {}
    for family in families:
        mine = [
            int(_ahead(catalog.expiration[old], int(first[new]) // limits.SECOND))
            for old, new in pairwise(family)
            if records.get(old, b"") == records.get(new) and _one_maker(catalog, old, new)
        ]
        if mine:
            left.setdefault(int(catalog.signer[family[0]]), []).append(min(mine))
    return {zone: min(found) for zone, found in left.items() if len(found) >= FEWEST}


def _one_maker(catalog: Catalog, old: int, new: int) -> bool:
    """Whether two signatures differ in time alone: in a roll all is signed anew, early."""
    return bool(
        catalog.tag[old] == catalog.tag[new]
        and catalog.algorithm[old] == catalog.algorithm[new]
        and _ahead(catalog.inception[new], catalog.inception[old]) > 0
        and _ahead(catalog.expiration[new], catalog.expiration[old]) > 0
    )


def _finding(
    number: int,
    end: int,
    refresh: int,
    seen: Last,
    evidence: Evidence,
    catalog: Catalog,
    places: Places,
    paths: Mapping[int, str],
) -> dict[str, Any]:
    """Say it."""
    zone = catalog.signers[int(catalog.signer[number])]
    owner = single(evidence.signatures["owner"])[int(catalog.row[number])].as_py()
    kind = quote.type_name(int(catalog.type[number]))
    ends = end * limits.SECOND
    left = length(ends - seen.time)
    named = "The root zone" if zone == "." else zone
    return {
        "kind": "near-miss",
        "severity": "near-miss",
        "zone": zone,
        "reason": "signature-expired",
        "name": owner,
        "type": kind,
        "tag": int(catalog.tag[number]),
        "ends": rfc3339(ends),
        "seen": rfc3339(seen.time),
        "server": places.server[seen.place],
        "capture": paths.get(seen.where >> 32, "?"),
        "frame": seen.where & 0xFFFFFFFF,
        "refresh_seconds": refresh,
        "sentence": (
            f"{named} still gave a signature over {owner} {kind} that ends {left} later, at "
            f"{clock(ends)}; its other signatures were made anew with at least "
            f"{length(refresh * limits.SECOND)} left. It was valid when it was last seen, and will "
            "be refused if nobody signs anew."
        ),
    }
