"""Which frames prove an incident, and what each of them shows in plain words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from forensics import limits
from forensics.unharmed import unharmed

_BRACKETS: Final = ("last_good", "first_bad", "last_bad", "first_good")
_TYPES: Final = {43: "DS", 48: "DNSKEY"}

Frames = dict[tuple[str, int], str]
"""From (path of the capture, frame) to what it shows, in plain words."""

_Seen = tuple[int, int, int]
"""Time (ns), capture number and frame of an answer."""


def frames_of(incident: dict[str, Any], tables: Path) -> Frames:
    """List the frames that prove an incident, at most limits.EVIDENCE_FRAMES and their queries.

    The answers around each bracket at each server, the failing client, the key sets and delegation
    signers of the zone and of those above it nearest to the onset, the first and last answer under
    each version of the zone around it, what stayed good where the fault is partial, and the query
    of each answer.
    """
    found: Frames = {}
    zone = str(incident["zone"])
    for row in incident["evidence"]:
        _add(found, row["capture"], row["frame"], _shown(row["shows"], zone))
    for stratum in incident.get("strata") or ():
        for name in _BRACKETS:
            row = stratum[name]
            if row is not None and row["frame"] > 0:
                what = f"{name.replace('_', '-')} at {stratum['server']}"
                _add(found, row["capture"], row["frame"], _shown(what, zone))
    paths = _paths(tables)
    for row in _key_runs(incident, tables):
        capture, frame, what = row
        if capture in paths:
            _add(found, paths[capture], frame, what)
    for gather in (_serials, _denied, _asked_in_vain, _withdrawn, unharmed):
        for capture, frame, what in gather(incident, tables):
            if capture in paths:
                _add(found, paths[capture], frame, what)
    answers = dict(list(found.items())[: limits.EVIDENCE_FRAMES])
    return {**_queries(answers, paths, tables), **answers}


def _paths(tables: Path) -> dict[int, str]:
    """Paths of the captures by the numbers that the tables name them by."""
    from forensics.archive.tables import read_table

    captures = read_table(tables, "captures", ["capture", "path"])
    return dict(zip(captures["capture"].to_pylist(), captures["path"].to_pylist(), strict=True))


def _add(found: Frames, path: str, frame: int, what: str) -> None:
    """Note a frame; one that shows several things says so."""
    known = found.get((path, frame))
    if known is None:
        found[path, frame] = what
    elif what not in known:
        found[path, frame] = f"{known}; {what}"


def _shown(kind: str, zone: str) -> str:
    """Say in plain words what an evidence frame shows."""
    head, _, where = kind.partition(" at ")
    words = {
        "last-good": f"last answer of {zone} that validated before the fault",
        "first-bad": f"first answer of {zone} that does not validate",
        "last-bad": f"last answer of {zone} that does not validate",
        "first-good": f"first answer of {zone} that validates again",
        "key-set": f"the keys (DNSKEY) that {zone} published then",
        "ds": f"the delegation signers (DS) that the parent of {zone} published then",
        "client-failure": "a client is told that its lookup failed",
    }.get(head, f"{head} of {zone}")
    return f"{words} at {where}" if where else words


def _key_runs(incident: dict[str, Any], tables: Path) -> Iterator[tuple[int, int, str]]:
    """The sightings of key sets and DS of the zone and those above that lie nearest the brackets.

    Yields (capture number, frame, what it shows).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from forensics.archive.tables import read_table
    from forensics.knowledge import ancestors
    from forensics.report.times import parse

    zone = str(incident["zone"])
    onset, recovery = incident["onset"], incident["recovery"]
    begun = parse(onset["first_bad"])
    if begun is None:
        return
    ended = parse(recovery.get("first_good")) or parse(recovery.get("last_bad")) or begun
    keys = read_table(tables, "keys")
    chain = [zone, *ancestors(zone)]
    chosen = pc.and_(
        pc.is_in(keys["zone"], pa.array(chain)),
        pc.is_in(keys["type"], pa.array([43, 48], pa.uint16())),
    )
    # A flood of key sets has much in its other columns.
    sightings = [f"{end}{what}" for end in ("first", "last") for what in ("", "_capture", "_frame")]
    keys = keys.filter(chosen).select(["zone", "type", "place", *sightings])
    keys = keys.cast(
        pa.schema(
            [f.with_type(pa.int64()) if pa.types.is_timestamp(f.type) else f for f in keys.schema]
        )
    )
    groups: dict[tuple[str, int, Any], list[dict[str, Any]]] = defaultdict(list)
    for row in keys.to_pylist():
        if row["first"] is not None:
            groups[row["zone"], row["type"], row["place"]].append(row)
    for (name, kind, _), rows in sorted(groups.items(), key=lambda item: str(item[0])):
        what = f"{_TYPES[kind]} RRset of {name}"
        seen = sorted(
            {(row["first"], row["first_capture"], row["first_frame"]) for row in rows}
            | {(row["last"], row["last_capture"], row["last_frame"]) for row in rows}
        )
        before = [one for one in seen if one[0] <= begun][-1:]
        after = [one for one in seen if one[0] > begun][:1]
        # The last one before the end tells until when caches may have fetched it.
        late = [
            *[one for one in seen if begun < one[0] < ended][-1:],
            *[one for one in seen if one[0] >= ended][:1],
        ]
        inside = seen if name == zone and len(seen) <= limits.EVIDENCE_KEY_SETS else []
        for _, capture, frame in sorted({*before, *after, *late, *inside}):
            yield capture, frame, what


