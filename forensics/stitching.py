"""The borders between files: find what lies on both sides, and pair it again.

One file's part keeps its loose ends: queries without response, responses without query, near its
first and last packet. Whole states of the matcher are not handed from file to file, because then no
file could be read before the one before it; nor are borders read again, because at a high rate a
timeout is longer than a file. What is handed over are rows: first each part is searched for whole
transactions of sessions that a neighbour has loose ends of (`search`), then all rows of such
sessions are paired again, session by session, in as many tasks as there is need for (`stitch`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.archive.frames import FRAMES, Frames
from forensics.archive.layout import part_name
from forensics.archive.pairing import changes, made_row
from forensics.archive.sessions import COLUMNS, sessions
from forensics.archive.store import Store
from forensics.archive.view import within
from forensics.options import Options
from forensics.vocabulary import PAIRINGS, Pairing, Vantage

NEVER: Final = 2**63 - 1
"""Stands for the times of a capture without packets."""

_REACH: Final = limits.LATE_TIMEOUT
EDGE: Final = 2 * limits.LATE_TIMEOUT
"""So far from a part's first and last packet its rows are looked at: as long as one may change
another, and once more for what these stood beside."""

_PAIRED: Final = (PAIRINGS[Pairing.ANSWERED], PAIRINGS[Pairing.LATE])
_BUCKET_ROWS: Final = 2**17
"""Loose rows that one task pairs, some 2 KiB each while it does. Every task reads the rows of all
buckets: smaller ones cost time."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part in the order of all.

    Attributes:
        record: its record (`part.json`).
        path: how its input is named.
        rank: its number among all parts and seams.
        base: number of its first transaction among all.
        captures: numbers among all captures: its own; of a seam, those of the parts that it is of.
    """

    record: dict[str, Any]
    path: str
    rank: int
    base: int
    captures: tuple[int, ...] = ()

    @property
    def is_seam(self) -> bool:
        """Whether it is what other parts left for each other."""
        return "of" in self.record

    @property
    def name(self) -> str:
        """The id."""
        return str(self.record["part"])

    @property
    def begins(self) -> int:
        """Time of the first packet, ns."""
        first = self.record["first"]
        return NEVER if first is None else int(first)

    @property
    def ends(self) -> int:
        """Time of the last packet, ns."""
        last = self.record["last"]
        return NEVER if last is None else int(last)

    def files(self, table: str) -> list[str]:
        """Names of the files of a long table, by day."""
        return sorted(name for name in self.record["files"] if name.startswith(f"{table}/"))


def neighbours(parts: Sequence[Part], rank: int) -> list[Part]:
    """The parts whose messages may belong to transactions of a part."""
    one = parts[rank]
    if one.begins == NEVER:
        return []
    return [
        other
        for other in parts
        if other.rank != rank
        and other.begins != NEVER
        and other.begins <= one.ends + _REACH
        and one.begins <= other.ends + _REACH
    ]


@dataclass(frozen=True, slots=True)
class Search:
    """What a task needs to find the rows of a part that its neighbours may change.

    Attributes:
        root: of the dataset.
        part: id; files: of its transactions.
        first, last: times of its packets.
        others: ids of its neighbours.
        is_seam: it is all edge.
        made: how the parts were made; the same part made otherwise has other rows.
    """

    root: str
    part: str
    files: tuple[str, ...]
    first: int
    last: int
    others: tuple[str, ...]
    is_seam: bool
    made: str

    @property
    def result(self) -> str:
        """Name of the file with what was found; it tells the neighbours."""
        told = hashlib.sha256("\n".join(self.others).encode()).hexdigest()[:16]
        return part_name(self.part, f"shared-{told}.parquet")


def searches(root: str, parts: Sequence[Part], made: str) -> list[Search]:
    """The searches that a state needs, one for each part that has neighbours.

    `made`: how the parts were made, settings and version, as one text.
    """
    found = []
    for part in parts:
        others = neighbours(parts, part.rank)
        if others:
            files = tuple(part.files("transactions"))
            names = tuple(sorted(other.name for other in others))
            found.append(
                Search(root, part.name, files, part.begins, part.ends, names, part.is_seam, made)
            )
    return found


def search(asked: Search) -> str:
    """Find the whole rows at a part's edges of sessions that it or a neighbour has loose ends of.

    Returns:
        the name of the file that holds them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from forensics.schemas import TRANSACTIONS

    store = Store(asked.root)
    if store.exists(asked.result):
        return asked.result
    around = (*asked.others, asked.part)
    loose = [_loose_sessions(asked.root, other, asked.made) for other in around]
    wanted = pa.array(np.unique(np.concatenate(loose)))
    schema = TRANSACTIONS.append(pa.field("session", pa.uint64()))
    kept = []
    columns = [*COLUMNS, "time", "latency", "pairing"]
    head = (None, None if asked.is_seam else asked.first + EDGE)
    tail = (asked.last - EDGE, None)
    for name in asked.files if len(wanted) else ():
        with pq.ParquetFile(store.open(name)) as file:
            at = file.schema_arrow.get_field_index("time")
            for group in range(file.num_row_groups):
                told = file.metadata.row_group(group).column(at).statistics
                if told is not None and not (
                    within(told.min_raw, told.max_raw, head)
                    or within(told.min_raw, told.max_raw, tail)
                ):
                    continue
                few = file.read_row_group(group, columns=columns).unify_dictionaries()
                (batch,) = few.combine_chunks().to_batches()
                whole = pc.is_in(
                    batch.column("pairing").cast(pa.string()), value_set=pa.array(_PAIRED)
                )
                numbers = pa.array(sessions(batch))
                hit = pc.and_(whole, pc.is_in(numbers, value_set=wanted))
                if pc.any(hit).as_py():
                    rows = file.read_row_group(group).append_column("session", numbers)
                    kept.append(rows.filter(hit).unify_dictionaries())
    table = pa.concat_tables(kept) if kept else schema.empty_table()
    with store.work() as folder:
        path = folder / "shared"
        pq.write_table(table.unify_dictionaries(), path, compression="zstd")
        store.put(path, asked.result)
    return asked.result


