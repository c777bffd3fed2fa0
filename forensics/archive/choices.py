"""How the columns of the long tables are written, chosen by measurement, time first."""

from __future__ import annotations

from typing import Final, NamedTuple


class Choice(NamedTuple):
    """How a column is written.

    Attributes:
        running: numbers of 32 or 64 bits that run, written as differences.
        plain: texts of which most differ, written without a dictionary.
        zstd: compressed by zstd, not LZ4.
        pruned: its least and greatest value stand in each row group.
    """

    running: bool = False
    plain: bool = False
    zstd: bool = False
    pruned: bool = False


_RUNNING: Final = Choice(running=True)
_PRUNED: Final = Choice(running=True, pruned=True)

CHOICES: Final[dict[str, dict[str, Choice]]] = {
    "transactions": {
        "transaction": _PRUNED,
        "time": _PRUNED,
        "query_frame": _RUNNING,
        "client": Choice(plain=True),
        "qname": Choice(zstd=True),
        "ede_text": Choice(zstd=True),
    },
    "sightings": {
        "signature": Choice(pruned=True),
        "time": _PRUNED,
        "frame": _RUNNING,
    },
    "unsigned": {
        "transaction": _PRUNED,
        "time": _PRUNED,
        "frame": _RUNNING,
        "owner": Choice(zstd=True),
        "target": Choice(zstd=True),
    },
}
"""The long tables, whose rows our own writer encodes, and what of them is no ordinary column.
Numbers that run are written as differences; other numbers take their octets apart, so that the
high ones compress to nothing. zstd is for columns that it shrinks by more than its time is worth;
the others take LZ4, at a third of the time. Readers skip row groups by the pruned columns. The
short tables go through Arrow's writer, with zstd throughout."""
