"""The timeline's entry: from verdicts and sightings to incidents, findings, events and series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from forensics import limits, vocabulary
from forensics.timeline import (
    aftermath,
    chain,
    clock,
    ending,
    events,
    findings,
    foresight,
    impact,
    lagging,
    rollover,
    series,
    steps,
    triage,
    undelegated,
)
from forensics.timeline.columns import coded, integers, single
from forensics.timeline.evidence import (
    Catalog,
    Evidence,
    Judge,
    Places,
    read_catalog,
    read_places,
)
from forensics.timeline.incident import Draft, complete, draft, is_linked, window
from forensics.timeline.judged import AUTHORITY, RESOLVER, judge_of
from forensics.timeline.keysets import Run, lifetimes, read_runs
from forensics.timeline.moments import rfc3339
from forensics.timeline.onset import bracket, earliest_of
from forensics.timeline.overtime import OverTime, over_time
from forensics.timeline.severity import shared_operators
from forensics.timeline.strata import count, open_cases
from forensics.timeline.survey import PAUSE, Episode, Survey, episodes, survey
from forensics.timeline.wording import ended_once

__all__ = ["Evidence", "Story", "tell"]

QUIET_KEYS: Final = 64
"""Bars of keys drawn where there is no incident: those of the zones closest to the root."""

NEAR_MISSES: Final = frozenset({vocabulary.REASON_CODE["algorithm-incomplete"]})
"""Reasons that stand beside a good verdict as a warning."""


ABSENT: Final = vocabulary.REASON_CODE["dnskey-absent"]


@dataclass(frozen=True, slots=True)
class Story:
    """What the report tells.

    Attributes:
        incidents: rows of report.json, in order of onset.
        triage: failed lookups by kind; triage_cases: the typical case of each.
        agreement: the resolvers' words against the verdicts.
        findings: rows {kind, sentence, …}; the gravest first.
        events: rows in order of time; events_omitted: how many more there were.
        series: `bin_seconds`, `start`, `lookups`, `sightings`, `keys`, `matrix`, `matrix_omitted`,
            `verdicts`, and `over`: counts by bin of what the page's tables say.
        statuses: sightings by status.
    """

    incidents: list[dict[str, Any]]
    triage: dict[str, int]
    triage_cases: dict[str, dict[str, Any]]
    agreement: dict[str, Any]
    findings: list[dict[str, Any]]
    events: list[dict[str, Any]]
    events_omitted: int
    series: dict[str, Any]
    statuses: dict[str, int]


def tell(evidence: Evidence) -> Story:
    """Tell the story of the captures. Same tables, in whatever order of rows: the same story."""
    judge = judge_of(evidence)
    catalog, places = read_catalog(evidence.signatures), read_places(evidence.places)
    serials = lagging.Serials(evidence, catalog)
    origin, width = _binning(evidence)
    over = OverTime(origin, width, catalog)
    near = ending.Ending(catalog)
    seen = survey(evidence, judge, catalog, places, serials.note, over.note, near.note)
    suspected = seen.spells
    found, seen.spells = clock.judge_clocks(seen, catalog, places)
    found, seen.spells = clock.without_witness(found, seen, evidence)
    found, seen.spells = clock.without_order(found, seen.spells, evidence)
    found = clock.self_recorded(found, suspected, evidence)
    chosen, omitted = _choose(episodes(seen.spells))
    misses = _near_misses(seen, chosen)
    zones = {episode.zone for episode in [*chosen, *misses]}
    runs = read_runs(evidence.keys, {name for zone in zones for name in chain.above(zone)})
    for held in runs.values():
        held[:] = [run.at(int(places.same[run.place])) for run in held]
    drafts = _drafts(chosen, evidence, judge, catalog, places, seen, runs, over, origin, width)
    clock_steps = steps.ClockSteps()
    windows = [window(begun, places) for begun in drafts]
    traffic = impact.walk(
        clock_steps.watched(evidence.transactions()),
        windows,
        foresight.look_ahead(evidence.transactions(), windows),
        _signed_zones(evidence, catalog),
        origin,
        width,
        over,
    )
    paths = dict(
        zip(*(evidence.captures[name].to_pylist() for name in ("capture", "path")), strict=True)
    )
    incidents = [
        complete(begun, evidence, catalog, places, hurt, paths)
        for begun, hurt in zip(drafts, traffic.impacts, strict=True)
    ]
    for begun, row in zip(drafts, incidents, strict=True):
        earliest = earliest_of(begun.strata)
        row["chain"] = chain.links(
            begun.zone,
            row["reason"],
            begun.brackets.first_bad,
            earliest.place,
            runs,
            evidence,
            catalog,
            judge,
        )
    gone = {
        begun.zone: min(absent)
        for begun in drafts
        if (absent := [s.first for s in begun.case.episode.spells if s.reason == ABSENT])
    }
    rolls = rollover.rolls_of(evidence, catalog, places, gone)
    for row in incidents:
        if row["zone"] in rolls:
            row["rollover"] = rolls[row["zone"]]
    shared_operators(incidents)
    claimed = [] if found else clock.claimed_clocks(traffic.claims)
    spoken = {server for row in claimed for server in row["resolvers"]}
    found += [*findings.of_notes(evidence), *claimed, *_miss_findings(misses)]
    found += lagging.findings(serials, {row["zone"] for row in incidents}, places)
    found += clock_steps.findings(evidence.captures)
    if not any(row["kind"].startswith("clock") for row in found):
        bad = {row["zone"] for row in incidents}
        found += ending.findings(near, evidence, judge, places, paths, bad)
    found += rollover.findings(rolls, zones)
    found += findings.of_capture(evidence, seen, traffic)
    found += findings.of_incidents(incidents)
    if not any(row["kind"].startswith("clock") for row in found if row not in claimed):
        found += findings.of_claims(traffic, spoken)
    if omitted:
        text = f"{omitted} further incidents of fewer sightings are not told."
        found.append({"kind": "omitted", "count": omitted, "sentence": text})
    for begun in drafts:
        if len(begun.happenings) > limits.HISTORY_ROWS:
            text = (
                f"The keys of {begun.zone} changed more than {limits.HISTORY_ROWS:,} times; the "
                "first and the last changes are told."
            )
            found.append({"kind": "omitted", "sentence": text})
    rows = [
        row
        for begun, hurt in zip(drafts, traffic.impacts, strict=True)
        for row in events.of_incident(begun, hurt, places)
    ]
    told, left_out = events.table(rows, paths)
    agreement = {"agree": 0, "disagree": 0, "cases": []}
    if evidence.weigh is not None:
        agreement = evidence.weigh(evidence.transactions(), incidents)
    failed = triage.settle(*traffic.triage, traffic.client_side, traffic.responses)
    return Story(
        incidents=sorted(incidents, key=lambda row: (row["onset"]["first_bad"], row["zone"])),
        triage=failed,
        triage_cases=triage.typical(failed, *traffic.cases, paths, client_side=traffic.client_side),
        agreement=agreement,
        findings=findings.sort(found),
        events=told,
        events_omitted=left_out,
        series=over_time(
            over,
            evidence,
            _series(evidence, traffic, drafts, runs, places, origin, width),
            incidents,
            [(begun.zone, begun.case) for begun in drafts],
            places,
            client_side=traffic.client_side,
            responses=traffic.responses,
        ),
        statuses=dict(zip(vocabulary.STATUSES, seen.statuses.tolist(), strict=True)),
    )


def _binning(evidence: Evidence) -> tuple[int, int]:
    """Give the bins over all captures."""
    first = [time for time in integers(evidence.captures["first"], -1).tolist() if time >= 0]
    last = [time for time in integers(evidence.captures["last"], -1).tolist() if time >= 0]
    return series.binning(min(first, default=0), max(last, default=1))


def _choose(found: list[Episode]) -> tuple[list[Episode], int]:
    """Leave out what resolvers repeat of a zone's own incident, and cut at limits.INCIDENTS."""
    authority = [episode for episode in found if episode.side == AUTHORITY]
    alone = [
        episode
        for episode in found
        if episode.side == RESOLVER
        and not any(
            episode.zone == other.zone
            and episode.first.time <= other.last.time + PAUSE
            and other.first.time <= episode.last.time + PAUSE
            for other in authority
        )
    ]
    weight = {id(episode): sum(spell.bad for spell in episode.spells) for episode in found}
    ordered = sorted(
        [*authority, *alone],
        key=lambda episode: (-weight[id(episode)], episode.zone, episode.side, episode.first),
    )
    kept = ordered[: limits.INCIDENTS]
    kept.sort(key=lambda episode: (episode.zone, episode.side, episode.first))
    return kept, len(ordered) - len(kept)


