"""Processes that try keys on signatures, beside each other.

Threads wait for one another at each call of the library: an RSA signature takes two of them
48 us of processor time, and a process 26. So many signatures go to processes, through pipes, as
octets; what they answer is an octet a signature.

A job is, least octet first: its number of signatures (uint32) and the octets of the key's RDATA
(uint32); the RDATA; the lengths of the signed data and those of the signature fields (uint32
each); all signed data; all signature fields.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

from forensics.validation.signature import verify_many

# What only the asking process needs is imported there: a helper starts in half the time.

FEWEST = 4_096
"""Signatures for which helpers are worth their start, a tenth of a second each."""

_CODE = "from forensics.validation.helpers import serve; serve()"

Job = tuple[bytes, Any, Any]
"""RDATA of a key, and Arrow arrays of binaries: signed data and signature fields."""


def _packed(binaries: Any) -> tuple[Any, memoryview]:
    """Lengths (uint32) and octets of an Arrow array of binaries, without an object for each."""
    import numpy as np

    count, where = len(binaries), binaries.offset
    _, offsets, octets = binaries.buffers()
    ends = np.frombuffer(offsets, np.int32)[where : where + count + 1]
    first, last = (int(ends[0]), int(ends[-1])) if count else (0, 0)
    held = memoryview(octets)[first:last] if octets is not None else memoryview(b"")
    return np.diff(ends).astype("<u4"), held


def _sent(job: Job) -> list[Any]:
    rdata, datas, fields = job
    lengths, octets = zip(_packed(datas), _packed(fields), strict=True)
    head = struct.pack("<II", len(datas), len(rdata)) + rdata
    return [head, *(one.tobytes() for one in lengths), *octets]


class Helper:
    """One process, for one thread at a time.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self) -> None:
        import subprocess

        from forensics import beside

        self._process = subprocess.Popen(  # noqa: S603  this very Python
            beside.command(_CODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=beside.environment(),
        )

    def verify(self, job: Job) -> bytes:
        """Try a key: an octet a signature; by this process itself where the other is no more."""
        rdata, datas, fields = job
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            for part in _sent(job):
                stdin.write(part)
            stdin.flush()
            answer = stdout.read(len(datas))
        except OSError:
            answer = b""
        if len(answer) == len(datas):
            return answer
        pairs = zip(datas.to_pylist(), fields.to_pylist(), strict=True)
        return bytes(verify_many(rdata, list(pairs)))

    def end(self) -> None:
        """Let the process end, and wait for it."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue  # it ended before it had read all
        self._process.wait()


def verify_all(jobs: Sequence[Any], made: Any, processes: int) -> list[bytes] | None:
    """Do jobs in helpers, an octet a signature; None: no helper could be started.

    Args:
        jobs: whatever `made` takes.
        made: gives the Job of one.
        processes: how many helpers, at least one.
    """
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    helpers: SimpleQueue[Helper] = SimpleQueue()
    started: list[Helper] = []
    try:
        if not sys.executable:
            return None
        for _ in range(processes):
            try:
                started.append(Helper())
            except OSError:
                break
            helpers.put(started[-1])
        if not started:
            return None

        def done(job: Any) -> bytes:
            helper = helpers.get()
            try:
                return helper.verify(made(job))
            finally:
                helpers.put(helper)

        with ThreadPoolExecutor(len(started)) as pool:
            return list(pool.map(done, jobs))
    finally:
        for helper in started:
            helper.end()


def serve() -> None:
    """Do the jobs that come on standard input, until it ends: what runs in a helper."""
    import signal

    # Who interrupts the program means the one that started this one, which closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            answer = _answer(sys.stdin.buffer)
            if answer is None:
                return
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            import os

            os._exit(0)


def _answer(source: BinaryIO) -> bytes | None:
    """Read and do a job; None: there is none."""
    head = source.read(8)
    if len(head) < 8:
        return None
    count, size = struct.unpack("<II", head)
    rdata = source.read(size)
    lengths = struct.unpack(f"<{2 * count}I", source.read(8 * count))
    octets = source.read(sum(lengths))
    parts, at = [], 0
    for length in lengths:
        parts.append(octets[at : at + length])
        at += length
    pairs = list(zip(parts[:count], parts[count:], strict=True))
    return bytes(verify_many(rdata, pairs))
