"""Policies: what a validator accepts, as values (DESIGN section 4).

`strict` is the RFCs' own clock and judges evidence; the others only predict what that validator
would do. A new policy is one entry in `POLICIES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from forensics.knowledge import FOREVER
from forensics.limits import NSEC3_ITERATIONS, SECOND

_HOUR: Final = 3600
_DAY: Final = 86_400

RFC_9905: Final = 1_764_547_200 * SECOND
"""2025-12-01: RFC 9905 (November 2025) stands. Its section 2 tells who runs a validator to treat
SHA-1 signatures as unsupported (so does `strict`), and who makes one to go on validating them."""


@dataclass(frozen=True, slots=True)
class Skew:
    """How far a clock may be off: a share of the signature's lifetime within bounds, seconds."""

    share: float = 0.0
    least: int = 0
    most: int = 0

    def of(self, lifetime: int) -> int:
        """Return the tolerance in seconds for a signature that lives `lifetime` seconds."""
        return min(max(int(lifetime * self.share), self.least), self.most)


@dataclass(frozen=True)
class Policy:
    """What one validator accepts.

    Attributes:
        name: as `--policy` takes it.
        inception, expiration: tolerance at either end of a signature's validity.
        algorithms: signature algorithms that are supported.
        digests: DS digest types that are supported.
        retired: ns from which an algorithm counts as unsupported, by its number.
        sha1_gives_way: DS records with SHA-1 do not count beside others (RFC 4509 3).
        iterations: NSEC3 iterations beyond which a zone counts as insecure (RFC 9276 3.2).
    """

    name: str
    inception: Skew = Skew()
    expiration: Skew = Skew()
    algorithms: frozenset[int] = frozenset({5, 7, 8, 10, 13, 14, 15, 16})
    digests: frozenset[int] = frozenset({1, 2, 4})
    retired: dict[int, int] = field(default_factory=lambda: {5: RFC_9905, 7: RFC_9905})
    sha1_gives_way: bool = True
    iterations: int = NSEC3_ITERATIONS

    def supports(self, algorithm: int, at: int) -> bool:
        """Whether a signature or DS of this algorithm counts at the instant `at` (ns)."""
        return algorithm in self.algorithms and at < self.retired.get(algorithm, FOREVER)


_RELAXED: Final = Skew(0.1, _HOUR, _DAY)
_NEVER: Final[dict[int, int]] = {}
"""The programs validate SHA-1 signatures as they are delivered."""

POLICIES: Final = {
    policy.name: policy
    for policy in (
        Policy("strict"),
        # Unbound's val-sig-skew-min and -max: a tenth of the lifetime, an hour to a day.
        # A DS with SHA-1 will do where the others fail, unless it hardens against downgrades.
        Policy("unbound", _RELAXED, _RELAXED, retired=_NEVER, sha1_gives_way=False),
        # Since 9.19.19, 5.7.1 and 5.2.0 these take 50 NSEC3 iterations.
        Policy("bind", retired=_NEVER, iterations=50),
        Policy("knot", retired=_NEVER, iterations=50),
        # PowerDNS Recursor's signature-inception-skew: one minute, at the inception only.
        Policy("powerdns", Skew(0.0, 60, 60), Skew(), retired=_NEVER, iterations=50),
    )
}
"""Every policy by its name."""
