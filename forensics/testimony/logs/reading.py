"""Read a resolver's log: its format by its lines, its times, what it says of validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import chain, islice
from typing import Final, Protocol

from forensics import limits
from forensics.testimony.logs import bind, knot, powerdns, unbound
from forensics.testimony.logs.entry import Entry
from forensics.testimony.logs.stamps import Stamps


class Format(Protocol):
    """A module that reads one resolver's lines."""

    NAME: str

    def sniff(self, line: str) -> bool:
        """Whether that resolver wrote the line."""

    def parse(self, line: str) -> Entry | None:
        """Read a line behind its time; None: it says nothing of validation."""


FORMATS: Final[tuple[Format, ...]] = (unbound, bind, powerdns, knot)

_SNIFFED: Final = 2_000
"""Lines by which a format is told."""


@dataclass(slots=True)
class Log:
    """What a log file says.

    Attributes:
        path: as the user named it.
        format: name of the format; empty: none was recognised.
        lines: how many there are.
        entries: (time in ns or None, entry), in the order of the file.
        untimed: entries without a time of their own.
        left_out: entries beyond limits.LOG_ENTRIES.
    """

    path: str
    format: str = ""
    lines: int = 0
    entries: list[tuple[int | None, Entry]] = field(default_factory=list)
    untimed: int = 0
    left_out: int = 0


def read(path: str, lines: Iterable[str], near: int, zone: tzinfo = UTC) -> Log:
    """Read the lines of a log.

    Args:
        path: names it in the report.
        lines: without line breaks, each of bounded length.
        near: ns; a time of the capture, for stamps without a year.
        zone: of stamps that name none.
    """
    log = Log(path)
    rest = iter(lines)
    head = list(islice(rest, _SNIFFED))
    votes = [sum(one.sniff(line) for line in head) for one in FORMATS]
    if not any(votes):
        log.lines = len(head) + sum(1 for _ in rest)
        return log
    chosen = FORMATS[votes.index(max(votes))]
    log.format = chosen.NAME
    for time, entry in _entries(chain(head, rest), chosen, Stamps(near, zone), log):
        if len(log.entries) >= limits.LOG_ENTRIES:
            log.left_out += 1
            continue
        log.untimed += time is None
        log.entries.append((time, entry))
    return log


def _entries(
    lines: Iterable[str], chosen: Format, stamps: Stamps, log: Log
) -> Iterator[tuple[int | None, Entry]]:
    for line in lines:
        log.lines += 1
        time, words = stamps.read(line)
        entry = chosen.parse(words)
        if entry is not None:
            yield time, entry
