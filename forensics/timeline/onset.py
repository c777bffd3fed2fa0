"""The third walk: between which two sightings each stratum went bad, and was good again.

A good answer proves a healthy state only where it shows the state before the fault: in the .de
outage a third of the new signatures were good, and old ones stayed good beside the bad. So:

- *The same signature was good before* (it ran out, or a key or DS changed): the last good sighting
  of a signature that the same event made bad.
- Else the fault came *with new data*. The same RRset seen good counts, for it was served without
  the fault; and where the place's SOA serials are known, what was seen under another serial before
  the first sighting of the one under which the first bad stood, and was not signed after the bad.
  Where no serial is known and the RRset was never good: the stratum's last good sighting.

Recovery is the mirror: the first good sighting that shows a newer state than the last bad one.

A resolver's answer may come from its cache, and tells of the time at which it was fetched: its TTL
has run down by so much since. One that is not fresh is no last good; a first good is fetched after
the last bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline import amid, caches, recovered
from forensics.timeline.columns import coded, integers
from forensics.timeline.evidence import Catalog, Evidence, Judge, Places
from forensics.timeline.judged import RESOLVER, Judged, judged
from forensics.timeline.kernels import (
    GOOD,
    OTHER_STATE,
    SAME_RRSET,
    SAME_SIGNATURE,
    SUSPECT,
    is_newer,
    resolve,
)
from forensics.timeline.moments import FAR, Moment
from forensics.timeline.strata import LINKS, Case, Cell, assign, chained, rows_of_cases
from forensics.timeline.survey import Spell
from forensics.vocabulary import Status

EXPIRED: Final = vocabulary.REASON_CODE["signature-expired"]
CONTRADICTED: Final = vocabulary.REASON_CODE["denial-contradicted"]

@dataclass(slots=True)
class Stratum:
    """A place x signer x class of records that went bad, with its brackets.

    Attributes:
        place, side, signer, record_class: which.
        good, bad: sightings in the time of the episode.
        first_bad, last_bad: the outermost bad sightings.
        last_good, first_good: the brackets' other ends; None: not in the capture.
        types: types of the bad signatures.
        state, next_state: SOA serial under which the first and last bad stood, 0: not known.
        divide, next_divide: instants before which, from which on, a good sighting shows another
            state where its response shows no serial.
        turned: ns, first sighting of a serial newer than all seen up to the last bad; FAR: none.
        is_inferred: `first_good` shows other records, which prove the end (`recovered`).
    """

    place: int
    side: int
    signer: int
    record_class: int
    good: int
    bad: int
    first_bad: Moment
    last_bad: Moment
    last_good: Moment | None = None
    first_good: Moment | None = None
    types: set[int] = field(default_factory=set)
    state: int = 0
    next_state: int = 0
    divide: int = 0
    next_divide: int = 0
    turned: int = FAR
    is_inferred: bool = False


Span = tuple[int, int, int]
"""An SOA serial with the first and last time that it was seen at a place, ns."""


def strata(case: Case) -> list[Stratum]:
    """Reduce the cells of a case to its strata that went bad, in order of place and class."""
    spans: dict[tuple[int, int, int], dict[int, Span]] = {}
    groups: dict[tuple[int, int, int, int], list[Cell]] = {}
    for cell in case.cells:
        groups.setdefault((cell.place, cell.side, cell.signer, cell.record_class), []).append(cell)
        if cell.serial:
            held = spans.setdefault((cell.place, cell.side, cell.signer), {})
            first, last = cell.first_seen.time, cell.last_seen.time
            _, low, high = held.get(cell.serial, (cell.serial, first, last))
            held[cell.serial] = (cell.serial, min(low, first), max(high, last))
    found = []
    for key, cells in sorted(groups.items()):
        bad = [cell for cell in cells if cell.bad]
        begins = [(cell.first_bad, cell.serial) for cell in bad if cell.first_bad is not None]
        ends = [(cell.last_bad, cell.serial) for cell in bad if cell.last_bad is not None]
        if not begins or not ends:
            continue
        (first_bad, serial), (last_bad, next_serial) = min(begins), max(ends)
        known = list(spans.get(key[:3], {}).values())
        good = sum(cell.good for cell in cells)
        stratum = Stratum(
            *key,
            good=good,
            bad=sum(cell.bad for cell in bad),
            first_bad=first_bad,
            last_bad=last_bad,
            types={cell.type for cell in bad},
        )
        stratum.state, stratum.divide = state_before(
            known, first_bad.time, serial, beside=good > 0
        )
        stratum.next_state, stratum.next_divide = state_after(known, last_bad.time, next_serial)
        stratum.turned = _turned(known, last_bad.time)
        found.append(stratum)
    return found


def _turned(known: list[Span], time: int) -> int:
    """Give when a serial was first seen that is newer than all seen up to `time`; FAR: none."""
    before = [span[0] for span in known if span[1] <= time]
    newer = [
        span[1]
        for span in known
        if span[1] > time and all(is_newer(span[0], serial) for serial in before)
    ]
    return min(newer, default=FAR) if before else FAR


def _covering(known: list[Span], time: int) -> int:
    """Give the serial in force at `time` as its sightings before and after prove; 0: none."""
    covering = [span for span in known if span[1] <= time <= span[2]]
    return max(covering, key=lambda span: (span[1], span[0]))[0] if covering else 0


def state_before(known: list[Span], time: int, serial: int, *, beside: bool) -> tuple[int, int]:
    """Give the serial of the first bad, and before which instant another state was served.

    Args:
        known: SOA serials seen at the place.
        time: of the first bad sighting, ns.
        serial: shown by its response, 0: none. Then the last serial seen before is taken: what was
            seen under it proves nothing, for the bad may have stood under it too.
        beside: whether good data stands beside the bad in the episode. Then a good sighting tells
            of another state only if another serial was seen; where the capture begins under the
            serial of the first bad, it may tell of that very state.

    Returns:
        The serial, 0 where none was seen until then; and the instant, ns: 0 where none is known.
    """
    earlier = [(span[2], span[0]) for span in known if span[2] < time]
    serial = serial or _covering(known, time) or max(earlier, default=(0, 0))[1]
    first = min([time, *(span[1] for span in known if span[0] == serial)])
    # Between the last sighting of another serial and the first of this one nothing is known.
    others = [edge for span in known if span[0] != serial for edge in span[1:] if edge < first]
    if others:
        return serial, max(others) + 1
    return serial, 0 if serial and beside else first


def state_after(known: list[Span], time: int, serial: int) -> tuple[int, int]:
    """Give the serial of the last bad, and from which instant on a newer state was served.

    The mirror of `state_before`: without a serial the next one seen is taken.
    """
    later = [(span[1], span[0]) for span in known if span[1] > time]
    serial = serial or _covering(known, time) or min(later, default=(0, 0))[1]
    if not serial:
        return 0, time + 1
    newer = [span for span in known if is_newer(span[0], serial) and span[2] > time]
    return serial, min((max(span[1], time + 1) for span in newer), default=FAR)


def bracket(
    cases: list[Case],
    evidence: Evidence,
    judge: Judge,
    catalog: Catalog,
    places: Places,
    asked: NDArray[np.bool_],
) -> list[list[Stratum]]:
    """Find the brackets of every stratum of one rank of cases by one walk over the sightings.

    Returns:
        The strata of each case, in the order of `cases`.
    """
    found = [strata(case) for case in cases]
    flat = [stratum for held in found for stratum in held]
    if not flat:
        return found
    owner = assign(cases, catalog)
    lookup = _Lookup(flat)
    proven = chained(evidence, catalog, cases)
    suspects = _suspects(evidence, catalog, {case.episode.zone for case in cases})
    reasons = np.array(
        [
            reason
            for case, held in zip(cases, found, strict=True)
            for reason in _reasons(held, case.episode.spells)
        ]
    )
    doubted = {key: span for case in cases for key, span in case.doubted.items()}
    expired, contradicted = reasons == EXPIRED, reasons == CONTRADICTED
    links = [all(spell.reason in LINKS for spell in case.episode.spells) for case in cases]
    linked = np.array([of for of, held in zip(links, found, strict=True) for _ in held])
    frames = np.array(
        [
            _frame(stratum, catalog, doubted, expired=bool(out))
            for stratum, out in zip(flat, expired, strict=True)
        ],
        dtype=np.int64,
    )
    before = np.full((len(flat), 4, 3), -1, dtype=np.int64)
    after = before.copy()
    within = amid.spans(cases, found)
    for rows in judged(evidence, judge, catalog, places, asked):
        at, case, outcome = rows_of_cases(rows, cases, owner, judge, catalog, proven)
        amid.count(cases, within, rows, at, case, outcome, catalog)
        caches.note(cases, within, rows, at, case, outcome, catalog)
        at = at[outcome == GOOD]
        signature = rows.signature[at]
        stratum = lookup.find(
            rows.place[at],
            rows.side[at],
            catalog.signer[signature],
            catalog.record_class[signature],
        )
        at, signature, stratum = (part[stratum >= 0] for part in (at, signature, stratum))
        tells = _tells_of_now(rows, at, frames[stratum, 1, 0], catalog)
        # What ran out was right until then, wherever it lay meanwhile.
        before_bad = rows.time[at] < frames[stratum, 0, 0]
        tells |= expired[stratum] & before_bad
        # A proof that was contradicted only later was no better before: an older one of its was.
        older = catalog.family[signature] == frames[stratum, 0, 2]
        older &= catalog.inception[signature] < catalog.inception[frames[stratum, 0, 1]]
        tells &= ~(contradicted[stratum] & before_bad) | older
        at, signature, stratum = (part[tells] for part in (at, signature, stratum))
        # Where the link is what broke, whatever is secure shows that it stood.
        stands = linked[stratum] & (rows.status[at] == Status.SECURE)
        rank = np.where(suspects[signature] | stands, 0, -1)
        rank = np.where(expired[stratum], catalog.expiration[signature], rank)
        resolve(
            stratum, catalog.family[signature], rows.serial[at], rank,
            catalog.inception[signature], rows.time[at],
            rows.where[at], signature, frames, before, after,
        )  # fmt: skip
    for number, one in enumerate(flat):
        one.last_good = last_good(one, _moments(before[number]))
        one.first_good = first_good(one, _moments(after[number]))
    for of, held in zip(links, found, strict=True):
        recovered.close(held, linked=of)
    return found


def _reasons(held: Sequence[Stratum], spells: Sequence[Spell]) -> Iterator[int]:
    """Give the reason of the first bad sighting of each stratum; -1 where several may be."""
    at_place: dict[tuple[int, int], list[Spell]] = {}
    for spell in spells:
        at_place.setdefault((spell.side, spell.place), []).append(spell)
    for stratum in held:
        first = stratum.first_bad
        near = [
            spell
            for spell in at_place.get((stratum.side, stratum.place), ())
            if spell.first.time <= first.time <= spell.last.time
        ]
        exact = {spell.reason for spell in near if spell.first.signature == first.signature}
        found = exact or {spell.reason for spell in near}
        yield min(found) if len(found) == 1 else -1


def _tells_of_now(
    rows: Judged, at: NDArray[np.int64], last_bad: NDArray[np.int64], catalog: Catalog
) -> NDArray[np.bool_]:
    """Tell which good sightings `at` say something of their time: (K) bool.

    A resolver may give less than the TTL as signed for reasons of its own; then its answer is taken
    for older than it is, and a bracket is wider, never wrong.
    """
    age = np.maximum(catalog.ttl[rows.signature[at]] - rows.ttl[at], 0)
    fetched = rows.time[at] - age * limits.SECOND
    found: NDArray[np.bool_] = (rows.side[at] != RESOLVER) | (age == 0) | (fetched > last_bad)
    return found


def _frame(
    stratum: Stratum,
    catalog: Catalog,
    doubted: Mapping[tuple[int, int, int, int], tuple[int, int]],
    *,
    expired: bool,
) -> list[list[int]]:
    """Give one row of `kernels.resolve`'s frames.

    What was doubtful may have been bad already: no good answer between it and the first bad counts.
    """
    first, last = stratum.first_bad, stratum.last_bad
    key = (stratum.place, stratum.side, stratum.signer, stratum.record_class)
    low, high = doubted.get(key, (first.time, last.time))
    limit = int(catalog.expiration[first.signature]) if expired else 0
    # Without any serial a signature of the same instant may be of the same bad version.
    made = int(catalog.inception[first.signature]) - (not stratum.state)
    return [
        [
            min(first.time, low), first.signature, int(catalog.family[first.signature]),
            limit, stratum.state, stratum.divide, made,
        ],
        [
            max(last.time, high), last.signature, int(catalog.family[last.signature]),
            -1 if expired else 0, stratum.next_state, stratum.next_divide, 0,
        ],
    ]  # fmt: skip


def _suspects(evidence: Evidence, catalog: Catalog, zones: set[str]) -> NDArray[np.bool_]:
    """Tell which signatures some verdict calls bogus through one of `zones`."""
    found = np.zeros(len(catalog.signer), dtype=bool)
    status, zone = coded(evidence.verdicts["status"]), coded(evidence.verdicts["zone"])
    bogus = np.array([value == "bogus" for value in status.values.to_pylist()], dtype=bool)
    broken = np.array([value in zones for value in zone.values.to_pylist()], dtype=bool)
    chosen = status.lookup(bogus, absent=False) & zone.lookup(broken, absent=False)
    found[integers(evidence.verdicts["signature"])[chosen.astype(bool)]] = True
    return found


class _Lookup:
    """From (place, side, signer, class) to the number of a stratum, for arrays."""

    def __init__(self, flat: list[Stratum]) -> None:
        """Sort the strata by their packed key."""
        keys = np.array(
            [self.pack(s.place, s.side, s.signer, s.record_class) for s in flat], dtype=np.int64
        )
        self.order = np.argsort(keys)
        self.keys = keys[self.order]

    @staticmethod
    def pack(place: int, side: int, signer: int, record_class: int) -> int:
        """Pack a key: 17 bits of place, 1 of side, 4 of class, the rest signer."""
        return ((signer << 17 | place) << 1 | side) << 4 | record_class

    def find(
        self,
        place: NDArray[np.int64],
        side: NDArray[np.int64],
        signer: NDArray[np.int64],
        record_class: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Give the number of the stratum of each of N rows, -1: none that went bad."""
        keys = ((signer << 17 | place) << 1 | side) << 4 | record_class
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.order[at], -1).astype(np.int64)