@lru_cache(maxsize=1024)
def _loose_sessions(root: str, part: str, made: str) -> NDArray[np.uint64]:  # noqa: ARG001
    """The sessions of a part's loose rows. Each neighbour asks for them; a part never changes."""
    import pyarrow.parquet as pq

    store = Store(root)
    name = part_name(part, "loose.parquet")
    if not store.exists(name):
        return np.empty(0, np.uint64)
    table = pq.read_table(store.open(name), columns=["session"])
    return np.unique(table["session"].to_numpy())


@dataclass(frozen=True, slots=True)
class Stitch:
    """What a task needs to pair the sessions of one bucket again.

    Attributes:
        root: of the dataset.
        sources: (file of loose or shared rows, rank of its part, base of its part).
        captures: numbers of a part's captures, by its rank.
        frames: of a seam the file that translates its frames, by its rank.
        bucket, buckets: sessions of which the remainder by `buckets` is `bucket`.
        servers, resolvers: roles that the user gave.
    """

    root: str
    sources: tuple[tuple[str, int, int], ...]
    captures: dict[int, tuple[int, ...]]
    frames: dict[int, str]
    bucket: int
    buckets: int
    servers: frozenset[str]
    resolvers: frozenset[str]


@dataclass(slots=True)
class Stitched:
    """What the borders change; the order of its rows means nothing.

    Attributes:
        rows: tables of schemas.TRANSACTIONS, numbered among all parts, with the `rank` of one.
        superseded: int64[n, 2]: rank and own number of the rows that these replace.
        moved: int64[n, 5]: of responses rank, own number of their row before, number among all
            now, whether they answer a query, whether that had DO.
        states: int64[n, 4]: of a response rank, frame, time, and its new vocabulary.Pairing.
        answered: addresses that answered a query across a border.
    """

    rows: list[Any] = field(default_factory=list)
    superseded: list[NDArray[np.int64]] = field(default_factory=list)
    moved: list[NDArray[np.int64]] = field(default_factory=list)
    states: list[NDArray[np.int64]] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    def add(self, other: Stitched) -> None:
        """Take in what another task found."""
        self.rows += other.rows
        self.superseded += other.superseded
        self.moved += other.moved
        self.states += other.states
        self.answered |= other.answered

    def table(self) -> Any:
        """All rows as one table."""
        import pyarrow as pa

        return pa.concat_tables([made_table([]), *self.rows])


def stacked(found: Sequence[NDArray[np.int64]], width: int) -> NDArray[np.int64]:
    """All rows of arrays of so many columns."""
    return np.concatenate([np.empty((0, width), np.int64), *found])


