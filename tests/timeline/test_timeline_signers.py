"""Recovering keys that were never published, with keys and signatures made here."""

from __future__ import annotations

import random

import dns.dnssec
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from timeline_scene import DNSKEY, KSK, SOA, Scene, rdata

from forensics.timeline.signers import Failing, dnskey, key_tag, recover
from forensics.timeline.story import tell

CURVES = {13: (ec.SECP256R1(), hashes.SHA256(), 32), 14: (ec.SECP384R1(), hashes.SHA384(), 48)}


def make_key(algorithm: int, secret: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A key, and its DNSKEY public key field (RFC 6605 4)."""
    key = ec.derive_private_key(secret, CURVES[algorithm][0])
    numbers = key.public_key().public_numbers()
    size = CURVES[algorithm][2]
    return key, numbers.x.to_bytes(size) + numbers.y.to_bytes(size)


def make_signature(key: ec.EllipticCurvePrivateKey, algorithm: int, data: bytes) -> bytes:
    _, method, size = CURVES[algorithm]
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(method)))
    return r.to_bytes(size) + s.to_bytes(size)


def failing(key, algorithm: int, tag: int, numbers: range) -> list[Failing]:
    rows = []
    for number in numbers:
        data = b"signed %d" % number
        octets = make_signature(key, algorithm, data)
        rows.append(Failing(number, f"{number:064x}", tag, algorithm, data, octets))
    return rows


@pytest.mark.parametrize("algorithm", [13, 14])
@pytest.mark.parametrize("flags", [256, 257])
def test_key_tag_is_dnspythons(algorithm: int, flags: int) -> None:
    _, public = make_key(algorithm, 4711)
    data = dnskey(flags, algorithm, public)
    oracle = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, data, 0, len(data))
    assert key_tag(data) == dns.dnssec.key_id(oracle)


@pytest.mark.parametrize("algorithm", [13, 14])
def test_one_key_is_recovered(algorithm: int) -> None:
    key, public = make_key(algorithm, 12345)
    tag = key_tag(dnskey(256, algorithm, public))
    (found,) = recover(failing(key, algorithm, tag, range(5)))
    assert found.public_key == public
    assert (found.tag, found.algorithm, found.flags) == (tag, algorithm, 256)
    assert found.signatures == (0, 1, 2, 3, 4)


def colliding(count: int) -> tuple[int, list[tuple[ec.EllipticCurvePrivateKey, bytes]]]:
    """Some P-256 keys with one key tag, by trying."""
    base, secret = ec.SECP256R1(), 1
    del base
    held: dict[int, list] = {}
    while True:
        secret += 1
        key, public = make_key(13, secret)
        tag = key_tag(dnskey(256, 13, public))
        held.setdefault(tag, []).append((key, public))
        if len(held[tag]) == count:
            return tag, held[tag]


def test_two_keys_under_one_tag_are_told_apart_in_any_order() -> None:
    tag, ((one, public_one), (two, public_two)) = colliding(2)
    rows = failing(one, 13, tag, range(7)) + failing(two, 13, tag, range(10, 14))
    expected = [(public_one, tuple(range(7))), (public_two, (10, 11, 12, 13))]
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        assert [(key.public_key, key.signatures) for key in recover(rows)] == expected


def test_another_tag_or_corruption_recovers_nothing() -> None:
    key, public = make_key(13, 99)
    tag = key_tag(dnskey(256, 13, public))
    assert recover(failing(key, 13, (tag + 5) & 0xFFFF, range(4))) == []
    rows = failing(key, 13, tag, range(4))
    flipped = [row._replace(octets=bytes([row.octets[0] ^ 1]) + row.octets[1:]) for row in rows]
    assert recover(flipped) == []
    for octets in (b"", b"\0" * 64, b"\xff" * 64, b"x" * 63):
        assert recover([row._replace(octets=octets) for row in rows]) == []
    assert recover([row._replace(algorithm=15) for row in rows]) == []


def test_a_lone_signature_counts_only_among_few() -> None:
    key, public = make_key(13, 99)
    tag = key_tag(dnskey(256, 13, public))
    lone = failing(key, 13, tag, range(1))
    assert [found.signatures for found in recover(lone)] == [(0,)]
    noise = [
        row._replace(signature=100 + n, signature_id=f"f{n:063x}", octets=b"\0" * 64)
        for n, row in enumerate(lone * 30)
    ]
    assert recover(lone + noise) == []


def test_incident_names_published_and_recovered_signers_of_one_tag() -> None:
    """The .de mechanism: one tag, one published key, two that never were."""
    tag, keys = colliding(3)
    (_, published), (one, _), (two, _) = keys
    scene = Scene()
    place = scene.place("192.0.2.1")
    zsk = dnskey(256, 13, published)
    scene.keys("de.", DNSKEY, place, 1, 90, [KSK, zsk], [2222, tag])
    for number in range(9):
        key = (None, one, two)[number % 3]
        data = b"soa %d" % number
        options = {"algorithm": 13, "serial": number + 1, "inception": number, "data": data}
        if key is None:
            signature = scene.good("de.", SOA, "de.", tag, **options)
            scene.check(signature, zsk, tag, verifies=True)
        else:
            options["octets"] = make_signature(key, 13, data)
            signature = scene.bad("de.", SOA, "de.", tag, **options)
            scene.check(signature, zsk, tag, verifies=False)
        scene.see(signature, 10 * number, place, serial=number + 1)
    (incident,) = tell(scene.evidence()).incidents
    assert [
        (row["tag"], row["published"], row["recovered"], row["signatures"])
        for row in incident["signers"]
    ] == [(tag, False, True, 3), (tag, False, True, 3)]
    assert (tag, True) in {(row["tag"], row["published"]) for row in incident["keys"]}
    assert "flapping" in {row["kind"] for row in incident["patterns"]}


def test_expired_signature_was_made_by_the_published_key() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    zsk = rdata(256, 8, "zsk")
    scene.keys("mm.", DNSKEY, place, 1, 90, [KSK, zsk], [2222, 1111])
    signature = scene.bad("mm.", SOA, "mm.", 1111, reason="signature-expired", expiration=0)
    scene.check(signature, zsk, 1111, verifies=True)
    scene.see(scene.good(".", SOA, "."), 1, place)
    scene.see(signature, 10, place)
    scene.see(signature, 20, place)
    (incident,) = tell(scene.evidence()).incidents
    (signer,) = incident["signers"]
    assert (signer["tag"], signer["published"], signer["recovered"]) == (1111, True, False)
    assert all(key["published"] for key in incident["keys"])
