"""The keys and DS of a zone through time: what was published then, what changed, and when."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from forensics import limits, vocabulary
from forensics.timeline.columns import integers, single
from forensics.timeline.moments import Moment, rfc3339

REVOKE: Final = 0x0080
"""Flag of a revoked key (RFC 5011 7)."""

SEP: Final = 0x0001
"""Flag of a secure entry point (RFC 4034 2.1.1)."""

TYPE_NAMES: Final = {
    vocabulary.TYPE_DNSKEY: "DNSKEY",
    vocabulary.TYPE_DS: "DS",
    vocabulary.TYPE_CDS: "CDS",
    vocabulary.TYPE_CDNSKEY: "CDNSKEY",
}

KEYS: Final = frozenset({vocabulary.TYPE_DNSKEY, vocabulary.TYPE_DS})
"""What a chain of trust is made of."""

REQUESTS: Final = (vocabulary.TYPE_CDS, vocabulary.TYPE_CDNSKEY)
"""What a zone asks its parent to publish (RFC 7344)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the keys table that was observed."""

    zone: str
    type: int
    rrset: int
    place: int
    first: Moment
    last: Moment
    count: int
    ttl: int
    keys: tuple[Key, ...]

    def at(self, place: int) -> Run:
        """Give the same run as of another place, the one that stands for it."""
        return self if place == self.place else replace(self, place=place)


class Key(NamedTuple):
    """A DNSKEY or DS record: tag, algorithm, flags or digest type, RDATA."""

    tag: int
    algorithm: int
    detail: int
    rdata: bytes

    @property
    def key_id(self) -> str:
        """The key's name in the checks table."""
        return hashlib.sha256(self.rdata).hexdigest()[:16]

    @property
    def role(self) -> str:
        """The role that a DNSKEY's SEP bit gives it."""
        return "ksk" if self.detail & SEP else "zsk"