def made_table(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows that borders made as a table of schemas.TRANSACTIONS with their `rank`."""
    import pyarrow as pa

    from forensics.schemas import TRANSACTIONS

    schema = TRANSACTIONS.append(pa.field("rank", pa.int64()))
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def stitches(
    root: str, parts: Sequence[Part], found: dict[str, str], options: Options
) -> list[Stitch]:
    """The tasks that pair all borders again; `found`: by id of a part, what `search` gave."""
    import pyarrow.parquet as pq

    store = Store(root)
    sources = []
    rows = 0
    for part in parts:
        if part.name not in found:
            continue
        for name in (part_name(part.name, "loose.parquet"), found[part.name]):
            if store.exists(name):
                sources.append((name, part.rank, part.base))
                rows += pq.read_metadata(store.open(name)).num_rows
    buckets = 1 + rows // _BUCKET_ROWS
    captures = {part.rank: part.captures for part in parts}
    frames = {part.rank: part_name(part.name, FRAMES) for part in parts if part.is_seam}
    return [
        Stitch(
            root,
            tuple(sources),
            captures,
            frames,
            bucket,
            buckets,
            options.servers,
            options.resolvers,
        )
        for bucket in range(buckets if sources else 0)
    ]


def stitch(job: Stitch) -> Stitched:
    """Pair the sessions of a bucket again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = Store(job.root)
    made = Stitched()
    tables = []
    bases = {}
    for name, rank, base in job.sources:
        bases[rank] = base
        table = pq.read_table(store.open(name))
        if job.buckets > 1:
            mine = table["session"].to_numpy() % np.uint64(job.buckets) == job.bucket
            table = table.filter(pa.array(mine))
        if table.num_rows:
            ranks = pa.array(np.full(table.num_rows, rank, np.int64))
            # Plain at once: few rows would hold on to the texts of all.
            tables.append(_plain(table).append_column("rank", ranks))
    if not tables:
        return made
    rows = _shared(pa.concat_tables(tables)).to_pylist()
    _locate(rows, job, store)
    numbers = [bases[row["rank"]] + row["transaction"] for row in rows]
    named = dict.fromkeys(job.servers, Vantage.UPSTREAM)
    named |= dict.fromkeys(job.resolvers, Vantage.CLIENT)
    change = changes(rows)
    gone = [(rows[n]["rank"], rows[n]["transaction"]) for n in change.superseded]
    moved, states = [], []
    made.rows = [made_table([made_row(one, rows, numbers, named) for one in change.exchanges])]
    for old, one in change.moved:
        row = rows[old]
        # What stood before its query was unsolicited when it was read, whatever came of it.
        early = one.first.response and one.first.row == old
        pairing = int(Pairing.UNSOLICITED) if early else one.pairing
        paired = PAIRINGS[pairing] in _PAIRED
        asked = paired and one.query is not None and bool(rows[one.query]["do"])
        at = row["time"] + (0 if row["query_frame"] is None else row["latency"])
        states.append((row["rank"], row["own_frame"], at, pairing))
        moved.append((row["rank"], row["transaction"], numbers[one.first.row], paired, asked))
        if paired:
            made.answered.add(row["server"])
    made.superseded = [np.array(gone, np.int64).reshape(-1, 2)]
    made.moved = [np.array(moved, np.int64).reshape(-1, 5)]
    made.states = [np.array(states, np.int64).reshape(-1, 4)]
    return made


def _locate(rows: list[dict[str, Any]], job: Stitch, store: Store) -> None:
    """Name the captures of all by their numbers, and the frames of seams as in these."""
    known: dict[int, Frames] = {}
    for row in rows:
        rank = row["rank"]
        row["own_frame"] = row["response_frame"]
        if rank not in job.frames:
            for name in ("capture", "response_capture"):
                if row[name] is not None:
                    row[name] = job.captures[rank][0]
            row["query_capture"] = row["capture"]
            continue
        if rank not in known:
            known[rank] = Frames(store, job.frames[rank], job.captures[rank])
        capture, frame = known[rank].capture, known[rank].frame
        query, response = row["query_frame"], row["response_frame"]
        first = min(at for at in (query, response) if at is not None)
        row["capture"] = int(capture[first - 1])
        row["query_capture"] = None if query is None else int(capture[query - 1])
        if query is not None:
            row["query_frame"] = int(frame[query - 1])
        if response is not None:
            row["response_capture"] = int(capture[response - 1])
            row["response_frame"] = int(frame[response - 1])


def _shared(table: Any) -> Any:
    """Keep the rows whose session more than one part knows."""
    import pyarrow as pa

    session = table["session"].to_numpy()
    rank = table["rank"].to_numpy().astype(np.uint64)
    order = np.lexsort([rank, session])
    same = session[order][1:] == session[order][:-1]
    other = same & (rank[order][1:] != rank[order][:-1])
    wanted = np.unique(session[order][1:][other])
    return table.filter(pa.array(np.isin(session, wanted)))


def _plain(table: Any) -> Any:
    """The table with times as ns and texts without dictionaries."""
    import pyarrow as pa

    fields = []
    for column in table.schema:
        kind = column.type
        if pa.types.is_timestamp(kind):
            kind = pa.int64()
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        fields.append(pa.field(column.name, kind))
    return table.cast(pa.schema(fields))
