"""BIND's categories dnssec, lame-servers and serve-stale; negative trust anchors set by rndc."""

from __future__ import annotations

import re
from typing import Final

from forensics.testimony.logs.entry import (
    FAILURE,
    NTA_ADDED,
    NTA_REMOVED,
    STALE,
    TEXT,
    Entry,
    absolute,
)

NAME: Final = "bind"

_MARK: Final = re.compile(
    r"(?:^|\s)(?:dnssec|lame-servers|resolver|general|query-errors|client|serve-stale):\s+"
    r"(?:info|notice|warning|error|debug \d+):|\bnamed\[\d+\]:"
)
# An attacker may have written the names, so no pattern may go over the same octets again and again.
_VALIDATING: Final = re.compile(r"validating (\S+)/([A-Z0-9]+)(?:/[^\s/]+)?:\s*(.*)")
_RESOLVING: Final = re.compile(r" resolving '(\S+)/([A-Z0-9]+)/[^\s/']+'")
_REASON: Final = re.compile(
    r"(?:broken trust chain|no valid \S+|RRSIG \S.*|insecurity proof failed|got insecure response)$"
)
_FAULTS: Final = (
    "no valid signature found", "verify failed", "got insecure response", "bad cache hit",
    "broken trust chain", "insecurity proof failed", "no DNSKEY matching DS", "no valid",
)  # fmt: skip
"""Words by which a `validating` line tells a failure; others tell progress."""
_NTA: Final = re.compile(r"control channel command 'nta\s([^']+)'")
_STALE: Final = re.compile(
    r"(?:^|\s)(\S+) (resolver failure|client timeout|query within stale refresh time)?,? ?"
    r"stale answer used\b"
)
_DETAIL: Final = re.compile(r"(?<!\s)\s*\([^()]*\)")


def sniff(line: str) -> bool:
    """Whether BIND wrote the line."""
    return _MARK.search(line) is not None


def parse(line: str) -> Entry | None:
    """Read a line behind its time; None: it says nothing of validation."""
    match = _VALIDATING.search(line)
    if match is not None:
        words = match[3]
        if not any(fault in words for fault in _FAULTS):
            return None
        return Entry(FAILURE, absolute(match[1]), match[2], _DETAIL.sub("", words)[:TEXT])
    match = _RESOLVING.search(line)
    reason = None if match is None else _REASON.search(line[: match.start()])
    if match is not None and reason is not None:
        return Entry(FAILURE, absolute(match[1]), match[2], reason[0][:TEXT])
    match = _STALE.search(line)
    if match is not None:
        return Entry(STALE, absolute(match[1]), "", match[2] or "refreshed behind it")
    match = _NTA.search(line)
    return None if match is None else _anchor(match[1].split())


def _anchor(words: list[str]) -> Entry | None:
    """Read the words of `rndc nta`: options, then the domain."""
    removed = any(word in {"-remove", "-r"} for word in words)
    names = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and before not in {"-lifetime", "-l", "-class", "-c"}
    ]
    if not names:
        return None
    return Entry(NTA_REMOVED if removed else NTA_ADDED, absolute(names[0]), "", "rndc nta")
