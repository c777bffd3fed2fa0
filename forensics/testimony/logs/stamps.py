"""Times at the beginning of log lines: of the resolvers themselves, of syslog and of the journal.

A stamp with a zone is taken by its word. One without is local time of a zone that the caller
names, and one without a year gets the year that lies nearest to the capture.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from forensics import limits
from forensics.knowledge import FOREVER

_EPOCH: Final = re.compile(r"\[?(\d{9,10})(?:\.(\d{1,9}))?\]? ")
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"\s?(Z|[+-]\d\d:?\d\d)?(?=[\s:]|$)"
)
_BIND: Final = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ")
_SYSLOG: Final = re.compile(
    r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? "
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


class Stamps:
    """Reads the time at the beginning of a line.

    Args:
        near: ns; a time of the capture, which a stamp without a year is put next to.
        zone: of stamps that name none.
    """

    def __init__(self, near: int, zone: tzinfo = UTC) -> None:
        self._near = near
        self._zone = zone

    def read(self, line: str) -> tuple[int | None, str]:
        """Give (ns since 1970, what follows the stamp); (None, the line): no stamp there."""
        for pattern, taken in (
            (_ISO, self._iso),
            (_BIND, self._bind),
            (_SYSLOG, self._syslog),
            (_EPOCH, self._epoch),
        ):
            match = pattern.match(line)
            if match is not None:
                time = taken(match)
                if time is not None:
                    return time, line[match.end() :].lstrip()
        return None, line

    def _epoch(self, match: re.Match[str]) -> int | None:
        return _held(int(match[1]) * limits.SECOND + _fraction(match[2]))

    def _iso(self, match: re.Match[str]) -> int | None:
        numbers = [int(match[at]) for at in range(1, 7)]
        offset = match[8]
        zone: tzinfo = self._zone
        if offset == "Z":
            zone = UTC
        elif offset:
            hours, minutes = int(offset[1:3]), int(offset[-2:])
            if hours > 23 or minutes > 59:
                return None
            away = timedelta(hours=hours, minutes=minutes)
            zone = timezone(-away if offset[0] == "-" else away)
        return _joined(numbers, _fraction(match[7]), zone)

    def _bind(self, match: re.Match[str]) -> int | None:
        month = _MONTHS.get(match[2])
        if month is None:
            return None
        numbers = [int(match[3]), month, int(match[1]), *(int(match[at]) for at in range(4, 7))]
        return _joined(numbers, _fraction(match[7]), self._zone)

    def _syslog(self, match: re.Match[str]) -> int | None:
        month = _MONTHS.get(match[1])
        if month is None:
            return None
        year = datetime.fromtimestamp(self._near // limits.SECOND, UTC).year
        rest = [month, *(int(match[at]) for at in range(2, 6))]
        found = [
            time
            for candidate in (year - 1, year, year + 1)
            if (time := _joined([candidate, *rest], _fraction(match[6]), self._zone)) is not None
        ]
        return min(found, key=lambda time: abs(time - self._near), default=None)


def _fraction(digits: str | None) -> int:
    """Nanoseconds of the digits behind the second."""
    return int((digits or "0").ljust(9, "0"))


def _joined(numbers: list[int], fraction: int, zone: tzinfo) -> int | None:
    """Give ns since 1970; None: no such time."""
    year, month, day, hour, minute, second = numbers
    try:
        when = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        time = int(when.timestamp()) * limits.SECOND + fraction
    except (ValueError, OverflowError, OSError):
        return None
    return _held(time)


def _held(time: int) -> int | None:
    """Give the time if the tables can hold it: they begin in 1677 and end in 2262."""
    return time if abs(time) < FOREVER else None
