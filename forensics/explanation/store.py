"""What was captured of one name: look-ups over the tables of an ingest.

Rows are chosen by Arrow and numpy; Python objects are made only of the few responses nearest to
the instant asked for. Tables below limits.EXPLAIN_ROWS are kept in memory for the next look-up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.explanation.records import (
    TYPE_CNAME,
    TYPE_DNAME,
    Response,
    RRset,
    Signature,
)
from forensics.knowledge import ancestors
from forensics.limits import (
    EXPLAIN_AFTER,
    EXPLAIN_BEFORE,
    EXPLAIN_ROWS,
    EXPLAIN_SERVERS,
)
from forensics.vocabulary import (
    PAIRINGS,
    TYPE_DNSKEY,
    TYPE_DS,
    TYPE_NS,
    Pairing,
    Section,
    SightingFlag,
)

Tables = Callable[[str], Iterator[Any]]
"""Gives the record batches of a table by its name, places folded."""

_DOUBTFUL: Final = (PAIRINGS[Pairing.UNSOLICITED], PAIRINGS[Pairing.DUPLICATE])
_SIGHTING_COLUMNS: Final = ("signature", "transaction", "section", "ttl", "flags", "serial")
_TRANSACTION_COLUMNS: Final = (
    "transaction", "time", "latency", "capture", "response_capture", "response_frame",
    "query_frame", "client", "server", "nsid", "qname", "qtype", "rcode", "aa", "ra", "tc", "do",
    "response_edns", "answers", "authorities", "pairing", "kind", "ad",
)  # fmt: skip

Class = tuple[str, str, int]
"""What a response tells of: (asked | holds | refers, name, type)."""


@dataclass
class Captured:
    """What the capture holds around a name, by what it tells of.

    Attributes:
        by_class: responses in order of time, at most limits.EXPLAIN_BEFORE before and
            EXPLAIN_AFTER after the instant from each server.
    """

    by_class: dict[Class, list[Response]] = field(default_factory=dict)

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
        return sorted(found, key=lambda r: (r.time, r.transaction))

    def holding(self, name: str, kind: int) -> list[Response]:
        """Return the responses that hold the name's signed RRset, whatever was asked."""
        return self.by_class.get(("holds", name, kind), [])

    def referring(self, name: str) -> list[Response]:
        """Return the referrals to a name: with its NS RRset in the authority section."""
        return self.by_class.get(("refers", name, TYPE_NS), [])

    def all_of(self, name: str, kind: int) -> list[Response]:
        """Return responses that were asked for an RRset or hold it, in order of time."""
        found = {r.transaction: r for r in (*self.asked(name, kind), *self.holding(name, kind))}
        return sorted(found.values(), key=lambda r: (r.time, r.transaction))


