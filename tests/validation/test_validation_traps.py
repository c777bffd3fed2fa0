"""Hostile zones cost bounded work, counted in verifications and digests, and say limit-reached.

An honest zone in the same capture is judged as if it were alone.
"""

from __future__ import annotations

import hashlib
import random
import struct

import dns.dnssec
import dns.rdata
import pytest
from validation_world import Signer, World, said

from forensics import knowledge, limits
from forensics.knowledge import DelegationSigner, Key
from forensics.validation import checks, nsec3
from forensics.validation.denial import Claim, Denier, prove
from forensics.vocabulary import Status

HONEST = Signer("honest.", 256, 13)


def one_tag(count: int, tag: int, zone: str = "trap.") -> list[bytes]:
    """Make Ed25519 DNSKEYs of one tag (RFC 4034 appendix B), none with a known private half."""
    draw = random.Random(zone)
    keys = []
    while len(keys) < count:
        key = bytearray(struct.pack(">HBB", 256, 3, 15) + draw.randbytes(30) + b"\0\0")
        for _ in range(2):  # the carry may put it off by one
            now = knowledge.key_tag(bytes(key))
            last = int.from_bytes(key[-2:], "big")
            key[-2:] = ((last + tag - now) & 0xFFFF).to_bytes(2, "big")
        rdata = dns.rdata.from_wire("IN", "DNSKEY", bytes(key), 0, len(key))
        if dns.dnssec.key_id(rdata) == tag:
            keys.append(bytes(key))
    return keys


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many signatures were given to the cryptography, call by call."""
    counted: list[int] = []
    real = checks.verify_many

    def count(rdata, pairs):
        counted.append(len(pairs))
        return real(rdata, pairs)

    monkeypatch.setattr(checks, "verify_many", count)
    return counted


def trap(world: World, keys: int, signatures: int) -> list[int]:
    """A zone of many keys with one tag, and signatures that none of them made."""
    made = one_tag(keys, 4711)
    for place in range(3):
        world.serve("trap.", made[place::3], 0, 100, place=place)
    draw, signer = random.Random(1), Signer("trap.", 256, 15)
    numbers = []
    for number in range(signatures):
        row = world.sign(signer, f"{number}.trap.", tag=4711)
        world.rows[row]["octets"] = draw.randbytes(64)
        numbers.append(world.see(row, 50))
    return numbers


def honest(world: World) -> tuple[int, int]:
    """A zone with a good and a bad signature."""
    world.serve("honest.", [HONEST], 0, 100)
    good = world.see(world.sign(HONEST, "good.honest."), 50)
    bad = world.see(world.sign(HONEST, "bad.honest.", spoil=True), 50)
    return good, bad


def test_thousands_of_keys_of_one_tag(verifications: list[int]) -> None:
    """KeyTrap, CVE-2023-50387: 3,000 keys and 40 signatures would be 120,000 checks."""
    world = World()
    numbers = trap(world, 3000, 40)
    good, bad = honest(world)
    found = world.judge()
    assert sum(verifications) <= 40 * limits.KEYS_PER_TAG + 2
    assert {said(found, number, 50) for number in numbers} == {("indeterminate", "limit-reached")}
    assert said(found, good, 50) == ("valid", "none")
    assert said(found, bad, 50) == ("bogus", "signature-invalid")


def test_thousands_of_signatures_over_one_rrset(
    verifications: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SigJam: each of them fits the zone's key; the limit is made small as the world is."""
    most = 500
    monkeypatch.setattr(checks, "CHECKS_PER_ZONE", most)
    world = World()
    signer = Signer("jam.", 256, 15)
    world.serve("jam.", [signer], 0, 100)
    first = world.sign(signer)
    draw = random.Random(2)
    numbers = []
    for number in range(3000):
        octets = draw.randbytes(64)
        row = {**world.rows[first], "signature": len(world.rows), "octets": octets}
        row["signature_id"] = hashlib.sha256(b"jam" + octets).hexdigest()
        world.rows.append(row)
        numbers.append(world.see(len(world.rows) - 1, 40 + number / 100))
    good, bad = honest(world)
    found = world.judge()
    assert sum(verifications) <= most + 2
    told = [said(found, number, 40 + n / 100) for n, number in enumerate(numbers)]
    assert told.count(("indeterminate", "limit-reached")) >= 3000 - most
    assert set(told) == {("indeterminate", "limit-reached"), ("bogus", "signature-invalid")}
    assert [note.zone for note in found.notes if note.kind == "limit"] == ["jam."]
    assert said(found, good, 50) == ("valid", "none")
    assert said(found, bad, 50) == ("bogus", "signature-invalid")


