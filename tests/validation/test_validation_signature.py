"""Cryptography: every algorithm, hostile keys and signatures, limits, and the oracle."""

from __future__ import annotations

from typing import ClassVar

import dns.dnssec
import dns.name
import dns.rdata
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validation_world import NOW, Signer, World, said

from forensics import limits
from forensics.keyring import view
from forensics.validation import checks
from forensics.validation.signature import verify_many

ALGORITHMS = (5, 7, 8, 10, 13, 14, 15, 16)
SIGNERS = {number: Signer("example.", 256, number) for number in ALGORITHMS}


def signed(number: int) -> tuple[bytes, bytes, bytes]:
    world = World()
    world.sign(SIGNERS[number])
    return SIGNERS[number].rdata, world.rows[0]["signed_data"], world.rows[0]["octets"]


SIGNED = {number: signed(number) for number in ALGORITHMS}


@pytest.mark.parametrize("number", ALGORITHMS)
def test_each_algorithm_verifies_its_own_and_nothing_else(number: int) -> None:
    rdata, data, octets = SIGNED[number]
    assert verify_many(rdata, [(data, octets), (data + b"x", octets)]) == [True, False]
    for other in ALGORITHMS:
        if other != number:
            assert verify_many(rdata, [(SIGNED[other][1], SIGNED[other][2])]) == [False]


