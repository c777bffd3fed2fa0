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
from forensics.capture.integers import int64
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.words import be16, le64

_WAYS: Final = 4
_WINDOW: Final = limits.DUPLICATE_WINDOW
_UNNUMBERED: Final = limits.DUPLICATE_WINDOW_UNNUMBERED
_REACH: Final = limits.DUPLICATE_OCTETS
_SERIAL_BITS: Final = 40
_SERIAL: Final = (1 << _SERIAL_BITS) - 1

# Columns of `Recent.messages`
_KEY, _TIME, _PLACE, _SIZE = range(4)


@inlined_kernel
def packet_key(octets: Any, internet: int, udp: int) -> int:
    """Hash what both copies of a packet share and few other packets do.

    Bit 0 is set where the IP header has a number of its own. `internet` and `udp` are the offsets
    of the IP and the UDP header, followed by a DNS header.
    """
    numbered = 0
    if octets[internet] >> 4 == 4:
        addresses = int64(le64(octets, internet + 12))
        # total length and number
        number = int64(le64(octets, internet)) >> 16 & 0xFFFFFFFF
        # 0 is what systems send that do not count, 1 what packet crafting tools do.
        numbered = 1 if be16(octets, internet + 4) > 1 else 0
    else:
        addresses = int64(le64(octets, internet + 16)) ^ int64(le64(octets, internet + 32))
        number = be16(octets, internet + 4)
    # ports, then DNS id and flags
    question = int64(le64(octets, udp)) << 32 ^ int64(le64(octets, udp + 8))
    key = addresses * 0x1E3779B97F4A7C15
    key = (key ^ (key >> 29) ^ question) * 0x3F58476D1CE4E5B9
    key = (key ^ (key >> 31) ^ number) * 0x14D049BB133111EB
    return (key & -2) | numbered


@lean_kernel
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


@inlined_kernel
def is_copy(
    octets: Any,
    base: int,
    internet: int,
    udp: int,
    end: int,
    time: int,
    kept: Any,
    kept_base: int,
    slots: Any,
    messages: Any,
    count: Any,
) -> bool:
    """Whether a message was seen before; if not, remember it.

    In: octets uint8 (window) and kept uint8 (what came before it), which begin at the offsets base
    and kept_base of the stream; the message's IP and UDP header and end in the window, and its
    time. State: slots, messages and count, see `Duplicates`.
    """
    key = packet_key(octets, internet, udp)
    window = _WINDOW if key & 1 else _UNNUMBERED
    place = base + internet
    size = end - internet
    room = len(messages)
    now = count[0]
    first = ((key >> 20) & (len(slots) // _WAYS - 1)) * _WAYS
    oldest = first
    for slot in range(first, first + _WAYS):
        held = slots[slot]
        if held & _SERIAL < slots[oldest] & _SERIAL:
            oldest = slot
        # Few get beyond this: the upper bits of another key.
        if (held ^ key) >> _SERIAL_BITS != 0:
            continue
        serial = held & _SERIAL
        row = serial % room
        if serial == 0 or serial <= now - room or messages[row, _KEY] != key:
            continue
        earlier = messages[row, _PLACE]
        if abs(time - messages[row, _TIME]) > window:
            continue
        if place - earlier > _REACH or earlier < kept_base:
            continue
        common = min(size, messages[row, _SIZE])
        if earlier >= base:
            found = _same(octets, internet, common, octets, earlier - base, udp - internet)
        else:
            found = _same(octets, internet, common, kept, earlier - kept_base, udp - internet)
        if found:
            return True
    now += 1
    row = now % room
    messages[row, _KEY] = key
    messages[row, _TIME] = time
    messages[row, _PLACE] = place
    messages[row, _SIZE] = size
    slots[oldest] = (key & ~_SERIAL) | (now & _SERIAL)
    count[0] = now
    return False


class Duplicates:
    """The last messages of one sensor, against which new ones are held.

    How far back a packet can find its first copy is counted in octets of its captures, one behind
    the other, so that it does not depend on where windows and files end.

    Attributes:
        messages: int64 (limits.DUPLICATE_SLOTS, 4), the last messages: key, time, offset of the IP
            header in the stream, octets from there on. Written one after the other.
        slots: int64 (limits.DUPLICATE_SLOTS), sets of four: upper bits of the key, and serial
            number of the message, from 1. Small, so that it stays in the cache.
        count: int64 (1), messages so far.
        kept, kept_base: octets that came before the present window, and their offset.
        shift: octets of the captures before the present one.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.messages = np.zeros((limits.DUPLICATE_SLOTS, 4), np.int64)
        self.slots = np.zeros(limits.DUPLICATE_SLOTS, np.int64)
        self.count = np.zeros(1, np.int64)
        self.kept = np.empty(0, np.uint8)
        self.kept_base = 0
        self.shift = 0
        self._ended = True

    def begin(self) -> None:
        """Go over to the next capture."""
        if not self._ended:
            # The one before broke off, and nobody knows where.
            self._forget()
        self._ended = False

    def end(self, octets: NDArray[np.uint8], base: int) -> None:
        """Prepare for the next capture, at the end of the last window of this one."""
        self.leave(octets, base, len(octets))
        self.shift += base + len(octets)
        self._ended = True

    def leave(self, octets: NDArray[np.uint8], base: int, used: int) -> None:
        """Keep what is needed of the first `used` octets of the window, which the next lacks."""
        tail = octets[max(used - _REACH, 0) : used]
        room = _REACH - len(tail)
        earlier = self.kept[max(len(self.kept) - room, 0) :]
        # A copy, lest the whole window be kept alive.
        self.kept = np.concatenate((earlier, tail))
        self.kept_base = self.shift + base + used - len(self.kept)
