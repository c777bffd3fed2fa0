"""All parts of a dataset together: one numbering, one set of signatures and keys, borders stitched.

What is held here is distinct (signatures, key RRsets, places) or stands at a border; transactions
stay in their parts. The result depends on the parts alone, not on who made them, when, or in which
order they came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.archive.layout import INDEX, LONG, part_name
from forensics.archive.store import Store
from forensics.archive.view import write_changes
from forensics.errors import UsageError
from forensics.stitching import Part, Stitched
from forensics.vocabulary import Pairing

_CAPTURES: Final = 2**16


def ordered(records: Iterable[tuple[dict[str, Any], str]]) -> list[Part]:
    """Put parts (record, path) in order of time.

    Raises:
        UsageError: there are more than a table can number.
    """
    order = sorted(
        records,
        key=lambda one: (one[0]["first"] is None, one[0]["first"] or 0, one[1], one[0]["part"]),
    )
    if len(order) > _CAPTURES:
        raise UsageError(f"{len(order)} captures: one dataset holds {_CAPTURES}; begin another")
    base = 0
    parts = []
    for rank, (record, path) in enumerate(order):
        parts.append(Part(record, path, rank, base))
        base += int(record["messages"])
    return parts


def join(root: str, parts: Sequence[Part], folder: Path, border: Stitched) -> None:
    """Write the state of all parts into an empty folder, its index last.

    Args:
        root: of the dataset.
        parts: in order.
        folder: where the state is made.
        border: what stitching changes.
    """
    from forensics.transactions.places import packed

    store = Store(root)
    names = [part.name for part in parts]
    write_changes(folder, names, border.rows, border.superseded, border.moved)
    signature_numbers = _join_signatures(store, parts, folder)
    place_numbers, addresses, answered = _join_places(store, parts, folder)
    unsolicited = _join_keys(
        store,
        parts,
        folder,
        place_numbers,
        addresses,
        answered | set(map(packed, border.answered)),
        border,
    )
    _join_facts(store, parts, folder, unsolicited)
    _write_numbers(folder, signature_numbers, place_numbers)
    index = {
        "parts": [
            {
                "part": part.name,
                "base": part.base,
                "first": part.record["first"],
                "last": part.record["last"],
                "files": {table: part.files(table) for table in LONG},
            }
            for part in parts
        ]
    }
    text = json.dumps(index, indent=1, sort_keys=True)
    (folder / INDEX).write_text(text + "\n", encoding="ascii")


def _join_signatures(store: Store, parts: Sequence[Part], folder: Path) -> list[NDArray[np.uint32]]:
    """Write each distinct signature once, in order of first sight; give each part's numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.archive.tables import TableWriter

    known: dict[str, int] = {}
    numbers = []
    with TableWriter(folder, "signatures") as writer:
        held: list[Any] = []
        rows = 0
        for part in parts:
            file = store.open(part_name(part.name, "signatures.parquet"))
            ids = pq.read_table(file, columns=["signature_id"])["signature_id"].to_pylist()
            before = len(known)
            mine = np.array([known.setdefault(one, len(known)) for one in ids], np.uint32)
            numbers.append(mine)
            fresh = np.flatnonzero(mine >= before)
            if not len(fresh):
                continue
            _, index = np.unique(mine[fresh], return_index=True)
            fresh = fresh[index]
            file = store.open(part_name(part.name, "signatures.parquet"))
            table = pq.read_table(file).take(pa.array(fresh))
            at = table.schema.get_field_index("signature")
            table = table.set_column(at, table.schema.field(at), pa.array(mine[fresh]))
            held.append(table)
            rows += table.num_rows
            if rows >= limits.BATCH_ROWS // 4:
                writer.write(pa.concat_tables(held).combine_chunks())
                held, rows = [], 0
        if held:
            writer.write(pa.concat_tables(held).combine_chunks())
    return numbers


def _join_places(
    store: Store, parts: Sequence[Part], folder: Path
) -> tuple[list[NDArray[np.uint32]], list[bytes], set[bytes]]:
    """Write the places of all parts.

    Returns:
        each part's numbers; addresses by number; the addresses that were seen to answer a query.
    """
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.transactions.places import places, places_table

    merged = places()
    known: dict[tuple[bytes, bytes], int] = {}
    addresses = [bytes(16)]
    answered: set[bytes] = set()
    numbers = []
    count = 1
    for part in parts:
        table = pq.read_table(store.open(part_name(part.name, "responders.parquet")))
        mine = np.zeros(table.num_rows, np.uint32)
        for own, row in enumerate(table.to_pylist()):
            number = 0
            if own:
                key = (row["address"], row["nsid"])
                number = known.get(key, 0)
                if not number and count <= limits.PLACES:
                    number = known[key] = count
                    count += 1
                    merged.addresses[16 * number : 16 * number + 16] = np.frombuffer(
                        row["address"], np.uint8
                    )
                    start = limits.NSID_OCTETS * number
                    merged.nsids[start : start + len(row["nsid"])] = np.frombuffer(
                        row["nsid"], np.uint8
                    )
                    merged.nsid_lengths[number] = len(row["nsid"])
                    merged.word[number] = row["word"]
                    addresses.append(row["address"])
                if row["paired"]:
                    answered.add(row["address"])
            for name in ("authority", "recursive", "referrals"):
                getattr(merged, name)[number] += row[name]
            mine[own] = number
        numbers.append(mine)
    merged.state[0] = count
    write_table(folder, "places", places_table(merged))
    return numbers, addresses, answered


