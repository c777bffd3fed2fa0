"""Cut out the packets that prove an incident: read them again, and write them as pcapng."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from forensics import limits
from forensics.errors import InputError, UsageError
from forensics.exhibits import Frames, frames_of
from forensics.jsontext import parsed

FOLDER: Final = "evidence"
"""Where a report keeps its evidence files."""


@dataclass(slots=True)
class Extracted:
    """What became of the evidence of a report.

    Attributes:
        files: evidence files by incident id, relative to the report's folder.
        unread: captures that could not be read again, and why.
    """

    files: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def write_evidence(
    report: dict[str, Any], tables: Path, folder: Path, key: bytes | None = None
) -> Extracted:
    """Write `evidence/<incident>.pcapng` for the first limits.EVIDENCE_FILES incidents.

    Each capture is read once more, as far as the last frame that is wanted of it. A capture from
    standard input, or one that has gone since, is named in `unread`.

    Args:
        report: the contents of report.json.
        tables: the tables it was made from.
        folder: the report's folder.
        key: clients' addresses are replaced by it (`forensics.anonymity`); None: they stay.
    """
    told = Extracted()
    chosen = [
        (incident, frames_of(incident, tables))
        for incident in report["incidents"][: limits.EVIDENCE_FILES]
    ]
    wanted: dict[str, set[int]] = defaultdict(set)
    for _, frames in chosen:
        for path, frame in frames:
            wanted[path].add(frame)
    packets = list(_read(wanted, report, told, _change(report, tables, key)))
    for incident, frames in chosen:
        content = _file(report, incident, frames, packets, _private(report, key))
        if content:
            (folder / FOLDER).mkdir(exist_ok=True)
            name = f"{FOLDER}/{incident['id']}.pcapng"
            (folder / name).write_bytes(content)
            told.files[incident["id"]] = name
    return told


def extract(
    folder: Path, incident_id: str, inputs: Path | None = None, key: bytes | None = None
) -> bytes:
    """Give the evidence of one incident of a report, as a pcapng file.

    Args:
        folder: a report that analyze has written.
        incident_id: as report.json has it, or its beginning.
        inputs: where the captures lie now; None: where they were named.
        key: clients' addresses are replaced by it; None: by the report's own, if it had one.

    Raises:
        UsageError: no such report or incident, or no packet of it can be read any more.
    """
    try:
        report = parsed((folder / "report.json").read_text(encoding="utf-8"))
        incidents = list(report["incidents"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder}: no report; make one with: dns-forensics analyze") from None
    chosen = [one for one in incidents if str(one["id"]).startswith(incident_id)]
    if len(chosen) != 1 or not incident_id:
        known = ", ".join(f"{one['id']} ({one['zone']} {one['reason']})" for one in incidents[:8])
        what = "no such incident" if not chosen else "more than one incident begins so"
        raise UsageError(f"--incident {incident_id}: {what}; there are: {known or 'none'}")
    frames = frames_of(chosen[0], folder / "tables")
    wanted: dict[str, set[int]] = defaultdict(set)
    for path, frame in frames:
        wanted[path].add(frame)
    told = Extracted()
    moved = {path: str(inputs / Path(path).name) if inputs else path for path in wanted}
    named = report["options"].get("anonymize")
    if key is None and named:
        from forensics.cryptopan import read_key

        key = read_key(named)
    change = _change(report, folder / "tables", key)
    packets = list(_read(wanted, report, told, change, moved))
    content = _file(report, chosen[0], frames, packets, None)
    if not content:
        why = "; ".join(f"{path}: {reason}" for path, reason in sorted(told.unread.items()))
        raise UsageError(f"no packet of it can be read: {why or 'the captures hold none'}")
    return content


def _change(report: dict[str, Any], tables: Path, key: bytes | None) -> Any:
    """What replaces the clients in packets; None: nobody is to be replaced."""
    if key is None:
        return None
    from forensics.anonymity import packet_mapper
    from forensics.archive.tables import read_table

    options = report["options"]
    named = {*(options.get("servers") or ()), *(options.get("resolvers") or ())}
    answered = read_table(tables, "places", ["place", "server"])["server"].to_pylist()
    mapped = packet_mapper(key, {*named, *filter(None, answered)})
    names = _private(report, key)
    if names is None:
        return mapped

    def apply(address: bytes, message: bytes) -> bytes | None:
        changed = mapped(address, message)
        return names.message(changed) if message and changed else changed

    return apply


def _private(report: dict[str, Any], key: bytes | None) -> Any:
    """What replaces the names below private zones (`PrivateNames`); None: they stay."""
    zones = report["options"].get("anonymize_names")
    if key is None or not zones:
        return None
    from forensics.privatenames import PrivateNames

    return PrivateNames(zones, key)


def _read(
    wanted: dict[str, set[int]],
    report: dict[str, Any],
    told: Extracted,
    change: Any,
    moved: dict[str, str] | None = None,
) -> Iterator[tuple[tuple[str, int], Any]]:
    """Read the packets of the wanted frames; yields ((path, frame), CutPacket)."""
    from forensics.capture.cutting import cut
    from forensics.capture.tls_secrets import read_keylogs

    ports = frozenset(report["options"].get("ports") or ())
    secrets = read_keylogs(report["options"].get("tls_keylogs") or ())
    for path, frames in sorted(wanted.items()):
        if path == "-":
            told.unread[path] = "standard input cannot be read again"
            continue
        try:
            for packet in cut((moved or {}).get(path, path), frames, ports, change, secrets):
                yield (path, packet.frame), packet
        except InputError as error:
            told.unread[path] = error.reason


def _file(
    report: dict[str, Any],
    incident: dict[str, Any],
    frames: Frames,
    packets: list[tuple[tuple[str, int], Any]],
    names: Any,
) -> bytes:
    """Join the packets of an incident to one file, in order of time; empty: there are none."""
    from forensics.report.pcapng import Packet, render_pcapng

    several = len(report["captures"]) > 1
    # A report on disk has its pseudonyms already, one in the making not yet.
    said = names.text if names else str
    rows = []
    for (path, frame), packet in packets:
        what = frames.get((path, frame))
        parts = [part for part in packet.part_of if (path, part) in frames]
        if what is None and not parts:
            continue
        source = f"frame {frame} of {path}" if several else f"frame {frame}"
        comment = said(_comment(packet, what, parts, source))
        made = Packet(packet.time, packet.link, packet.octets, packet.wire, comment)
        rows.append((packet.time, (path, frame), made))
    if not rows:
        return b""
    rows.sort(key=lambda row: row[:2])
    tool = report["tool"]
    head = said(f"Incident {incident['id']}: {incident['sentence']}")
    return render_pcapng([packet for *_, packet in rows], head, f"{tool['name']} {tool['version']}")


def _comment(packet: Any, what: str | None, parts: list[int], source: str) -> str:
    """Say what a packet shows, or of which messages it is a piece."""
    if what is None:
        numbers = " and ".join(map(str, parts))
        return f"A piece of the message of frame {numbers} ({source})."
    made = (
        " IP and UDP headers are made around the message, which had no packet of its own."
        if packet.is_made
        else ""
    )
    return f"{what[:1].upper()}{what[1:]} ({source}).{made}"