class Store:
    """The tables of one ingest, asked by name.

    Args:
        tables: gives the batches of a table.
        contested: capture << 32 | frame of responses that another one contradicts, sorted.
        client: only what this address received (the resolver view), None: everything.
    """

    def __init__(
        self, tables: Tables, contested: NDArray[np.int64], client: str | None = None
    ) -> None:
        self._tables = tables
        self._contested = contested
        self._client = client
        self._kept: dict[str, list[Any]] = {}
        self._places = _table(tables("places"))
        self._signatures = _table(tables("signatures"), _without_octets)
        self._keys = _table(tables("keys"))
        self._known: dict[int, Signature] = {}
        self._several = self._addresses_with_instances()
        self._where = [
            self._place_name(server, nsid)
            for server, nsid in zip(*self._column("server", "nsid"), strict=True)
        ]
        self._answering: frozenset[str] | None = None

    def _column(self, *names: str) -> list[list[Any]]:
        return [self._places[name].to_pylist() if self._places else [] for name in names]

    def _addresses_with_instances(self) -> frozenset[str]:
        """The addresses that answered under more than one NSID."""
        found: dict[str, set[str]] = defaultdict(set)
        for server, nsid in zip(*self._column("server", "nsid"), strict=True):
            if nsid is not None:
                found[server].add(nsid)
        return frozenset(server for server, instances in found.items() if len(instances) > 1)

    def _place_name(self, server: str, nsid: str | None) -> str:
        return f"{server} {nsid}" if nsid is not None and server in self._several else server

    def _batches(self, name: str) -> Iterator[Any]:
        """Give a long table's batches, from memory where it is small enough to be kept."""
        if name in self._kept:
            yield from self._kept[name]
            return
        held: list[Any] | None = []
        rows = 0
        for batch in self._tables(name):
            rows += batch.num_rows
            if held is not None:
                held.append(batch)
                if rows > EXPLAIN_ROWS:
                    held = None
            yield batch
        if held is not None:
            self._kept[name] = held

    def span(self) -> tuple[int, int] | None:
        """Return the first and last time of the captures, ns; None: they hold no packet."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ends = []
        for batch in self._tables("captures"):
            for name in ("first", "last"):
                ends += pc.drop_null(batch.column(name).cast(pa.int64())).to_pylist()
        return (min(ends), max(ends)) if ends else None

    def questions(self, limit: int) -> list[tuple[str, int, int]]:
        """Return the most asked (name, type, count) of the capture, for error messages."""
        import pyarrow as pa
        import pyarrow.compute as pc

        counts: dict[tuple[str, int], int] = defaultdict(int)
        for batch in self._batches("transactions"):
            rows = pa.Table.from_batches([batch.select(["qname", "qtype"])])
            rows = rows.set_column(0, "qname", rows["qname"].cast(pa.string()))
            rows = rows.filter(pc.is_valid(rows["qname"]))
            grouped = rows.group_by(["qname", "qtype"]).aggregate([([], "count_all")])
            for row in grouped.to_pylist():
                counts[row["qname"], row["qtype"]] += row["count_all"]
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(name, kind, count) for (name, kind), count in ranked[:limit]]

    def is_named(self, name: str) -> bool:
        """Whether a question for the name was captured, or a signed RRset of it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array([name], pa.string())
        if self.signers_at(name):
            return True
        return any(
            bool(pc.any(_is_in_text(batch.column("qname"), wanted)).as_py())
            for batch in self._batches("transactions")
        )

    def signers_at(self, name: str) -> set[tuple[str, int]]:
        """Return (signer, type) of the signatures over RRsets of a name, whenever seen."""
        import pyarrow.compute as pc

        if self._signatures is None:
            return set()
        rows = self._signatures.filter(pc.equal(self._signatures["owner"], name))
        pairs = zip(rows["signer"].to_pylist(), rows["type"].to_pylist(), strict=True)
        return {(signer, kind) for signer, kind in pairs if signer}

    def keys_ever(self, zone: str) -> set[bytes]:
        """Return the DNSKEY RDATA that the zone showed at any time of the capture."""
        import pyarrow.compute as pc

        if self._keys is None:
            return set()
        rows = self._keys.filter(
            pc.and_(pc.equal(self._keys["zone"], zone), pc.equal(self._keys["type"], TYPE_DNSKEY))
        )
        return {rdata for rdatas in rows["rdatas"].to_pylist() for rdata in rdatas or ()}

    def is_seen_from(self, number: int, since: int) -> bool:
        """Whether a signature was seen at `since` (ns) or after."""
        for batch in self._batches("sightings"):
            mine = _numbers(batch, "signature") == number
            if mine.any() and (_numbers(batch, "time")[mine] >= since).any():
                return True
        return False

    def is_signed_again(self, zone: str, inception: int, since: int) -> bool:
        """Whether the zone showed a later signature than `inception` at `since` (ns) or after."""
        import pyarrow.compute as pc

        if self._signatures is None:
            return False
        rows = self._signatures.filter(pc.equal(self._signatures["signer"], zone))
        # RFC 1982: ahead if the difference modulo 2^32 is below 2^31.
        ahead = (rows["inception"].to_numpy().astype(np.int64) - inception) & 0xFFFFFFFF
        numbers = rows["signature"].to_numpy()[(ahead > 0) & (ahead < 2**31)]
        if not len(numbers):
            return False
        for batch in self._batches("sightings"):
            hit = np.isin(_numbers(batch, "signature"), numbers)
            if hit.any() and (_numbers(batch, "time")[hit] >= since).any():
                return True
        return False

    def gather(self, name: str, kind: int, at: int) -> Captured:
        """Look up everything that tells of a question and of the zones above it.

        Args:
            name: the question's.
            kind: its type.
            at: ns; what lies nearest to this instant is taken.
        """
        names = [name, *ancestors(name)]
        chosen = self._pick(names, name, kind, at)
        wanted = np.unique(
            np.concatenate([np.array(t, np.int64) for t in chosen.values()] or [_NO])
        )
        responses = self._responses(wanted)
        return Captured(
            {
                what: sorted(
                    (responses[t] for t in set(found) if t in responses),
                    key=lambda r: (r.time, r.transaction),
                )
                for what, found in chosen.items()
            }
        )

    # -- which transactions tell of the name ---------------------------------------------------

    def _pick(self, names: list[str], name: str, kind: int, at: int) -> dict[Class, list[int]]:
        """Choose transactions by what they tell of, the nearest to the instant by server."""
        found: dict[Class, list[tuple[str, int, int]]] = defaultdict(list)
        self._pick_questions(names, name, found)
        self._pick_sightings(names, name, kind, found)
        self._pick_referrals(set(names), found)
        if self._client is not None:
            self._keep_client(found)
        return {what: _nearest(rows, at) for what, rows in found.items()}

    def _pick_questions(
        self, names: list[str], name: str, found: dict[Class, list[tuple[str, int, int]]]
    ) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(names, pa.string())
        for batch in self._batches("transactions"):
            mask = _is_in_text(batch.column("qname"), wanted)
            if self._client is not None:
                mask = pc.and_(mask, _is_in_text(batch.column("client"), pa.array([self._client])))
            rows = batch.filter(mask)
            if not rows.num_rows:
                continue
            columns = ("qname", "qtype", "server", "nsid", "transaction", "time")
            values = [rows.column(c) for c in columns]
            values[5] = pc.add(values[5].cast(pa.int64()), pc.fill_null(rows.column("latency"), 0))
            for owner, asked, server, nsid, number, time in zip(
                *(v.to_pylist() for v in values), strict=True
            ):
                if owner == name or asked in {TYPE_DS, TYPE_DNSKEY, TYPE_NS}:
                    where = self._place_name(server, nsid)
                    found["asked", owner, asked].append((where, time, number))

    def _pick_sightings(
        self, names: list[str], name: str, kind: int, found: dict[Class, list[tuple[str, int, int]]]
    ) -> None:
        import pyarrow.compute as pc

        if self._signatures is None:
            return
        owners, types = self._signatures["owner"], self._signatures["type"]
        import pyarrow as pa

        above = pc.is_in(owners, value_set=pa.array(names, pa.string()))
        mask = pc.and_(
            above,
            pc.is_in(types, value_set=pa.array([TYPE_DS, TYPE_DNSKEY, TYPE_DNAME], pa.uint16())),
        )
        own = pc.and_(
            pc.equal(owners, name),
            pc.is_in(types, value_set=pa.array([kind, TYPE_CNAME], pa.uint16())),
        )
        rows = self._signatures.filter(pc.or_(mask, own)).select(["signature", "owner", "type"])
        if not rows.num_rows:
            return
        numbers = rows["signature"].to_numpy().astype(np.int64)
        what = list(zip(rows["owner"].to_pylist(), rows["type"].to_pylist(), strict=True))
        order = np.argsort(numbers)
        ranked = numbers[order]
        for batch in self._batches("sightings"):
            seen = _numbers(batch, "signature")
            at = np.minimum(np.searchsorted(ranked, seen), len(ranked) - 1)
            hit = (ranked[at] == seen) & (_numbers(batch, "section") != Section.ADDITIONAL)
            hit &= (_numbers(batch, "flags") & int(SightingFlag.WILDCARD)) == 0
            if not hit.any():
                continue
            place = _numbers(batch, "place")[hit]
            for index, where, time, number in zip(
                order[at[hit]].tolist(),
                place.tolist(),
                _numbers(batch, "time")[hit].tolist(),
                _numbers(batch, "transaction")[hit].tolist(),
                strict=True,
            ):
                owner, covered = what[index]
                found["holds", owner, covered].append((self._where[where], time, number))

    def _pick_referrals(
        self, names: set[str], found: dict[Class, list[tuple[str, int, int]]]
    ) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(names), pa.string())
        for batch in self._batches("unsigned"):
            mask = pc.and_(
                pc.and_(
                    pc.equal(batch.column("type"), TYPE_NS),
                    pc.equal(batch.column("section"), int(Section.AUTHORITY)),
                ),
                pc.or_kleene(
                    _is_in_text(batch.column("owner"), wanted), pc.is_null(batch.column("owner"))
                ),
            )
            rows = batch.filter(mask)
            for owner, place, time, number in zip(
                rows.column("owner").to_pylist(),
                rows.column("place").to_pylist(),
                _numbers(rows, "time").tolist(),
                rows.column("transaction").to_pylist(),
                strict=True,
            ):
                where = self._where[place] if place < len(self._where) else str(place)
                found["refers", owner or "", TYPE_NS].append((where, time, number))
        unnamed = found.pop(("refers", "", TYPE_NS), [])
        if unnamed:
            named = {
                number: name
                for (how, name, _), rows in found.items()
                if how == "asked"
                for _, _, number in rows
            }
            for row in unnamed:
                if row[2] in named:
                    found["refers", named[row[2]], TYPE_NS].append(row)

    def _keep_client(self, found: dict[Class, list[tuple[str, int, int]]]) -> None:
        """Leave out what the resolver asked about did not receive itself."""
        import pyarrow as pa

        numbers = np.unique([row[2] for rows in found.values() for row in rows])
        own: set[int] = set()
        client = pa.array([self._client])
        for batch in self._batches("transactions"):
            rows = batch.filter(_is_in_text(batch.column("client"), client))
            held = _numbers(rows, "transaction")
            own.update(held[np.isin(held, numbers)].tolist())
        for what in list(found):
            found[what] = [row for row in found[what] if row[2] in own]

    # -- the responses themselves --------------------------------------------------------------

    def _responses(self, wanted: NDArray[np.int64]) -> dict[int, Response]:
        """Make the responses of these transactions."""
        sets, facts = self._rrsets(wanted)
        found = {}
        for batch in self._batches("transactions"):
            mask = np.isin(_numbers(batch, "transaction"), wanted)
            if not mask.any():
                continue
            import pyarrow as pa

            rows = batch.filter(pa.array(mask)).select(list(_TRANSACTION_COLUMNS))
            at = rows.schema.get_field_index("time")
            rows = rows.set_column(at, "time", rows.column("time").cast(pa.int64()))
            for row in rows.to_pylist():
                response = self._response(row, sets, facts)
                found[response.transaction] = response
        return found

    def _response(
        self,
        row: dict[str, Any],
        sets: dict[int, list[RRset]],
        facts: dict[int, tuple[int, int]],
    ) -> Response:
        number = row["transaction"]
        flags, serial = facts.get(number, (0, 0))
        where = (row["response_capture"] or 0) << 32 | (row["response_frame"] or 0)
        at = int(np.searchsorted(self._contested, where))
        contested = at < len(self._contested) and int(self._contested[at]) == where
        tapped = (row["kind"] or "").startswith("RESOLVER")
        doubtful = contested or bool(flags & int(SightingFlag.CUT))
        if row["pairing"] in _DOUBTFUL:
            doubtful |= row["server"] in self._answering_servers()
        aa, ra = bool(row["aa"]), bool(row["ra"])
        authority = bool(flags & int(SightingFlag.AUTHORITY)) or (
            (aa and (not ra or tapped))
            or (not ra and (tapped or row["answers"] in {0, None}))
            or (row["kind"] or "").startswith("AUTH")
        )
        rrsets = [
            # The unsigned RRset whose owner the table leaves out stands at the question's name.
            r if r.owner else RRset(row["qname"] or ".", *_rest(r))
            for r in sets.get(number, ())
        ]
        response = Response(
            transaction=number,
            time=row["time"] + (row["latency"] or 0),
            capture=row["response_capture"]
            if row["response_capture"] is not None
            else row["capture"],
            frame=row["response_frame"] or 0,
            client=row["client"],
            server=row["server"],
            nsid=row["nsid"],
            place=self._place_name(row["server"], row["nsid"]),
            qname=row["qname"] or ".",
            qtype=row["qtype"] or 0,
            rcode=row["rcode"],
            aa=aa,
            ra=ra,
            tc=bool(row["tc"]),
            has_dnssec=bool(row["do"])
            or bool(rrsets)
            or (row["do"] is None and bool(row["response_edns"])),
            is_authority=authority,
            is_doubtful=doubtful,
            answers=row["answers"] or 0,
            authorities=row["authorities"] or 0,
            serial=serial,
            rrsets=tuple(rrsets),
        )
        return self._with_key_sets(response)

    def _answering_servers(self) -> frozenset[str]:
        """The servers that answered a query of the capture: elsewhere only responses were seen."""
        if self._answering is None:
            import pyarrow as pa

            found: set[str] = set()
            wanted = pa.array([PAIRINGS[Pairing.ANSWERED], PAIRINGS[Pairing.LATE]])
            for batch in self._batches("transactions"):
                rows = batch.filter(_is_in_text(batch.column("pairing"), wanted))
                found.update(rows.column("server").unique().to_pylist())
            self._answering = frozenset(found)
        return self._answering

    def _rrsets(
        self, wanted: NDArray[np.int64]
    ) -> tuple[dict[int, list[RRset]], dict[int, tuple[int, int]]]:
        """Return the RRsets, and (flags, serial), of each of these transactions."""
        import pyarrow as pa

        rows: list[dict[str, Any]] = []
        facts: dict[int, tuple[int, int]] = {}
        for batch in self._batches("sightings"):
            mask = np.isin(_numbers(batch, "transaction"), wanted)
            if mask.any():
                names = list(_SIGHTING_COLUMNS)
                rows += batch.filter(pa.array(mask)).select(names).to_pylist()
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
            signatures = sorted({m["signature"] for m in members})
            made = tuple(self._known[s] for s in signatures)
            whole = next((s.rdatas for s in made if s.problem != "signature-malformed"), ())
            sets[number].append(RRset(owner, kind, section, members[0]["ttl"], made, wild, whole))
        for batch in self._batches("unsigned"):
            mask = np.isin(_numbers(batch, "transaction"), wanted)
            if not mask.any():
                continue
            names = ["transaction", "section", "type", "owner", "target", "ttl", "flags", "serial"]
            for row in batch.filter(pa.array(mask)).select(names).to_pylist():
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

    def _load(self, numbers: set[int]) -> None:
        """Read the signatures of these numbers with their octets."""
        import pyarrow as pa

        missing = pa.array(sorted(numbers - self._known.keys()), pa.uint32())
        if not len(missing):
            return
        import pyarrow.compute as pc

        for batch in self._tables("signatures"):
            rows = batch.filter(pc.is_in(batch.column("signature"), value_set=missing))
            for row in rows.to_pylist():
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
        from dataclasses import replace

        kind = response.qtype
        if kind not in {TYPE_DNSKEY, TYPE_DS} or not response.answers or self._keys is None:
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
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = self._keys.filter(
            pc.and_(
                pc.and_(
                    pc.equal(self._keys["zone"], response.qname),
                    pc.equal(self._keys["type"], response.qtype),
                ),
                pc.and_(
                    pc.less_equal(self._keys["first"].cast(pa.int64()), response.time),
                    pc.greater_equal(self._keys["last"].cast(pa.int64()), response.time),
                ),
            )
        )
        for place, rdatas, ttl in zip(
            rows["place"].to_pylist(),
            rows["rdatas"].to_pylist(),
            rows["ttl"].to_pylist(),
            strict=True,
        ):
            if place is not None and self._where[place] == response.place:
                return tuple(rdatas), ttl or 0
        return (), 0


