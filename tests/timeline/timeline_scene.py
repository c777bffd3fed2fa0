"""Builds the tables that the timeline reads, row by row, as a scene of a play."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa

from forensics import schemas
from forensics.timeline.evidence import Evidence
from forensics.vocabulary import SightingFlag

BASE = 1_777_000_000  # seconds: 2026-04-24T03:06:40Z
AUTHORITY = int(SightingFlag.AA | SightingFlag.AUTHORITY | SightingFlag.DO_KNOWN | SightingFlag.DO)
RESOLVER = int(SightingFlag.RA | SightingFlag.DO_KNOWN | SightingFlag.DO)
EVER = 2**62


def ns(seconds: float) -> int:
    """Nanoseconds since 1970 of a time of the scene, given in seconds from its start."""
    return BASE * 10**9 + round(seconds * 10**9)


def rdata(flags: int, algorithm: int, seed: str) -> bytes:
    """DNSKEY RDATA with a key made of a seed."""
    key = hashlib.sha512(seed.encode()).digest()
    return flags.to_bytes(2) + bytes([3, algorithm]) + key


def key_id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


class Scene:
    """Rows of all tables."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict]] = {name: [] for name, _ in schemas.TABLES}
        self.frame = 0
        self.span = [10**30, 0]
        self.clock_offset: int | None = None
        self.duplicates = 0

    def place(self, server: str, nsid: str | None = None, role: str = "server") -> int:
        number = len(self.rows["places"])
        self.rows["places"].append(
            {
                "place": number,
                "server": server,
                "nsid": nsid,
                "role": role,
                "authority": 1,
                "recursive": 0,
            }
        )
        return number

    def sign(
        self,
        owner: str,
        kind: int,
        signer: str,
        tag: int = 1111,
        *,
        algorithm: int = 8,
        inception: float = -1000,
        expiration: float = 10**6,
        serial: int | None = None,
        data: bytes = b"",
        octets: bytes = b"",
    ) -> int:
        number = len(self.rows["signatures"])
        self.rows["signatures"].append(
            {
                "signature": number,
                "signature_id": hashlib.sha256(f"{number}".encode()).hexdigest(),
                "owner": owner,
                "type": kind,
                "signer": signer,
                "key_tag": tag,
                "algorithm": algorithm,
                "labels": 1,
                "original_ttl": 3600,
                "inception": int(BASE + inception),
                "expiration": int(BASE + expiration),
                "records": 1,
                "serial": serial,
                "signed_data": data,
                "octets": octets,
                "problem": None,
            }
        )
        return number

    def judge(
        self,
        signature: int,
        status: str,
        reason: str = "none",
        *,
        zone: str | None = None,
        start: float | None = None,
        end: float | None = None,
        place: int = -1,
        confidence: str = "strong",
        later: bool = False,
        view: str = "published",
    ) -> None:
        self.rows["verdicts"].append(
            {
                "signature": signature,
                "place": place,
                "view": view,
                "start": -EVER if start is None else ns(start),
                "end": EVER if end is None else ns(end),
                "status": status,
                "reason": reason,
                "confidence": confidence,
                "zone": zone or self.rows["signatures"][signature]["signer"],
                "keys": [],
                "later": later,
            }
        )

    def good(self, *args, **options) -> int:
        """A signature that is secure for ever."""
        number = self.sign(*args, **options)
        self.judge(number, "secure")
        return number

    def bad(self, *args, reason: str = "signature-invalid", zone=None, **options) -> int:
        """A signature that is bogus for ever."""
        number = self.sign(*args, **options)
        self.judge(number, "bogus", reason, zone=zone)
        return number

    def see(
        self,
        signature: int,
        at: float,
        place: int,
        *,
        serial: int = 0,
        flags: int = AUTHORITY,
        together: bool = False,
    ) -> int:
        """See a signature in a response of its own, or in the last one; returns the frame."""
        if not together:
            self._pass(ns(at))
        self.rows["sightings"].append(
            {
                "signature": signature,
                "transaction": self.frame,
                "time": ns(at),
                "capture": 0,
                "frame": self.frame,
                "place": place,
                "section": 1,
                "ttl": 60,
                "flags": flags,
                "serial": serial,
            }
        )
        return self.frame

    def _pass(self, time: int) -> None:
        self.frame += 1
        self.span = [min(self.span[0], time), max(self.span[1], time)]

    def keys(
        self,
        zone: str,
        kind: int,
        place: int,
        first: float,
        last: float,
        rdatas: list[bytes],
        tags: list[int],
    ) -> None:
        """A run of sightings of a DNSKEY RRset, or of a DS RRset (RDATA as DNSKEY: tests only)."""
        self._pass(ns(first))
        self._pass(ns(last))
        rrset = int(hashlib.sha256(b"".join(sorted(rdatas))).hexdigest()[:7], 16)
        self.rows["keys"].append(
            {
                "run": len(self.rows["keys"]),
                "zone": zone,
                "type": kind,
                "rrset": rrset,
                "place": place,
                "source": "observed",
                "first": ns(first),
                "last": ns(last),
                "first_capture": 0,
                "first_frame": self.frame - 1,
                "last_capture": 0,
                "last_frame": self.frame,
                "count": 2,
                "ttl": 3600,
                "authoritative": True,
                "rdatas": rdatas,
                "tags": tags,
                "algorithms": [data[3] for data in rdatas],
                "detail": [int.from_bytes(data[:2]) for data in rdatas],
            }
        )

    def check(self, signature: int, data: bytes, tag: int, *, verifies: bool) -> None:
        self.rows["checks"].append(
            {
                "signature": signature,
                "key_id": key_id(data),
                "key_tag": tag,
                "algorithm": data[3],
                "verifies": verifies,
            }
        )

    def ask(
        self,
        name: str,
        at: float,
        rcode: int | None = 0,
        *,
        client: str = "192.0.2.9",
        server: str = "198.51.100.1",
        ede: int | None = None,
        vantage: str = "client",
        pairing: str | None = None,
        aa: bool = False,
        ra: bool = True,
        ad: bool = False,
        cd: bool = False,
        qtype: int = 1,
        query: bool = True,
        answers: int = 1,
        rd: bool = True,
    ) -> int:
        """A lookup; rcode None: never answered. Returns its frame."""
        self._pass(ns(at))
        answered = rcode is not None
        self.rows["transactions"].append(
            {
                "transaction": self.frame,
                "time": ns(at),
                "latency": 0 if answered and query else None,
                "capture": 0,
                "query_frame": self.frame if query else None,
                "response_capture": 0 if answered else None,
                "response_frame": self.frame if answered else None,
                "client": client,
                "server": server,
                "client_port": 4000,
                "server_port": 53,
                "transport": "udp",
                "id": 1,
                "qname": name,
                "qtype": qtype,
                "qclass": 1,
                "opcode": 0,
                "rcode": rcode,
                "rd": rd,
                "aa": aa if answered else None,
                "tc": False if answered else None,
                "ra": ra if answered else None,
                "ad": ad if answered else None,
                "cd": cd,
                "do": True,
                "edns_size": 1232,
                "response_edns": True if answered else None,
                "ede": ede,
                "ede_text": None,
                "nsid": None,
                "answers": answers if answered else None,
                "authorities": 0 if answered else None,
                "query_size": 40,
                "response_size": 100 if answered else None,
                "pairing": pairing
                or ("answered" if answered and query else "unanswered" if query else "unsolicited"),
                "vantage": vantage,
                "kind": "packet",
                "identity": None,
            }
        )
        return self.frame

    def evidence(self, *, seed: int | None = None, cut: int = 1000, **options) -> Evidence:
        """Give the evidence; with a seed all rows are shuffled, and batches hold `cut` rows."""
        first, last = self.span if self.frame else (0, 1)
        captures = [
            {
                "capture": 0,
                "path": "a.pcap",
                "sha256": "",
                "format": "pcap",
                "link_types": ["EN10MB"],
                "octets": 1,
                "packets": max(self.frame, 1),
                "messages": self.frame,
                "duplicates": self.duplicates,
                "other": 0,
                "first": first,
                "last": last,
                "clock_offset": self.clock_offset,
            }
        ]
        random = np.random.default_rng(seed)
        tables = {}
        for name, schema in schemas.TABLES:
            if name not in {field.name for field in fields(Evidence)}:
                continue
            rows = captures if name == "captures" else self.rows[name]
            if seed is not None:
                rows = [rows[at] for at in random.permutation(len(rows))]
            tables[name] = _table(rows, schema)
        sightings, transactions = tables.pop("sightings"), tables.pop("transactions")
        streams = {
            "sightings": lambda: iter(sightings.to_batches(max_chunksize=cut)),
            "transactions": lambda: iter(transactions.to_batches(max_chunksize=cut)),
        }
        return replace(Evidence(**tables, **streams), **options)


