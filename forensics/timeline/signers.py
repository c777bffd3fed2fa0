"""Who made the bad signatures: recover public keys that were never published.

From an ECDSA signature and what it signs, the public key follows but for a handful of candidates
(SEC 1 4.1.6); from two RSA signatures their modulus (`moduli`). The true key is that whose DNSKEY
has the key tag that the RRSIG names, and which verifies further failing signatures. EdDSA hides its
key (RFC 8032 hashes it with what is signed), so nothing is recovered there.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from forensics.timeline import moduli

ATTEMPTS: Final = 48
"""Signatures per tag and algorithm that candidates are made from, about 10 ms each. A registry
with three keys under one tag needs three; corrupted signatures must not eat the run's time."""

VERIFICATIONS: Final = 20_000
"""Signatures per tag and algorithm that recovered keys are tried on: a second of one core."""

LONE: Final = 16
"""With more failing signatures than this, a key that fits one signature alone is chance: one
candidate in 32,768 has the right tag by accident."""

HIDDEN: Final = frozenset({15, 16})
"""Algorithms whose signatures do not reveal the key: Ed25519 and Ed448."""

RECOVERABLE: Final = frozenset({13, 14}) | moduli.ALGORITHMS
"""Algorithms whose signatures do."""

FLAGS: Final = (256, 257)
"""A zone key, and one with the SEP bit (RFC 4034 2.1.1)."""


class Failing(NamedTuple):
    """A signature that no published key verifies.

    Attributes:
        signature: its number; signature_id: its digest, by which attempts are ordered.
        tag, algorithm: as the RRSIG says.
        signed_data, octets: what it signs, and the signature field.
    """

    signature: int
    signature_id: str
    tag: int
    algorithm: int
    signed_data: bytes
    octets: bytes


@dataclass(frozen=True, slots=True)
class Recovered:
    """A key that was never seen published.

    Attributes:
        tag, algorithm, flags: of its DNSKEY as rebuilt.
        public_key: the DNSKEY's public key field.
        signatures: numbers of the failing signatures that it made, sorted.
    """

    tag: int
    algorithm: int
    flags: int
    public_key: bytes
    signatures: tuple[int, ...]

    @property
    def rdata(self) -> bytes:
        """The DNSKEY RDATA as rebuilt."""
        return dnskey(self.flags, self.algorithm, self.public_key)


def dnskey(flags: int, algorithm: int, public_key: bytes) -> bytes:
    """Build DNSKEY RDATA (RFC 4034 2.1)."""
    return struct.pack("!HBB", flags, 3, algorithm) + public_key


