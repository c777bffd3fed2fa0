"""The files of a folder that is being written to: which are new, have grown, moved or gone.

A file that has come to rest is read where it lies. Of one that grows, the whole records are copied
to pieces in the state folder as they come (`growth`): so its past can be let go of bit by bit, and
a rotation that takes the file away takes no evidence with it. A compressed file, or one of a format
without records to walk, is read once it has come to rest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from forensics.errors import InputError
from forensics.watching import bounds
from forensics.watching.growth import HEAD_OCTETS, Broken, Walker, walker

COMPRESSED: Final = (".gz", ".zst", ".xz", ".bz2", ".lz4")
"""Endings that rotation adds; the file without it is the same capture."""

UNFINISHED: Final = (".part", ".tmp", ".partial")
"""Endings of files that will be renamed when they are whole."""

_PIECE: Final = ".piece"


@dataclass(slots=True)
class Input:
    """A file to be read at a look.

    Attributes:
        path: of the file.
        shown: the capture as the user knows it.
        frames: frames of the capture before this file's first.
        first, last, packets: of its content, ns; as the last look found it, None: not read yet.
        live: it may be written to: that it ends within a record is no damage.
        octets: size of the file that is accounted for; a piece that is longer was being written
            when the program was killed.
        copied: the file is ours, to be deleted when it is past the horizon.
    """

    path: str
    shown: str
    frames: int = 0
    first: int | None = None
    last: int | None = None
    packets: int = 0
    live: bool = False
    octets: int = 0
    copied: bool = False


@dataclass(slots=True)
class Source:
    """One file of the folder.

    Attributes:
        name: its path.
        inode: device and number.
        size, mtime: as last seen; octets, ns.
        grows: it is copied to pieces.
        at: octets taken of it.
        frames: frames in those.
        prefix: hex, what must stand before its next piece.
        inputs: what of it is read.
        done: nothing of it is read any more, unless it changes: past the horizon, or no capture.
        damage: reasons of damage already told.
        found: rows of damage as the last look found them.
        began: time of its first packet, ns.
    """

    name: str
    inode: str
    size: int = 0
    mtime: int = 0
    grows: bool = False
    at: int = 0
    frames: int = 0
    prefix: str = ""
    inputs: list[Input] = field(default_factory=list)
    done: bool = False
    damage: list[str] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    began: int | None = None

    def row(self) -> dict[str, Any]:
        """Give it as JSON holds it."""
        return asdict(self)

    @classmethod
    def read(cls, row: dict[str, Any]) -> Source:
        """Give back what `row` gave."""
        return cls(**{**row, "inputs": [Input(**one) for one in row["inputs"]]})


class Follower:
    """Follows one folder.

    Attributes:
        sources: by name.
        fresh: inputs with octets that no look has read.
        departed: frames of files that are known no more.
        missed: files that were deleted before they were read to their ends, to be told of.

    Args:
        folder: the folder.
        pieces: folder of our own for pieces.
        own: the folder is our recorder's: hidden parts are read as they grow, and finished files
            are whole from the first.
        sources: as an earlier run knew them.
        number: of the last piece so far.
        departed: as an earlier run counted.
    """

    def __init__(
        self,
        folder: Path,
        pieces: Path,
        *,
        own: bool = False,
        sources: list[Source] | None = None,
        number: int = 0,
        departed: int = 0,
    ) -> None:
        self.folder = folder
        self.pieces = pieces
        self.own = own
        self.sources = {source.name: source for source in sources or ()}
        self.number = number
        self.departed = departed
        self.fresh: set[str] = set()
        self.missed: list[Source] = []
        self._is_first = not self.sources
        self._walkers: dict[str, Walker] = {}
        self._mend()

    def inputs(self) -> list[Input]:
        """Give all that is to be read, in order of name and place."""
        return [one for _, source in sorted(self.sources.items()) for one in source.inputs]

    def scan(self, now: int, horizon: int) -> bool:
        """Look at the folder; tell whether there is something new to be read.

        Args:
            now: wall clock, ns since 1970 UTC.
            horizon: ns of capture time that are judged.
        """
        found = dict(self._listed())
        self._moved(found)
        waiting = []
        for name, known in found.items():
            source = self.sources.get(name)
            if source is None:
                source = Source(name, _inode(known))
                self.sources[name] = source
            elif source.inode != _inode(known) or known.st_size < source.at:
                self._forget(source)
                self.departed += source.frames
                source = Source(name, _inode(known))
                self.sources[name] = source
            changed = (source.size, source.mtime) != (known.st_size, known.st_mtime_ns)
            source.size, source.mtime = known.st_size, known.st_mtime_ns
            behind = source.grows and source.at < source.size
            if known.st_size and (changed or behind or not (source.inputs or source.done)):
                waiting.append((source, changed))
        for name in sorted(self.sources.keys() - found.keys()):
            self._gone(name, found, now)
        self._take(waiting, now, horizon)
        return bool(self.fresh)

    def frames(self) -> int:
        """Give how many frames were read in all."""
        return self.departed + sum(source.frames for source in self.sources.values())

    def read_up_to(self, facts: dict[str, tuple[int | None, int | None, int]]) -> None:
        """Take over what a look found: (first, last, packets) by path."""
        for one in self.inputs():
            if one.path in facts:
                one.first, one.last, one.packets = facts[one.path]
        for source in self.sources.values():
            if not source.grows and source.inputs:
                source.frames = sum(one.packets for one in source.inputs)
        self.fresh.clear()

    def drop(self, paths: set[str]) -> None:
        """Let go of inputs that are past the horizon."""
        for source in self.sources.values():
            kept = [one for one in source.inputs if one.path not in paths]
            if len(kept) == len(source.inputs):
                continue
            for one in source.inputs:
                if one.path in paths and one.copied:
                    Path(one.path).unlink(missing_ok=True)
            source.inputs = kept
            source.done = not kept

    def _listed(self) -> Iterator[tuple[str, os.stat_result]]:
        """Give the regular files of the folder that may be captures."""
        for entry in sorted(self.folder.iterdir()):
            hidden = entry.name.startswith(".") and not self.own
            if hidden or (entry.name.endswith(UNFINISHED) and not self.own):
                continue
            try:
                known = entry.stat()
            except OSError:
                continue  # it has gone again
            if stat.S_ISREG(known.st_mode):
                yield str(entry), known

    def _moved(self, found: dict[str, os.stat_result]) -> None:
        """Follow files that were renamed: rotation moves them."""
        by_inode = {_inode(known): name for name, known in found.items()}
        for name in sorted(self.sources.keys() - found.keys()):
            source = self.sources[name]
            new = by_inode.get(source.inode)
            if new is None or new in self.sources or found[new].st_size < source.at:
                continue
            known = found[new]
            same = (known.st_size, known.st_mtime_ns) == (source.size, source.mtime)
            if not source.grows and not same:
                continue  # another file, on the inode of one that was deleted
            del self.sources[name]
            for one in source.inputs:
                if one.path == name:
                    one.path = new
                    one.live = one.live and new.endswith(UNFINISHED)
                one.shown = self._shown(new)
            source.name = new
            self.sources[new] = source
            if name in self._walkers:
                self._walkers[new] = self._walkers.pop(name)

    def _gone(self, name: str, found: dict[str, os.stat_result], now: int) -> None:
        """Let go of a file that was deleted, but for what we have of it.

        Where it was compressed instead, that file takes its place once it has come to rest: it may
        end with records that came between our last look and the rotation.
        """
        source = self.sources[name]
        instead = next((name + end for end in COMPRESSED if name + end in found), None)
        if instead and now - found[instead].st_mtime_ns < bounds.SETTLED:
            return
        if not instead and self._is_behind(source):
            self.missed.append(source)
            source.size = source.at
        self.drop({one.path for one in source.inputs if instead or not one.copied})
        self._walkers.pop(name, None)
        if not source.inputs:
            self.departed += 0 if instead else source.frames
            del self.sources[name]

    def _is_behind(self, source: Source) -> bool:
        """Whether there is something in a file that no look has read."""
        if source.done or (source.mtime and not source.size):
            return False
        if source.grows and source.at < source.size:
            return True
        return not (source.grows or source.inputs) or any(
            one.path in self.fresh and not one.copied for one in source.inputs
        )

    def _take(self, waiting: list[tuple[Source, bool]], now: int, horizon: int) -> None:
        """Take what is new of each file, in order of time, no more at once than can be judged."""
        if self._is_first and len(waiting) > bounds.FIRST_FILES:
            waiting.sort(key=lambda pair: pair[0].mtime)
            for source, _ in waiting[: -bounds.FIRST_FILES]:
                source.done = True
            waiting = waiting[-bounds.FIRST_FILES :]
        starts = []
        for source, changed in waiting:
            if not self._is_ready(source, now, changed=changed):
                continue
            if source.began is None:
                source.began = _first_time(source.name)
            starts.append((source.began or 0, source.name, source))
        starts.sort(key=lambda row: row[:2])
        if self._is_first and starts:
            # What ended before the horizon when we came is history; one file may reach into it.
            past = [source for began, _, source in starts if 0 < began < starts[-1][0] - horizon]
            for source in past[:-1]:
                source.done = True
            starts = [row for row in starts if not row[2].done]
        self._is_first = self._is_first and not starts
        begin = next((began for began, _, source in starts if not source.at), 0)
        for began, _, source in starts:
            if not source.at and began > begin + horizon // bounds.CATCH_UP:
                source.size = source.mtime = 0  # its turn comes at the next look
                continue
            self._take_one(source, now)

    def _is_ready(self, source: Source, now: int, *, changed: bool) -> bool:
        """Whether a file can be read now; if not, it is looked at again."""
        if source.grows:
            return source.size > source.at
        if source.done and not changed:
            return False
        if self.own:
            return True
        plain = next(
            (source.name.removesuffix(end) for end in COMPRESSED if source.name.endswith(end)), ""
        )
        if plain and plain in self.sources:
            return False  # it is being compressed: the file itself is still there
        if now - source.mtime >= bounds.SETTLED:
            return True
        return _walkable(source.name)

    def _take_one(self, source: Source, now: int) -> None:
        """Take what is new of one file."""
        source.done = False
        if self.own:
            self._take_whole(source, live=source.name.endswith(UNFINISHED))
        elif not source.grows and (
            now - source.mtime >= bounds.AGED or not _walkable(source.name)
        ):
            self._take_whole(source, live=False)
        else:
            if not source.grows:
                self.drop({one.path for one in source.inputs})
                source.grows, source.done = True, False
            try:
                self._copy(source)
            except Broken:
                # The reader finds the next record, or says how much is lost.
                self._forget(source)
                source.grows, source.at, source.frames = False, 0, 0
                source.inputs = []
                self._take_whole(source, live=True)
            except OSError:
                source.size = 0  # it has gone, or the disk is full: again at the next look

    def _take_whole(self, source: Source, *, live: bool) -> None:
        """Read a file where it lies."""
        if not source.inputs:
            path, copied = source.name, self.own
            if not self.own:
                path, copied = self._linked(source.name)
            source.inputs = [Input(path, self._shown(source.name), copied=copied)]
        source.inputs = [replace(source.inputs[0], live=live, octets=source.size)]
        self.fresh.add(source.inputs[0].path)

    def _linked(self, name: str) -> tuple[str, bool]:
        """Give a file a second name of ours, so that deleting it takes no evidence away."""
        self.number += 1
        path = self.pieces / f"{self.number:08}.link"
        try:
            os.link(name, path)
        except OSError:
            return name, False  # another file system, or not ours to link
        return str(path), True

    def _shown(self, name: str) -> str:
        """Name a recording as it will be called when it is whole."""
        path = Path(name)
        if self.own and path.name.startswith("."):
            bare = path.name.removeprefix(".").removesuffix(".part")
            return str(path.with_name(bare))
        return name

    def _copy(self, source: Source) -> None:
        """Append the whole records that have come to the present piece, or to a new one.

        Raises:
            Broken: the framing is damaged.
        """
        with Path(source.name).open("rb") as file:
            head = file.read(HEAD_OCTETS)
            walk = self._walkers.get(source.name)
            if walk is None:
                found = walker(head, bytes.fromhex(source.prefix))
                if found is None:
                    return
                walk, begin = found
                self._walkers[source.name] = walk
                source.at = source.at or begin
            file.seek(source.at)
            octets = file.read(bounds.READ_OCTETS)
        before = walk.prefix
        taken, frames = walk.whole(octets)
        source.prefix = walk.prefix.hex()
        if not taken:
            return
        piece = source.inputs[-1] if source.inputs else None
        if piece is None or _is_full(piece):
            if piece is not None:
                piece.live = False
            self.number += 1
            path = self.pieces / f"{self.number:08}{_PIECE}"
            piece = Input(str(path), source.name, source.frames, copied=True, live=True)
            path.write_bytes(before)
            piece.octets = len(before)
            source.inputs.append(piece)
        with Path(piece.path).open("r+b") as file:
            file.seek(piece.octets)
            file.write(octets[:taken])
            file.truncate()
        piece.octets += taken
        source.at += taken
        source.frames += frames
        self.fresh.add(piece.path)

    def _forget(self, source: Source) -> None:
        """Let go of all that was taken of a file."""
        self.drop({one.path for one in source.inputs})
        self._walkers.pop(source.name, None)

    def _mend(self) -> None:
        """After a restart: cut pieces to what was accounted for, and delete those nobody knows."""
        known = {one.path: one for one in self.inputs() if one.copied}
        if not self.own and self.pieces.is_dir():
            for path in self.pieces.iterdir():
                if str(path) not in known:
                    path.unlink()
        for name, one in known.items():
            if not Path(name).exists():
                self.drop({name})
            elif name.endswith(_PIECE):
                os.truncate(name, one.octets)
        self.fresh.update(one.path for one in self.inputs())


def _is_full(piece: Input) -> bool:
    span = 0 if piece.first is None or piece.last is None else piece.last - piece.first
    return piece.octets >= bounds.PIECE_OCTETS or span >= bounds.PIECE_SPAN


def _inode(known: os.stat_result) -> str:
    return f"{known.st_dev}:{known.st_ino}"


def _walkable(name: str) -> bool:
    """Whether records of this file can be walked while it grows."""
    try:
        with Path(name).open("rb") as file:
            return walker(file.read(HEAD_OCTETS)) is not None
    except OSError:
        return False


def _first_time(name: str) -> int | None:
    """Time of the first packet of a file, ns; None: it holds none yet, or cannot be read."""
    from forensics.capture.readers import first_time

    try:
        return first_time(name)
    except (InputError, OSError):
        return None
