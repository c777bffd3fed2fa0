"""How grave an incident is, how sure, and what pattern the places make (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from forensics import limits, vocabulary
from forensics.timeline.amid import by_class
from forensics.timeline.judged import AUTHORITY, RESOLVER
from forensics.timeline.onset import Brackets, Stratum
from forensics.timeline.strata import Case, Cell

LATE: Final = 5 * limits.SECOND
"""So much later than another a server may well go bad by one and the same change."""

FLAPPING: Final = 2
"""Changes between good and bad serials, there and back."""

SCATTERED: Final = frozenset({"signature-invalid", "signature-expired", "signature-malformed"})
"""Reasons that each signature has by itself: they may hit single RRsets."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The places of one side that showed comparable records while it was bad.

    Attributes:
        bad: those that were bad for some class of records.
        good: those that were not.
    """

    bad: frozenset[int]
    good: frozenset[int]


def standing(case: Case, strata: Sequence[Stratum], side: int) -> Standing:
    """Tell the places apart, by the classes of records that went bad.

    A place is good only if it was seen good while others were bad.
    """
    mine = [stratum for stratum in strata if stratum.side == side]
    bad = frozenset(stratum.place for stratum in mine)
    classes = {stratum.record_class for stratum in mine}
    good = {
        place
        for (place, record_class), (good, _) in by_class(case, side).items()
        if good and record_class in classes
    }
    return Standing(bad, frozenset(good - bad))


def severity(side: int, found: Standing, *, scattered: bool = False) -> str:
    """Give `outage` where every authority seen was bad, else `partial`.

    What only a resolver's answers show hurts that resolver's clients: partial.

    Args:
        side: whose data shows it.
        found: its places.
        scattered: as `is_scattered` says.
    """
    whole = side == AUTHORITY and found.bad and not found.good and not scattered
    return "outage" if whole else "partial"


def is_scattered(case: Case, strata: Sequence[Stratum], reason: str) -> bool:
    """Whether single RRsets alone were badly signed, while the zone itself stayed good.

    So it is where, in that time, no SOA or DNSKEY RRset was seen bad, and each place that was bad
    showed a good SOA, more good than bad in all, and something good of each class that went bad.
    """
    apexes = (vocabulary.TYPE_SOA, vocabulary.TYPE_DNSKEY)
    if reason not in SCATTERED or any(
        bad for (_, _, kind), (_, bad) in case.amid.items() if kind in apexes
    ):
        return False
    shown = by_class(case, AUTHORITY)
    for place in {stratum.place for stratum in strata}:
        here = [seen for (at, _), seen in shown.items() if at == place]
        soa = case.amid.get((place, AUTHORITY, vocabulary.TYPE_SOA), [0, 0])
        if not soa[0] or sum(good for good, _ in here) <= sum(bad for _, bad in here):
            return False
    return all(shown.get((stratum.place, stratum.record_class), [0, 0])[0] for stratum in strata)


def confidence(case: Case, strata: Sequence[Stratum], keys_at: frozenset[int]) -> str:
    """Give `strong` for two independent sightings, or one and the key set from the same place.

    A DNSKEY RRset that does not verify is no second witness against itself: something on the way
    may have altered it.

    Args:
        case: with its spells, which know how many verdicts were weak.
        strata: what went bad.
        keys_at: places that the zone's key set was seen at.
    """
    firm = sum(spell.bad - spell.weak for spell in case.episode.spells)
    frames = {
        (moment.capture, moment.frame)
        for stratum in strata
        for moment in (stratum.first_bad, stratum.last_bad)
    }
    if firm >= 2 and len(frames) >= 2:
        return "strong"
    same = any(
        stratum.place in keys_at and stratum.record_class != vocabulary.RecordClass.DNSKEY
        for stratum in strata
    )
    return "strong" if firm >= 1 and same else "weak"


def patterns(
    case: Case, brackets: Brackets, found: Standing, good_upstream: int
) -> list[dict[str, Any]]:
    """Name what comparing the places shows, each with its figures.

    Args:
        case: the incident.
        brackets: its onset and recovery.
        found: its places.
        good_upstream: good sightings of the zone at authorities, for what only resolvers showed.
    """
    shown: list[dict[str, Any]] = []
    bad, good = len(found.bad), len(found.good)
    if case.episode.side == RESOLVER:
        figures = {"resolvers": bad, "other_resolvers": good, "authority_good": good_upstream}
        return [{"kind": "resolver-local", "figures": figures}]
    if bad and not good:
        shown.append({"kind": "every-server", "figures": {"servers": bad, "bad": bad}})
    divided = divided_serials(case.cells)
    if good or divided:
        figures = {"bad_servers": bad, "good_servers": good, "serials_divided": len(divided)}
        shown.append({"kind": "server-divergence", "figures": figures})
    serials = soa_outcomes(case.cells, brackets)
    changes = _changes(serials)
    if changes >= FLAPPING:
        figures = {
            "serials": len(serials),
            "bad_serials": sum(serials),
            "good_serials": len(serials) - sum(serials),
            "changes": changes,
        }
        shown.append({"kind": "flapping", "figures": figures})
    return shown


def flaps(case: Case, brackets: Brackets) -> bool:
    """Whether good and bad alternated with the SOA serial."""
    return _changes(soa_outcomes(case.cells, brackets)) >= FLAPPING


def _changes(serials: Sequence[bool]) -> int:
    return sum(1 for before, after in pairwise(serials) if before != after)


def _soa_cells(cells: Sequence[Cell]) -> list[Cell]:
    """Choose the cells of SOA signatures at authorities with a serial."""
    return [
        cell
        for cell in cells
        if cell.type == vocabulary.TYPE_SOA and cell.side == AUTHORITY and cell.serial
    ]


def divided_serials(cells: Sequence[Cell]) -> set[int]:
    """Give the serials whose SOA was good at one place while it was bad at another.

    Good before the others went bad says nothing, for that may be what the first bad sighting ends;
    nor does good within LATE of it, for places come to be bad one after the other.
    """
    bad: dict[int, list[Cell]] = {}
    good: dict[int, list[Cell]] = {}
    for cell in _soa_cells(cells):
        if cell.bad:
            bad.setdefault(cell.serial, []).append(cell)
        if cell.good:
            good.setdefault(cell.serial, []).append(cell)
    return {
        serial
        for serial, held in bad.items()
        if any(
            one.place != other.place and _is_amid(one, other)
            for one in good.get(serial, ())
            for other in held
        )
    }


def _is_amid(good: Cell, bad: Cell) -> bool:
    """Whether one place was seen good in the time that another was bad."""
    edges = [edge.time for edge in (good.first_good, good.last_good) if edge is not None]
    if bad.first_bad is None or bad.last_bad is None:
        return False
    begin, end = bad.first_bad.time + LATE, bad.last_bad.time
    return any(begin < edge <= end for edge in edges)


def soa_outcomes(cells: Sequence[Cell], brackets: Brackets) -> list[bool]:
    """Give, serial by serial in order of first sighting, whether its SOA was bad anywhere.

    From the first bad sighting of the incident to the last.
    """
    first: dict[int, int] = {}
    bad: dict[int, bool] = {}
    for cell in _soa_cells(cells):
        if not (cell.good or cell.bad):
            continue
        first[cell.serial] = min(first.get(cell.serial, cell.first_seen.time), cell.first_seen.time)
        bad[cell.serial] = bad.get(cell.serial, False) or cell.bad > 0
    begin, end = brackets.first_bad.time, brackets.last_bad.time
    inside = [serial for serial in first if begin <= first[serial] <= end]
    return [bad[serial] for serial in sorted(inside, key=lambda serial: (first[serial], serial))]


def shared_operators(incidents: Sequence[dict[str, Any]]) -> None:
    """Add `shared-operator` to incidents that fail together behind one set of addresses."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for incident in incidents:
        addresses = {row["address"] for row in incident["servers"] if row["bad"]}
        if addresses and incident["view"] == "published":
            groups.setdefault(tuple(sorted(addresses)), []).append(incident)
    for together_at, found in groups.items():
        for incident in found:
            together = sorted(other["zone"] for other in found if _overlap(incident, other))
            if len(together) > 1:
                figures = {"zones": len(together), "addresses": len(together_at)}
                incident["patterns"].append({"kind": "shared-operator", "figures": figures})


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two incidents were bad at one time; RFC 3339 text in UTC sorts as time does."""
    return bool(
        one["onset"]["first_bad"] <= other["recovery"]["last_bad"]
        and other["onset"]["first_bad"] <= one["recovery"]["last_bad"]
    )
