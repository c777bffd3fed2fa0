"""What keyring/ and validation/ both speak of: anchors, keys, tracks of key sets, sighting pairs.

Plain frozen values without behaviour beyond reading themselves: `keyring` makes them, `validation`
judges with them, `pipeline.py` carries them across.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

ALWAYS: Final = -(2**63)
"""ns; the start of what has no known beginning: below every time that a table holds."""
FOREVER: Final = 2**63 - 1
"""ns; the end of what has no known end: above every time that is judged."""

NOTHING: Final = -1
"""The item of a track's run that showed no RRset at all: the answer was NODATA."""

FLAG_ZONE: Final = 0x0100
"""The Zone Key bit of a DNSKEY's flags (RFC 4034 2.1.1)."""
FLAG_REVOKE: Final = 0x0080
"""The REVOKE bit (RFC 5011 2.1)."""

DIGESTS: Final = {1: "sha1", 2: "sha256", 4: "sha384"}
"""DS digest types that can be computed (RFC 4034, RFC 4509, RFC 6605), by hashlib's name."""


def labels(name: str) -> list[str]:
    """Split a name in presentation form at its unescaped dots; the root has no labels."""
    found, start, at = [], 0, 0
    while at < len(name):
        if name[at] == "\\":
            at += 2
            continue
        if name[at] == ".":
            if at > start:
                found.append(name[start:at])
            start = at + 1
        at += 1
    if start < len(name):
        found.append(name[start:])
    return found


def ancestors(name: str) -> Iterator[str]:
    """Yield the proper ancestors of a name, nearest first, down to the root `.`."""
    parts = labels(name)
    for cut in range(1, len(parts)):
        yield ".".join(parts[cut:]) + "."
    if parts:
        yield "."


def is_subdomain(name: str, ancestor: str) -> bool:
    """Whether `name` is `ancestor` or lies below it (both in lower-case presentation form)."""
    if name.endswith(".") and ancestor.endswith(".") and "\\" not in name:
        # Without an escaped dot the text decides: reports of one zone ask this of every name.
        return ancestor in {".", name} or name.endswith(f".{ancestor}")
    high = labels(ancestor)
    low = labels(name)
    return len(low) >= len(high) and low[len(low) - len(high) :] == high


@lru_cache(maxsize=1024)  # a zone's name is asked for again and again; captures hold any number
def wire_name(name: str) -> bytes:
    """Return the wire form of a lower-case name in presentation form (RFC 1035 3.1, 5.1)."""
    wire = bytearray()
    for label in labels(name):
        if "\\" not in label:
            plain = label.encode("utf-8", "surrogateescape")
            wire.append(len(plain) & 0xFF)
            wire += plain
            continue
        octets = bytearray()
        at = 0
        while at < len(label):
            if label[at] != "\\":
                octets += label[at].encode("utf-8", "surrogateescape")
                at += 1
            elif label[at + 1 : at + 4].isdigit() and len(label) >= at + 4:
                octets.append(int(label[at + 1 : at + 4]) & 0xFF)
                at += 4
            else:
                octets += label[at + 1 : at + 2].encode("utf-8", "surrogateescape")
                at += 2
        wire.append(len(octets) & 0xFF)
        wire += octets
    wire.append(0)
    return bytes(wire)


def key_tag(rdata: bytes) -> int:
    """Return the key tag of a DNSKEY RDATA (RFC 4034 appendix B; algorithm 1 by B.1)."""
    if len(rdata) > 6 and rdata[3] == 1:
        return int.from_bytes(rdata[-3:-1], "big")
    total = sum(rdata[0::2]) * 256 + sum(rdata[1::2])
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


@dataclass(frozen=True, slots=True, order=True)
class Anchor:
    """One trust anchor, in the form of a DS record with dates.

    Attributes:
        zone: lower case, presentation form, with the final dot.
        tag, algorithm, digest_type: as in a DS record (RFC 4034 5.1).
        digest: the digest's octets.
        start, end: ns, the anchor holds from `start` up to but not including `end`.
        source: built-in or supplied (vocabulary.KEY_SOURCES).
    """

    zone: str
    tag: int
    algorithm: int
    digest_type: int
    digest: bytes
    start: int = ALWAYS
    end: int = FOREVER
    source: str = "supplied"


@dataclass(frozen=True, slots=True, order=True)
class DelegationSigner:
    """One DS record (RFC 4034 5.1)."""

    tag: int
    algorithm: int
    digest_type: int
    digest: bytes


