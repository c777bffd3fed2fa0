"""The course of the chain of trust of each incident's zone, as `explain` tells it.

`explain` is asked at each moment at which what it rests on changed: another answer, key set or DS
at some server, or the end of a signature's validity. Between two such moments nothing changes, so
that the page can draw the chain at any instant that a reader chooses.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.errors import UsageError
from forensics.options import Options
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS

_SOA: Final = 6

_KEPT: Final = ("zone", "link", "type", "status", "reason", "keys")
"""What of a link is news when it changes."""


def add_courses(
    report: dict[str, Any], tables: Path, options: Options, anchors: Sequence[Any]
) -> None:
    """Give each of the first limits.CHAINS_INCIDENTS incidents its `course`.

    None where the captures hold more runs of key sets than limits.CHAINS_RUNS: each instant asks
    for all of them.

    A course is of one question of the zone (`name`, `type`). `states`: from `at` on the answer had
    this `status` and `reason`, and its chain these `links`, by their numbers; `marked` are the
    instants of the story: ends of brackets, acts, phases. `links`: as in `explain --json`, each
    with the sighting (`capture`, `frame`, `time`) that it rested on at first. `exact`: asked at
    every one of the `moments` at which anything changed, so that a state holds until the next;
    else at `asked` of them, and short states in between may be missing.
    """
    from forensics.archive.tables import read_table
    from forensics.explain import Asker

    chosen = report["incidents"][: limits.CHAINS_INCIDENTS]
    if not chosen or read_table(tables, "keys", ["run"]).num_rows > limits.CHAINS_RUNS:
        return
    asker = Asker(tables, options, anchors)
    questions = _questions(chosen, tables)
    most = limits.CHAINS_INSTANTS // len(chosen)
    for incident in chosen:
        question = questions.get(incident["id"])
        if question is None:
            continue
        marked = _marked(incident, report)
        moments = _within(_moments(tables, *question), report, marked)
        told = _asked(asker, question, marked, moments, most)
        if told:
            exact = len(moments) <= most
            counts = {"exact": exact, "moments": len(moments), "asked": len(told)}
            incident["course"] = {**_course(told, set(marked)), **counts}


def _asked(
    asker: Any, question: tuple[str, int], marked: list[int], moments: list[int], most: int
) -> dict[int, dict[str, Any]]:
    """Ask at the marked instants and at most so many moments; by instant, what was told.

    Where there are more moments, two thirds are asked in even steps; the others say when between
    two steps that differ the change was.
    """
    told: dict[int, dict[str, Any]] = {}

    def ask(at: int) -> None:
        with suppress(UsageError):  # nothing was captured of the question
            told[at] = asker.ask(*question, at)

    spread = moments if len(moments) <= most else _thinned(moments, most * 2 // 3)
    first = sorted({*marked, *spread})
    asker.expect(*question, first)
    for at in first:
        ask(at)
    left = most - len(spread)
    while left > 0 and len(spread) < len(moments):
        middles = []
        for before, after in pairwise(sorted(told)):
            if _state(told[before]) != _state(told[after]):
                low, high = bisect_right(moments, before), bisect_left(moments, after)
                middles += moments[low:high][(high - low) // 2 :][:1]
        asker.expect(*question, middles[:left])
        for at in middles[:left]:
            ask(at)
        left -= max(len(middles), 1)
        if not middles:
            break
    return told


def _state(told: dict[str, Any]) -> list[Any]:
    """What of a chain is news."""
    return [[link[name] for name in _KEPT] for link in told["chain"]]


def _course(told: dict[int, dict[str, Any]], marked: set[int]) -> dict[str, Any]:
    """Tell what is news, in order of time."""
    states: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    now: dict[str, int] = {}
    due = False
    for at in sorted(told):
        one = told[at]
        numbers = []
        before, now = now, {}
        for link in one["chain"]:
            kept = {name: link[name] for name in _KEPT}
            label = repr(kept)
            if label not in before:
                before[label] = len(links)
                links.append({**kept, **_sighting(link), "valid_until": link["valid_until"]})
            now[label] = before[label]
            numbers.append(before[label])
        due |= at in marked
        if states and states[-1]["links"] == numbers and states[-1]["status"] == one["status"]:
            continue
        state = {"at": one["at"], "status": one["status"], "reason": one["reason"]}
        # What a marked instant shows may have begun before it, unasked.
        states.append({**state, "links": numbers, "marked": due or not states})
        due = False
    return {"name": one["name"], "type": one["type"], "links": links, "states": states}


def _sighting(link: dict[str, Any]) -> dict[str, Any]:
    """The latest sighting that a link rests on."""
    seen: dict[str, Any] = max(link["sightings"], key=lambda row: str(row["time"]), default={})
    return {name: seen.get(name) for name in ("capture", "frame", "time")}


def _marked(incident: dict[str, Any], report: dict[str, Any]) -> list[int]:
    """The instants of an incident's story, ns, in order."""
    from forensics.report.times import parse

    texts = [
        report["window"]["from"],
        *incident["onset"].values(),
        *incident["recovery"].values(),
        incident["cause"].get("before"),
        *(row["at"] for row in incident["history"]),
        *(row["from"] for row in incident["phases"]),
        report["window"]["to"],
    ]
    known = sorted({time for text in texts if (time := parse(text)) is not None})
    return _thinned(known, limits.CHAINS_MARKED)


