"""How a zone proves absence, and when that changed: NSEC, or NSEC3 with which parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from forensics import vocabulary
from forensics.timeline.columns import single
from forensics.timeline.evidence import Catalog, Evidence
from forensics.timeline.judged import AUTHORITY
from forensics.timeline.moments import Moment
from forensics.timeline.strata import Cell

_HEAD: Final = 18
"""Octets of an RRSIG's RDATA before the signer's name (RFC 4034 3.1)."""

_FIXED: Final = 10
"""Octets of type, class, TTL and length between an owner and its RDATA."""


def parameters(signed_data: bytes) -> str | None:
    """Read the parameters of a signed NSEC3 record (RFC 5155 3.2), in words; None: damaged."""
    at = _HEAD
    for _ in range(2):  # the signer's name, then the owner's
        while at < len(signed_data) and signed_data[at]:
            at += 1 + signed_data[at]
        at += 1
    data = signed_data[at + _FIXED :]
    if len(data) < 5 or len(data) < 5 + data[4]:
        return None
    salt = data[5 : 5 + data[4]].hex() or "none"
    iterations = int.from_bytes(data[2:4])
    return f"NSEC3 with {iterations} iterations, salt {salt}"


def changes(
    cells: Sequence[Cell], evidence: Evidence, catalog: Catalog
) -> list[tuple[Moment, Moment, str, int]]:
    """Give each change of how a zone proves absence, as its servers show it.

    Returns:
        the first sighting of the new way, the last of the one before at that place, words, place.
    """
    column = single(evidence.signatures["signed_data"])
    seen: dict[int, list[tuple[Moment, str]]] = {}
    for cell in cells:
        if cell.side != AUTHORITY or cell.type not in {vocabulary.TYPE_NSEC, vocabulary.TYPE_NSEC3}:
            continue
        for moment in (cell.first_seen, cell.last_seen):
            words: str | None = "NSEC"
            if cell.type == vocabulary.TYPE_NSEC3:
                row = int(catalog.row[moment.signature])
                words = parameters(column[row].as_py() or b"") if row >= 0 else None
            if words is not None:
                seen.setdefault(cell.place, []).append((moment, words))
    found = []
    for place, held in sorted(seen.items()):
        ordered = sorted(held)
        for (before, old), (moment, new) in pairwise(ordered):
            if old != new:
                text = f"absence is proved by {new}, before by {old}"
                found.append((moment, before, text, place))
    once: dict[str, tuple[Moment, Moment, str, int]] = {}
    for change in sorted(found):
        once.setdefault(change[2], change)
    return list(once.values())
