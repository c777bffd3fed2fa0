"""What each resolver held, as a table of report.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forensics.report import times, words
from forensics.report.account import Report
from forensics.report.escape import code, markdown
from forensics.report.held import Held, elsewhere, held
from forensics.report.tables import display_filter, table

_HEADS: Final = (
    "Resolver", "Records", "Refused:", "Why", "Refused from (UTC)", "Accepted again (UTC)",
    "Keys it held", "Fetched (UTC)", "Good until (UTC)", "Display filter",
)  # fmt: skip


def held_table(report: Report, zone: str) -> str:
    """Draw the rows of one zone."""
    return _table(*held(report, zone), zones=False)


def elsewhere_table(report: Report) -> str:
    """Draw the rows of the zones of which no incident tells."""
    return _table(*elsewhere(report), zones=True)


def _table(told: Sequence[Held], more: int, *, zones: bool) -> str:
    heads = ("Zone", *_HEADS) if zones else _HEADS
    drawn = table(heads, ([*([code(row.zone)] if zones else []), *_cells(row)] for row in told))
    if not more:
        return drawn
    return f"{drawn}\n\n{words.counted(more, 'further row')} in report.json."


def _cells(row: Held) -> list[str]:
    """Write one row, its zone left out."""
    return [
        code(row.resolver),
        markdown(row.records),
        f"{words.number(row.refused)} of {words.number(row.judged)}",
        markdown(row.why),
        times.stamp(row.first_bad),
        times.stamp(row.first_good),
        markdown(row.keys),
        times.stamp(row.fetched),
        times.stamp(row.until),
        display_filter({"frame": row.frame}),
    ]
