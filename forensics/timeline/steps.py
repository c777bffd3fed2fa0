"""Steps of a recorder's clock: in one capture, frames that come later and bear earlier times.

A clock that was set back mixes the order of what was seen, and with it which keys were published
when; so a report says so before all else. A clock set forward looks like silence: that cannot be
told from the packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.limits import CLOCK_TOLERANCE, SECOND
from forensics.timeline.columns import coded, integers
from forensics.timeline.moments import rfc3339

STEP: Final = 2 * SECOND
"""Packets that several threads wrote out of order lie milliseconds apart."""

STRETCHES: Final = 4096
"""Stretches of frames of one capture whose earliest and latest time is held: 64 KiB."""

_NEVER: Final = np.iinfo(np.int64).max


@dataclass(slots=True)
class _Capture:
    """The earliest and the latest time in each stretch of `1 << shift` frames."""

    shift: int = 0
    first: NDArray[np.int64] = field(default_factory=lambda: np.full(STRETCHES, _NEVER))
    last: NDArray[np.int64] = field(default_factory=lambda: np.full(STRETCHES, -_NEVER))

    def add(self, frames: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        """Take N frames with their times, ns."""
        while int(frames.max()) >> self.shift >= STRETCHES:
            self.shift += 1
            for held, joined, none in (
                (self.first, np.minimum, _NEVER),
                (self.last, np.maximum, -_NEVER),
            ):
                held[: STRETCHES // 2] = joined(held[::2], held[1::2])
                held[STRETCHES // 2 :] = none
        at = frames >> self.shift
        np.minimum.at(self.first, at, times)
        np.maximum.at(self.last, at, times)

    def steps(self) -> list[tuple[int, int, int, int]]:
        """Give (frame before, frame behind, latest time before, earliest time behind)."""
        used = np.flatnonzero(self.first != _NEVER)
        found: list[tuple[int, int, int, int]] = []
        end = -1
        for one, other in zip(used[:-1].tolist(), used[1:].tolist(), strict=True):
            before, behind = int(self.last[one]), int(self.first[other])
            if before - behind <= STEP:
                continue
            row = (one << self.shift, ((other + 1) << self.shift) - 1, before, behind)
            # A step within a stretch shows on both sides of it.
            if end == one and found:
                row = (found[-1][0], row[1], max(found.pop()[2], before), behind)
            found.append(row)
            end = other
        return found


class ClockSteps:
    """Watches the times of packets while transactions are walked."""

    def __init__(self) -> None:
        self._captures: dict[int, _Capture] = {}

    def watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Pass on schemas.TRANSACTIONS, and note frames and times of what was packets over UDP.

        Over TCP a message is whole long after its first frame; dnstap and logs are not written in
        order.
        """
        for batch in batches:
            if batch.num_rows:
                self._note(batch)
            yield batch

    def _note(self, rows: Any) -> None:
        plain = _is(rows, "kind", "packet") & _is(rows, "transport", "udp")
        time = integers(rows.column("time"))
        answered = time + integers(rows.column("latency"), 0)
        for of, frames, times in (
            ("capture", "query_frame", time),
            ("response_capture", "response_frame", answered),
        ):
            capture, frame = integers(rows.column(of), -1), integers(rows.column(frames), 0)
            known = plain & (capture >= 0) & (frame > 0)
            for number in np.unique(capture[known]).tolist():
                mine = known & (capture == number)
                self._captures.setdefault(number, _Capture()).add(frame[mine], times[mine])

    def set_back(self, captures: Any) -> int:
        """Give the longest way back of any capture's times, ns; 0: all are in order.

        Args:
            captures: as of `findings`.
        """
        return max(
            (late - early for _, steps in self._told(captures) for _, _, late, early in steps),
            default=0,
        )

    def _told(self, captures: Any) -> Iterator[tuple[str, list[tuple[int, int, int, int]]]]:
        """Give the captures with steps: path, and as of `_Capture.steps`."""
        for row in captures.select(["capture", "path", "clock_ahead"]).to_pylist():
            held = self._captures.get(row["capture"])
            if held is None or abs(row["clock_ahead"] or 0) > CLOCK_TOLERANCE:
                continue
            steps = held.steps()
            if steps:
                yield row["path"], steps

    def findings(self, captures: Any) -> list[dict[str, Any]]:
        """Tell of the steps, one row a capture.

        Args:
            captures: schemas.CAPTURES. Of one whose clock was set right by that of another the
                times were changed here, so that steps would be ours.
        """
        found = []
        for path, steps in self._told(captures):
            before, behind, late, early = max(steps, key=lambda step: step[2] - step[3])
            times = "" if len(steps) == 1 else f", and {len(steps) - 1} more times"
            found.append(
                {
                    "kind": "clock-step",
                    "capture": path,
                    "count": len(steps),
                    "after_frame": before,
                    "before_frame": behind,
                    "seconds": (late - early) / SECOND,
                    "sentence": (
                        f"The times of {path} go back by {(late - early) / SECOND:,.0f} s, "
                        f"from {rfc3339(late)[:19]}Z to {rfc3339(early)[:19]}Z, between frames "
                        f"{before:,} and {behind:,}{times}: the recorder's clock was set back, or "
                        "captures were joined out of order. What came before what is not certain "
                        "there."
                    ),
                }
            )
        return found


def _is(rows: Any, column: str, value: str) -> NDArray[np.bool_]:
    """Tell which rows have this text."""
    found = coded(rows.column(column))
    same = np.array([one == value for one in found.values.to_pylist()], np.bool_)
    return found.lookup(same, absent=False)