def _join_keys(
    store: Store,
    parts: Sequence[Part],
    folder: Path,
    place_numbers: Sequence[NDArray[np.uint32]],
    addresses: Sequence[bytes],
    answered: set[bytes],
    border: Stitched,
) -> int:
    """Write the runs of key RRsets of all parts; give the suspect sightings that are left out."""
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.evidence import arrays
    from forensics.evidence.keysets import KeySets, joined, runs_table

    sets = KeySets([], [], [])
    owners: dict[tuple[str, int], int] = {}
    known: dict[tuple[int, tuple[bytes, ...]], int] = {}
    all_runs = []
    for part in parts:
        table = pq.read_table(store.open(part_name(part.name, "runs.parquet")))
        runs = np.column_stack([column.to_numpy() for column in table.columns]).astype(np.int64)
        runs = runs.reshape(-1, arrays.RUN_COLUMNS)
        rows = pq.read_table(store.open(part_name(part.name, "keysets.parquet"))).to_pylist()
        size = 1 + max((row["set"] for row in rows), default=-1)
        number, owner = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for row in rows:
            named = (row["owner"], row["type"])
            if named not in owners:
                owners[named] = len(owners)
                sets.owners.append(named)
            key = (owners[named], tuple(row["rdatas"]))
            if key not in known:
                known[key] = len(known)
                sets.rdatas.append(row["rdatas"])
                sets.kinds.append(row["type"])
            number[row["set"]], owner[row["set"]] = known[key], owners[named]
        for at in np.flatnonzero(runs[:, arrays.RUN_CAPTURE] > 0).tolist():
            where = (
                part.rank,
                int(runs[at, arrays.RUN_FIRST_FRAME]),
                int(runs[at, arrays.RUN_FIRST]),
            )
            if border.states.get(where, Pairing.UNSOLICITED) != Pairing.UNSOLICITED:
                runs[at, arrays.RUN_UNPAIRED] = 0
        runs[:, arrays.RUN_OWNER] = owner[runs[:, arrays.RUN_KEYSET]]
        runs[:, arrays.RUN_KEYSET] = number[runs[:, arrays.RUN_KEYSET]]
        runs[:, arrays.RUN_PLACE] = place_numbers[part.rank][runs[:, arrays.RUN_PLACE]]
        runs[:, arrays.RUN_CAPTURE] = part.rank
        all_runs.append(runs)
    runs = np.concatenate(all_runs) if all_runs else np.empty((0, arrays.RUN_COLUMNS), np.int64)
    paired = np.array([address in answered for address in addresses], np.bool_)
    suspect = (runs[:, arrays.RUN_UNPAIRED] == 1) & paired[runs[:, arrays.RUN_PLACE]]
    write_table(folder, "keys", runs_table(*joined(runs[~suspect]), sets))
    return int(runs[suspect, arrays.RUN_COUNT].sum())


def _join_facts(store: Store, parts: Sequence[Part], folder: Path, unsolicited: int) -> None:
    """Write the captures and losses of all parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.capture.facts import losses_table
    from forensics.schemas import CAPTURES, LOSSES

    captures, losses = [], []
    later: Counter[str] = Counter({"unsolicited": unsolicited})
    for part in parts:
        table = pq.read_table(store.open(part_name(part.name, "captures.parquet")))
        rank = pa.array(np.full(table.num_rows, part.rank, np.uint16))
        path = pa.array([part.path] * table.num_rows, pa.string())
        table = table.set_column(0, CAPTURES.field(0), rank)
        captures.append(table.set_column(1, CAPTURES.field(1), path))
        table = pq.read_table(store.open(part_name(part.name, "losses.parquet")))
        table = table.filter(table["capture"].is_valid())
        rank = pa.array(np.full(table.num_rows, part.rank, np.uint16))
        losses.append(table.set_column(0, LOSSES.field(0), rank))
        later.update(part.record["left_out"])
    write_table(folder, "captures", pa.concat_tables(captures).cast(CAPTURES))
    rest = losses_table([], later)
    write_table(folder, "losses", pa.concat_tables([*losses, rest]).cast(LOSSES))


def _write_numbers(
    folder: Path, signatures: Sequence[NDArray[np.uint32]], places: Sequence[NDArray[np.uint32]]
) -> None:
    """Write the numbers in all of each part's signatures and places, a row group a part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.list_(pa.uint32())
    schema = pa.schema([("signature", kind), ("place", kind)])
    with pq.ParquetWriter(folder / "numbers.parquet", schema, compression="zstd") as writer:
        for mine, own in zip(signatures, places, strict=True):
            columns = [pa.array([mine], kind), pa.array([own], kind)]
            writer.write_table(pa.table(columns, schema=schema))
