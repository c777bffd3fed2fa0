"""Join what the stages say to the contents of report.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from forensics.errors import InputError
from forensics.options import Options
from forensics.vocabulary import PAIRINGS

INPUTS_NAMED: Final = 4
"""Inputs that could not be read which one sentence names; the losses list them all."""


def assemble(
    captures: Any,
    losses: Any,
    errors: Sequence[InputError],
    counts: dict[str, Any],
    story: Any,
    options: Options,
) -> dict[str, Any]:
    """Join what the stages say to the contents of report.json (DESIGN section 5)."""
    from forensics import __version__
    from forensics.timeline.moments import rfc3339

    rows = captures.cast(_with_integer_times(captures.schema)).to_pylist()
    paths = {row["capture"]: row["path"] for row in rows}
    paths[None] = "all inputs"
    lost = [{**row, "capture": paths.get(row["capture"], "?")} for row in losses.to_pylist()]
    lost += [
        {
            "capture": error.path,
            "reason": "unreadable",
            "count": 1,
            "octets": 0,
            "offset": error.offset,
            "frame": 0,
            "detail": error.reason,
        }
        for error in errors
    ]
    firsts = [row["first"] for row in rows if row["first"] is not None]
    lasts = [row["last"] for row in rows if row["last"] is not None]
    return {
        "schema": "dns-forensics/report/1",
        "tool": {"name": "dns-forensics", "version": __version__},
        "options": options.told(),
        "window": {
            "from": rfc3339(min(firsts)) if firsts else None,
            "to": rfc3339(max(lasts)) if lasts else None,
        },
        "captures": [
            {
                "path": row["path"],
                "sha256": row["sha256"],
                "format": row["format"],
                "link_types": row["link_types"],
                "encapsulations": dict(row["encapsulations"]),
                "octets": row["octets"],
                "packets": row["packets"],
                "messages": row["messages"],
                "duplicates": row["duplicates"],
                **_as_sensor(row, paths),
                "other": row["other"],
                "first": None if row["first"] is None else rfc3339(row["first"]),
                "last": None if row["last"] is None else rfc3339(row["last"]),
                "losses": {
                    loss["reason"]: loss["count"]
                    for loss in lost
                    if loss["capture"] == row["path"] and loss["count"]
                },
                "ledger": _ledger(row),
            }
            for row in rows
        ],
        "counts": {
            "packets": sum(row["packets"] for row in rows),
            "messages": sum(row["messages"] for row in rows),
            **counts,
            "verdicts": story.statuses,
        },
        "findings": [*_unread_finding(errors), *story.findings],
        "incidents": story.incidents,
        "triage": story.triage,
        "triage_cases": story.triage_cases,
        "agreement": story.agreement,
        "losses": lost,
        "series": story.series,
        "events": story.events,
        "events_omitted": story.events_omitted,
    }


def _ledger(row: dict[str, Any]) -> dict[str, Any] | None:
    """Where the octets of an input went, and whether they are all there; None: no account."""
    content = row["content_octets"]
    if content is None:
        return None
    parts = {name: row[f"{name}_octets"] for name in ("message", "other", "framing", "lost")}
    held = {"messages": parts.pop("message"), **parts}
    return {"content": content, **held, "complete": content == sum(held.values())}


def _as_sensor(row: dict[str, Any], paths: dict[int | None, str]) -> dict[str, Any]:
    """What an input shares with others; nothing where it stands alone."""
    told: dict[str, Any] = {}
    if row["elsewhere"]:
        told["elsewhere"] = {paths[number]: count for number, count in row["elsewhere"]}
    if row["clock_offset"] is not None:
        told["clock_offset"] = row["clock_offset"]
    return told


def _unread_finding(errors: Sequence[InputError]) -> list[dict[str, Any]]:
    """Say first which inputs are missing from all that follows."""
    if not errors:
        return []
    named = "; ".join(f"{error.path}: {error.reason}" for error in errors[:INPUTS_NAMED])
    more = f"; and {len(errors) - INPUTS_NAMED} more" if len(errors) > INPUTS_NAMED else ""
    sentence = f"{len(errors)} of the inputs could not be read: {named}{more}."
    return [{"kind": "unreadable", "count": len(errors), "sentence": sentence}]


def _with_integer_times(schema: Any) -> Any:
    """The schema with its times as plain ns, so that no datetime cuts them to microseconds."""
    import pyarrow as pa

    return pa.schema(
        [
            field.with_type(pa.int64()) if pa.types.is_timestamp(field.type) else field
            for field in schema
        ]
    )


def pairings(batches: Iterator[Any]) -> dict[str, int]:
    """Count transactions and their pairing states. Late ones are answered too, only late."""
    import pyarrow.compute as pc

    found = dict.fromkeys(("transactions", *PAIRINGS), 0)
    for batch in batches:
        found["transactions"] += batch.num_rows
        for row in pc.value_counts(batch.column("pairing")).to_pylist():
            found[row["values"]] += row["counts"]
    return found


def notes(notes: Sequence[Any], places: Any) -> list[dict[str, Any]]:
    """What validation has to say, with the resolver's address in the place's stead."""
    servers = dict(zip(places["place"].to_pylist(), places["server"].to_pylist(), strict=True))
    return [
        {
            "kind": note.kind,
            "zone": note.zone,
            "resolver": servers.get(note.place),
            "sentence": note.sentence,
            **note.figures,
        }
        for note in notes
    ]
