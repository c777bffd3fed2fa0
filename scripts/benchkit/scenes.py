"""The exchanges of the lab, each a query and its response ready to be stamped.

A scene with labels stands for many names: the marker in its question name is
overwritten by one of the labels, and all of them share the scene's signatures.
"""

from collections.abc import Iterator

import dns.name
import numpy as np

from benchkit.messages import LABEL_OCTETS, MARKER, Scene, exchange, name_servers
from benchkit.zones import LabZone, Signed, hash_octets, nsec3_hash, retarget

SIGNATURES = 20_000
"""Distinct signatures of a capture that is long enough to show every scene."""
LEAF_HOSTS = 1_300
"""Host names of each leaf zone: with all else below, a little short of SIGNATURES."""
LEAF_WILDCARDS = 100
CHILDREN = 500
"""Signed delegations of each top-level zone."""
POOL = 60_000
"""Names spread over the NSEC3 ranges of one zone."""
LABELS_PER_SCENE = 40
"""Names per NXDOMAIN of an NSEC zone and per signed delegation."""
LABELS_PER_WILDCARD = 200

ALPHABET = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)

APEX = "NS SOA RRSIG NSEC DNSKEY"
APEX3 = "NS SOA RRSIG DNSKEY NSEC3PARAM"

WEIGHTS = {
    "positive": 0.38,
    "nodata": 0.08,
    "nxdomain": 0.22,
    "wildcard": 0.09,
    "referral-secure": 0.06,
    "referral-insecure": 0.10,
    "keys": 0.01,
    "plain": 0.06,
}
"""Share of the transactions of each family of scenes."""