@given(st.sampled_from(ALGORITHMS), st.data())
@settings(max_examples=300, deadline=None)
def test_one_flipped_bit_is_never_valid(number: int, data: st.DataObject) -> None:
    rdata, message, octets = SIGNED[number]
    in_data = data.draw(st.booleans())
    target = bytearray(message if in_data else octets)
    bit = data.draw(st.integers(0, 8 * len(target) - 1))
    target[bit // 8] ^= 1 << bit % 8
    pair = (bytes(target), octets) if in_data else (message, bytes(target))
    assert verify_many(rdata, [pair]) == [False]


@given(
    st.integers(0, 255),
    st.one_of(st.binary(max_size=300), st.sampled_from([SIGNED[n][0][4:] for n in ALGORITHMS])),
    st.one_of(st.binary(max_size=300), st.sampled_from([SIGNED[n][2] for n in ALGORITHMS])),
)
@settings(max_examples=400, deadline=None)
def test_no_key_and_no_signature_raises(number: int, material: bytes, octets: bytes) -> None:
    known = {(SIGNED[n][0][3], SIGNED[n][0][4:]): SIGNED[n] for n in ALGORITHMS}
    genuine = known.get((number, material))
    result = verify_many(b"\1\0\3" + bytes([number]) + material, [(b"data", octets)])
    assert result == [False]
    if genuine:
        assert verify_many(genuine[0], [genuine[1:]]) == [True]


@pytest.mark.parametrize(
    "material",
    [
        b"",
        b"\0",
        b"\0\0\0",
        b"\1\1" + b"\xff" * 128,  # exponent 1
        b"\1\2" + b"\xff" * 128,  # even exponent
        b"\0\1\0" + b"\3" * 256 + b"\xff" * 512,  # exponent of 2048 bits
        b"\1\3" + b"\xff" * 128 + b"\xfe",  # even modulus
        b"\1\3" + b"\xff" * 2048,  # modulus of 16384 bits
        b"\1\3\7",
        b"\xff\1",
    ],
)
def test_odd_rsa_keys_verify_nothing(material: bytes) -> None:
    for size in (0, 1, 64, 128, 512):
        assert verify_many(b"\1\0\3\10" + material, [(b"", bytes(size))]) == [False]


def test_rsa_keys_with_long_exponents_and_few_bits_verify() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = rsa.generate_private_key(3, 1024)
    numbers = private.public_key().public_numbers()
    modulus = numbers.n.to_bytes(128, "big")
    octets = private.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
    # RFC 3110 2: the exponent's length in one octet, or in three.
    for material in (b"\1\3" + modulus, b"\0\0\1\3" + modulus):
        assert verify_many(b"\1\0\3\10" + material, [(b"data", octets)]) == [True]


@pytest.mark.parametrize("number", [5, 7, 8, 10])
def test_rsa_accepts_no_block_but_the_one_that_the_rfc_names(number: int) -> None:
    """RFC 8017 8.2.2 and 9.2: what a sloppy reading lets pass, of our reading and the library's.

    Each block is signed with the private exponent itself, so that nothing but the check of its
    form can refuse it (CVE-2006-4339 and its kin).
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = rsa.generate_private_key(65537, 1024)
    numbers = private.private_numbers()
    modulus = numbers.public_numbers.n
    digest: hashes.HashAlgorithm = {8: hashes.SHA256(), 10: hashes.SHA512()}.get(
        number,
        hashes.SHA1(),
    )
    hashed = hashes.Hash(digest)
    hashed.update(b"data")
    value = hashed.finalize()
    named = {
        5: bytes.fromhex("2b0e03021a"),
        7: bytes.fromhex("2b0e03021a"),
        8: bytes.fromhex("608648016503040201"),
        10: bytes.fromhex("608648016503040203"),
    }[number]

    def element(tag: int, content: bytes) -> bytes:
        return bytes((tag, len(content))) + content

    algorithm = element(0x30, element(6, named) + element(5, b""))
    right = element(0x30, algorithm + element(4, value))
    bare = element(0x30, element(0x30, element(6, named)) + element(4, value))
    long_form = b"\x30\x81" + right[1:]

    def block(content: bytes, first: bytes = b"\0\1", fill: int = 0xFF) -> bytes:
        return first + bytes([fill]) * (128 - len(first) - 1 - len(content)) + b"\0" + content

    blocks = {
        "right": block(right),
        "no parameters": block(bare),
        "length in long form": block(long_form),
        "something behind": block(right + b"\0"),
        "something behind, little padding": (b"\0\1" + b"\xff" * 8 + b"\0" + right).ljust(
            128, b"\1"
        ),
        "padding of zeros": block(right, fill=0),
        "padding for encryption": block(right, first=b"\0\2"),
        "digest alone": block(value),
        "another digest": block(right[:-1] + bytes([right[-1] ^ 1])),
        "cut digest": block(right[:-1]),
        "nothing": block(b""),
        "no padding at all": right.rjust(128, b"\0"),
    }
    material = b"\1\0\3" + bytes([number]) + b"\3\1\0\1" + modulus.to_bytes(128, "big")
    for name, octets in blocks.items():
        made = pow(int.from_bytes(octets, "big"), numbers.d, modulus).to_bytes(128, "big")
        try:
            private.public_key().verify(made, b"data", padding.PKCS1v15(), digest)
            library = True
        except InvalidSignature:
            library = False
        assert library == (name == "right"), name
        assert verify_many(material, [(b"data", made)]) == [name == "right"], name
        if name == "right":
            number_of = int.from_bytes(made, "big") + modulus
            wider = number_of.to_bytes(129, "big")
            for other in (b"\0" + made, made + b"\0", made[1:], wider, wider[-128:]):
                assert verify_many(material, [(b"data", other)]) == [False]


def test_the_oracle_agrees_on_every_outcome() -> None:
    """dns.dnssec.validate_rrsig, with the clock as an argument, over all it can express."""
    good, stranger = SIGNERS[13], Signer("example.")
    world = World()
    world.serve("example.", [good], -(10**6), 10**6)
    numbers = [
        world.sign(good),
        world.sign(good, spoil=True),
        world.sign(stranger, tag=good.tag),
        world.sign(stranger),
        world.sign(good, expiration=-5),
        world.sign(good, inception=5, expiration=10),
        world.sign(good, "deep.a.example.", "TXT", ("one", "two")),
    ]
    for number in numbers:
        world.see(number, -100, 100)
    found = world.judge()
    keys = {dns.name.from_text("example."): dns.rrset.from_rdata("example.", 60, good.dnskey)}
    outcomes = set()
    for number in numbers:
        row = world.rows[number]
        rrset, rrsig = _from_signed(row)
        for second in (-100, -6, -5, -4, 0, 4, 5, 6, 10, 11, 100):
            try:
                dns.dnssec.validate_rrsig(rrset, rrsig, keys, now=NOW + second)
                expected = "valid"
            except dns.dnssec.ValidationFailure:
                expected = "bogus"
            assert said(found, number, second)[0] == expected
            outcomes.add((number, expected))
    assert len(outcomes) > len(numbers)


def _from_signed(row: dict):
    """Read RRset and RRSIG back from the signed data with dnspython alone."""
    data = row["signed_data"]
    header = 18 + len(dns.name.from_text(row["signer"]).to_wire())
    rdata = data[:header] + row["octets"]
    rrsig = dns.rdata.from_wire("IN", "RRSIG", rdata, 0, len(rdata))
    rrset = dns.rrset.RRset(dns.name.from_text(row["owner"]), 1, row["type"])
    rrset.ttl = row["original_ttl"]
    at = header
    while at < len(data):
        while data[at]:
            at += 1 + data[at]
        size = int.from_bytes(data[at + 9 : at + 11], "big")
        rrset.add(dns.rdata.from_wire("IN", row["type"], data, at + 11, size))
        at += 11 + size
    return rrset, rrsig


def test_limits_cut_by_digest_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS_PER_ZONE", 3)
    assert limits.CHECKS_PER_ZONE > 3
    signer = SIGNERS[13]
    world = World()
    world.serve("example.", [signer], 0, 100)
    numbers = [
        world.see(world.sign(signer, f"{n}.example.", spoil=n % 2 == 0), 50) for n in range(8)
    ]
    found = world.judge()
    by_digest = sorted(numbers, key=lambda n: world.rows[n]["signature_id"])
    assert found.checks["signature"].to_pylist() == sorted(by_digest[:3])
    assert all(said(found, n, 50) == ("indeterminate", "limit-reached") for n in by_digest[3:])
    assert all(said(found, n, 50)[1] != "limit-reached" for n in by_digest[:3])
    assert [note.kind for note in found.notes] == ["limit"]


def test_too_many_keys_of_one_tag_leave_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "KEYS_PER_TAG", 1)
    # Swapping two octets at even distance changes the key, and leaves its tag alone.
    rdata = SIGNERS[15].rdata
    twisted = [rdata]
    for first in range(4, 16, 2):
        other = bytearray(rdata)
        other[first], other[first + 2] = other[first + 2], other[first]
        twisted.append(bytes(other))
    world = World()
    world.serve("example.", sorted(set(twisted)), 0, 100)
    signature = world.see(world.sign(SIGNERS[15]), 50)
    _, keys, places = world.tables()
    kept = view.build(keys, places)["example."].keys[0]
    outcome = said(world.judge(), signature, 50)
    if kept.rdata == rdata:
        assert outcome == ("valid", "none")
    else:
        assert outcome == ("indeterminate", "limit-reached")


@pytest.mark.parametrize("number", [13, 14])
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_ecdsa_integers_reach_the_library_as_der(number: int, data: st.DataObject) -> None:
    """Beside the library's own encoder: first bits that are set, leading zeros, zero itself."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    class Key:
        """Stands for the key, and keeps what it is given."""

        seen: ClassVar[list[bytes]] = []

        def verify(self, signature: bytes, *_: object) -> None:
            self.seen.append(signature)

    size = 32 if number == 13 else 48
    part = st.one_of(
        st.binary(min_size=size, max_size=size),
        st.integers(0, 300).map(lambda small: small.to_bytes(size, "big")),
        st.integers(0, 8 * size - 1).map(lambda bit: (1 << bit).to_bytes(size, "big")),
    )
    r, s = data.draw(part), data.draw(part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ec.EllipticCurvePublicKey, "from_encoded_point", lambda *_: Key())
        assert verify_many(b"\1\0\3" + bytes([number]) + bytes(2 * size), [(b"", r + s)]) == [True]
    expected = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    assert Key.seen[-1] == expected
