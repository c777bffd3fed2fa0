"""Zones of three signers in every algorithm, then mutated: verdicts held against other validators.

Each remaining disagreement stands in validator_differences.toml with its reason; the list is part
of the test: a disagreement that is not in it fails, and so does an entry that no longer occurs.
"""

from __future__ import annotations

import random
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.name
import dns.rdataset
import dns.rdatatype
import dns.rrset
import pytest
from signing_tools import ALGORITHMS, NOW, ORIGIN, SIGNERS, load, missing, sign
from validation_world import World, said

DIFFERENCES = tomllib.loads(
    (Path(__file__).parent / "validator_differences.toml").read_text(encoding="utf-8")
)["difference"]
APEX = dns.name.from_text(ORIGIN)
DAY = 86_400
UNVERIFIED = {"signature-invalid", "dnskey-missing", "signature-malformed", "zone-key-bit-unset"}
"""What we tell apart where dnspython only says that nothing verified."""

SETTINGS = [
    (signer, algorithm, denial)
    for number, algorithm in enumerate(ALGORITHMS)
    for place, signer in enumerate(SIGNERS)
    for denial in (("nsec", "nsec3", "opt-out")[(number + place) % 3],)
    if (algorithm, denial) != (5, "nsec3") and (algorithm, denial) != (5, "opt-out")
]
"""Every signer in every algorithm; the kinds of denial take turns (RSASHA1 has no NSEC3)."""


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    """Signed zones by setting, each made once."""
    made: dict[tuple[str, int, str], Path] = {}

    def zone(signer: str, algorithm: int, denial: str) -> Path:
        if missing(SIGNERS[signer][0]):
            pytest.skip(f"{SIGNERS[signer][0]} is not installed")
        key = signer, algorithm, denial
        if key not in made:
            made[key] = sign(*key, tmp_path_factory.mktemp("zone"))
        return made[key]

    return zone


def signed_sets(zone) -> list[tuple[dns.rrset.RRset, object]]:
    """Each RRset with one RRSIG of it, in order."""
    found = []
    for name in sorted(zone.nodes):
        node = zone.nodes[name]
        for rdataset in node.rdatasets:
            if rdataset.rdtype != dns.rdatatype.RRSIG:
                continue
            covered = node.get_rdataset(zone.rdclass, rdataset.covers)
            if covered is None:
                continue
            rrset = dns.rrset.from_rdata_list(name, covered.ttl, list(covered))
            found += [(rrset, rrsig) for rrsig in sorted(rdataset)]
    return sorted(found, key=lambda item: (item[0].name, item[0].rdtype, item[1].key_tag))


def flipped(number: int, bits: int, draw: random.Random) -> int:
    return number ^ 1 << draw.randrange(bits)


def mutants(rrset, rrsig, others, draw) -> Iterator[tuple[str, object, object, int]]:
    """(what was done, RRset, RRSIG, seconds from NOW)."""
    yield "nothing", rrset, rrsig, 0
    yield "late", rrset, rrsig, 400 * DAY
    yield "early", rrset, rrsig, -400 * DAY
    yield "labels", rrset, rrsig.replace(labels=rrsig.labels ^ 1), 0
    yield (
        "original ttl",
        rrset,
        rrsig.replace(original_ttl=flipped(rrsig.original_ttl, 31, draw)),
        0,
    )
    # The low bits: a validity period of decades is another question.
    yield "expiration", rrset, rrsig.replace(expiration=flipped(rrsig.expiration, 16, draw)), 0
    yield "inception", rrset, rrsig.replace(inception=flipped(rrsig.inception, 16, draw)), 0
    yield "key tag", rrset, rrsig.replace(key_tag=flipped(rrsig.key_tag, 16, draw)), 0
    octets = bytearray(rrsig.signature)
    octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
    yield "signature", rrset, rrsig.replace(signature=bytes(octets)), 0
    yield "signature cut", rrset, rrsig.replace(signature=rrsig.signature[:-1]), 0
    yield "signature longer", rrset, rrsig.replace(signature=rrsig.signature + b"\0"), 0
    yield "signature of zeros", rrset, rrsig.replace(signature=bytes(len(octets))), 0
    yield "ttl", dns.rrset.from_rdata_list(rrset.name, rrset.ttl // 2, list(rrset)), rrsig, 0
    upper = dns.name.Name(tuple(label.upper() for label in rrset.name.labels))
    yield "upper case", dns.rrset.from_rdata_list(upper, rrset.ttl, list(rrset)), rrsig, 0
    records = list(rrset)
    yield "order", dns.rrset.from_rdata_list(rrset.name, rrset.ttl, records[::-1]), rrsig, 0
    if len(records) > 1:
        yield (
            "record dropped",
            dns.rrset.from_rdata_list(rrset.name, rrset.ttl, records[1:]),
            rrsig,
            0,
        )
    same = [other for other, _ in others if other.rdtype == rrset.rdtype and other != rrset]
    if same:
        swapped = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, list(draw.choice(same)))
        yield "records of another name", swapped, rrsig, 0
    foreign = [sig for _, sig in others if sig.type_covered == rrsig.type_covered and sig != rrsig]
    if foreign:
        yield (
            "signature of another",
            rrset,
            rrsig.replace(signature=draw.choice(foreign).signature),
            0,
        )


