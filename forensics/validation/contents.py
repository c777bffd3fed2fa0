"""What zone transfers prove: that a zone's content was good at a server, and which keys it held.

A transfer is judged by itself: by the key set that it holds, whole because one of its own keys
signs it. Where every RRset of the zone that lies whole in a message has a good signature, the
signatures are sightings of good data, and the key set is one of the server. A transfer with
anything else in it proves nothing, and none ever accuses: segments that the capture lacks leave no
trace in it, and servers may send records in any order (RFC 5936 2.2), so that an RRset of which
some are missing looks as one that was tampered with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import schemas
from forensics.knowledge import Key, Note
from forensics.limits import TRANSFER_CHECKS, TRANSFER_ROWS
from forensics.validation.policy import POLICIES
from forensics.validation.signature import verify_many
from forensics.validation.strays import where_of
from forensics.validation.validity import validity
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS, SightingFlag

_RRSIG_FIXED: Final = 18
_WHOLE: Final = int(SightingFlag.TRANSFER | SightingFlag.WHOLE)


class Shown(NamedTuple):
    """A key set that a transfer holds: zone, canonical RDATA sorted, row of its sighting."""

    zone: str
    rdatas: tuple[bytes, ...]
    row: int


@dataclass
class Contents:
    """The transfers of a run that hold the good content of a zone.

    Attributes:
        rows: schemas.SIGHTINGS, the good ones of them.
        shown: their key sets; rows are those of `rows`.
        notes: what the report must say.
    """

    rows: Any
    shown: list[Shown] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether any transfer proves anything."""
        return bool(self.rows.num_rows)

    def sightings(self) -> Iterator[Any]:
        """Give the good sightings as record batches."""
        return iter(self.rows.to_batches())

    def as_answers(self) -> Iterator[Any]:
        """Give them without the flag of what nobody asked for."""
        import pyarrow as pa

        at = self.rows.schema.get_field_index("flags")
        flags = self.rows["flags"].to_numpy() & ~np.uint16(SightingFlag.UNPAIRED)
        column = pa.array(flags, pa.uint16())
        return iter(self.rows.set_column(at, self.rows.schema.field(at), column).to_batches())

    def keys(self, known: Any) -> Any:
        """Give rows of schemas.KEYS for the key sets that `known` (the same) does not tell of."""
        return _key_rows(self, known)


def contents(
    batches: Iterable[Any], signatures: Any, disputed: NDArray[np.int64] | None = None
) -> Contents:
    """Judge the zone transfers among sightings.

    Args:
        batches: schemas.SIGHTINGS, those in transfers included.
        signatures: schemas.SIGNATURES.
        disputed: capture << 32 | frame of responses that another one contradicts.
    """
    import pyarrow as pa

    rows, is_cut = _whole(batches)
    notes = []
    if is_cut:
        notes.append(Note("limit", ".", sentence="More was transferred of zones than is judged."))
    empty = schemas.SIGHTINGS.empty_table()
    if not rows.num_rows:
        return Contents(empty, notes=notes)
    if disputed is not None and len(disputed):
        where = where_of(rows)
        doubted = rows["transaction"].to_numpy()[np.isin(where, disputed)]
        rows = rows.filter(pa.array(~np.isin(rows["transaction"].to_numpy(), doubted)))
        if not rows.num_rows:
            return Contents(empty, notes=notes)
    judge = _Judge(rows, signatures.combine_chunks())
    good, shown = judge.good()
    if judge.left < 0:
        notes.append(
            Note("limit", ".", sentence="More signatures were transferred than are tried.")
        )
    chosen = rows.take(pa.array(good, pa.int64()))
    place = {row: at for at, row in enumerate(good)}
    return Contents(chosen, [one._replace(row=place[one.row]) for one in shown], notes)


def are_there_any(batches: Iterable[Any]) -> bool:
    """Whether `contents` would find anything: of the column `flags` alone it costs little."""
    return any(_chosen(batch).any() for batch in batches)


def _chosen(batch: Any) -> NDArray[np.bool_]:
    chosen: NDArray[np.bool_] = (
        batch.column("flags").to_numpy(zero_copy_only=False) & _WHOLE
    ) == _WHOLE
    return chosen