def key_tag(rdata: bytes) -> int:
    """Compute the key tag of DNSKEY RDATA (RFC 4034 appendix B)."""
    total = sum(octet << 8 if at % 2 == 0 else octet for at, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


def recover(failing: Sequence[Failing], effort: moduli.Effort | None = None) -> list[Recovered]:
    """Recover the keys behind failing signatures, within the limits above.

    The order of `failing` is of no account. Algorithms that are not RECOVERABLE give nothing.

    Args:
        failing: the signatures.
        effort: what RSA may cost; None: as much as in a run of its own.
    """
    groups: dict[tuple[int, int], list[Failing]] = {}
    for row in failing:
        if row.algorithm in RECOVERABLE:
            groups.setdefault((row.algorithm, row.tag), []).append(row)
    effort = effort or moduli.Effort()
    found: list[Recovered] = []
    for (algorithm, _), rows in sorted(groups.items()):
        ordered = sorted(rows, key=lambda row: row.signature_id)
        if algorithm in moduli.ALGORITHMS:
            found += _recover_rsa(ordered, effort)
        else:
            found += _recover_group(ordered)
    return found


def _recover_rsa(rows: list[Failing], effort: moduli.Effort) -> list[Recovered]:
    """Recover the RSA keys behind signatures of one tag and algorithm."""
    found = []
    remaining = rows
    while len(remaining) > 1:
        key = next(
            (
                (flags, made, modulus, exponent)
                for modulus, exponent in moduli.moduli(remaining, effort)
                for flags, made in _flags_of(remaining[0], modulus, exponent)
            ),
            None,
        )
        if key is None:
            break
        flags, public_key, modulus, exponent = key
        made_here = {
            row.signature
            for row in remaining[:VERIFICATIONS]
            if moduli.verifies(modulus, exponent, row.algorithm, row.signed_data, row.octets)
        }
        tag, algorithm = rows[0].tag, rows[0].algorithm
        found.append(Recovered(tag, algorithm, flags, public_key, tuple(sorted(made_here))))
        remaining = [row for row in remaining if row.signature not in made_here]
    return sorted(found, key=lambda key: (-len(key.signatures), key.public_key))


def _flags_of(row: Failing, modulus: int, exponent: int) -> list[tuple[int, bytes]]:
    """Give the flags with which an RSA key has the tag that is named, and its key field."""
    made = moduli.public_key(modulus, exponent)
    return [
        (flags, made) for flags in FLAGS if key_tag(dnskey(flags, row.algorithm, made)) == row.tag
    ]


def _recover_group(rows: list[Failing]) -> list[Recovered]:
    """Recover the keys behind signatures of one tag and algorithm."""
    found = []
    lone = len(rows) <= LONE
    remaining = rows
    budget = VERIFICATIONS
    for _ in range(ATTEMPTS):
        if not remaining:
            break
        sample, remaining = remaining[0], remaining[1:]
        for flags, public_key in _candidates(sample):
            verify = _verifier(sample.algorithm, public_key)
            tried = remaining[:budget]
            budget -= len(tried)
            made = {row.signature for row in tried if verify(row)}
            if made or lone:
                numbers = tuple(sorted({sample.signature, *made}))
                found.append(Recovered(sample.tag, sample.algorithm, flags, public_key, numbers))
                remaining = [row for row in remaining if row.signature not in made]
                break
    return sorted(found, key=lambda key: (-len(key.signatures), key.public_key))


def _candidates(row: Failing) -> list[tuple[int, bytes]]:
    """Give flags and public key of each candidate whose DNSKEY has the tag that is named."""
    from ecdsa import NIST256p, NIST384p, VerifyingKey
    from ecdsa.util import sigdecode_string

    curve = NIST256p if row.algorithm == 13 else NIST384p
    size = 32 if row.algorithm == 13 else 48
    digest = _hash(row.algorithm)(row.signed_data).digest()
    if len(row.octets) != 2 * size:
        return []
    try:
        keys: list[Any] = VerifyingKey.from_public_key_recovery_with_digest(
            row.octets, digest, curve, hashfunc=_hash(row.algorithm), sigdecode=sigdecode_string
        )
    except Exception:  # noqa: BLE001 - hostile octets: r or s out of range, r on no point
        return []
    found = set()
    for key in keys:
        public_key = bytes(key.to_string("raw"))
        for flags in FLAGS:
            if key_tag(dnskey(flags, row.algorithm, public_key)) == row.tag:
                found.add((flags, public_key))
    return sorted(found)


def _hash(algorithm: int) -> Callable[[bytes], Any]:
    """Give the hash of an ECDSA algorithm (RFC 6605 1)."""
    return hashlib.sha256 if algorithm == 13 else hashlib.sha384


def _verifier(algorithm: int, public_key: bytes) -> Callable[[Failing], bool]:
    """Give a function that tells whether a signature was made by the key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    curve: ec.EllipticCurve = ec.SECP256R1() if algorithm == 13 else ec.SECP384R1()
    size = len(public_key) // 2
    method = ec.ECDSA(hashes.SHA256() if algorithm == 13 else hashes.SHA384())
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public_key)
    except ValueError:
        return lambda _: False

    def verify(row: Failing) -> bool:
        if len(row.octets) != 2 * size:
            return False
        numbers = (int.from_bytes(row.octets[:size]), int.from_bytes(row.octets[size:]))
        try:
            key.verify(utils.encode_dss_signature(*numbers), row.signed_data, method)
        except InvalidSignature:
            return False
        return True

    return verify
