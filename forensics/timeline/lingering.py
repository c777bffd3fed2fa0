"""Failures after the repair that a resolver answers from its memory of failed validation.

A resolver remembers that validation failed (RFC 9520 3.2, RFC 4035 4.7), and goes on answering
SERVFAIL from that memory without asking anyone, often without an extended error or with 13, Cached
Error. The cause is still the incident. It is taken for that only of a resolver that failed names of
the zone in the incident, for no longer than RFC 9520 lets it remember, and where neither its word
nor an unanswered query of its own to the zone's servers names another cause.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary

if TYPE_CHECKING:
    from forensics.timeline.columns import Coded
    from forensics.timeline.impact import Window
    from forensics.timeline.lookups import Lookups

REMEMBERED: Final = 300 * limits.SECOND
"""The longest that a resolver may remember a failure (RFC 9520 3.2)."""

CACHED_ERROR: Final = 13
"""Cached Error (RFC 8914 4.14)."""


@dataclass(slots=True)
class Lingering:
    """Of one incident: who failed in it, and who found the zone's servers silent after it."""

    window: Window
    failed: set[str] = field(default_factory=set)
    unheard: set[str] = field(default_factory=set)

    def late(self, rows: Lookups, below: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which of N rows fail by what their resolver remembers of the incident.

        Args:
            rows: of a batch.
            below: bool (N), the name stands at or under the zone.
        """
        at = self._behind(rows, below) & rows.client_side & (rows.rcode == vocabulary.SERVFAIL)
        at &= np.isin(rows.ede, (-1, CACHED_ERROR))
        blamed = self.failed - self.unheard
        known = np.array([text in blamed for text in rows.server.values.to_pylist()], dtype=bool)
        found: NDArray[np.bool_] = at & rows.server.lookup(known, absent=False).astype(bool)
        return found

    def note(self, rows: Lookups, below: NDArray[np.bool_]) -> None:
        """Take in a batch."""
        inside = below & (rows.instant >= self.window.begin) & (rows.instant <= self.window.end)
        failed = inside & rows.client_side & (rows.rcode == vocabulary.SERVFAIL)
        self.failed |= _texts(rows.server, failed)
        silent = self._behind(rows, below) & ~rows.client_side & rows.query & ~rows.response
        self.unheard |= _texts(rows.client, silent)

    def _behind(self, rows: Lookups, below: NDArray[np.bool_]) -> NDArray[np.bool_]:
        end = self.window.end
        return below & (rows.instant > end) & (rows.instant <= end + REMEMBERED)


def _texts(column: Coded, chosen: NDArray[np.bool_]) -> set[str]:
    """Give the texts of some rows of a column."""
    codes = np.unique(column.codes[chosen])
    return {column.values[code].as_py() for code in codes[codes >= 0].tolist()}