_NO: Final = np.empty(0, np.int64)


def _rest(rrset: RRset) -> tuple[Any, ...]:
    """The fields of an RRset behind its owner."""
    return (
        rrset.type,
        rrset.section,
        rrset.ttl,
        rrset.signatures,
        rrset.is_wildcard,
        rrset.rdatas,
        rrset.target,
    )


def _table(batches: Iterable[Any], change: Callable[[Any], Any] | None = None) -> Any:
    """Join batches to one table, None where there are none."""
    import pyarrow as pa

    held = [change(batch) if change else batch for batch in batches]
    return pa.Table.from_batches(held).combine_chunks() if held else None


def _without_octets(batch: Any) -> Any:
    return batch.select(["signature", "owner", "type", "signer", "inception"])


def _numbers(batch: Any, name: str) -> NDArray[np.int64]:
    column = batch.column(name)
    if str(column.type).startswith("timestamp"):
        import pyarrow as pa

        column = column.cast(pa.int64())
    values: NDArray[np.int64] = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return values


def _is_in_text(column: Any, wanted: Any) -> Any:
    """Whether each text of a (dictionary) column is wanted; null is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        if not len(column.dictionary):
            return pa.array(np.zeros(len(column), np.bool_))
        answers = pc.is_in(column.dictionary, value_set=wanted.cast(column.dictionary.type))
        return pc.fill_null(answers.take(column.indices), False)
    return pc.fill_null(pc.is_in(column, value_set=wanted), False)


def _nearest(rows: list[tuple[str, int, int]], at: int) -> list[int]:
    """Keep the nearest rows of each server around an instant; return their transactions."""
    by_place: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for where, time, number in sorted(set(rows)):
        by_place[where].append((time, number))
    # Servers seen nearest to the instant first: a flood of forged ones must not push them out.
    places = sorted(by_place, key=lambda p: (min(abs(t - at) for t, _ in by_place[p]), p))
    found: list[int] = []
    for where in places[:EXPLAIN_SERVERS]:
        own = by_place[where]
        before = [number for time, number in own if time <= at]
        after = [number for time, number in own if time > at]
        found += before[-EXPLAIN_BEFORE:] + after[:EXPLAIN_AFTER]
    return found
