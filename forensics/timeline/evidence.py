"""What the timeline is told from: the tables of the stages before, and its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline.columns import coded, integers, single
from forensics.timeline.moduli import Effort

TYPE_CLASSES: Final = {
    vocabulary.TYPE_DNSKEY: vocabulary.RecordClass.DNSKEY,
    vocabulary.TYPE_DS: vocabulary.RecordClass.DS,
    vocabulary.TYPE_NSEC: vocabulary.RecordClass.DENIAL,
    vocabulary.TYPE_NSEC3: vocabulary.RecordClass.DENIAL,
}
"""The class of records of a stratum by the type covered; every other type is DATA."""

Codes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int32]]


class Judge(Protocol):
    """What `wire.verdicts.VerdictIndex` gives: the verdict that holds at each sighting."""

    zones: list[str]
    later: NDArray[np.bool_]

    def find(
        self,
        signature: NDArray[np.integer[Any]],
        place: NDArray[np.integer[Any]],
        time: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Give the row of `later` that holds for each of N sightings, -1: none."""
        ...

    def codes(
        self,
        signature: NDArray[np.integer[Any]],
        place: NDArray[np.integer[Any]],
        time: NDArray[np.int64],
    ) -> Codes:
        """Give status, reason, weak and zone (index into `zones`, -1: none) of N sightings."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a story is told from.

    Attributes:
        captures, losses, places, signatures, keys, checks, verdicts: Arrow tables by schemas.py.
        transactions, sightings: give a fresh iterator of record batches at each call.
        judge: the index over `verdicts`; None: built from the table.
        notes: what validation has to say of the whole run: rows with `kind` and perhaps
            `sentence` (`private-root`).
        weigh: holds the resolvers' words against the incidents (testimony.responses.weigh);
            None: agreement stays empty.
        caches: by subject of the resolver view, `begin`, `until` and `ttl` in ns: a cache filled
            before `begin` refuses the data until `until`.
        undelegated: by zone, answers of its parent's servers that it has no DS: place, ns, capture
            and frame.
        effort: what the recovery of RSA keys may cost, and what an earlier run found.
        horizons: when each policy accepts a validity period (validation.horizon.horizons); None:
            incidents do not tell `validity`.
    """

    captures: Any
    losses: Any
    places: Any
    signatures: Any
    keys: Any
    checks: Any
    verdicts: Any
    transactions: Callable[[], Iterator[Any]]
    sightings: Callable[[], Iterator[Any]]
    judge: Judge | None = None
    notes: Sequence[Mapping[str, Any]] = ()
    weigh: Callable[[Iterator[Any], Sequence[Mapping[str, Any]]], dict[str, Any]] | None = None
    caches: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    undelegated: Mapping[str, Sequence[tuple[int, int, int, int]]] = field(default_factory=dict)
    effort: Effort = field(default_factory=Effort)
    horizons: Callable[[int, int, int], Sequence[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The signatures as arrays indexed by `signatures.signature`; rows that are absent hold -1.

    Attributes:
        signer: int64, index into `signers`.
        type, tag, algorithm: int64.
        record_class: int64, vocabulary.RecordClass.
        family: int64, number of (owner, type): one RRset whatever its signatures.
        inception, expiration: int64, seconds, 32 bits (RFC 4034 3.1.5).
        ttl: int64, seconds, as signed: what an authority gives (RFC 4034 3.1.4).
        row: int64, row in the signatures table.
        signers: names of the signers.
    """

    signer: NDArray[np.int64]
    type: NDArray[np.int64]
    tag: NDArray[np.int64]
    algorithm: NDArray[np.int64]
    record_class: NDArray[np.int64]
    family: NDArray[np.int64]
    inception: NDArray[np.int64]
    expiration: NDArray[np.int64]
    ttl: NDArray[np.int64]
    row: NDArray[np.int64]
    signers: list[str]


def read_catalog(signatures: Any) -> Catalog:
    """Lay the signatures table out by signature number."""
    number = integers(signatures["signature"])
    size = int(number.max()) + 1 if len(number) else 0
    signer, owner = coded(signatures["signer"]), coded(signatures["owner"])
    types = integers(signatures["type"])
    classes = np.full(2**16, int(vocabulary.RecordClass.DATA), dtype=np.int64)
    for kind, record_class in TYPE_CLASSES.items():
        classes[kind] = int(record_class)

    def spread(values: NDArray[np.int64]) -> NDArray[np.int64]:
        laid = np.full(size, -1, dtype=np.int64)
        laid[number] = values
        return laid

    return Catalog(
        signer=spread(signer.codes),
        type=spread(types),
        tag=spread(integers(signatures["key_tag"])),
        algorithm=spread(integers(signatures["algorithm"])),
        record_class=spread(classes[types & 0xFFFF]),
        family=spread(owner.codes << 16 | types),
        inception=spread(integers(signatures["inception"])),
        expiration=spread(integers(signatures["expiration"])),
        ttl=spread(integers(signatures["original_ttl"])),
        row=spread(np.arange(len(number), dtype=np.int64)),
        signers=signer.values.to_pylist(),
    )


@dataclass(frozen=True, slots=True)
class Places:
    """The responders, indexed by `places.place`.

    Attributes:
        server, nsid: address and instance.
        resolver: bool (P), the place answers as a resolver.
        same: int64 (P), the place that stands for it (`places.fold`): responses without NSID of
            an address that only ever named one instance came from that instance.
    """

    server: list[str]
    nsid: list[str | None]
    resolver: NDArray[np.bool_]
    same: NDArray[np.int64]


def read_places(places: Any) -> Places:
    """Lay the places table out by place number."""
    number = integers(places["place"])
    size = int(number.max()) + 1 if len(number) else 0
    server = ["?"] * size
    nsid: list[str | None] = [None] * size
    resolver = np.zeros(size, dtype=bool)
    same = np.arange(size, dtype=np.int64)
    columns = (single(places[name]).to_pylist() for name in ("server", "nsid", "role", "fold"))
    for place, address, instance, role, fold in zip(number.tolist(), *columns, strict=True):
        server[place], nsid[place] = address, instance
        resolver[place] = role == vocabulary.ROLES[vocabulary.Role.RESOLVER]
        if fold is not None and fold < size:
            same[place] = fold
    return Places(server, nsid, resolver, same)