def test_what_is_cut_does_not_hang_on_the_order_of_packets() -> None:
    outcomes = []
    for turned in (False, True):
        world = World()
        numbers = trap(world, 60, 5)
        if turned:
            world.runs.reverse()
            world.pairs.reverse()
        found = world.judge()
        outcomes.append([said(found, number, 50) for number in numbers])
    assert outcomes[0] == outcomes[1]


def test_as_many_ds_as_keys_of_one_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """HashTrap: 600 DS records and 600 keys of one tag would be 360,000 digests."""
    counted: list[int] = []
    real = Key.digest

    def count(self, kind):
        counted.append(kind)
        return real(self, kind)

    monkeypatch.setattr(Key, "digest", count)
    parent = Signer("parent.", 257, 13)
    draw = random.Random(3)
    ds = [struct.pack(">HBB", 4711, 15, 2) + draw.randbytes(32) for _ in range(600)]
    world = World()
    world.serve("parent.", [parent], 0, 100)
    world.see(world.sign_keys(parent, [parent]), 0, 100)
    child = "trap.parent."
    keys = one_tag(600, 4711, child)
    world.serve(child, keys, 0, 100)
    world.serve(child, ds, 0, 100, kind=43)
    world.see(world.sign_ds(parent, child, ds), 0, 100)
    signer = Signer(child, 256, 15)
    world.see(world.sign(signer, tag=4711), 50)
    good = world.see(world.sign(parent, "good.parent."), 50)
    found = world.judge([parent.anchor()])
    assert len(counted) <= 10 * len(keys)
    assert said(found, good, 50) == ("secure", "none")


def test_each_ds_still_finds_its_key_among_many_of_one_tag() -> None:
    keys = [Key("trap.", rdata) for rdata in one_tag(50, 4711)]
    for key in keys[:3]:
        for kind in (1, 2, 4):
            wanted = DelegationSigner(4711, 15, kind, key.digest(kind) or b"")
            assert [other for other in keys if other.matches(wanted)] == [key]


def test_nsec3_of_2500_iterations_costs_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2023-50868: beyond limits.NSEC3_ITERATIONS nothing is hashed (RFC 9276 3.2)."""
    hashes: list[bytes] = []
    real = nsec3.nsec3_hash

    def count(name, salt, iterations):
        hashes.append(name)
        return real(name, salt, iterations)

    monkeypatch.setattr(nsec3, "nsec3_hash", count)

    def proof(iterations: int):
        rdata = struct.pack(">BBHBB", 1, 0, iterations, 0, 20) + b"\xff" * 20
        owner = b"\x20" + b"0" * 32 + b"\x04trap\0"
        name = b"\x01a" * 100 + b"\x04trap\0"
        return prove(Claim.NAME_ERROR, name, 1, b"\x04trap\0", [Denier(owner, 50, rdata)])

    found = proof(2500)
    assert (found.reason, found.status) == ("nsec3-iterations", Status.INSECURE)
    assert hashes == []
    # The most that is followed: no more distinct names than there are on the way up.
    proof(limits.NSEC3_ITERATIONS)
    assert 0 < len(hashes) <= limits.NSEC3_HASHES
    assert len(set(hashes)) <= 2 * 102
