"""The command `listen`: record dnstap until told to stop."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forensics.errors import UsageError

if TYPE_CHECKING:
    from forensics.capture.listener import Tally
    from forensics.capture.recording import Recording

FOLDER: Final = "captures"
"""Where below the dataset's folder the recorded files are."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "K": 2**10, "M": 2**20, "G": 2**30}
_SIZES: Final = frozenset("KMG")


def rotation(texts: Sequence[str]) -> tuple[int, int]:
    """Read the values of `--rotate`: (seconds, octets); 0 where none is given.

    Raises:
        UsageError: a text is neither a time nor a size.
    """
    seconds = octets = 0
    for text in texts:
        found = re.fullmatch(r"([0-9]{1,9})([smhKMG])", text)
        if found is None or not int(found[1]):
            raise UsageError(
                f"--rotate {text}: write a time like 600s, 10m, 1h or a size like 256M"
            )
        value = int(found[1]) * _UNITS[found[2]]
        if found[2] in _SIZES:
            octets = value
        else:
            seconds = value
    return seconds, octets


def record(
    address: str,
    folder: Path,
    *,
    rotate: Sequence[str],
    public: bool,
    clock: Callable[[], int],
    begun: Callable[[], None],
) -> tuple[Recording, Tally]:
    """Listen at `address` and record into `folder` until SIGINT or SIGTERM.

    Args:
        address: `unix:PATH` or `tcp:HOST:PORT`.
        folder: of the dataset; the files go to `captures` below it.
        rotate: as `rotation` reads it.
        public: the address may be one that others can reach.
        clock: ns since 1970 UTC.
        begun: called once servers can connect.

    Raises:
        UsageError: an option is wrong, or the folder cannot be written to.
    """
    from forensics.capture.listener import bound, listen
    from forensics.capture.recording import Recording

    asked: list[int] = []
    seconds, octets = rotation(rotate)
    with bound(address, public=public) as server:
        try:
            recording = Recording(folder / FOLDER, seconds=seconds, octets=octets, clock=clock)
            former = {
                number: signal.signal(number, lambda number, _: asked.append(number))
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            }
            begun()
            try:
                tally = listen(server, recording, lambda: bool(asked))
            finally:
                recording.finish()
                for number, handler in former.items():
                    signal.signal(number, handler)
        finally:
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).unlink(missing_ok=True)
    return recording, tally
