"""The files of a part: long tables by day, what stays open at its ends, and its record, last.

What is read may be a file, or a seam of several (`seams.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.archive.layout import (
    KEY_TAGS_FILE,
    LONG,
    RECORD,
    day_number,
    day_of,
    long_name,
    part_name,
)
from forensics.archive.store import Store
from forensics.chaining import write_candidates
from forensics.errors import InputError, UsageError
from forensics.jsontext import parsed
from forensics.options import Options

LOOSE: Final = ("unanswered", "unsolicited", "duplicate", "retransmitted")
"""Pairing states that a neighbouring file may change."""


def read_record(store: Store, part: str) -> dict[str, Any] | None:
    """The record of a finished part; None: there is none.

    Raises:
        UsageError: it is damaged.
    """
    try:
        found = parsed(store.read(part_name(part)))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UsageError(f"{part_name(part)}: damaged; ingest the captures anew") from None
    return found if isinstance(found, dict) else None


def write_part(
    store: Store,
    part: str,
    sensor: str,
    options: Options,
    source: Callable[[Callable[[InputError], None]], Iterator[Any]],
    named: str,
    finish: Callable[[Path], dict[str, Any]],
    seam: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Read a source, and put the part's files where they belong; the record comes last.

    Args:
        store: the dataset.
        part: id.
        sensor: a name by `layout.sensor_name`.
        options: of the dataset.
        source: as `ingest.ingest` takes it.
        named: the input as the user named it.
        finish: writes what else belongs to the part's own files, and gives what the record says
            of it.
        seam: what the record of a seam says besides; all of it is edge, and it has no captures.

    Returns:
        the record.

    Raises:
        InputError: nothing could be read.
    """
    from forensics.ingest import ingest
    from forensics.openends import OpenEvidence

    evidence = OpenEvidence(options.servers, options.resolvers, is_seam=seam is not None)
    with store.work() as folder:
        tables = folder / "tables"
        result = ingest(
            [],
            tables,
            ports=options.ports,
            servers=options.servers,
            resolvers=options.resolvers,
            start=options.start,
            end=options.end,
            collector=evidence,
            source=source,
        )
        if not result.captures:
            error = result.errors[0]
            raise InputError(named, error.offset, error.reason)
        if options.anonymize is not None:
            from forensics.anonymity import anonymize_tables
            from forensics.cryptopan import read_key

            anonymize_tables(
                tables, read_key(options.anonymize), options.servers | options.resolvers
            )
        facts = result.captures[0]
        own = folder / "own"
        own.mkdir()
        more = finish(own)
        for name in ("captures", "losses", "signatures"):
            (tables / f"{name}.parquet").replace(own / f"{name}.parquet")
        if (tables / KEY_TAGS_FILE).exists():  # hardly any query names key tags
            (tables / KEY_TAGS_FILE).replace(own / KEY_TAGS_FILE)
        _write_responders(own, result.responders, evidence.paired, evidence.begins)
        _write_runs(own, *evidence.raw_runs())
        _write_aside(own, evidence.aside)
        write_candidates(own, tables)
        _write_firsts(own, tables)
        if seam is not None:
            _write_loose(own, tables, None)
        elif facts.first is not None and facts.last is not None:
            _write_loose(own, tables, (facts.first, facts.last))
        files: dict[str, Any] = {}
        for table in LONG:
            for day, file in _by_day(tables, table):
                _place(store, file, long_name(table, day, sensor, part), files)
        for file in sorted(own.iterdir()):
            _place(store, file, part_name(part, file.name), files)
        record = {
            "part": part,
            "sha256": facts.sha256,
            "sensor": sensor,
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
            **more,
            **(seam or {}),
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


def _write_loose(own: Path, tables: Path, ends: tuple[int, int] | None) -> None:
    """Write the transactions without a half that a neighbouring file may hold.

    Those near the first and last packet (`ends`), or all.
    """
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
        if ends is not None:
            edge = pc.or_(
                pc.less_equal(time, ends[0] + EDGE),
                pc.greater_equal(time, ends[1] - EDGE),
            )
            lone = pc.and_(lone, edge)
        rows = batch.filter(lone)
        if rows.num_rows:
            (rows,) = pa.Table.from_batches([rows]).unify_dictionaries().to_batches()
            found.append(rows.append_column("session", pa.array(sessions(rows))))
    schema = TRANSACTIONS.append(pa.field("session", pa.uint64()))
    table = pa.Table.from_batches(found, schema) if found else schema.empty_table()
    pq.write_table(table.unify_dictionaries(), own / "loose.parquet", compression="zstd")


def _write_responders(own: Path, places: Any, paired: Any, begins: list[int]) -> None:
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
            "frame": [*begins, *[0] * (count - len(begins))][:count],
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
                ("frame", pa.int64()),
            ]
        ),
    )
    pq.write_table(table, own / "responders.parquet", compression="zstd")


def _write_firsts(own: Path, tables: Path) -> None:
    """Write the frame of the first sighting of each signature, by its number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.archive.tables import iter_batches

    first = np.zeros(pq.read_metadata(own / "signatures.parquet").num_rows, np.int64)
    for batch in iter_batches(tables, "sightings", ["signature", "frame"]):
        numbers, index = np.unique(batch.column("signature").to_numpy(), return_index=True)
        fresh = first[numbers] == 0
        first[numbers[fresh]] = batch.column("frame").to_numpy()[index[fresh]]
    pq.write_table(pa.table({"frame": first}), own / "firsts.parquet", compression="zstd")


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


def write_left(own: Path, left: Any) -> None:
    """Write what an input leaves to its neighbours: the packets, and apart their units."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.capture.leftovers import COLUMNS, FRAGMENT, SEGMENT

    sizes = left.size.astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    octets = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(left), [None, pa.py_buffer(ends), pa.py_buffer(left.octets)]
    )
    columns = {name: pa.array(getattr(left, name)) for name in COLUMNS}
    table = pa.table({**columns, "octets": octets})
    pq.write_table(table, own / "left.parquet", compression="zstd", row_group_size=2**16)
    rows = np.flatnonzero(np.isin(left.kind, (SEGMENT, FRAGMENT)) & left.taken)
    unit, first, count = np.unique(left.unit[rows], return_index=True, return_counts=True)
    order = rows[np.lexsort((left.frame[rows], left.unit[rows]))]
    ends = np.cumsum(count) - 1
    units = pa.table(
        {
            "unit": unit,
            "kind": left.kind[rows][first],
            "fresh": left.fresh[order[ends - count + 1]] if len(count) else left.fresh[:0],
            "first": left.time[order[ends - count + 1]] if len(count) else left.time[:0],
            "last": left.time[order[ends]] if len(count) else left.time[:0],
        }
    )
    pq.write_table(units, own / "units.parquet", compression="zstd")


def read_left(store: Store, part: str) -> Any:
    """What an input left to its neighbours; None: nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.capture.leftovers import COLUMNS, Left

    name = part_name(part, "left.parquet")
    if not store.exists(name):
        return None
    table = pq.read_table(store.open(name)).combine_chunks()
    octets = table["octets"].combine_chunks()
    if isinstance(octets, pa.ChunkedArray):
        octets = pa.concat_arrays(octets.chunks)
    _, offsets, data = octets.buffers()
    edges = np.frombuffer(offsets, np.int64)[octets.offset : octets.offset + len(octets) + 1]
    flat = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return Left(
        **{name: table[name].to_numpy() for name in COLUMNS},
        octets=flat[int(edges[0]) : int(edges[-1])] if len(octets) else flat[:0],
    )
