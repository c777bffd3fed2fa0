"""Instants of the capture, each with the frame that shows it, and their text form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from forensics import limits

FAR: Final = 2**63 - 1
"""Later than every time of a capture."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class Moment(NamedTuple):
    """One sighting as evidence; ordered by time, then capture, then frame.

    Attributes:
        time: ns since 1970, UTC.
        capture: number of the input file.
        frame: of the response, from 1.
        signature: what was seen, `signatures.signature`; -1: no signature (a key set, a query).
    """

    time: int
    capture: int
    frame: int
    signature: int = -1


def rfc3339(time: int) -> str:
    """Give RFC 3339 text in UTC with all nine digits; `time` is ns since 1970."""
    seconds, rest = divmod(time, limits.SECOND)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def text_or_none(moment: Moment | None) -> str | None:
    """Give the RFC 3339 text of a moment, None where there is none."""
    return None if moment is None else rfc3339(moment.time)


def clock(time: int, digits: int = 0) -> str:
    """Give `2026-05-05 19:30:00 UTC` for sentences, with so many digits of the second."""
    seconds, rest = divmod(time, limits.SECOND)
    fraction = f".{f'{rest:09}'[:digits]}" if digits else ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}{fraction} UTC"


def length(span: int) -> str:
    """Give a length of time in words with its two greatest units: `2 hours 31 minutes`."""
    if 0 < span < 10 * limits.SECOND:
        return f"{span / limits.SECOND:.3g} seconds"
    rest = max(span, 0) // limits.SECOND
    parts: list[str] = []
    for name, unit in _UNITS:
        number, rest = divmod(rest, unit)
        if number or (name == "second" and not parts):
            parts.append(f"{number} {name}{'' if number == 1 else 's'}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)
