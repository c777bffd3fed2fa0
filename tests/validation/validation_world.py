"""A small world of zones, keys and sightings for the tests, made with dnspython and cryptography.

Times are seconds after `NOW`; the tables are those that the stages before would have written.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import dns.dnssec
import dns.dnssecalgs
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from forensics import schemas
from forensics.keyring import view
from forensics.knowledge import Anchor, SightingPairs
from forensics.validation.judge import judge
from forensics.validation.policy import POLICIES
from forensics.vocabulary import Status
from forensics.wire.verdicts import VerdictIndex

NOW = 1_770_000_000
SECOND = 10**9


def private_key(algorithm: int):
    if algorithm in (5, 7, 8, 10):
        return rsa.generate_private_key(65537, 1024)
    return {
        13: lambda: ec.generate_private_key(ec.SECP256R1()),
        14: lambda: ec.generate_private_key(ec.SECP384R1()),
        15: ed25519.Ed25519PrivateKey.generate,
        16: ed448.Ed448PrivateKey.generate,
    }[algorithm]()


@dataclass
class Signer:
    """A private key with its DNSKEY; `tag` may lie (as three HSMs with one tag would)."""

    zone: str
    flags: int = 256
    algorithm: int = 13
    private: object = None
    dnskey: object = field(init=False)

    def __post_init__(self):
        self.private = self.private or private_key(self.algorithm)
        self.dnskey = dns.dnssec.make_dnskey(
            self.private.public_key(), self.algorithm, flags=self.flags
        )

    @property
    def rdata(self) -> bytes:
        return self.dnskey.to_wire()

    @property
    def tag(self) -> int:
        return dns.dnssec.key_id(self.dnskey)

    @property
    def key_id(self) -> str:
        return hashlib.sha256(self.rdata).hexdigest()[:16]

    def ds(self, digest: str = "SHA256") -> bytes:
        return dns.dnssec.make_ds(self.zone, self.dnskey, digest, validating=True).to_wire()

    def anchor(self, **dates) -> Anchor:
        ds = dns.dnssec.make_ds(self.zone, self.dnskey, "SHA256")
        return Anchor(self.zone, ds.key_tag, ds.algorithm, ds.digest_type, ds.digest, **dates)


def with_one_tag(zone: str) -> list[Signer]:
    """Make three P-256 keys that share the tag 4050: the first such multiples of the base point."""
    curve = ec.SECP256R1()
    return [Signer(zone, 256, 13, ec.derive_private_key(n, curve)) for n in (1280, 1309, 2558)]


@dataclass
class World:
    """Tables under construction; every method returns the number of what it added."""

    places: list[str] = field(default_factory=lambda: ["server"] * 4)
    rows: list[dict] = field(default_factory=list)
    pairs: list[tuple[int, int, int, int]] = field(default_factory=list)
    runs: list[dict] = field(default_factory=list)

    def sign(
        self,
        signer: Signer,
        owner: str = "",
        rdtype: str = "A",
        records: tuple[str, ...] | None = None,
        inception: int = -86_400,
        expiration: int = 86_400,
        tag: int | None = None,
        problem: str | None = None,
        zone: str | None = None,
        spoil: bool = False,
    ) -> int:
        """Sign an RRset of text records."""
        name = dns.name.from_text(owner or signer.zone)
        records = records or ("192.0.2.1",)
        rrset = dns.rrset.from_text(name, 3600, "IN", rdtype, *records)
        zone_name = dns.name.from_text(zone or signer.zone)
        rrsig = dns.dnssec.sign(
            rrset,
            signer.private,
            zone_name,
            signer.dnskey,
            inception=NOW + inception,
            expiration=NOW + expiration,
            verify=False,
        )
        if tag is not None:
            rrsig = rrsig.replace(key_tag=tag)
        signed = dns.dnssec._make_rrsig_signature_data(rrset, rrsig)
        if tag is not None:
            method = dns.dnssecalgs.get_algorithm_cls_from_dnskey(signer.dnskey)
            rrsig = rrsig.replace(signature=method(signer.private).sign(signed, False))
        octets = bytearray(rrsig.signature)
        if spoil:
            octets[len(octets) // 2] ^= 1
        return self.row(rrset, rrsig, signed, bytes(octets), problem)

    def sign_keys(self, signer: Signer, keys: list[Signer], **options) -> int:
        """Sign a DNSKEY RRset."""
        texts = tuple(key.dnskey.to_text() for key in keys)
        return self.sign(signer, signer.zone, "DNSKEY", texts, **options)

    def sign_ds(self, parent: Signer, child: str, ds: list[bytes], **options) -> int:
        texts = tuple(
            dns.rdata.from_wire("IN", "DS", rdata, 0, len(rdata)).to_text() for rdata in ds
        )
        return self.sign(parent, child, "DS", texts, **options)

    def row(self, rrset, rrsig, signed: bytes, octets: bytes, problem=None) -> int:
        number = len(self.rows)
        self.rows.append(
            {
                "signature": number,
                "signature_id": hashlib.sha256(signed + octets).hexdigest(),
                "owner": rrset.name.canonicalize().to_text(),
                "type": int(rrsig.type_covered),
                "signer": rrsig.signer.canonicalize().to_text(),
                "key_tag": rrsig.key_tag,
                "algorithm": int(rrsig.algorithm),
                "labels": rrsig.labels,
                "original_ttl": rrsig.original_ttl,
                "inception": rrsig.inception % 2**32,
                "expiration": rrsig.expiration % 2**32,
                "records": len(rrset),
                "serial": None,
                "signed_data": signed,
                "octets": octets,
                "problem": problem,
            }
        )
        return number

    def see(self, signature: int, *times: float, place: int = 0) -> int:
        """Let the signature be seen at a place, between the first and last of the times."""
        first, last = min(times), max(times)
        self.pairs.append((signature, place, at(first), at(last)))
        return signature

    def serve(
        self, zone: str, content: list, *times: float, place: int = 0, kind: int = 48, ttl: int = 60
    ) -> None:
        """Let a place show an RRset of keys (Signers) or DS (RDATA) from first to last time."""
        rdatas = sorted(c.rdata if isinstance(c, Signer) else c for c in content)
        self.runs.append(
            {
                "run": len(self.runs),
                "zone": zone,
                "type": kind,
                "rrset": 0,
                "place": place,
                "source": "observed",
                "first": at(min(times)),
                "last": at(max(times)),
                "first_capture": 0,
                "first_frame": 1,
                "last_capture": 0,
                "last_frame": 1,
                "count": len(times),
                "ttl": ttl,
                "authoritative": True,
                "rdatas": rdatas,
                "tags": [0] * len(rdatas),
                "algorithms": [0] * len(rdatas),
                "detail": [0] * len(rdatas),
            }
        )

    def supply(self, keys: list[Signer], *times: float) -> None:
        self.serve(keys[0].zone, keys, 0)
        first, last = (at(t) for t in times) if times else (None, None)
        self.runs[-1] |= {"place": None, "source": "supplied", "first": first, "last": last}

    def tables(self):
        places = pa.Table.from_pylist(
            [
                {
                    "place": n,
                    "server": f"192.0.2.{n}",
                    "nsid": None,
                    "role": role,
                    "authority": 1,
                    "recursive": 0,
                }
                for n, role in enumerate(self.places)
            ],
            schema=schemas.PLACES,
        )
        return (
            pa.Table.from_pylist(self.rows, schema=schemas.SIGNATURES),
            pa.Table.from_pylist(self.runs, schema=schemas.KEYS),
            places,
        )

    def sightings(self) -> SightingPairs:
        table = np.array(self.pairs, np.int64).reshape(-1, 4)
        return SightingPairs(*table.T, np.full(len(table), 2))

    def judge(self, anchors=(), policy: str = "strict"):
        signatures, keys, places = self.tables()
        known = view.build(keys, places)
        return judge(signatures, self.sightings(), known, places, anchors, POLICIES[policy])


def at(seconds: float) -> int:
    """Nanoseconds of a time after NOW."""
    return NOW * SECOND + round(seconds * SECOND)


def verdict(judgement, signature: int, seconds: float, place: int = 0) -> dict:
    """The row that holds; the index must find the very same one."""
    table = judgement.verdicts
    index = VerdictIndex(table)
    numbers = (np.array([signature], np.uint32), np.array([place], np.uint32))
    row = index.find(*numbers, np.array([at(seconds)]))
    assert row[0] >= 0, "no verdict covers the sighting"
    found = table.slice(int(index.rows[row[0]]), 1).to_pylist()[0]
    status, reason, weak, zone = index.codes(*numbers, np.array([at(seconds)]))
    from forensics.vocabulary import REASONS, STATUSES

    assert STATUSES[status[0]] == found["status"]
    assert REASONS[reason[0]].code == found["reason"]
    assert weak[0] == (found["confidence"] == "weak")
    assert index.zones[zone[0]] == found["zone"]
    assert isinstance(Status(int(status[0])), Status)
    return found


def said(judgement, signature: int, seconds: float, place: int = 0) -> tuple[str, str]:
    row = verdict(judgement, signature, seconds, place)
    return row["status"], row["reason"]
