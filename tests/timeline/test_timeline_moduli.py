"""Recovering RSA keys that were never published, and not finding any where there is none."""

from __future__ import annotations

import hashlib
import random
import sys
from functools import cache

import dns.dnssec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from forensics.timeline import moduli
from forensics.timeline.moduli import Effort
from forensics.timeline.signers import Failing, dnskey, key_tag, recover

HASHES = {5: hashes.SHA1(), 7: hashes.SHA1(), 8: hashes.SHA256(), 10: hashes.SHA512()}


@cache
def key(label: str, bits: int = 512, exponent: int = 3) -> rsa.RSAPrivateKey:
    """A small key with a small exponent, made of the label: large ones take half a minute."""
    draw = random.Random(f"{label} {bits} {exponent}")
    while True:
        p, q = (_prime(draw, bits // 2, exponent) for _ in range(2))
        if p != q and (p * q).bit_length() == bits:
            break
    d = pow(exponent, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(exponent, p * q)
    ).private_key(unsafe_skip_rsa_key_validation=True)


def _prime(draw: random.Random, bits: int, exponent: int) -> int:
    while True:
        number = draw.getrandbits(bits) | 1 | 3 << (bits - 2)
        if number % exponent != 1 and all(
            pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11)
        ):
            return number


def little() -> Effort:
    """Too little work for the usual exponent, which takes seconds."""
    return Effort(left=10_000)


def tag_of(private: rsa.RSAPrivateKey, algorithm: int = 8) -> int:
    public = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=256)
    return dns.dnssec.key_id(public)


def failing(private, numbers, algorithm: int = 8, tag: int | None = None) -> list[Failing]:
    rows = []
    for number in numbers:
        data = b"signed data %d" % number
        octets = private.sign(data, padding.PKCS1v15(), HASHES[algorithm])
        ident = hashlib.sha256(data + octets).hexdigest()
        tag = tag_of(private, algorithm) if tag is None else tag
        rows.append(Failing(number, ident, tag, algorithm, data, octets))
    return rows


@pytest.mark.parametrize(("algorithm", "bits"), [(5, 512), (7, 640), (8, 768), (10, 1032)])
def test_a_modulus_comes_back_from_two_signatures(algorithm: int, bits: int) -> None:
    private = key("one", bits)
    (found,) = recover(failing(private, range(6), algorithm), little())
    oracle = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=256)
    assert found.rdata == oracle.to_wire()
    assert found.tag == dns.dnssec.key_id(oracle)
    assert found.signatures == tuple(range(6))


def test_the_usual_exponent() -> None:
    pytest.importorskip("gmpy2", reason="gmpy2 is not installed")
    private = key("usual", 512, 65_537)
    effort = Effort()
    (found,) = recover(failing(private, range(2)), effort)
    numbers = private.public_key().public_numbers()
    assert found.public_key == moduli.public_key(numbers.n, 65_537)
    assert effort.tried == 2  # the pair with each exponent
    assert effort.left == moduli.PAIR_OCTETS - 64 * (3 + 65_537)
    # Kept, it costs nothing the next time; and what was kept is believed only if it verifies.
    again = Effort(left=0, kept=dict(effort.kept))
    assert recover(failing(private, range(2)), again) == [found]
    forged = Effort(left=0, kept=dict.fromkeys(effort.kept, "c0ffee"))
    assert recover(failing(private, range(2)), forged) == []


def test_two_keys_with_one_tag_are_told_apart(monkeypatch) -> None:
    one, other = key("one"), key("other")
    tags = {one.public_key().public_numbers().n: 7, other.public_key().public_numbers().n: 7}
    monkeypatch.setattr(
        "forensics.timeline.signers.key_tag",
        lambda rdata: tags.get(int.from_bytes(rdata[-64:], "big"), 0),
    )
    rows = failing(one, range(5), tag=7) + failing(other, range(5, 8), tag=7)
    random.Random(1).shuffle(rows)
    found = recover(rows, little())
    assert [key.signatures for key in found] == [(0, 1, 2, 3, 4), (5, 6, 7)]


def test_signatures_that_nobody_made_give_nothing() -> None:
    rows = failing(key("one"), range(4))
    spoiled = [row._replace(octets=bytes([1, *row.octets[1:]])) for row in rows]
    assert recover(spoiled, little()) == []
    tiny = [row._replace(octets=b"\0" * 63 + b"\1") for row in rows]
    assert recover(tiny, little()) == []
    assert recover([row._replace(octets=b"") for row in rows], little()) == []
    other = [row._replace(tag=row.tag ^ 8) for row in rows]
    assert recover(other, little()) == []  # its DNSKEY would have another tag


def test_one_signature_alone_is_not_enough() -> None:
    assert recover(failing(key("one"), range(1))) == []


def test_the_budget_is_work_and_changes_only_the_claim() -> None:
    rows = failing(key("one"), range(3))
    assert recover(rows, Effort(left=64 * 3 - 1)) == []
    told: list[tuple[int, int]] = []
    effort = Effort(left=64 * 3, told=lambda tried, most: told.append((tried, most)))
    assert len(recover(rows, effort)) == 1
    assert told == [(1, 1)]


def test_without_gmpy2_small_numbers_are_still_done(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gmpy2", None)
    assert len(recover(failing(key("one"), range(3)))) == 1
    assert recover(failing(key("usual", 512, 65_537), range(3))) == []


def test_verification_is_cryptographys() -> None:
    private = key("one", 768)
    numbers = private.public_key().public_numbers()
    (row,) = failing(private, [5])
    assert moduli.verifies(numbers.n, 3, 8, row.signed_data, row.octets)
    assert not moduli.verifies(numbers.n, 3, 8, row.signed_data + b"x", row.octets)
    assert not moduli.verifies(numbers.n, 3, 8, row.signed_data, b"\0" + row.octets)
    assert key_tag(dnskey(256, 8, moduli.public_key(numbers.n, 3))) == tag_of(private)
