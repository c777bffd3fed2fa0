"""PowerDNS Recursor with `dnssec=log-fail`: plain lines, and structured ones since version 4.8."""

from __future__ import annotations

import re
from typing import Final

from forensics.testimony.logs.entry import (
    FAILURE,
    NTA_ADDED,
    NTA_REMOVED,
    TEXT,
    Entry,
    absolute,
)

NAME: Final = "powerdns"

_MARK: Final = re.compile(
    r"\bpdns_recursor\[\d+\]:|PowerDNS Recursor \d|Negative Trust Anchor for "
)
_MESSAGE: Final = re.compile(r'\bmsg="[^"]*" ')
_SUBSYSTEM: Final = re.compile(r'\bsubsystem="')
_PLAIN: Final = re.compile(r"Answer to (\S+)\|([^\s|]+) for \S+ validates as (Bogus\w*)")
_STRUCTURED: Final = re.compile(r'\bmsg="Validates as (Bogus)"')
_FIELD: Final = re.compile(r'\b(qname|qtype|validationstate|vstate|vState)="([^"]*)"')
_ADDED: Final = re.compile(r"Adding Negative Trust Anchor for (\S+)")
_REMOVED: Final = re.compile(r"(?:Removing|Clearing) Negative Trust Anchor for (\S+)")


def sniff(line: str) -> bool:
    """Whether PowerDNS Recursor wrote the line."""
    told = _MESSAGE.search(line)
    structured = told is not None and _SUBSYSTEM.search(line, told.end()) is not None
    return structured or _MARK.search(line) is not None


def parse(line: str) -> Entry | None:
    """Read a line behind its time; None: it says nothing of validation."""
    match = _PLAIN.search(line)
    if match is not None:
        return Entry(FAILURE, absolute(match[1]), match[2], f"validates as {match[3]}"[:TEXT])
    match = _STRUCTURED.search(line)
    if match is not None:
        fields = dict(_FIELD.findall(line))
        if "qname" not in fields:
            return None
        states = (fields.get(name) for name in ("validationstate", "vstate", "vState"))
        state = next((state for state in states if state), match[1])
        words = f"validates as {state}"[:TEXT]
        return Entry(FAILURE, absolute(fields["qname"]), fields.get("qtype", ""), words)
    for pattern, kind in ((_ADDED, NTA_ADDED), (_REMOVED, NTA_REMOVED)):
        match = pattern.search(line)
        if match is not None:
            return Entry(kind, absolute(match[1]), "", "negative trust anchor")
    return None
