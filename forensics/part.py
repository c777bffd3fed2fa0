"""One input of an archive as a part of its dataset: read alone, once, with its ends open.

A part depends on the input's octets and the dataset's settings alone, never on its neighbours, and
never changes. Its name is the input's SHA-256. What other files may change of its transactions,
`stitching.py` says apart; packets that only a neighbour can explain are left for `seams.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from forensics.archive.store import Store, is_url
from forensics.errors import InputError, Unreadable
from forensics.options import Options
from forensics.partfiles import read_record, write_left, write_part

_PART_DIGITS: Final = 32


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
                state = _state(path)
                digest = _digest(path)
            except OSError as error:
                raise Unreadable(job.path, 0, (error.strerror or "error").lower()) from None
            part = digest[:_PART_DIGITS]
            record = read_record(store, part)
            if record is None:
                record = _read(job, path, digest, state, store)
                fresh = True
            else:
                fresh = False
    except InputError as error:
        return Made(job.path, offset=error.offset, reason=error.reason)
    offset, reason = record["damage"][0] if record["damage"] else (0, "")
    return Made(job.path, part, record["sha256"], offset, reason, fresh)


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
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> tuple[int, int]:
    """Size and time of a file: another one tells that somebody wrote to it."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _read(
    job: Job, path: Path, digest: str, state: tuple[int, int], store: Store
) -> dict[str, Any]:
    """Read the input into its part, but for what its neighbours may change.

    Raises:
        InputError: it cannot be read, or not as the octets that were hashed.
    """
    from forensics.capture.leftovers import Taking
    from forensics.capture.readers import Reassembly, open_capture
    from forensics.capture.survey import surveyed
    from forensics.capture.tls_secrets import read_keylogs

    options = job.options
    offsets = dict(options.clock_offsets)
    shift = offsets.get(job.path, 0)
    # Packets bear addresses: where clients are to stay unknown none are kept.
    plan = surveyed(str(path), options.ports) if options.anonymize is None else None
    watch: Taking | None = None

    def source(failed: Callable[[InputError], None]) -> Iterator[Any]:
        nonlocal watch
        reassembly = Reassembly(options.ports, read_keylogs(options.tls_keylogs))
        try:
            capture = open_capture(
                str(path), 0, options.ports, reassembly=reassembly, hashed=False
            )
        except InputError as error:
            failed(error)
            return
        facts = capture.facts
        if job.path in offsets:
            facts.clock_offset = shift
        if plan is not None and not plan.too_many:
            watch = Taking(plan, lambda: capture.base)
            facts.watch = watch
        try:
            for block in capture.blocks():
                yield _moved(block, shift)
        except InputError as error:
            failed(error)
        if shift and facts.first is not None and facts.last is not None:
            facts.first += shift
            facts.last += shift
        facts.sha256 = digest
        if watch is not None:
            facts.other -= watch.taken
            # What it holds on to goes now, not when rings of references are looked for.
            facts.watch = None
        yield facts
        for block in reassembly.finish():
            yield _moved(block, shift)

    def finish(own: Path) -> dict[str, Any]:
        if _state(path) != state:
            raise Unreadable(job.path, 0, "it was written to while it was read; ingest it later")
        if watch is None:
            return {"alone": "too-many"} if plan is not None else {}
        left = watch.left()
        left.time = np.where(left.time > 0, left.time + shift, left.time)
        write_left(own, left)
        return {"left": int(left.taken.sum())}

    part = digest[:_PART_DIGITS]
    return write_part(store, part, job.sensor, options, source, job.path, finish)


def _moved(block: Any, shift: int) -> Any:
    """Move the times of a block's messages; 0 stays what it is, no time."""
    if shift:
        block.time = np.where(block.time > 0, block.time + shift, 0)
        block.other_time = np.where(block.other_time > 0, block.other_time + shift, 0)
    return block