def _moments(rows: NDArray[np.int64]) -> list[Moment | None]:
    """Give the four candidates of a stratum."""
    return [
        None if where < 0 else Moment(time, where >> 32, where & 0xFFFFFFFF, signature)
        for time, where, signature in rows.tolist()
    ]


def last_good(stratum: Stratum, found: list[Moment | None]) -> Moment | None:
    """Choose the sighting that proves the healthy state before the first bad."""
    proofs = [moment for moment in (found[SAME_SIGNATURE], found[SUSPECT]) if moment is not None]
    if not proofs:
        proofs = [moment for moment in (found[SAME_RRSET],) if moment is not None]
        if found[OTHER_STATE] is not None and (stratum.state or not proofs):
            proofs.append(found[OTHER_STATE])
    return max(proofs, default=None)


def first_good(stratum: Stratum, found: list[Moment | None]) -> Moment | None:
    """Choose the sighting that proves the healthy state after the last bad."""
    candidates = (found[SAME_SIGNATURE], found[SUSPECT], found[SAME_RRSET])
    proofs = [moment for moment in candidates if moment is not None]
    if found[OTHER_STATE] is not None and (stratum.next_state or not proofs):
        proofs.append(found[OTHER_STATE])
    return min(proofs, default=None)


@dataclass(frozen=True, slots=True)
class Brackets:
    """Onset and recovery of an incident or of one place; None: not in the capture."""

    last_good: Moment | None
    first_bad: Moment
    last_bad: Moment
    first_good: Moment | None


