"""Folders that are written whole or not at all, and what may be read into them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from forensics.errors import UsageError

MARK: Final = "manifest.json"
"""The file by which a folder is known as this program's own output, which may be replaced."""

_unfinished: set[Path] = set()
_swapping = threading.Lock()
"""Held while new output takes the place of old, so that `discard` leaves one of both."""


def discard() -> None:
    """Take away all output that is not whole: nothing will come of it, the process is to end.

    Other threads may still write to it; what has a temporary name stays temporary.
    """
    _swapping.acquire()  # and never released: nobody puts anything into place any more
    for _ in range(2):
        for part in list(_unfinished):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Give a new folder that takes the place of `out` when all went well, and vanishes if not.

    Raises:
        UsageError: `out` exists and is not a folder that this program wrote.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: exists and is no folder; name another one with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise UsageError(f"{out}: a folder that dns-forensics did not write; name another one")
    part = out.parent / f".{out.name}.{os.getpid()}.part"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(f"{out}: cannot be written: {reason}") from None
    old = out.parent / f".{out.name}.{os.getpid()}.old"
    _unfinished.add(part)
    try:
        yield part
        with _swapping:
            if out.is_dir():
                out.replace(old)
            part.replace(out)
            _unfinished.add(old)
    finally:
        for one in (part, old):
            shutil.rmtree(one, ignore_errors=True)
            _unfinished.discard(one)


def check_apart(dataset: Path, out: Path) -> None:
    """Refuse to put a report where its dataset is: it would be replaced.

    Raises:
        UsageError: one folder is or holds the other.
    """
    source, target = dataset.resolve(), out.resolve()
    if target in (source, *source.parents) or source in target.parents:
        raise UsageError(f"{out}: holds or lies in the dataset; name another folder with --out")


def distinct(paths: Sequence[str]) -> list[str]:
    """Leave out files that are named a second time: read twice they would count twice.

    Raises:
        UsageError: standard input is to be read twice.
    """
    if paths.count("-") > 1:
        raise UsageError("-: standard input can be read only once")
    known: dict[str, str] = {}
    for path in paths:
        known.setdefault("-" if path == "-" else os.path.realpath(path), path)
    return list(known.values())


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a new file's path that takes the place of `path` when all went well.

    Raises:
        UsageError: the folder cannot be written to.
    """
    part = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        part.touch()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {(error.strerror or '').lower()}") from None
    _unfinished.add(part)
    try:
        yield part
        with _swapping:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        _unfinished.discard(part)


def size_of(path: str) -> int:
    """Octets of a file as stored; 0 where that is not known (standard input, say)."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
