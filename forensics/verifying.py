"""Each distinct signature tried with each key that fits, once in a whole cluster.

A state keeps what came of it by signature and key, so that reports try only what they bring
besides: keys that the user supplies. What an older state knows is taken over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.archive.store import Store

VERIFIED: Final = "verified.parquet"
"""File of a state: signature, key (SHA-256 of its RDATA), valid."""

WORK: Final = "verified"
"""Folder of what tasks have found for a state that is not finished."""

_TASK_ROWS: Final = 2**13
_TASK_TRIALS: Final = 2**12
"""Signatures that one task looks at, and checks that it makes, some tenths of a second."""


@dataclass(frozen=True, slots=True)
class Verify:
    """What a task needs to try keys on signatures.

    Attributes:
        root: of the dataset.
        signatures: name of the state's table of signatures.
        result: name of the file for what it finds.
        trials: (RDATA of the key, rows of that table).
    """

    root: str
    signatures: str
    result: str
    trials: tuple[tuple[bytes, tuple[int, ...]], ...]


@dataclass(slots=True)
class Agenda:
    """What is to be tried, and what is known of it.

    Attributes:
        tasks: for the cluster.
        rows, keys, valid: known before: row of the table, digest of the key, whether it verifies.
    """

    tasks: list[Verify]
    rows: list[NDArray[np.int64]]
    keys: list[bytes]
    valid: list[NDArray[np.bool_]]


def checked_before(tables: Path) -> Any:
    """The checks that a state keeps, as validation takes them; None: it keeps none."""
    import pyarrow.parquet as pq

    from forensics.validation.checks import Known

    path = tables / VERIFIED
    return Known(pq.read_table(path)) if path.is_file() else None


def agenda(root: str, state: str, folder: Path, old: str | None) -> Agenda:
    """Say what must be tried for a state.

    Args:
        root: of the dataset.
        state: the state's name, of which all files are there but the index.
        folder: a local copy of its tables of signatures, keys and places.
        old: name of an older state that knows some of it already.
    """
    from forensics.archive.tables import read_table
    from forensics.keyring import view
    from forensics.validation.checks import digest, trials

    columns = ["signature", "signature_id", "signer", "key_tag", "algorithm"]
    signatures = read_table(folder, "signatures", columns).combine_chunks()
    zones = view.build(read_table(folder, "keys"), read_table(folder, "places"))
    ids = signatures["signature_id"].to_numpy(zero_copy_only=False)
    known = _known(Store(root), old, ids)
    made = Agenda([], [], [], [])
    wanted: dict[int, list[tuple[bytes, NDArray[np.int64]]]] = {}
    for trial in trials(signatures, zones):
        rows, key = trial.rows, digest(trial.rdata)
        found, valid = known.of(trial.rdata, rows)
        made.rows.append(rows[found])
        made.keys.append(key)
        made.valid.append(valid[found])
        rest = np.sort(rows[~found])
        for place in np.unique(rest // _TASK_ROWS).tolist():
            mine = rest[rest // _TASK_ROWS == place]
            wanted.setdefault(place, []).append((trial.rdata, mine))
    name = f"{state}/signatures.parquet"
    for place in sorted(wanted):
        for some in _portions(wanted[place]):
            told = hashlib.sha256()
            for rdata, rows in some:
                told.update(digest(rdata) + "".join(ids[rows]).encode() + b"\n")
            result = f"{WORK}/{told.hexdigest()[:32]}.parquet"
            told_rows = tuple((rdata, tuple(rows.tolist())) for rdata, rows in some)
            made.tasks.append(Verify(root, name, result, told_rows))
    return made


def _portions(
    trials: Sequence[tuple[bytes, NDArray[np.int64]]],
) -> list[list[tuple[bytes, NDArray[np.int64]]]]:
    """Cut trials into portions for one task each."""
    portions: list[list[tuple[bytes, NDArray[np.int64]]]] = [[]]
    room = _TASK_TRIALS
    for rdata, rows in trials:
        for start in range(0, len(rows), _TASK_TRIALS):
            some = rows[start : start + _TASK_TRIALS]
            if room < len(some):
                portions.append([])
                room = _TASK_TRIALS
            portions[-1].append((rdata, some))
            room -= len(some)
    return [one for one in portions if one]


def _known(store: Store, old: str | None, ids: NDArray[Any]) -> Any:
    """What an older state knows, by the rows of the new one's signatures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.validation.checks import Known

    empty = pa.table(
        {
            "signature": pa.array([], pa.uint32()),
            "key": pa.array([], pa.binary()),
            "valid": pa.array([], pa.bool_()),
        }
    )
    if old is None or not store.exists(f"{old}/{VERIFIED}"):
        return Known(empty)
    table = pq.read_table(store.open(f"{old}/{VERIFIED}"))
    file = store.open(f"{old}/signatures.parquet")
    former = pq.read_table(file, columns=["signature_id"])["signature_id"].to_pylist()
    at = {one: row for row, one in enumerate(ids.tolist())}
    moved = np.array([at.get(one, -1) for one in former], np.int64)
    rows = moved[table["signature"].to_numpy()]
    table = table.set_column(0, "signature", pa.array(rows))
    table = table.filter(pa.array(rows >= 0))
    return Known(table.sort_by([("key", "ascending"), ("signature", "ascending")]))


