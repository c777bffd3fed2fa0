"""What each resolver held, as a table of report.md."""

from __future__ import annotations

from collections.abc import Sequence

from forensics.report import times, words
from forensics.report.account import Report
from forensics.report.escape import code, markdown
from forensics.report.held import Held, elsewhere, held
from forensics.report.tables import display_filter, table

_HEADS = (
    "Resolver", "Zone", "Records", "Refused:", "Why", "From (UTC)", "Until (UTC)",
    "Accepted again (UTC)", "It held", "Display filter",
)  # fmt: skip


def held_table(report: Report, zone: str) -> str:
    """Draw the rows of one zone."""
    return _table(*held(report, zone))


def elsewhere_table(report: Report) -> str:
    """Draw the rows of the zones of which no incident tells."""
    return _table(*elsewhere(report))


def _table(told: Sequence[Held], more: int) -> str:
    drawn = table(
        _HEADS,
        (
            (
                code(row.resolver),
                code(row.zone),
                markdown(row.records),
                f"{words.number(row.refused)} of {words.number(row.judged)}",
                markdown(row.why),
                times.stamp(row.first_bad),
                times.stamp(row.last_bad),
                times.stamp(row.first_good),
                _by(row),
                display_filter({"frame": row.frame}),
            )
            for row in told
        ),
    )
    if not more:
        return drawn
    return f"{drawn}\n\n{words.counted(more, 'further row')} in report.json."


def _by(row: Held) -> str:
    """Name what it held, when that was fetched, and until when it was good."""
    if not row.fetched:
        return times.NONE
    keys = f"keys {row.keys}, " if row.keys else ""
    said = f"{keys}fetched {times.stamp(row.fetched)}, good until {times.stamp(row.until)}"
    return markdown(said)
