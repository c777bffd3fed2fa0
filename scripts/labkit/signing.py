"""A zone and its signatures, one by one: which key signs which RRset is the script's choice."""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.name import Name
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rrset import RRset

from labkit.keys import SigningKey
from labkit.topology import INCEPTION_BACKDATE, SIGNATURE_LIFETIME

SECOND = 1_000_000_000

RRKey = tuple[Name, RdataType]
ChooseKey = Callable[[RRKey], SigningKey]


@dataclass(frozen=True)
class MadeSignature:
    """One signature the lab made: over what, with which key, at which serial."""

    owner: Name
    rdtype: RdataType
    key: SigningKey
    serial: int
    rrsig: RRSIG

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of SHA-256 over the signature field."""
        return hashlib.sha256(self.rrsig.signature).hexdigest()[:16]


@dataclass
class Zone:
    """The contents of a zone, and the signatures that stand beside them now.

    `window` (seconds since 1970) is the inception and expiration of what is signed next; without
    it the lab's usual lifetime counts from the moment of signing.
    """

    origin: Name
    serial: int
    window: tuple[int, int] | None = None
    rrsets: dict[RRKey, RRset] = field(default_factory=dict)
    signatures: dict[RRKey, list[MadeSignature]] = field(default_factory=dict)

    def add(self, owner: str, ttl: int, rdtype: str, *texts: str) -> None:
        """Add records in presentation form; the RRset must be new."""
        name = dns.name.from_text(owner)
        rrset = dns.rrset.from_text_list(name, ttl, "IN", rdtype, list(texts))
        self.rrsets[name, rrset.rdtype] = rrset

    def put(self, owner: Name, ttl: int, rdatas: Iterable[Rdata]) -> RRKey:
        """Set an RRset whole, in place of what stood there, and drop its signatures."""
        rrset = dns.rrset.from_rdata_list(owner, ttl, list(rdatas))
        key = (owner, rrset.rdtype)
        self.rrsets[key] = rrset
        self.signatures.pop(key, None)
        return key

    def cuts(self) -> set[Name]:
        """Return the owners of delegations."""
        return {
            owner
            for owner, rdtype in self.rrsets
            if rdtype == dns.rdatatype.NS and owner != self.origin
        }

    def signable(self) -> list[RRKey]:
        """Return the RRsets that are authoritative data, in canonical order of owner and type."""
        cuts = self.cuts()
        found = []
        for owner, rdtype in self.rrsets:
            if owner in cuts:
                if rdtype not in (dns.rdatatype.DS, dns.rdatatype.NSEC):
                    continue
            elif _is_below(owner, cuts):
                continue
            found.append((owner, rdtype))
        return sorted(found)

    def set_soa(self, serial: int) -> RRKey:
        """Give the SOA a new serial; its signature goes with the old one."""
        key = (self.origin, dns.rdatatype.SOA)
        soa = self.rrsets[key]
        self.serial = serial
        rdata = soa[0].replace(serial=serial)
        return self.put(self.origin, soa.ttl, [rdata])

    def sign(self, key: RRKey, *signers: SigningKey) -> list[MadeSignature]:
        """Replace the signatures of one RRset by those of the given keys."""
        made = [self._signature(key, signer) for signer in signers]
        self.signatures[key] = made
        return made

    def sign_all(self, choose: ChooseKey) -> None:
        """Sign every authoritative RRset with the key that `choose` names for it."""
        for key in self.signable():
            self.sign(key, choose(key))

    def to_text(self) -> str:
        """Return the zone in presentation form, SOA first."""
        soa = (self.origin, dns.rdatatype.SOA)
        keys = [soa, *sorted(key for key in self.rrsets if key != soa)]
        lines = []
        for key in keys:
            rrset = self.rrsets[key]
            lines.append(rrset.to_text())
            for made in self.signatures.get(key, []):
                lines.append(f"{key[0]} {rrset.ttl} IN RRSIG {made.rrsig.to_text()}")
        return "\n".join(lines) + "\n"

    def _signature(self, key: RRKey, signer: SigningKey) -> MadeSignature:
        owner, rdtype = key
        now = time.time_ns() // SECOND
        # Real signers jitter lifetimes so that signatures do not run out all at once.
        jitter = int.from_bytes(hashlib.sha256(owner.to_text().encode()).digest()[:2], "big") % 3600
        usual = (now - INCEPTION_BACKDATE, now + SIGNATURE_LIFETIME - jitter)
        inception, expiration = self.window or usual
        rrsig = dns.dnssec.sign(
            self.rrsets[key],
            signer.private,
            self.origin,
            signer.dnskey,
            inception=inception,
            expiration=expiration,
            deterministic=False,
        )
        return MadeSignature(owner, rdtype, signer, self.serial, rrsig)


def add_nsec_chain(zone: Zone, ttl: int) -> None:
    """Add NSEC for every authoritative name and delegation."""
    cuts = zone.cuts()
    owners = sorted({owner for owner, _ in zone.rrsets if not _is_below(owner, cuts)})
    for owner, following in zip(owners, owners[1:] + owners[:1], strict=True):
        types = _types_at(zone, owner, cuts) | {dns.rdatatype.RRSIG, dns.rdatatype.NSEC}
        zone.add(owner.to_text(), ttl, "NSEC", f"{following} {_bitmap(types)}")


def add_nsec3_chain(zone: Zone, ttl: int, *, opt_out: bool) -> None:
    """Add NSEC3 (RFC 5155; no salt, no extra iterations) and NSEC3PARAM.

    With opt-out, unsigned delegations get no NSEC3. Empty non-terminals get one.
    """
    zone.add(zone.origin.to_text(), 0, "NSEC3PARAM", "1 0 0 -")
    cuts = zone.cuts()
    owners = set()
    for owner, rdtype in zone.rrsets:
        if _is_below(owner, cuts):
            continue
        unsigned_cut = owner in cuts and (owner, dns.rdatatype.DS) not in zone.rrsets
        if opt_out and unsigned_cut and rdtype == dns.rdatatype.NS:
            continue
        name = owner
        while name != zone.origin:
            owners.add(name)
            name = name.parent()
    owners.add(zone.origin)
    hashes = sorted((dns.dnssec.nsec3_hash(o, None, 0, "SHA1").lower(), o) for o in owners)
    for (digest, owner), (following, _) in zip(hashes, hashes[1:] + hashes[:1], strict=True):
        types = _types_at(zone, owner, cuts)
        if types and not (owner in cuts and dns.rdatatype.DS not in types):
            types |= {dns.rdatatype.RRSIG}
        text = f"1 {int(opt_out)} 0 - {following} {_bitmap(types)}"
        zone.add(f"{digest}.{zone.origin}", ttl, "NSEC3", text)


def _types_at(zone: Zone, owner: Name, cuts: set[Name]) -> set[RdataType]:
    types = {rdtype for name, rdtype in zone.rrsets if name == owner}
    if owner in cuts:
        types &= {dns.rdatatype.NS, dns.rdatatype.DS}
    return types


def _bitmap(types: Iterable[RdataType]) -> str:
    return " ".join(dns.rdatatype.to_text(rdtype) for rdtype in sorted(types))


def _is_below(owner: Name, cuts: set[Name]) -> bool:
    name = owner
    while name != dns.name.root:
        name = name.parent()
        if name in cuts:
            return True
    return False