def _whole(batches: Iterable[Any]) -> tuple[Any, bool]:
    """The sightings that lie whole in messages of transfers; whether there were more."""
    import pyarrow as pa

    found, number = [], 0
    for batch in batches:
        mine = _chosen(batch)
        if mine.any():
            found.append(batch.filter(pa.array(mine)))
            number += found[-1].num_rows
        if number > TRANSFER_ROWS:
            # A transfer that is cut short here could look better than it is: none is judged.
            return schemas.SIGHTINGS.empty_table(), True
    if not found:
        return schemas.SIGHTINGS.empty_table(), False
    return pa.Table.from_batches(found).combine_chunks(), False


class _Judge:
    """Tries the signatures of each transfer with the transfer's own keys."""

    def __init__(self, rows: Any, signatures: Any) -> None:
        self.left = TRANSFER_CHECKS
        numbers = signatures["signature"].to_numpy()
        order = np.argsort(numbers)
        wanted = rows["signature"].to_numpy()
        at = np.minimum(np.searchsorted(numbers[order], wanted), max(len(numbers) - 1, 0))
        self.row = order[at] if len(numbers) else np.empty(0, np.int64)
        self.known = numbers[self.row] == wanted if len(numbers) else np.zeros(len(wanted), bool)
        self.time = rows["time"].cast("int64").to_numpy()
        self.transaction = rows["transaction"].to_numpy()
        self.signatures = signatures
        self.type = signatures["type"].to_numpy().astype(np.int64)
        self.tag = signatures["key_tag"].to_numpy().astype(np.int64)
        self.algorithm = signatures["algorithm"].to_numpy().astype(np.int64)
        self.owner = signatures["owner"].to_pylist()
        self.signer = signatures["signer"].to_pylist()
        self.sound = signatures["problem"].is_null().to_numpy()
        self.periods = validity(signatures, int(np.median(self.time)), POLICIES["strict"])
        self._tried: dict[tuple[int, bytes], bool] = {}

    def good(self) -> tuple[list[int], list[Shown]]:
        """Return the rows that are good sightings, and the key sets that they show."""
        rows: list[int] = []
        shown: list[Shown] = []
        for transaction in np.unique(self.transaction).tolist():
            mine = np.flatnonzero((self.transaction == transaction) & self.known)
            for key_set in self._key_sets(mine):
                held = self._held(mine, key_set)
                if held:
                    rows += held
                    shown.append(key_set)
        return sorted(rows), shown

    def _key_sets(self, mine: NDArray[np.int64]) -> list[Shown]:
        """The key sets of a transfer that one of their own keys signs."""
        found: dict[str, Shown] = {}
        for at in mine.tolist():
            row = int(self.row[at])
            zone = self.signer[row]
            if self.type[row] != TYPE_DNSKEY or zone is None or zone != self.owner[row]:
                continue
            rdatas = _rdatas(self._data(row))
            if zone not in found and rdatas and self._is_good(at, _keys(zone, rdatas)):
                found[zone] = Shown(zone, rdatas, at)
        return list(found.values())

    def _held(self, mine: NDArray[np.int64], key_set: Shown) -> list[int]:
        """The good rows of a zone; none if some RRset of it has no good signature."""
        keys = _keys(key_set.zone, key_set.rdatas)
        rrsets: dict[tuple[str, int], list[int]] = defaultdict(list)
        for at in mine.tolist():
            row = int(self.row[at])
            if self.signer[row] == key_set.zone:
                rrsets[self.owner[row], int(self.type[row])].append(at)
        held: list[int] = []
        for (_, kind), rows in rrsets.items():
            good = [at for at in rows if self._is_good(at, keys)]
            if not good:
                return []
            # What the parent says of its children is not looked for in transfers.
            held += good if kind != TYPE_DS else []
        return held

    def _is_good(self, at: int, keys: dict[tuple[int, int], list[Key]]) -> bool:
        """Whether a signature verifies with one of the keys, and is in its time."""
        row, time = int(self.row[at]), int(self.time[at])
        if not self.sound[row] or self.periods.is_void[row]:
            return False
        if not self.periods.start[row] <= time < self.periods.end[row]:
            return False
        fitting = keys.get((int(self.tag[row]), int(self.algorithm[row])), [])
        over_keys = self.type[row] == TYPE_DNSKEY
        return any(
            self._verifies(row, key.rdata)
            for key in fitting
            if key.is_zone_key and key.protocol == 3 and (over_keys or not key.is_revoked)
        )

    def _verifies(self, row: int, rdata: bytes) -> bool:
        known = self._tried.get((row, rdata))
        if known is None:
            self.left -= 1
            pair = (self._data(row), self.signatures["octets"][row].as_py())
            known = self.left >= 0 and verify_many(rdata, [pair])[0]
            self._tried[row, rdata] = known
        return known

    def _data(self, row: int) -> bytes:
        data: bytes = self.signatures["signed_data"][row].as_py()
        return data