def _serials(incident: dict[str, Any], tables: Path) -> Iterator[tuple[int, int, str]]:
    """The first and last answers under each SOA serial at the servers of the incident.

    They tell which version of the zone an answer without SOA stood under. At most
    limits.EVIDENCE_KEY_SETS versions a server, those nearest to the onset.

    Yields (capture number, frame, what it shows).
    """
    import numpy as np

    from forensics.archive.tables import iter_batches, read_table
    from forensics.report.times import parse

    zone = str(incident["zone"])
    begun = parse(incident["onset"]["first_bad"]) or 0
    places = read_table(tables, "places", ["place", "server"])
    servers = dict(zip(places["place"].to_pylist(), places["server"].to_pylist(), strict=True))
    bad = {stratum["server"] for stratum in incident.get("strata") or ()}
    wanted = np.array([place for place, server in servers.items() if server in bad], np.int64)
    signatures = read_table(tables, "signatures", ["signature", "signer"])
    numbers = signatures["signature"].to_numpy()
    mine = np.zeros(int(numbers.max(initial=0)) + 1, bool)
    mine[numbers] = [signer == zone for signer in signatures["signer"].to_pylist()]
    spans: dict[tuple[int, int], tuple[_Seen, _Seen]] = {}
    for batch in iter_batches(
        tables, "sightings", ["signature", "time", "capture", "frame", "place", "serial"]
    ):
        column = {name: batch.column(name) for name in batch.schema.names}
        place = column["place"].to_numpy().astype(np.int64)
        serial = column["serial"].to_numpy().astype(np.int64)
        time = column["time"].cast("int64").to_numpy()
        hit = np.flatnonzero(
            mine[column["signature"].to_numpy()] & (serial > 0) & np.isin(place, wanted)
        )
        if not len(hit):
            continue
        order = hit[np.lexsort((time[hit], serial[hit], place[hit]))]
        edge = np.ones(len(order), bool)
        same = (np.diff(place[order]) == 0) & (np.diff(serial[order]) == 0)
        edge[1:] = ~same
        capture, frame = column["capture"].to_numpy(), column["frame"].to_numpy()
        begins = np.flatnonzero(edge)
        ends = np.append(begins[1:], len(order)) - 1
        for at, until in zip(order[begins].tolist(), order[ends].tolist(), strict=True):
            first = (int(time[at]), int(capture[at]), int(frame[at]))
            final = (int(time[until]), int(capture[until]), int(frame[until]))
            key = (int(place[at]), int(serial[at]))
            known = spans.get(key, (first, final))
            spans[key] = (min(known[0], first), max(known[1], final))
    versions: dict[int, list[tuple[int, int, tuple[_Seen, _Seen]]]] = defaultdict(list)
    for (number, version), held in spans.items():
        versions[number].append((abs(held[0][0] - begun), version, held))
    for number, found in sorted(versions.items()):
        for _, version, held in sorted(found)[: limits.EVIDENCE_KEY_SETS]:
            what = f"{zone} with SOA serial {version} at {servers[number]}"
            for _, source, shown in dict.fromkeys(held):
                yield source, shown, what


