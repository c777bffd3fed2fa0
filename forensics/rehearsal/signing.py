"""Which key made which signature of the zone, and what RRsets are worth under a set of keys.

One verification a distinct (signed data, signature, key); all else is sets and times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from forensics.knowledge import FLAG_REVOKE, FLAG_ZONE, key_tag
from forensics.limits import SECOND
from forensics.rehearsal.contents import Contents, Place, RRset, Signature
from forensics.validation.deniers import Name, wire_form
from forensics.validation.signature import verify_many, well_formed
from forensics.vocabulary import TYPE_DNSKEY

_CHUNK: Final = 20_000
"""RRsets whose signed data is held at once."""

_KEYS_TRIED: Final = 16
"""Keys of one tag and algorithm that are tried on a signature; an honest zone has one or two."""

_PROTOCOL: Final = 3

GOOD: Final = ""


class Made(NamedTuple):
    """A signature, and the RDATA of the keys that verify it."""

    signature: Signature
    keys: frozenset[bytes]


def is_fit(rdata: bytes, *, over_keys: bool = False) -> bool:
    """Whether a DNSKEY may sign: Zone Key bit, protocol 3, and not revoked (RFC 5011 2.1).

    `over_keys`: the DNSKEY RRset itself; a revoked key still signs that, for its own revocation.
    """
    if len(rdata) < 4:
        return False
    flags = int.from_bytes(rdata[:2], "big")
    if not flags & FLAG_ZONE or rdata[2] != _PROTOCOL:
        return False
    return over_keys or not flags & FLAG_REVOKE


def signed_data(rrset: RRset, signature: Signature) -> bytes:
    """Return what a signature of an RRset signs (RFC 4034 3.1.8.1; wildcards RFC 4035 5.3.2)."""
    owner = rrset.owner
    if signature.labels < label_count(owner):
        owner = (*owner[: signature.labels], b"*")
    front = (
        wire_form(owner)
        + rrset.type.to_bytes(2, "big")
        + b"\0\1"
        + signature.original_ttl.to_bytes(4, "big")
    )
    records = (front + len(rdata).to_bytes(2, "big") + rdata for rdata in rrset.rdatas)
    return signature.head + b"".join(records)


def label_count(owner: Name) -> int:
    """Return what the labels field says of an owner: a leading `*` does not count (3.1.3)."""
    return len(owner) - (owner[-1:] == (b"*",))


class Notary:
    """The signatures of a zone with their makers.

    Args:
        zone: the zone.
        keys: RDATA of all keys that could have made one: the zone's, and those seen before.
        told: called with how many RRsets are done, and how many there are.
    """

    def __init__(
        self, zone: Contents, keys: Iterable[bytes], told: Callable[[int, int], None] | None = None
    ) -> None:
        self._apex = zone.apex
        self._by_tag: dict[tuple[int, int], list[bytes]] = {}
        for rdata in sorted(set(keys)):
            if len(rdata) > 4:
                self._by_tag.setdefault((key_tag(rdata), rdata[3]), []).append(rdata)
        self._made: dict[Place, tuple[Made, ...]] = {}
        self._memo: dict[tuple[int, Place, frozenset[bytes]], str] = {}
        self.tags = frozenset(self._by_tag)
        todo = [rrset for rrset in zone.signable() if rrset.signatures]
        for start in range(0, len(todo), _CHUNK):
            self._verify(todo[start : start + _CHUNK])
            if told is not None:
                told(min(start + _CHUNK, len(todo)), len(todo))

    def candidates(self, tag: int, algorithm: int) -> list[bytes]:
        """Return the known keys that a signature could be by."""
        return self._by_tag.get((tag, algorithm), [])[:_KEYS_TRIED]

    def _verify(self, rrsets: Sequence[RRset]) -> None:
        batches: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for rrset in rrsets:
            for signature in rrset.signatures:
                if problem(self._apex, rrset, signature):
                    continue
                triple = (signed_data(rrset, signature), signature.octets)
                for key in self.candidates(signature.tag, signature.algorithm):
                    batches.setdefault(key, []).append(triple)
        proven = tried(batches)
        for rrset in rrsets:
            made = []
            for signature in rrset.signatures:
                makers: set[bytes] = set()
                if not problem(self._apex, rrset, signature):
                    triple = (signed_data(rrset, signature), signature.octets)
                    for key in self.candidates(signature.tag, signature.algorithm):
                        if triple in proven[key]:
                            makers.add(key)
                made.append(Made(signature, frozenset(makers)))
            self._made[rrset.owner, rrset.type] = tuple(made)

    def made(self, rrset: RRset) -> tuple[Made, ...]:
        """Return an RRset's signatures with their makers."""
        return self._made.get((rrset.owner, rrset.type), ())

    def worth(self, rrset: RRset, keys: frozenset[bytes], at: int) -> str:
        """Say what is wrong with an RRset for who holds these keys; GOOD: nothing.

        Args:
            rrset: of the zone.
            keys: RDATA of the DNSKEY RRset that is held.
            at: ns since 1970.

        Returns:
            a code of vocabulary.REASONS: the fault of the signature that comes nearest to standing.
        """
        memo = (at, (rrset.owner, rrset.type), keys)
        if memo not in self._memo:
            over_keys = rrset.type == TYPE_DNSKEY
            fit = frozenset(key for key in keys if is_fit(key, over_keys=over_keys))
            found = [self._fault(rrset, made, fit, keys, at) for made in self.made(rrset)]
            self._memo[memo] = min(found, key=_NEARNESS.index) if found else "rrsig-missing"
        return self._memo[memo]

    def _fault(
        self, rrset: RRset, made: Made, fit: frozenset[bytes], keys: frozenset[bytes], at: int
    ) -> str:
        signature = made.signature
        wrong = problem(self._apex, rrset, signature)
        if wrong:
            return wrong
        if made.keys & fit:
            return of_time(signature, at)
        if made.keys & keys:
            return (
                "key-revoked"
                if any(is_fit(k, over_keys=True) for k in made.keys & keys)
                else ("zone-key-bit-unset")
            )
        if not made.keys and any(
            key_tag(key) == signature.tag and key[3] == signature.algorithm for key in keys
        ):
            return "signature-invalid"
        return "dnskey-missing"


