"""Rolls of keys by the names of RFC 7583, and where one left the safe path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline.columns import integers, single, truths
from forensics.timeline.evidence import Catalog, Evidence, Places
from forensics.timeline.keysets import SEP, Key, Run, changes, read_runs
from forensics.timeline.moments import Moment, length, rfc3339
from forensics.timeline.rollsteps import LATE, Set, Signed, Step, early_steps, sets
from forensics.vocabulary import SightingFlag

ZONES: Final = 1_000
"""Zones whose rolls are told, the first by name."""

WORDS: Final = {
    "sign": "key {tag} signed data {early} too early: caches could hold the key list without "
    "it for {ttl} s (its TTL)",
    "withdraw-zsk": "key {tag} left the key list {early} too early: caches could hold "
    "signatures by it for {ttl} s (their TTL)",
    "withdraw-ksk": "key {tag} left the key list {early} too early: caches could hold the "
    "parent's record of it (DS) for {ttl} s (its TTL)",
    "change-ds": "the parent's record (DS) went over to key {tag} {early} too early: caches could "
    "hold the key list without it for {ttl} s (its TTL)",
}


@dataclass(frozen=True, slots=True)
class Roll:
    """A roll of one zone.

    Attributes:
        kind: `zsk`, `ksk`, `algorithm` or `all`.
        method: by RFC 7583 3.2, 3.3; None: none of them.
        old, new: the keys that go and come.
        steps: (first sighting, last sighting of the state before, event, tag).
    """

    kind: str
    method: str | None
    old: list[Key]
    new: list[Key]
    steps: list[tuple[Moment, Moment | None, str, int]]


def rolls_of(
    evidence: Evidence, catalog: Catalog, places: Places, gone: Mapping[str, Moment]
) -> dict[str, dict[str, Any]]:
    """Tell of each zone whose keys changed in the capture what roll that was.

    Args:
        evidence: for keys, checks and sightings.
        catalog: the signatures as arrays.
        places: the responders.
        gone: by zone, the first answer that it has no DNSKEY while its DS was in force.

    Returns:
        by zone, a row with kind, method, old, new, steps, early and sentence.
    """
    zones = sorted({*_changed(evidence.keys), *gone})[:ZONES]
    if not zones:
        return {}
    keys = _served(evidence.keys, places)
    # What is a flood costs no memory here.
    flooded = _changed(keys, limits.ROLL_SETS) & set(zones)
    runs = read_runs(keys, [zone for zone in zones if zone not in flooded])
    for held in runs.values():
        held[:] = [run.at(int(places.same[run.place])) for run in held]
    signed = _signed(evidence, catalog, places, runs)
    found = {}
    for zone in zones:
        mine = runs.get(zone, [])
        dnskeys = sets(mine, vocabulary.TYPE_DNSKEY)
        delegations = sets(mine, vocabulary.TYPE_DS)
        if zone in flooded:
            sentence = (
                f"{_zone_named(zone)} showed more than {limits.ROLL_SETS} different DNSKEY or DS "
                "RRsets: no roll is told of it."
            )
            found[zone] = {**_row(zone, None, []), "sentence": sentence}
            continue
        by_key = signed.get(zone, [])
        if zone in gone and dnskeys:
            dnskeys.append(Set(frozenset(), gone[zone], gone[zone], 0))
        roll = recognise(mine, dnskeys, delegations, by_key)
        early = early_steps(dnskeys, delegations, by_key)
        if roll is not None or early:
            found[zone] = _row(zone, roll, early)
    return found


def _served(keys: Any, places: Places) -> Any:
    """Give the runs that authorities showed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    where = single(keys["place"])
    served = pa.array(np.flatnonzero(~places.resolver), where.type)
    return keys.filter(pc.is_in(where, value_set=served))


