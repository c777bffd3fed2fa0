"""The health of healthy and mutated zones, against ldns, BIND's dnssec-verify and kzonecheck."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.zonefile
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

from forensics.rehearsal.denials import Denials
from forensics.rehearsal.finding import Level
from forensics.rehearsal.health import faults
from forensics.rehearsal.signing import Notary
from forensics.rehearsal.zonefile import read_zone

RECORDED = Path(__file__).resolve().parent / "recorded"
ORIGIN = dns.name.from_text("reg.test.")
BEGIN, END, AT = 1_793_491_200, 1_798_675_200, 1_795_870_800  # 1 Nov, 31 Dec, 28 Nov 2026
BASES = ("old", "nsec3", "nsec3-opt-out")
T = dns.rdatatype.RdataType


class Zone:
    """RRsets of a recorded zone with keys of our own, to be changed and signed anew."""

    def __init__(self, base: str, keys) -> None:
        text = (RECORDED / "zones" / f"{base}.zone").read_text()
        manager = dns.zonefile.RRSetsReaderManager(ORIGIN)
        with manager.writer(True) as writer:
            dns.zonefile.Reader(dns.tokenizer.Tokenizer(text), 1, writer).read()
        self.sets = {
            (r.name, r.rdtype): r for r in manager.rrsets if r.rdtype not in (T.RRSIG, T.DNSKEY)
        }
        self.ksk, self.zsk = keys
        self.sets[ORIGIN, T.DNSKEY] = dns.rrset.from_rdata_list(
            ORIGIN, 3600, [self.ksk[1], self.zsk[1]]
        )
        self.signatures: dict = {}

    def cuts(self):
        return {n for n, t in self.sets if t == T.NS and n != ORIGIN}

    def signable(self):
        cuts = self.cuts()
        stops = cuts | {n for n, t in self.sets if t == T.DNAME}
        return [
            (name, kind)
            for name, kind in sorted(self.sets)
            if not any(name != stop and name.is_subdomain(stop) for stop in stops)
            and (name not in cuts or kind in (T.DS, T.NSEC))
        ]

    def sign(self) -> None:
        for key in self.signable():
            private, record = self.ksk if key[1] == T.DNSKEY else self.zsk
            self.signatures[key] = dns.dnssec.sign(
                self.sets[key], private, ORIGIN, record, inception=BEGIN, expiration=END
            )

    def text(self) -> str:
        lines = [r.to_text() for r in self.sets.values()]
        lines += [
            f"{name} {self.sets[name, kind].ttl if (name, kind) in self.sets else 300} IN RRSIG "
            f"{signature.to_text()}"
            for (name, kind), signature in self.signatures.items()
        ]
        lines.sort(key=lambda line: " SOA " not in line or " RRSIG " in line)
        return "\n".join(lines) + "\n"


def pick(zone, chance, *kinds, apart=()):
    """Choose a signed RRset, of some types if any are named."""
    found = [k for k in zone.signable() if (not kinds or k[1] in kinds) and k[1] not in apart]
    return chance.choice(found)


def denying(zone):
    return T.NSEC3 if any(kind == T.NSEC3 for _, kind in zone.sets) else T.NSEC


def put(zone, name, ttl, kind, *texts):
    zone.sets[name, T[kind]] = dns.rrset.from_text_list(name, ttl, "IN", kind, list(texts))


# Before signing: the chain is wrong and rightly signed. The last word says whether it is healthy.


def drop_denier(zone, chance):
    del zone.sets[pick(zone, chance, denying(zone))]


def misdirect(zone, chance):
    """Let a record lead past the next one."""
    key = pick(zone, chance, denying(zone))
    others = [zone.sets[k][0] for k in zone.signable() if k[1] == key[1] and k != key]
    record = zone.sets[key][0]
    other = chance.choice([o for o in others if o.next != record.next])
    zone.sets[key] = dns.rrset.from_rdata(key[0], 300, record.replace(next=other.next))


def _with_types(record, change):
    words = record.to_text().split()
    fixed = 5 if record.rdtype == T.NSEC3 else 1
    types = change(words[fixed:])
    return dns.rdata.from_text("IN", record.rdtype, " ".join([*words[:fixed], *types]))


def deny_a_type(zone, chance):
    keys = [k for k in zone.signable() if k[1] == denying(zone)]
    keys = [k for k in keys if {"A", "TXT", "MX"} & set(zone.sets[k][0].to_text().split())]
    key = chance.choice(keys)
    gone = chance.choice(sorted({"A", "TXT", "MX"} & set(zone.sets[key][0].to_text().split())))
    record = _with_types(zone.sets[key][0], lambda types: [t for t in types if t != gone])
    zone.sets[key] = dns.rrset.from_rdata(key[0], 300, record)


def list_a_type(zone, chance):
    key = pick(zone, chance, denying(zone))
    record = _with_types(zone.sets[key][0], lambda types: [*types, "HINFO"])
    zone.sets[key] = dns.rrset.from_rdata(key[0], 300, record)


def add_a_name(zone, chance):
    name = dns.name.from_text(f"added{chance.randrange(999)}", ORIGIN)
    put(zone, name, 600, "A", "192.0.2.99")


def add_a_type(zone, chance):
    name = pick(zone, chance, T.A, T.AAAA)[0]
    put(zone, name, 600, "HINFO", '"a" "b"')


def add_an_unsigned_delegation(zone, chance):
    name = dns.name.from_text(f"cut{chance.randrange(999)}", ORIGIN)
    put(zone, name, 600, "NS", "ns.elsewhere.example.")


def drop_a_name(zone, chance):
    name = chance.choice([n for n, t in zone.signable() if t in (T.A, T.TXT) and n != ORIGIN])
    for key in [k for k in zone.sets if k[0] == name and k[1] not in (T.NSEC, T.NSEC3)]:
        del zone.sets[key]


def glue_changes(zone, _chance):
    put(zone, dns.name.from_text("ns1.signed", ORIGIN), 600, "A", "192.0.2.200")


def another_server(zone, _chance):
    put(zone, dns.name.from_text("plain", ORIGIN), 600, "NS", "ns.other.example.")


def nothing(_zone, _chance):
    pass


def drop_parameters(zone, _chance):
    zone.sets.pop((ORIGIN, T.NSEC3PARAM), None)


# After signing: the signatures are wrong.


def drop_signature(zone, chance):
    del zone.signatures[pick(zone, chance)]


def spoil_signature(zone, chance):
    key = pick(zone, chance)
    old = zone.signatures[key]
    octets = bytearray(old.signature)
    octets[chance.randrange(64)] ^= 1 << chance.randrange(8)
    zone.signatures[key] = old.replace(signature=bytes(octets))


def change_data(zone, chance):
    name, _ = pick(zone, chance, T.A)
    put(zone, name, 600, "A", "192.0.2.77")


def unsigned_record(zone, chance):
    key = pick(zone, chance, T.TXT, T.MX, T.A)
    del zone.signatures[key]
    zone.signatures.pop(key, None)


def withdraw_zsk(zone, _chance):
    private, record = zone.ksk
    zone.sets[ORIGIN, T.DNSKEY] = dns.rrset.from_rdata_list(ORIGIN, 3600, [record])
    zone.signatures[ORIGIN, T.DNSKEY] = dns.dnssec.sign(
        zone.sets[ORIGIN, T.DNSKEY], private, ORIGIN, record, inception=BEGIN, expiration=END
    )


def _window(zone, chance, begin, end):
    key = pick(zone, chance)
    private, record = zone.ksk if key[1] == T.DNSKEY else zone.zsk
    zone.signatures[key] = dns.dnssec.sign(
        zone.sets[key], private, ORIGIN, record, inception=begin, expiration=end
    )


def expire(zone, chance):
    _window(zone, chance, BEGIN, AT - 60)


def come_early(zone, chance):
    _window(zone, chance, AT + 3600, END)


def another_key(zone, chance):
    private = ec.generate_private_key(ec.SECP256R1())
    record = dns.dnssec.make_dnskey(private.public_key(), Algorithm.ECDSAP256SHA256, 256)
    key = pick(zone, chance, apart=(T.DNSKEY,))
    made = dns.dnssec.sign(zone.sets[key], private, ORIGIN, record, inception=BEGIN, expiration=END)
    tag = zone.signatures[key].key_tag
    zone.signatures[key] = made.replace(key_tag=tag) if chance.random() < 0.5 else made


BEFORE = (
    drop_denier,
    misdirect,
    deny_a_type,
    list_a_type,
    add_a_name,
    add_a_type,
    add_an_unsigned_delegation,
    drop_a_name,
    glue_changes,
    another_server,
    nothing,
    drop_parameters,
)
AFTER = (
    drop_signature,
    spoil_signature,
    change_data,
    unsigned_record,
    withdraw_zsk,
    expire,
    come_early,
    another_key,
)


@pytest.fixture(scope="module")
def keys():
    made = []
    for flags in (257, 256):
        private = ec.generate_private_key(ec.SECP256R1())
        made.append(
            (
                private,
                dns.dnssec.make_dnskey(private.public_key(), Algorithm.ECDSAP256SHA256, flags),
            )
        )
    return made


def ours(path: Path) -> set[str]:
    zone = read_zone(path)
    found = faults(zone, Denials(zone), Notary(zone, zone.keys), AT * 10**9, None)
    return {one.reason for one in found if one.level is Level.REFUSE}


def tool(*words: str) -> tuple[bool, str]:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


TOOLS = {
    "ldns-verify-zone": ("ldns-verify-zone", "-t", "20261128130000"),
    "kzonecheck": ("kzonecheck", "-o", "reg.test.", "-t", str(AT), "-d", "on"),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("mutation", [*BEFORE, *AFTER], ids=lambda m: m.__name__)
def test_health_agrees_with_independent_tools(base, mutation, keys, tmp_path):
    for name in TOOLS:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    chance = random.Random(f"{base} {mutation.__name__}")
    zone = Zone(base, keys)
    if mutation in BEFORE:
        mutation(zone, chance)
    zone.sign()
    if mutation in AFTER:
        mutation(zone, chance)
    path = tmp_path / "zone"
    path.write_text(zone.text())
    found = ours(path)
    told = {name: tool(*words, str(path)) for name, words in TOOLS.items()}
    # ldns does not look at bitmaps, Knot does: what either refuses is refused.
    assert bool(found) is not all(good for good, _ in told.values()), (found, told)
