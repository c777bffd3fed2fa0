"""The same packet captured twice: mirror ports of both directions, `-i any`, a tag on one side.

A copy has the octets of the first from the IP header on, hop count and checksums apart (a router
changes the first, a network card fills in the second). What tells it from a repetition is the IP
header's own number, and where that is missing only the time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.integers import be16, be32, int64
from forensics.wire.jit import kernel

_WAYS: Final = 4
_WINDOW: Final = limits.DUPLICATE_WINDOW
_UNNUMBERED: Final = limits.DUPLICATE_WINDOW_UNNUMBERED
_LONG_AGO: Final = -(2**62)


@kernel
def packet_key(octets: Any, internet: int, udp: int) -> int:
    """Hash what both copies of a packet share and few other packets do.

    Bit 0 is set, so that no key is 0; bit 1 is set where the IP header has a number of its own.
    `internet` and `udp` are the offsets of the IP and the UDP header, followed by a DNS header.
    """
    if octets[internet] >> 4 == 4:
        addresses = (be32(octets, internet + 12) << 32) ^ be32(octets, internet + 16)
        number = (be16(octets, internet + 2) << 16) ^ be16(octets, internet + 4)
        # 0 is what systems send that do not count, 1 what packet crafting tools do.
        mark = 3 if be16(octets, internet + 4) > 1 else 1
    else:
        addresses = (be32(octets, internet + 20) << 32) ^ be32(octets, internet + 36)
        number = be16(octets, internet + 4)
        mark = 1
    question = (be32(octets, udp) << 32) ^ be32(octets, udp + 8)
    key = addresses * 0x1E3779B97F4A7C15
    key = (key ^ (key >> 29) ^ question) * 0x3F58476D1CE4E5B9
    key = (key ^ (key >> 31) ^ number) * 0x14D049BB133111EB
    return (key & -4) | mark


@kernel
def _same(octets: Any, left: int, size: int, others: Any, right: int, udp: int) -> bool:
    """Whether two packets agree in `size` octets from the IP header on, but for what may change."""
    hops = 8 if octets[left] >> 4 == 4 else 7
    for i in range(size):
        if octets[left + i] != others[right + i]:
            if i == hops or i in (udp + 6, udp + 7):
                continue
            if hops == 8 and i in (10, 11):
                continue
            return False
    return True


@kernel
def mark(
    octets: Any,
    time: Any,
    internet: Any,
    start: Any,
    captured: Any,
    key: Any,
    slots: Any,
    kept: Any,
    repeated: Any,
) -> int:
    """Set repeated[i] for each message that was seen before; return how many.

    In (N messages): octets uint8, time, internet (offset of the IP header), start int64, captured
    int32, key int64. State: slots int64 (DUPLICATE_SLOTS, 4), the columns key, time, place and
    size, where a place is an offset in `octets`, or -1 - an offset in kept uint8, the octets of
    packets of earlier windows. Out: repeated bool.
    """
    count = 0
    buckets = len(slots) // _WAYS
    for i in range(len(time)):
        here = internet[i]
        size = start[i] + int64(captured[i]) - here
        window = _WINDOW if key[i] & 2 else _UNNUMBERED
        first = ((key[i] >> 24) & (buckets - 1)) * _WAYS
        oldest = first
        found = False
        for slot in range(first, first + _WAYS):
            if slots[slot, 1] < slots[oldest, 1]:
                oldest = slot
            if slots[slot, 0] != key[i] or abs(time[i] - slots[slot, 1]) > window:
                continue
            udp = start[i] - 8 - here
            common = min(size, slots[slot, 3])
            place = slots[slot, 2]
            if place >= 0:
                found = _same(octets, here, common, octets, place, udp)
            else:
                found = _same(octets, here, common, kept, -1 - place, udp)
            if found:
                count += 1
                break
        repeated[i] = found
        if not found:
            slots[oldest, 0] = key[i]
            slots[oldest, 1] = time[i]
            slots[oldest, 2] = here
            slots[oldest, 3] = size
    return count


@kernel
def carry(octets: Any, slots: Any, kept: Any, fresh: Any) -> None:
    """Copy the packets of all slots to `fresh`, out of the window or of what it had been given.

    `kept` holds what the window before had carried; `slots` are those of `mark`. Old packets are
    kept as well: by the clock alone none can be told from those before a clock that steps back.
    """
    used = 0
    for slot in range(len(slots)):
        if slots[slot, 0] == 0:
            continue
        size = slots[slot, 3]
        if used + size > len(fresh):
            slots[slot, 0] = 0
            slots[slot, 1] = _LONG_AGO
            continue
        place = slots[slot, 2]
        for i in range(size):
            fresh[used + i] = octets[place + i] if place >= 0 else kept[i - 1 - place]
        slots[slot, 2] = -1 - used
        used += size


class Duplicates:
    """The messages of the last moments of one capture, against which new ones are held."""

    def __init__(self) -> None:
        self._slots = np.zeros((limits.DUPLICATE_SLOTS, 4), np.int64)
        self._slots[:, 1] = _LONG_AGO
        self._kept = np.empty(limits.DUPLICATE_OCTETS, np.uint8)
        self._spare = np.empty(limits.DUPLICATE_OCTETS, np.uint8)

    def mark(
        self,
        octets: NDArray[np.uint8],
        time: NDArray[np.int64],
        internet: NDArray[np.int64],
        start: NDArray[np.int64],
        captured: NDArray[np.int32],
        key: NDArray[np.int64],
    ) -> NDArray[np.bool_] | None:
        """Which of N messages in the window repeat an earlier one; None: none does."""
        if not len(time):
            return None
        repeated = np.empty(len(time), np.bool_)
        count = mark(
            octets, time, internet, start, captured, key, self._slots, self._kept, repeated
        )
        return repeated if count else None

    def leave(self, octets: NDArray[np.uint8]) -> None:
        """Keep what is still needed of the window `octets`, which the next call does not have."""
        carry(octets, self._slots, self._kept, self._spare)
        self._kept, self._spare = self._spare, self._kept
