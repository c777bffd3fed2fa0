"""Files, pipes and compressed files as one thing: windows over a stream of octets.

The next window is read (and decompressed) by one thread while the caller works on the present
one; another thread hashes the file as stored. Both let go of the GIL. Input is read rather than
memory-mapped: a mapped file that another program truncates kills the process, and a copy costs
a fiftieth of a second per 64 MiB on the other thread.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.losses import Reason
from forensics.errors import EmptyInput, Unreadable

STANDARD_INPUT: Final = "-"

_HEADROOM: Final = 2 * limits.RECORD_OCTETS
"""Room before each block for what is left of the one before: more than the longest record."""

_TAILROOM: Final = limits.TAIL_OCTETS
"""Room behind each block for what is put together of its pieces."""

_HASHED_AT_ONCE: Final = 2**15
"""Fewer octets are hashed sooner than they are handed to another thread."""

_RAW_OCTETS: Final = 2**16
"""Stored octets given to a decompressor at once."""

_ZSTD_RAW_OCTETS: Final = 2**11
"""The same for zstd, whose decompressor cannot be told to stop: four octets of input may become
128 KiB of output, so this bounds one step to 64 MiB."""

COMPRESSIONS: Final = (
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("gzip", b"\x1f\x8b\x08"),
    ("xz", b"\xfd7zXZ\x00"),
    ("bzip2", b"BZh"),
    ("lz4", b"\x04\x22\x4d\x18"),
)
"""Compressed formats by their first octets (RFC 8878, RFC 1952, and the tools' own formats)."""


_STEP_OCTETS: Final = 2**16
"""Octets taken out of a decompressor at once: what a step had decompressed before it met damage is
lost with it, so steps are small."""

_SKIPPABLE: Final = b"\x2a\x4d\x18"
"""Octets 2 to 4 of a frame without data (RFC 8878 3.1.2; lz4 has the same); the first is 5X."""


def _is_skippable(head: bytes) -> bool:
    return head[1:4] == _SKIPPABLE and head[0] >> 4 == 5


def compression_of(head: bytes) -> str:
    """Name the compression of an input by its first octets; empty: none.

    Frames without data may come first (pzstd writes one before each of its frames).
    """
    while len(head) >= 8 and _is_skippable(head):
        behind = head[8 + int.from_bytes(head[4:8], "little") :]
        if len(behind) < 4:
            return "zstd"
        head = behind
    for name, magic in COMPRESSIONS:
        if head.startswith(magic):
            return name
    return ""


@dataclass(slots=True)
class Problem:
    """Why a stream ended before its end."""

    reason: Reason
    offset: int
    detail: str


class _Source(Protocol):
    """Something that fills buffers with the decompressed octets of a file."""

    problem: Problem | None

    def fill(self, target: memoryview) -> int:
        """Fill `target` as far as there is input; fewer octets than asked: the end."""


class _Stored:
    """The file as stored: every octet that is read is hashed once, in order.

    Long blocks on a thread of their own. Unless the digest is known already: `hashed` is False.
    """

    def __init__(self, raw: io.FileIO, *, hashed: bool = True) -> None:
        self._hashed = hashed
        self.problem: Problem | None = None
        self.octets = 0
        self._raw = raw
        self._digest = hashlib.sha256()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")
        self._pending: Future[None] | None = None

    def fill(self, target: memoryview) -> int:
        """Fill `target` from the file."""
        count = 0
        while count < len(target) and self.problem is None:
            try:
                got = self._raw.readinto(target[count:])
            except OSError as error:
                where = self.octets + count
                detail = f"reading failed: {error.strerror or error}"
                self.problem = Problem(Reason.READ_FAILED, where, detail)
                break
            if not got:
                break
            count += got
        if count:
            self.octets += count
        if count and self._hashed:
            # Waiting for the block before bounds what is in flight to two blocks.
            self._wait()
            if count < _HASHED_AT_ONCE:
                self._digest.update(target[:count])
            else:
                self._pending = self._pool.submit(self._digest.update, target[:count])
        return count

    def finish(self) -> str:
        """Read what is left, close the file, and return the digest in hex."""
        rest = np.empty(2**20, np.uint8)
        while self.fill(memoryview(rest.data)):
            self._wait()
        self._wait()
        self.close()
        return self._digest.hexdigest() if self._hashed else ""

    def close(self) -> None:
        """Close the file without reading on."""
        self._pool.shutdown(wait=True)
        self._raw.close()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None


def _decompressor(name: str) -> Any:
    """A new incremental decompressor: `decompress`, `eof` and `unused_data`."""
    if name == "zstd":
        import zstandard

        bounded = zstandard.ZstdDecompressor(max_window_size=limits.DECOMPRESSION_WINDOW)
        return bounded.decompressobj()
    if name == "gzip":
        import zlib

        return zlib.decompressobj(wbits=31)
    if name == "xz":
        import lzma

        return lzma.LZMADecompressor(memlimit=limits.DECOMPRESSION_WINDOW)
    if name == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


def _damage_of(name: str) -> tuple[type[Exception], ...]:
    """What that decompressor raises on damaged input."""
    if name == "zstd":
        import zstandard

        return (zstandard.ZstdError, MemoryError)
    if name == "gzip":
        import zlib

        return (zlib.error,)
    if name == "xz":
        import lzma

        return (lzma.LZMAError, EOFError)
    return (OSError, EOFError, RuntimeError, ValueError)


class _Compressed:
    """The decompressed octets of a compressed file, member after member."""

    def __init__(self, name: str, stored: _Stored, head: bytes) -> None:
        self.problem: Problem | None = None
        self._name = name
        self._stored = stored
        self._damage = _damage_of(name)
        self._engine = _decompressor(name)
        self._magic = dict(COMPRESSIONS)[name]
        self._input = head
        self._step = _ZSTD_RAW_OCTETS if name == "zstd" else _RAW_OCTETS
        self._waiting = memoryview(b"")
        self._hungry = True
        self._octets = 0

    def fill(self, target: memoryview) -> int:
        """Fill `target` with decompressed octets."""
        count = 0
        while count < len(target):
            if not self._waiting:
                step = self._next(len(target) - count)
                if step is None:
                    break
                self._waiting = memoryview(step)
                continue
            take = min(len(self._waiting), len(target) - count)
            target[count : count + take] = self._waiting[:take]
            self._waiting = self._waiting[take:]
            count += take
        return count

    def _next(self, most: int) -> bytes | None:
        """Decompress one step, perhaps to nothing; None at the end or at damage."""
        if self.problem is not None:
            return None
        if self._engine.eof and not self._next_member():
            return None
        if self._hungry and not self._input and not self._refill():
            self._fail(Reason.DECOMPRESSION_FAILED, f"{self._name} data ends too early")
            return None
        chunk, self._input = self._input[: self._step], self._input[self._step :]
        try:
            out = self._decompress(chunk, most)
        except self._damage as error:
            self._fail(Reason.DECOMPRESSION_FAILED, f"{self._name} data is damaged: {error}")
            return None
        self._octets += len(out)
        free = limits.DECOMPRESSION_FREE_OCTETS
        ratio = limits.DECOMPRESSION_RATIO
        if self._octets > free and self._octets > ratio * self._stored.octets:
            detail = f"{self._name} data expands more than {ratio} times: a decompression bomb"
            self._fail(Reason.DECOMPRESSION_LIMIT, detail)
        return out

    def _decompress(self, chunk: bytes, most: int) -> bytes:
        """Feed `chunk`, and note whether the engine waits for more input."""
        engine = self._engine
        most = min(most, _STEP_OCTETS)
        if self._name == "zstd":
            self._hungry = True
            return bytes(engine.decompress(chunk))
        if self._name == "gzip":
            out = engine.decompress(chunk, most)
            # zlib hands back what it did not look at instead of keeping it.
            self._input = engine.unconsumed_tail + self._input
            self._hungry = not engine.unconsumed_tail and len(out) < most
            return bytes(out)
        out = engine.decompress(chunk, max_length=most)
        self._hungry = engine.needs_input
        return bytes(out)

    def _next_member(self) -> bool:
        """Begin the next member of the file, if one follows; padding of zeros may lie between."""
        self._input = (self._engine.unused_data or b"") + self._input
        while True:
            if self._name in {"gzip", "xz"}:
                self._input = self._input.lstrip(b"\0")
            if len(self._input) >= len(self._magic) or not self._refill():
                break
        if not self._input:
            return False
        skippable = self._name in {"zstd", "lz4"} and _is_skippable(self._input)
        if not self._input.startswith(self._magic) and not skippable:
            detail = f"octets that are not {self._name} follow the {self._name} data"
            self._fail(Reason.DECOMPRESSION_FAILED, detail)
            return False
        self._engine = _decompressor(self._name)
        self._hungry = True
        return True

    def _refill(self) -> bool:
        """Read stored octets behind what is still to be fed."""
        buffer = bytearray(_RAW_OCTETS)
        count = self._stored.fill(memoryview(buffer))
        self._input += bytes(memoryview(buffer)[:count])
        if self._stored.problem is not None and not count:
            self.problem = self._stored.problem
        return count > 0

    def _fail(self, reason: Reason, detail: str) -> None:
        if self.problem is None:
            self.problem = Problem(reason, self._octets, detail)


class Stream:
    """The decompressed octets of one input, seen through a window that moves forward.

    Attributes:
        octets: uint8 (writable, contiguous), the present window.
        room: the window and octets behind it that may be written to: what is put together of
            pieces is to lie in one array with it.
        base: offset of its first octet from the start of the decompressed input.
        final: no octets follow the window.
        compression: name of the compression, empty: none.
    """

    def __init__(
        self, path: str, block_octets: int = limits.BLOCK_OCTETS, *, hashed: bool = True
    ) -> None:
        """Open `path` (`-`: standard input) and read its head; hash it unless told otherwise.

        Raises:
            Unreadable: missing, a directory, no permission.
            EmptyInput: no octets at all.
        """
        self.path = path
        self.base = 0
        self.final = False
        self.compression = ""
        self._block = block_octets
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._pending: Future[tuple[NDArray[np.uint8], int]] | None = None
        self._stored = _Stored(_open(path), hashed=hashed)
        self._source: _Source = self._stored
        try:
            self.room = self.octets = np.empty(0, np.uint8)
            self._head(min(block_octets, limits.HEAD_OCTETS))
        except BaseException:
            self.close()
            raise

    @property
    def stored_octets(self) -> int:
        """Octets of the file as stored that have been read so far."""
        return self._stored.octets

    @property
    def problem(self) -> Problem | None:
        """Why the stream ended before its end; None: it did not, so far."""
        return self._source.problem or self._stored.problem

    def advance(self, used: int, minimum: int = 0) -> None:
        """Drop `used` octets of the window and append the next block.

        The window then holds at least `minimum` octets unless it is `final`. Earlier arrays stay
        valid: they are never written to again.
        """
        tail = self.octets[used:]
        room = self.room[used:]
        self.base += used
        while not self.final:
            block, count = self._take()
            self.final = count < self._block
            room = _join(tail, block)
            tail = room[: len(tail) + count]
            if len(tail) >= minimum:
                break
        self.octets, self.room = tail, room

    def drain(self) -> int:
        """Pass over what is behind the window; return how many octets that was.

        `base` is then the number of octets of the whole decompressed input.
        """
        self.base += len(self.octets)
        behind = self.base
        self.octets = self.octets[:0]
        while not self.final:
            self.advance(0)
            self.base += len(self.octets)
            self.octets = self.octets[:0]
        return self.base - behind

    def finish(self) -> str:
        """Hash what was not read, close everything, and return the SHA-256 in hex."""
        if self._pending is not None:
            self._pending.result()
        self._pool.shutdown(wait=True)
        return self._stored.finish()

    def close(self) -> None:
        """Let go of the file and the threads without reading on."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._stored.close()

    def _head(self, size: int) -> None:
        """Read the first octets, and look through a compression."""
        magics = max(len(magic) for _, magic in COMPRESSIONS)
        size = max(size, magics)
        block, count = _fill(self._stored, size)
        if self._stored.problem is not None and not count:
            raise Unreadable(self.path, 0, self._stored.problem.detail)
        if not count:
            raise EmptyInput(self.path, 0, "the input is empty")
        head = block[_HEADROOM : _HEADROOM + count]
        name = compression_of(head.tobytes())
        if name:
            self.compression = name
            self._source = _Compressed(name, self._stored, head.tobytes())
            block, count = _fill(self._source, size)
            if not count and self._source.problem is not None:
                raise EmptyInput(self.path, 0, self._source.problem.detail)
            if not count:
                raise EmptyInput(self.path, 0, f"the {name} data holds no octets")
            head = block[_HEADROOM : _HEADROOM + count]
        self.final = count < size
        self.octets = head
        self.room = block[_HEADROOM:]

    def _take(self) -> tuple[NDArray[np.uint8], int]:
        """The next block; the one after it is begun in the background."""
        if self._pending is None:
            block, count = _fill(self._source, self._block)
        else:
            block, count = self._pending.result()
            self._pending = None
        if count == self._block:
            self._pending = self._pool.submit(_fill, self._source, self._block)
        return block, count


def _fill(source: _Source, size: int) -> tuple[NDArray[np.uint8], int]:
    """Read up to `size` octets into a new block behind its headroom and before its tailroom."""
    block = np.empty(_HEADROOM + size + _TAILROOM, dtype=np.uint8)
    return block, source.fill(memoryview(block.data)[_HEADROOM : _HEADROOM + size])


def _join(tail: NDArray[np.uint8], block: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put `tail` before the octets of `block`, in its headroom where it fits."""
    if len(tail) <= _HEADROOM:
        start = _HEADROOM - len(tail)
        block[start:_HEADROOM] = tail
        return block[start:]
    return np.concatenate((tail, block[_HEADROOM:]))


def _open(path: str) -> io.FileIO:
    """Open read-only and unbuffered.

    Raises:
        Unreadable: missing, a directory, no permission.
    """
    if path == STANDARD_INPUT:
        return io.FileIO(os.dup(0), "rb")
    try:
        if stat.S_ISDIR(Path(path).stat().st_mode):
            raise Unreadable(path, 0, "is a directory; name the capture files in it")
        return io.FileIO(path, "rb")
    except FileNotFoundError as error:
        raise Unreadable(path, 0, "no such file") from error
    except PermissionError as error:
        raise Unreadable(path, 0, "no permission to read it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(path, 0, f"cannot be opened: {reason}") from error
