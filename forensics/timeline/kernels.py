"""The numba kernels of the timeline: one walk over the rows of a batch of sightings each.

A moment is three int64: time (ns), place in the captures (capture << 32 | frame), signature.
Moments are ordered by time, then by place, then by signature, so no result depends on the order
of rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import lean_kernel

GOOD: Final = 0
BAD: Final = 1
NEITHER: Final = 2

FIRST_GOOD: Final = 0
LAST_GOOD: Final = 1
FIRST_BAD: Final = 2
LAST_BAD: Final = 3
FIRST_SEEN: Final = 4
LAST_SEEN: Final = 5

SAME_SIGNATURE: Final = 0
SAME_RRSET: Final = 1
SUSPECT: Final = 2
OTHER_STATE: Final = 3


@lean_kernel
def is_before(
    moments: NDArray[np.int64], row: int, column: int, time: int, where: int, signature: int
) -> bool:
    """Tell whether (time, where, signature) comes before the moment held; unset holds -1."""
    if moments[row, column, 1] < 0:
        return True
    if time != moments[row, column, 0]:
        return bool(time < moments[row, column, 0])
    if where != moments[row, column, 1]:
        return bool(where < moments[row, column, 1])
    return bool(signature < moments[row, column, 2])


@lean_kernel
def is_after(
    moments: NDArray[np.int64], row: int, column: int, time: int, where: int, signature: int
) -> bool:
    """Tell whether (time, where, signature) comes after the moment held; unset holds -1."""
    if moments[row, column, 1] < 0:
        return True
    if time != moments[row, column, 0]:
        return bool(time > moments[row, column, 0])
    if where != moments[row, column, 1]:
        return bool(where > moments[row, column, 1])
    return bool(signature > moments[row, column, 2])


@lean_kernel
def tally(
    begin: int,
    place: NDArray[np.int64],
    group: NDArray[np.int64],
    detail: NDArray[np.int64],
    outcome: NDArray[np.uint8],
    time: NDArray[np.int64],
    where: NDArray[np.int64],
    signature: NDArray[np.int64],
    slots: NDArray[np.int64],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
    moments: NDArray[np.int64],
    used: int,
) -> tuple[int, int]:
    """Count N rows into cells keyed by (place, group, detail), from row `begin` on.

    Args:
        begin: first row to count.
        place: int64 (N), first part of the key.
        group: int64 (N), second part.
        detail: int64 (N), third part.
        outcome: uint8 (N), GOOD, BAD or NEITHER.
        time: int64 (N), of the moment of each row.
        where: int64 (N), of the moment.
        signature: int64 (N), of the moment.
        slots: int64 (power of two), open addressing: row of a cell, -1: free.
        keys: int64 (C, 3).
        counts: int64 (C, 3), by outcome.
        moments: int64 (C, 6, 3), -1 where unset.
        used: cells in use.

    Returns:
        The row that no cell was free for (N when all are counted), and the cells in use.
    """
    mask = slots.size - 1
    for row in range(begin, place.size):
        hashed = np.uint64(place[row]) * np.uint64(0x9E3779B97F4A7C15)
        hashed = (hashed ^ (hashed >> np.uint64(29))) + np.uint64(group[row])
        hashed = hashed * np.uint64(0xBF58476D1CE4E5B9)
        hashed = (hashed ^ (hashed >> np.uint64(32))) + np.uint64(detail[row])
        hashed = hashed * np.uint64(0x94D049BB133111EB)
        slot = np.int64((hashed ^ (hashed >> np.uint64(31))) & np.uint64(mask))
        while True:
            cell = slots[slot]
            if cell < 0:
                if used >= keys.shape[0]:
                    return row, used
                cell = used
                used += 1
                slots[slot] = cell
                keys[cell, 0] = place[row]
                keys[cell, 1] = group[row]
                keys[cell, 2] = detail[row]
                break
            if (
                keys[cell, 0] == place[row]
                and keys[cell, 1] == group[row]
                and keys[cell, 2] == detail[row]
            ):
                break
            slot = (slot + 1) & mask
        kind = outcome[row]
        counts[cell, min(kind, NEITHER)] += 1
        for base in (FIRST_SEEN, FIRST_GOOD if kind == GOOD else FIRST_BAD):
            if kind >= NEITHER and base != FIRST_SEEN:
                continue
            if is_before(moments, cell, base, time[row], where[row], signature[row]):
                moments[cell, base, 0] = time[row]
                moments[cell, base, 1] = where[row]
                moments[cell, base, 2] = signature[row]
            if is_after(moments, cell, base + 1, time[row], where[row], signature[row]):
                moments[cell, base + 1, 0] = time[row]
                moments[cell, base + 1, 1] = where[row]
                moments[cell, base + 1, 2] = signature[row]
    return place.size, used


@lean_kernel
def is_newer(serial: int, than: int) -> bool:
    """Compare two SOA serials (RFC 1982 3.2)."""
    distance = (serial - than) & 0xFFFFFFFF
    return 0 < distance < 0x80000000


@lean_kernel
def resolve(
    stratum: NDArray[np.int64],
    family: NDArray[np.int64],
    serial: NDArray[np.int64],
    rank: NDArray[np.int64],
    made: NDArray[np.int64],
    time: NDArray[np.int64],
    where: NDArray[np.int64],
    signature: NDArray[np.int64],
    frames: NDArray[np.int64],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
) -> None:
    """Find the good sightings nearest to the bad time of each of S strata.

    Args:
        stratum: int64 (N), of each good sighting.
        family: int64 (N), number of the RRset (owner and type) within its signer's.
        serial: int64 (N), SOA serial in the response, 0: none.
        rank: int64 (N), of a signature that is bad somewhere its expiration (s), else -1.
        made: int64 (N), inception of the signature, s.
        time: int64 (N), of the moment of each row.
        where: int64 (N), of the moment.
        signature: int64 (N), of the moment.
        frames: int64 (S, 2, 7), for onset and recovery: time of the bad moment, its signature,
            its family, highest rank that compares, SOA serial of the bad state (0: unknown),
            instant that divides the states where a row shows no serial, latest inception that
            still shows an older state than the first bad.
        before: int64 (S, 4, 3), out: the last good moment before the first bad, by
            SAME_SIGNATURE, SAME_RRSET, SUSPECT, OTHER_STATE; -1: unset.
        after: int64 (S, 4, 3), out: the first good moment after the last bad.
    """
    for row in range(stratum.size):
        at = stratum[row]
        for side in range(2):
            moment = frames[at, side, 0]
            if side == 0 and time[row] >= moment:
                continue
            if side == 1 and time[row] <= moment:
                continue
            state = frames[at, side, 4]
            known = state != 0 and serial[row] != 0
            divide = frames[at, side, 5]
            if side == 0:
                other = is_newer(state, serial[row]) if known else time[row] < divide
                out = before
            else:
                other = is_newer(serial[row], state) if known else time[row] >= divide
                out = after
            for column in range(4):
                if column == SAME_SIGNATURE:
                    fits = signature[row] == frames[at, side, 1]
                elif column == SAME_RRSET:
                    fits = family[row] == frames[at, side, 2] and (other or not known)
                elif column == SUSPECT:
                    fits = 0 <= rank[row] <= frames[at, side, 3]
                else:
                    fits = other and (side == 1 or made[row] <= frames[at, side, 6])
                if not fits:
                    continue
                if side == 0:
                    better = is_after(out, at, column, time[row], where[row], signature[row])
                else:
                    better = is_before(out, at, column, time[row], where[row], signature[row])
                if better:
                    out[at, column, 0] = time[row]
                    out[at, column, 1] = where[row]
                    out[at, column, 2] = signature[row]


@lean_kernel
def hash_texts(
    offsets: NDArray[np.int64], octets: NDArray[np.uint8], hashes: NDArray[np.uint64]
) -> None:
    """Hash M texts (Arrow's offsets, M + 1, and octets) into uint64 (M): FNV-1a, then mixed."""
    for row in range(hashes.size):
        value = np.uint64(0xCBF29CE484222325)
        for at in range(max(offsets[row], 0), min(offsets[row + 1], octets.size)):
            value = (value ^ np.uint64(octets[at])) * np.uint64(0x100000001B3)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        hashes[row] = value ^ (value >> np.uint64(33))
