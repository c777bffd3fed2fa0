"""The state folder of a watcher: what was told, what is known of the files, and what is to be told.

`state.json` is replaced whole, so that a watcher killed at any instant finds what it knew last. A
notice stands in it before anyone hears of it, and until everyone has: it may be told twice, under
the same id, but never not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from forensics.errors import UsageError
from forensics.watching.events import Event
from forensics.watching.sources import Source

VERSION: Final = 1


@dataclass(slots=True)
class Known:
    """All that a watcher must not forget.

    Attributes:
        watched: folder or address.
        events: see `events`.
        sources, number, departed: see `sources.Follower`.
        gone: ns; the time of the capture up to which inputs have been let go of.
        newest: ns; newest packet of all; 0: none yet.
        outbox: notices that not everyone has heard of, in order; each with `written`, `hooked`.
        silent: silence was told.
        fed: wall clock of the last new octets, ns.
        silences: how often silence was told.
        expiring: expiry that was told, by zone and type: the expiration.
    """

    watched: str
    events: tuple[Event, ...] = ()
    sources: list[Source] = field(default_factory=list)
    number: int = 0
    departed: int = 0
    gone: int = 0
    newest: int = 0
    outbox: list[dict[str, Any]] = field(default_factory=list)
    silent: bool = False
    fed: int = 0
    silences: int = 0
    expiring: dict[str, int] = field(default_factory=dict)


class Store:
    """A state folder, locked by this process.

    Attributes:
        folder: it.
        pieces, keepsake, tables, captures: paths of ours in it.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be, and lock it.

        Raises:
            UsageError: it cannot be written, or another watcher uses it.
        """
        self.folder = folder
        self.pieces = folder / "pieces"
        self.keepsake = folder / "keepsake.pcapng"
        self.tables = folder / "tables"
        self.captures = folder / "captures"
        self._state = folder / "state.json"
        try:
            self.pieces.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"--state {folder}: another watcher uses this folder") from None
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"--state {folder}: cannot be written: {reason}") from None

    def close(self) -> None:
        """Let others use the folder."""
        os.close(self._lock)

    def load(self, watched: str) -> Known:
        """Give what was known, or a beginning.

        Raises:
            UsageError: the state is of another version or folder, or cannot be read.
        """
        try:
            told = json.loads(self._state.read_text(encoding="utf-8"))
            version = told.pop("version")
            known = Known(
                **{
                    **told,
                    "events": tuple(Event.read(row) for row in told["events"]),
                    "sources": [Source.read(row) for row in told["sources"]],
                }
            )
        except FileNotFoundError:
            return Known(watched)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{self._state}: cannot be read ({error}); move it away to begin anew"
            ) from None
        if version != VERSION or known.watched != watched:
            raise UsageError(
                f"--state {self.folder}: belongs to {known.watched}; name another folder"
            )
        return known

    def save(self, known: Known) -> None:
        """Replace the state, on the disk before this returns.

        Raises:
            UsageError: it cannot be written.
        """
        row = {
            "version": VERSION,
            "watched": known.watched,
            "events": [event.row() for event in known.events],
            "sources": [source.row() for source in known.sources],
            "number": known.number,
            "departed": known.departed,
            "gone": known.gone,
            "newest": known.newest,
            "outbox": known.outbox,
            "silent": known.silent,
            "fed": known.fed,
            "silences": known.silences,
            "expiring": known.expiring,
        }
        part = self._state.with_suffix(".part")
        try:
            with part.open("w", encoding="utf-8") as file:
                json.dump(row, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._state)
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"{self._state}: cannot be written: {reason}") from None
