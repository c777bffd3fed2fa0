"""Is it the clock? When many unrelated zones fail by time alone, no zone is to blame.

The note gives the timeline what it needs for its one finding about the clock: of the recorder, or
of one resolver if only its answers show it (DESIGN section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import Note, SightingPairs
from forensics.limits import CLOCK_ZONES, SECOND
from forensics.validation.validity import Validity


def clock_notes(
    pairs: SightingPairs,
    row: NDArray[np.int64],
    zone: NDArray[np.int64],
    names: Sequence[str],
    periods: Validity,
    genuine: NDArray[np.bool_],
    resolvers: NDArray[np.int64],
) -> list[Note]:
    """Look for zones that fail together by time.

    Args:
        pairs: the sightings.
        row: int64 (P), row of each pair's signature.
        zone: int64 (N), signer of each signature, index into `names`.
        names: zone names.
        periods: validity of each signature (N).
        genuine: bool (N), a known key verifies it: others say nothing about clocks.
        resolvers: numbers of the places that are resolvers.
    """
    use = genuine[row] & ~periods.is_void[row]
    by_resolver = np.isin(pairs.place, resolvers)
    authorities = _note(pairs, row, zone, names, periods, use & ~by_resolver, -1)
    if authorities is not None:
        return [authorities]
    notes = []
    for place in np.unique(pairs.place[use & by_resolver]).tolist():
        found = _note(pairs, row, zone, names, periods, use & (pairs.place == place), place)
        if found is not None:
            notes.append(found)
    return notes


def _note(
    pairs: SightingPairs,
    row: NDArray[np.int64],
    zone: NDArray[np.int64],
    names: Sequence[str],
    periods: Validity,
    use: NDArray[np.bool_],
    place: int,
) -> Note | None:
    """Judge one scope: all authorities (place -1), or one resolver."""
    at = row[use]
    first, last = pairs.first[use], pairs.last[use]
    start, end = periods.start[at], periods.end[at]
    early, expired = first < start, last >= end
    failing = early | expired
    seen = np.unique(zone[at])
    failed = np.unique(zone[at[failing]])
    root = "." in {names[z] for z in failed.tolist()}
    if len(failed) < CLOCK_ZONES - root or 2 * len(failed) < len(seen):
        return None
    # A shift d of the clock cures all if start <= first + d and last + d < end for every pair.
    least, most = int((start - first).max()), int((end - 1 - last).min())
    zones = []
    for number in failed.tolist():
        own = zone[at] == number
        zones.append(
            {
                "zone": names[number],
                "signatures": int(np.unique(at[own]).size),
                "not_yet_valid": int(np.unique(at[own & early]).size),
                "expired": int(np.unique(at[own & expired]).size),
                "least_shift": float((start[own] - first[own]).max() / SECOND),
                "most_shift": float((end[own] - 1 - last[own]).min() / SECOND),
            }
        )
    whose = "the resolver's" if place >= 0 else "the recorder's"
    return Note(
        "clock",
        ".",
        place,
        sentence=f"{len(failed)} of {len(seen)} zones fail only by time: {whose} clock is suspect.",
        figures={
            "zones_seen": len(seen),
            "zones_failing": len(failed),
            "common_shift": least <= most,
            "least_shift": least / SECOND,
            "most_shift": most / SECOND,
            "zones": zones,
        },
    )
