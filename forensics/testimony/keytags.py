"""Who named which trusted keys in the EDNS option of RFC 8145 4: claims, gathered as they pass.

The transactions have no column for it, for hardly any query carries it. So the distinct claims have
a table of their own, of one row a sender, zone and set of tags.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forensics import schemas
from forensics.limits import KEY_TAG_OPTIONS, TRUST_SIGNALS
from forensics.wire.keytags import key_tag_options

_MAPPED = bytes(10) + b"\xff\xff"

Claim = tuple[str, str, tuple[int, ...]]
"""Sender, zone and tags."""


@dataclass
class KeyTags:
    """The claims of a run.

    Attributes:
        claims: first and last time (ns), capture and frame of the first, and count, by claim.
        left_out: claims that found no room.
    """

    claims: dict[Claim, list[int]] = field(default_factory=dict)
    left_out: int = 0

    def take(self, block: Any, parsed: Any) -> None:
        """Note the claims of a block of messages (wire.blocks.MessageBlock and its columns)."""
        found = np.empty((KEY_TAG_OPTIONS, 3), np.int64)
        count = key_tag_options(
            block.octets, block.start, block.captured, parsed.header_flags, parsed.qtype,
            parsed.additionals, found,
        )  # fmt: skip
        for row, at, length in found[:count].tolist():
            value = block.octets[at : at + length].tobytes()
            tags = {int.from_bytes(value[i : i + 2], "big") for i in range(0, length, 2)}
            claim = (_address(block.source[row]), _name(block, row), tuple(sorted(tags)))
            self._note(claim, block, row)

    def _note(self, claim: Claim, block: Any, row: int) -> None:
        time, where = int(block.time[row]), (int(block.captures[row]), int(block.frame[row]))
        held = self.claims.get(claim)
        if held is None:
            if len(self.claims) >= TRUST_SIGNALS:
                self.left_out += 1
                return
            self.claims[claim] = [time, time, *where, 1]
            return
        held[0], held[2], held[3] = min((time, *where), (held[0], held[2], held[3]))
        held[1] = max(held[1], time)
        held[4] += 1

    def add(self, row: dict[str, Any]) -> None:
        """Take a row of another run's table (schemas.KEY_TAGS, times in ns)."""
        claim = (row["client"], row["zone"], tuple(row["tags"]))
        told = [row[name] for name in ("first", "last", "capture", "frame", "count")]
        held = self.claims.get(claim)
        if held is None:
            if len(self.claims) >= TRUST_SIGNALS:
                self.left_out += 1
                return
            self.claims[claim] = told
            return
        first = min((held[0], held[2], held[3]), (told[0], told[2], told[3]))
        last, count = max(held[1], told[1]), held[4] + told[4]
        self.claims[claim] = [first[0], last, first[1], first[2], count]

    def table(self) -> Any:
        """Return schemas.KEY_TAGS, in order of sender, zone and tags."""
        import pyarrow as pa

        rows = [
            {
                "client": client, "zone": zone, "tags": list(tags), "first": first, "last": last,
                "capture": capture, "frame": frame, "count": count,
            }
            for (client, zone, tags), (first, last, capture, frame, count) in sorted(
                self.claims.items()
            )
        ]  # fmt: skip
        return pa.Table.from_pylist(rows, schema=schemas.KEY_TAGS)


def _address(packed: Any) -> str:
    octets = bytes(packed)
    return str(ipaddress.ip_address(octets[12:] if octets.startswith(_MAPPED) else octets))


def _name(block: Any, row: int) -> str:
    """Write the question's name, which the kernel has walked already."""
    import dns.name

    at = int(block.start[row]) + 12
    found: list[bytes] = []
    while block.octets[at]:
        size = int(block.octets[at])
        found.append(block.octets[at + 1 : at + 1 + size].tobytes())
        at += 1 + size
    try:
        return dns.name.Name([*found, b""]).canonicalize().to_text()
    except dns.name.NameTooLong:
        return "."


def claims_of(tables: Iterable[Any]) -> list[dict[str, Any]]:
    """Read rows of schemas.KEY_TAGS, times in ns."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for batch in tables:
        for name in ("first", "last"):
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, name, batch.column(name).cast(pa.int64()))  # noqa: PLW2901
        rows += batch.to_pylist()
    return rows
