"""Answers to key queries that held no keys: DNSKEY or DS NODATA, and DNSKEY queries that failed.

The keys table follows RRsets that were shown. What was asked and not shown stands in the
transactions alone: `read` finds it there, `judge_keyless` says what it means where a DS is in force
(DESIGN section 4: `dnskey-absent`, `dnskey-unobtainable`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import FOREVER, is_subdomain
from forensics.limits import BURST, KEY_EXCHANGES, QUERY_TIMEOUT, SECOND
from forensics.vocabulary import REFUSED, SERVFAIL, TYPE_DNSKEY, TYPE_DS

RETRY: Final = 6 * SECOND
"""Attempts of one resolver within this time of each other belong to one effort. No TTL is shorter
in practice: who has got an answer does not ask again so soon, whether or not we saw it."""

AROUND: Final = 30 * SECOND
"""Servers asked within this time of an effort belong to those tried."""

EFFORT: Final = 3
"""Attempts that an effort must hold: one lost packet is no outage."""

LOSSY: Final = 50
"""With one response in so many whose query was not recorded, the recorder loses packets: silence is
then its own."""

_FAILURES: Final = {
    1: "format error",
    SERVFAIL: "SERVFAIL",
    4: "not implemented",
    REFUSED: "REFUSED",
}


class Absence(NamedTuple):
    """An authority answered that a zone has no RRset of this type."""

    zone: str
    type: int
    place: int
    time: int
    capture: int
    frame: int
    transaction: int


class Attempt(NamedTuple):
    """A resolver asked an authority for a zone's DNSKEY RRset.

    Attributes:
        is_resolver: the client answers questions itself: it asks for need, not to watch.
        outcome: empty where it got one, else what it got instead.
        size: octets of the response, else of what the query said that it takes.
    """

    zone: str
    client: str
    server: str
    time: int
    place: int
    transport: str
    is_resolver: bool
    outcome: str
    size: int
    capture: int
    frame: int
    transaction: int


@dataclass(frozen=True)
class Failure:
    """An effort to fetch a zone's keys that failed at every server tried.

    Attributes:
        attempts: in order of time; weak: only the resolver's own SERVFAIL says that it failed.
    """

    zone: str
    attempts: tuple[Attempt, ...]
    weak: bool


@dataclass(frozen=True)
class Keyless:
    """What was asked for and not shown.

    Attributes:
        absences: in order of zone, type and time.
        failures: in order of zone and time.
        shown: ns, sorted: when the RRsets that were absent at some time were seen, by zone, type
            and place.
        is_cut: there was more than limits.KEY_EXCHANGES.
    """

    absences: tuple[Absence, ...] = ()
    failures: tuple[Failure, ...] = ()
    shown: Mapping[tuple[str, int, int], Sequence[int]] = field(default_factory=dict)
    is_cut: bool = False


@dataclass
class _Found:
    absences: list[Absence] = field(default_factory=list)
    attempts: dict[tuple[str, str], list[Attempt]] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    fetching: set[str] = field(default_factory=set)
    responses: int = 0
    strays: int = 0
    held: int = 0

    @property
    def is_lossy(self) -> bool:
        """Whether the recorder lost packets: so many responses lack their query."""
        return self.strays * LOSSY > self.responses

    def add(self, attempt: Attempt) -> None:
        """Take an attempt; of several in a row that succeeded only the last is kept."""
        if attempt.outcome != _SILENCE:
            self.fetching.add(attempt.client)
        own = self.attempts.setdefault((attempt.zone, attempt.client), [])
        if own and not attempt.outcome and not own[-1].outcome:
            own[-1] = attempt
        else:
            own.append(attempt)
            self.held += 1


def read(
    transactions: Callable[[], Iterator[Any]],
    sightings: Callable[[], Iterator[Any]],
    signatures: Any,
    anchored: Collection[str],
    places: Any,
    disputed: NDArray[np.int64],
) -> Keyless:
    """Look for key queries whose answer held no key, while a DS of the zone was to be seen.

    A zone that turns insecure withdraws its DS first, and its keys once caches have let go of the
    DS. So what counts is a DS RRset seen within its TTL before, or in the same burst.

    Args:
        transactions: gives schemas.TRANSACTIONS as record batches, from the start each time.
        sightings: likewise schemas.SIGHTINGS.
        signatures: schemas.SIGNATURES.
        anchored: zones that a trust anchor stands for.
        places: schemas.PLACES.
        disputed: capture << 32 | frame of responses that prove nothing, sorted.
    """
    zones = {zone for zone, kind in _over_keys(signatures).values() if kind == TYPE_DS}
    zones |= set(anchored)
    if not zones:
        return Keyless()
    numbers = _numbers(places)
    roles = dict(zip(places["server"].to_pylist(), places["role"].to_pylist(), strict=True))
    found = _Found()
    contested = set(disputed.tolist())
    for batch in transactions():
        _gather(found, batch, zones, numbers, roles, contested)
        if found.held + len(found.absences) > KEY_EXCHANGES:
            break
    is_cut = found.held + len(found.absences) > KEY_EXCHANGES
    efforts = _efforts(found)
    doubtful = [e for e in efforts if all(a.outcome == _TRUNCATED for a in e)]
    told = _told(transactions, doubtful) if doubtful else set()
    failures = [
        Failure(e[0].zone, tuple(e), all(a.outcome == _TRUNCATED for a in e))
        for e in efforts
        if not all(a.outcome == _TRUNCATED for a in e) or (e[0].zone, e[0].time) in told
    ]
    failures.sort(key=lambda f: (f.zone, f.attempts))
    missing = {a.zone for a in found.absences} | {f.zone for f in failures}
    seen, shown = _seen(sightings, _over_keys(signatures, missing))

    def is_fresh(zone: str, time: int) -> bool:
        if zone in anchored:
            return True
        own = seen.get(zone, [])
        at = bisect_right(own, (time + BURST, FOREVER))
        return any(sighted + ttl >= time for sighted, ttl in own[max(at - _LOOK_BACK, 0) : at])

    absences = [a for a in found.absences if a.type == TYPE_DS or is_fresh(a.zone, a.time)]
    kept = [f for f in failures if all(is_fresh(f.zone, a.time) for a in f.attempts)]
    return Keyless(tuple(sorted(absences)), tuple(kept), shown, is_cut)


_LOOK_BACK: Final = 64
"""Sightings of a DS before an instant that are asked whether they reach to it: TTLs differ."""


def _over_keys(signatures: Any, zones: Collection[str] | None = None) -> dict[int, tuple[str, int]]:
    """Give owner and type of each signature over a DNSKEY or DS RRset, by its number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.array([TYPE_DS, TYPE_DNSKEY], pa.uint16())
    # Without what is signed: hostile key RRsets would be copied by the hundred megabytes.
    wanted = ["signature", "owner", "type"]
    rows = signatures.select(wanted).filter(pc.is_in(signatures["type"], value_set=types))
    columns = (rows[name].to_pylist() for name in wanted)
    return {
        number: (owner, kind)
        for number, owner, kind in zip(*columns, strict=True)
        if zones is None or owner in zones
    }


