"""Which addresses are one resolver: those that it asks upstream from, and those that it answers at.

A cache belongs to a resolver, not to an address: what came by IPv6 is held for what leaves by IPv4.
dnstap says whose a message is. From packets it is inferred: where an authority is asked what a
client had just asked of one resolver and of no other, the asking address is that resolver's. An
address that never answers clients (a monitor, or a capture of the upstream side alone) is none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.limits import RESOLVER_ROWS, RESOLVER_WINDOWS, SECOND
from forensics.vocabulary import VANTAGES, Vantage

COLUMNS: Final = (
    "transaction", "time", "latency", "client", "server", "qname", "qtype", "vantage", "kind",
    "identity",
)  # fmt: skip
"""What is read of the transactions."""

_PATIENCE: Final = 5 * SECOND
"""How long a client's question without an answer counts as open."""
_COINCIDENCES: Final = 3
_OWN: Final = 0.05
"""An address that asks is a resolver's if that share of its questions, and that many, were just
what one resolver alone had open: who probes on his own meets open questions by chance."""
_SHARE: Final = 0.1
"""Two addresses are one resolver if that share of what one asked was open at the other; and the
other way round where there is enough to tell. A resolver that is slow has questions open while
another asks the same, but not both have."""
_TELLING: Final = 10
"""Fewer coincidences deny nothing: a resolver that asks nearly all by IPv6 has a handful by IPv4,
and by chance the clients of its IPv6 address asked for none of these."""
_MOSTLY: Final = 0.3
"""Where the other way round tells nothing, the share must be as large as this, of that many."""
_UNSPECIFIED: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - what dnstap writes for none

_Node = tuple[str, str]
"""("address" or "identity", its text)"""


