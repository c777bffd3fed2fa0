"""Where a dataset lies: a folder, or a place that fsspec knows by its URL.

Files appear whole or not at all: in a folder by renaming, elsewhere because an object that is being
written does not exist yet.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from forensics.errors import UsageError

WORK: Final = ".work"
"""Folder in a dataset for what is not finished; nothing in it counts."""


def is_url(text: str) -> bool:
    """Whether a name is a URL for fsspec, not a path."""
    return "://" in text


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        UsageError: fsspec, or what it needs for this kind of URL, is not installed.
    """
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{url}: {error}; install dns-forensics[archive] (s3: dns-forensics[s3])"
        ) from None


class Store:
    """The files of a dataset, by their names relative to its root, with / between the parts.

    Args:
        root: a folder, or a URL.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._fs: Any = None
        self._base = root
        if is_url(root):
            self._fs, self._base = filesystem(root)
        self._base = self._base.rstrip("/") or "/"

    def where(self, name: str) -> str:
        """The path of a file in its file system."""
        return f"{self._base}/{name}"

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        if self._fs is None:
            return Path(self.where(name)).is_file()
        return bool(self._fs.isfile(self.where(name)))

    def read(self, name: str) -> bytes:
        """The octets of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        if self._fs is None:
            return Path(self.where(name)).read_bytes()
        return bytes(self._fs.cat_file(self.where(name)))

    def open(self, name: str) -> Any:
        """A file for pyarrow: its path, or an open file that can seek."""
        if self._fs is None:
            return self.where(name)
        return self._fs.open(self.where(name), "rb")

    def put(self, path: Path, name: str) -> None:
        """Give a finished local file its name here; what has that name already is replaced."""
        if self._fs is None:
            target = Path(self.where(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            return
        self._fs.put_file(str(path), self.where(name))
        path.unlink()

    def copy(self, path: Path, name: str) -> None:
        """Give a copy of a finished local file a name here; the file stays where it is."""
        with self.work() as folder:
            made = folder / "copy"
            shutil.copyfile(path, made)
            self.put(made, name)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole or not at all."""
        with self.work() as folder:
            path = folder / "content"
            path.write_bytes(content)
            self.put(path, name)

    def names(self, prefix: str) -> list[str]:
        """The names of all files below a folder, sorted."""
        if self._fs is None:
            top = Path(self.where(prefix))
            found = (path for path in top.rglob("*") if path.is_file())
            return sorted(f"{prefix}/{path.relative_to(top).as_posix()}" for path in found)
        self._fs.invalidate_cache()
        try:
            paths = self._fs.find(self.where(prefix))
        except FileNotFoundError:
            return []
        return sorted(path[len(self._base) + 1 :] for path in paths)

    def remove(self, name: str) -> None:
        """Remove a file, and folders that it leaves empty."""
        if self._fs is not None:
            self._fs.rm_file(self.where(name))
            return
        path = Path(self.where(name))
        path.unlink(missing_ok=True)
        base = Path(self._base)
        for folder in path.parents:
            if folder == base or not _is_emptied(folder):
                break

    @contextmanager
    def work(self) -> Iterator[Path]:
        """Give a local folder for unfinished files, which vanishes afterwards."""
        if self._fs is None:
            place = Path(self.where(WORK))
            place.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=place))
        else:
            made = Path(tempfile.mkdtemp(prefix="dns-forensics-"))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else write to a folder meanwhile; whoever is killed lets go of it.

        Raises:
            UsageError: somebody does.
        """
        if self._fs is not None:
            yield
            return
        import fcntl

        folder = Path(self._base)
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise UsageError(f"{self.root}: another run is writing to it; wait for that") from None
        finally:
            os.close(handle)

    def clear_work(self) -> None:
        """Remove what earlier runs left unfinished."""
        if self._fs is None:
            shutil.rmtree(self.where(WORK), ignore_errors=True)

    @contextmanager
    def local(self, prefix: str) -> Iterator[Path]:
        """Give a local folder with the files below `prefix`: the folder itself where it is one."""
        if self._fs is None:
            yield Path(self.where(prefix))
            return
        with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
            for name in self.names(prefix):
                target = Path(made) / name[len(prefix) + 1 :]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read(name))
            yield Path(made)


def _is_emptied(folder: Path) -> bool:
    """Remove a folder if it is empty."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
