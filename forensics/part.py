"""One input of an archive as a part of its dataset: read alone, once, with its ends open.

A part depends on the input's octets and the dataset's settings alone, never on its neighbours, and
never changes. Its name is the input's SHA-256. What other files may change of it, `stitching.py`
says apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.archive.layout import LONG, RECORD, day_number, day_of, long_name, part_name
from forensics.archive.store import Store, is_url
from forensics.errors import InputError, Unreadable
from forensics.options import Options

LOOSE: Final = ("unanswered", "unsolicited", "duplicate", "retransmitted")
"""Pairing states that a neighbouring file may change."""

_PART_DIGITS: Final = 32
_CHUNK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Job:
    """What a task needs to make a part, wherever it runs.

    Attributes:
        path: the input, a path or a URL.
        root: of the dataset, a path or a URL.
        sensor: a name by `layout.sensor_name`.
        options: `ports`, `servers`, `resolvers`, times, clock and key of the dataset.
    """

    path: str
    root: str
    sensor: str
    options: Options


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a job.

    Attributes:
        path: the input.
        part: id of its part; empty: it could not be read. sha256: of the input.
        offset, reason: where and why not, or why only in part.
        fresh: it was read now, not found in the dataset.
    """

    path: str
    part: str = ""
    sha256: str = ""
    offset: int = 0
    reason: str = ""
    fresh: bool = False


def make(job: Job) -> Made:
    """Read an input into its part, unless the dataset has it already.

    Raises:
        OSError: the dataset cannot be written to: no room, for instance.
    """
    store = Store(job.root)
    try:
        with _local(job.path, store) as path:
            try:
                part = _digest(path)
            except OSError as error:
                raise Unreadable(job.path, 0, (error.strerror or "error").lower()) from None
            record = read_record(store, part)
            if record is None:
                record = _read(job, path, part, store)
                fresh = True
            else:
                fresh = False
    except InputError as error:
        return Made(job.path, offset=error.offset, reason=error.reason)
    offset, reason = record["damage"][0] if record["damage"] else (0, "")
    return Made(job.path, part, record["sha256"], offset, reason, fresh)


def read_record(store: Store, part: str) -> dict[str, Any] | None:
    """The record of a finished part; None: there is none."""
    try:
        found = json.loads(store.read(part_name(part)))
    except FileNotFoundError:
        return None
    return found if isinstance(found, dict) else None


@contextmanager
def _local(path: str, store: Store) -> Iterator[Path]:
    """Give an input as a local file."""
    if not is_url(path):
        yield Path(path)
        return
    from forensics.archive.store import filesystem

    with store.work() as folder:
        fs, where = filesystem(path)
        target = folder / "input"
        try:
            fs.get_file(where, str(target))
        except FileNotFoundError:
            raise Unreadable(path, 0, "no such file") from None
        yield target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_PART_DIGITS]


def _read(job: Job, path: Path, part: str, store: Store) -> dict[str, Any]:
    """Read the input, and put the part's files where they belong; the record comes last."""
    from forensics.ingest import ingest
    from forensics.openends import OpenEvidence

    options = job.options
    evidence = OpenEvidence(options.servers, options.resolvers)
    offsets = dict(options.clock_offsets)
    with store.work() as folder:
        tables = folder / "tables"
        result = ingest(
            [str(path)],
            tables,
            ports=options.ports,
            servers=options.servers,
            resolvers=options.resolvers,
            start=options.start,
            end=options.end,
            clock_offsets={str(path): offsets[job.path]} if job.path in offsets else {},
            collector=evidence,
        )
        if not result.captures:
            error = result.errors[0]
            raise InputError(job.path, error.offset, error.reason)
        if options.anonymize is not None:
            from forensics.anonymity import anonymize_tables
            from forensics.cryptopan import read_key

            anonymize_tables(
                tables, read_key(options.anonymize), options.servers | options.resolvers
            )
        facts = result.captures[0]
        own = folder / "own"
        own.mkdir()
        for name in ("captures", "losses", "signatures"):
            (tables / f"{name}.parquet").replace(own / f"{name}.parquet")
        _write_responders(own, result.responders, evidence.paired)
        _write_runs(own, *evidence.raw_runs())
        _write_aside(own, evidence.aside)
        if facts.first is not None and facts.last is not None:
            _write_loose(own, tables, facts.first, facts.last)
        files: dict[str, Any] = {}
        for table in LONG:
            for day, file in _by_day(tables, table):
                _place(store, file, long_name(table, day, job.sensor, part), files)
        for file in sorted(own.iterdir()):
            _place(store, file, part_name(part, file.name), files)
        record = {
            "part": part,
            "sha256": facts.sha256,
            "sensor": job.sensor,
            "first": facts.first,
            "last": facts.last,
            "packets": facts.packets,
            "messages": result.messages,
            "octets": facts.octets,
            "left_out": {
                name: count
                for name, count in {**result.left_out, "unsolicited": 0}.items()
                if count
            },
            "losses": facts.losses.as_dict(),
            "damage": [[error.offset, error.reason] for error in result.errors],
            "files": files,
        }
        path = folder / RECORD
        path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="ascii")
        store.put(path, part_name(part))
    return record