def _denied(incident: dict[str, Any], tables: Path) -> Iterator[tuple[int, int, str]]:
    """What a server served beside a proof that denies it: the other half of a contradiction.

    Of each signature over data of the zone at the servers of the incident, the sightings nearest
    to the ends of each bracket, on both sides: served before and after the proof, it was there
    while the proof was. At most limits.EVIDENCE_KEY_SETS signatures a server, those seen
    nearest to the onset.

    Yields (capture number, frame, what it shows).
    """
    import numpy as np

    from forensics.archive.tables import iter_batches, read_table
    from forensics.report.times import parse

    if not _has_reason(incident, "denial-contradicted"):
        return
    zone = str(incident["zone"])
    begun = parse(incident["onset"]["first_bad"]) or 0
    moments = sorted(
        {
            time
            for stratum in incident.get("strata") or ()
            for name in _BRACKETS
            if (time := parse((stratum[name] or {}).get("time"))) is not None
        }
    )[: limits.EVIDENCE_KEY_SETS]
    places = read_table(tables, "places", ["place", "server"])
    servers = dict(zip(places["place"].to_pylist(), places["server"].to_pylist(), strict=True))
    bad = {stratum["server"] for stratum in incident.get("strata") or ()}
    wanted = np.array([place for place, server in servers.items() if server in bad], np.int64)
    signatures = read_table(tables, "signatures", ["signature", "signer", "type"])
    numbers = signatures["signature"].to_numpy()
    mine = np.zeros(int(numbers.max(initial=0)) + 1, bool)
    mine[numbers] = [
        signer == zone and kind not in _NO_DATA
        for signer, kind in zip(
            signatures["signer"].to_pylist(), signatures["type"].to_pylist(), strict=True
        )
    ]
    nearest: dict[tuple[int, int], dict[tuple[int, bool], _Seen]] = defaultdict(dict)
    columns = ["signature", "time", "capture", "frame", "place"]
    for batch in iter_batches(tables, "sightings", columns):
        signature, time, capture, frame, place = (
            batch.column(name).cast("int64").to_numpy().astype(np.int64) for name in columns
        )
        for at in np.flatnonzero(mine[signature] & np.isin(place, wanted)).tolist():
            seen = (int(time[at]), int(capture[at]), int(frame[at]))
            held = nearest[int(place[at]), int(signature[at])]
            for number, moment in enumerate(moments):
                side = (number, seen[0] > moment)
                known = held.get(side)
                if known is None or abs(seen[0] - moment) < abs(known[0] - moment):
                    held[side] = seen
    ranked = sorted(
        (min(abs(seen[0] - begun) for seen in held.values()), place, signature)
        for (place, signature), held in nearest.items()
    )
    counts: dict[int, int] = defaultdict(int)
    for _, place, signature in ranked:
        counts[place] += 1
        if counts[place] <= limits.EVIDENCE_KEY_SETS:
            for _, source, shown in sorted(set(nearest[place, signature].values())):
                yield source, shown, f"data of {zone} that {servers[place]} served"


def _withdrawn(incident: dict[str, Any], tables: Path) -> Iterator[tuple[int, int, str]]:
    """The first answer of each server that a zone has no DS any more, where caches still held it.

    From then on what was refused was refused by caches alone. `_key_runs` gives the last DS.

    Yields (capture number, frame, what it shows).
    """
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches
    from forensics.report.times import parse

    if "aftermath" not in incident:
        return
    zone = str(incident["zone"])
    begun = parse(incident["onset"]["first_bad"]) or 0
    columns = ["qname", "qtype", "time", "response_capture", "response_frame", "server", "rcode",
               "answers", "aa"]  # fmt: skip
    first: dict[str, tuple[int, int, int]] = {}
    for batch in iter_batches(tables, "transactions", columns):
        is_none = pc.and_(pc.equal(batch.column("rcode"), 0), pc.equal(batch.column("answers"), 0))
        asked = pc.and_(
            pc.equal(batch.column("qname").cast("string"), zone),
            pc.equal(batch.column("qtype"), 43),
        )
        rows = batch.filter(
            pc.fill_null(pc.and_(pc.and_(asked, is_none), batch.column("aa")), False)
        )
        times = rows.column("time").cast("int64").to_pylist()
        for time, row in zip(times, rows.drop_columns(["time"]).to_pylist(), strict=True):
            if time > begun and row["response_frame"]:
                seen = (time, row["response_capture"], row["response_frame"])
                first[row["server"]] = min(seen, first.get(row["server"], seen))
    for server, (_, capture, frame) in sorted(first.items()):
        yield capture, frame, f"the first answer of {server} that {zone} has no DS"


