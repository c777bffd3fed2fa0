"""A folder of dnstap files that rotate: each appears whole, under a name that tells its beginning.

While a file grows it is hidden (`.NAME.part`). What has come is handed to the system every second,
so that even a killed recorder loses no more; the next one in that folder finds the part, and lets
it appear with `-cut` in its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from forensics import limits
from forensics.capture.framestreams import CONTENT, START, STOP, control
from forensics.errors import UsageError

ENDING: Final = ".dnstap.zst"
_PART: Final = ".part"


class Recording:
    """Writes data frames to files of one folder.

    Attributes:
        files: those that are finished, in order.
        frames: data frames in all of them and in the present one.

    Args:
        folder: made if it is not there.
        seconds, octets: a file is finished after either, by its age and by what it would hold
            uncompressed; 0: never.
        clock: ns since 1970 UTC.
    """

    def __init__(
        self, folder: Path, *, seconds: float, octets: int, clock: Callable[[], int]
    ) -> None:
        """Make the folder, and let parts that an earlier recorder left appear.

        Raises:
            UsageError: the folder cannot be written to.
        """
        self.files: list[Path] = []
        self.frames = 0
        self._folder = folder
        self._span = int(seconds * limits.SECOND)
        self._most = octets
        self._clock = clock
        self._file: Any = None
        self._writer: Any = None
        self._path = folder
        self._begun = 0
        self._flushed = 0
        self._size = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for part in sorted(folder.glob(f".*{ENDING}{_PART}")):
                name = part.name.removeprefix(".").removesuffix(ENDING + _PART)
                whole = folder / f"{name}-cut{ENDING}"
                part.replace(whole)
                self.files.append(whole)
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"{folder}: cannot be written: {reason}") from None

    def write(self, data: bytes, frames: int) -> None:
        """Append whole data frames, and begin the next file when this one is due.

        Raises:
            UsageError: the disk is full, or the folder has gone.
        """
        if not data:
            return
        try:
            if self._file is None:
                self._open()
            self._writer.write(data)
            self._size += len(data)
            self.frames += frames
            if 0 < self._most <= self._size:
                self.finish()
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"{self._folder}: cannot be written: {reason}") from None

    def tick(self) -> None:
        """Hand what has come to the system each second, and finish the file when it is old."""
        if self._file is None:
            return
        now = self._clock()
        if 0 < self._span <= now - self._begun:
            self.finish()
        elif now - self._flushed >= limits.SECOND:
            self._flushed = now
            self._writer.flush()
            self._file.flush()

    def finish(self) -> None:
        """Finish the present file, if any, and let it appear."""
        if self._file is None:
            return
        self._writer.write(control(STOP))
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        whole = self._folder / self._path.name.removeprefix(".").removesuffix(_PART)
        self._path.replace(whole)
        self.files.append(whole)

    def _open(self) -> None:
        """Begin a file; two of one second are told apart by a number."""
        import zstandard

        self._begun = self._flushed = self._clock()
        moment = datetime.fromtimestamp(self._begun // limits.SECOND, UTC)
        number = 0
        while True:
            name = f"dnstap-{moment:%Y%m%dT%H%M%SZ}-{number:03}{ENDING}"
            self._path = self._folder / f".{name}{_PART}"
            if not self._path.exists() and not (self._folder / name).exists():
                break
            number += 1
        self._file = self._path.open("xb")
        self._writer = zstandard.ZstdCompressor(level=3).stream_writer(self._file, closefd=False)
        self._writer.write(control(START, CONTENT))
        self._size = 0
