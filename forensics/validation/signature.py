"""The only place where cryptography speaks: one key object per DNSKEY, many signatures a key.

Nothing that a key or a signature holds raises here: what cannot verify does not verify.
RFC 3110 and 5702 (RSA), 6605 (ECDSA), 8080 (EdDSA).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

SUPPORTED: Final = frozenset({5, 7, 8, 10, 13, 14, 15, 16})
"""Algorithms that are checked. 1 (RSAMD5), 3 and 6 (DSA) and 12 (GOST) are not: RFC 8624 3.1."""

_RSA: Final = frozenset({5, 7, 8, 10})
_FIXED: Final = {13: 64, 14: 96, 15: 64, 16: 114}
"""Octets of a signature where the algorithm fixes them (RFC 6605 4, RFC 8080 4)."""

_DIGEST_INFO: Final = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""What an RSA signature holds before the digest (RFC 8017 9.2, note 1)."""
_HASHES: Final = {5: "sha1", 7: "sha1", 8: "sha256", 10: "sha512"}

_Verify = Callable[[bytes, bytes], None]


def well_formed(algorithm: int, octets: int) -> bool:
    """Whether a signature field of this length is possible for the algorithm.

    RSA fixes it by the key (RFC 3110 3): any length from 512 bits on passes here.
    """
    fixed = _FIXED.get(algorithm)
    return octets == fixed if fixed else octets > 0


def verify_many(rdata: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> list[bool]:
    """Try one key on many (signed data, signature) pairs; False also for an impossible key.

    Args:
        rdata: the DNSKEY's RDATA.
        pairs: signed data (RFC 4034 3.1.8.1) and signature field, octets.
    """
    from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm

    try:
        verify = _verifier(rdata[3], rdata[4:])
    except (ValueError, UnsupportedAlgorithm, InternalError, OverflowError):
        verify = None
    if verify is None:
        return [False] * len(pairs)
    size = _FIXED.get(rdata[3])
    results = []
    for data, signature in pairs:
        if size is not None and len(signature) != size:
            results.append(False)
            continue
        try:
            verify(signature, data)
        except (InvalidSignature, ValueError, UnsupportedAlgorithm, InternalError):
            results.append(False)
        else:
            results.append(True)
    return results


def _verifier(algorithm: int, material: bytes) -> _Verify | None:
    """Load a public key; None where the algorithm is not checked or the lengths are wrong."""
    if algorithm in _RSA:
        return _rsa(algorithm, material)
    if algorithm == 13 and len(material) == 64:
        return _ecdsa(256, material)
    if algorithm == 14 and len(material) == 96:
        return _ecdsa(384, material)
    if algorithm == 15 and len(material) == 32:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(material).verify
    if algorithm == 16 and len(material) == 57:
        from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey

        return Ed448PublicKey.from_public_bytes(material).verify
    return None


def _rsa(algorithm: int, material: bytes) -> _Verify | None:
    """Load an RSA key: exponent with its length in one octet, or in three (RFC 3110 2)."""
    import hashlib

    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if len(material) < 3:
        return None
    length, start = material[0], 1
    if length == 0:
        length, start = int.from_bytes(material[1:3], "big"), 3
    exponent = int.from_bytes(material[start : start + length], "big")
    modulus = int.from_bytes(material[start + length :], "big")
    # RFC 3110 2 and RFC 5702 2: exponent and modulus have at most 4096 bits. An even modulus is
    # no product of odd primes, and libraries differ in how they refuse it.
    if not exponent or modulus.bit_length() > 4096 or modulus.bit_length() < 512:
        return None
    if not modulus & 1:
        return None
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    name = _HASHES[algorithm]
    before, digest = _DIGEST_INFO[name], getattr(hashlib, name)
    pad = padding.PKCS1v15()
    recover = key.recover_data_from_signature

    def check(signature: bytes, data: bytes) -> None:
        # RFC 8017 8.2.2 with the library's own recovery and comparison left to us: a tenth less
        # time than `verify`, which sets the digest up in the library for each signature.
        if recover(signature, pad, None) != before + digest(data, usedforsecurity=False).digest():
            raise InvalidSignature

    return check


def _ecdsa(bits: int, material: bytes) -> _Verify:
    """Load an ECDSA key: the point's two coordinates without prefix (RFC 6605 4)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    curve: Any = ec.SECP256R1() if bits == 256 else ec.SECP384R1()
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + material)
    scheme = ec.ECDSA(hashes.SHA256() if bits == 256 else hashes.SHA384())
    half = bits // 8
    verify = key.verify

    def integer(part: bytes) -> bytes:
        part = part.lstrip(b"\0")
        return b"\0" + part if not part or part[0] & 0x80 else part

    # What stands before r and before s where neither begins with a zero octet, by first bits.
    usual = []
    for s_more, r_more in ((0, 0), (0, 1), (1, 0), (1, 1)):
        before = [b"\2%c" % (half + more) + bytes(more) for more in (r_more, s_more)]
        size = 2 * half + len(before[0]) + len(before[1])
        usual.append((b"0%c" % size + before[0], before[1]))

    def check(signature: bytes, data: bytes) -> None:
        # DNSSEC writes r and s side by side; the library wants them as DER INTEGERs, where a
        # first bit that is set needs a zero octet before it. Lengths stay below 128.
        if signature[0] and signature[half]:
            first, second = usual[signature[0] >> 7 | signature[half] >> 7 << 1]
            verify(first + signature[:half] + second + signature[half:], data, scheme)
            return
        r, s = integer(signature[:half]), integer(signature[half:])
        body = b"\2%c%b\2%c%b" % (len(r), r, len(s), s)
        verify(b"0%c%b" % (len(body), body), data, scheme)

    return check