class Resolver(NamedTuple):
    """One resolver: its dnstap identity, else the first of its addresses; and all of these."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Resolvers:
    """The resolvers of a capture whose upstream questions it holds.

    Attributes:
        found: in order of name.
        of_identity, of_address: index into `found`.
    """

    found: tuple[Resolver, ...] = ()
    of_identity: dict[str, int] = field(default_factory=dict)
    of_address: dict[str, int] = field(default_factory=dict)

    def asking(self, batch: Any) -> NDArray[np.int64]:
        """Return which resolver asked, for each row of schemas.TRANSACTIONS; -1: none.

        A referral says neither AA nor RA, so that nobody knows its side; who asked is known.
        """
        return self._whose(batch, "client", (Vantage.UPSTREAM, Vantage.UNKNOWN))

    def answering(self, batch: Any) -> NDArray[np.int64]:
        """Return which resolver answered a client, for each row; -1: none."""
        return self._whose(batch, "server", (Vantage.CLIENT,))

    def _whose(
        self, batch: Any, column: str, vantages: tuple[Vantage, ...]
    ) -> NDArray[np.int64]:
        addresses, at = _coded(batch.column(column))
        known = np.array([self.of_address.get(a or "", -1) for a in addresses], np.int64)[at]
        identities, at = _coded(batch.column("identity"))
        named = np.array([self.of_identity.get(i or "", -1) for i in identities], np.int64)[at]
        sides, at = _coded(batch.column("vantage"))
        wanted = {VANTAGES[vantage] for vantage in vantages}
        side = np.array([s in wanted for s in sides], np.bool_)[at]
        return np.where(side, np.where(named >= 0, named, known), -1)


def find(batches: Iterable[Any]) -> Resolvers:
    """Find the resolvers among the parties of schemas.TRANSACTIONS.

    Only the first limits.RESOLVER_ROWS questions of either side are held against each other.
    """
    sides = _Sides()
    for batch in batches:
        if batch.num_rows:
            sides.take(batch)
    return sides.resolvers()


@dataclass
class _Sides:
    """What clients asked of whom, and who asked authorities."""

    answering: set[str] = field(default_factory=set)
    identities: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    open: dict[tuple[str, int], list[tuple[int, int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    asked: list[tuple[str, str, int, int]] = field(default_factory=list)
    windows: int = 0

    def take(self, batch: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        batch = batch.select(COLUMNS)
        vantage, kind = (batch.column(name).cast(pa.string()) for name in ("vantage", "kind"))
        upstream = pc.equal(vantage, VANTAGES[Vantage.UPSTREAM])
        tapped = pc.and_(upstream, pc.starts_with(kind, "RESOLVER"))
        for row in _distinct(batch.filter(tapped), ("identity", "client")):
            if row["identity"]:
                self.identities[row["identity"]].add(row["client"] or "")
        toward = batch.filter(pc.equal(vantage, VANTAGES[Vantage.CLIENT]))
        self.answering.update(row["server"] or "" for row in _distinct(toward, ("server",)))
        packets = pc.and_(upstream, pc.invert(tapped))
        room = RESOLVER_ROWS - self.windows
        for _, server, name, kind_asked, time, latency in _rows(toward, room):
            end = time + (_PATIENCE if latency is None else latency)
            self.open[name, kind_asked].append((time, end, server))
            self.windows += 1
        room = RESOLVER_ROWS - len(self.asked)
        for client, _, name, kind_asked, time, _ in _rows(batch.filter(packets), room):
            self.asked.append((client, name, kind_asked, time))

    def resolvers(self) -> Resolvers:
        """Join addresses and identities."""
        joined = _Joined()
        owners = Counter(a for addresses in self.identities.values() for a in addresses)
        for identity, addresses in self.identities.items():
            joined.add(("identity", identity))
            for address in addresses - _UNSPECIFIED:
                if owners[address] == 1:
                    joined.join(("identity", identity), ("address", address))
        askers = {client for client, *_ in self.asked}
        for address in sorted((self.answering & askers) - _UNSPECIFIED):
            joined.add(("address", address))
        self._join(joined, self._votes())
        return _numbered(joined.groups())

    def _join(self, joined: _Joined, votes: dict[str, Counter[str]]) -> None:
        """Join addresses, the surest pairs first, and none that the other side denies."""
        asked = Counter(asker for asker, *_ in self.asked)
        sure = {
            asker: own
            for asker, own in votes.items()
            if own.total() >= max(_COINCIDENCES, _OWN * asked[asker])
        }
        pairs = sorted(
            (-count / own.total(), asker, server)
            for asker, own in sure.items()
            for server, count in own.items()
            if asker != server
        )
        for _, asker, server in pairs:
            one, other = joined.set_of(("address", asker)), joined.set_of(("address", server))
            if one == other:
                continue
            ways = [
                (
                    sum(sure[a][s] for _, a in one_way if a in sure for _, s in toward),
                    sum(sure[a].total() for _, a in one_way if a in sure),
                )
                for one_way, toward in ((one, other), (other, one))
                if any(a in sure for _, a in one_way)
                and any(s in self.answering for _, s in toward)
            ]
            if _is_one(ways):
                joined.join(("address", asker), ("address", server))

    def _votes(self) -> dict[str, Counter[str]]:
        """Count whose question alone was open when an address asked an authority the same."""
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        for windows in self.open.values():
            windows.sort()
        for asker, name, kind, time in self.asked:
            own = self.open.get((name, kind), [])
            last = bisect_right(own, (time, time, "\uffff"))
            near = own[max(last - RESOLVER_WINDOWS, 0) : last]
            servers = {server for start, end, server in near if start <= time <= end}
            if len(servers) == 1:
                votes[asker][servers.pop()] += 1
        return votes


def _is_one(ways: list[tuple[int, int]]) -> bool:
    """Whether coincidences join two sets of addresses: those that do, of all, each way."""
    if all(count >= _SHARE * all_ for count, all_ in ways):
        return bool(ways)
    telling = [(count, all_) for count, all_ in ways if all_ >= _TELLING]
    return len(telling) == 1 and telling[0][0] >= max(_TELLING, _MOSTLY * telling[0][1])


class _Joined:
    """Sets of nodes that are joined one by one."""

    def __init__(self) -> None:
        self._above: dict[_Node, _Node] = {}

    def add(self, node: _Node) -> _Node:
        """Take a node; return the one that stands for its set."""
        above = self._above.setdefault(node, node)
        while above != self._above[above]:
            above = self._above[above]
        self._above[node] = above
        return above

    def join(self, one: _Node, other: _Node) -> None:
        """Make two sets one."""
        first, second = sorted((self.add(one), self.add(other)))
        self._above[second] = first

    def set_of(self, node: _Node) -> frozenset[_Node]:
        """Return the set that a node is in."""
        above = self.add(node)
        return frozenset(n for n in self._above if self.add(n) == above)

    def groups(self) -> list[list[_Node]]:
        """Return the sets."""
        found: dict[_Node, list[_Node]] = defaultdict(list)
        for node in sorted(self._above):
            found[self.add(node)].append(node)
        return list(found.values())


def _numbered(groups: list[list[_Node]]) -> Resolvers:
    told = []
    for group in groups:
        identities = [text for kind, text in group if kind == "identity"]
        addresses = tuple(text for kind, text in group if kind == "address")
        told.append((identities[0] if identities else addresses[0], addresses, identities))
    told.sort()
    return Resolvers(
        tuple(Resolver(name, addresses) for name, addresses, _ in told),
        {i: number for number, (_, _, identities) in enumerate(told) for i in identities},
        {a: number for number, (_, addresses, _) in enumerate(told) for a in addresses},
    )


def _distinct(rows: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    import pyarrow as pa

    table = pa.table({name: rows.column(name).cast(pa.string()) for name in names})
    found: list[dict[str, Any]] = table.group_by(list(names)).aggregate([]).to_pylist()
    return found


def _rows(rows: Any, most: int) -> Iterable[tuple[Any, ...]]:
    """Yield (client, server, qname, qtype, ns, latency or None) of the first rows with a name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if most <= 0 or not rows.num_rows:
        return ()
    rows = rows.filter(pc.is_valid(rows.column("qname"))).slice(0, most)
    times = rows.column("time").cast(pa.int64()).to_pylist()
    texts = [rows.column(n).to_pylist() for n in ("client", "server", "qname", "qtype")]
    return zip(*texts, times, rows.column("latency").to_pylist(), strict=True)


def _coded(column: Any) -> tuple[list[str | None], NDArray[np.int64]]:
    """Return the distinct texts of a column, None last, and each row's index among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    texts = [*column.dictionary.to_pylist(), None]
    codes = column.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return texts, codes.astype(np.int64)
