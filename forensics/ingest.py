"""The first half of the pipeline: captures in, tables out.

One thread reads and runs the kernels, another turns batches into Arrow columns and writes them;
both let go of the GIL, so that two cores work. What waits between them is bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.archive.tables import TableWriter, write_table
from forensics.errors import InputError
from forensics.vocabulary import PAIRINGS, MessageFlag, Role
from forensics.wire.blocks import MessageBlock, Parsed

_WAITING: Final = 2
"""Batches between the two threads: one is written while the next one is filled."""

_SIGHTING_ROWS: Final = 2**18
"""Sightings collected before they are written: row groups that readers like."""

Progress = Callable[[str, int], None]
"""Called after each block with the input's path and the octets of it handled so far."""


@dataclass(slots=True)
class IngestResult:
    """What came of an ingest.

    Attributes:
        folder: where the tables are.
        captures: facts of every input that was read (capture.facts.CaptureFacts).
        errors: inputs that could not be read at all.
        messages: DNS messages put into transactions.
        outside: messages left out because they lie outside the asked times.
        transactions: rows written, by vocabulary.PAIRINGS.
        sightings, signatures, key_runs, places: rows written.
        evicted: queries closed early because `limits.OPEN_TRANSACTIONS` was reached.
        skipped: what evidence left out, by reason.
    """

    folder: Path
    captures: list[Any] = field(default_factory=list)
    errors: list[InputError] = field(default_factory=list)
    messages: int = 0
    outside: int = 0
    transactions: dict[str, int] = field(default_factory=dict)
    sightings: int = 0
    signatures: int = 0
    key_runs: int = 0
    places: int = 0
    evicted: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def ingest(
    paths: Sequence[str],
    folder: Path,
    *,
    ports: frozenset[int] = frozenset(),
    servers: frozenset[str] = frozenset(),
    resolvers: frozenset[str] = frozenset(),
    start: int | None = None,
    end: int | None = None,
    progress: Progress | None = None,
) -> IngestResult:
    """Read captures and write the tables captures to keys into a folder.

    Args:
        paths: input files in any order; they are read in order of their first packets.
        folder: where the Parquet files go; each appears whole.
        ports: ports that carry DNS besides 53.
        servers: addresses that are authorities by the user's word.
        resolvers: addresses that are resolvers by the user's word.
        start: ns since 1970; messages before are left out and counted.
        end: ns since 1970; messages at or after are left out and counted.
        progress: called now and then.

    Raises:
        ValueError: one of servers or resolvers is no address.
    """
    from forensics.capture.facts import captures_table, losses_table
    from forensics.evidence.collector import Evidence
    from forensics.transactions.match import Matcher
    from forensics.transactions.places import packed, places, places_table

    result = IngestResult(folder)
    matcher = Matcher(places(servers, resolvers))
    evidence = Evidence(servers, resolvers)
    named = {packed(address): Role.SERVER for address in servers}
    named |= {packed(address): Role.RESOLVER for address in resolvers}
    with _Writing(folder, named, matcher.reuse) as writing:
        from forensics.wire.message import parse

        columns: Parsed | None = None
        for capture in _opened(paths, ports, result):
            octets = 0
            for block in _blocks(capture, result):
                octets += len(block.octets)
                wanted = _wanted(block, start, end, result)
                parsed = parse(wanted, result.messages, columns)
                columns = parsed if columns is None or len(wanted) > len(columns.id) else columns
                for batch in matcher.match(wanted, parsed):
                    writing.transactions(batch)
                writing.sightings(evidence.collect(wanted, parsed))
                result.messages += len(wanted)
                if progress is not None:
                    progress(capture.facts.path, octets)
            result.captures.append(capture.facts)
        writing.transactions(matcher.finish())
    result.transactions = dict(zip(PAIRINGS, writing.pairings.tolist(), strict=True))
    result.sightings = writing.sighted
    result.evicted = matcher.evicted
    result.skipped = evidence.skipped
    for name, table in (
        ("captures", captures_table(result.captures)),
        ("losses", losses_table(result.captures)),
        ("places", places_table(matcher.places)),
        ("signatures", evidence.signatures()),
        ("keys", evidence.key_runs()),
    ):
        write_table(folder, name, table)
        if name == "places":
            result.places = table.num_rows
        elif name == "signatures":
            result.signatures = table.num_rows
        elif name == "keys":
            result.key_runs = table.num_rows
    return result