def dnspythons_word(rrset, rrsig, keys, when: int) -> str:
    """What dnspython says, in our words."""
    try:
        dns.dnssec.validate_rrsig(rrset, rrsig, {APEX: keys}, now=NOW + when)
    except dns.exception.DNSException as error:
        text = str(error)
    except (ValueError, IndexError) as error:  # it trips over some octets
        text = f"verify failure {type(error).__name__}"
    else:
        return "valid"
    for word, reason in (
        ("expired", "signature-expired"), ("not yet valid", "signature-not-yet-valid"),
        ("unknown key", "unverified"), ("verify failure", "unverified"), ("label", "unverified"),
    ):  # fmt: skip
        if word in text:
            return reason
    raise AssertionError(f"dnspython says {text!r}")


def signed_data(rrset, rrsig) -> bytes:
    try:
        return dns.dnssec._make_rrsig_signature_data(rrset, rrsig)
    except dns.exception.DNSException:
        return b""  # more labels than the name has


def compared(zone, keys, kinds: dict[tuple[str, str, str, str], int], seed: str) -> int:
    """Judge every mutant of a zone by our code and dnspython; count disagreements by kind."""
    draw = random.Random(seed)
    sets = signed_sets(zone)
    world = World()
    world.rows, cases = [], []
    for rrset, rrsig in sets:
        for what, records, signature, when in mutants(rrset, rrsig, sets, draw):
            data = signed_data(records, signature)
            number = world.row(records, signature, data, signature.signature)
            world.see(number, when)
            cases.append((what, records, signature, when, number))
    world.serve(ORIGIN, [key.to_wire() for key in keys], -500 * DAY, 500 * DAY)
    found = world.judge()
    for what, records, signature, when, number in cases:
        status, reason = said(found, number, when)
        ours = "valid" if status == "valid" else reason
        theirs = dnspythons_word(records, signature, keys, when)
        if ours != theirs and not (theirs == "unverified" and ours in UNVERIFIED):
            kind = ("dnspython", what, ours, theirs)
            kinds[kind] = kinds.get(kind, 0) + 1
    return len(cases)


def listed(oracle: str) -> dict[tuple[str, str, str, str], str]:
    return {
        (row["oracle"], row["mutation"], row["ours"], row["theirs"]): row["why"]
        for row in DIFFERENCES
        if row["oracle"] == oracle
    }


def test_dnspython_agrees_on_every_mutant_but_those_listed(zones) -> None:
    kinds: dict[tuple[str, str, str, str], int] = {}
    count = 0
    for setting in SETTINGS:
        zone = load(zones(*setting))
        keys = zone.get_rdataset(APEX, "DNSKEY")
        count += compared(zone, keys, kinds, str(setting))
    assert count > 4_000
    assert set(kinds) == set(listed("dnspython"))
    assert all(listed("dnspython").values())


def test_keys_exchanged(zones) -> None:
    """Another zone's keys, flags that make a key unfit, a key list without one of them."""
    for algorithm in (8, 13, 15):
        zone = load(zones("ldns", algorithm, "nsec"))
        other = load(zones("bind", algorithm, "nsec3")) if algorithm != 15 else zone
        keys = list(zone.get_rdataset(APEX, "DNSKEY"))
        rrset, rrsig = next(item for item in signed_sets(zone) if item[0].rdtype == 1)
        (maker,) = [key for key in keys if dns.dnssec.key_id(key) == rrsig.key_tag]
        rest = [key for key in keys if key != maker]
        cases = {
            "valid": keys,
            "dnskey-missing": rest,
            "without its bit": [*rest, maker.replace(flags=0)],
        }
        if other is not zone:
            cases["another's"] = list(other.get_rdataset(APEX, "DNSKEY"))
        for expected, held in cases.items():
            world = World()
            number = world.row(rrset, rrsig, signed_data(rrset, rrsig), rrsig.signature)
            world.see(number, 0)
            world.serve(ORIGIN, [key.to_wire() for key in held], -5, 5)
            status, reason = said(world.judge(), number, 0)
            rdataset = dns.rdataset.from_rdata_list(3600, held)
            theirs = dnspythons_word(rrset, rrsig, rdataset, 0)
            assert (status == "valid") == (theirs == "valid") == (expected == "valid")
            if expected != "valid":  # without the Zone Key bit a key has another tag, too
                assert (reason, theirs) == ("dnskey-missing", "unverified")


