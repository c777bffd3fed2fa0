"""One look: the ordinary pipeline over the inputs of the horizon, from octets to a report.

Nothing here differs from `analyze` of the same files, so a notice says what a report would say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forensics.options import Options
from forensics.vocabulary import NOT_READ
from forensics.watching.sources import Input

DAMAGE = frozenset(
    {
        "record-length", "block-length", "packet-length", "frame-length", "interface-unknown",
        "protobuf-malformed", "file-cut", "decompression-failed", "decompression-limit",
        "cbor-malformed", "read-failed", "unreadable",
    }
)  # fmt: skip
"""Losses that say that a file is damaged. Packets that are odd in themselves are everyday."""


@dataclass(slots=True)
class Look:
    """What a look found.

    Attributes:
        tables: folder of the tables.
        report: contents of report.json; None: not one input could be read.
        facts: (first, last, packets) by path.
        damage: rows of losses by path: reason, count, offset, frame, detail.
    """

    tables: Path
    report: dict[str, Any] | None = None
    facts: dict[str, tuple[int | None, int | None, int]] = field(default_factory=dict)
    damage: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def look(
    inputs: Sequence[Input],
    keepsake: Path,
    tables: Path,
    options: Options,
    anchors: list[Any],
    supplied: Any,
    keylogs: Sequence[str] = (),
) -> Look:
    """Read inputs, judge them and give the report.

    Args:
        inputs: of the horizon.
        keepsake: capture with what was known of keys before; it need not be there.
        tables: an empty folder.
        options: of the run.
        anchors: trust anchors.
        supplied: keys from elsewhere (schemas.KEYS).
        keylogs: those files of TLS secrets that can be read.
    """
    from forensics.capture.losses import REASONS
    from forensics.ingest import ingest
    from forensics.judging import report_of

    paths = [one.path for one in inputs]
    if keepsake.exists():
        paths.append(str(keepsake))
    result = ingest(
        paths,
        tables,
        ports=options.ports,
        servers=options.servers,
        resolvers=options.resolvers,
        tls_keylogs=keylogs,
    )
    found = Look(tables)
    for facts in result.captures:
        found.facts[facts.path] = (facts.first, facts.last, facts.packets)
        rows = [
            {
                "reason": REASONS[loss.reason],
                "count": loss.count,
                "offset": loss.offset,
                "frame": loss.frame,
                "detail": loss.detail,
            }
            for loss in facts.losses.rows()
        ]
        found.damage[facts.path] = [
            row for row in rows if row["reason"] in DAMAGE and row["reason"] not in NOT_READ
        ]
    for error in result.errors:
        found.facts.setdefault(error.path, (None, None, 0))
        found.damage.setdefault(error.path, []).append(
            {
                "reason": "unreadable",
                "count": 1,
                "offset": error.offset,
                "frame": 0,
                "detail": error.reason,
            }
        )
    if result.captures:
        found.report, _ = report_of(
            tables, result.errors, anchors, supplied, options, in_brief=True
        )
    return found


def as_shown(report: dict[str, Any], inputs: Sequence[Input], keepsake: Path) -> dict[str, Any]:
    """Name captures and frames of the incidents' evidence as the user knows them.

    A piece of a growing file begins in the middle of it, and what is kept of earlier times has no
    frames of its own.
    """
    known = {one.path: one for one in inputs}
    for incident in report["incidents"]:
        kept = []
        for row in incident["evidence"]:
            one = known.get(row["capture"])
            if one is not None:
                kept.append({**row, "capture": one.shown, "frame": row["frame"] + one.frames})
            elif row["capture"] != str(keepsake):
                kept.append(row)
        incident["evidence"] = kept
    return report


def give_back() -> None:
    """Give memory that a look has freed back to the system, where the C library can.

    Each look has threads of its own, and allocators keep what they freed for each: from look to
    look it would pile up to several times what one needs.
    """
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc
    if trim is not None:
        trim(0)
