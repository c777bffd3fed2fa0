"""Which key is tried on which signature, and the trying: each distinct triple once.

The order is that of digests, never that of packets, so limits cut the same triples whatever the
input's order (DESIGN section 4, limits of ours; KeyTrap, CVE-2023-50387).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import schemas
from forensics.knowledge import Key, ZoneKeys
from forensics.limits import CHECKS_PER_ZONE, KEYS_PER_TAG
from forensics.validation import helpers
from forensics.validation.signature import SUPPORTED, verify_many

_BATCH: Final = 512
"""Signatures that a process takes at once: some 30 ms of work, so that all end together."""


@dataclass(frozen=True)
class Group:
    """The signatures of one signer, key tag and algorithm, and the keys that fit.

    Attributes:
        zone, tag, algorithm: the signer's name, and what the RRSIGs say.
        keys: indices into the zone's keys that have tag and algorithm and were tried.
        is_cut: more keys than limits.KEYS_PER_TAG fit.
    """

    zone: str
    tag: int
    algorithm: int
    keys: tuple[int, ...]
    is_cut: bool


@dataclass(frozen=True)
class Checked:
    """What cryptography said of every signature; arrays of length N, row for row.

    Attributes:
        groups: the groups.
        group: int32, index into `groups`.
        verified: int32, index into `key_choices`: the keys that verify the signature.
        key_choices: tuples of indices into the zone's keys; entry 0 is the empty one.
        cut: bool, some key was left untried.
        table: schemas.CHECKS.
    """

    groups: tuple[Group, ...]
    group: NDArray[np.int32]
    verified: NDArray[np.int32]
    key_choices: tuple[tuple[int, ...], ...]
    cut: NDArray[np.bool_]
    table: Any


class Known:
    """Checks that were made before; they are not made again.

    Args:
        table: columns `signature` (schemas.SIGNATURES), `key` (SHA-256 of the DNSKEY's RDATA) and
            `valid`, in order of key and signature.
    """

    def __init__(self, table: Any) -> None:
        self._by_key: dict[bytes, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        if not table.num_rows:
            return
        keys = table["key"].combine_chunks().dictionary_encode()
        codes = keys.indices.to_numpy()
        edges = np.flatnonzero(np.diff(codes)) + 1
        numbers = table["signature"].to_numpy().astype(np.int64)
        valid = table["valid"].to_numpy(zero_copy_only=False)
        for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(codes)], strict=True):
            key = keys.dictionary[int(codes[begin])].as_py()
            self._by_key[key] = (numbers[begin:end], valid[begin:end])

    def of(
        self, rdata: bytes, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of some signatures were tried with a key, and which of them it verifies."""
        mine, valid = self._by_key.get(digest(rdata), (numbers[:0], np.empty(0, np.bool_)))
        if not len(mine):
            return np.zeros(len(numbers), np.bool_), np.zeros(len(numbers), np.bool_)
        at = np.minimum(np.searchsorted(mine, numbers), len(mine) - 1)
        found = mine[at] == numbers
        return found, found & valid[at]


def digest(rdata: bytes) -> bytes:
    """What `Known` names a key by."""
    return hashlib.sha256(rdata).digest()


def check(signatures: Any, zones: Mapping[str, ZoneKeys], known: Known | None = None) -> Checked:
    """Try every key that fits on every signature.

    Args:
        signatures: schemas.SIGNATURES, one chunk a column.
        zones: what is known of keys, by zone.
        known: checks that were made before.
    """
    groups, group = _groups(signatures, zones)
    cut = np.array([g.is_cut for g in groups] or [False], np.bool_)[group]
    rows, keys, results = _try(signatures, zones, groups, group, cut, known)
    order = np.lexsort((keys, rows))
    rows, keys, results = rows[order], keys[order], results[order]
    verified, choices = _choices(len(group), rows[results], keys[results])
    table = _table(signatures, zones, groups, group, rows, keys, results)
    return Checked(groups, group, verified, choices, cut, table)


def _groups(
    signatures: Any, zones: Mapping[str, ZoneKeys]
) -> tuple[tuple[Group, ...], NDArray[np.int32]]:
    """Number the distinct (signer, tag, algorithm) and find their keys."""
    names, codes = encode(signatures["signer"])
    tags = signatures["key_tag"].to_numpy().astype(np.int64)
    algorithms = signatures["algorithm"].to_numpy().astype(np.int64)
    packed = codes << 24 | tags << 8 | algorithms
    distinct, inverse = np.unique(packed, return_inverse=True)
    candidates: dict[tuple[str, int, int], list[int]] = {}
    for zone in {names[code] for code in np.unique(codes)} & zones.keys():
        for index, key in enumerate(zones[zone].keys):
            if key.protocol == 3:  # else it is no key at all (RFC 4034 2.1.2)
                candidates.setdefault((zone, key.tag, key.algorithm), []).append(index)
    groups = []
    for value in distinct.tolist():
        zone, tag, algorithm = names[value >> 24], value >> 8 & 0xFFFF, value & 0xFF
        fitting = candidates.get((zone, tag, algorithm), [])
        kept = tuple(fitting[:KEYS_PER_TAG])
        groups.append(Group(zone, tag, algorithm, kept, len(fitting) > len(kept)))
    return tuple(groups), inverse.astype(np.int32)


def encode(column: Any) -> tuple[list[str], NDArray[np.int64]]:
    """Return the sorted distinct texts of a string column, and each row's index among them.

    What has no text (the signer of a malformed RRSIG) counts as the empty one, which is no name.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(column) == 0:
        return [], np.empty(0, np.int64)
    flat = column.cast(pa.string()).combine_chunks().fill_null("")
    encoded = pc.dictionary_encode(flat)
    names: list[str] = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return [names[i] for i in order], place[encoded.indices.to_numpy()]


@dataclass(frozen=True, slots=True)
class Trial:
    """A key, and signatures to try it on.

    Attributes:
        rdata: of the DNSKEY.
        rows: of the table of signatures.
        key: index into the zone's keys.
    """

    rdata: bytes
    rows: NDArray[np.int64]
    key: int


def trials(signatures: Any, zones: Mapping[str, ZoneKeys]) -> list[Trial]:
    """All that `check` would try.

    Args:
        signatures: schemas.SIGNATURES, at least its columns signature_id, signer, key_tag and
            algorithm.
        zones: as for `check`.
    """
    groups, group = _groups(signatures, zones)
    return _trials(signatures, zones, groups, group, np.zeros(len(group), np.bool_))


def _trials(
    signatures: Any,
    zones: Mapping[str, ZoneKeys],
    groups: tuple[Group, ...],
    group: NDArray[np.int32],
    cut: NDArray[np.bool_],
) -> list[Trial]:
    """List all checks, and mark in `cut` what a limit leaves out."""
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(len(groups) + 1))
    found = []
    for number, this in enumerate(groups):
        if not this.keys or this.algorithm not in SUPPORTED:
            continue
        members = order[bounds[number] : bounds[number + 1]]
        most = CHECKS_PER_ZONE // len(this.keys)
        if len(members) > most:
            ids = np.array(signatures["signature_id"].take(members).to_pylist())
            by_digest = members[np.argsort(ids, kind="stable")]
            members = np.sort(by_digest[:most])
            cut[by_digest[most:]] = True
        found += [Trial(zones[this.zone].keys[key].rdata, members, key) for key in this.keys]
    return found


def _try(
    signatures: Any,
    zones: Mapping[str, ZoneKeys],
    groups: tuple[Group, ...],
    group: NDArray[np.int32],
    cut: NDArray[np.bool_],
    known: Known | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Run all checks; return rows, keys and results, and mark in `cut` what a limit left out."""
    numbers = signatures["signature"].to_numpy().astype(np.int64)
    made: list[tuple[NDArray[np.int64], int, NDArray[np.bool_]]] = []
    jobs: list[Trial] = []
    for trial in _trials(signatures, zones, groups, group, cut):
        rows = trial.rows
        if known is not None:
            found, valid = known.of(trial.rdata, numbers[rows])
            made.append((rows[found], trial.key, valid[found]))
            rows = rows[~found]
        jobs += [
            Trial(trial.rdata, rows[start : start + _BATCH], trial.key)
            for start in range(0, len(rows), _BATCH)
        ]

    # Heavy batches first would need the keys' sizes; batches are small enough to even out.
    answers = _answers(signatures, jobs)
    made += [(job.rows, job.key, answer) for job, answer in zip(jobs, answers, strict=True)]
    if not made:
        empty = np.empty(0, np.int64)
        return empty, empty, np.empty(0, np.bool_)
    rows = np.concatenate([rows for rows, _, _ in made])
    keys = np.concatenate([np.full(len(rows), key, np.int64) for rows, key, _ in made])
    return rows, keys, np.concatenate([results for _, _, results in made])


def _answers(signatures: Any, jobs: list[Trial]) -> list[NDArray[np.bool_]]:
    """Try keys on signatures: here, or where they are many in a process for each core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(len(jobs), cores or 1)
    if workers > 1 and sum(len(job.rows) for job in jobs) >= helpers.FEWEST:
        found = helpers.verify_all(jobs, lambda job: _job(signatures, job), workers)
        if found is not None:
            return [np.frombuffer(one, np.uint8) == 1 for one in found]
    return [tried(signatures, job) for job in jobs]


def _job(signatures: Any, job: Trial) -> helpers.Job:
    """The octets that a trial is about."""
    import pyarrow as pa

    rows = job.rows
    first, count = (int(rows[0]), len(rows)) if len(rows) else (0, 0)
    # Rows are in order, so that these lie side by side: no octet is copied.
    beside = count > 0 and int(rows[-1]) - first == count - 1
    columns = [signatures[name] for name in ("signed_data", "octets")]
    datas, fields = (
        pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        for column in (
            column.slice(first, count) if beside else column.take(rows) for column in columns
        )
    )
    return job.rdata, datas, fields


def tried(signatures: Any, job: Trial) -> NDArray[np.bool_]:
    """Try a key on some signatures of a table, of which the order is kept."""
    rdata, datas, fields = _job(signatures, job)
    pairs = zip(datas.to_pylist(), fields.to_pylist(), strict=True)
    return np.array(verify_many(rdata, list(pairs)), np.bool_)


def _choices(
    count: int, rows: NDArray[np.int64], keys: NDArray[np.int64]
) -> tuple[NDArray[np.int32], tuple[tuple[int, ...], ...]]:
    """Number the sets of verifying keys; `rows` is sorted, and `keys` within a row."""
    verified = np.zeros(count, np.int32)
    numbers: dict[tuple[int, ...], int] = {(): 0}
    single = np.ones(len(rows), np.bool_)
    if len(rows) > 1:
        same = rows[1:] == rows[:-1]
        single[1:] &= ~same
        single[:-1] &= ~same
    for key in np.unique(keys[single]).tolist():
        number = numbers.setdefault((key,), len(numbers))
        verified[rows[single & (keys == key)]] = number
    several: dict[int, list[int]] = {}
    for row, key in zip(rows[~single].tolist(), keys[~single].tolist(), strict=True):
        several.setdefault(row, []).append(key)
    for row, found in several.items():
        verified[row] = numbers.setdefault(tuple(found), len(numbers))
    return verified, tuple(numbers)


def _table(
    signatures: Any,
    zones: Mapping[str, ZoneKeys],
    groups: tuple[Group, ...],
    group: NDArray[np.int32],
    rows: NDArray[np.int64],
    keys: NDArray[np.int64],
    results: NDArray[np.bool_],
) -> Any:
    """Write schemas.CHECKS, in order of signature and key_id."""
    import pyarrow as pa

    of = group[rows] if len(rows) else np.empty(0, np.int32)
    # key_id by (group, key): keys are sorted by key_id within their zone, so `keys` orders it.
    width = max((key for g in groups for key in g.keys), default=0) + 1
    pairs, inverse = np.unique(of.astype(np.int64) * width + keys, return_inverse=True)
    ids = pa.array(
        [zones[groups[p // width].zone].keys[p % width].key_id for p in pairs.tolist()],
        pa.string(),
    ).take(pa.array(inverse))
    numbers = signatures["signature"].to_numpy()[rows]
    tag = np.array([g.tag for g in groups] or [0], np.uint16)[of]
    algorithm = np.array([g.algorithm for g in groups] or [0], np.uint8)[of]
    return pa.table(
        [
            pa.array(numbers, pa.uint32()),
            ids,
            pa.array(tag, pa.uint16()),
            pa.array(algorithm, pa.uint8()),
            pa.array(results, pa.bool_()),
        ],
        schema=schemas.CHECKS,
    ).sort_by([("signature", "ascending"), ("key_id", "ascending")])


def key_ids(zone: ZoneKeys | None, keys: tuple[int, ...]) -> list[str]:
    """Return the key_ids that verdicts name the keys by."""
    known: tuple[Key, ...] = zone.keys if zone else ()
    return [known[index].key_id for index in keys]
