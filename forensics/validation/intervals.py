"""Verdict rows: shared step functions cut at each signature's own validity period, in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import schemas
from forensics.knowledge import FOREVER
from forensics.validation.steps import State, Steps
from forensics.validation.validity import Validity
from forensics.vocabulary import STATUSES, Status

_BY_TIME: Final = ("signature-not-yet-valid", "signature-expired", "signature-window-invalid")


@dataclass(frozen=True)
class Spans:
    """G pairs of signature and place (-1: the default), each with its steps and its time.

    Attributes:
        row: int64 (G), row of the signature.
        place: int64 (G).
        variant: int64 (G), index into `variants`.
        first, last: int64 (G), ns, the sightings to cover, inclusive.
        variants: distinct step functions.
        periods: validity of each signature (N).
        keys: key_ids that verdicts name, by class.
        class_of: int64 (N), class of each signature.
    """

    row: NDArray[np.int64]
    place: NDArray[np.int64]
    variant: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    variants: list[Steps[State]]
    periods: Validity
    keys: list[list[str]]
    class_of: NDArray[np.int64]


def write(signatures: Any, spans: Spans | None) -> Any:
    """Return schemas.VERDICTS, in order of signature, place and start; no spans, no rows."""
    if spans is None or not len(spans.row):
        return schemas.VERDICTS.empty_table()
    states, starts, codes, bounds = _flattened(spans.variants)
    span, start, end, code = _cut(spans, starts, codes, bounds)
    span, start, end, code = _by_validity(spans, states, span, start, end, code)
    number = signatures["signature"].to_numpy().astype(np.int64)[spans.row[span]]
    order = np.lexsort((start, spans.place[span], number))
    span, start, end, code = span[order], start[order], end[order], code[order]
    fresh = np.ones(len(span), np.bool_)
    fresh[1:] = (span[1:] != span[:-1]) | (code[1:] != code[:-1])
    begin = np.flatnonzero(fresh)
    stop = np.append(begin[1:], len(span)) - 1
    return _table(
        spans, states, number[order][begin], span[begin], start[begin], end[stop], code[begin]
    )


def _flattened(
    variants: list[Steps[State]],
) -> tuple[list[State], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Lay all step functions end to end; number their states."""
    numbers: dict[State, int] = {}
    starts, codes, bounds = [], [], [0]
    for steps in variants:
        for start, state in steps:
            starts.append(start)
            codes.append(numbers.setdefault(state, len(numbers)))
        bounds.append(len(starts))
    return (
        list(numbers),
        np.array(starts, np.int64),
        np.array(codes, np.int64),
        np.array(bounds, np.int64),
    )


def _cut(
    spans: Spans,
    starts: NDArray[np.int64],
    codes: NDArray[np.int64],
    bounds: NDArray[np.int64],
) -> tuple[NDArray[np.int64], ...]:
    """Repeat each span for each step that overlaps it."""
    size = (bounds[1:] - bounds[:-1])[spans.variant]
    span = np.repeat(np.arange(len(spans.row)), size)
    within = np.arange(len(span)) - np.repeat(np.cumsum(size) - size, size)
    step = bounds[spans.variant][span] + within
    is_last = within == size[span] - 1
    following = np.where(is_last, FOREVER, starts[np.minimum(step + 1, len(starts) - 1)])
    start = np.maximum(starts[step], spans.first[span])
    # The first step reaches back to the beginning of the domain, wherever the span begins.
    start = np.where(within == 0, spans.first[span], start)
    end = np.minimum(following, spans.last[span] + 1)
    keep = start < end
    return span[keep], start[keep], end[keep], codes[step[keep]]


def _by_validity(
    spans: Spans,
    states: list[State],
    span: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    code: NDArray[np.int64],
) -> tuple[NDArray[np.int64], ...]:
    """Cut rows where the signature's own validity begins and ends, and number the new states."""
    timed = np.array([state.timed for state in states], np.bool_)[code]
    by_time = np.empty((len(states), 3), np.int64)
    numbers = {state: number for number, state in enumerate(states)}
    for number, state in enumerate(list(states)):
        for column, reason in enumerate(_BY_TIME):
            weak = state.weak or state.status == Status.INDETERMINATE
            made = State(Status.BOGUS, reason, weak, state.zone)
            if made not in numbers:
                numbers[made] = len(states)
                states.append(made)
            by_time[number, column] = numbers[made]
    row = spans.row[span]
    void = spans.periods.is_void[row]
    opens = np.where(timed & ~void, spans.periods.start[row], start)
    closes = np.where(timed & ~void, spans.periods.end[row], end)
    parts = (
        (start, np.minimum(end, opens), by_time[code, 0]),
        (
            np.maximum(start, opens),
            np.minimum(end, closes),
            np.where(timed & void, by_time[code, 2], code),
        ),
        (np.maximum(start, closes), end, by_time[code, 1]),
    )
    spanned = np.concatenate([span] * 3)
    low = np.concatenate([part[0] for part in parts])
    high = np.concatenate([part[1] for part in parts])
    coded = np.concatenate([part[2] for part in parts])
    keep = low < high
    return spanned[keep], low[keep], high[keep], coded[keep]


def _table(
    spans: Spans,
    states: list[State],
    number: NDArray[np.int64],
    span: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    code: NDArray[np.int64],
) -> Any:
    import pyarrow as pa

    def of_state(values: list[Any], kind: Any) -> Any:
        return pa.array(values, kind).take(pa.array(code))

    keys = pa.array(spans.keys, pa.list_(pa.string()))
    return pa.table(
        [
            pa.array(number, pa.uint32()),
            pa.array(spans.place[span], pa.int64()),
            pa.repeat(pa.scalar("published"), len(number)),
            pa.array(start, pa.int64()),
            pa.array(end, pa.int64()),
            of_state([STATUSES[s.status] for s in states], pa.string()),
            of_state([s.reason for s in states], pa.string()),
            of_state(["weak" if s.weak else "strong" for s in states], pa.string()),
            of_state([s.zone for s in states], pa.string()),
            keys.take(pa.array(spans.class_of[spans.row[span]])),
            of_state([s.later for s in states], pa.bool_()),
        ],
        schema=schemas.VERDICTS,
    )