def _thinned(times: Sequence[int], most: int) -> list[int]:
    """At most so many of some times: of each of even steps the last one, the ends included."""
    if len(times) <= most:
        return list(times)
    first, last = times[0], times[-1]
    step = max((last - first) // max(most - 1, 1), 1)
    found = {(time - first) // step: time for time in times}
    return sorted({first, *found.values(), last})


def _within(moments: NDArray[np.int64], report: dict[str, Any], marked: list[int]) -> list[int]:
    """Those of the moments that lie in the time of the report, and the story's own."""
    from forensics.report.times import parse

    low, high = parse(report["window"]["from"]), parse(report["window"]["to"])
    inside = moments[(moments >= (low or 0)) & (moments <= (high or 2**62))]
    return sorted({*inside.tolist(), *marked})


def _moments(tables: Path, name: str, kind: int) -> NDArray[np.int64]:
    """The moments, ns, at which what a question's chain rests on changed.

    At each server: when it gave other signatures over an RRset of the chain than the time before,
    another key set or DS, or another answer to the question; and when a signature of the chain
    came into force or ran out.
    """
    from forensics.archive.tables import iter_batches, read_table
    from forensics.knowledge import ancestors

    chain = [name, *ancestors(name)]
    signatures = read_table(
        tables, "signatures", ["signature", "owner", "type", "inception", "expiration"]
    )
    owners = np.isin(_plain(signatures["owner"]), chain)
    types = signatures["type"].to_numpy()
    mine = owners & (np.isin(types, (TYPE_DNSKEY, TYPE_DS)) | (types == kind))
    numbers = signatures["signature"].to_numpy()[mine]
    family = np.zeros(int(signatures["signature"].to_numpy().max(initial=0)) + 1, np.int64)
    sets = zip(_plain(signatures["owner"])[mine].tolist(), types[mine].tolist(), strict=True)
    known: dict[tuple[str, int], int] = {}
    family[numbers] = [known.setdefault(one, len(known) + 1) for one in sets]
    found = [
        signatures[column].to_numpy()[mine].astype(np.int64) * limits.SECOND + after
        for column, after in (("inception", 0), ("expiration", limits.SECOND))
    ]
    changes = _Changes()
    for batch in iter_batches(tables, "sightings", ["signature", "time", "place"]):
        signature = batch.column("signature").to_numpy()
        at = np.flatnonzero(family[np.minimum(signature, len(family) - 1)] > 0)
        place = batch.column("place").to_numpy()[at].astype(np.int64)
        time = batch.column("time").cast("int64").to_numpy()[at]
        found.append(changes.of(place << 24 | family[signature[at]], time, signature[at]))
    found += list(_of_answers(tables, name, kind))
    keys = read_table(tables, "keys", ["zone", "first"])
    firsts = keys["first"].cast("int64").fill_null(-1).to_numpy()
    found.append(firsts[np.isin(_plain(keys["zone"]), chain)])
    return np.unique(np.concatenate(found))


class _Changes:
    """When something that is seen again and again became another thing."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    def of(
        self, key: NDArray[np.int64], time: NDArray[np.int64], value: NDArray[Any]
    ) -> NDArray[np.int64]:
        """Give the times at which the set of values of a key was not that of the time before."""
        order = np.lexsort((time, key))
        key, time, value = key[order], time[order], value[order].astype(np.uint64)
        # A sum does not depend on the order in which a response holds its signatures.
        value = (value + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ value >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
        first = np.ones(len(key), bool)
        first[1:] = (np.diff(key) != 0) | (np.diff(time) != 0)
        begins = np.flatnonzero(first)
        if not len(begins):
            return np.zeros(0, np.int64)
        said = np.add.reduceat(value, begins)
        key, time = key[begins], time[begins]
        fresh = np.ones(len(key), bool)
        fresh[1:] = np.diff(key) != 0
        changed = fresh.copy()
        changed[1:] |= np.diff(said) != 0
        for at in np.flatnonzero(fresh).tolist():
            changed[at] = self._held.get(int(key[at])) != int(said[at])
        for at in (np.append(np.flatnonzero(fresh)[1:], len(key)) - 1).tolist():
            self._held[int(key[at])] = int(said[at])
        return time[changed]


def _of_answers(tables: Path, name: str, kind: int) -> Iterator[NDArray[np.int64]]:
    """When a server answered the question otherwise than before: its RCODE or number of records."""
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches

    changes = _Changes()
    servers: dict[str, int] = {}
    columns = ["qname", "qtype", "server", "time", "latency", "rcode", "answers", "authorities"]
    for batch in iter_batches(tables, "transactions", columns):
        names = batch.column("qname")
        code = pc.index(names.dictionary, name).as_py()
        if code < 0:
            continue
        mine = batch.filter(
            pc.and_(pc.equal(names.indices, code), pc.equal(batch.column("qtype"), kind))
        )
        if not mine.num_rows:
            continue
        place = [servers.setdefault(str(text), len(servers)) for text in mine["server"].to_pylist()]
        said = [mine[column].to_pylist() for column in ("rcode", "answers", "authorities")]
        time = mine["time"].cast("int64").to_numpy()
        latency = mine["latency"].cast("int64").fill_null(0).to_numpy()
        rows = zip(*said, strict=True)
        value = np.array([hash(row) & 2**62 - 1 for row in rows], np.int64)
        yield changes.of(np.array(place, np.int64), time + latency, value)


def _plain(column: Any) -> NDArray[Any]:
    """A text column as an array of str."""
    return np.array(column.to_pylist(), dtype=object)


def _questions(incidents: Sequence[dict[str, Any]], tables: Path) -> dict[str, tuple[str, int]]:
    """Choose the question of each incident: the zone's SOA if asked for, else the one that failed.

    Returns:
        name and type by incident id.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches

    paths = _numbers(tables)
    failed = {
        (paths.get(row["capture"], -1), row["frame"]): incident["id"]
        for incident in incidents
        for row in incident["evidence"]
        if row["shows"] == "first-bad"
    }
    zones = {incident["zone"]: incident["id"] for incident in incidents}
    frames = pa.array(sorted({frame for _, frame in failed}), pa.uint32())
    found: dict[str, tuple[str, int]] = {}
    apexes: dict[str, tuple[str, int]] = {}
    columns = ["response_capture", "response_frame", "qname", "qtype"]
    for batch in iter_batches(tables, "transactions", columns):
        names = batch.column("qname")
        for zone in zones.keys() - apexes.keys():
            code = pc.index(names.dictionary, zone).as_py()
            if code < 0:
                continue
            mine = pc.and_(pc.equal(names.indices, code), pc.equal(batch.column("qtype"), _SOA))
            if pc.any(mine).as_py():
                apexes[zone] = (zone, _SOA)
        hit = batch.filter(pc.is_in(batch.column("response_frame"), value_set=frames))
        for row in hit.to_pylist():
            incident = failed.get((row["response_capture"], row["response_frame"]))
            if incident is not None and row["qname"] is not None:
                found[incident] = (row["qname"], row["qtype"])
    return {**found, **{zones[zone]: question for zone, question in apexes.items()}}


def _numbers(tables: Path) -> dict[str, int]:
    """Numbers of the captures by their paths."""
    from forensics.archive.tables import read_table

    captures = read_table(tables, "captures", ["capture", "path"])
    return dict(zip(captures["path"].to_pylist(), captures["capture"].to_pylist(), strict=True))
