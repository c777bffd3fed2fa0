"""Everything notable in order of time, and the table of servers by record type and serial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from forensics import limits, vocabulary
from forensics.timeline.evidence import Places
from forensics.timeline.impact import Impact
from forensics.timeline.incident import Draft
from forensics.timeline.judged import AUTHORITY
from forensics.timeline.moments import Moment, rfc3339
from forensics.timeline.onset import combine
from forensics.timeline.quote import type_name
from forensics.timeline.strata import Cell

Row = tuple[Moment, str, str, str | None, str]
"""When, kind, zone, place, text."""

GRAVE: Final = (
    "last-good", "first-bad", "last-bad", "first-good", "dnskey-added", "dnskey-removed",
    "dnskey-revoked", "ds-added", "ds-removed", "cds-seen", "cds-added", "cds-removed",
    "cdnskey-seen", "cdnskey-added", "cdnskey-removed", "signer-changed", "resigned",
    "proofs-changed",
    "resolver-failing", "resolver-answering",
)  # fmt: skip
"""Kinds that stay when there are too many events; serials go first."""


def place_name(places: Places, place: int) -> str | None:
    """Name a place: address and instance."""
    if not 0 <= place < len(places.server):
        return None
    instance = places.nsid[place]
    return places.server[place] if instance is None else f"{places.server[place]} ({instance})"


def of_incident(begun: Draft, impact: Impact, places: Places) -> list[Row]:
    """Tell the events of one incident."""
    zone = begun.zone
    code = vocabulary.REASONS[begun.reason].code
    rows: list[Row] = []
    for place in sorted({stratum.place for stratum in begun.strata}):
        at = place_name(places, place)
        brackets = combine([stratum for stratum in begun.strata if stratum.place == place])
        for moment, kind, text in (
            (brackets.last_good, "last-good", f"last good answer of {zone} before the fault"),
            (brackets.first_bad, "first-bad", f"first bad answer of {zone}: {code}"),
            (brackets.last_bad, "last-bad", f"last bad answer of {zone}"),
            (brackets.first_good, "first-good", f"first good answer of {zone} after the fault"),
        ):
            if moment is not None:
                rows.append((moment, kind, zone, at, text))
    for row in begun.happenings:
        rows.append((row.moment, row.event, zone, place_name(places, row.place), row.detail))
    rows += _serials(begun, places)
    for (address, identity), resolver in sorted(impact.resolvers.items()):
        name = f"{address} ({identity})" if identity else address
        if resolver.first_servfail is not None and resolver.last_servfail is not None:
            rows.append(
                (resolver.first_servfail, "resolver-failing", zone, name,
                 f"first SERVFAIL to a client for a name under {zone}")
            )  # fmt: skip
            rows.append(
                (resolver.last_servfail, "resolver-answering", zone, name,
                 f"last of {resolver.servfail:,} SERVFAIL to clients for names under {zone}")
            )  # fmt: skip
    return rows


def _serials(begun: Draft, places: Places) -> list[Row]:
    """Tell each new SOA serial while the zone was bad, and whether the SOA held."""
    first: dict[int, Cell] = {}
    bad: set[int] = set()
    for cell in begun.case.cells:
        if cell.type != vocabulary.TYPE_SOA or not cell.serial or cell.side != AUTHORITY:
            continue
        if cell.serial not in first or cell.first_seen < first[cell.serial].first_seen:
            first[cell.serial] = cell
        if cell.bad:
            bad.add(cell.serial)
    begin, end = begun.brackets.first_bad.time, begun.brackets.last_bad.time
    return [
        (cell.first_seen, "serial", begun.zone, place_name(places, cell.place),
         f"SOA serial {serial}, its signature {'bad' if serial in bad else 'good'}")
        for serial, cell in sorted(first.items())
        if begin <= cell.first_seen.time <= end
    ]  # fmt: skip


def table(rows: Iterable[Row], paths: dict[int, str]) -> tuple[list[dict[str, Any]], int]:
    """Give the events in order, at most limits.REPORT_ROWS, and how many were left out."""
    ordered = sorted(set(rows), key=lambda row: (row[0], row[1:3], row[3] or "", row[4]))
    kept = ordered
    if len(ordered) > limits.REPORT_ROWS:
        grave = [row for row in ordered if row[1] in GRAVE][: limits.REPORT_ROWS]
        rest = [row for row in ordered if row[1] not in GRAVE]
        kept = sorted(
            grave + rest[: limits.REPORT_ROWS - len(grave)],
            key=lambda row: (row[0], row[1:3], row[3] or "", row[4]),
        )
    return [
        {
            "at": rfc3339(moment.time),
            "capture": paths.get(moment.capture, "?"),
            "frame": moment.frame,
            "kind": kind,
            "zone": zone,
            "place": place,
            "text": text,
        }
        for moment, kind, zone, place, text in kept
    ], len(ordered) - len(kept)


def matrix(drafts: Sequence[Draft], places: Places) -> tuple[list[dict[str, Any]], int]:
    """Give good and bad by zone, server, record type and SOA serial, and how many were left out.

    Rows of serials that were bad anywhere come before the others are cut.
    """
    counts: dict[tuple[str, int, int, int], list[int]] = {}
    for begun in drafts:
        for cell in begun.case.cells:
            if cell.side == AUTHORITY and (cell.good or cell.bad):
                key = (begun.zone, cell.serial, cell.place, cell.type)
                held = counts.setdefault(key, [0, 0])
                held[0] += cell.good
                held[1] += cell.bad
    bad = {key[:2] for key, held in counts.items() if held[1]}
    ordered = sorted(counts, key=lambda key: (key[:2] not in bad, key))
    kept = sorted(ordered[: limits.REPORT_ROWS])
    return [
        {
            "zone": zone,
            "serial": serial or None,
            "server": places.server[place],
            "nsid": places.nsid[place],
            "type": type_name(kind),
            "good": counts[zone, serial, place, kind][0],
            "bad": counts[zone, serial, place, kind][1],
        }
        for zone, serial, place, kind in kept
    ], len(ordered) - len(kept)


def sightings(
    drafts: Sequence[Draft], places: Places, origin: int, width: int
) -> list[dict[str, Any]]:
    """Give good, bad and undecided sightings over time by zone and server."""
    sums: dict[tuple[int, str, int], list[int]] = {}
    for begun in drafts:
        for (place, _, number), counts in begun.case.bins.items():
            held = sums.setdefault((number, begun.zone, place), [0, 0, 0])
            for kind in range(3):
                held[kind] += counts[kind]
    return [
        {
            "at": rfc3339(origin + number * width),
            "zone": zone,
            "server": places.server[place],
            "nsid": places.nsid[place],
            "good": good,
            "bad": bad,
            "indeterminate": neither,
        }
        for (number, zone, place), (good, bad, neither) in sorted(sums.items())
    ]