def _seen(
    sightings: Callable[[], Iterator[Any]], signed: dict[int, tuple[str, int]]
) -> tuple[dict[str, list[tuple[int, int]]], dict[tuple[str, int, int], list[int]]]:
    """Give when a DS of each zone was seen, and its TTL (ns, ns), sorted; and all by place."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not signed:
        return {}, {}
    chosen = pa.array(sorted(signed), pa.uint32())
    found: dict[str, set[tuple[int, int]]] = {}
    shown: dict[tuple[str, int, int], set[int]] = {}
    for batch in sightings():
        rows = batch.filter(pc.is_in(batch.column("signature"), value_set=chosen))
        columns = [rows.column(name).to_pylist() for name in ("signature", "place", "ttl")]
        times = rows.column("time").cast(pa.int64()).to_pylist()
        for number, place, ttl, time in zip(*columns, times, strict=True):
            zone, kind = signed[number]
            shown.setdefault((zone, kind, place), set()).add(time)
            if kind == TYPE_DS:
                found.setdefault(zone, set()).add((time, ttl * SECOND))
    return (
        {zone: sorted(rows) for zone, rows in found.items()},
        {where: sorted(times) for where, times in sorted(shown.items())},
    )


_TRUNCATED: Final = "truncated"
_SILENCE: Final = "no response"


def _numbers(places: Any) -> dict[tuple[str, str | None], int]:
    """Number the places by address and NSID; a bare address stands for its only instance."""
    columns = (places[name].to_pylist() for name in ("place", "server", "nsid"))
    found: dict[tuple[str, str | None], int] = {}
    for place, server, nsid in zip(*columns, strict=True):
        found[server, nsid] = place
    for (server, _), place in sorted(found.items(), key=lambda item: item[1]):
        found.setdefault((server, None), place)
    return found


_COLUMNS: Final = (
    "transaction", "time", "capture", "query_frame", "response_capture", "response_frame",
    "client", "server", "transport", "qname", "qtype", "qclass", "opcode", "rcode", "rd", "aa",
    "tc", "ra", "edns_size", "nsid", "answers", "response_size", "pairing", "vantage", "kind",
)  # fmt: skip


def _gather(
    found: _Found,
    batch: Any,
    zones: Collection[str],
    numbers: dict[tuple[str, str | None], int],
    roles: Mapping[str, str],
    contested: set[int],
) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not batch.num_rows:
        return
    answered = pc.is_valid(batch.column("response_frame"))
    found.responses += pc.sum(answered).as_py()
    lost = pc.and_(answered, pc.is_null(batch.column("query_frame")))
    found.strays += pc.sum(lost).as_py()
    heard = pc.unique(batch.column("server").filter(answered).cast(pa.string())).to_pylist()
    found.heard.update(heard)
    kind = batch.column("qtype")
    rows = batch.filter(
        pc.fill_null(pc.or_(pc.equal(kind, TYPE_DNSKEY), pc.equal(kind, TYPE_DS)), fill_value=False)
    )
    if not rows.num_rows:
        return
    rows = rows.select(_COLUMNS)
    times = rows.column("time").cast(pa.int64()).to_pylist()
    for row, time in zip(rows.drop_columns(["time"]).to_pylist(), times, strict=True):
        if row["qname"] not in zones or row["qclass"] != 1 or row["opcode"] != 0:
            continue
        if row["pairing"] not in {"answered", "late", "unanswered"}:
            continue
        shown = row["response_frame"] is not None
        where = (row["response_capture"] or 0) << 32 | (row["response_frame"] or 0)
        if shown and where in contested:
            continue
        role = roles.get(row["server"])
        upstream = row["vantage"] == "upstream" or role == "server"
        upstream = upstream or (not row["rd"] and role != "resolver")
        place = numbers.get((row["server"], row["nsid"] if shown else None), -1)
        # Without a count the exporter of a log has left records out: that is no empty answer.
        empty = shown and row["rcode"] == 0 and row["answers"] == 0 and not row["tc"]
        capture = row["response_capture"] if shown else row["capture"]
        frame = row["response_frame"] if shown else row["query_frame"]
        if empty and row["aa"] and (upstream or not row["ra"]):
            found.absences.append(
                Absence(row["qname"], row["qtype"], place, time, capture, frame, row["transaction"])
            )
        elif row["qtype"] == TYPE_DNSKEY and upstream and frame is not None:
            size = row["response_size"] if shown else row["edns_size"]
            found.add(
                Attempt(
                    row["qname"],
                    row["client"],
                    row["server"],
                    time,
                    place,
                    row["transport"],
                    roles.get(row["client"]) == "resolver" or row["kind"][:9] == "RESOLVER_",
                    _outcome(row) if shown else _SILENCE,
                    size or 0,
                    capture,
                    frame,
                    row["transaction"],
                )
            )


def _outcome(row: dict[str, Any]) -> str:
    """Name what came instead of keys; empty where keys, or a clear answer, came."""
    if row["tc"]:
        return _TRUNCATED
    return _FAILURES.get(row["rcode"], "")


def _efforts(found: _Found) -> list[list[Attempt]]:
    """Give the efforts of each resolver that failed at every server which it tried."""
    efforts = []
    for _, gathered in sorted(found.attempts.items()):
        attempts = sorted(gathered, key=lambda a: (a.time, a))
        effort: list[Attempt] = []
        runs: list[tuple[list[Attempt], Attempt | None]] = []
        for attempt in attempts:
            if effort and (not attempt.outcome or attempt.time - effort[-1].time > RETRY):
                runs.append((effort, attempt))
                effort = []
            if attempt.outcome:
                effort.append(attempt)
        if effort:
            runs.append((effort, None))
        for run, following in runs:
            if (
                following is not None
                and not following.outcome
                and following.time - run[-1].time <= AROUND
            ):
                continue  # it got them at last, soon after: a retry, not an outage
            failed = _certain(run, found)
            near = {
                a.server
                for a in attempts
                if run[0].time - AROUND <= a.time <= run[-1].time + AROUND
            }
            if len(failed) >= EFFORT and near == {a.server for a in failed} and len(near) > 1:
                efforts.append(failed)
    return efforts


def _certain(run: list[Attempt], found: _Found) -> list[Attempt]:
    """Leave out what may have succeeded out of our sight, or failed only in it.

    A truncated answer is followed by a query over TCP, which the capture may not hold: where it
    does, that one counts instead. Silence counts only of servers heard at another time, and only
    where a resolver meets it that some answer to a key query was seen to reach: who watches servers
    asks on and on, recorders lose packets, and those that lose fragments lose just such answers.
    """
    over_tcp = {(a.server) for a in run if a.transport == "tcp"}
    sure = run[0].client in found.fetching and not found.is_lossy
    return [
        a
        for a in run
        if (a.outcome != _SILENCE or (a.server in found.heard and a.is_resolver and sure))
        and not (a.outcome == _TRUNCATED and a.server in over_tcp)
    ]


def _told(
    transactions: Callable[[], Iterator[Any]], efforts: list[list[Attempt]]
) -> set[tuple[str, int]]:
    """Give (zone, begin) of the efforts whose resolver told its own clients that it failed.

    All that is seen of these efforts is truncated answers: what came over TCP is not captured.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    clients = pa.array(sorted({effort[0].client for effort in efforts}))
    told = set()
    for batch in transactions():
        rows = batch.filter(
            pc.and_(
                pc.fill_null(pc.equal(batch.column("rcode"), SERVFAIL), fill_value=False),
                pc.is_in(batch.column("server").cast(pa.string()), value_set=clients),
            )
        )
        if not rows.num_rows:
            continue
        columns = [
            rows.column("server").to_pylist(),
            rows.column("qname").to_pylist(),
            rows.column("time").cast(pa.int64()).to_pylist(),
        ]
        for server, name, time in zip(*columns, strict=True):
            for effort in efforts:
                first, last = effort[0], effort[-1]
                if (
                    server == first.client
                    and first.time - QUERY_TIMEOUT <= time <= last.time + AROUND
                    and name is not None
                    and is_subdomain(name, first.zone)
                ):
                    told.add((first.zone, first.time))
    return told
