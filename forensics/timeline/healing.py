"""When each resolver that had failed a zone's names answered for them again."""

from __future__ import annotations

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
    """The last failure of each resolver since an incident began, and the first answer behind it."""

    failed: dict[Who, Moment] = field(default_factory=dict)
    answered: dict[Who, Moment] = field(default_factory=dict)

    def note(self, rows: Lookups, chosen: NDArray[np.bool_]) -> None:
        """Take in a batch: bool (N), the clients' lookups of the zone since it began."""
        at = np.flatnonzero(chosen & rows.response & ~rows.again & ~rows.cd)
        if not len(at):
            return
        at = at[np.lexsort((rows.where[at], rows.instant[at]))]
        who = np.stack([rows.server.codes[at], rows.identity.codes[at]])
        found, inverse = np.unique(who, axis=1, return_inverse=True)
        for number, (server, identity) in enumerate(found.T.tolist()):
            mine = at[inverse.reshape(-1) == number]
            address = rows.server.values[server].as_py() if server >= 0 else "?"
            key = (address, "" if identity < 0 else rows.identity.values[identity].as_py())
            self._note_one(key, rows, mine)

    def _note_one(self, key: Who, rows: Lookups, at: NDArray[np.int64]) -> None:
        """Take in the rows of one resolver, in order of time."""
        failed = at[rows.rcode[at] == vocabulary.SERVFAIL]
        if len(failed):
            moment = _moment(rows, int(failed[-1]))
            self.failed[key] = max(self.failed.get(key, moment), moment)
        last = self.failed.get(key)
        if last is None:
            return
        if key in self.answered and self.answered[key] < last:
            del self.answered[key]
        good = (rows.rcode[at] == 0) | (rows.rcode[at] == vocabulary.NXDOMAIN)
        after = at[good & (rows.instant[at] > last.time)]
        if len(after):
            moment = _moment(rows, int(after[0]))
            self.answered[key] = min(self.answered.get(key, moment), moment)


def _moment(rows: Lookups, at: int) -> Moment:
    where = int(rows.where[at])
    return Moment(int(rows.instant[at]), where >> 32, where & 0xFFFFFFFF)
