"""The responses of a few transactions, made of the rows of all tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.explanation.columns import Kept, Tables, is_in_text, masked, numbers
from forensics.explanation.records import Response, RRset, Signature
from forensics.limits import EXPLAIN_KEPT, SECOND
from forensics.vocabulary import (
    PAIRINGS,
    TYPE_DNSKEY,
    TYPE_DS,
    Pairing,
    Section,
    SightingFlag,
)

_DOUBTFUL: Final = (PAIRINGS[Pairing.UNSOLICITED], PAIRINGS[Pairing.DUPLICATE])
_ANSWERED: Final = (PAIRINGS[Pairing.ANSWERED], PAIRINGS[Pairing.LATE])
_SIGHTING: Final = ["signature", "transaction", "section", "ttl", "flags", "serial"]
_UNSIGNED: Final = [
    "transaction", "section", "type", "owner", "target", "ttl", "flags", "serial",
]  # fmt: skip
_TRANSACTION: Final = [
    "transaction", "time", "latency", "capture", "response_capture", "response_frame", "client",
    "server", "nsid", "qname", "qtype", "rcode", "aa", "ra", "tc", "do", "response_edns",
    "answers", "authorities", "pairing", "kind",
]  # fmt: skip

_Facts = dict[int, tuple[int, int]]
"""(flags, SOA serial) by transaction."""


@dataclass
class Reader:
    """Makes responses.

    Attributes:
        kept: the long tables.
        tables: reads the table of signatures.
        keys: schemas.KEYS; None: there are none.
        contested: capture << 32 | frame of responses that another one contradicts, sorted.
        place_name: names a server as evidence is grouped.
        place_names: that name for each place.
        clients: addresses of the resolver whose view is asked for; empty: all.
    """

    kept: Kept
    tables: Tables
    keys: Any
    contested: NDArray[np.int64]
    place_name: Callable[[str, str | None], str]
    place_names: list[str]
    clients: frozenset[str] = frozenset()
    _known: dict[int, Signature] = field(default_factory=dict)
    _answering: frozenset[str] | None = None
    _read: dict[int, Response] = field(default_factory=dict)

    def distrust(self, places: NDArray[np.int64]) -> None:
        """Take more responses as contested: capture << 32 | frame of each."""
        self.contested = np.union1d(self.contested, places)
        self._read.clear()

    def read(self, wanted: NDArray[np.int64]) -> dict[int, Response]:
        """Make the responses of these transactions, by transaction."""
        import pyarrow as pa

        asked = wanted.tolist()
        found = {number: self._read[number] for number in asked if number in self._read}
        if len(found) == len(asked):
            return found
        wanted = np.array([number for number in asked if number not in found], np.int64)
        sets, facts = self._rrsets(wanted)
        for batch in self.kept("transactions"):
            mask = np.isin(numbers(batch, "transaction"), wanted)
            if not mask.any():
                continue
            rows = masked(batch, mask).select(_TRANSACTION)
            at = rows.schema.get_field_index("time")
            rows = rows.set_column(at, "time", rows.column("time").cast(pa.int64()))
            for row in rows.to_pylist():
                response = self._response(row, sets.get(row["transaction"], []), facts)
                found[response.transaction] = response
        if len(self._read) > EXPLAIN_KEPT:
            self._read.clear()
        self._read.update(found)
        return found

    def _response(self, row: dict[str, Any], sets: list[RRset], facts: _Facts) -> Response:
        flags, serial = facts.get(row["transaction"], (0, 0))
        kind = row["kind"] or ""
        aa, ra = bool(row["aa"]), bool(row["ra"])
        # The unsigned RRset whose owner the table leaves out stands at the question's name.
        rrsets = [r if r.owner else replace(r, owner=row["qname"] or ".") for r in sets]
        time = row["time"] + (row["latency"] or 0)
        first = row["response_capture"]
        # Signatures are due where DO was asked for and the response carries OPT (RFC 3225 3).
        # Without the query, an RRset among the unsigned ones tells that DO was there.
        asked_do = bool(rrsets) if row["do"] is None else bool(row["do"])
        has_dnssec = any(r.signatures for r in rrsets) or (asked_do and bool(row["response_edns"]))
        # Counts are not told of a response of which the exporter of a log kept only a part.
        is_partial = row["rcode"] is not None and row["answers"] is None
        response = Response(
            transaction=row["transaction"],
            time=time,
            capture=row["capture"] if first is None else first,
            frame=row["response_frame"] or 0,
            client=row["client"],
            server=row["server"],
            nsid=row["nsid"],
            # What a resolver holds came from one server as well as from another.
            place="" if self.clients else self.place_name(row["server"], row["nsid"]),
            qname=row["qname"] or ".",
            qtype=row["qtype"] or 0,
            rcode=row["rcode"],
            aa=aa,
            ra=ra,
            tc=bool(row["tc"]),
            has_dnssec=has_dnssec,
            is_authority=bool(flags & int(SightingFlag.AUTHORITY)) or _is_authority(row, kind),
            is_doubtful=is_partial or self._is_doubtful(row, flags),
            is_partial=is_partial,
            answers=row["answers"] or 0,
            authorities=row["authorities"] or 0,
            serial=serial,
            held_until=time + min(r.ttl for r in rrsets) * SECOND
            if self.clients and rrsets
            else None,
            rrsets=tuple(rrsets),
        )
        return self._with_key_sets(response)

    def _is_doubtful(self, row: dict[str, Any], flags: int) -> bool:
        """Whether a response never accuses: cut, contested, or not asked for."""
        where = (row["response_capture"] or 0) << 32 | (row["response_frame"] or 0)
        at = int(np.searchsorted(self.contested, where))
        if at < len(self.contested) and int(self.contested[at]) == where:
            return True
        if flags & int(SightingFlag.CUT):
            return True
        return row["pairing"] in _DOUBTFUL and row["server"] in self._answering_servers()

    def _answering_servers(self) -> frozenset[str]:
        """The servers that answered a query of the capture: elsewhere only responses were seen."""
        if self._answering is None:
            found: set[str] = set()
            for batch in self.kept("transactions"):
                rows = masked(batch, is_in_text(batch.column("pairing"), _ANSWERED))
                found.update(rows.column("server").unique().to_pylist())
            self._answering = frozenset(found)
        return self._answering

    def _rrsets(self, wanted: NDArray[np.int64]) -> tuple[dict[int, list[RRset]], _Facts]:
        """Return the RRsets, and flags and serial, of each of these transactions."""
        rows: list[dict[str, Any]] = []
        facts: _Facts = {}
        for batch in self.kept("sightings"):
            mask = np.isin(numbers(batch, "transaction"), wanted)
            if mask.any():
                rows += masked(batch, mask).select(_SIGHTING).to_pylist()
        self._load({row["signature"] for row in rows})
        grouped: dict[tuple[int, int, str, int, bool], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            facts[row["transaction"]] = (row["flags"], row["serial"])
            if row["section"] == Section.ADDITIONAL:
                continue
            signature = self._known[row["signature"]]
            wild = bool(row["flags"] & int(SightingFlag.WILDCARD))
            key = (row["transaction"], row["section"], signature.owner, signature.type, wild)
            grouped[key].append(row)
        sets: dict[int, list[RRset]] = defaultdict(list)
        for (number, section, owner, kind, wild), members in grouped.items():
            made = tuple(self._known[s] for s in sorted({m["signature"] for m in members}))
            whole = next((s.rdatas for s in made if s.problem != "signature-malformed"), ())
            rrset = RRset(owner, kind, section, members[0]["ttl"], made, wild, whole)
            sets[number].append(rrset)
        for batch in self.kept("unsigned"):
            mask = np.isin(numbers(batch, "transaction"), wanted)
            if not mask.any():
                continue
            for row in masked(batch, mask).select(_UNSIGNED).to_pylist():
                facts.setdefault(row["transaction"], (row["flags"], row["serial"]))
                sets[row["transaction"]].append(
                    RRset(
                        row["owner"] or "",
                        row["type"],
                        row["section"],
                        row["ttl"],
                        target=row["target"],
                    )
                )
        return sets, facts

    def _load(self, wanted: set[int]) -> None:
        """Read the signatures of these numbers with their octets."""
        missing = np.array(sorted(wanted - self._known.keys()), np.int64)
        if not len(missing):
            return
        for batch in self.tables("signatures"):
            mask = np.isin(numbers(batch, "signature"), missing)
            for row in masked(batch, mask).to_pylist() if mask.any() else ():
                self._known[row["signature"]] = Signature(
                    number=row["signature"],
                    owner=row["owner"],
                    type=row["type"],
                    signer=row["signer"] or "",
                    tag=row["key_tag"],
                    algorithm=row["algorithm"],
                    labels=row["labels"],
                    original_ttl=row["original_ttl"],
                    inception=row["inception"],
                    expiration=row["expiration"],
                    problem=row["problem"],
                    signed_data=row["signed_data"],
                    octets=row["octets"],
                )

    def _with_key_sets(self, response: Response) -> Response:
        """Give an unsigned DNSKEY or DS RRset its records, from the runs of key sets."""
        kind = response.qtype
        if kind not in {TYPE_DNSKEY, TYPE_DS} or not response.answers or self.keys is None:
            return response
        if any(r.signatures for r in response.sets(Section.ANSWER, kind)):
            return response
        rdatas, ttl = self._key_set(response)
        if not rdatas:
            return response
        others = [
            r for r in response.rrsets if not (r.type == kind and r.section == Section.ANSWER)
        ]
        own = RRset(response.qname, kind, int(Section.ANSWER), ttl, rdatas=rdatas)
        return replace(response, rrsets=(own, *others))

    def _key_set(self, response: Response) -> tuple[tuple[bytes, ...], int]:
        """Return RDATA and TTL of the run of key sets that a response is part of."""
        import pyarrow.compute as pc

        mask = (numbers(self.keys, "first") <= response.time) & (
            numbers(self.keys, "last") >= response.time
        )
        mask &= numbers(self.keys, "type") == response.qtype
        mask &= pc.equal(self.keys["zone"], response.qname).to_numpy()
        named = self.place_name(response.server, response.nsid)
        for row in masked(self.keys, mask).select(["place", "rdatas", "ttl"]).to_pylist():
            if row["place"] is not None and self.place_names[row["place"]] == named:
                return tuple(row["rdatas"]), row["ttl"] or 0
        return (), 0


def _is_authority(row: dict[str, Any], kind: str) -> bool:
    """Whether a responder acts as an authority, where no signature's flags tell."""
    upstream = kind.startswith("RESOLVER")
    aa, ra = bool(row["aa"]), bool(row["ra"])
    if aa and (not ra or upstream):
        return True
    empty = row["answers"] == 0 or row["rcode"] is None
    return kind.startswith("AUTH") or (not ra and (upstream or empty))
