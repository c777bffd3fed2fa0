"""Signed zones with one change in their denial of existence, and what an authority answers.

A change is made to a record and, where the kind of change says so, the record is signed again with
the zone's own key: what was rightly signed shows whether a validator understands it.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from signing_tools import NOW

RRSIG, NSEC, NSEC3, NS = (
    dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3, dns.rdatatype.NS,
)  # fmt: skip
LOC = dns.rdatatype.LOC
"""A type that no name of the zones has."""

DAY = 86_400
TEXT = """$ORIGIN {origin}
$TTL 3600
@ SOA ns1 host 1 7200 3600 1209600 300
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.80
www TXT "a" "b"
mail MX 10 www
deep.ent TXT "below an empty non-terminal"
*.wild A 192.0.2.90
sub NS ns.sub
ns.sub A 192.0.2.99
un.hollow NS ns.un.hollow
ns.un.hollow A 192.0.2.98
sec NS ns.sec
sec DS 4711 13 2 1111111111111111111111111111111111111111111111111111111111111111
ns.sec A 192.0.2.97
zz TXT "last"
"""


def private_keys(where: Path) -> Iterator[ec.EllipticCurvePrivateKey]:
    """Read the P-256 keys that a signer left in a folder."""
    for file in sorted(where.glob("*.private")):
        (text,) = [
            line.split(":", 1)[1].strip()
            for line in file.read_text().splitlines()
            if line.startswith("PrivateKey:")
        ]
        yield ec.derive_private_key(
            int.from_bytes(base64.b64decode(text), "big"), ec.SECP256R1()
        )
    for file in sorted(where.glob("db/keys/keys/*.pem")):
        # Knot writes numbers without leading zeros, which `cryptography` refuses: RFC 5915's
        # ECPrivateKey begins with the version, 1, and an octet string.
        der = base64.b64decode("".join(file.read_text().splitlines()[1:-1]))
        at = der.index(b"\x02\x01\x01\x04") + 5
        number = int.from_bytes(der[at : at + der[at - 1]], "big")
        yield ec.derive_private_key(number, ec.SECP256R1())


@dataclass
class Bench:
    """A signed zone to be changed.

    Attributes:
        zone: names in full.
        keys: (DNSKEY, private key) that sign data.
        draw: seeded by zone and change.
    """

    zone: dns.zone.Zone
    keys: list[tuple[dns.rdata.Rdata, ec.EllipticCurvePrivateKey]]
    draw: random.Random

    @property
    def apex(self) -> dns.name.Name:
        assert self.zone.origin is not None
        return self.zone.origin

    @property
    def deniers(self) -> list[tuple[dns.name.Name, int]]:
        """Owner and type of each NSEC or NSEC3, in order."""
        return sorted(
            (name, int(rdataset.rdtype))
            for name, node in self.zone.nodes.items()
            for rdataset in node.rdatasets
            if rdataset.rdtype in {NSEC, NSEC3}
        )

    def record(self, owner: dns.name.Name, kind: int) -> dns.rdata.Rdata:
        (one,) = self.zone.find_rdataset(owner, kind)
        return one

    def drop(self, owner: dns.name.Name, kind: int, covers: int = 0) -> None:
        self.zone.delete_rdataset(owner, kind, covers=covers)

    def put(
        self, owner: dns.name.Name, one: dns.rdata.Rdata, *, signed: bool = True,
        days: tuple[int, int] = (-1, 20), foreign: bool = False,
    ) -> None:  # fmt: skip
        """Put a record in the place of those of its type, and perhaps sign it."""
        kind = one.rdtype
        held = self.zone.find_rdataset(owner, kind, create=True)
        ttl = held.ttl or 300
        held.clear()
        held.add(one, ttl)
        if not signed:
            return
        key, private = self.keys[0]
        if foreign:
            private = ec.generate_private_key(ec.SECP256R1())
            key = dns.dnssec.make_dnskey(private.public_key(), 13)
        rrset = dns.rrset.from_rdata_list(owner, ttl, list(held))
        made = dns.dnssec.sign(
            rrset, private, self.apex, key,
            inception=NOW + days[0] * DAY, expiration=NOW + days[1] * DAY,
        )  # fmt: skip
        self.drop(owner, RRSIG, kind)
        self.zone.find_rdataset(owner, RRSIG, covers=kind, create=True).add(made, ttl)


def bench(path: Path, where: Path, origin: str, seed: str) -> Bench:
    """Open a signed zone with the keys in the folder that it was signed in."""
    zone = dns.zone.from_file(str(path), origin, relativize=False, check_origin=False)
    published = list(zone.find_rdataset(origin, "DNSKEY"))
    keys = [
        (key, private)
        for private in private_keys(where)
        for key in published
        if not key.flags & 1
        and dns.dnssec.make_dnskey(private.public_key(), 13, flags=key.flags) == key
    ]
    assert keys, "the zone signing key was not found"
    return Bench(zone, keys, random.Random(seed))


# -- changes ---------------------------------------------------------------------------------------

Change = Callable[[Bench, dns.name.Name, int], None]
"""Changes the denier that was drawn: its owner and type."""


def _dropped(made: Bench, owner: dns.name.Name, kind: int) -> None:
    made.drop(owner, kind)
    made.drop(owner, RRSIG, kind)


def _unsigned(made: Bench, owner: dns.name.Name, kind: int) -> None:
    made.drop(owner, RRSIG, kind)


def _flipped(made: Bench, owner: dns.name.Name, kind: int) -> None:
    held = made.zone.find_rdataset(owner, RRSIG, covers=kind)
    (one,) = held
    octets = bytearray(one.signature)
    octets[made.draw.randrange(len(octets))] ^= 1 << made.draw.randrange(8)
    held.clear()
    held.add(one.replace(signature=bytes(octets)), 300)


def _signed_for(*days: int, foreign: bool = False) -> Change:
    def change(made: Bench, owner: dns.name.Name, kind: int) -> None:
        made.put(owner, made.record(owner, kind), days=(days[0], days[1]), foreign=foreign)

    return change


def _next(which: str, *, signed: bool = True) -> Change:
    """Bend the link to the next name: to one farther on, or to one that is not there."""

    def change(made: Bench, owner: dns.name.Name, kind: int) -> None:
        one = made.record(owner, kind)
        if which == "far":
            after = {name: made.record(name, kind).next for name, _ in made.deniers}
            at = one.next
            if kind == NSEC3:
                at = dns.name.Name((base64.b32hexencode(at).lower(), *made.apex.labels))
            new = after[at]
        elif kind == NSEC:
            new = dns.name.Name((b"0", *owner.labels))
        else:
            hashed = base64.b32hexdecode(owner.labels[0].upper())
            new = (int.from_bytes(hashed, "big") + 1).to_bytes(20, "big")
        made.put(owner, one.replace(next=new), signed=signed)

    return change


def _types(what: str, *, signed: bool = True) -> Change:
    def change(made: Bench, owner: dns.name.Name, kind: int) -> None:
        one = made.record(owner, kind)
        types = {int(kind) for kind in _listed(one)}
        mine = sorted(types - {RRSIG, NSEC, NS})
        if what == "more":
            types.add(LOC)
        elif mine:
            types.discard(made.draw.choice(mine))
        made.put(owner, one.replace(windows=_windows(types)), signed=signed)

    return change


def _listed(one: dns.rdata.Rdata) -> list[int]:
    return [
        window * 256 + octet * 8 + bit
        for window, bitmap in one.windows
        for octet, value in enumerate(bitmap)
        for bit in range(8)
        if value & 0x80 >> bit
    ]


def _windows(types: set[int]) -> tuple[tuple[int, bytes], ...]:
    if not types:
        return ()
    assert max(types) < 256
    bits = bytearray(32)
    for kind in types:
        bits[kind // 8] |= 0x80 >> kind % 8
    return ((0, bytes(bits).rstrip(b"\0")),)


def _field(**changes: object) -> Change:
    """Change a parameter of one NSEC3 and sign it."""

    def change(made: Bench, owner: dns.name.Name, kind: int) -> None:
        made.put(owner, made.record(owner, kind).replace(**changes))

    return change


def _no_opt_out(made: Bench, _: dns.name.Name, kind: int) -> None:
    for name, _ in made.deniers:
        made.put(name, made.record(name, kind).replace(flags=0))


def _moved(made: Bench, owner: dns.name.Name, kind: int) -> None:
    """The record of one name stands at another hash."""
    one = made.record(owner, kind)
    hashed = base64.b32hexdecode(owner.labels[0].upper())
    other = bytes([*hashed[:-1], hashed[-1] ^ 1])
    _dropped(made, owner, kind)
    made.put(dns.name.Name((base64.b32hexencode(other).lower(), *owner.labels[1:])), one)


def _parameters(made: Bench, *_: object) -> None:
    (one,) = made.zone.find_rdataset(made.apex, "NSEC3PARAM")
    made.put(made.apex, one.replace(salt=b"\x55"))


BOTH: dict[str, Change] = {
    "nothing": lambda *_: None,
    "dropped": _dropped,
    "signature dropped": _unsigned,
    "signature flipped": _flipped,
    "signature ran out": _signed_for(-20, -2),
    "signature early": _signed_for(2, 20),
    "signed by a stranger": _signed_for(-1, 20, foreign=True),
    "next far": _next("far"),
    "next near": _next("near"),
    "next far, unsigned": _next("far", signed=False),
    "type more": _types("more"),
    "type less": _types("less"),
    "type more, unsigned": _types("more", signed=False),
}
HASHED: dict[str, Change] = {
    "opt-out set": _field(flags=1),
    "unknown flag": _field(flags=2),
    "more iterations": _field(iterations=7),
    "another salt": _field(salt=b"\x99"),
    "unknown hash": _field(algorithm=2),
    "moved": _moved,
    "parameters": _parameters,
}
CHANGES: dict[str, dict[str, Change]] = {
    "nsec": BOTH,
    "nsec3": BOTH | HASHED,
    "opt-out": BOTH | {k: c for k, c in HASHED.items() if k != "opt-out set"}
    | {"opt-out cleared": _no_opt_out},
}  # fmt: skip
"""By the zone's denial: what may be done to it."""