def verify(job: Verify) -> str:
    """Try keys on signatures, unless that was done; give the name of the file that tells."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.validation.checks import Trial, digest, tried

    store = Store(job.root)
    if store.exists(job.result):
        return job.result
    wanted = np.unique(np.concatenate([np.array(rows) for _, rows in job.trials]))
    held = []
    with pq.ParquetFile(store.open(job.signatures)) as file:
        begin = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            inside = wanted[(wanted >= begin) & (wanted < begin + count)] - begin
            if len(inside):
                table = file.read_row_group(group, columns=["signed_data", "octets"])
                held.append(table.take(pa.array(inside)))
            begin += count
    signatures = pa.concat_tables(held).combine_chunks()
    columns: list[Any] = [[], [], []]
    for rdata, rows in job.trials:
        places = np.searchsorted(wanted, rows)
        columns[0] += rows
        columns[1] += [digest(rdata)] * len(rows)
        columns[2] += tried(signatures, Trial(rdata, places, 0)).tolist()
    table = _table(*columns)
    with store.work() as folder:
        pq.write_table(table, folder / "verified", compression="zstd")
        store.put(folder / "verified", job.result)
    return job.result


def _table(rows: Sequence[int], keys: Sequence[bytes], valid: Sequence[bool]) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "signature": pa.array(rows, pa.uint32()),
            "key": pa.array(keys, pa.binary()),
            "valid": pa.array(valid, pa.bool_()),
        }
    )


def write_verified(root: str, made: Agenda, results: Sequence[str], path: Path) -> None:
    """Write all that is known of a state's signatures; a signature's number is its row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = Store(root)
    tables = [pq.read_table(store.open(name)) for name in results]
    for rows, key, valid in zip(made.rows, made.keys, made.valid, strict=True):
        tables.append(_table(rows.tolist(), [key] * len(rows), valid.tolist()))
    table = pa.concat_tables([*tables, _table([], [], [])])
    table = table.sort_by([("key", "ascending"), ("signature", "ascending")])
    # Two keys of equal octets in two zones are one key.
    pq.write_table(_distinct(table), path, compression="zstd", use_dictionary=["key"])


def _distinct(table: Any) -> Any:
    import pyarrow as pa

    if table.num_rows < 2:
        return table
    table = table.combine_chunks()
    codes = table["key"].combine_chunks().dictionary_encode().indices.to_numpy()
    numbers = table["signature"].to_numpy().astype(np.int64)
    fresh = np.concatenate([[True], (np.diff(codes) != 0) | (np.diff(numbers) != 0)])
    return table.filter(pa.array(fresh))
