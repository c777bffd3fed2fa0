"""What tables of the report say of a part of the time: counts by bin, kept while the walks go by.

The page narrows its tables to the time that a reader chooses with them. Counts are told as flat
lists of pairs, bin and count; a bin is `over.seconds` long, and the first begins at `start`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline import series, triage
from forensics.timeline.columns import coded, integers, truths
from forensics.timeline.evidence import Catalog, Evidence, Places
from forensics.timeline.judged import AUTHORITY, Judged
from forensics.timeline.kernels import BAD, GOOD
from forensics.timeline.lookups import Lookups
from forensics.timeline.moments import rfc3339
from forensics.timeline.quote import type_name
from forensics.timeline.series import MOST_BINS
from forensics.timeline.sketch import hash_values, mix
from forensics.timeline.strata import Case, Cells
from forensics.timeline.tallies import BIN_BITS, PAIRS, Counts, Marks, flat, joined, size, sparse

HURT: Final = ("transactions", "servfail", "signed", "unsigned", "again")
"""What is counted of an incident's lookups, as in its `impact`; `again`: retransmissions."""


@dataclass(slots=True)
class Hurt:
    """One incident's lookups by bin: int64 (MOST_BINS, len(HURT)), and what must be distinct."""

    sums: NDArray[np.int64]
    names: Marks = field(default_factory=Marks)
    clients: Marks = field(default_factory=Marks)
    asked: Marks = field(default_factory=Marks)


