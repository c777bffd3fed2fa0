"""What was seen good and bad while a case was bad: before and after say nothing of between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline.evidence import TYPE_CLASSES, Catalog
from forensics.timeline.judged import Judged
from forensics.timeline.kernels import NEITHER
from forensics.timeline.strata import Case

if TYPE_CHECKING:
    from forensics.timeline.onset import Stratum


def spans(cases: list[Case], found: list[list[Stratum]]) -> NDArray[np.int64]:
    """Give for each of C cases the first and last time that its own side was bad: int64 (C, 2)."""
    laid = np.zeros((len(cases), 2), dtype=np.int64)
    for number, (case, strata) in enumerate(zip(cases, found, strict=True)):
        mine = [stratum for stratum in strata if stratum.side == case.episode.side]
        # With nothing bad no time lies between.
        laid[number, 0] = min((stratum.first_bad.time for stratum in mine), default=1)
        laid[number, 1] = max((stratum.last_bad.time for stratum in mine), default=0)
    return laid


def count(
    cases: list[Case],
    within: NDArray[np.int64],
    rows: Judged,
    at: NDArray[np.int64],
    case: NDArray[np.int64],
    outcome: NDArray[np.uint8],
    catalog: Catalog,
) -> None:
    """Count one batch into `amid` of each case.

    Args:
        cases: filled in place.
        within: as `spans` gives it.
        rows: the batch.
        at: int64 (K), the rows that the cases are about.
        case: int64 (K), the case of each.
        outcome: uint8 (K), GOOD, BAD or NEITHER.
        catalog: the signatures as arrays.
    """
    time = rows.time[at]
    amid = (outcome != NEITHER) & (time >= within[case, 0]) & (time <= within[case, 1])
    at, case, outcome = at[amid], case[amid], outcome[amid]
    kind = catalog.type[rows.signature[at]]
    keys = np.stack([case, rows.place[at], rows.side[at], kind, outcome.astype(np.int64)], axis=1)
    distinct, counts = np.unique(keys, axis=0, return_counts=True)
    for (number, place, side, one, what), seen in zip(
        distinct.tolist(), counts.tolist(), strict=True
    ):
        cases[number].amid.setdefault((place, side, one), [0, 0])[what] += seen


def by_class(case: Case, side: int) -> dict[tuple[int, int], list[int]]:
    """Give [good, bad] of a case by place and class of records."""
    found: dict[tuple[int, int], list[int]] = {}
    for (place, at_side, kind), (good, bad) in case.amid.items():
        if at_side == side:
            record_class = int(TYPE_CLASSES.get(kind, vocabulary.RecordClass.DATA))
            held = found.setdefault((place, record_class), [0, 0])
            held[0] += good
            held[1] += bad
    return found
