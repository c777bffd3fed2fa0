"""The second walk: sightings of the zones in question, counted by place, record type and serial.

A stratum is a server and instance x the zone that signs x a class of records (DESIGN section 5).
The cells below it are finer: by type, key tag, algorithm and SOA serial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline.caches import Caches
from forensics.timeline.columns import coded, integers
from forensics.timeline.evidence import Catalog, Evidence, Judge, Places
from forensics.timeline.judged import Judged, judged
from forensics.timeline.kernels import (
    BAD,
    FIRST_BAD,
    FIRST_GOOD,
    FIRST_SEEN,
    GOOD,
    LAST_BAD,
    LAST_GOOD,
    LAST_SEEN,
    NEITHER,
    tally,
)
from forensics.timeline.moments import FAR, Moment
from forensics.timeline.series import bin_numbers
from forensics.timeline.survey import Episode
from forensics.vocabulary import Status

START_CELLS: Final = 2**8

LINKS: Final = frozenset(
    vocabulary.REASON_CODE[code]
    for code in (
        "ds-mismatch",
        "dnskey-absent",
        "dnskey-unsigned-by-ds-key",
        "algorithm-incomplete",
    )
)
"""Reasons that lie between the DS and the DNSKEY RRset: only a chain that stands clears them."""


UNSOUND: Final = frozenset({"signature-invalid", "signature-malformed", "labels-invalid"})
"""Reasons that lie in the signature: it fails whenever the keys are known."""


class Cells:
    """A growing table of cells keyed by three int64, filled by `kernels.tally`."""

    def __init__(self, most: int = limits.TIMELINE_CELLS) -> None:
        """Start small; `most` cells are held, further rows are counted as `omitted`."""
        self.most = most
        self.used = 0
        self.omitted = 0
        self.keys = np.zeros((0, 3), dtype=np.int64)
        self.counts = np.zeros((0, 3), dtype=np.int64)
        self.moments = np.zeros((0, 6, 3), dtype=np.int64)
        self.slots = np.zeros(0, dtype=np.int64)
        self._reserve(min(START_CELLS, most))

    def _reserve(self, size: int) -> None:
        """Make room for `size` cells and lay the used ones out anew."""
        keys = np.zeros((size, 3), dtype=np.int64)
        counts = np.zeros((size, 3), dtype=np.int64)
        moments = np.full((size, 6, 3), -1, dtype=np.int64)
        keys[: self.used] = self.keys[: self.used]
        counts[: self.used] = self.counts[: self.used]
        moments[: self.used] = self.moments[: self.used]
        self.keys, self.counts, self.moments = keys, counts, moments
        self.slots = np.full(2 ** (2 * size).bit_length(), -1, dtype=np.int64)  # a power of two
        if self.used:
            # The kernel alone knows where a key belongs: it counts each used cell once into
            # tables of no further use, cell by cell in order, and so fills the slots.
            rows = self.used
            nothing = np.full(rows, NEITHER, dtype=np.uint8)
            zeros = np.zeros(rows, dtype=np.int64)
            place, group, detail = (np.ascontiguousarray(keys[:rows, part]) for part in range(3))
            tally(
                0, place, group, detail, nothing, zeros, zeros, zeros, self.slots,
                np.zeros_like(keys), np.zeros_like(counts), np.full_like(moments, -1), 0,
            )  # fmt: skip

    def add(
        self,
        key: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
        outcome: NDArray[np.uint8],
        time: NDArray[np.int64],
        where: NDArray[np.int64],
        signature: NDArray[np.int64],
    ) -> None:
        """Count N rows."""
        place, group, detail = (np.ascontiguousarray(part) for part in key)
        outcome, time = np.ascontiguousarray(outcome), np.ascontiguousarray(time)
        where, signature = np.ascontiguousarray(where), np.ascontiguousarray(signature)
        begin = 0
        while True:
            begin, self.used = tally(
                begin, place, group, detail, outcome, time, where, signature,
                self.slots, self.keys, self.counts, self.moments, self.used,
            )  # fmt: skip
            if begin >= len(place):
                return
            if len(self.keys) < self.most:
                self._reserve(min(4 * len(self.keys), self.most))
            else:
                self.omitted += 1
                begin += 1

    def order(self) -> NDArray[np.int64]:
        """Give the used cells in order of their keys, whatever order they came in."""
        keys = self.keys[: self.used]
        return np.lexsort((keys[:, 2], keys[:, 1], keys[:, 0])).astype(np.int64)


class Cell(NamedTuple):
    """Sightings at one place of one signer's type, tag, algorithm and SOA serial (0: unknown)."""

    place: int
    side: int
    signer: int
    type: int
    tag: int
    algorithm: int
    record_class: int
    serial: int
    good: int
    bad: int
    first_good: Moment | None
    last_good: Moment | None
    first_bad: Moment | None
    last_bad: Moment | None
    first_seen: Moment
    last_seen: Moment


