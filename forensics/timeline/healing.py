"""When each resolver that had failed a zone's names answered for them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline.moments import Moment

if TYPE_CHECKING:
    from forensics.timeline.lookups import Lookups

Who = tuple[str, str]
"""Address and dnstap identity."""


@dataclass(slots=True)
class Healing:
    """The last failure of each resolver since an incident began, and the first answer behind it.

    All failures are noted before the first answer is: rows come in any order.
    """

    failed: dict[Who, Moment] = field(default_factory=dict)
    answered: dict[Who, Moment] = field(default_factory=dict)

    def note_failures(self, rows: Lookups, chosen: NDArray[np.bool_]) -> None:
        """Take in a batch: bool (N), the clients' lookups of the zone since it began."""
        for key, at in _by_resolver(rows, chosen & (rows.rcode == vocabulary.SERVFAIL)):
            moment = _moment(rows, int(at[-1]))
            self.failed[key] = max(self.failed.get(key, moment), moment)

    def note_answers(self, rows: Lookups, chosen: NDArray[np.bool_]) -> None:
        """Take in the same batch once more, when the failures of all are known."""
        good = (rows.rcode == 0) | (rows.rcode == vocabulary.NXDOMAIN)
        for key, at in _by_resolver(rows, chosen & good):
            last = self.failed.get(key)
            after = at[:0] if last is None else at[rows.instant[at] > last.time]
            if len(after):
                moment = _moment(rows, int(after[0]))
                self.answered[key] = min(self.answered.get(key, moment), moment)


def _by_resolver(
    rows: Lookups, chosen: NDArray[np.bool_]
) -> Iterator[tuple[Who, NDArray[np.int64]]]:
    """Give each resolver's responses among the chosen rows, in order of time."""
    at = np.flatnonzero(chosen & rows.response & ~rows.again & ~rows.cd)
    if not len(at):
        return
    at = at[np.lexsort((rows.where[at], rows.instant[at]))]
    who = np.stack([rows.server.codes[at], rows.identity.codes[at]])
    found, inverse = np.unique(who, axis=1, return_inverse=True)
    for number, (server, identity) in enumerate(found.T.tolist()):
        address = rows.server.values[server].as_py() if server >= 0 else "?"
        name = "" if identity < 0 else rows.identity.values[identity].as_py()
        yield (address, name), at[inverse.reshape(-1) == number]


def _moment(rows: Lookups, at: int) -> Moment:
    where = int(rows.where[at])
    return Moment(int(rows.instant[at]), where >> 32, where & 0xFFFFFFFF)
