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
_REACH: Final = limits.DUPLICATE_OCTETS


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
    base: int,
    kept: Any,
    kept_base: int,
    time: Any,
    internet: Any,
    start: Any,
    captured: Any,
    key: Any,
    slots: Any,
    repeated: Any,
) -> int:
    """Set repeated[i] for each message that was seen before; return how many.

    In: octets uint8 (window) and kept uint8 (what came before it), which begin at the offsets base
    and kept_base of the stream; of N messages time, internet (offset of the IP header in the
    window), start int64, captured int32, key int64. State: slots int64 (DUPLICATE_SLOTS, 4), the
    columns key (0: free), time, offset of the IP header in the stream, and octets. Out: repeated
    bool.
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
            place = slots[slot, 2]
            if place < slots[oldest, 2]:
                oldest = slot
            if slots[slot, 0] != key[i] or abs(time[i] - slots[slot, 1]) > window:
                continue
            if base + here - place > _REACH or place < kept_base:
                continue
            udp = start[i] - 8 - here
            common = min(size, slots[slot, 3])
            if place >= base:
                found = _same(octets, here, common, octets, place - base, udp)
            else:
                found = _same(octets, here, common, kept, place - kept_base, udp)
            if found:
                count += 1
                break
        repeated[i] = found
        if not found:
            slots[oldest, 0] = key[i]
            slots[oldest, 1] = time[i]
            slots[oldest, 2] = base + here
            slots[oldest, 3] = size
    return count


class Duplicates:
    """The last messages of one capture, against which new ones are held.

    How far back a packet can find its first copy is counted in octets of the capture, so that it
    does not depend on where windows end.
    """

    def __init__(self) -> None:
        self._slots = np.zeros((limits.DUPLICATE_SLOTS, 4), np.int64)
        self._kept = np.empty(0, np.uint8)
        self._kept_base = 0

    def mark(
        self,
        octets: NDArray[np.uint8],
        base: int,
        time: NDArray[np.int64],
        internet: NDArray[np.int64],
        start: NDArray[np.int64],
        captured: NDArray[np.int32],
        key: NDArray[np.int64],
    ) -> NDArray[np.bool_] | None:
        """Which of N messages in the window repeat an earlier one; None: none does."""
        repeated = np.empty(len(time), np.bool_)
        before = (self._kept, self._kept_base)
        columns = (time, internet, start, captured, key)
        count = mark(octets, base, *before, *columns, self._slots, repeated)
        return repeated if count else None

    def leave(self, octets: NDArray[np.uint8], base: int, used: int) -> None:
        """Keep what is needed of the first `used` octets of the window, which the next lacks."""
        tail = octets[max(used - _REACH, 0) : used]
        room = _REACH - len(tail)
        earlier = self._kept[max(len(self._kept) - room, 0) :]
        # A copy, lest the whole window be kept alive.
        self._kept = np.concatenate((earlier, tail))
        self._kept_base = base + used - len(self._kept)
