"""Times in words: every time of a report is UTC, and is labelled so wherever it is shown."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

NONE: Final = "\N{EN DASH}"
"""Stands where a time or a number is absent."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|\+00:00)"
)
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def parse(text: Any) -> int | None:
    """Read an RFC 3339 time in UTC as nanoseconds since 1970; None for anything else."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    fraction = (match.group(7) or "").ljust(9, "0")
    return ((days * 24 + hour) * 60 + minute) * MINUTE + second * SECOND + int(fraction)


def moment(time: int) -> datetime:
    """Give the calendar time, whole seconds, UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time // SECOND)


def day(time: int) -> str:
    """Give the date: `5 May 2026`."""
    when = moment(time)
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def clock(time: int, digits: int = 0) -> str:
    """Give the time of day with so many digits of the second: `19:43:12.120`."""
    within = time % DAY
    text = f"{within // HOUR:02}:{within // MINUTE % 60:02}:{within // SECOND % 60:02}"
    return f"{text}.{f'{within % SECOND:09}'[:digits]}" if digits else text


def exact(time: int) -> str:
    """Give date and time of day to the last digit the capture holds, in groups of three."""
    digits = 9 if time % 1_000 else 6 if time % 1_000_000 else 3
    return f"{moment(time):%Y-%m-%d} {clock(time, digits)}"


def stamp(text: Any) -> str:
    """Give a time of the report as `exact` does; what is no time, as `NONE`."""
    time = parse(text)
    return NONE if time is None else exact(time)


def brief(text: Any, beside: Any) -> str:
    """Give a time of the report, without its date where that is the date of the other time."""
    time, other = parse(text), parse(beside)
    if time is None or other is None or time // DAY != other // DAY:
        return stamp(text)
    return exact(time).split(" ")[1]


def date_of(text: Any) -> str:
    """Give the date of a time of the report."""
    time = parse(text)
    return NONE if time is None else day(time)


def digits_for(gap: int) -> int:
    """Give the digits of a second that tell two times this far apart."""
    if gap >= 10 * SECOND:
        return 0
    return 3 if gap >= 2_000_000 else 6 if gap >= 2_000 else 9


def span(early: int, late: int) -> str:
    """Give two times, the date once where they share it: `5 May 2026, 19:43:12 to 19:43:15 UTC`."""
    digits = digits_for(late - early)
    if early // DAY == late // DAY:
        return f"{day(early)}, {clock(early, digits)} to {clock(late, digits)} UTC"
    return f"{day(early)}, {clock(early, digits)} to {day(late)}, {clock(late, digits)} UTC"


def length(gap: int) -> str:
    """Give a duration by its two largest units: `3 h 31 min`, `2.9 s`, `13 ms`."""
    gap = max(gap, 0)
    if gap < 1_000_000:
        return f"{gap / 1_000:.3g} µs" if gap else "0 s"
    if gap < SECOND:
        return f"{gap // 1_000_000} ms"
    if gap < MINUTE:
        return f"{f'{gap / SECOND:.1f}'.removesuffix('.0')} s"
    seconds = gap // SECOND
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 60:
        parts = ((minutes, "min"), (seconds % 60, "s"))
    elif hours < 24:
        parts = ((hours, "h"), (minutes % 60, "min"))
    else:
        parts = ((days, "d"), (hours % 24, "h"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def zone_named(name: Any) -> Any:
    """Give the time zone of that name, None where there is none or it is UTC itself."""
    if not isinstance(name, str) or name.upper() in {"", "UTC", "Z", "ETC/UTC"}:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, or no database on this machine
        return None


def local(text: Any, zone: Any) -> str:
    """Give a time of the report in that zone, with its offset: `21:43:12 CEST (+02:00)`."""
    time = parse(text)
    if time is None:
        return NONE
    when = moment(time).astimezone(zone)
    offset = f"{when:%z}"
    return f"{when:%Y-%m-%d %H:%M:%S} {when.tzname()} ({offset[:3]}:{offset[3:5]})"
