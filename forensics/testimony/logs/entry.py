"""What one line of a log says, whatever resolver wrote it."""

from __future__ import annotations

from typing import Final, NamedTuple

FAILURE: Final = "failure"
"""validation failed for a name"""
NTA_ADDED: Final = "nta-added"
"""a negative trust anchor was set by hand (RFC 7646)"""
NTA_REMOVED: Final = "nta-removed"
STALE: Final = "stale"
"""answered from data that had run out (RFC 8767)"""

TEXT: Final = 200
"""Characters of a line's own words that are kept."""


class Entry(NamedTuple):
    """One line that says something of validation.

    Attributes:
        kind: `FAILURE`, `NTA_ADDED`, `NTA_REMOVED` or `STALE`.
        name: what it is about, lower case with the final dot.
        type: the type asked for or validated, in text; empty: not said.
        words: the resolver's own reason, without names and addresses, for counting.
    """

    kind: str
    name: str
    type: str
    words: str


def absolute(name: str) -> str:
    """Give a name as the tables have it: lower case, with its final dot."""
    name = name.strip("'\"<>,").lower()
    return name if name.endswith(".") else f"{name}."
