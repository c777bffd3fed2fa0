"""The chain of trust of each incident's zone at the instants that matter, as `explain` tells it.

The page draws them, and moves between them with its time brush.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from forensics import limits
from forensics.errors import UsageError
from forensics.options import Options

_SOA: Final = 6


def add_instants(
    report: dict[str, Any], tables: Path, options: Options, anchors: Sequence[Any]
) -> None:
    """Give each of the first limits.CHAINS_INCIDENTS incidents its `instants`.

    None where the captures hold more runs of key sets than limits.CHAINS_RUNS: each instant asks
    for all of them.

    A row an instant: `at`, `status` and `reason` of one question of the zone (`name`, `type`), and
    `chain`, the links as in `explain --json`. The instants are the ends of the brackets, the acts
    and the phases, and the end of the captures. Those without news are left out.
    """
    from forensics.archive.tables import read_table
    from forensics.explain import Asker

    chosen = report["incidents"][: limits.CHAINS_INCIDENTS]
    if not chosen or read_table(tables, "keys", ["run"]).num_rows > limits.CHAINS_RUNS:
        return
    asker = Asker(tables, options, anchors)
    questions = _questions(chosen, tables)
    for incident in chosen:
        question = questions.get(incident["id"])
        if question is None:
            continue
        rows: list[dict[str, Any]] = []
        for at in _times(incident, report):
            try:
                told = asker.ask(*question, at)
            except UsageError:
                continue
            row = {
                "at": told["at"],
                "name": told["name"],
                "type": told["type"],
                "status": told["status"],
                "reason": told["reason"],
                "chain": [
                    {
                        **{key: link[key] for key in ("zone", "link", "status", "reason", "keys")},
                        "frames": link["frames"][:4],
                    }
                    for link in told["chain"]
                ],
            }
            if not rows or _state(rows[-1]) != _state(row):
                rows.append(row)
        incident["instants"] = rows


def _state(row: dict[str, Any]) -> list[Any]:
    """What of a chain is news: all but its frames."""
    return [
        [link[key] for key in ("zone", "link", "status", "reason", "keys")] for link in row["chain"]
    ]


def _times(incident: dict[str, Any], report: dict[str, Any]) -> list[int]:
    """The instants to ask for, ns, in order."""
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
    if len(known) <= limits.CHAINS_INSTANTS:
        return known
    # Evenly spread, the ends included.
    last, most = len(known) - 1, limits.CHAINS_INSTANTS - 1
    return [known[last * step // most] for step in range(most + 1)]


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