@dataclass(slots=True)
class Case:
    """An episode with what the second walk found for it.

    Attributes:
        episode: the zone and time.
        signers: numbers of the signers whose sightings are held against each other: the zone,
            or where it was never seen bad itself those below that were.
        cells: in order of place, signer, type, tag, algorithm, serial.
        below: names of signers below the zone that were bad through it.
        omitted: sightings that found no room.
        bins: (place, side, bin number) to good, bad and neither, for the series.
        caches: what resolvers answered from caches meanwhile.
        doubted: (place, side, signer, class) to the first and last sighting, ns, of signatures that
            can't be judged there and then, and fail at other times whatever the time.
        amid: (place, side, type) to good and bad sightings from the first bad one to the last.
        ceased: ns; what is bad later is refused by caches alone (`aftermath`).
    """

    episode: Episode
    signers: list[int]
    cells: list[Cell] = field(default_factory=list)
    below: set[str] = field(default_factory=set)
    omitted: int = 0
    bins: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    doubted: dict[tuple[int, int, int, int], tuple[int, int]] = field(default_factory=dict)
    caches: Caches = field(default_factory=Caches)
    amid: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    ceased: int = FAR


Note = Callable[
    [Sequence[Case], Judged, NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]], None
]
"""Takes in a batch of the second walk."""


def open_cases(found: list[Episode], catalog: Catalog) -> list[list[Case]]:
    """Give the cases in ranks: within a rank each signer belongs to one case at most."""
    numbers = {name: number for number, name in enumerate(catalog.signers)}
    ranks: list[list[Case]] = []
    taken: list[set[int]] = []
    for episode in found:
        seen = {
            int(catalog.signer[moment.signature])
            for spell in episode.spells
            for moment in (spell.first, spell.last)
        }
        own = numbers.get(episode.zone, -1)
        signers = {own} if own in seen else seen
        rank = next((at for at, held in enumerate(taken) if not held & signers), len(taken))
        if rank == len(taken):
            ranks.append([])
            taken.append(set())
        ranks[rank].append(Case(episode, sorted(signers)))
        taken[rank] |= signers
    return ranks


def assign(cases: list[Case], catalog: Catalog) -> NDArray[np.int64]:
    """Give, for each signer, the number of its case in this rank, -1 for none."""
    owner = np.full(len(catalog.signers) + 1, -1, dtype=np.int64)
    for number, case in enumerate(cases):
        owner[case.signers] = number
    return owner


def chained(evidence: Evidence, catalog: Catalog, cases: list[Case]) -> NDArray[np.bool_]:
    """Tell for which signatures a good answer must be secure to prove anything.

    Where the link to the parent broke, `valid` (right under a key published then, the chain above
    not known) is what stands between the last sighting of the old DS and the first of the new one:
    it may be either side of the change. Of signers that were never secure it is so for the keys
    whose signatures are bogus at other times: what is missing is the chain, not the fault.
    """
    signers = {
        catalog.signer[spell.first.signature]
        for case in cases
        for spell in case.episode.spells
        if spell.reason in LINKS
    }
    concerned = np.isin(catalog.signer, sorted(signers))
    if not concerned.any():
        return concerned
    secure, bogus = (_with_status(evidence, word) for word in ("secure", "bogus"))
    makers = catalog.signer << 16 | catalog.tag
    ever = np.isin(catalog.signer, np.unique(catalog.signer[secure]))
    found: NDArray[np.bool_] = concerned & (ever | np.isin(makers, np.unique(makers[bogus])))
    return found