def _table(rows: list[dict], schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        plain = pa.string() if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_timestamp(field.type):
            column = pa.array(values, pa.int64()).cast(field.type)
        else:
            column = pa.array(values, plain).cast(field.type)
        columns.append(column)
    return pa.table(columns, schema=schema)


SOA, A, NSEC3, DNSKEY, DS = 6, 1, 50, 48, 43
KSK, ZSK = rdata(257, 8, "ksk"), rdata(256, 8, "zsk")


def outage(servers: int = 2, *, recovered: bool = True, begun: bool = True) -> Scene:
    """A zone whose serial 3 at t=100 is signed with nobody's key; serial 5 repairs it at 200."""
    scene = Scene()
    places = [scene.place(f"192.0.2.{1 + number}", f"n{number}") for number in range(servers)]
    soas = {
        serial: (scene.bad if serial in (3, 4) else scene.good)(
            "de.",
            SOA,
            "de.",
            33834 if serial >= 3 else 1111,
            serial=serial,
            inception=serial * 10 - 500,
        )
        for serial in (1, 2, 3, 4, 5)
    }
    old = scene.good("old.de.", A, "de.", 1111)
    span = range(0 if begun else 110, 300 if recovered else 195, 5)
    for at in span:
        serial = 1 if at < 50 else 2 if at < 100 else 3 if at < 150 else 4 if at < 200 else 5
        for number, place in enumerate(places):
            scene.see(soas[serial], at + number, place, serial=serial)
            scene.see(old, at + number + 0.5, place)
    for place in places:
        scene.keys("de.", DNSKEY, place, min(span), max(span), [KSK, ZSK], [2222, 1111])
    return scene
