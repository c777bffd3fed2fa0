"""The first half of the pipeline: captures in, tables out.

One thread reads, parses and matches; one collects evidence; one turns batches into Arrow columns
and writes them. All let go of the GIL in their kernels, so that every core works. What waits
between them is bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forensics.archive.tables import TableWriter, write_table
from forensics.errors import InputError
from forensics.vocabulary import PAIRINGS, MessageFlag, Role, SightingFlag
from forensics.wire.blocks import MessageBlock, Parsed

_WAITING: Final = 1
"""Jobs that wait for a thread: one is done while the next one is made."""

_SIGHTING_ROWS: Final = 2**18
"""Sightings (or unsigned RRsets) collected before they are written: row groups readers like."""

Progress = Callable[[str, int], None]
"""Called after each block with the input's path and the octets of it handled so far."""

Source = Callable[[Callable[[InputError], None]], Iterator[Any]]
"""Gives blocks and, at the end of each input, its facts; told what to call with a failed input."""


@dataclass(slots=True)
class IngestResult:
    """What came of an ingest.

    Attributes:
        folder: where the tables are.
        captures: facts of every input that was read (capture.facts.CaptureFacts).
        errors: inputs that could not be read at all.
        messages: DNS messages put into transactions.
        outside: messages left out because they lie outside the asked times.
        transferred: further messages of zone transfers whose content is not read.
        truncated: truncated responses forgotten before their repetition over TCP may have come.
        transactions: rows written, by vocabulary.PAIRINGS.
        sightings, unsigned, signatures, key_runs, places: rows written.
        responders: the places as the kernels keep them (transactions.places.Places).
        evicted: queries closed early because `limits.OPEN_TRANSACTIONS` was reached.
        skipped: what evidence left out, by reason.
    """

    folder: Path
    captures: list[Any] = field(default_factory=list)
    errors: list[InputError] = field(default_factory=list)
    messages: int = 0
    outside: int = 0
    transferred: int = 0
    truncated: int = 0
    transactions: dict[str, int] = field(default_factory=dict)
    sightings: int = 0
    unsigned: int = 0
    signatures: int = 0
    key_runs: int = 0
    places: int = 0
    responders: Any = None
    evicted: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, int]:
        """What the stages behind the readers left out, by reason (vocabulary.LOSSES)."""
        return {
            **self.skipped,
            "open-transactions": self.evicted,
            "outside-times": self.outside,
            "zone-transfer": self.transferred,
            "open-truncated": self.truncated,
        }


def ingest(
    paths: Sequence[str],
    folder: Path,
    *,
    ports: frozenset[int] = frozenset(),
    servers: frozenset[str] = frozenset(),
    resolvers: frozenset[str] = frozenset(),
    start: int | None = None,
    end: int | None = None,
    clock_offsets: Mapping[str, int] | None = None,
    tls_keylogs: Sequence[str] = (),
    progress: Progress | None = None,
    collector: Any = None,
    source: Source | None = None,
    transactions_only: bool = False,
) -> IngestResult:
    """Read captures and write the tables captures to keys into a folder.

    Args:
        paths: input files in any order; their messages are put in order of time.
        folder: where the Parquet files go; each appears whole.
        ports: ports that carry DNS besides 53.
        servers: addresses that are authorities by the user's word.
        resolvers: addresses that are resolvers by the user's word.
        start: ns since 1970; messages before are left out and counted.
        end: ns since 1970; messages at or after are left out and counted.
        clock_offsets: ns to add to the times of an input, by its path.
        tls_keylogs: files of secrets (SSLKEYLOGFILE) that open DNS over TLS.
        progress: called now and then.
        collector: what collects the evidence; None: `evidence.collector.Evidence`.
        source: what gives the messages; None: `paths`, read in order of time.
        transactions_only: leave out what responses prove (sightings, unsigned, signatures, keys).

    Raises:
        ValueError: one of servers or resolvers is no address.
        UsageError: a key log cannot be read.
    """
    from forensics.capture.facts import CaptureFacts, captures_table, losses_table
    from forensics.capture.merging import merged
    from forensics.capture.tls_secrets import read_keylogs
    from forensics.evidence.collector import Evidence
    from forensics.transactions.match import Matcher
    from forensics.transactions.places import packed, places, places_table
    from forensics.transactions.transfers import Transfers

    def told(facts: CaptureFacts, octets: int) -> None:
        if progress is not None:
            progress(facts.path, octets)

    def inputs(failed: Callable[[InputError], None]) -> Iterator[Any]:
        secrets = read_keylogs(tls_keylogs)
        return merged(paths, ports, clock_offsets or {}, failed, told, secrets)

    read = source or inputs
    result = IngestResult(folder)
    matcher = Matcher(places(servers, resolvers))
    evidence = collector or Evidence(servers, resolvers)
    transfers = Transfers()
    named = {packed(address): Role.SERVER for address in servers}
    named |= {packed(address): Role.RESOLVER for address in resolvers}
    with _Writing(folder, named, matcher.reuse, transactions_only) as writing:
        with _Gathering(evidence, writing) as found:
            for block in read(result.errors.append):
                if isinstance(block, CaptureFacts):
                    result.captures.append(block)
                    continue
                wanted, further = _wanted(block, start, end, result)
                parsed, room = found.parse(wanted, result.messages)
                for batch in matcher.match(wanted, parsed):
                    writing.transactions(batch)
                content = transfers.follow(wanted, parsed, further)
                if transactions_only:
                    found.release(room)
                else:
                    found.collect(wanted, parsed, room)
                    if content is not None:
                        found.collect_content(content)
                result.messages += len(wanted)
            writing.transactions(matcher.finish())
        # made while the last rows are written
        distinct, runs = evidence.signatures(), evidence.key_runs()
    result.captures.sort(key=lambda facts: facts.number)
    result.responders = matcher.places
    result.transactions = dict(zip(PAIRINGS, writing.pairings.tolist(), strict=True))
    result.sightings = writing.sighted
    result.unsigned = writing.bare
    result.evicted = matcher.evicted
    result.transferred = transfers.left_out
    result.truncated = writing.forgotten
    result.skipped = evidence.skipped
    for name, table in (
        ("captures", captures_table(result.captures)),
        ("losses", losses_table(result.captures, result.left_out)),
        ("places", places_table(matcher.places)),
        *((("signatures", distinct), ("keys", runs)) if not transactions_only else ()),
        *((("key_tags", found.key_tags.table()),) if found.key_tags.claims else ()),
    ):
        write_table(folder, name, table)
        if name == "places":
            result.places = table.num_rows
        elif name == "signatures":
            result.signatures = table.num_rows
        elif name == "keys":
            result.key_runs = table.num_rows
    return result