def _keys(zone: str, rdatas: tuple[bytes, ...]) -> dict[tuple[int, int], list[Key]]:
    """The keys of a set by tag and algorithm."""
    found: dict[tuple[int, int], list[Key]] = defaultdict(list)
    for rdata in rdatas:
        if len(rdata) > 4:
            key = Key(zone, rdata)
            found[key.tag, key.algorithm].append(key)
    return found


def _rdatas(signed_data: bytes) -> tuple[bytes, ...]:
    """The RDATA of each record in signed data (RFC 4034 3.1.8.1), sorted; empty if malformed."""
    found = []
    at = _behind_name(signed_data, _RRSIG_FIXED)
    while 0 <= at < len(signed_data):
        at = _behind_name(signed_data, at)
        if at < 0 or at + 10 > len(signed_data):
            return ()
        size = int.from_bytes(signed_data[at + 8 : at + 10], "big")
        at += 10 + size
        if at > len(signed_data):
            return ()
        found.append(signed_data[at - size : at])
    return tuple(sorted(found))


def _behind_name(data: bytes, at: int) -> int:
    while 0 <= at < len(data):
        length = data[at]
        at += 1 + length
        if not length:
            return at
    return -1


def _key_rows(held: Contents, known: Any) -> Any:
    """Make runs of one sighting each, where no run of the place tells of that time already."""
    import pyarrow as pa

    runs: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    first, last = (known[name].cast(pa.int64()).to_pylist() for name in ("first", "last"))
    columns = (known[name].to_pylist() for name in ("zone", "type", "place"))
    for zone, kind, place, begin, end in zip(*columns, first, last, strict=True):
        if kind == TYPE_DNSKEY and place is not None and begin is not None and end is not None:
            runs[zone, place].append((begin, end))
    number = max(known["run"].to_pylist(), default=-1) + 1
    rrset = max((one for one in known["rrset"].to_pylist() if one is not None), default=-1) + 1
    numbers: dict[tuple[str, tuple[bytes, ...]], int] = {
        (zone, tuple(rdatas or ())): which
        for zone, kind, which, rdatas in zip(
            *(known[name].to_pylist() for name in ("zone", "type", "rrset", "rdatas")), strict=True
        )
        if kind == TYPE_DNSKEY and which is not None
    }
    rows = []
    names = ("time", "place", "capture", "frame", "ttl", "flags")
    seen = {name: held.rows[name] for name in names}
    times = seen["time"].cast(pa.int64())
    for one in held.shown:
        time, place = times[one.row].as_py(), seen["place"][one.row].as_py()
        if any(begin <= time <= end for begin, end in runs[one.zone, place]):
            continue
        which = numbers.setdefault((one.zone, one.rdatas), rrset)
        rrset = max(rrset, which + 1)
        keys = [Key(one.zone, rdata.ljust(4, b"\0")) for rdata in one.rdatas]
        frame = seen["frame"][one.row].as_py()
        capture = seen["capture"][one.row].as_py()
        rows.append(
            {
                "run": number,
                "zone": one.zone,
                "type": TYPE_DNSKEY,
                "rrset": which,
                "place": place,
                "source": "observed",
                "first": time,
                "last": time,
                "first_capture": capture,
                "first_frame": frame,
                "last_capture": capture,
                "last_frame": frame,
                "count": 1,
                "ttl": seen["ttl"][one.row].as_py(),
                "authoritative": bool(seen["flags"][one.row].as_py() & int(SightingFlag.AA)),
                "rdatas": list(one.rdatas),
                "tags": [key.tag for key in keys],
                "algorithms": [key.algorithm for key in keys],
                "detail": [key.flags for key in keys],
            }
        )
        number += 1
    return pa.Table.from_pylist(rows, schema=schemas.KEYS)
