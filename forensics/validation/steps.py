"""Piecewise constant functions of time: the form of everything that is known about an instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from forensics.vocabulary import Status

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
Steps = tuple[tuple[int, T], ...]
"""(start in ns, value) in order of start; each value holds up to the next start, the last for
ever. The first start is the beginning of the domain."""


class State(NamedTuple):
    """What a signature's verdict is at an instant, before its own validity period is looked at.

    Attributes:
        status: vocabulary.Status.
        reason: code in vocabulary.REASONS.
        weak: whether the confidence is weak.
        zone: whose link is broken, or the signer.
        later: only a key set seen later holds the key.
        timed: whether the signature's own validity period can still change the verdict.
    """

    status: Status
    reason: str
    weak: bool
    zone: str
    later: bool = False
    timed: bool = True


def evaluate(
    cuts: Iterable[int], low: int, high: int, function: Callable[[int], T]
) -> tuple[tuple[int, T], ...]:
    """Build the steps of `function` on [low, high], which is constant between `cuts`."""
    starts = [low, *sorted({cut for cut in cuts if low < cut <= high})]
    return join((start, function(start)) for start in starts)


def join(rows: Iterable[tuple[int, T]]) -> tuple[tuple[int, T], ...]:
    """Leave out steps that change nothing."""
    kept: list[tuple[int, T]] = []
    for start, value in rows:
        if not kept or kept[-1][1] != value:
            kept.append((start, value))
    return tuple(kept)


def at(steps: Steps[T], instant: int) -> T:
    """Return the value at `instant`; before the first start, the first value."""
    return steps[max(bisect_right(steps, instant, key=lambda row: row[0]) - 1, 0)][1]


def starts(steps: Steps[T]) -> list[int]:
    """Return the instants at which the value changes."""
    return [start for start, _ in steps[1:]]


def combine(
    first: Steps[T], second: Steps[U], function: Callable[[T, U], V]
) -> tuple[tuple[int, V], ...]:
    """Apply `function` to two step functions of one domain, wherever either changes."""
    rows: list[tuple[int, V]] = []
    left = right = 0
    while True:
        start = max(first[left][0], second[right][0])
        rows.append((start, function(first[left][1], second[right][1])))
        next_left = first[left + 1][0] if left + 1 < len(first) else None
        next_right = second[right + 1][0] if right + 1 < len(second) else None
        if next_left is None and next_right is None:
            return join(rows)
        if next_right is None or (next_left is not None and next_left <= next_right):
            left += 1
        if next_left is None or (next_right is not None and next_right <= next_left):
            right += 1