def _place(store: Store, file: Path, name: str, files: dict[str, Any]) -> None:
    """Move a finished file into the dataset, and note what it is."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    files[name] = {"sha256": digest, "octets": file.stat().st_size}
    store.put(file, name)


def _by_day(tables: Path, table: str) -> Iterator[tuple[str, Path]]:
    """Give (day, file) for each day that a table has rows of."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from forensics.archive.tables import TableWriter, iter_batches

    path = tables / f"{table}.parquet"
    least, most, rows = _span(path)
    if not rows:
        return
    if day_number(least) == day_number(most):
        yield day_of(least), path
        return
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        for batch in iter_batches(tables, table):
            days = batch.column("time").cast(pa.int64()).to_numpy() // (86_400 * limits.SECOND)
            for number in np.unique(days).tolist():
                day = day_of(number * 86_400 * limits.SECOND)
                if day not in writers:
                    writer = TableWriter(tables / day, table)
                    writers[day] = stack.enter_context(writer)
                chosen = batch.filter(pc.equal(pa.array(days), number))
                writers[day].write(pa.Table.from_batches([chosen]).unify_dictionaries())
    for day in sorted(writers):
        yield day, tables / day / f"{table}.parquet"


def _span(path: Path) -> tuple[int, int, int]:
    """Least and greatest time of a long table, and its rows."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        at = file.schema_arrow.get_field_index("time")
        found = [
            file.metadata.row_group(group).column(at).statistics
            for group in range(file.num_row_groups)
        ]
        rows = file.metadata.num_rows
    if not found:
        return 0, 0, 0
    return min(one.min_raw for one in found), max(one.max_raw for one in found), rows


def _write_loose(own: Path, tables: Path, first: int, last: int) -> None:
    """Write the transactions without a half that a neighbouring file may hold."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from forensics.archive.sessions import sessions
    from forensics.archive.tables import iter_batches
    from forensics.schemas import TRANSACTIONS
    from forensics.stitching import EDGE

    found = []
    for batch in iter_batches(tables, "transactions"):
        time = batch.column("time").cast(pa.int64())
        lone = pc.is_in(batch.column("pairing").cast(pa.string()), value_set=pa.array(LOOSE))
        edge = pc.or_(
            pc.less_equal(time, first + EDGE),
            pc.greater_equal(time, last - EDGE),
        )
        rows = batch.filter(pc.and_(lone, edge))
        if rows.num_rows:
            (rows,) = pa.Table.from_batches([rows]).unify_dictionaries().to_batches()
            found.append(rows.append_column("session", pa.array(sessions(rows))))
    schema = TRANSACTIONS.append(pa.field("session", pa.uint64()))
    table = pa.Table.from_batches(found, schema) if found else schema.empty_table()
    pq.write_table(table.unify_dictionaries(), own / "loose.parquet", compression="zstd")


def _write_responders(own: Path, places: Any, paired: Any) -> None:
    """Write the places as the kernels counted them, of which those of all parts are made."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = int(places.state[0])
    width = limits.NSID_OCTETS
    table = pa.table(
        {
            "address": [places.addresses[16 * n : 16 * n + 16].tobytes() for n in range(count)],
            "nsid": [
                places.nsids[width * n : width * n + int(places.nsid_lengths[n])].tobytes()
                for n in range(count)
            ],
            "authority": places.authority[:count],
            "recursive": places.recursive[:count],
            "referrals": places.referrals[:count],
            "word": places.word[:count],
            "paired": paired[:count],
        },
        schema=pa.schema(
            [
                ("address", pa.binary(16)),
                ("nsid", pa.binary()),
                ("authority", pa.int64()),
                ("recursive", pa.int64()),
                ("referrals", pa.int64()),
                ("word", pa.uint8()),
                ("paired", pa.int64()),
            ]
        ),
    )
    pq.write_table(table, own / "responders.parquet", compression="zstd")


def _write_runs(own: Path, runs: Any, sets: Any) -> None:
    """Write the undecided runs of key RRsets, and the RRsets."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.evidence.arrays import RUN_KEYSET, RUN_OWNER

    columns = {str(at): pa.array(runs[:, at].copy()) for at in range(runs.shape[1])}
    pq.write_table(pa.table(columns), own / "runs.parquet", compression="zstd")
    pairs = zip(runs[:, RUN_KEYSET].tolist(), runs[:, RUN_OWNER].tolist(), strict=True)
    by_set = dict(pairs)
    table = pa.table(
        {
            "set": pa.array(sorted(by_set), pa.int64()),
            "owner": pa.array([sets.owners[by_set[n]][0] for n in sorted(by_set)], pa.string()),
            "type": pa.array([sets.kinds[n] for n in sorted(by_set)], pa.uint16()),
            "rdatas": pa.array([sets.rdatas[n] for n in sorted(by_set)], pa.list_(pa.binary())),
        }
    )
    pq.write_table(table, own / "keysets.parquet", compression="zstd")


def _write_aside(own: Path, aside: list[Any]) -> None:
    """Write the unsigned RRsets of responses whose query may stand in the file before."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.schemas import UNSIGNED

    table = pa.Table.from_batches(aside, UNSIGNED) if aside else UNSIGNED.empty_table()
    pq.write_table(table.unify_dictionaries(), own / "aside.parquet", compression="zstd")


def remove_part(store: Store, part: str) -> None:
    """Remove what a part has in the dataset, the record first."""
    names = [name for table in LONG for name in store.names(table) if f"/part={part}/" in name]
    for name in [part_name(part), *store.names(f"parts/{part}"), *names]:
        if store.exists(name):
            store.remove(name)
