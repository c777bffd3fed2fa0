"""The building blocks of the Markdown files: tables, titles, display filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forensics.report.account import Row
from forensics.report.escape import code


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Draw a table of finished cells; a column whose head ends with `:` holds numbers."""
    found = [f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines]
    if not found:
        return ""
    head = f"| {' | '.join(head.removesuffix(':') for head in heads)} |"
    rule = f"| {' | '.join('---:' if head.endswith(':') else '---' for head in heads)} |"
    return "\n".join([head, rule, *found])


def titled(title: str, block: str) -> list[str]:
    """Put a heading over a block, if there is one."""
    return [f"### {title}", block] if block else []


def display_filter(row: Row) -> str:
    """Write the display filter that opens a row's frame in Wireshark."""
    frame = row.get("frame")
    return code(f"frame.number == {frame}") if frame else ""
