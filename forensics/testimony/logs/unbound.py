"""Unbound with `val-log-level: 2` (or 1): `info: validation failure <NAME TYPE IN>: REASON`."""

from __future__ import annotations

import re
from typing import Final

from forensics.testimony.logs.entry import FAILURE, TEXT, Entry, absolute

NAME: Final = "unbound"

_MARK: Final = re.compile(r"\bunbound(?:\[\d+(?::[\da-f]+)?\])?:?\s+(?:info|notice|error|warning):")
_FAILURE: Final = re.compile(r"validation failure <(\S+) (\S+) \S+>(?::\s*(.*))?")
_PRIMING: Final = "failed to prime trust anchor -- "
_PRIME: Final = re.compile(r"(.*?) (\S+) (\S+) IN$")
# Only where the spaces begin: to begin anew at each of many takes the square of their number.
_WHERE: Final = re.compile(r"(?<!\s)\s+(?:from|for|while|because)\b.*")


def sniff(line: str) -> bool:
    """Whether Unbound wrote the line."""
    return _MARK.search(line) is not None


def parse(line: str) -> Entry | None:
    """Read a line behind its time; None: it says nothing of validation."""
    match = _FAILURE.search(line)
    if match is None:
        at = line.find(_PRIMING)
        primed = _PRIME.match(line, at + len(_PRIMING)) if at >= 0 else None
        if primed is None:
            return None
        return Entry(FAILURE, absolute(primed[2]), primed[3], line[at : primed.end(1)][:TEXT])
    words = match[3] or ""
    if "previous validation failure" in words:
        # The first failure is told in brackets behind it; its own reason is what counts.
        words = words.rsplit(">:", 1)[-1].strip() if ">:" in words else "previous failure"
    return Entry(FAILURE, absolute(match[1]), match[2], _WHERE.sub("", words)[:TEXT])