def _drafts(
    chosen: list[Episode],
    evidence: Evidence,
    judge: Judge,
    catalog: Catalog,
    places: Places,
    seen: Survey,
    runs: dict[str, list[Run]],
    over: OverTime,
    origin: int,
    width: int,
) -> list[Draft]:
    """Walk the sightings again for each rank of cases, twice: to count, then to bracket."""
    found: list[tuple[int, Draft]] = []
    order = {id(episode): number for number, episode in enumerate(chosen)}
    gone = {
        episode.zone: undelegated.withdrawal(
            episode.zone, runs.get(episode.zone, []), evidence, places
        )
        for episode in chosen
        if is_linked(episode)
    }
    for cases in open_cases(chosen, catalog):
        for case in cases:
            case.ceased = aftermath.ceased(case.episode, gone.get(case.episode.zone))
        count(cases, evidence, judge, catalog, places, seen.asked, origin, width, over.note_cells)
        strata = bracket(cases, evidence, judge, catalog, places, seen.asked)
        for case, mine in zip(cases, strata, strict=True):
            held = runs.get(case.episode.zone, [])
            withdrawn = gone.get(case.episode.zone)
            begun = draft(case, mine, held, evidence, catalog, places, withdrawn)
            if begun is not None:
                found.append((order[id(case.episode)], begun))
    return [begun for _, begun in sorted(found, key=lambda item: item[0])]