def read_runs(keys: Any, zones: Iterable[str]) -> dict[str, list[Run]]:
    """Read the observed runs of some zones, in order of first sighting."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(set(zones)), type=pa.string())
    chosen = keys.filter(
        pc.and_(
            pc.is_in(single(keys["zone"]), value_set=wanted),
            pc.and_(pc.is_valid(single(keys["first"])), pc.is_valid(single(keys["place"]))),
        )
    )
    first, last = integers(chosen["first"]).tolist(), integers(chosen["last"]).tolist()
    found: dict[str, list[Run]] = {}
    for row, begin, end in zip(
        chosen.drop_columns(["first", "last"]).to_pylist(), first, last, strict=True
    ):
        parts = (row["tags"], row["algorithms"], row["detail"], row["rdatas"])
        run = Run(
            zone=row["zone"],
            type=row["type"],
            rrset=row["rrset"],
            place=row["place"],
            first=Moment(begin, row["first_capture"], row["first_frame"]),
            last=Moment(end, row["last_capture"], row["last_frame"]),
            count=row["count"],
            ttl=row["ttl"],
            keys=tuple(sorted(Key(*key) for key in zip(*parts, strict=False))),
        )
        found.setdefault(run.zone, []).append(run)
    for runs in found.values():
        runs.sort(key=lambda run: (run.first, run.type, run.place, run.rrset))
    return found


def published(runs: Sequence[Run], begin: int, end: int, kind: int) -> list[Key]:
    """Give the records of a type that were published in [begin, end], ns.

    Those of runs that overlap the time; for a place without such a run, of its last run before,
    else of its first run after.
    """
    found: set[Key] = set()
    by_place: dict[int, list[Run]] = {}
    for run in runs:
        if run.type == kind:
            by_place.setdefault(run.place, []).append(run)
    for _, mine in sorted(by_place.items()):
        now = [run for run in mine if run.first.time <= end and run.last.time >= begin]
        past = [run for run in mine if run.last.time < begin][-1:]
        for run in now or past or ([] if found else mine[:1]):
            found.update(run.keys)
    return sorted(found, key=lambda key: (key.tag, key.algorithm, key.detail, key.rdata))


def nearest(runs: Sequence[Run], kind: int, moment: Moment, place: int) -> Moment | None:
    """Give the sighting of a key set that stands nearest to a moment.

    At the same place before others, and before the moment before after it.
    """
    found: list[tuple[bool, bool, int, Moment]] = []
    for run in runs:
        if run.type != kind:
            continue
        for sighting in (run.first, run.last):
            distance = sighting.time - moment.time
            found.append((run.place != place, distance > 0, abs(distance), sighting))
    return min(found)[3] if found else None


class Change(NamedTuple):
    """A key or DS that came or went: between `after` (the state before was seen) and `before`."""

    before: Moment
    after: Moment
    event: str
    key: Key
    place: int


def changes(runs: Sequence[Run], kinds: Collection[int] = KEYS) -> list[Change]:
    """Give every change of a zone's sets of some types, each once, in order of time.

    Places follow each other: what the first place showed is not told again of the others. Of a
    flood of sets, the first and the last limits.HISTORY_ROWS halves count.
    """
    steps: list[tuple[Moment, Moment, int, Run, Run]] = []
    held: dict[tuple[int, int], Run] = {}
    for run in runs:
        before = held.get((run.place, run.type))
        held[run.place, run.type] = run
        if before is not None and run.type in kinds:
            steps.append((run.first, before.last, run.place, before, run))
    steps.sort(key=lambda step: step[:3])
    half = limits.HISTORY_ROWS // 2
    if len(steps) > 2 * half:
        steps = steps[:half] + steps[-half:]
    state: dict[tuple[int, bytes], str] = {}
    found = []
    for moment, after, place, old, new in steps:
        name = TYPE_NAMES[new.type].lower()
        was, now = _identities(old), _identities(new)
        for identity in sorted(was.keys() | now.keys()):
            event = _event(was.get(identity), now.get(identity), new.type)
            if event and state.get((new.type, identity)) != event:
                state[new.type, identity] = event
                key = now.get(identity) or was[identity]
                found.append(Change(moment, after, f"{name}-{event}", key, place))
    return found


def requests(runs: Sequence[Run]) -> list[tuple[Moment, str, Key, int]]:
    """Give the first sighting of each type of request to the parent (CDS, CDNSKEY; RFC 7344).

    What stood there before the first sighting is not known: `cds-seen` is not `cds-added`.

    Returns:
        moment, event, record and place.
    """
    found = []
    for kind in REQUESTS:
        first = next((run for run in runs if run.type == kind), None)
        if first is not None:
            name = f"{TYPE_NAMES[kind].lower()}-seen"
            found += [(first.first, name, key, first.place) for key in first.keys]
    return found


def _identities(run: Run) -> dict[bytes, Key]:
    """Name each record of a run by what stays when a key is revoked."""
    if run.type != vocabulary.TYPE_DNSKEY:
        return {key.rdata: key for key in run.keys}
    return {(key.detail & ~REVOKE).to_bytes(2) + key.rdata[2:]: key for key in run.keys}


def _event(was: Key | None, now: Key | None, kind: int) -> str | None:
    """Name what happened to one record between two runs."""
    if was is None:
        return "added"
    if now is None:
        return "removed"
    dnskey = kind == vocabulary.TYPE_DNSKEY
    return "revoked" if dnskey and now.detail & REVOKE and not was.detail & REVOKE else None


def describe(event: str, key: Key) -> str:
    """Say in words which record an event is about."""
    kind = event.split("-", 1)[0].upper()
    if kind in {"CDS", "CDNSKEY"} and key.algorithm == 0:
        return f"{kind} that asks the parent to remove the DS (RFC 8078 4)"
    if kind in {"DS", "CDS"}:
        return f"{kind} for key tag {key.tag}, algorithm {key.algorithm}, digest type {key.detail}"
    if kind == "CDNSKEY":
        return f"CDNSKEY with key tag {key.tag}, algorithm {key.algorithm}"
    return f"{key.role.upper()} with key tag {key.tag}, algorithm {key.algorithm}"


def lifetimes(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Give each record's first and last sighting over all places, for bars over time."""
    lives: dict[tuple[str, int, Key], list[Moment]] = {}
    for run in runs:
        for key in run.keys:
            life = lives.setdefault((run.zone, run.type, key), [run.first, run.last])
            life[0], life[1] = min(life[0], run.first), max(life[1], run.last)
    return [
        {
            "zone": zone,
            "type": TYPE_NAMES.get(kind, str(kind)),
            "tag": key.tag,
            "algorithm": key.algorithm,
            "key_id": key.key_id if kind == vocabulary.TYPE_DNSKEY else None,
            "role": key.role if kind in {48, 60} else None,
            "first": rfc3339(first.time),
            "last": rfc3339(last.time),
        }
        for (zone, kind, key), (first, last) in sorted(
            lives.items(), key=lambda item: (item[0][0], -item[0][1], item[1][0], item[0][2])
        )
    ]