def _asked_in_vain(incident: dict[str, Any], tables: Path) -> Iterator[tuple[int, int, str]]:
    """Every question for the keys of a zone that gave none, and what came of it.

    With what resolvers told their clients then, at most limits.EVIDENCE_KEY_SETS times each: of
    truncated answers alone nobody could say whether TCP, which was not captured, brought the keys.

    Yields (capture number, frame, what it shows).
    """
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches
    from forensics.knowledge import is_subdomain
    from forensics.report.times import parse

    if not any(_has_reason(incident, reason) for reason in _WITHOUT_KEYS):
        return
    zone = str(incident["zone"])
    begun = parse(incident["onset"]["first_bad"]) or 0
    ended = parse(incident["recovery"].get("first_good")) or 2**62
    columns = [
        "qname", "qtype", "time", "capture", "query_frame", "response_capture", "response_frame",
        "server", "rcode",
    ]  # fmt: skip
    refused: dict[str, int] = defaultdict(int)
    for batch in iter_batches(tables, "transactions", columns):
        keys = pc.and_(
            pc.equal(batch.column("qname").cast("string"), zone),
            pc.equal(batch.column("qtype"), 48),
        )
        rows = batch.filter(
            pc.fill_null(pc.or_kleene(keys, pc.equal(batch.column("rcode"), 2)), False)
        )
        times = rows.column("time").cast("int64").to_pylist()
        for time, row in zip(times, rows.drop_columns(["time"]).to_pylist(), strict=True):
            name = row["qname"] or ""
            if not begun - _BEFORE <= time <= ended or not is_subdomain(name, zone):
                continue
            told = f"{name} at {row['server']}"
            if name == zone and row["qtype"] == 48:
                told = f"the keys (DNSKEY) of {told}"
            else:
                refused[row["server"]] += 1
                if refused[row["server"]] > limits.EVIDENCE_KEY_SETS:
                    continue
            if row["query_frame"]:
                yield row["capture"], row["query_frame"], f"a question for {told}"
            if row["response_frame"]:
                yield row["response_capture"], row["response_frame"], f"what came instead of {told}"


_WITHOUT_KEYS: Final = ("dnskey-unobtainable", "dnskey-absent")
"""Reasons that only questions for the keys prove: what was not shown has no sightings."""

_BEFORE: Final = 60 * limits.SECOND
"""How long before the first failure questions belong to it: a resolver tries for some time."""

_NO_DATA: Final = frozenset({43, 47, 48, 50})
"""DS, NSEC, DNSKEY and NSEC3: no data that a proof of absence denies."""


def _has_reason(incident: dict[str, Any], reason: str) -> bool:
    """Whether an incident has a reason, at first or in one of its phases."""
    phases = incident.get("phases") or ()
    return reason == incident["reason"] or any(row.get("reason") == reason for row in phases)


def _queries(answers: Frames, paths: dict[int, str], tables: Path) -> Frames:
    """Find the query of each answer."""
    import numpy as np

    from forensics.archive.tables import iter_batches

    numbers = {path: number for number, path in paths.items()}
    wanted = np.array(
        sorted(numbers[path] << 40 | frame for path, frame in answers if path in numbers), np.int64
    )
    columns = ["capture", "query_frame", "response_capture", "response_frame"]
    found: Frames = {}
    for batch in iter_batches(tables, "transactions", columns):
        capture, query, response_capture, response = (
            batch.column(name).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
            for name in columns
        )
        hit = np.isin(response_capture << 40 | response, wanted) & (response > 0) & (query > 0)
        for at in np.flatnonzero(hit).tolist():
            path = paths.get(int(capture[at]))
            if path is not None:
                frame = int(response[at])
                found[path, int(query[at])] = f"the query that frame {frame} of its capture answers"
    return found