class Lab:
    """The zones: the root, two top-level zones (NSEC3 opt-out), three leaf zones below each."""

    def __init__(self, seed: int) -> None:
        """Make the zones and their NSEC3 chains; sign nothing yet."""
        self.root = LabZone(dns.name.root, 0, seed)
        self.tlds = [
            LabZone(dns.name.from_text(f"{name}."), 1, seed) for name in ("test", "example")
        ]
        self.leaves = {
            tld.origin: [
                LabZone(tld.name(leaf), 2 + index, seed) for leaf in ("alpha", "beta", "gamma")
            ]
            for index, tld in enumerate(self.tlds)
        }
        self.hosts = [f"a{number:04d}" for number in range(LEAF_HOSTS)]
        self.wildcards = [f"*.w{number:04d}" for number in range(LEAF_WILDCARDS)]
        self.children = [f"child{number:04d}" for number in range(CHILDREN)]
        self._random = np.random.default_rng(seed)
        for tld in self.tlds:
            tld.opt_out = True
            signed = [tld.name(child) for child in self.children]
            signed += [leaf.origin for leaf in self.leaves[tld.origin]]
            tld.build_chain([(tld.origin, APEX3), *((name, "NS DS RRSIG") for name in signed)])
        for zone in self.leaves[self.tlds[1].origin]:
            hosts = [(zone.name(host), "A AAAA RRSIG") for host in self.hosts]
            zone.build_chain([(zone.origin, APEX3), *hosts])

    @property
    def zones(self) -> list[LabZone]:
        """All zones, parents first."""
        return [
            self.root,
            *self.tlds,
            *(leaf for leaves in self.leaves.values() for leaf in leaves),
        ]

    def anchor(self) -> str:
        """Return the root's DS as a line of a trust anchor file."""
        return f". IN DS {self.root.ds()}\n"

    def signatures(self) -> int:
        """Count the signatures made so far; each stands in some scene."""
        return sum(len(zone.signed) for zone in self.zones)

    def scenes(self) -> Iterator[Scene]:
        """Make every scene; the last ones bring the signatures to SIGNATURES."""
        yield from self._keys()
        for tld in self.tlds:
            yield from self._referrals(tld)
        for zone in self.zones[3:]:
            yield from self._hosts(zone)
            yield from self._nsec3_denials(zone) if zone.chain else self._nsec_denials(zone)
        owners = ((zone, host) for zone in self.zones[3:] for host in self.hosts)
        for zone, host in owners:
            if self.signatures() == SIGNATURES:
                return
            owner = zone.name(host)
            pair = zone.sign(owner, "AAAA", f"2001:db8:aaaa::{host[1:]}")
            yield exchange("positive", zone, owner, "AAAA", answer=[pair])

    def _keys(self) -> Iterator[Scene]:
        parents = {zone.origin: zone for zone in self.zones}
        for zone in self.zones:
            yield exchange("keys", zone, zone.origin, "DNSKEY", answer=[zone.dnskey()])
            if zone is self.root:
                continue
            parent = parents[zone.origin.parent()]
            delegation = parent.sign(zone.origin, "DS", zone.ds())
            yield exchange("keys", parent, zone.origin, "DS", answer=[delegation])
            yield exchange("keys", zone, zone.origin, "SOA", answer=[zone.soa()])
            servers = name_servers(zone.origin, zone.host)
            for owner in (zone.name("www"), zone.name("mail")):
                yield exchange(
                    "referral-secure", parent, owner, "A", authority=[servers, delegation]
                )

    def _referrals(self, tld: LabZone) -> Iterator[Scene]:
        for child in self.children:
            owner = tld.name(child)
            digest = nsec3_hash(owner).hex().ljust(64, "0")
            delegation = tld.sign(owner, "DS", f"{int(digest[:4], 16)} 13 2 {digest}")
            yield exchange(
                "referral-secure",
                tld,
                tld.name(f"{MARKER}.{child}"),
                "A",
                authority=[name_servers(owner, tld.host), delegation],
                labels=self._labels(LABELS_PER_SCENE),
            )
        apex = tld.nsec3_matching(tld.origin)
        varied = tld.name(MARKER)
        for position, labels in self._spread(tld):
            yield exchange(
                "referral-insecure",
                tld,
                tld.name(f"www.{MARKER}"),
                "A",
                authority=[name_servers(varied, tld.host), *distinct(apex, tld.nsec3_at(position))],
                labels=labels,
            )

    def _hosts(self, zone: LabZone) -> Iterator[Scene]:
        for number, host in enumerate(self.hosts):
            owner = zone.name(host)
            pair = zone.sign(owner, "A", f"192.0.2.{number % 250 + 1}")
            yield exchange("positive", zone, owner, "A", answer=[pair])
            if number % 3 == 0:
                yield exchange("plain", zone, owner, "A", answer=[pair[0]], edns=number % 2 == 0)
            if zone.chain:
                denial = zone.nsec3_matching(owner)
            else:
                denial = zone.nsec(owner, self._following(zone, number), "A AAAA RRSIG NSEC")
            yield exchange("nodata", zone, owner, "MX", authority=[zone.soa(), denial])

    def _nsec_denials(self, zone: LabZone) -> Iterator[Scene]:
        apex = zone.nsec(zone.origin, zone.name(self.hosts[0]), APEX)
        for number, host in enumerate(self.hosts):
            denial = zone.nsec(zone.name(host), self._following(zone, number), "A AAAA RRSIG NSEC")
            yield exchange(
                "nxdomain",
                zone,
                zone.name(f"{host}-{MARKER}"),
                "A",
                authority=[zone.soa(), denial, apex],
                labels=self._labels(LABELS_PER_SCENE),
            )
        for number, wildcard in enumerate(self.wildcards):
            following = [*self.wildcards, "@"][number + 1]
            owner = zone.name(wildcard.replace("*", MARKER))
            pair = zone.sign(zone.name(wildcard), "A", f"198.51.100.{number + 1}")
            denial = zone.nsec(zone.name(wildcard), zone.name(following), "A RRSIG NSEC")
            yield exchange(
                "wildcard",
                zone,
                owner,
                "A",
                answer=[retarget(pair, owner)],
                authority=[denial],
                labels=self._labels(LABELS_PER_WILDCARD),
            )

    def _nsec3_denials(self, zone: LabZone) -> Iterator[Scene]:
        apex = zone.nsec3_matching(zone.origin)
        wildcard = zone.nsec3_covering(zone.name("*"))
        for position, labels in self._spread(zone):
            yield exchange(
                "nxdomain",
                zone,
                zone.name(MARKER),
                "A",
                authority=[zone.soa(), *distinct(apex, zone.nsec3_at(position), wildcard)],
                labels=labels,
            )

    def _following(self, zone: LabZone, number: int) -> dns.name.Name:
        return zone.name([*self.hosts, self.wildcards[0]][number + 1])

    def _labels(self, count: int) -> np.ndarray:
        return ALPHABET[self._random.integers(0, len(ALPHABET), (count, LABEL_OCTETS))]

    def _spread(self, zone: LabZone) -> Iterator[tuple[int, np.ndarray]]:
        """Draw POOL labels and give each NSEC3 range (by position) those that hash into it."""
        labels = self._labels(POOL)
        tail = zone.origin.to_digestable()
        prefix = bytes([LABEL_OCTETS])
        hashes = np.array([hash_octets(prefix + label.tobytes() + tail) for label in labels])
        places = np.searchsorted(np.array(zone.chain, dtype="S20"), hashes, side="right") - 1
        for position in range(-1, len(zone.chain)):
            members = labels[places == position]
            if len(members):
                yield position, members


def distinct(*pairs: Signed) -> list[Signed]:
    """Drop an NSEC3 that serves two ends of one proof."""
    return list({id(pair): pair for pair in pairs}.values())
