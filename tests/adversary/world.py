"""Signed worlds in miniature: root, top level and zones with real signatures, and who asks them.

A `World` holds what each zone serves from when on; its servers answer from that, with lag where
told, as RFC 1034, 4035 and 5155 say; resolvers cache; clients ask. `run` gives the packets. All is
drawn from one seed. Signatures are ECDSA P-256 (dnspython and cryptography), the packets are laid
out with struct: nothing here is taken from the program under test.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.NSEC3
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec, rsa

START = 1_780_315_200
"""2026-06-01 12:00 UTC: when worlds begin, in seconds since 1970."""

TTL = 60
DAY = 86_400
IN = dns.rdataclass.IN


class Key(NamedTuple):
    """A DNSKEY with its private half."""

    private: object
    record: object

    @property
    def tag(self) -> int:
        return dns.dnssec.key_id(self.record)

    def flagged(self, flags: int) -> Key:
        """The same key with other flags: revoked (RFC 5011), or without the Zone Key bit."""
        return Key(
            self.private,
            dns.dnssec.make_dnskey(self.private.public_key(), self.record.algorithm, flags=flags),
        )


@cache
def key(label: str, flags: int = 256, algorithm: int = 13) -> Key:
    """The key of that label: the same within one process."""
    if algorithm == 8:
        private = rsa.generate_private_key(65537, 2048)
    else:
        private = ec.derive_private_key(random.Random(label).getrandbits(255) + 1, ec.SECP256R1())
    return Key(private, dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=flags))


@cache
def twins(label: str, flags: int = 256) -> tuple[Key, Key]:
    """Two keys with one tag."""
    found: dict[int, Key] = {}
    for number in range(10_000):
        one = key(f"{label}-{number}", flags)
        if one.tag in found:
            return found[one.tag], one
        found[one.tag] = one
    raise AssertionError("no two keys with one tag")


@dataclass(frozen=True)
class State:
    """What a zone serves: an immutable version of it.

    Attributes:
        name: of the zone.
        serial: of the SOA.
        keys: published. ksks: sign the DNSKEY RRset. zsks: sign the rest.
        children: (name, DS keys, name is signed below) of delegations.
        denial: "nsec" or "nsec3"; signed: whether at all.
        signed_at, until: seconds, inception and expiration of the signatures.
        aliases: (owner, target) of CNAMEs.
        iterations: of NSEC3.
    """

    name: str
    serial: int = 1
    keys: tuple[Key, ...] = ()
    ksks: tuple[Key, ...] = ()
    zsks: tuple[Key, ...] = ()
    children: tuple[tuple[str, tuple[Key, ...]], ...] = ()
    denial: str = "nsec"
    signed: bool = True
    signed_at: int = START - DAY
    until: int = START + 7 * DAY
    aliases: tuple[tuple[str, str], ...] = ()
    iterations: int = 0

    def __hash__(self) -> int:
        return hash((self.name, self.serial))

    def next(self, **changes: object) -> State:
        """The version after this one."""
        changes.setdefault("serial", self.serial + 1)
        return replace(self, **changes)


def fresh(name: str, **changes: object) -> State:
    """A zone with a KSK and a ZSK of its own."""
    ksk, zsk = key(f"{name} ksk", 257), key(f"{name} zsk")
    state = State(name, keys=(ksk, zsk), ksks=(ksk,), zsks=(zsk,))
    return replace(state, **changes)


@lru_cache(maxsize=4096)
def rrset(owner: str, kind: str, *texts: str, ttl: int = TTL) -> dns.rrset.RRset:
    return dns.rrset.from_text(owner, ttl, IN, kind, *texts)


_signed: dict[tuple, dns.rrset.RRset] = {}


def signatures(rrs: dns.rrset.RRset, state: State, keys: Iterable[Key]) -> dns.rrset.RRset:
    """The RRSIG RRset over `rrs`; each signature made once (ECDSA draws a nonce)."""
    zone = dns.name.from_text(state.name)
    memo = (
        rrs.name,
        rrs.rdtype,
        rrs.ttl,
        tuple(sorted(r.to_digestable() for r in rrs)),
        tuple(k.record for k in keys),
        state.signed_at,
        state.until,
        zone,
    )
    if memo not in _signed:
        made = [
            dns.dnssec.sign(
                rrs, k.private, zone, k.record, inception=state.signed_at, expiration=state.until
            )
            for k in keys
        ]
        _signed[memo] = dns.rrset.from_rdata_list(rrs.name, rrs.ttl, made)
    return _signed[memo]


class Zone:
    """One version of a zone, made answerable."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.apex = state.name
        self.under = "." if state.name == "." else f".{state.name}"
        name = state.name
        self.records: dict[tuple[str, str], dns.rrset.RRset] = {}
        self.add(
            name,
            "SOA",
            f"ns.{name.lstrip('.')} host.{name.lstrip('.')} {state.serial} 300 60 86400 {TTL}",
        )
        self.add(name, "NS", f"ns1{self.under}", f"ns2{self.under}")
        for server in ("ns1", "ns2"):
            self.add(f"{server}{self.under}", "A", "192.0.2.1")
        if name.count(".") > 1:
            self.add(f"www{self.under}", "A", "192.0.2.80", "192.0.2.81")
            self.add(f"www{self.under}", "AAAA", "2001:db8::80")
            self.add(name, "MX", f"10 www{self.under}")
            self.add(f"*.wild{self.under}", "A", "192.0.2.90")
            self.add(f"ent.deep{self.under}", "TXT", '"an empty non-terminal above"')
        for owner, target in state.aliases:
            self.add(owner, "CNAME", target)
        self.delegations = {}
        for child, holders in state.children:
            self.delegations[child] = holders
            self.add(child, "NS", f"ns1.{child}", f"ns2.{child}")
            if holders:
                texts = [dns.dnssec.make_ds(child, k.record, "SHA256").to_text() for k in holders]
                self.add(child, "DS", *texts)
        if state.keys and state.signed:
            self.add(name, "DNSKEY", *(k.record.to_text() for k in state.keys))
        self.names = sorted({dns.name.from_text(owner) for owner, _ in self.records})
        self.hashed = (
            sorted((self.hash(n), n) for n in self._with_empty_nonterminals())
            if state.denial == "nsec3"
            else []
        )

    def add(self, owner: str, kind: str, *texts: str) -> None:
        self.records[owner, kind] = rrset(owner, kind, *texts)

    def _with_empty_nonterminals(self) -> set[dns.name.Name]:
        apex = dns.name.from_text(self.apex)
        found = set()
        for name in self.names:
            while name != apex:
                found.add(name)
                name = name.parent()  # noqa: PLW2901
        return found | {apex}

    def hash(self, name: dns.name.Name) -> str:
        return dns.dnssec.nsec3_hash(name, "", self.state.iterations, "SHA1")

    def types_at(self, name: dns.name.Name) -> list[str]:
        owner = name.to_text()
        kinds = [kind for (held, kind) in self.records if held == owner]
        if owner in self.delegations:
            return [k for k in kinds if k in ("NS", "DS")]
        return kinds

    def signed(self, rrs: dns.rrset.RRset, owner: str | None = None) -> list[dns.rrset.RRset]:
        """An RRset with its signatures, under another owner where a wildcard made it."""
        state = self.state
        kind = dns.rdatatype.to_text(rrs.rdtype)
        found = [rrs]
        delegated = rrs.name.to_text() in self.delegations
        if state.signed and not (delegated and kind != "DS" and kind not in ("NSEC", "NSEC3")):
            signers = state.ksks if kind == "DNSKEY" else state.zsks
            if signers:
                found.append(signatures(rrs, state, signers))
        if owner is not None:
            found = [dns.rrset.from_rdata_list(owner, f.ttl, list(f)) for f in found]
        return found

    def nsec(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        """The NSEC that matches or covers a name."""
        at = max(n for n in self.names if n <= name)
        after = self.names[(self.names.index(at) + 1) % len(self.names)]
        kinds = " ".join([*self.types_at(at), "RRSIG", "NSEC"])
        return self.signed(rrset(at.to_text(), "NSEC", f"{after.to_text()} {kinds}"))

    def nsec3(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        """The NSEC3 that matches or covers a name."""
        wanted = self.hash(name)
        held = [at for at, (h, _) in enumerate(self.hashed) if h <= wanted]
        at = held[-1] if held else len(self.hashed) - 1
        owner, original = self.hashed[at]
        after = self.hashed[(at + 1) % len(self.hashed)][0]
        kinds = self.types_at(original)
        if kinds and not (original.to_text() in self.delegations and "DS" not in kinds):
            kinds = [*kinds, "RRSIG"]
        return self.signed(
            rrset(
                f"{owner.lower()}{self.under}",
                "NSEC3",
                f"1 0 {self.state.iterations} - {after} {' '.join(kinds)}",
            )
        )

    def proof(self, name: dns.name.Name, *, exists: bool) -> list[dns.rrset.RRset]:
        """What denies a name or a type at it."""
        if not self.state.signed or not self.state.zsks:
            return []
        if self.state.denial == "nsec":
            sets = [self.nsec(name)]
            if not exists:
                sets.append(self.nsec(dns.name.from_text("*", self.closest(name))))
        else:
            closest = self.closest(name)
            sets = [self.nsec3(name if exists else closest)]
            if not exists:
                following = name.split(len(closest.labels) + 1)[1]
                sets += [self.nsec3(following), self.nsec3(dns.name.from_text("*", closest))]
        flat = []
        for one in sets:
            if one[0].name not in [rrs.name for rrs in flat]:
                flat += one
        return flat

    def closest(self, name: dns.name.Name) -> dns.name.Name:
        known = self._with_empty_nonterminals()
        while name not in known:
            name = name.parent()
        return name

    def cut_above(self, name: dns.name.Name, kind: str) -> str | None:
        for child in self.delegations:
            cut = dns.name.from_text(child)
            if name.is_subdomain(cut) and not (name == cut and kind == "DS"):
                return child
        return None

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """What an authority with this version says."""
        question = query.question[0]
        reply = dns.message.make_response(query, our_payload=1232)
        name = dns.name.from_text(question.name.to_text().lower())
        kind = dns.rdatatype.to_text(question.rdtype)
        child = self.cut_above(name, kind)
        if child is not None:
            reply.authority += self.signed(self.records[child, "NS"])[:1]
            cut = dns.name.from_text(child)
            if (child, "DS") in self.records:
                reply.authority += self.signed(self.records[child, "DS"])
            elif self.state.signed:
                reply.authority += (self.nsec if self.state.denial == "nsec" else self.nsec3)(cut)
            reply.additional.append(rrset(f"ns1.{child}", "A", "192.0.2.1"))
            return reply
        reply.flags |= dns.flags.AA
        owner = name.to_text()
        held = self.types_at(name)
        if kind == "ANY" and held:
            for each in held:
                reply.answer += self.signed(self.records[owner, each])
            return reply
        if kind in held or "CNAME" in held:
            found = self.signed(self.records[owner, kind if kind in held else "CNAME"])
            reply.answer += found
            if kind not in held:
                self._follow(reply, str(found[0][0].target), kind)
            return reply
        closest = self.closest(name)
        wild = f"*.{closest.to_text()}"
        if not held and name != closest and (wild, kind) in self.records:
            reply.answer += self.signed(self.records[wild, kind], owner)
            if self.state.signed:
                prove = self.nsec if self.state.denial == "nsec" else self.nsec3
                reply.authority += prove(
                    name.split(len(closest.labels) + 1)[1] if self.state.denial == "nsec3" else name
                )
            return reply
        exists = name == closest
        if not exists and (wild, "A") not in self.records:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority += self.signed(self.records[self.apex, "SOA"])
        reply.authority += self.proof(name, exists=exists)
        return reply

    def _follow(self, reply: dns.message.Message, target: str, kind: str) -> None:
        """What an alias within the zone leads to, be it nothing (RFC 6604)."""
        name = dns.name.from_text(target)
        if not name.is_subdomain(dns.name.from_text(self.apex)) or self.cut_above(name, kind):
            return
        if (target, kind) in self.records:
            reply.answer += self.signed(self.records[target, kind])
            return
        exists = name == self.closest(name)
        if not exists:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority += self.signed(self.records[self.apex, "SOA"])
        reply.authority += self.proof(name, exists=exists)


@lru_cache(maxsize=256)
def zone_of(state: State) -> Zone:
    return Zone(state)


class Packet(NamedTuple):
    """One UDP datagram of IPv4."""

    time: int
    """ns since 1970"""
    source: str
    sport: int
    target: str
    tport: int
    data: bytes


@dataclass
class Server:
    """An authority: its address, what it serves, how far behind it is."""

    address: str
    zones: tuple[str, ...]
    lag: int = 0


@dataclass
class World:
    """A simulated world.

    Attributes:
        seed: of all that is drawn.
        versions: by zone, (from when, state) in order.
        servers: the authorities.
        resolvers: addresses.
        keep: times the TTL that resolvers keep answers for.
        own: what one server serves of a zone, whatever the others do.
        mixed_case: queries spell names in mixed case, and answers repeat it.
        ask_keys: whether resolvers ask for keys, by time.
    """

    seed: int = 1
    versions: dict[str, list[tuple[int, State]]] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)
    resolvers: tuple[str, ...] = ("198.51.100.53", "198.51.100.54")
    keep: int = 1
    own: dict[tuple[str, str], State] = field(default_factory=dict)
    mixed_case: bool = True
    ask_keys: Callable[[float], bool] = lambda _: True
    packets: list[Packet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.cache: dict[tuple[str, str, str], tuple[float, dns.message.Message]] = {}

    def at(self, seconds: float, state: State) -> State:
        """Serve this version from then on (seconds after START)."""
        self.versions.setdefault(state.name, []).append((seconds, state))
        return state

    def state(self, zone: str, seconds: float) -> State:
        rows = [state for begin, state in self.versions[zone] if begin <= seconds]
        return rows[-1] if rows else self.versions[zone][0][1]

    def deepest(self, name: str) -> str:
        """The zone that a name lies in."""
        wanted = dns.name.from_text(name.lower())
        zones = [dns.name.from_text(z) for z in self.versions]
        return max((z for z in zones if wanted.is_subdomain(z)), key=len).to_text()

    def parent(self, zone: str) -> str | None:
        return None if zone == "." else self.deepest(dns.name.from_text(zone).parent().to_text())

    def _case(self, name: str) -> str:
        if not self.mixed_case:
            return name
        return "".join(self.random.choice((c.lower(), c.upper())) for c in name)

    def query(self, name: str, kind: str) -> dns.message.Message:
        made = dns.message.make_query(name, kind, want_dnssec=True, payload=1232)
        made.id = self.random.getrandbits(16)
        return made

    def ask(
        self,
        when: float,
        resolver: str,
        zone: str,
        name: str,
        kind: str,
        server: Server | None = None,
    ) -> dns.message.Message:
        """A resolver asks an authority of `zone`: two packets, and the response."""
        chosen = server or self.random.choice([s for s in self.servers if zone in s.zones])
        query = self.query(self._case(name), kind)
        zone_there = zone
        if kind != "DS":  # a server of parent and child answers from the child
            wanted = dns.name.from_text(name.lower())
            zone_there = max(
                (z for z in chosen.zones if wanted.is_subdomain(dns.name.from_text(z))),
                key=lambda z: len(dns.name.from_text(z)),
            )
        state = self.own.get((chosen.address, zone_there))
        reply = zone_of(state or self.state(zone_there, when - chosen.lag)).answer(query)
        port = self.random.randrange(1024, 65536)
        self.send(when, resolver, port, chosen.address, 53, query)
        self.send(
            when + 0.008 + self.random.random() / 100, chosen.address, 53, resolver, port, reply
        )
        return reply

    def send(
        self,
        when: float,
        source: str,
        sport: int,
        target: str,
        tport: int,
        message: dns.message.Message,
    ) -> None:
        data = message.to_wire(max_size=65535)
        time = int((START + when) * 10**9)
        self.packets.append(Packet(time, source, sport, target, tport, data))

    def cached(
        self,
        when: float,
        resolver: str,
        zone: str,
        name: str,
        kind: str,
    ) -> tuple[float, dns.message.Message]:
        """The age of what a resolver holds, asked upstream where it holds nothing."""
        memo = (resolver, name, kind)
        if memo in self.cache and when - self.cache[memo][0] < TTL * self.keep:
            born, reply = self.cache[memo]
            return when - born, reply
        reply = self.ask(when + 0.001, resolver, zone, name, kind)
        self.cache[memo] = (when, reply)
        return 0, reply

    def lookup(self, when: float, client: str, resolver: str, name: str, kind: str) -> None:
        """A client asks a resolver."""
        query = self.query(self._case(name), kind)
        port = self.random.randrange(1024, 65536)
        self.send(when, client, port, resolver, 53, query)
        reply = dns.message.make_response(query, our_payload=1232)
        reply.flags |= dns.flags.RA
        ages = []
        for _ in range(4):
            zone = self.deepest(name)
            if kind == "DS" and name == zone != ".":
                zone = self.parent(zone) or zone
            self._descend(when, resolver, zone)
            age, found = self.cached(when, resolver, zone, name, kind)
            ages.append(age)
            for section in ("answer", "authority"):
                getattr(reply, section).extend(_aged(getattr(found, section), int(age)))
            reply.set_rcode(found.rcode())
            aliases = [r for r in found.answer if r.rdtype == dns.rdatatype.CNAME]
            if (
                not aliases
                or kind in ("CNAME", "ANY")
                or any(r.rdtype == dns.rdatatype.from_text(kind) for r in found.answer)
            ):
                break
            name = aliases[-1][0].target.to_text()
        self.send(when + 0.03 + self.random.random() / 50, resolver, 53, client, port, reply)

    def _vouched(self, when: float, zone: str) -> bool:
        """Whether the parent has a DS for the zone: then a validator asks for its keys."""
        above = self.parent(zone)
        return above is not None and bool(dict(self.state(above, when).children).get(zone))

    def _descend(self, when: float, resolver: str, zone: str) -> None:
        """Referrals and keys from the root down, as far as they are not held."""
        if self.ask_keys(when) and (self.state(zone, when).signed or self._vouched(when, zone)):
            self.cached(when, resolver, zone, zone, "DNSKEY")
        above = self.parent(zone)
        if above is not None:
            memo = (resolver, zone, "referral")
            if memo not in self.cache or when - self.cache[memo][0] >= TTL * self.keep:
                self.cache[memo] = (when, None)
                self.ask(when, resolver, above, f"www.{zone}", "A")
            self._descend(when, resolver, above)

    def run(self, seconds: int, every: float = 6.0) -> World:
        """Let clients ask for all sorts of things."""
        leaves = [zone for zone in self.versions if zone.count(".") > 1]
        when = 1.0
        while when < seconds:
            zone = self.random.choice(leaves)
            name, kind = self.random.choice(
                [
                    (f"www.{zone}", "A"),
                    (f"www.{zone}", "A"),
                    (f"www.{zone}", "AAAA"),
                    (zone, "MX"),
                    (zone, "SOA"),
                    (zone, "NS"),
                    (f"www.{zone}", "TXT"),
                    (f"no{self.random.getrandbits(20):x}.{zone}", "A"),
                    (f"a{self.random.getrandbits(20):x}.wild.{zone}", "A"),
                    (f"deep.{zone}", "A"),
                    (f"alias.{zone}", "A"),
                    (zone, "DNSKEY"),
                    (zone, "DS"),
                    (zone, "ANY"),
                    (f"x{self.random.getrandbits(16):x}.", "A"),
                ]
            )
            client = f"203.0.113.{self.random.randrange(1, 30)}"
            self.lookup(when, client, self.random.choice(self.resolvers), name, kind)
            when += self.random.expovariate(1 / every)
        self.packets.sort(key=lambda p: p.time)
        return self


def _aged(rrsets: Sequence[dns.rrset.RRset], age: int) -> list[dns.rrset.RRset]:
    found = []
    for one in rrsets:
        copy = dns.rrset.from_rdata_list(one.name, max(one.ttl - age, 0), list(one))
        copy.update_ttl(max(one.ttl - age, 0))
        copy.ttl = max(one.ttl - age, 0)
        found.append(copy)
    return found


ZONES = ("alpha.de.", "beta.de.", "gamma.nl.", "delta.nl.", "plain.de.")
"""The leaves of `healthy`; the last is unsigned."""


def healthy(seed: int = 1, *, lag: int = 0, **changes: object) -> World:
    """A root, de. (NSEC3) and nl. (NSEC), and below them four signed zones and an unsigned one."""
    world = World(seed, **changes)
    unsigned = {"plain.de."}
    for zone in ZONES:
        alias = ((f"alias.{zone}", f"www.{ZONES[(ZONES.index(zone) + 1) % len(ZONES)]}"),)
        denial = "nsec3" if zone.startswith(("a", "g")) else "nsec"
        if zone in unsigned:
            world.at(0, State(zone, signed=False, aliases=alias))
        else:
            world.at(0, fresh(zone, aliases=alias, denial=denial))
    for tld, denial in (("de.", "nsec3"), ("nl.", "nsec")):
        below = tuple(
            (zone, () if zone in unsigned else world.versions[zone][0][1].ksks)
            for zone in ZONES
            if zone.endswith(f".{tld}")
        )
        world.at(0, fresh(tld, children=below, denial=denial))
    tops = tuple((tld, world.versions[tld][0][1].ksks) for tld in ("de.", "nl."))
    world.at(0, fresh(".", children=tops))
    world.servers = [
        Server("192.0.2.1", (".",)),
        Server("192.0.2.2", (".",), lag),
        Server("192.0.2.11", ("de.",)),
        Server("192.0.2.12", ("de.",), lag),
        Server("192.0.2.21", ("nl.",)),
        Server("192.0.2.22", ("nl.",), lag),
        Server("192.0.2.31", ("alpha.de.", "beta.de.", "plain.de.")),
        Server("192.0.2.32", ("alpha.de.", "beta.de.", "plain.de."), lag),
        Server("192.0.2.41", ("gamma.nl.", "delta.nl.")),
        Server("192.0.2.42", ("gamma.nl.", "delta.nl."), lag),
    ]
    return world


def anchor(world: World, path: Path) -> Path:
    """Write the root's KSKs as DS records."""
    held = {k for _, state in world.versions["."] for k in state.ksks}
    lines = [f". IN DS {dns.dnssec.make_ds('.', k.record, 'SHA256').to_text()}" for k in held]
    path.write_text("\n".join(sorted(lines)) + "\n")
    return path


def pcap(packets: Iterable[Packet], snap: int = 65_535) -> bytes:
    """A classic pcap of raw IPv4 with nanoseconds."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap, 101)]
    for number, packet in enumerate(packets):
        parts.append(record(packet, number, snap))
    return b"".join(parts)


def record(packet: Packet, number: int, snap: int = 65_535) -> bytes:
    udp = struct.pack(">HHHH", packet.sport, packet.tport, 8 + len(packet.data), 0) + packet.data
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        number & 0xFFFF,
        0,
        64,
        17,
        0,
        _address(packet.source),
        _address(packet.target),
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    data = head[:10] + struct.pack(">H", total ^ 0xFFFF) + head[12:] + udp
    kept = data[:snap]
    seconds, rest = divmod(packet.time, 10**9)
    return struct.pack("<IIII", seconds & 0xFFFFFFFF, rest, len(kept), len(data)) + kept


@lru_cache(maxsize=1024)
def _address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))
