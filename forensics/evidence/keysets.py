"""The key RRsets seen and their sighting runs: the observed part of the keys table."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import schemas
from forensics.evidence.arrays import (
    RUN_AA,
    RUN_CAPTURE,
    RUN_COUNT,
    RUN_FIRST,
    RUN_FIRST_FRAME,
    RUN_KEYSET,
    RUN_LAST,
    RUN_LAST_FRAME,
    RUN_OWNER,
    RUN_PLACE,
    RUN_TTL,
    RUN_UNPAIRED,
    Gathering,
)
from forensics.evidence.names import name_text
from forensics.evidence.signatures import entry_parts
from forensics.vocabulary import KEY_SOURCES, TYPE_CDS, TYPE_DS, KeySource

_RSAMD5: Final = 1


def key_tag(rdata: bytes) -> int:
    """Return the key tag of a DNSKEY or CDNSKEY (RFC 4034 appendix B; B.1 for algorithm 1).

    A key too short to have one gets the tag 0.
    """
    if len(rdata) > 3 and rdata[3] == _RSAMD5:
        return int.from_bytes(rdata[-3:-1], "big") if len(rdata) >= 7 else 0
    total = 256 * sum(rdata[0::2]) + sum(rdata[1::2])
    return (total + (total >> 16)) & 0xFFFF


def key_fields(kind: int, rdata: bytes) -> tuple[int, int, int]:
    """Return (tag, algorithm, flags of a key or digest type of a DS); 0 for what is not there."""
    padded = rdata[:4].ljust(4, b"\0")
    word = int.from_bytes(padded[:2], "big")
    if kind in (TYPE_DS, TYPE_CDS):
        return word, padded[2], padded[3]
    return key_tag(rdata), padded[3], word


def response_only_places(held: Gathering) -> NDArray[np.int64]:
    """List the places whose address never answered a query of the capture.

    A tap that sees one direction has only such. At any other address an unsolicited response is
    suspect: the query would have been seen as well. The address counts, not the place: a spoofed
    response without NSID would otherwise be a place of its own.
    """
    seen = held.address.any(axis=1)
    paired = {held.address[place].tobytes() for place in np.flatnonzero(held.paired)}
    places = np.flatnonzero(seen)
    return np.array(
        [place for place in places if held.address[place].tobytes() not in paired], dtype=np.int64
    )


def _suspect(held: Gathering) -> NDArray[np.bool_]:
    """Tell which runs were unsolicited though their address answered queries of the capture."""
    runs = held.runs[: held.runs_used[0]]
    suspect: NDArray[np.bool_] = runs[:, RUN_UNPAIRED] == 1
    suspect[suspect] = ~np.isin(runs[suspect, RUN_PLACE], response_only_places(held))
    return suspect


def suspect_sightings(held: Gathering) -> int:
    """Count the sightings of key RRsets that `key_table` leaves out."""
    return int(held.runs[: held.runs_used[0]][_suspect(held), RUN_COUNT].sum())


def joined(runs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join the runs that follow each other without another RRset between.

    Args:
        runs: int64[n, RUN_COLUMNS], without suspect ones.

    Returns:
        (runs as int64[n, RUN_COLUMNS], ordered by owner, place and time; the capture of each
        one's last sighting)
    """
    keys = (RUN_FIRST_FRAME, RUN_CAPTURE, RUN_FIRST, RUN_PLACE, RUN_OWNER)
    runs = runs[np.lexsort([runs[:, column] for column in keys])]
    if len(runs) == 0:
        return runs, runs[:, RUN_CAPTURE]
    same = (
        (runs[1:, RUN_OWNER] == runs[:-1, RUN_OWNER])
        & (runs[1:, RUN_PLACE] == runs[:-1, RUN_PLACE])
        & (runs[1:, RUN_KEYSET] == runs[:-1, RUN_KEYSET])
    )
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    group = np.cumsum(np.concatenate([[True], ~same])) - 1
    made = runs[begins].copy()
    # The last row of each group in order of last time holds its end.
    ends = np.lexsort([runs[:, RUN_CAPTURE], runs[:, RUN_LAST], group])
    ends = ends[np.concatenate([begins[1:], [len(runs)]]) - 1]
    made[:, RUN_LAST] = runs[ends, RUN_LAST]
    made[:, RUN_LAST_FRAME] = runs[ends, RUN_LAST_FRAME]
    made[:, RUN_COUNT] = np.add.reduceat(runs[:, RUN_COUNT], begins)
    made[:, RUN_TTL] = np.maximum.reduceat(runs[:, RUN_TTL], begins)
    made[:, RUN_AA] = np.minimum.reduceat(runs[:, RUN_AA], begins)
    return made, runs[ends, RUN_CAPTURE]