_NEARNESS: Final = (
    GOOD,
    "signature-expired",
    "signature-not-yet-valid",
    "signature-window-invalid",
    "key-revoked",
    "zone-key-bit-unset",
    "signature-invalid",
    "dnskey-missing",
    "labels-invalid",
    "signer-invalid",
    "signature-malformed",
)
"""Of several signatures the one that fails least far names the reason."""


def of_time(signature: Signature, at: int) -> str:
    """Say whether a signature is outside its time (RFC 4034 3.1.5, serial arithmetic)."""
    now = at // SECOND
    begins = _signed(signature.inception - now)
    ends = _signed(signature.expiration - now)
    if _signed(signature.expiration - signature.inception) < 0:
        return "signature-window-invalid"
    if ends < 0:
        return "signature-expired"
    return "signature-not-yet-valid" if begins > 0 else GOOD


def expires(signature: Signature, near: int) -> int:
    """Return the second (since 1970, nearest to the second `near`) in which a signature ends."""
    return near + _signed(signature.expiration - near)


def begins(signature: Signature, near: int) -> int:
    """Return the second from which a signature holds, nearest to the second `near`."""
    return near + _signed(signature.inception - near)


def _signed(difference: int) -> int:
    """Read a difference modulo 2^32 as a signed number (RFC 1982)."""
    return ((difference + 2**31) & 0xFFFFFFFF) - 2**31


def problem(apex: Name, rrset: RRset, signature: Signature) -> str:
    """Say what is wrong with an RRSIG record itself (RFC 4034 3.1, RFC 4035 5.3.1)."""
    if signature.signer != apex:
        return "signer-invalid"
    if signature.labels != label_count(rrset.owner):
        return "labels-invalid"
    if not well_formed(signature.algorithm, len(signature.octets)):
        return "signature-malformed"
    return GOOD


def tried(
    batches: dict[bytes, list[tuple[bytes, bytes]]],
) -> dict[bytes, set[tuple[bytes, bytes]]]:
    """Try keys on (signed data, signature) pairs, each once; return the pairs that verify."""
    distinct = {key: list(dict.fromkeys(pairs)) for key, pairs in batches.items()}
    parts = [
        (key, pairs[start : start + 500])
        for key, pairs in distinct.items()
        for start in range(0, len(pairs), 500)
    ]
    proven: dict[bytes, set[tuple[bytes, bytes]]] = {key: set() for key in distinct}
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda part: verify_many(*part), parts)
        for (key, pairs), verified in zip(parts, results, strict=True):
            proven[key].update(p for p, good in zip(pairs, verified, strict=True) if good)
    return proven