@dataclass(frozen=True)
class Key:
    """One DNSKEY record of a zone (RFC 4034 2.1).

    Attributes:
        zone: owner, lower case, presentation form.
        rdata: canonical RDATA, at least 4 octets.
        supplied: known from the user's `--keys` (perhaps besides being observed).
        spans: ns, (first, last) inclusive: when it was published by the user's word.
    """

    zone: str
    rdata: bytes
    supplied: bool = False
    spans: tuple[tuple[int, int], ...] = ()

    @cached_property
    def key_id(self) -> str:
        """SHA-256 of the RDATA, first 16 hex digits: what checks and verdicts name it by."""
        return hashlib.sha256(self.rdata).hexdigest()[:16]

    @cached_property
    def tag(self) -> int:
        """The key tag, computed."""
        return key_tag(self.rdata)

    @property
    def flags(self) -> int:
        """The flags field."""
        return int.from_bytes(self.rdata[:2], "big")

    @property
    def protocol(self) -> int:
        """The protocol field: a value other than 3 makes the key invalid (RFC 4034 2.1.2)."""
        return self.rdata[2]

    @property
    def algorithm(self) -> int:
        """The algorithm number."""
        return self.rdata[3]

    @property
    def is_revoked(self) -> bool:
        """Whether the REVOKE bit is set."""
        return bool(self.flags & FLAG_REVOKE)

    def is_supplied_at(self, t: int) -> bool:
        """Whether the user says that it was published at t."""
        return self.supplied and any(first <= t <= last for first, last in self.spans)

    def unrevoked(self) -> Key:
        """The same key as it was before its REVOKE bit was set."""
        flags = (self.flags & ~FLAG_REVOKE).to_bytes(2, "big")
        return Key(self.zone, flags + self.rdata[2:], self.supplied, self.spans)

    @property
    def is_zone_key(self) -> bool:
        """Whether the Zone Key bit is set."""
        return bool(self.flags & FLAG_ZONE)

    def matches(self, delegation: DelegationSigner | Anchor) -> bool:
        """Whether the DS record's digest is this key's (RFC 4034 5.1.4).

        False for a digest type that cannot be computed and for a key without the Zone Key bit,
        which a DS must not refer to (RFC 4034 5.2).
        """
        if delegation.tag != self.tag or delegation.algorithm != self.algorithm:
            return False
        made = self.digest(delegation.digest_type)
        return made is not None and made == delegation.digest

    def digest(self, digest_type: int) -> bytes | None:
        """Return the digest that a DS record of this type must hold (RFC 4034 5.1.4).

        None for a type that cannot be computed and for a key that no DS may refer to.
        """
        name = DIGESTS.get(digest_type)
        if name is None or not self.is_zone_key or self.protocol != 3:
            return None
        made = hashlib.new(name, wire_name(self.zone) + self.rdata, usedforsecurity=False)
        return made.digest()


def referred(keys: Sequence[Key], wanted: Iterable[DelegationSigner | Anchor]) -> list[int]:
    """Return the indices of the keys that any of the DS records refers to.

    Each key is hashed once a digest type, however many DS records bear its tag: hostile zones
    have thousands of both.
    """
    digests: dict[tuple[int, int], dict[int, set[bytes]]] = {}
    for one in wanted:
        of_tag = digests.setdefault((one.tag, one.algorithm), {})
        of_tag.setdefault(one.digest_type, set()).add(one.digest)
    return [
        index
        for index, key in enumerate(keys)
        if any(
            key.digest(kind) in found
            for kind, found in digests.get((key.tag, key.algorithm), {}).items()
        )
    ]


def _no_times() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Track:
    """The sighting runs of one owner's RRset of one type, at all places that count.

    Arrays of length R, sorted by (first, last, place, item).

    Attributes:
        place: int64, place number.
        first, last: int64 ns, the run's first and last sighting; known in between.
        ttl: int64 ns, the greatest TTL received in the run.
        item: int64, index into the zone's `key_sets` or `delegations`.
    """

    place: NDArray[np.int64] = field(default_factory=_no_times)
    first: NDArray[np.int64] = field(default_factory=_no_times)
    last: NDArray[np.int64] = field(default_factory=_no_times)
    ttl: NDArray[np.int64] = field(default_factory=_no_times)
    item: NDArray[np.int64] = field(default_factory=_no_times)

    def __len__(self) -> int:
        """Return R."""
        return len(self.first)


@dataclass(frozen=True)
class ZoneKeys:
    """All that is known of one zone's keys.

    Attributes:
        zone: lower case, presentation form.
        keys: every DNSKEY ever observed or supplied, in order of key_id and RDATA.
        key_sets: the distinct DNSKEY RRsets, each as indices into `keys`.
        delegations: the distinct DS RRsets of this zone (as its parent serves them).
        published: runs of DNSKEY RRsets.
        delegated: runs of DS RRsets.
        by_resolver: the runs come from resolvers, as no authority was seen with this RRset.
        dropped_from: ns; runs from this instant on were more than limits.TRACK_RUNS and left out.
        absent: runs of answers that the zone has no DNSKEY RRset.
        undelegated: runs of answers that the parent has no DS RRset for it.
    """

    zone: str
    keys: tuple[Key, ...] = ()
    key_sets: tuple[frozenset[int], ...] = ()
    delegations: tuple[tuple[DelegationSigner, ...], ...] = ()
    published: Track = field(default_factory=Track)
    delegated: Track = field(default_factory=Track)
    by_resolver: bool = False
    dropped_from: int = FOREVER
    absent: Track = field(default_factory=Track)
    undelegated: Track = field(default_factory=Track)


@dataclass(frozen=True)
class SightingPairs:
    """Which signature was seen at which place, and when: one entry a distinct pair.

    Those count too that never accuse (truncated, cut): the timeline weighs them, and a verdict on
    one pair says nothing of another. Arrays of length P, in any order.

    Attributes:
        signature: int64, signatures.signature.
        place: int64, places.place.
        first, last: int64 ns, the pair's first and last sighting.
        count: int64, sightings.
    """

    signature: NDArray[np.int64]
    place: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        """Return P."""
        return len(self.signature)


@dataclass(frozen=True)
class Note:
    """Something the report must say that is no verdict.

    Attributes:
        kind: private-root, anchor-unmatched, clock, or limit.
        zone: the zone it is about; for `clock` the root.
        place: the resolver it is about, -1: all.
        sentence: plain words.
        figures: what was counted, JSON-ready.
    """

    kind: str
    zone: str
    place: int = -1
    sentence: str = ""
    figures: dict[str, object] = field(default_factory=dict)
