"""Is an RRset rightly signed by a set of keys at an instant? The cryptography decides.

RFC 4035 5.3: the checks of one RRSIG in the order of the catalogue of reasons, and the best RRSIG
of an RRset speaks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from forensics.explanation.records import RRset, Signature
from forensics.knowledge import Key
from forensics.limits import EXPLAIN_CHECKS, KEYS_PER_TAG, SECOND
from forensics.validation.policy import Policy
from forensics.validation.signature import SUPPORTED, verify_many, well_formed

_DISTANCE: Final = {
    # How far a signature came before it failed: the one that came farthest names the reason.
    "algorithm-incomplete": 0,
    "signer-invalid": 1,
    "labels-invalid": 1,
    "signature-malformed": 1,
    "dnskey-missing": 2,
    "limit-reached": 3,
    "signature-invalid": 4,
    "zone-key-bit-unset": 5,
    "key-revoked": 5,
    "signature-window-invalid": 6,
    "signature-not-yet-valid": 6,
    "signature-expired": 6,
    "none": 9,
}


@dataclass(frozen=True)
class Tried:
    """What became of one signature.

    Attributes:
        reason: `none` where it stands, else a code of vocabulary.REASONS.
        signature: the one.
        key: that verifies it, None: none does.
        start, end: ns, when it may be used under the policy; the end is exclusive.
        is_aged: judged by its own time: the zone has changed keys or signed again since it was
            seen, and the RRset was not seen again.
        is_later: only a key set seen after it holds its key.
        is_weak: a healthy roll would look the same (DESIGN section 4).
    """

    reason: str
    signature: Signature
    key: Key | None = None
    start: int = 0
    end: int = 0
    is_aged: bool = False
    is_later: bool = False
    is_weak: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the signature stands."""
        return self.reason == "none"


@dataclass
class Checker:
    """Tries keys on signatures, each pair once, within limits.EXPLAIN_CHECKS.

    Attributes:
        policy: what the validator accepts.
        left: checks left.
        known: by signature and key, what was found; checkers may share it.
    """

    policy: Policy
    left: int = EXPLAIN_CHECKS
    known: dict[tuple[int, bytes], bool] = field(default_factory=dict)

    def verifies(self, signature: Signature, key: Key) -> bool | None:
        """Whether the key made the signature; None: the limit is reached."""
        memo = (signature.number, key.rdata)
        if memo not in self.known:
            if self.left <= 0:
                return None
            self.left -= 1
            pair = (signature.signed_data, signature.octets)
            self.known[memo] = verify_many(key.rdata, [pair])[0]
        return self.known[memo]

    def best(self, rrset: RRset, zone: str, keys: Sequence[Key], at: int) -> Tried | None:
        """Return the signature that speaks for an RRset at `at` (ns); None: it has none.

        Signatures in the name of another zone count only where there is no other.
        """
        tried = [self.attempt(s, zone, keys, at) for s in rrset.signatures]
        return max(
            tried,
            key=lambda t: (_DISTANCE.get(t.reason, 1), t.end, -t.signature.number),
            default=None,
        )

    def attempt(self, signature: Signature, zone: str, keys: Sequence[Key], at: int) -> Tried:
        """Try one signature."""
        start, end, is_void = window(signature, at, self.policy)

        def outcome(reason: str, key: Key | None = None) -> Tried:
            return Tried(reason, signature, key, start, end)

        if signature.problem is not None:
            return outcome(signature.problem)
        if signature.signer != zone:
            return outcome("signer-invalid")
        if signature.algorithm not in SUPPORTED or not self.policy.supports(
            signature.algorithm, at
        ):
            return outcome("algorithm-incomplete")
        if not well_formed(signature.algorithm, len(signature.octets)):
            return outcome("signature-malformed")
        fitting = [
            k
            for k in keys
            if k.tag == signature.tag and k.algorithm == signature.algorithm and k.protocol == 3
        ]
        if not fitting:
            return outcome("dnskey-missing")
        key, is_cut = self._verifying(signature, fitting)
        if key is None:
            return outcome("limit-reached" if is_cut else "signature-invalid")
        if not key.is_zone_key:
            return outcome("zone-key-bit-unset", key)
        if key.is_revoked:
            return outcome("key-revoked", key)
        if is_void:
            return outcome("signature-window-invalid", key)
        if at < start:
            return outcome("signature-not-yet-valid", key)
        if at >= end:
            return outcome("signature-expired", key)
        return outcome("none", key)

    def _verifying(self, signature: Signature, keys: Iterable[Key]) -> tuple[Key | None, bool]:
        """Return the key that made a signature, those that may be used first; and if cut short."""
        ranked = sorted(keys, key=lambda k: (not k.is_zone_key, k.is_revoked, k.key_id))
        for key in ranked[:KEYS_PER_TAG]:
            verifies = self.verifies(signature, key)
            if verifies is None:
                return None, True
            if verifies:
                return key, False
        return None, len(ranked) > KEYS_PER_TAG


def window(signature: Signature, at: int, policy: Policy) -> tuple[int, int, bool]:
    """Return when a signature may be used (ns, end exclusive), and whether it never may.

    RFC 1982 places both ends within 68 years of `at`; the clock of RFC 4035 5.3.1 has whole
    seconds, so a signature lives through the second of its expiration.
    """
    base = at // SECOND
    lifetime = _signed(signature.expiration - signature.inception)
    start = base + _signed(signature.inception - base) - policy.inception.of(lifetime)
    end = base + _signed(signature.expiration - base) + policy.expiration.of(lifetime) + 1
    return start * SECOND, end * SECOND, lifetime < 0


def _signed(difference: int) -> int:
    """Read a difference modulo 2^32 as a signed number."""
    return ((difference + 2**31) & 0xFFFFFFFF) - 2**31