def _opened(paths: Sequence[str], ports: frozenset[int], result: IngestResult) -> Iterator[Any]:
    """Open the inputs in order of their first packets; those that cannot be are noted."""
    from forensics.capture.readers import first_time, open_capture

    order = []
    for path in paths:
        try:
            first = first_time(path)
        except InputError as error:
            result.errors.append(error)
            continue
        order.append((first is None, first or 0, path))
    for number, (_, _, path) in enumerate(sorted(order)):
        try:
            yield open_capture(path, number, ports)
        except InputError as error:
            result.errors.append(error)


def _blocks(capture: Any, result: IngestResult) -> Iterator[MessageBlock]:
    """The blocks of an input; one that becomes unreadable on the way is noted, and ends."""
    try:
        yield from capture.blocks()
    except InputError as error:
        result.errors.append(error)


def _wanted(
    block: MessageBlock, start: int | None, end: int | None, result: IngestResult
) -> MessageBlock:
    """Leave out what the capture holds twice and what lies outside the asked times."""
    keep: NDArray[np.bool_] = (block.flags & MessageFlag.DUPLICATE) == 0
    if start is not None or end is not None:
        inside = np.ones(len(block), bool)
        if start is not None:
            inside &= block.time >= start
        if end is not None:
            inside &= block.time < end
        result.outside += int((keep & ~inside).sum())
        keep &= inside
    if keep.all():
        return block
    whole = ("octets", "capture", "identities")
    return MessageBlock(
        **{
            column.name: getattr(block, column.name)
            if column.name in whole
            else getattr(block, column.name)[keep]
            for column in fields(MessageBlock)
        }
    )


class _Writing:
    """The writer thread: takes batches and sightings in order, and gives batches back.

    Args:
        folder: where the tables go.
        named: roles that the user gave, by packed address.
        reuse: called with each batch when its rows have been taken.
    """

    def __init__(
        self, folder: Path, named: dict[bytes, Role], reuse: Callable[[Any], None]
    ) -> None:
        self.pairings = np.zeros(len(PAIRINGS), np.int64)
        self.sighted = 0
        self._named = named
        self._reuse = reuse
        self._transactions = TableWriter(folder, "transactions")
        self._sightings = TableWriter(folder, "sightings")
        self._held: list[Any] = []
        self._held_rows = 0
        self._queue: queue.Queue[tuple[str, Any] | None] = queue.Queue(_WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def transactions(self, batch: Any) -> None:
        """Hand over a batch of rows."""
        self._put(("transactions", batch))

    def sightings(self, rows: Any) -> None:
        """Hand over a record batch of sightings; small ones are collected first."""
        if rows.num_rows:
            self._held.append(rows)
            self._held_rows += rows.num_rows
        if self._held_rows >= _SIGHTING_ROWS:
            self._hand_over_sightings()

    def _hand_over_sightings(self) -> None:
        import pyarrow as pa

        if self._held:
            self._put(("sightings", pa.Table.from_batches(self._held).combine_chunks()))
        self._held = []
        self._held_rows = 0

    def _put(self, job: tuple[str, Any] | None) -> None:
        if self._failure is not None:
            raise self._failure
        self._queue.put(job)

    def _run(self) -> None:
        """Do the jobs until the end; after a failure, only take them, so that nobody waits."""
        while (job := self._queue.get()) is not None:
            if self._failure is not None:
                continue
            try:
                self._do(*job)
            except BaseException as failure:  # noqa: BLE001  raised again by the other thread
                self._failure = failure

    def _do(self, name: str, rows: Any) -> None:
        from forensics.transactions.columns import to_arrow

        if name == "sightings":
            self.sighted += rows.num_rows
            self._sightings.write(rows)
            return
        table, pairings = to_arrow(rows, self._named)
        self._reuse(rows)
        self.pairings += pairings
        self._transactions.write(table)

    def __enter__(self) -> _Writing:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._hand_over_sightings()
        self._queue.put(None)
        self._thread.join()
        if kind is not None or self._failure is not None:
            self._transactions.abandon()
            self._sightings.abandon()
            if kind is None and self._failure is not None:
                raise self._failure
            return
        self._transactions.close()
        self._sightings.close()
