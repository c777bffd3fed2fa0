"""When a validity period makes validators refuse: the same signature by every policy's clock."""

from __future__ import annotations

from dataclasses import dataclass

from forensics.limits import SECOND
from forensics.validation.policy import POLICIES


@dataclass(frozen=True, slots=True)
class Horizon:
    """From when to when one policy accepts a signature; ns, the end is exclusive."""

    policy: str
    start: int
    end: int


def horizons(inception: int, expiration: int, near: int) -> list[Horizon]:
    """Say for each policy, `strict` first, when it accepts a signature.

    A pure function of the two fields and the policies' tolerances: with other settings than its
    defaults a validator differs.

    Args:
        inception: seconds, 32 bits, an RFC 1982 serial number (RFC 4034 3.1.5).
        expiration: likewise.
        near: ns, an instant within 68 years of both.

    Returns:
        nothing for a period that ends before it begins: no clock makes that valid.
    """
    base = near // SECOND
    start, end = base + _signed(inception - base), base + _signed(expiration - base)
    lifetime = _signed(expiration - inception)
    if lifetime < 0:
        return []
    return [
        Horizon(
            policy.name,
            (start - policy.inception.of(lifetime)) * SECOND,
            # RFC 4035 5.3.1: a signature lives through the second of its expiration.
            (end + policy.expiration.of(lifetime) + 1) * SECOND,
        )
        for policy in POLICIES.values()
    ]


def _signed(difference: int) -> int:
    """Read a difference modulo 2^32 as a signed number."""
    return ((difference + 2**31) & 0xFFFFFFFF) - 2**31
