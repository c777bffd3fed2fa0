"""Validity periods as instants: RFC 1982 serial numbers placed beside the capture's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.limits import SECOND
from forensics.validation.policy import Policy

_YEARS: Final = 9_200_000_000
"""Seconds that an int64 of nanoseconds can hold, about the year 2261: hostile clocks go on."""


@dataclass(frozen=True)
class Validity:
    """When each of N signatures may be used; arrays of length N.

    Attributes:
        start: int64 ns, the first instant.
        end: int64 ns, exclusive. RFC 4035 5.3.1 lets a signature live through the second of its
            expiration, and its clock has whole seconds.
        is_void: bool, the period ends before it begins.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    is_void: NDArray[np.bool_]


def validity(signatures: Any, near: int, policy: Policy) -> Validity:
    """Place each validity period within the 68 years on either side of `near`.

    Args:
        signatures: schemas.SIGNATURES.
        near: ns, an instant of the capture.
        policy: gives the tolerance at both ends.
    """
    inception = signatures["inception"].to_numpy().astype(np.int64)
    expiration = signatures["expiration"].to_numpy().astype(np.int64)
    base = near // SECOND
    # RFC 1982 3.2: a number is ahead of another if the difference modulo 2^32 is below 2^31.
    start = base + _signed(inception - base)
    end = base + _signed(expiration - base)
    lifetime = _signed(expiration - inception)
    before = _tolerance(policy.inception.share, *_bounds(policy.inception), lifetime)
    after = _tolerance(policy.expiration.share, *_bounds(policy.expiration), lifetime)
    return Validity(
        start=np.clip(start - before, -_YEARS, _YEARS) * SECOND,
        end=np.clip(end + after + 1, -_YEARS, _YEARS) * SECOND,
        is_void=lifetime < 0,
    )


def _bounds(skew: Any) -> tuple[int, int]:
    return skew.least, skew.most


def _tolerance(
    share: float, least: int, most: int, lifetime: NDArray[np.int64]
) -> NDArray[np.int64]:
    return np.clip((lifetime * share).astype(np.int64), least, most)


def _signed(difference: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read a difference modulo 2^32 as a signed number."""
    return ((difference + 2**31) & 0xFFFFFFFF) - 2**31