def verify_words(tool: str, path: Path, when: int, origin: str = ORIGIN) -> list[str]:
    """The command that verifies a zone at a time."""
    return {
        "ldns-verify-zone": ["ldns-verify-zone", "-V", "1", "-t", _text(when), str(path)],
        "kzonecheck": ["kzonecheck", "-t", str(when), "-o", origin, str(path)],
    }[tool]


def verify(tool: str, path: Path, when: int) -> bool:
    """Whether a zone verifier accepts the zone at a time."""
    words = verify_words(tool, path, when)
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0


def _text(when: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(when, UTC).strftime("%Y%m%d%H%M%S")


def ours(zone, when: int) -> bool:
    """Whether every signature of the zone is valid at a time, by our code."""
    world = World()
    numbers = []
    for rrset, rrsig in signed_sets(zone):
        number = world.row(rrset, rrsig, signed_data(rrset, rrsig), rrsig.signature)
        numbers.append(world.see(number, when - NOW))
    keys = zone.get_rdataset(APEX, "DNSKEY")
    world.serve(ORIGIN, [key.to_wire() for key in keys], when - NOW)
    found = world.judge()
    return all(said(found, number, when - NOW)[0] == "valid" for number in numbers)


def zone_mutants(zone, draw) -> Iterator[tuple[str, int]]:
    """Change a zone in place, one thing at a time, and put it back."""
    yield "nothing", NOW
    yield "late", NOW + 400 * DAY
    yield "early", NOW - 400 * DAY
    sets = [item for item in signed_sets(zone) if item[0].rdtype in {1, 28}]
    for what in ("signature", "data", "original ttl", "signature", "data"):
        rrset, rrsig = draw.choice(sets)
        node = zone.nodes[rrset.name]
        signatures = node.get_rdataset(zone.rdclass, dns.rdatatype.RRSIG, rrset.rdtype)
        records = node.get_rdataset(zone.rdclass, rrset.rdtype)
        kept = list(signatures), list(records)
        if what == "signature":
            octets = bytearray(rrsig.signature)
            octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
            changed = rrsig.replace(signature=bytes(octets))
            _refill(signatures, [changed if sig == rrsig else sig for sig in kept[0]])
        elif what == "original ttl":
            changed = rrsig.replace(original_ttl=rrsig.original_ttl + 1)
            _refill(signatures, [changed if sig == rrsig else sig for sig in kept[0]])
        else:
            wire = bytearray(kept[1][0].to_wire())
            wire[-1] ^= 1
            changed = dns.rdata.from_wire(1, rrset.rdtype, bytes(wire), 0, len(wire))
            _refill(records, [changed, *kept[1][1:]])
        yield what, NOW
        _refill(signatures, kept[0])
        _refill(records, kept[1])


def _refill(rdataset, records) -> None:
    ttl = rdataset.ttl
    rdataset.clear()
    for record in records:
        rdataset.add(record, ttl)


@pytest.mark.parametrize("tool", ["ldns-verify-zone", "kzonecheck"])
def test_zone_verifiers_agree(tool: str, zones, tmp_path) -> None:
    if missing(tool):
        pytest.skip(f"{tool} is not installed")
    kinds = set()
    for number, setting in enumerate(SETTINGS):
        zone = load(zones(*setting))
        path = tmp_path / "zone"
        for what, when in zone_mutants(zone, random.Random(number)):
            zone.to_file(str(path), relativize=False)
            mine, theirs = ours(zone, when), verify(tool, path, when)
            if mine != theirs:
                algorithm = setting[1]
                kinds.add((tool, what, _word(mine), f"{_word(theirs)} in algorithm {algorithm}"))
    assert kinds == set(listed(tool))


def _word(is_valid: bool) -> str:
    return "valid" if is_valid else "bogus"