def _with_status(evidence: Evidence, word: str) -> NDArray[np.int64]:
    """Give the signatures that some verdict gives a status."""
    status = coded(evidence.verdicts["status"])
    table = np.array([value == word for value in status.values.to_pylist()], dtype=bool)
    rows = status.lookup(table, absent=False).astype(bool)
    return np.unique(integers(evidence.verdicts["signature"])[rows])


def rows_of_cases(
    rows: Judged,
    cases: list[Case],
    owner: NDArray[np.int64],
    judge: Judge,
    catalog: Catalog,
    proven: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Choose the rows that a rank of cases is about.

    Returns:
        at: int64 (K), the rows. case: int64 (K), their case. outcome: uint8 (K), BAD only where
        the broken link is the case's own zone and before it `ceased`, GOOD of signers that are
        `chained` only if secure.
    """
    case = owner[catalog.signer[rows.signature]]
    low = np.array([held.episode.low for held in cases], dtype=np.int64)
    high = np.array([held.episode.high for held in cases], dtype=np.int64)
    names = {name: number for number, name in enumerate(judge.zones)}
    zone = np.array([names.get(held.episode.zone, -2) for held in cases], dtype=np.int64)
    at = np.flatnonzero(case >= 0)
    case = case[at]
    inside = (rows.time[at] >= low[case]) & (rows.time[at] <= high[case])
    at, case = at[inside], case[inside]
    outcome = rows.outcome[at].copy()
    outcome[(outcome == BAD) & (rows.zone[at] != zone[case])] = NEITHER
    ceased = np.array([held.ceased for held in cases], dtype=np.int64)
    outcome[(outcome == BAD) & (rows.time[at] > ceased[case])] = NEITHER
    unproven = proven[rows.signature[at]] & (rows.status[at] != Status.SECURE)
    outcome[(outcome == GOOD) & unproven] = NEITHER
    return at, case, outcome


def count(
    cases: list[Case],
    evidence: Evidence,
    judge: Judge,
    catalog: Catalog,
    places: Places,
    asked: NDArray[np.bool_],
    origin: int,
    width: int,
    note: Note | None = None,
) -> None:
    """Fill the cells and bins of one rank of cases by one walk over the sightings.

    Args:
        cases: the rank; filled in place.
        evidence: for the sightings.
        judge: for their verdicts.
        catalog: the signatures as arrays.
        places: the responders.
        asked: as in `judged`.
        origin: start of the bins of the series, ns.
        width: of a bin, ns.
        note: called with the rank, each batch, and what `rows_of_cases` gives of it.
    """
    owner = assign(cases, catalog)
    groups, group_of = _groups(catalog)
    cells, bins, below = Cells(), Cells(), Cells()
    zone_case = _zone_cases(cases, judge)
    proven = chained(evidence, catalog, cases)
    unsound = _unsound(evidence, catalog)
    for rows in judged(evidence, judge, catalog, places, asked):
        at, case, outcome = rows_of_cases(rows, cases, owner, judge, catalog, proven)
        if note is not None:
            note(cases, rows, at, case, outcome)
        doubtful = unsound[rows.signature[at]] & (rows.status[at] == Status.INDETERMINATE)
        _doubt(cases, rows, at[doubtful], case[doubtful], catalog)
        moments = (rows.time[at], rows.where[at], rows.signature[at])
        place = rows.place[at] << 1 | rows.side[at]
        key = (place, group_of[rows.signature[at]], rows.serial[at])
        cells.add(key, outcome, *moments)
        bins.add((place, case, bin_numbers(rows.time[at], origin, width)), outcome, *moments)
        bad = np.flatnonzero((rows.outcome == BAD) & (zone_case[rows.zone] >= 0))
        signer = catalog.signer[rows.signature[bad]]
        zeros = np.zeros(len(bad), dtype=np.int64)
        moments = (rows.time[bad], rows.where[bad], rows.signature[bad])
        below.add((zone_case[rows.zone[bad]], signer, zeros), rows.outcome[bad], *moments)
    for cell in cells.order().tolist():
        row = _cell(cells, cell, groups, catalog)
        cases[owner[row.signer]].cells.append(row)
    for cell in bins.order().tolist():
        place, number, bucket = bins.keys[cell].tolist()
        cases[number].bins[place >> 1, place & 1, bucket] = bins.counts[cell].tolist()
    for cell in below.order().tolist():
        number, signer, _ = below.keys[cell].tolist()
        if catalog.signers[signer] != cases[number].episode.zone:
            cases[number].below.add(catalog.signers[signer])
    for held in cases:
        held.omitted = cells.omitted


def _unsound(evidence: Evidence, catalog: Catalog) -> NDArray[np.bool_]:
    """Tell which signatures fail by what they are: no time makes them good."""
    table = evidence.verdicts
    status, reason = coded(table["status"]), coded(table["reason"])
    bogus = np.array([value == "bogus" for value in status.values.to_pylist()], dtype=bool)
    words = np.array([value in UNSOUND for value in reason.values.to_pylist()], dtype=bool)
    rows = status.lookup(bogus, absent=False).astype(bool)
    rows &= reason.lookup(words, absent=False).astype(bool)
    found = np.zeros(len(catalog.signer), dtype=bool)
    numbers = integers(table["signature"])[rows]
    found[numbers[numbers < len(found)]] = True
    return found


def _doubt(
    cases: list[Case],
    rows: Judged,
    at: NDArray[np.int64],
    case: NDArray[np.int64],
    catalog: Catalog,
) -> None:
    """Note the sightings `at` as doubtful ones of their cases."""
    signature = rows.signature[at]
    keys = np.stack(
        [
            case, rows.place[at], rows.side[at], catalog.signer[signature],
            catalog.record_class[signature],
        ]
    )  # fmt: skip
    found, inverse = np.unique(keys, axis=1, return_inverse=True)
    for number, (of, *key) in enumerate(found.T.tolist()):
        times = rows.time[at[inverse.reshape(-1) == number]]
        stratum = (key[0], key[1], key[2], key[3])
        first, last = cases[of].doubted.get(stratum, (int(times.min()), int(times.max())))
        cases[of].doubted[stratum] = (min(first, int(times.min())), max(last, int(times.max())))


def _zone_cases(cases: list[Case], judge: Judge) -> NDArray[np.int64]:
    """Give the case of each of the judge's zones; -1 for none, and for no zone (index -1)."""
    numbers = {case.episode.zone: number for number, case in enumerate(cases)}
    return np.array([*(numbers.get(zone, -1) for zone in judge.zones), -1], dtype=np.int64)


def _groups(catalog: Catalog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct (signer, type, tag, algorithm).

    Returns:
        groups: int64 (G), one signature of each. group_of: int64 by signature number.
    """
    code = (catalog.signer << 16 | catalog.type) << 24 | catalog.tag << 8 | catalog.algorithm
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return first.astype(np.int64), inverse.reshape(-1).astype(np.int64)


def _cell(cells: Cells, cell: int, groups: NDArray[np.int64], catalog: Catalog) -> Cell:
    """Give one cell as a row."""
    place, group, serial = cells.keys[cell].tolist()
    sample = int(groups[group])
    held = [
        None if where < 0 else Moment(time, where >> 32, where & 0xFFFFFFFF, signature)
        for time, where, signature in cells.moments[cell].tolist()
    ]
    first_seen, last_seen = held[FIRST_SEEN], held[LAST_SEEN]
    assert first_seen is not None
    assert last_seen is not None
    return Cell(
        place=place >> 1,
        side=place & 1,
        signer=int(catalog.signer[sample]),
        type=int(catalog.type[sample]),
        tag=int(catalog.tag[sample]),
        algorithm=int(catalog.algorithm[sample]),
        record_class=int(catalog.record_class[sample]),
        serial=serial,
        good=int(cells.counts[cell, GOOD]),
        bad=int(cells.counts[cell, BAD]),
        first_good=held[FIRST_GOOD],
        last_good=held[LAST_GOOD],
        first_bad=held[FIRST_BAD],
        last_bad=held[LAST_BAD],
        first_seen=first_seen,
        last_seen=last_seen,
    )
