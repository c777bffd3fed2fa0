"""Knot Resolver's `dnssec` log group: `[dnssec] validation failure: NAME TYPE`."""

from __future__ import annotations

import re
from typing import Final

from forensics.testimony.logs.entry import FAILURE, Entry, absolute

NAME: Final = "knot"

_MARK: Final = re.compile(r"\[(?:dnssec|ta|system|valdtr|cache|iterat|resolv|net)\s*\]|\bkresd")
_FAILURE: Final = re.compile(r"\[dnssec\s*\]\s+validation failure:\s+(\S+)\s+(\S+)")


def sniff(line: str) -> bool:
    """Whether Knot Resolver wrote the line."""
    return _MARK.search(line) is not None


def parse(line: str) -> Entry | None:
    """Read a line behind its time; None: it says nothing of validation."""
    match = _FAILURE.search(line)
    if match is None:
        return None
    return Entry(FAILURE, absolute(match[1]), match[2], "validation failure")