def _lists(values: list[list[Any]], kind: Any) -> Any:
    """Make a list column of Python lists."""
    import pyarrow as pa

    return pa.array(values, pa.list_(kind))


class KeySets(NamedTuple):
    """The key RRsets that runs name by number.

    Attributes:
        owners: (owner, type) by number of RUN_OWNER.
        rdatas: canonical RDATA of each record, by number of RUN_KEYSET.
        kinds: type by number of RUN_KEYSET.
    """

    owners: list[tuple[str, int]]
    rdatas: list[list[bytes]]
    kinds: list[int]


def key_sets(held: Gathering) -> KeySets:
    """Read the key RRsets back from what the kernels have gathered."""
    owners: list[tuple[str, int]] = []
    for number in range(int(held.owners.used[0])):
        entry, _ = entry_parts(held.owners, number)
        owners.append((name_text(entry[2:]), int.from_bytes(entry[:2], "big")))
    rdatas: list[list[bytes]] = []
    kinds: list[int] = []
    for number in range(int(held.keysets.used[0])):
        entry, records = entry_parts(held.keysets, number)
        found: list[bytes] = []
        position = 0
        while position < len(records):
            size = int.from_bytes(records[position : position + 2], "big")
            found.append(records[position + 2 : position + 2 + size])
            position += 2 + size
        rdatas.append(found)
        kinds.append(int.from_bytes(entry[:2], "big"))
    return KeySets(owners, rdatas, kinds)


def key_table(held: Gathering) -> Any:
    """Return the KEYS table of all runs so far.

    Left out are unsolicited responses of addresses that answered queries of the capture (see
    `response_only_places`).
    """
    runs = held.runs[: held.runs_used[0]][~_suspect(held)]
    return runs_table(*joined(runs), key_sets(held))


def raw_runs(held: Gathering) -> tuple[NDArray[np.int64], KeySets]:
    """Return the runs as the kernels keep them, int64[n, RUN_COLUMNS], and their key RRsets."""
    return held.runs[: held.runs_used[0]].copy(), key_sets(held)


def runs_table(runs: NDArray[np.int64], last_capture: NDArray[np.int64], sets: KeySets) -> Any:
    """Return the KEYS table of joined runs, ordered by zone, type, place and time."""
    import pyarrow as pa

    owners = sets.owners
    rank = np.empty(len(owners), dtype=np.int64)
    rank[sorted(range(len(owners)), key=owners.__getitem__)] = np.arange(len(owners))
    order = np.argsort(rank[runs[:, RUN_OWNER]], kind="stable")
    runs, last_capture = runs[order], last_capture[order]
    rdatas = sets.rdatas
    fields = [
        [key_fields(kind, rdata) for rdata in found]
        for kind, found in zip(sets.kinds, rdatas, strict=True)
    ]

    keysets = pa.array(runs[:, RUN_KEYSET])
    count = len(runs)
    columns = {
        "run": pa.array(np.arange(count, dtype=np.uint32)),
        "zone": pa.array([owners[owner][0] for owner in runs[:, RUN_OWNER]], pa.string()),
        "type": pa.array([owners[owner][1] for owner in runs[:, RUN_OWNER]], pa.uint16()),
        "rrset": keysets.cast(pa.uint32()),
        "place": pa.array(runs[:, RUN_PLACE].astype(np.uint32)),
        "source": pa.array([KEY_SOURCES[KeySource.OBSERVED]] * count, pa.string()),
        "first": pa.array(runs[:, RUN_FIRST].copy()).view(pa.timestamp("ns", tz="UTC")),
        "last": pa.array(runs[:, RUN_LAST].copy()).view(pa.timestamp("ns", tz="UTC")),
        "first_capture": pa.array(runs[:, RUN_CAPTURE].astype(np.uint16)),
        "first_frame": pa.array(runs[:, RUN_FIRST_FRAME].astype(np.uint32)),
        "last_capture": pa.array(last_capture.astype(np.uint16)),
        "last_frame": pa.array(runs[:, RUN_LAST_FRAME].astype(np.uint32)),
        "count": pa.array(runs[:, RUN_COUNT].astype(np.uint64)),
        "ttl": pa.array(runs[:, RUN_TTL].astype(np.uint32)),
        "authoritative": pa.array(runs[:, RUN_AA] == 1),
        "rdatas": _lists(rdatas, pa.binary()).take(keysets),
        "tags": _lists([[key[0] for key in keys] for keys in fields], pa.uint16()).take(keysets),
        "algorithms": _lists([[key[1] for key in keys] for keys in fields], pa.uint8()).take(
            keysets
        ),
        "detail": _lists([[key[2] for key in keys] for keys in fields], pa.uint16()).take(keysets),
    }
    return pa.table(columns).select(schemas.KEYS.names).cast(schemas.KEYS)
