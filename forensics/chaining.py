"""Truncated responses and their repetitions over TCP, of which the halves lie in several files.

`transactions.chains` joins them while one file is read. Here the few rows that can be such ends are
kept beside each part, and joined with those of its neighbours by the same rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.archive.layout import part_name
from forensics.archive.store import Store
from forensics.stitching import Part, Stitched, neighbours, stacked

ENDS: Final = "ends.parquet"
"""File of a part with the rows that may be ends of a chain."""

End = tuple[int, int, int, bool, int]
"""(number among all, time, hash of what both ends share, over TCP, rank)."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What a task needs to join the ends of one part with those of its neighbours.

    Attributes:
        root: of the dataset.
        rank: of the part.
        parts: (id, rank, base, own numbers of superseded rows) of the part and its neighbours.
        made: rows that borders made, which may be ends too.
        how: the parts were made: the same part made otherwise has other rows.
    """

    root: str
    rank: int
    parts: tuple[tuple[str, int, int, tuple[int, ...]], ...]
    made: tuple[End, ...]
    how: str


@dataclass(slots=True)
class Chained:
    """What joining changes.

    Attributes:
        rows: (rank, own number, number among all of what it continues; -1: nothing).
        made: by number among all of a row that a border made, likewise.
    """

    rows: list[tuple[int, int, int]] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)

    def add(self, other: Chained) -> None:
        """Take in what another task found."""
        self.rows += other.rows
        self.made |= other.made


def write_candidates(own: Path, tables: Path) -> None:
    """Write the rows of a part that may be ends of a chain."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.archive.tables import iter_batches
    from forensics.transactions.chains import candidates

    columns = [
        *("transaction", "time", "latency", "transport", "tc", "continues"),
        *("client", "server", "qtype", "qclass", "qname"),
    ]
    schema = pa.schema(
        [
            ("transaction", pa.int64()),
            ("time", pa.int64()),
            ("key", pa.uint64()),
            ("tcp", pa.bool_()),
            ("continues", pa.int64()),
        ]
    )
    found = []
    for batch in iter_batches(tables, "transactions", columns):
        at, over_tcp, times, keys = candidates(batch)
        if len(at):
            row = batch.take(pa.array(at))
            table = pa.table(
                [
                    row.column("transaction").cast(pa.int64()),
                    pa.array(times),
                    pa.array(_hashes(keys)),
                    pa.array(over_tcp),
                    row.column("continues").cast(pa.int64()),
                ],
                schema=schema,
            )
            found.append(table)
    table = pa.concat_tables(found) if found else schema.empty_table()
    pq.write_table(table, own / ENDS, compression="zstd")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _hashes(texts: Any) -> NDArray[np.uint64]:
    encoded = texts.dictionary_encode()
    distinct = np.array([_hash(text) for text in encoded.dictionary.to_pylist()], np.uint64)
    return distinct[encoded.indices.to_numpy()]  # type: ignore[no-any-return]


def chains(root: str, parts: Sequence[Part], border: Stitched, how: str) -> list[Chain]:
    """The tasks that join chains over borders."""
    ends = {part.rank: len(_ends(root, part.name, how)) for part in parts}
    gone = _gone(root, parts, border, how)
    made = _made(border)
    reach = limits.TCP_RETRY_WINDOW
    found = []
    for part in parts:
        near = tuple(end for end in made if part.begins - reach <= end[1] <= part.ends + reach)
        # What continues something has its place in this part.
        if not near and not ends[part.rank]:
            continue
        told = tuple(
            (one.name, one.rank, one.base, gone.get(one.rank, ()))
            for one in (part, *neighbours(parts, part.rank))
            if ends[one.rank] or one is part
        )
        found.append(Chain(root, part.rank, told, near, how))
    return found


def _gone(
    root: str, parts: Sequence[Part], border: Stitched, how: str
) -> dict[int, tuple[int, ...]]:
    """By rank: own numbers of the rows that may be ends and that borders superseded."""
    rows = stacked(border.superseded, 2)
    found = {}
    for part in parts:
        own = [end[0] for end in _ends(root, part.name, how)]
        if own:
            hit = np.intersect1d(rows[rows[:, 0] == part.rank, 1], np.array(own, np.int64))
            found[part.rank] = tuple(hit.tolist())
    return found


def _made(border: Stitched) -> list[End]:
    """The rows that borders made, as ends."""
    import pyarrow.compute as pc

    columns = [
        *("transaction", "time", "latency", "transport", "tc", "rank"),
        *("client", "server", "qtype", "qclass", "qname"),
    ]
    table = border.table().select(columns)
    over_tcp = pc.equal(table["transport"].cast("string"), "tcp")
    over_udp = pc.equal(table["transport"].cast("string"), "udp")
    either = pc.or_(over_tcp, pc.and_(over_udp, pc.fill_null(table["tc"], fill_value=False)))
    table = table.filter(pc.and_(either, pc.is_valid(table["qname"])))
    table = table.set_column(1, "time", table["time"].cast("int64"))
    found = []
    for row in table.to_pylist():
        tcp = row["transport"] == "tcp"
        names = ("client", "server", "qtype", "qclass", "qname")
        key = _hash(" ".join(str(row[name]) for name in names))
        time = row["time"] + (0 if tcp else max(row["latency"] or 0, 0))
        found.append((row["transaction"], time, key, tcp, row["rank"]))
    return sorted(found)


@lru_cache(maxsize=256)
def _ends(
    root: str,
    part: str,
    how: str,  # noqa: ARG001
) -> list[tuple[int, int, int, bool, int | None]]:
    """The rows of a part that may be ends. Each neighbour asks for them; a part never changes."""
    import pyarrow.parquet as pq

    store = Store(root)
    if not store.exists(part_name(part, ENDS)):
        return []
    table = pq.read_table(store.open(part_name(part, ENDS)))
    columns = (table[name].to_pylist() for name in table.column_names)
    return list(zip(*columns, strict=True))


def chain(job: Chain) -> Chained:
    """Join the ends of one part."""
    mine: dict[int, tuple[int, int]] = {}
    held: list[End] = list(job.made)
    for name, rank, base, gone in job.parts:
        skip = set(gone)
        for own, time, key, tcp, continues in _ends(job.root, name, job.how):
            if own in skip or (tcp and rank != job.rank):
                continue
            held.append((base + own, time, key, tcp, rank))
            if tcp:
                mine[base + own] = (own, -1 if continues is None else base + continues)
    last: dict[int, tuple[int, int]] = {}
    result = Chained()
    made = {end[0] for end in job.made}
    for number, time, key, tcp, rank in sorted(
        held, key=lambda end: (end[1], end[3], end[4], end[0])
    ):
        if not tcp:
            last[key] = (time, number)
            continue
        if rank != job.rank:
            continue
        when, found = last.get(key, (0, -1))
        if found >= 0 and time - when > limits.TCP_RETRY_WINDOW:
            found = -1
        if number in made:
            result.made[number] = found
        elif mine[number][1] != found:
            result.rows.append((rank, mine[number][0], found))
    return result