class OverTime:
    """Counts by bin; the walks over sightings and transactions bring their rows.

    Args:
        origin: start of the first bin, ns.
        width: of a bin, ns.
        catalog: the signatures as arrays.
    """

    def __init__(self, origin: int, width: int, catalog: Catalog) -> None:
        self._origin, self._width, self._catalog = origin, width, catalog
        self._statuses = np.zeros((MOST_BINS, len(vocabulary.STATUSES)), np.int64)
        self._first = np.full(len(catalog.signer), 2**62, np.int64)
        self._last = np.full(len(catalog.signer), -1, np.int64)
        self._cells = Cells()
        self._cases: list[Case] = []
        self._triage = np.zeros((2, MOST_BINS, len(triage.KINDS)), np.int64)
        self._hurt: dict[int, Hurt] = {}
        self._resolvers: dict[tuple[int, str, str, str, int], int] | None = {}

    def _bins(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        return series.bin_numbers(time, self._origin, self._width)

    # -- what the walks bring --------------------------------------------------------------------

    def note(self, rows: Judged) -> None:
        """Count sightings by status, and note when each signature was seen."""
        kinds = self._statuses.shape[1]
        cell = self._bins(rows.time) * kinds + rows.status
        counts = np.bincount(cell[rows.status < kinds], minlength=self._statuses.size)
        self._statuses += counts.reshape(self._statuses.shape)
        np.minimum.at(self._first, rows.signature, rows.time)
        np.maximum.at(self._last, rows.signature, rows.time)

    def note_cells(
        self,
        cases: Sequence[Case],
        rows: Judged,
        at: NDArray[np.int64],
        case: NDArray[np.int64],
        outcome: NDArray[np.uint8],
    ) -> None:
        """Count the rows `at` of a rank's cases by place, type, SOA serial and bin."""
        known = {id(held): number for number, held in enumerate(self._cases)}
        if any(id(held) not in known for held in cases):
            self._cases += [held for held in cases if id(held) not in known]
            known = {id(held): number for number, held in enumerate(self._cases)}
        number = np.array([known[id(held)] for held in cases], np.int64)
        chosen = rows.side[at] == AUTHORITY
        at, case = at[chosen], case[chosen]
        signature, time = rows.signature[at], rows.time[at]
        kind = self._catalog.type[signature]
        detail = rows.serial[at] << BIN_BITS | self._bins(time)
        key = (rows.place[at], number[case] << 16 | kind, detail)
        self._cells.add(key, outcome[chosen], time, rows.where[at], signature)

    def note_triage(self, side: int, kind: str, rows: Lookups, at: NDArray[np.int64]) -> None:
        """Count failed lookups of clients (side 0) or of others (1) by kind."""
        column = triage.KINDS.index(kind)
        self._triage[side, :, column] += np.bincount(
            self._bins(rows.begin[at]), minlength=MOST_BINS
        )

    def note_hurt(
        self,
        incident: int,
        rows: Lookups,
        at: NDArray[np.int64],
        failed: NDArray[np.int64],
        signed: NDArray[np.bool_],
    ) -> None:
        """Count the lookups `at` of an incident, and those of them that failed."""
        held = self._hurt.get(incident)
        if held is None:
            held = self._hurt[incident] = Hurt(np.zeros((MOST_BINS, len(HURT)), np.int64))
        fresh = at[~rows.again[at]]
        for column, chosen in enumerate(
            (fresh, failed, failed[signed], failed[~signed], at[rows.again[at]])
        ):
            held.sums[:, column] += np.bincount(self._bins(rows.begin[chosen]), minlength=MOST_BINS)
        bins = self._bins(rows.begin[failed])
        name, client = _hashes(rows.name, failed), _hashes(rows.client, failed)
        held.names.add(bins, name)
        held.clients.add(bins, client)
        held.asked.add(bins, mix(client, name, rows.qtype[failed].astype(np.uint64)))
        self._note_resolvers(incident, rows, fresh[rows.response[fresh]])

    def _note_resolvers(self, incident: int, rows: Lookups, at: NDArray[np.int64]) -> None:
        """Count what each resolver answered."""
        if self._resolvers is None or not len(at):
            return
        said = np.full(len(at), 2, np.int64)
        said[(rows.rcode[at] == 0) | (rows.rcode[at] == vocabulary.NXDOMAIN)] = 1
        said[rows.rcode[at] == vocabulary.SERVFAIL] = 0
        bins = self._bins(rows.begin[at])
        keys = np.stack([rows.server.codes[at], rows.identity.codes[at], said, rows.ede[at], bins])
        found, counts = np.unique(keys, axis=1, return_counts=True)
        for (server, identity, what, ede, step), count in zip(
            found.T.tolist(), counts.tolist(), strict=True
        ):
            address = rows.server.values[server].as_py() if server >= 0 else "?"
            name = "" if identity < 0 else rows.identity.values[identity].as_py()
            for figure in (("servfail", "answered", "")[what], f"ede {ede}" if ede >= 0 else ""):
                if figure:
                    key = (incident, address, name, figure, step)
                    self._resolvers[key] = self._resolvers.get(key, 0) + count
        if len(self._resolvers) > limits.TIMELINE_CELLS:
            self._resolvers = None

    # -- what is told ----------------------------------------------------------------------------

    def verdicts(self) -> list[dict[str, Any]]:
        """Give the sightings by status over time: rows of bins in which there are any."""
        return [
            {
                "at": rfc3339(self._origin + number * self._width),
                **dict(zip(vocabulary.STATUSES, self._statuses[number].tolist(), strict=True)),
            }
            for number in np.flatnonzero(self._statuses.any(axis=1)).tolist()
        ]

    def sign(self, keys: Iterable[dict[str, Any]], checks: Any) -> None:
        """Tell of each DNSKEY row when signatures that it made were seen, first and last.

        By the checks, never by the key tag: of two keys with one tag each gets its own.
        """
        rows = [row for row in keys if row.get("key_id")]
        if not rows:
            return
        made = truths(checks["verifies"])
        signature, key = integers(checks["signature"])[made], coded(checks["key_id"])
        code = key.codes[made]
        number = {name: at for at, name in enumerate(key.values.to_pylist())}
        for row in rows:
            own = signature[code == number.get(row["key_id"], -2)]
            own = own[own < len(self._last)]
            own = own[self._last[own] >= 0]
            if len(own):
                row["signed_first"] = rfc3339(int(self._first[own].min()))
                row["signed_last"] = rfc3339(int(self._last[own].max()))

    def told(
        self,
        incidents: Sequence[Mapping[str, Any]],
        cases: Sequence[tuple[str, Case]],
        matrix: Sequence[dict[str, Any]],
        places: Places,
        *,
        client_side: int,
        responses: int,
    ) -> dict[str, Any]:
        """Give the counts by bin, and add theirs to the rows of the matrix.

        Args:
            incidents: rows, in the order of the impacts.
            cases: zone and case of each incident.
            matrix: rows of `series.matrix`; a row whose counts are whole gets `good_over` and
                `bad_over`.
            places: the responders.
            client_side: how many lookups were clients'.
            responses: how many were captured.
        """
        cells = self._of_matrix(cases, matrix, places)
        failed = self._of_triage(client_side, responses)
        hurt = [self._of_incident(number) for number in range(len(incidents))]
        resolvers = self._of_resolvers()
        every = [
            *(held for row in cells.values() for held in row),
            *failed.values(),
            *(held for row in hurt for held in row[0].values()),
            *(held for row in resolvers.values() for held in row.values()),
        ]
        marks = [held for row in hurt for held in row[1].values()]
        by = 1
        while by < MOST_BINS and size(every, marks, by) > PAIRS:
            by *= 2
        for at, (good, bad) in cells.items():
            matrix[at]["good_over"], matrix[at]["bad_over"] = flat(good, by), flat(bad, by)
        return {
            "seconds": self._width * by / limits.SECOND,
            "triage": {kind: flat(held, by) for kind, held in failed.items()},
            "impact": [
                {
                    "incident": incident["id"],
                    **{name: flat(held, by) for name, held in counts.items()},
                    **{name: joined(held, by) for name, held in distinct.items()},
                }
                for incident, (counts, distinct) in zip(incidents, hurt, strict=True)
            ],
            "resolvers": [
                {
                    "incident": incidents[number]["id"],
                    "address": address,
                    "identity": identity or None,
                    **{
                        name: flat(held, by)
                        for name, held in figures.items()
                        if not name.startswith("ede ")
                    },
                    "ede": {
                        name[4:]: flat(held, by)
                        for name, held in figures.items()
                        if name.startswith("ede ")
                    },
                }
                for (number, address, identity), figures in resolvers.items()
            ],
        }

    def _of_matrix(
        self, cases: Sequence[tuple[str, Case]], matrix: Sequence[dict[str, Any]], places: Places
    ) -> dict[int, tuple[Counts, Counts]]:
        """Give good and bad by bin of the rows of the matrix, as far as they are whole."""
        if self._cells.omitted:
            return {}
        zones = {id(case): zone for zone, case in cases}
        names = [zones.get(id(case)) for case in self._cases]
        sums: dict[tuple[Any, ...], tuple[dict[int, int], dict[int, int]]] = {}
        for cell in self._cells.order().tolist():
            place, what, detail = self._cells.keys[cell].tolist()
            zone = names[what >> 16]
            if zone is None:
                continue
            label = (
                zone, detail >> BIN_BITS or None, places.server[place], places.nsid[place],
                type_name(what & 0xFFFF),
            )  # fmt: skip
            held = sums.setdefault(label, ({}, {}))
            step = detail & (MOST_BINS - 1)
            for kind, counts in zip((GOOD, BAD), held, strict=True):
                seen = int(self._cells.counts[cell, kind])
                if seen:
                    counts[step] = counts.get(step, 0) + seen
        found: dict[int, tuple[Counts, Counts]] = {}
        for at, row in enumerate(matrix):
            label = tuple(row[name] for name in ("zone", "serial", "server", "nsid", "type"))
            good, bad = sums.get(label, ({}, {}))
            if (sum(good.values()), sum(bad.values())) == (row["good"], row["bad"]):
                found[at] = (good, bad)
        return found

    def _of_triage(self, client_side: int, responses: int) -> dict[str, Counts]:
        """Give failed lookups by kind and bin, by the rules of `triage.settle`."""
        client, upstream = self._triage
        lame, timeout = triage.KINDS.index("lame"), triage.KINDS.index("timeout")
        chosen = client.copy() if client_side else upstream.copy()
        if client_side:
            chosen[:, lame] += upstream[:, lame]
        if not responses:
            chosen[:, timeout] = 0
        return {kind: sparse(chosen[:, at]) for at, kind in enumerate(triage.KINDS)}

    def _of_incident(
        self, number: int
    ) -> tuple[dict[str, Counts], dict[str, list[tuple[int, int]]]]:
        """Give what is counted of one incident, and what must be distinct."""
        held = self._hurt.get(number)
        if held is None:
            return {name: {} for name in HURT[:-1]}, {}
        sums = {name: sparse(held.sums[:, at]) for at, name in enumerate(HURT)}
        again = sums.pop("again")
        distinct = held.asked.counts()
        if distinct is not None:
            failed = sums["servfail"]
            repeats = {step: failed[step] - distinct.get(step, 0) for step in failed}
            sums["repeats"] = {step: count for step, count in repeats.items() if count > 0}
            steps = sorted({*again, *sums["repeats"]})
            sums["retries"] = {
                step: again.get(step, 0) + sums["repeats"].get(step, 0) for step in steps
            }
        marks = {"names": held.names.numbered(), "clients": held.clients.numbered()}
        return sums, {name: seen for name, seen in marks.items() if seen is not None}

    def _of_resolvers(self) -> dict[tuple[int, str, str], dict[str, Counts]]:
        """Give what each resolver said by bin, by incident, address and identity."""
        found: dict[tuple[int, str, str], dict[str, dict[int, int]]] = {}
        for incident, address, identity, figure, step in sorted(self._resolvers or {}):
            assert self._resolvers is not None
            own = found.setdefault((incident, address, identity), {"servfail": {}, "answered": {}})
            own.setdefault(figure, {})[step] = self._resolvers[
                incident, address, identity, figure, step
            ]
        return found  # type: ignore[return-value]


def over_time(
    kept: OverTime,
    evidence: Evidence,
    told: dict[str, Any],
    incidents: Sequence[Mapping[str, Any]],
    cases: Sequence[tuple[str, Case]],
    places: Places,
    *,
    client_side: int,
    responses: int,
) -> dict[str, Any]:
    """Add to the series of a report what was kept; gives `told`."""
    kept.sign(told["keys"], evidence.checks)
    told["verdicts"] = kept.verdicts()
    told["over"] = kept.told(
        incidents, cases, told["matrix"], places, client_side=client_side, responses=responses
    )
    return told


def _hashes(column: Any, at: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give the hashes of the texts of some rows, 0 for null."""
    table = hash_values(column.values)
    codes = column.codes[at]
    if not len(table):
        return np.zeros(len(at), np.uint64)
    return np.where(codes >= 0, table[np.maximum(codes, 0)], np.uint64(0))
