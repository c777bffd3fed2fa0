"""The signed zones of the lab: real ECDSA P-256 keys, RRsets signed when first asked for."""

import base64
import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.RRSIG import RRSIG

EPOCH = 1_767_225_600
"""Time of the first packet: seconds since 1970, 2026-01-01T00:00:00Z."""
INCEPTION = EPOCH - 86_400
EXPIRATION = EPOCH + 14 * 86_400
TTL = 3_600

KSK_FLAGS = 257
ZSK_FLAGS = 256
ECDSA_P256 = 13
P256_ORDER_BITS = 255
BASE32_TO_HEX = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv"
)

Signed = tuple[dns.rrset.RRset, dns.rrset.RRset]
"""An RRset and the RRset of its one RRSIG."""


def derive_key(seed: int, purpose: str) -> ec.EllipticCurvePrivateKey:
    """Derive a P-256 key from the seed and a purpose, the same on every machine."""
    digest = hashlib.sha512(f"dns-forensics bench {seed} {purpose}".encode()).digest()
    scalar = int.from_bytes(digest, "big") % (1 << P256_ORDER_BITS) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def nsec3_hash(name: dns.name.Name) -> bytes:
    """Hash a name as RFC 5155 section 5 does, without salt or extra iterations: 20 octets."""
    return hash_octets(name.to_digestable())


def hash_octets(wire: bytes) -> bytes:
    """Hash a name in lower-case wire form; see `nsec3_hash`."""
    return hashlib.sha1(wire, usedforsecurity=False).digest()


def nsec3_label(digest: bytes) -> str:
    """Write a hash as the label of an NSEC3 owner (base32hex, lower case)."""
    return base64.b32encode(digest).decode().translate(BASE32_TO_HEX)


@dataclass
class LabZone:
    """One signed zone: it makes RRsets from text and signs each once, when first asked for."""

    origin: dns.name.Name
    host: int
    """Index of the server that answers for the zone."""
    seed: int
    signed: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], Signed] = field(
        default_factory=dict
    )
    chain: list[bytes] = field(default_factory=list)
    """Sorted hashes of the NSEC3 chain; empty in a zone with NSEC."""
    bitmaps: dict[bytes, str] = field(default_factory=dict)
    """Types of each NSEC3 of the chain, as text."""
    opt_out: bool = False

    def __post_init__(self) -> None:
        """Derive the two keys."""
        self._private = {
            flags: derive_key(self.seed, f"{self.origin} {flags}")
            for flags in (KSK_FLAGS, ZSK_FLAGS)
        }
        self.dnskeys: dict[int, DNSKEY] = {
            flags: dns.dnssec.make_dnskey(key.public_key(), ECDSA_P256, flags=flags)
            for flags, key in self._private.items()
        }

    def name(self, relative: str) -> dns.name.Name:
        """Make an absolute name of a name relative to the zone."""
        return dns.name.from_text(relative, self.origin)

    def sign(self, owner: dns.name.Name, rdtype: str, *rdatas: str | dns.rdata.Rdata) -> Signed:
        """Return the RRset with its RRSIG, made now or at an earlier call."""
        kind = dns.rdatatype.from_text(rdtype)
        known = self.signed.get((owner, kind))
        if known is not None:
            return known
        rrset = dns.rrset.from_rdata_list(owner, TTL, [_rdata(kind, item) for item in rdatas])
        flags = KSK_FLAGS if kind == dns.rdatatype.DNSKEY else ZSK_FLAGS
        rrsig = dns.dnssec.sign(
            rrset,
            self._private[flags],
            self.origin,
            self.dnskeys[flags],
            inception=INCEPTION,
            expiration=EXPIRATION,
            deterministic=True,
        )
        pair = rrset, dns.rrset.from_rdata(owner, TTL, rrsig)
        self.signed[owner, kind] = pair
        return pair

    def soa(self) -> Signed:
        """Return the signed SOA RRset."""
        names = f"ns{self.host}.servers.test. hostmaster.servers.test."
        return self.sign(self.origin, "SOA", f"{names} 2026010101 7200 3600 1209600 300")

    def dnskey(self) -> Signed:
        """Return the DNSKEY RRset (one KSK, one ZSK) signed by the KSK."""
        return self.sign(self.origin, "DNSKEY", *self.dnskeys.values())

    def ds(self) -> dns.rdata.Rdata:
        """Return the DS (SHA-256) of the zone's KSK, to stand in the parent."""
        return dns.dnssec.make_ds(self.origin, self.dnskeys[KSK_FLAGS], "SHA256")

    def nsec(self, owner: dns.name.Name, following: dns.name.Name, types: str) -> Signed:
        """Return the signed NSEC from owner to the following name."""
        return self.sign(owner, "NSEC", f"{following} {types}")

    def build_chain(self, owners: Iterable[tuple[dns.name.Name, str]]) -> None:
        """Lay the NSEC3 chain over the owners with their types."""
        self.bitmaps = {nsec3_hash(owner): types for owner, types in owners}
        self.chain = sorted(self.bitmaps)

    def nsec3_matching(self, name: dns.name.Name) -> Signed:
        """Return the signed NSEC3 whose owner is the name's hash."""
        return self.nsec3_at(self.chain.index(nsec3_hash(name)))

    def nsec3_covering(self, name: dns.name.Name) -> Signed:
        """Return the signed NSEC3 whose range holds the name's hash."""
        return self.nsec3_at(bisect_right(self.chain, nsec3_hash(name)) - 1)

    def nsec3_at(self, position: int) -> Signed:
        """Return the signed NSEC3 at a position of the chain; -1 is the last, which wraps."""
        digest = self.chain[position]
        following = self.chain[(position + 1) % len(self.chain)]
        rdata = f"1 {int(self.opt_out)} 0 - {nsec3_label(following)} {self.bitmaps[digest]}"
        return self.sign(self.name(nsec3_label(digest)), "NSEC3", rdata)


def retarget(pair: Signed, owner: dns.name.Name) -> Signed:
    """Put a wildcard's RRset and RRSIG under the name that it was expanded to."""
    rrset, rrsig = pair
    return (
        dns.rrset.from_rdata_list(owner, rrset.ttl, list(rrset)),
        dns.rrset.from_rdata_list(owner, rrsig.ttl, list(rrsig)),
    )


def rrsig_of(pair: Signed) -> RRSIG:
    """Return the one RRSIG of a signed RRset."""
    rdata = pair[1][0]
    if not isinstance(rdata, RRSIG):
        raise TypeError(rdata)
    return rdata


def _rdata(kind: dns.rdatatype.RdataType, item: str | dns.rdata.Rdata) -> dns.rdata.Rdata:
    if isinstance(item, dns.rdata.Rdata):
        return item
    return dns.rdata.from_text(dns.rdataclass.IN, kind, item)
