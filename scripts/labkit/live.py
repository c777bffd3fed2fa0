"""A zone that a script acts on: its keys, who signs what, and the way to its servers."""

from dataclasses import dataclass, field

import dns.dnssec
import dns.name
import dns.rdatatype
from dns.name import Name
from dns.rdata import Rdata
from dns.rdatatype import RdataType

from labkit.keys import SigningKey
from labkit.plan import ZonePlan
from labkit.publication import Publication, Version
from labkit.signing import RRKey, Zone, add_nsec3_chain, add_nsec_chain

DENIAL = (RdataType.NSEC, RdataType.NSEC3, RdataType.NSEC3PARAM)


@dataclass
class LiveZone:
    """A zone under way: `ksks` sign its DNSKEY RRset, `zsks` all else; `keys` are published."""

    plan: ZonePlan
    zone: Zone
    ksks: list[SigningKey]
    zsks: list[SigningKey]
    keys: list[SigningKey] = field(default_factory=list)
    parent: "LiveZone | None" = None
    publication: Publication | None = None
    unsigned_serials: bool = False

    @property
    def origin(self) -> Name:
        """The zone's name."""
        return self.zone.origin

    @property
    def out(self) -> Publication:
        """The way to the servers, once there is one."""
        assert self.publication is not None
        return self.publication

    def signers(self, key: RRKey) -> list[SigningKey]:
        """Return who signs an RRset."""
        return self.ksks if key[1] == dns.rdatatype.DNSKEY else self.zsks

    def publish_keys(
        self, *keys: SigningKey, signers: list[SigningKey] | None = None, ttl: int = 0
    ) -> None:
        """Set the DNSKEY RRset, signed by the KSKs or by those given; no key: none is left."""
        self.keys = list(keys)
        if signers is not None:
            self.ksks = signers
        if not keys:
            place = (self.origin, dns.rdatatype.DNSKEY)
            self.zone.rrsets.pop(place, None)
            self.zone.signatures.pop(place, None)
            return
        rdatas: list[Rdata] = [key.dnskey for key in keys]
        self.zone.sign(self.zone.put(self.origin, ttl or self.plan.ttl, rdatas), *self.ksks)

    def resign(self, *rdtypes: RdataType) -> None:
        """Sign every authoritative RRset anew, or those of the given types."""
        for key in self.zone.signable():
            if (not rdtypes or key[1] in rdtypes) and self.signers(key):
                self.zone.sign(key, *self.signers(key))

    def unsign(self, *rdtypes: RdataType) -> None:
        """Withdraw the signatures of these types, or all."""
        for key in list(self.zone.signatures):
            if not rdtypes or key[1] in rdtypes:
                del self.zone.signatures[key]

    def put_ds(self, child: Name, *rdatas: Rdata) -> None:
        """Set the DS RRset of a child, in the zone and in its denial; none removes it."""
        place = (child, dns.rdatatype.DS)
        had = place in self.zone.rrsets
        self.zone.rrsets.pop(place, None)
        self.zone.signatures.pop(place, None)
        if rdatas:
            self.zone.sign(self.zone.put(child, self.plan.ttl, list(rdatas)), *self.zsks)
        if had != bool(rdatas):
            self.rebuild_denial()

    def put_ds_of(self, child: "LiveZone", *keys: SigningKey) -> None:
        """Set the DS RRset of a child to those of these keys."""
        self.put_ds(child.origin, *(key.ds(child.origin) for key in keys))

    def rebuild_denial(self) -> None:
        """Make the NSEC or NSEC3 chain anew and sign it."""
        for key in [key for key in self.zone.rrsets if key[1] in DENIAL]:
            del self.zone.rrsets[key]
            self.zone.signatures.pop(key, None)
        if not self.zsks:
            return
        if self.plan.chain == "nsec":
            add_nsec_chain(self.zone, self.plan.ttl)
        else:
            add_nsec3_chain(self.zone, self.plan.ttl, opt_out=True)
        self.resign(*DENIAL)

    def go_insecure(self) -> None:
        """Withdraw keys, signatures and denial."""
        self.publish_keys()
        self.ksks, self.zsks = [], []
        self.unsign()
        self.rebuild_denial()

    def bump(self, phase: str) -> Version:
        """Publish the next serial."""
        key = self.zone.set_soa(self.zone.serial + 1)
        if self.zsks and not self.unsigned_serials:
            self.zone.sign(key, *self.zsks)
        return self.out.publish(phase)