# -- an authority's answers ------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """What an authority says: rcode, AA, and RRsets with their RRSIG."""

    rcode: int
    aa: bool
    answer: list[dns.rrset.RRset]
    authority: list[dns.rrset.RRset]


class Authority:
    """Answers as an authority does that found the denials in its zone and trusts them.

    Which names exist it knows from the zone before the change; the denier of a name is the one at
    it, else the one before it in the order of names or hashes, whatever its next name says.
    """

    def __init__(self, sound: dns.zone.Zone, served: dns.zone.Zone) -> None:
        assert sound.origin is not None
        self.apex, self.zone = sound.origin, served
        kinds = {name: {int(r.rdtype) for r in node} for name, node in sound.nodes.items()}
        own = {n: k - {RRSIG, NSEC, NSEC3} for n, k in kinds.items() if k - {RRSIG, NSEC3}}
        self.cuts = {n for n, k in own.items() if NS in k and n != self.apex}
        self.names = {
            ancestor
            for name in own
            if not any(name != cut and name.is_subdomain(cut) for cut in self.cuts)
            for ancestor in self._up(name)
        }
        found = [node.get_rdataset(1, dns.rdatatype.NSEC3PARAM) for node in sound.nodes.values()]
        self.parameters = next((rdataset[0] for rdataset in found if rdataset), None)
        self.kind = NSEC3 if self.parameters else NSEC
        self._deniers = sorted(
            name for name, node in served.nodes.items() if node.get_rdataset(1, self.kind)
        )

    def _up(self, name: dns.name.Name) -> Iterator[dns.name.Name]:
        while name.is_subdomain(self.apex):
            yield name
            if name == self.apex:
                return
            name = name.parent()

    def deniers(self) -> list[dns.name.Name]:
        """The owners of the deniers of all names that have one, in the order of the names."""
        found = [self._position(name) for name in sorted(self.names)]
        return [owner for owner in found if owner in self._deniers]

    def beside(self, owner: dns.name.Name) -> Iterator[tuple[dns.name.Name, str]]:
        """A name that only the denier of `owner` can deny, if one is found."""
        for at in range(500):
            name = dns.name.Name((f"x{at}".encode(), *self.apex.labels))
            before = [one for one in self._deniers if one <= self._position(name)]
            if (before or self._deniers)[-1] == owner:
                yield name, "A"
                return

    def questions(self) -> list[tuple[dns.name.Name, str]]:
        """Every name with a type that it has and one that it lacks, and names in every gap."""
        found = []
        for name in sorted(self.names):
            held = self.zone.nodes.get(name)
            has = {dns.rdatatype.to_text(r.rdtype) for r in held or ()}
            if name in self.cuts:
                beside = dns.name.Name((name.labels[0] + b"-", *name.labels[1:]))
                found += [(name, "DS"), (beside, "A")]
                if "DS" not in has:  # what is below a signed cut is for the keys there to tell
                    found.append((dns.name.Name((b"www", *name.labels)), "A"))
                continue
            found.append((name, "LOC"))
            found += [(name, kind) for kind in sorted(has & {"A", "TXT", "MX"})]
            if not name.is_wild():
                found.append((dns.name.Name((b"0", *name.labels)), "A"))
                if name != self.apex:
                    label = name.labels[0] + b"-"
                    found.append((dns.name.Name((label, *name.labels[1:])), "A"))
            else:
                found.append((dns.name.Name((b"x", *name.labels[1:])), "LOC"))
        found += [(dns.name.Name((f"n{at}".encode(), *self.apex.labels)), "A") for at in range(9)]
        return found

    def reply(self, name: dns.name.Name, kind: str) -> Reply:
        """Answer one question."""
        number = dns.rdatatype.from_text(kind)
        cut = next((c for c in self.cuts if name.is_subdomain(c)), None)
        if cut is not None and not (name == cut and number == dns.rdatatype.DS):
            proof = self._sets(cut, dns.rdatatype.DS) or self._no_data(cut)
            return Reply(0, False, [], [*self._sets(cut, NS), *proof])
        if name in self.names:
            held = self._sets(name, number)
            return Reply(0, True, held, [] if held else [*self._soa(), *self._no_data(name)])
        encloser = next(above for above in self._up(name) if above in self.names)
        wildcard = dns.name.Name((b"*", *encloser.labels))
        if wildcard not in self.names:
            shown = dns.name.Name((b"*", *self._shown(encloser).labels))
            proof = [*self._closer(name, encloser), *self._denier(shown)]
            return Reply(3, True, [], _once([*self._soa(), *proof]))
        held = self._sets(wildcard, number)
        closer = self._closer(name, encloser)
        if not held:
            proof = [*self._soa(), *closer, *self._denier(wildcard)]
            return Reply(0, True, [], _once(proof))
        expanded = [_renamed(one, name) for one in held]
        return Reply(0, True, expanded, closer if self.kind == NSEC else closer[-2:])

    def _sets(self, owner: dns.name.Name, kind: int) -> list[dns.rrset.RRset]:
        """An RRset and its RRSIG, as far as they are there."""
        node = self.zone.nodes.get(owner)
        if node is None or node.get_rdataset(1, kind) is None:
            return []
        pair = [node.get_rdataset(1, kind), node.get_rdataset(1, RRSIG, kind)]
        return [_rrset(owner, one) for one in pair if one]

    def _soa(self) -> list[dns.rrset.RRset]:
        return self._sets(self.apex, dns.rdatatype.SOA)

    def _position(self, name: dns.name.Name) -> dns.name.Name:
        """Where the denier of a name would stand."""
        if self.parameters is None:
            return name
        hashed = dns.dnssec.nsec3_hash(
            name, self.parameters.salt, self.parameters.iterations, "SHA1"
        )
        return dns.name.Name((hashed.lower().encode(), *self.apex.labels))

    def _denier(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        """The denier at a name, or the one before it."""
        place = self._position(name)
        before = [owner for owner in self._deniers if owner <= place]
        owner = before[-1] if before else self._deniers[-1]
        return self._sets(owner, self.kind)

    def _no_data(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        if self.kind == NSEC or name == self.apex or self._position(name) in self._deniers:
            return self._denier(name)
        return _once(self._closer(name, name.parent()))

    def _shown(self, encloser: dns.name.Name) -> dns.name.Name:
        """The closest encloser that a denier can show: opt-out leaves some names without."""
        while (
            self.kind == NSEC3
            and encloser != self.apex
            and self._position(encloser) not in self._deniers
        ):
            encloser = encloser.parent()
        return encloser

    def _closer(self, name: dns.name.Name, encloser: dns.name.Name) -> list[dns.rrset.RRset]:
        """What shows the closest encloser that can be shown, and denies the name below it."""
        if self.kind == NSEC:
            return self._denier(name)
        encloser = self._shown(encloser)
        closer = dns.name.Name(name.labels[-len(encloser.labels) - 1 :])
        return [*self._denier(encloser), *self._denier(closer)]


def _rrset(owner: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    made = dns.rrset.RRset(owner, rdataset.rdclass, rdataset.rdtype, rdataset.covers)
    made.update(rdataset)
    return made


def _renamed(one: dns.rrset.RRset, name: dns.name.Name) -> dns.rrset.RRset:
    made = one.copy()
    made.name = name
    return made


def _once(rrsets: list[dns.rrset.RRset]) -> list[dns.rrset.RRset]:
    found = {(one.name, one.rdtype, one.covers): one for one in rrsets}
    return list(found.values())
