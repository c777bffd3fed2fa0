"""Processes that try keys on signatures, beside each other.

Threads wait for one another at each call of the library: an RSA signature takes two of them
48 us of processor time, and a process 26. So many signatures go to processes, through pipes, as
octets; what they answer is an octet a signature.

A job is, least octet first: its number of signatures (uint32) and the octets of the key's RDATA
(uint32); the RDATA; the lengths of the signed data and those of the signature fields (uint32
each); all signed data; all signature fields.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from forensics.validation.signature import verify_many

FEWEST = 4_096
"""Signatures for which helpers are worth their start, a tenth of a second each."""

_CODE = "from forensics.validation.helpers import serve; serve()"

Job = tuple[bytes, Sequence[bytes], Sequence[bytes]]
"""RDATA of a key, signed data and signature fields."""


def _sent(job: Job) -> list[bytes]:
    rdata, datas, fields = job
    lengths = [len(part) for part in (*datas, *fields)]
    head = struct.pack("<II", len(datas), len(rdata)) + rdata
    return [head, struct.pack(f"<{len(lengths)}I", *lengths), *datas, *fields]


class Helper:
    """One process, for one thread at a time.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        # -P: nothing is imported from the working folder, which may hold evidence.
        self._process = subprocess.Popen(  # noqa: S603  this very Python
            [sys.executable, "-P", "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    def verify(self, job: Job) -> list[bool]:
        """Try a key, as `verify_many`; by this process itself where the other is no more."""
        rdata, datas, fields = job
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(b"".join(_sent(job)))
            stdin.flush()
            answer = stdout.read(len(datas))
        except OSError:
            answer = b""
        if len(answer) == len(datas):
            return [octet == 1 for octet in answer]
        return verify_many(rdata, list(zip(datas, fields, strict=True)))

    def end(self) -> None:
        """Let the process end, and wait for it."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue  # it ended before it had read all
        self._process.wait()


def verify_all(jobs: Sequence[Any], made: Any, processes: int) -> list[list[bool]] | None:
    """Do jobs in helpers; None: no helper could be started.

    Args:
        jobs: whatever `made` takes.
        made: gives the Job of one.
        processes: how many helpers, at least one.
    """
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

        def done(job: Any) -> list[bool]:
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