def _changed(keys: Any, most: int = 1) -> set[str]:
    """Give the zones of which more than so many DNSKEY or DS RRsets were observed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = pa.array([vocabulary.TYPE_DNSKEY, vocabulary.TYPE_DS], single(keys["type"]).type)
    wanted = pc.and_(
        pc.is_in(single(keys["type"]), value_set=kinds), pc.is_valid(single(keys["first"]))
    )
    rows = pa.table({name: single(keys[name]) for name in ("zone", "type", "rrset")})
    rows = rows.filter(wanted).group_by(["zone", "type"]).aggregate([("rrset", "count_distinct")])
    return set(rows.filter(pc.greater(rows["rrset_count_distinct"], most))["zone"].to_pylist())


def _signed(
    evidence: Evidence, catalog: Catalog, places: Places, runs: Mapping[str, Sequence[Run]]
) -> dict[str, list[Signed]]:
    """Find what each published key of some zones signed, by one walk over the sightings."""
    ids: dict[tuple[str, str], Key] = {
        (zone, key.key_id): key
        for zone, held in runs.items()
        for run in held
        if run.type == vocabulary.TYPE_DNSKEY
        for key in run.keys
    }
    numbers: list[tuple[str, Key]] = []
    made = np.full(len(catalog.signer), -1, dtype=np.int64)
    known: dict[tuple[str, str], int] = {}
    checks = evidence.checks
    chosen = np.flatnonzero(truths(checks["verifies"]))
    for signature, key_id in zip(
        integers(checks["signature"])[chosen].tolist(),
        single(checks["key_id"]).take(chosen).to_pylist(),
        strict=True,
    ):
        if not 0 <= signature < len(made) or catalog.signer[signature] < 0:
            continue
        which = (catalog.signers[int(catalog.signer[signature])], key_id)
        if which in ids:
            if which not in known:
                known[which] = len(numbers)
                numbers.append((which[0], ids[which]))
            made[signature] = known[which]
    cells: dict[tuple[int, bool], list[Any]] = {}
    for batch in evidence.sightings() if numbers else ():
        _walk(batch, made, catalog, places, cells)
    found: dict[str, list[Signed]] = {}
    for (number, over_keys), (first, alone, together, ttl) in sorted(cells.items()):
        zone, key = numbers[number]
        found.setdefault(zone, []).append(Signed(key, over_keys, first, alone, together, ttl))
    return found


def _walk(
    batch: Any,
    made: NDArray[np.int64],
    catalog: Catalog,
    places: Places,
    cells: dict[tuple[int, bool], list[Any]],
) -> None:
    """Take in a batch of schemas.SIGHTINGS; a response never lies in two."""
    signature, place = integers(batch["signature"]), integers(batch["place"])
    flags = integers(batch["flags"])
    never = int(SightingFlag.UNPAIRED | SightingFlag.TC | SightingFlag.CUT)
    at = np.flatnonzero((signature < len(made)) & (place < len(places.server)))
    at = at[(made[signature[at]] >= 0) & (flags[at] & never == 0) & ~places.resolver[place[at]]]
    if not len(at):
        return
    key, family = made[signature[at]], catalog.family[signature[at]]
    where = integers(batch["capture"])[at] << 32 | integers(batch["frame"])[at]
    time, ttl = integers(batch["time"])[at], integers(batch["ttl"])[at]
    group = np.lexsort((key, family, where))
    at, key, family, where, time, ttl = (
        part[group] for part in (at, key, family, where, time, ttl)
    )
    starts = np.flatnonzero(np.r_[True, (np.diff(where) != 0) | (np.diff(family) != 0)])
    number = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(at)]))
    same = np.minimum.reduceat(key, starts) == np.maximum.reduceat(key, starts)
    over = catalog.type[signature[at]] == vocabulary.TYPE_DNSKEY
    alone = same[number]
    for code in np.unique(key << 2 | over.astype(np.int64) << 1 | alone).tolist():
        mine = np.flatnonzero((key << 2 | over.astype(np.int64) << 1 | alone) == code)
        order = mine[np.lexsort((where[mine], time[mine]))]
        first, last = (
            Moment(int(time[row]), int(where[row]) >> 32, int(where[row]) & 0xFFFFFFFF)
            for row in (order[0], order[-1])
        )
        held = cells.setdefault((code >> 2, bool(code & 2)), [first, None, False, 0])
        held[0], held[3] = min(held[0], first), max(held[3], int(ttl[mine].max()))
        if code & 1:
            held[1] = (first, last) if held[1] is None else (
                min(held[1][0], first), max(held[1][1], last)
            )  # fmt: skip
        else:
            held[2] = True


def recognise(
    runs: Sequence[Run],
    dnskeys: Sequence[Set],
    delegations: Sequence[Set],
    signed: Sequence[Signed],
) -> Roll | None:
    """Name the roll that a zone's changes of keys and DS make; None: no key came or was to come.

    Args:
        runs: of the zone.
        dnskeys: its DNSKEY RRsets, in order of first sighting.
        delegations: its DS RRsets, likewise.
        signed: what its keys signed.
    """
    before = dnskeys[0].keys if dnskeys else frozenset()
    ever = frozenset(key for held in dnskeys for key in held.keys)
    new = sorted(ever - before)
    last = dnskeys[-1].keys if dnskeys else frozenset()
    old = sorted(before - last)
    steps = _steps(runs, signed, new)
    if not new:
        return None
    kind = _kind(before, new, last)
    return Roll(kind, _method(kind, before, new, dnskeys, delegations, signed), old, new, steps)


def _kind(before: frozenset[Key], new: Sequence[Key], last: frozenset[Key]) -> str:
    """Tell what was rolled."""
    if not before & last and last:
        return "all"
    if {key.algorithm for key in new} - {key.algorithm for key in before}:
        return "algorithm"
    return "ksk" if any(key.detail & SEP for key in new) else "zsk"


def _method(
    kind: str,
    before: frozenset[Key],
    new: Sequence[Key],
    dnskeys: Sequence[Set],
    delegations: Sequence[Set],
    signed: Sequence[Signed],
) -> str | None:
    """Name the method (RFC 7583 3.2 and 3.3; of algorithms RFC 6781 4.1.4)."""
    if kind == "all" and not any(before & held.keys and set(new) & held.keys for held in dnskeys):
        return None  # nothing stood beside each other
    if kind == "algorithm":
        return "Algorithm Rollover"
    if kind == "zsk":
        double = any(one.key in new and one.together and not one.over_keys for one in signed)
        return "Double-Signature" if double else "Pre-Publication"
    tags = {(key.tag, key.algorithm) for key in new if key.detail & SEP}
    named = [
        held.first
        for held in delegations
        if tags & {(key.tag, key.algorithm) for key in held.keys}
    ]
    shown = min(held.first for held in dnskeys if set(new) & held.keys)
    if not named or min(named).time > shown.time + LATE:
        return "Double-KSK"
    return "Double-RRset" if abs(min(named).time - shown.time) <= LATE else "Double-DS"


def _steps(
    runs: Sequence[Run], signed: Sequence[Signed], new: Sequence[Key]
) -> list[tuple[Moment, Moment | None, str, int]]:
    """Give the steps that were seen, in order of time."""
    found: list[tuple[Moment, Moment | None, str, int]] = [
        (change.before, change.after, change.event, change.key.tag)
        for change in changes(runs)
        if change.event != "dnskey-revoked"
    ]
    found += [
        (one.first, None, "signs-keys" if one.over_keys else "signs-data", one.key.tag)
        for one in signed
        if one.key in new
    ]
    return sorted(found, key=lambda row: (row[0], row[2], row[3]))


def _row(zone: str, roll: Roll | None, early: Sequence[Step]) -> dict[str, Any]:
    """Give the row of the report."""
    told = [_early_row(step) for step in early]
    return {
        "kind": None if roll is None else roll.kind,
        "method": None if roll is None else roll.method,
        "old": [] if roll is None else [key.tag for key in roll.old],
        "new": [] if roll is None else [key.tag for key in roll.new],
        "steps": []
        if roll is None
        else [
            {
                "event": event,
                "tag": tag,
                "at": rfc3339(moment.time),
                "after": None if after is None else rfc3339(after.time),
                "frame": moment.frame,
            }
            for moment, after, event, tag in roll.steps
        ],
        "early": told,
        "sentence": _sentence(zone, roll, told),
    }


def _early_row(step: Step) -> dict[str, Any]:
    """Give the row of a step that came too early."""
    early = min(step.early, step.ttl * limits.SECOND)
    text = WORDS[step.kind].format(tag=step.tag, early=f"at least {length(early)}", ttl=step.ttl)
    return {
        "step": step.kind,
        "tag": step.tag,
        "ttl": step.ttl,
        "held": rfc3339(step.held.time),
        "taken": rfc3339(step.taken.time),
        "early_seconds": round(early / limits.SECOND, 3),
        "sentence": text[:1].upper() + text[1:] + ".",
    }


_KINDS: Final = {
    "zsk": "its zone signing key",
    "ksk": "its key signing key",
    "algorithm": "its algorithm",
    "all": "all of its keys at once",
}


def _sentence(zone: str, roll: Roll | None, early: Sequence[Mapping[str, Any]]) -> str:
    """Say which roll it was, and where it left the safe path."""
    named = _zone_named(zone)
    if roll is None:
        head = f"{named} changed its keys, or its parent the record of them (DS)."
    else:
        old, new = (
            " and ".join(str(tag) for tag in sorted({key.tag for key in keys}))
            for keys in (roll.old, roll.new)
        )
        away = f" in place of {old}" if old else ""
        how = "" if roll.method is None else f" by {roll.method}"
        if roll.kind == "algorithm":
            how = " (RFC 6781 4.1.4)"
        head = f"{named} changed {_KINDS[roll.kind]}{how}: {_tags(new)} came{away}."
    if not early:
        return f"{head} No step came before caches could follow."
    return " ".join([head, *(row["sentence"] for row in early)])


def _zone_named(zone: str) -> str:
    return "The root zone" if zone == "." else zone


def _tags(text: str) -> str:
    return f"key tag{'s' if ' and ' in text else ''} {text}"


def findings(rolls: Mapping[str, Mapping[str, Any]], bad: Iterable[str]) -> list[dict[str, Any]]:
    """Give the findings: each roll, and a near-miss where one was too fast and nothing failed.

    Args:
        rolls: of `rolls_of`.
        bad: zones with an incident, which tells of their roll itself.
    """
    told = set(bad)
    return [
        {
            **row,
            "kind": "near-miss" if row["early"] else "rollover",
            "roll": row["kind"],
            "zone": zone,
            "sentence": row["sentence"]
            + (" Nothing that was captured failed by it." if row["early"] else ""),
        }
        for zone, row in sorted(rolls.items())
        if zone not in told
    ]
