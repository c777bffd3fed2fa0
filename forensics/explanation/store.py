"""What was captured of one name: look-ups over the tables of an ingest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.explanation.columns import Kept, Tables, is_in_text, joined, numbers
from forensics.explanation.picking import Class, Picker
from forensics.explanation.reading import Reader
from forensics.explanation.records import Response
from forensics.knowledge import ancestors
from forensics.limits import BURST, EXPLAIN_CHAIN, EXPLAIN_KEPT
from forensics.vocabulary import TYPE_DNSKEY, TYPE_NS, TYPE_NSEC


@dataclass
class Captured:
    """What the capture holds around a name, by what it tells of.

    Attributes:
        by_class: responses in order of time, at most limits.EXPLAIN_BEFORE before and
            EXPLAIN_AFTER after the instant from each server.
    """

    by_class: dict[Class, list[Response]] = field(default_factory=dict)

    @property
    def partial(self) -> list[Response]:
        """The responses of which an exporter left records out, in order of time."""
        return _in_order([r for found in self.by_class.values() for r in found if r.is_partial])

    def asked(self, name: str, kind: int) -> list[Response]:
        """Return the responses to a question, and the queries that stayed without one."""
        return self.by_class.get(("asked", name, kind), [])

    def asked_otherwise(self, name: str, kind: int) -> list[Response]:
        """Return the responses to questions for another type of the name."""
        found = [
            response
            for (how, owner, other), responses in self.by_class.items()
            if how == "asked" and owner == name and other != kind
            for response in responses
        ]
        return _in_order(found)

    def holding(self, name: str, kind: int) -> list[Response]:
        """Return the responses that hold the name's signed RRset, whatever was asked."""
        return self.by_class.get(("holds", name, kind), [])

    def referring(self, name: str) -> list[Response]:
        """Return the referrals to a name: with its NS RRset in the authority section."""
        return self.by_class.get(("refers", name, TYPE_NS), [])

    def all_of(self, name: str, kind: int) -> list[Response]:
        """Return responses that were asked for an RRset or hold it, in order of time."""
        return _in_order([*self.asked(name, kind), *self.holding(name, kind)])


def _in_order(responses: list[Response]) -> list[Response]:
    distinct = {r.transaction: r for r in responses}
    return sorted(distinct.values(), key=lambda r: (r.time, r.transaction))


