"""Check a finished folder against its manifest, and the inputs against the hashes it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from forensics.archive.manifest import NAME
from forensics.errors import UsageError
from forensics.jsontext import parsed

SAME: Final = "same"
"""The file has the octets that the manifest names."""
CHANGED: Final = "changed"
MISSING: Final = "missing"
ADDED: Final = "added"
"""A file of the folder that the manifest does not name."""
UNCHECKED: Final = "unchecked"
"""An input that was read from standard input: nobody can read it again."""

FAULTS: Final = frozenset((CHANGED, MISSING, ADDED))
"""What means that the folder is not as it was written, or not made from these inputs."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file, and what became of it.

    Attributes:
        role: `output` or `input`.
        name: as the manifest has it.
        state: `SAME`, `CHANGED`, `MISSING`, `ADDED` or `UNCHECKED`.
        expected, found: SHA-256, hex; empty where there is none.
    """

    role: str
    name: str
    state: str
    expected: str = ""
    found: str = ""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest.

    Raises:
        UsageError: no manifest there, or none that this program wrote.
    """
    path = folder / NAME
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or "error").lower()
        raise UsageError(f"{path}: {why}; name the folder that analyze or ingest wrote") from None
    except ValueError:
        raise UsageError(f"{path}: not a manifest (no JSON)") from None
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise UsageError(f"{path}: not a manifest of this program")
    return found


def verify(folder: Path, inputs: Path | None = None) -> Iterator[Checked]:
    """Check every output of a folder, then every input that its manifest names.

    Args:
        folder: what analyze, report or ingest wrote.
        inputs: where the inputs lie now, by their file names; None: where they were named, seen
            from the present folder.

    Raises:
        UsageError: the folder has no manifest.
    """
    manifest = read_manifest(folder)
    return _checked(folder, manifest, inputs)


def _checked(folder: Path, manifest: dict[str, Any], inputs: Path | None) -> Iterator[Checked]:
    for name, entry in sorted(manifest["files"].items()):
        expected = str(entry.get("sha256", "")) if isinstance(entry, dict) else ""
        inside = PurePosixPath(name)
        # A manifest is input too: it never leads out of its folder.
        if inside.is_absolute() or ".." in inside.parts:
            yield Checked("output", name, MISSING, expected)
            continue
        yield _compared("output", name, folder / inside, expected)
    named = set(manifest["files"])
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != NAME and name not in named:
            yield Checked("output", name, ADDED, found=_digest(path) or "")
    given = manifest.get("inputs")
    for name, expected in sorted(given.items()) if isinstance(given, dict) else ():
        if name == "-":
            yield Checked("input", name, UNCHECKED, str(expected))
            continue
        path = Path(name) if inputs is None else inputs / Path(name).name
        yield _compared("input", name, path, str(expected))


def _compared(role: str, name: str, path: Path, expected: str) -> Checked:
    found = _digest(path)
    if found is None:
        return Checked(role, name, MISSING, expected)
    return Checked(role, name, SAME if found == expected else CHANGED, expected, found)


def _digest(path: Path) -> str | None:
    """SHA-256 of a file in hex; None: it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
