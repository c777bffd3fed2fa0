"""Write report.json, the machine contract, and know where its JSON Schema is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from forensics.report.files import write_whole

SCHEMA: Final = Path(__file__).with_name("report.schema.json")
"""The JSON Schema (2020-12) of report.json, shipped with the package."""

LINE: Final = 240
"""Longest line that a whole object or list is put on: a row of a table then is one line, which a
reviewer of golden reports reads in a diff."""


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report: ASCII only, in the order of its fields, the same octets each time."""
    write_whole(path, text_of(report).encode("ascii"))


def text_of(value: Any) -> str:
    """Give the JSON text, ending in a line break.

    ASCII only, so that no terminal or editor is led astray by what a packet held; NaN and
    infinity, which JSON does not have, raise ValueError.
    """
    return f"{''.join(_pieces(value, 0))}\n"


def _short(value: Any) -> str:
    """Write on one line."""
    return json.dumps(value, allow_nan=False)


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """Write on one line what fits, the rest one member a line."""
    nested = isinstance(value, dict | list) and bool(value)
    if not nested or _is_series(value) or (_is_flat(value) and len(_short(value)) + depth <= LINE):
        yield _short(value)
        return
    margin = " " * (depth + 1)
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    names = [f"{_short(str(name))}: " for name in value] if isinstance(value, dict) else []
    members = value.values() if isinstance(value, dict) else value
    yield opening
    for number, member in enumerate(members):
        yield f"{',' if number else ''}\n{margin}{names[number] if names else ''}"
        yield from _pieces(member, depth + 1)
    yield f"\n{' ' * depth}{closing}"


def _is_series(value: Any) -> bool:
    """Tell whether it is a list of numbers alone: one line, however long."""
    return isinstance(value, list) and all(type(member) is int for member in value)


def _is_flat(value: Any) -> bool:
    """Tell whether no member has members of its own, below one level of plain objects."""
    members = value.values() if isinstance(value, dict) else value
    return len(value) <= LINE and not any(
        isinstance(member, dict | list) and any(isinstance(deep, dict | list) for deep in member)
        for member in members
    )