class Store:
    """The tables of one ingest, asked by name.

    Args:
        tables: gives the batches of a table.
        contested: capture << 32 | frame of responses that another one contradicts, sorted.
        clients: only what these addresses of one resolver received (the resolver view); empty:
            everything.
    """

    def __init__(
        self,
        tables: Tables,
        contested: NDArray[np.int64],
        clients: frozenset[str] = frozenset(),
    ) -> None:
        self._kept = Kept(tables)
        self._signatures = joined(
            tables("signatures"), ["signature", "owner", "type", "signer", "inception"]
        )
        self._keys = joined(tables("keys"))
        places = joined(tables("places"), ["server", "nsid"])
        pairs = [(r["server"], r["nsid"]) for r in places.to_pylist()] if places else []
        instances: dict[str, set[str]] = defaultdict(set)
        for server, nsid in pairs:
            if nsid is not None:
                instances[server].add(nsid)
        self._several = frozenset(server for server, seen in instances.items() if len(seen) > 1)
        self._servers: dict[str, int] = {}
        self._ever: dict[str, tuple[bytes, ...]] = {}
        names = [self._place_name(*pair) for pair in pairs]
        server_of = np.array([self._server(*pair) for pair in pairs], np.int64)
        self._picker = Picker(self._kept, self._signatures, self._server, server_of, clients)
        self._reader = Reader(
            self._kept, tables, self._keys, contested, self._place_name, names, clients
        )

    def distrust(self, places: Sequence[int]) -> None:
        """Take more responses as contested: capture << 32 | frame of each."""
        self._reader.distrust(np.array(places, np.int64))

    def _place_name(self, server: str, nsid: str | None) -> str:
        """Name a server; with its NSID where the address answered under several."""
        return f"{server} {nsid}" if nsid is not None and server in self._several else server

    def _server(self, server: str, nsid: str | None) -> int:
        return self._servers.setdefault(self._place_name(server, nsid), len(self._servers))

    def gather(self, name: str, kind: int, at: int) -> Captured:
        """Look up everything that tells of a question and of the zones above it.

        Args:
            name: the question's.
            kind: its type.
            at: ns; what lies nearest to this instant is taken.
        """
        chosen = self._picker.pick([name, *ancestors(name)], kind, at)
        wanted = [found for found in chosen.values() if len(found)]
        if not wanted:
            return Captured()
        responses = self._reader.read(np.unique(np.concatenate(wanted)))
        return Captured(
            {
                what: _in_order([responses[n] for n in found.tolist() if n in responses])
                for what, found in chosen.items()
            }
        )

    def read_ahead(self, name: str, kind: int, instants: Sequence[int]) -> None:
        """Read in one go what `gather` will look up at each of several instants (ns)."""
        names = [name, *ancestors(name)]
        chosen = [self._picker.pick(names, kind, at).values() for at in instants]
        wanted = [found for of_one in chosen for found in of_one]
        if wanted:
            self._reader.read(np.unique(np.concatenate(wanted))[:EXPLAIN_KEPT])

    def questions(self, limit: int) -> list[tuple[str, int, int]]:
        """Return the most asked (name, type, count) of the capture, for error messages."""
        import pyarrow as pa
        import pyarrow.compute as pc

        counts: dict[tuple[str, int], int] = defaultdict(int)
        for batch in self._kept("transactions"):
            rows = pa.Table.from_batches([batch.select(["qname", "qtype"])])
            rows = rows.set_column(0, "qname", rows["qname"].cast(pa.string()))
            rows = rows.filter(pc.is_valid(rows["qname"]))
            for row in rows.group_by(["qname", "qtype"]).aggregate([([], "count_all")]).to_pylist():
                counts[row["qname"], row["qtype"]] += row["count_all"]
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(name, kind, count) for (name, kind), count in ranked[:limit]]

    def is_named(self, name: str) -> bool:
        """Whether a question for the name was captured, or a signed RRset of it."""
        return bool(self.signers_at(name)) or any(
            is_in_text(batch.column("qname"), [name]).any() for batch in self._kept("transactions")
        )

    def _signatures_of(self, column: str, value: str) -> Any:
        import pyarrow.compute as pc

        return self._signatures.filter(pc.equal(self._signatures[column], value))

    def signers_at(self, name: str) -> set[tuple[str, int]]:
        """Return (signer, type) of the signatures over RRsets of a name, whenever seen."""
        if self._signatures is None:
            return set()
        rows = self._signatures_of("owner", name)
        pairs = zip(rows["signer"].to_pylist(), rows["type"].to_pylist(), strict=True)
        return {(signer, kind) for signer, kind in pairs if signer}

    def keys_ever(self, zone: str) -> tuple[bytes, ...]:
        """Return the DNSKEY RDATA that the zone showed at any time of the capture, in order."""
        if zone not in self._ever:
            self._ever[zone] = self._keys_ever(zone)
        return self._ever[zone]

    def _keys_ever(self, zone: str) -> tuple[bytes, ...]:
        import pyarrow.compute as pc

        if self._keys is None:
            return ()
        mask = pc.and_(
            pc.equal(self._keys["zone"], zone), pc.equal(self._keys["type"], TYPE_DNSKEY)
        )
        shown = self._keys.filter(mask)["rdatas"].to_pylist()
        return tuple(sorted({rdata for rdatas in shown for rdata in rdatas or ()}))

    def nsec_owners(self, zone: str) -> list[str]:
        """Return the owners of the NSEC records that a zone has signed."""
        import pyarrow.compute as pc

        if self._signatures is None:
            return []
        rows = self._signatures_of("signer", zone)
        owners = rows.filter(pc.equal(rows["type"], TYPE_NSEC))["owner"]
        return [owner for owner in owners.unique().to_pylist() if owner][:EXPLAIN_CHAIN]

    def nsec_at(self, zone: str, owner: str, at: int) -> Response | None:
        """Return the response that showed an owner's NSEC last before `at` (ns), or first after.

        Nothing of the kind seen elsewhere counts: cut, contested or unasked responses, and what is
        farther after the instant than a burst of exchanges.
        """
        import pyarrow.compute as pc

        rows = self._signatures_of("owner", owner)
        rows = rows.filter(
            pc.and_(pc.equal(rows["type"], TYPE_NSEC), pc.equal(rows["signer"], zone))
        )
        wanted = numbers(rows, "signature")
        seen: list[tuple[int, int]] = []
        for batch in self._kept("sightings"):
            mask = np.isin(numbers(batch, "signature"), wanted)
            if mask.any():
                times, which = numbers(batch, "time")[mask], numbers(batch, "transaction")[mask]
                seen += zip(times.tolist(), which.tolist(), strict=True)
        near = [row for row in seen if row[0] <= at + BURST]
        best = max(
            near, key=lambda row: (row[0] <= at, -abs(row[0] - at), -row[1]), default=None
        )  # fmt: skip
        if best is None:
            return None
        response = self._reader.read(np.array([best[1]], np.int64)).get(best[1])
        return None if response is None or response.is_doubtful else response

    def is_seen_from(self, number: int, since: int) -> bool:
        """Whether a signature was seen at `since` (ns) or after."""
        return self._is_any_seen(np.array([number], np.int64), since)

    def is_signed_again(self, zone: str, inception: int, since: int) -> bool:
        """Whether the zone showed a later signature than `inception` at `since` (ns) or after."""
        if self._signatures is None:
            return False
        rows = self._signatures_of("signer", zone)
        # RFC 1982: ahead if the difference modulo 2^32 is below 2^31.
        ahead = (numbers(rows, "inception") - inception) & 0xFFFFFFFF
        later = numbers(rows, "signature")[(ahead > 0) & (ahead < 2**31)]
        return bool(len(later)) and self._is_any_seen(later, since)

    def _is_any_seen(self, signatures: NDArray[np.int64], since: int) -> bool:
        return any(
            (np.isin(numbers(b, "signature"), signatures) & (numbers(b, "time") >= since)).any()
            for b in self._kept("sightings")
        )
