"""The manifest: every file of an output folder by its SHA-256, and the tool that wrote it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from forensics import __version__, schemas

NAME: Final = "manifest.json"


def write_manifest(folder: Path, *, kind: str, more: dict[str, Any] | None = None) -> None:
    """Write `manifest.json` over every other file of the folder, named relative to it.

    Args:
        folder: a finished output folder.
        kind: `report` or `dataset`.
        more: further fields, such as the options and the inputs of the run.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    manifest = {
        "kind": kind,
        "tool": {"name": "dns-forensics", "version": __version__},
        "schema_version": schemas.SCHEMA_VERSION,
        # Zones and their cuts are read from the captures: no list of suffixes that could be old.
        "public_suffix_list": None,
        **(more or {}),
        "files": {
            path.relative_to(folder).as_posix(): {
                "sha256": _digest(path),
                "octets": path.stat().st_size,
            }
            for path in files
        },
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True)
    (folder / NAME).write_text(text + "\n", encoding="ascii")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
