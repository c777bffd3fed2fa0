"""Counts over time, for the drawings of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.timeline.moments import rfc3339

BINS: Final = 200
"""Bins that a capture is cut into, about: as many as a chart has room for."""

MOST_BINS: Final = 1_024
"""Bins at most: a packet whose clock is far off falls into the first or last one."""

WIDTHS: Final = (
    10**6, 2 * 10**6, 5 * 10**6, 10**7, 2 * 10**7, 5 * 10**7, 10**8, 2 * 10**8, 5 * 10**8,
    *(
        seconds * limits.SECOND
        for seconds in (
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200,
            86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400, 56 * 86400, 112 * 86400,
        )
    ),
)  # fmt: skip
"""Round widths of a bin, ns."""


def binning(first: int, last: int) -> tuple[int, int]:
    """Give origin and width (ns) of the bins over a capture from `first` to `last`."""
    span = max(last - first, 1)
    width = next((width for width in WIDTHS if width * BINS >= span), WIDTHS[-1])
    return first // width * width, width


def bin_numbers(time: NDArray[np.int64], origin: int, width: int) -> NDArray[np.int64]:
    """Give the number of the bin of each time."""
    return np.clip((time - origin) // width, 0, MOST_BINS - 1)


def lookups(
    bins: Mapping[int, NDArray[np.int64]],
    failures: Mapping[tuple[int, int], Any],
    origin: int,
    width: int,
) -> list[dict[str, Any]]:
    """Give the lookups of clients by outcome over time.

    A failed lookup that a client repeats within a bin (same client, name and type) counts once;
    `retries` holds its repetitions and retransmissions, `raw` the sums with them.
    """
    rows = []
    for number in sorted(bins):
        noerror, nxdomain, servfail, other, again = bins[number].tolist()
        distinct = {2: servfail, 3: other}
        for kind, total in distinct.items():
            held = failures.get((number, kind))
            distinct[kind] = min(held.count(), total) if held is not None else total
        rows.append(
            {
                "at": rfc3339(origin + number * width),
                "noerror": noerror,
                "nxdomain": nxdomain,
                "servfail": distinct[2],
                "other": distinct[3],
                "retries": again + servfail - distinct[2] + other - distinct[3],
                "raw": {"servfail": servfail, "other": other},
            }
        )
    return rows