def earliest_of(found: Sequence[Stratum]) -> Stratum:
    """Give the stratum that was bad first.

    Where one answer shows two of them bad, the one whose last good is later, and stands then for
    both: numbers of signatures, which depend on what else a capture holds, must not decide.
    """
    return min(
        found,
        key=lambda stratum: (
            stratum.first_bad[:3],
            0 if stratum.last_good is None else -stratum.last_good.time,
            stratum.record_class,
        ),
    )


def combine(found: list[Stratum]) -> Brackets:
    """Combine strata (at least one) to the brackets of what they belong to.

    The onset is that of the stratum that was bad first, held against comparable ones: at the same
    place before others, and at no place that was still seen good when that one was bad. It has
    recovered when each stratum was seen good again.
    """
    earliest = earliest_of(found)
    # As in `earliest_of`: of those that one answer shows bad last, the one seen good again first.
    latest = min(
        found,
        key=lambda stratum: (
            tuple(-number for number in stratum.last_bad[:3]),
            FAR if stratum.first_good is None else stratum.first_good.time,
            stratum.record_class,
        ),
    )
    begin = earliest.last_good
    if begin is None:
        # A place that was still good then went bad at another time, and bounds that one's alone.
        apart = {
            stratum.place
            for stratum in found
            if stratum.place != earliest.place
            and stratum.side == earliest.side
            and stratum.last_good is not None
            and stratum.last_good.time >= earliest.first_bad.time
        }
        goods = [
            (stratum.place == earliest.place, stratum.last_good)
            for stratum in found
            if stratum.last_good is not None
            and stratum.last_good.time < earliest.first_bad.time
            and stratum.side == earliest.side
            and stratum.place not in apart
            and not (
                # The other stratum went bad later: its last good may show the faulty state.
                stratum.place == earliest.place
                and earliest.state
                and stratum.last_good.time >= earliest.divide
            )
        ]
        begin = max(goods)[1] if goods else None
    recovered = all(stratum.first_good is not None for stratum in found)
    return Brackets(
        begin, earliest.first_bad, latest.last_bad, latest.first_good if recovered else None
    )
