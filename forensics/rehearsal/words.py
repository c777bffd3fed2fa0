"""Keys, RRsets, times and lengths of time in words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from forensics.knowledge import key_tag
from forensics.limits import SECOND
from forensics.rehearsal.contents import RRset
from forensics.validation.deniers import text

NAMED: Final = 3
"""RRsets named in a sentence."""


def type_text(kind: int) -> str:
    """Write a type as a mnemonic or `TYPE123`."""
    import dns.rdatatype

    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))


def key_id(rdata: bytes) -> str:
    """Name a key as the checks table does: SHA-256 of its RDATA, 16 hex digits."""
    return hashlib.sha256(rdata).hexdigest()[:16]


def key_text(rdata: bytes) -> str:
    """Name a key: tag, algorithm, and the first digits of its id, which tell equal tags apart."""
    return f"tag {key_tag(rdata)}/{rdata[3]} id {key_id(rdata)[:8]}"


def names_of(rrsets: Sequence[RRset]) -> str:
    """Name the first few RRsets."""
    said = [f"{text(one.owner)} {type_text(one.type)}" for one in rrsets[:NAMED]]
    return ", ".join(said) + (", ..." if len(rrsets) > NAMED else "")


def several(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def rfc3339(time: int) -> str:
    """Write ns since 1970 as RFC 3339 UTC with nanoseconds."""
    seconds, rest = divmod(time, SECOND)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(time)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
