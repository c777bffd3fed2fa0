"""Resolvers that got bad data from one server of a zone, asked another at once, and got good data.

A validator that is given bad data may ask the zone's other servers before it fails (RFC 4035 4.9.1
leaves it free; RFC 9520 2.3 asks it to try no more than a few). That helps where some servers are
good. It shows as the same question of one resolver, to a server that was bad at that time and then,
within RETRY, to one that was never bad. A resolver that only takes its servers in turn does not ask
the same question again so soon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.timeline.moments import Moment
from forensics.timeline.sketch import hash_values, mix

if TYPE_CHECKING:
    from forensics.timeline.columns import Coded
    from forensics.timeline.lookups import Lookups

RETRY: Final = 3 * limits.SECOND
"""A question that comes again later may be a new lookup: TTLs are seldom shorter."""

FEWEST: Final = 2
"""Questions that show it: one may be a client's own retry."""

KEPT: Final = 2**16
"""Upstream answers kept per incident; of the same questions, by least hash."""


@dataclass(frozen=True, slots=True)
class Servers:
    """A zone's servers in an incident.

    Attributes:
        bad: address to the first and last time it was bad, ns.
        good: addresses that were good meanwhile, and never bad.
    """

    bad: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    good: frozenset[str] = frozenset()


@dataclass(slots=True)
class Answers:
    """Answers of a zone's servers to resolvers; arrays of one length.

    Attributes:
        asked: uint64, hash of who asked what. good: bool, of a good server.
        time, where: int64, ns, and capture << 32 | frame.
        who: resolver of each hash.
        shift: hashes are kept that begin with so many bits of 0: of what order the rows came in,
            nothing depends.
    """

    asked: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    good: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    time: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    where: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    who: dict[int, str] = field(default_factory=dict)
    shift: int = 0

    def note(self, rows: Lookups, below: NDArray[np.bool_], servers: Servers) -> None:
        """Take in a batch: bool (N), the name stands at or under the zone."""
        if not servers.good or not servers.bad:
            return
        names = rows.server.values.to_pylist()
        never = np.iinfo(np.int64).max
        spans = [servers.bad.get(name, (never, -1)) for name in names]
        first = rows.server.lookup(np.array([span[0] for span in spans], np.int64), absent=never)
        last = rows.server.lookup(np.array([span[1] for span in spans], np.int64), absent=-1)
        fine = rows.server.lookup(np.array([n in servers.good for n in names], bool), absent=False)
        spoiled = (rows.instant >= first) & (rows.instant <= last)
        chosen = below & ~rows.client_side & rows.response & (fine.astype(bool) | spoiled)
        at = np.flatnonzero(chosen & (rows.client.codes >= 0) & (rows.name.codes >= 0))
        if not len(at):
            return
        asked = mix(_of(rows.client, at), _of(rows.name, at), rows.qtype[at].astype(np.uint64))
        for key, code in zip(asked.tolist(), rows.client.codes[at].tolist(), strict=True):
            if key not in self.who:
                self.who[key] = rows.client.values[code].as_py()
        self.asked = np.concatenate([self.asked, asked])
        self.good = np.concatenate([self.good, fine[at].astype(bool)])
        self.time = np.concatenate([self.time, rows.instant[at]])
        self.where = np.concatenate([self.where, rows.where[at]])
        self._keep()
        while len(self.asked) > KEPT and self.shift < 63:
            self.shift += 1
            self._keep()

    def _keep(self) -> None:
        """Leave out the hashes that do not begin with `shift` bits of 0."""
        chosen = self.asked <= np.uint64(2**64 - 1) >> np.uint64(self.shift)
        if chosen.all():
            return
        self.asked, self.good = self.asked[chosen], self.good[chosen]
        self.time, self.where = self.time[chosen], self.where[chosen]
        left = set(self.asked.tolist())
        self.who = {key: name for key, name in self.who.items() if key in left}

    def switches(self) -> dict[str, tuple[Moment, Moment]]:
        """Give by resolver the first and last good answer that came upon a bad one."""
        order = np.lexsort((self.where, self.good, self.time, self.asked))
        found: dict[str, list[tuple[int, Moment]]] = {}
        for one, other in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
            if self.asked[one] != self.asked[other] or self.good[one] or not self.good[other]:
                continue
            if self.time[other] - self.time[one] > RETRY:
                continue
            where = int(self.where[other])
            moment = Moment(int(self.time[other]), where >> 32, where & 0xFFFFFFFF)
            key = int(self.asked[one])
            found.setdefault(self.who[key], []).append((key, moment))
        return {
            resolver: (min(m for _, m in rows), max(m for _, m in rows))
            for resolver, rows in sorted(found.items())
            if len({key for key, _ in rows}) >= FEWEST
        }


def _of(column: Coded, at: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give the hashes of the texts of some rows."""
    return hash_values(column.values)[column.codes[at]]