def _wanted(
    block: MessageBlock, start: int | None, end: int | None, result: IngestResult
) -> tuple[MessageBlock, MessageBlock | None]:
    """Leave out copies and what lies outside the asked times.

    Give what is no message of its own apart: further ones of zone transfers, if there are any.
    """
    keep: NDArray[np.bool_] = (block.flags & MessageFlag.DUPLICATE) == 0
    continued = (block.flags & MessageFlag.CONTINUED) != 0
    if start is not None or end is not None:
        inside = np.ones(len(block), bool)
        if start is not None:
            inside &= block.time >= start
        if end is not None:
            inside &= block.time < end
        result.outside += int((keep & ~inside).sum())
        keep &= inside
    if continued.any():
        return _chosen(block, keep & ~continued), _chosen(block, keep & continued)
    return _chosen(block, keep), None


def _chosen(block: MessageBlock, keep: NDArray[np.bool_]) -> MessageBlock:
    """The messages to keep, over the same octets."""
    return block if keep.all() else block.taken(keep)


class _Worker:
    """A thread that does jobs in order. What waits for it is bounded.

    A failure is raised in the thread that hands over the next job, or at the end.
    """

    def __init__(self, name: str) -> None:
        self._queue: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None]
        self._queue = queue.Queue(_WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Callable[..., None], *arguments: Any) -> None:
        """Hand over a job, or wait until there is room for it."""
        if self._failure is not None:
            raise self._failure
        self._queue.put((job, arguments))

    def finish(self, quiet: bool) -> None:
        """Wait until all jobs are done; raise their failure unless `quiet`."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None and not quiet:
            raise self._failure

    def _run(self) -> None:
        """Do the jobs until the end; after a failure, only take them, so that nobody waits."""
        while (entry := self._queue.get()) is not None:
            if self._failure is not None:
                continue
            job, arguments = entry
            try:
                job(*arguments)
            except BaseException as failure:  # noqa: BLE001  raised again by the other thread
                self._failure = failure


class _Writing:
    """Turns batches into Arrow columns and writes them, in a thread of its own.

    Args:
        folder: where the tables go.
        named: roles that the user gave, by packed address.
        reuse: called with each batch when its rows have been taken.
        transactions_only: make no other table.
    """

    def __init__(
        self,
        folder: Path,
        named: dict[bytes, Role],
        reuse: Callable[[Any], None],
        transactions_only: bool,
    ) -> None:
        from forensics.transactions.chains import Chains

        self.pairings = np.zeros(len(PAIRINGS), np.int64)
        self.sighted = 0
        self.bare = 0
        self._chains = Chains()
        self._named = named
        self._reuse = reuse
        self._room: Any = None
        self._transactions = TableWriter(folder, "transactions")
        self._writers = [self._transactions]
        if not transactions_only:
            self._sightings = TableWriter(folder, "sightings")
            self._unsigned = TableWriter(folder, "unsigned")
            self._writers += [self._sightings, self._unsigned]
        self._worker = _Worker("writer")

    @property
    def forgotten(self) -> int:
        """Truncated responses that were forgotten early."""
        return self._chains.dropped

    def transactions(self, batch: Any) -> None:
        """Hand over a batch of rows."""
        self._worker.put(self._write_transactions, batch)

    def sightings(self, rows: Any) -> None:
        """Hand over a table of sightings, a row group."""
        self.sighted += rows.num_rows
        self._worker.put(self._sightings.write, rows)

    def unsigned(self, rows: Any) -> None:
        """Hand over a table of unsigned RRsets, a row group."""
        self.bare += rows.num_rows
        self._worker.put(self._unsigned.write, rows)

    def _write_transactions(self, batch: Any) -> None:
        from forensics.transactions.columns import room, to_arrow

        if self._room is None:
            self._room = room()
        matched, pairings = to_arrow(batch, self._named, self._room)
        self._reuse(batch)
        rows = self._chains.link(matched)
        self.pairings += pairings
        self._transactions.write(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        done = False
        try:
            self._worker.finish(quiet=kind is not None)
            done = kind is None
        finally:
            for writer in self._writers:
                if done:
                    writer.close()
                else:
                    writer.abandon()


class _Gathering:
    """Collects evidence block by block, in a thread of its own, while the next one is matched.

    Args:
        evidence: the run's collector.
        writing: takes the sightings and the unsigned RRsets.
    """

    def __init__(self, evidence: Any, writing: _Writing) -> None:
        from forensics.testimony.keytags import KeyTags

        self.key_tags = KeyTags()
        self._evidence = evidence
        self._rooms: list[Parsed] = []
        self._sightings = _Pile(writing.sightings)
        self._unsigned = _Pile(writing.unsigned, copy=True)
        self._worker = _Worker("evidence")

    def parse(self, block: MessageBlock, first: int) -> tuple[Parsed, Parsed]:
        """Read the messages of a block into columns that are used again; give both."""
        from forensics.wire.message import parse, room

        try:
            columns = self._rooms.pop()
        except IndexError:
            columns = room(0)
        if len(columns.id) < len(block):
            columns = room(len(block) * 5 // 4)
        return parse(block, first, columns), columns

    def collect(self, block: MessageBlock, parsed: Parsed, columns: Parsed) -> None:
        """Hand over a block that has been matched, with the columns to be given back."""
        self._worker.put(self._collect, block, parsed, columns)

    def release(self, columns: Parsed) -> None:
        """Take back the columns of a block of which nothing more is wanted."""
        self._rooms.append(columns)

    def collect_content(self, content: Any) -> None:
        """Hand over messages of zone transfers (`transactions.transfers.Content`)."""
        self._worker.put(self._collect_content, content)

    def _collect_content(self, content: Any) -> None:
        import pyarrow as pa

        from forensics.transactions.transfers import as_content
        from forensics.wire.message import parse

        parsed = parse(content.block, 0)
        as_content(parsed, content.transaction, content.place)
        sightings, _ = self._evidence.collect(content.block, parsed)
        at = sightings.schema.get_field_index("flags")
        flags = sightings.column(at).to_numpy() | np.uint16(SightingFlag.TRANSFER)
        flags[self._whole(content, sightings)] |= np.uint16(SightingFlag.WHOLE)
        columns = [*sightings.columns]
        columns[at] = pa.array(flags, pa.uint16())
        self._sightings.add(pa.RecordBatch.from_arrays(columns, schema=sightings.schema))

    def _whole(self, content: Any, sightings: Any) -> NDArray[np.bool_]:
        """Tell which sightings in transfers are of RRsets that end in their own message."""
        from forensics.transactions.transfers import borders

        capture, frame, signature, transaction = (
            sightings.column(name).to_numpy().astype(np.int64)
            for name in ("capture", "frame", "signature", "transaction")
        )
        asked = np.isin(transaction, content.transaction[content.is_asked])
        at_border = borders(content.block)
        whole = np.zeros(len(frame), np.bool_)
        for row, owner in enumerate(self._evidence.owners(signature)):
            names = at_border.get((int(capture[row]), int(frame[row])))
            whole[row] = asked[row] and names is not None and owner not in names
        return whole

    def _collect(self, block: MessageBlock, parsed: Parsed, columns: Parsed) -> None:
        self.key_tags.take(block, parsed)
        sightings, unsigned = self._evidence.collect(block, parsed)
        self._rooms.append(columns)
        self._sightings.add(sightings)
        self._unsigned.add(unsigned)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._worker.finish(quiet=kind is not None)
        if kind is None:
            self._sightings.flush()
            self._unsigned.flush()


class _Pile:
    """Record batches of a long table, gathered until they make a row group.

    Args:
        write: takes each row group, a table.
        copy: hold copies: the batches are few rows of much room, which would be held with them.
    """

    def __init__(self, write: Callable[[Any], None], *, copy: bool = False) -> None:
        self._write = write
        self._copy = copy
        self._held: list[Any] = []
        self._rows = 0

    def add(self, batch: Any) -> None:
        """Take a batch."""
        if batch.num_rows and self._copy:
            batch = batch.take(np.arange(batch.num_rows))
        if batch.num_rows:
            self._held.append(batch)
            self._rows += batch.num_rows
        if self._rows >= _SIGHTING_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is held as a row group."""
        import pyarrow as pa

        if self._held:
            table = pa.Table.from_batches(self._held).unify_dictionaries()
            self._write(table.combine_chunks())
        self._held = []
        self._rows = 0