def _near_misses(seen: Survey, chosen: Sequence[Episode]) -> list[Episode]:
    """Find zones whose data was good throughout, though out of the safe path."""
    bad = {episode.zone for episode in chosen}
    soft = [spell for spell in seen.soft if spell.reason in NEAR_MISSES and spell.zone not in bad]
    return [episode for episode in episodes(soft) if episode.side == AUTHORITY]


def _miss_findings(misses: Sequence[Episode]) -> list[dict[str, Any]]:
    """Tell the near misses that no bad data stands behind."""
    return [
        {
            "kind": "near-miss",
            "zone": episode.zone,
            "reason": vocabulary.REASONS[episode.spells[0].reason].code,
            "sentence": (
                ended_once(
                    vocabulary.REASONS[episode.spells[0].reason].sentence.format(zone=episode.zone)
                )
                + " All its data was valid all the same."
            ),
        }
        for episode in misses
    ]


def _signed_zones(evidence: Evidence, catalog: Catalog) -> set[str]:
    """Give the zones known to be signed: those that sign, and those with a DS or DNSKEY."""
    kinds = integers(evidence.keys["type"])
    zones = coded(evidence.keys["zone"])
    known = (kinds == vocabulary.TYPE_DNSKEY) | (kinds == vocabulary.TYPE_DS)
    names = zones.values.to_pylist()
    return {*catalog.signers, *(names[code] for code in set(zones.codes[known].tolist()))}


def _series(
    evidence: Evidence,
    traffic: impact.Traffic,
    drafts: Sequence[Draft],
    runs: dict[str, list[Run]],
    places: Places,
    origin: int,
    width: int,
) -> dict[str, Any]:
    """Put the series together."""
    table, omitted = events.matrix(drafts, places)
    zones = sorted({begun.zone for begun in drafts})
    held = [run for zone in zones for run in runs.get(zone, [])]
    if not zones:
        names = sorted(
            set(single(evidence.keys["zone"]).to_pylist()),
            key=lambda zone: (zone != ".", zone.count("."), zone),
        )[:QUIET_KEYS]
        quiet = read_runs(evidence.keys, names)
        held = [run for zone in names for run in quiet.get(zone, [])]
    return {
        "bin_seconds": width / limits.SECOND,
        "start": rfc3339(origin),
        "lookups": series.lookups(traffic.bins, traffic.failures, origin, width),
        "sightings": events.sightings(drafts, places, origin, width),
        "keys": lifetimes(held)[: limits.REPORT_ROWS if zones else QUIET_KEYS],
        "matrix": table,
        "matrix_omitted": omitted,
    }
