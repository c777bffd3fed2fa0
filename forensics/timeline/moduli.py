"""Who made bad RSA signatures: the modulus of a key that was never published.

A signature s over the padded digest m fulfils s^e = m modulo n (RFC 8017 8.2.2), so n divides
s^e - m for each signature of one key, and the greatest common divisor of two of them is n times a
small cofactor. For 2048 bits and e = 65537 the numbers have 16 MiB each, and one divisor takes half
a minute: the pairs of a few signatures are tried, within a budget that is counted in octets and not
in seconds, so that the outcome never depends on the machine. What was found is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

EXPONENTS: Final = (3, 65_537)
"""Public exponents tried: what signers use. The small one costs nothing."""

SAMPLES: Final = 3
"""Signatures whose pairs are tried at a time: of three by two keys, two are by the same key."""

PAIR_OCTETS: Final = 3 * 256 * 65_537
"""Work for one run: octets of all numbers s^65537, three pairs of 2048 bits; about 100 s."""

PLAIN_OCTETS: Final = 2**16
"""Largest number that is left to Python's own gcd, which takes time by the square of its length;
beyond it gmpy2 is needed."""

COFACTOR: Final = 2**12
"""Cofactors are made of primes below this: larger ones hardly divide two such numbers by chance."""

_DIGEST_INFO: Final = {
    5: bytes.fromhex("3021300906052b0e03021a05000414"),
    7: bytes.fromhex("3021300906052b0e03021a05000414"),
    8: bytes.fromhex("3031300d060960864801650304020105000420"),
    10: bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""The DER prefix of the digest (RFC 8017 9.2 note 1), by DNSSEC algorithm (RFC 3110, RFC 5702)."""

_HASH: Final[dict[int, Callable[[bytes], Any]]] = {
    5: lambda data: hashlib.sha1(data, usedforsecurity=False),
    7: lambda data: hashlib.sha1(data, usedforsecurity=False),
    8: hashlib.sha256,
    10: hashlib.sha512,
}

ALGORITHMS: Final = frozenset(_DIGEST_INFO)
"""The RSA algorithms."""


@dataclass(slots=True)
class Effort:
    """What the recovery of moduli may cost in one run, and what is known from an earlier one.

    Attributes:
        left: octets.
        kept: modulus in hex by the name of the pair (`name_of`); empty: the pair gave none.
        told: called with pairs tried and pairs at most, before each.
        tried: pairs tried.
    """

    left: int = PAIR_OCTETS
    kept: dict[str, str] = field(default_factory=dict)
    told: Callable[[int, int], None] | None = None
    tried: int = 0


def padded(algorithm: int, signed_data: bytes, octets: int) -> int | None:
    """Return the number that an RSA signature of this length stands for; None: too short."""
    tail = _DIGEST_INFO[algorithm] + _HASH[algorithm](signed_data).digest()
    if octets < len(tail) + 11:
        return None
    return int.from_bytes(b"\0\1" + b"\xff" * (octets - len(tail) - 3) + b"\0" + tail, "big")


def verifies(
    modulus: int, exponent: int, algorithm: int, signed_data: bytes, octets: bytes
) -> bool:
    """Whether an RSA key made a signature (RFC 8017 8.2.2)."""
    wanted = padded(algorithm, signed_data, len(octets))
    size = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(octets, "big")
    if wanted is None or len(octets) != size or number >= modulus:
        return False
    return pow(number, exponent, modulus) == wanted


def public_key(modulus: int, exponent: int) -> bytes:
    """Build the public key field of a DNSKEY (RFC 3110 2)."""
    head = exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")
    return bytes([len(head)]) + head + modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")


def name_of(exponent: int, ids: Sequence[str]) -> str:
    """Name a pair of signatures by their signature ids, whatever their order."""
    text = f"{exponent}:{':'.join(sorted(ids))}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def moduli(rows: Sequence[Any], effort: Effort) -> Iterator[tuple[int, int]]:
    """Give (modulus, exponent) of keys that made two of some signatures, within the effort.

    Args:
        rows: `signers.Failing` of one tag and RSA algorithm, in order of digest; the first of each
            length are tried.
        effort: what it may cost; spent here.
    """
    lengths = sorted({len(row.octets) for row in rows if len(row.octets) >= 64})
    for length in lengths:
        sample = [row for row in rows if len(row.octets) == length][:SAMPLES]
        for exponent in EXPONENTS:
            for one, other in combinations(sample, 2):
                modulus = _modulus(one, other, length, exponent, effort)
                if modulus is not None:
                    yield modulus, exponent


def _modulus(one: Any, other: Any, length: int, exponent: int, effort: Effort) -> int | None:
    """Find the modulus behind a pair; None: they have none in common, or it costs too much."""
    name = name_of(exponent, (one.signature_id, other.signature_id))
    if name not in effort.kept:
        divisor = _divisor(exponent * length)
        if divisor is None or effort.left < exponent * length:
            return None
        effort.left -= exponent * length
        effort.tried += 1
        if effort.told is not None:
            effort.told(effort.tried, effort.tried + effort.left // (exponent * length))
        found = _common(one, other, exponent, length, divisor)
        effort.kept[name] = "" if found is None else f"{found:x}"
    modulus = int(effort.kept[name] or "0", 16)
    # What an earlier run kept is a hint: the signatures decide.
    made = [
        verifies(modulus, exponent, row.algorithm, row.signed_data, row.octets)
        for row in (one, other)
    ]
    return modulus if modulus and all(made) else None


def _divisor(octets: int) -> tuple[Callable[[Any, Any], Any], Callable[[int], Any]] | None:
    """Return gcd and the number type for numbers of this size; None: not without gmpy2."""
    try:
        import gmpy2
    except ImportError:
        import math

        return (math.gcd, int) if octets <= PLAIN_OCTETS else None
    return gmpy2.gcd, gmpy2.mpz


def _common(
    one: Any,
    other: Any,
    exponent: int,
    length: int,
    divisor: tuple[Callable[[Any, Any], Any], Callable[[int], Any]],
) -> int | None:
    """Return the greatest common divisor of both s^e - m without its small cofactor."""
    gcd, number = divisor
    parts = []
    for row in (one, other):
        wanted = padded(row.algorithm, row.signed_data, length)
        signature = int.from_bytes(row.octets, "big")
        # Numbers as small as 0 and 1 are signatures under every key.
        if wanted is None or signature < 2:
            return None
        parts.append(abs(number(signature) ** exponent - wanted))
    found = int(gcd(*parts))
    return _stripped(found, length) if found else None


def _stripped(found: int, length: int) -> int | None:
    """Take the small primes out, which divide no modulus; None: what is left is no modulus."""
    while not found & 1:
        found >>= 1
    for prime in range(3, COFACTOR, 2):
        while found % prime == 0:
            found //= prime
    return found if 8 * (length - 1) < found.bit_length() <= 8 * length else None
