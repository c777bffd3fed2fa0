"""What of a capture only its neighbours can explain: packets left for a seam between files.

A file that is read alone cannot tell what a TCP connection, a datagram in pieces or a message at
its edges has to do with the files beside it. So their packets are left out of it, whole connections
at a time, and read later together with what the neighbours left. That is sound because such *units*
(both ways of a connection, the pieces of a datagram, what is held against copies) never change each
other's messages, and because what waits is given up by the time of packets, of its own too.

A first pass (`survey.py`) says which packets these are, a second one (`Taking`) takes them out, and
`rereading.py` reads what several files left as one sensor's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.capture.packets import NO_PACKET, Packets

DATAGRAM: Final = 0
"""Kinds of packets left over: a message that is one datagram, or a copy of it;"""
SEGMENT: Final = 1
"""of TCP;"""
FRAGMENT: Final = 2
"""of IP."""


@dataclass(slots=True)
class Left:
    """N packets of one capture, in order of frames; arrays of length N.

    Attributes:
        frame: int64, from 1. offset: int64, in the decompressed input.
        time: int64, ns. link: int32. wire: int32, octets on the wire. size: int32, those captured.
        kind: uint8, `DATAGRAM`, `SEGMENT` or `FRAGMENT`.
        unit: uint64, hash of the connection or datagram; 0 for `DATAGRAM`.
        fresh: bool, the unit begins with it, whatever the files before hold.
        taken: bool, it is missing from the file's own tables. is_last: bool, a message so near the
            last packet that the next file may hold it too.
        octets: uint8, all of them one after the other.
    """

    frame: NDArray[np.int64]
    offset: NDArray[np.int64]
    time: NDArray[np.int64]
    link: NDArray[np.int32]
    wire: NDArray[np.int32]
    size: NDArray[np.int32]
    kind: NDArray[np.uint8]
    unit: NDArray[np.uint64]
    fresh: NDArray[np.bool_]
    taken: NDArray[np.bool_]
    is_last: NDArray[np.bool_]
    octets: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return N."""
        return len(self.frame)

    def chosen(self, rows: NDArray[np.bool_]) -> Left:
        """Some of the packets."""
        begins = np.cumsum(self.size, dtype=np.int64) - self.size
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return Left(**columns, octets=gathered(self.octets, begins[rows], self.size[rows]))


COLUMNS: Final = (
    "frame",
    "offset",
    "time",
    "link",
    "wire",
    "size",
    "kind",
    "unit",
    "fresh",
    "taken",
    "is_last",
)


@dataclass(slots=True)
class Plan:
    """Which packets of a capture are left over, by ascending frame; arrays of one length.

    Attributes:
        frame, kind, unit, fresh, taken, is_last: as of `Left`.
        too_many: they would not fit into memory, so that none are.
    """

    frame: NDArray[np.int64]
    kind: NDArray[np.uint8]
    unit: NDArray[np.uint64]
    fresh: NDArray[np.bool_]
    taken: NDArray[np.bool_]
    is_last: NDArray[np.bool_]
    too_many: bool = False


def gathered(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Copy stretches of octets, one after the other."""
    sizes = sizes.astype(np.int64)
    total = int(sizes.sum())
    if not total:
        return np.empty(0, np.uint8)
    shift = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    found: NDArray[np.uint8] = octets[np.arange(total) + shift]
    return found


class Taking:
    """Takes the packets of a plan out of a capture; a `facts.watch`.

    Args:
        plan: what `Survey` said.
        base: gives the offset of the window at hand.

    Attributes:
        taken: packets that are missing from what is read.
    """

    pieces: None = None

    def __init__(self, plan: Plan, base: Callable[[], int]) -> None:
        self.taken = 0
        self._plan = plan
        self._base = base
        self._found: list[Left] = []

    def see(self, octets: NDArray[np.uint8], packets: Packets, first_frame: int) -> None:
        """Take them out of a window."""
        plan = self._plan
        edges = (first_frame, first_frame + len(packets))
        begin, end = np.searchsorted(plan.frame, edges).tolist()
        if begin == end:
            return
        frame = plan.frame[begin:end]
        index = frame - first_frame
        start, size = packets.start[index], packets.captured[index]
        self._found.append(
            Left(
                frame=frame,
                offset=self._base() + start,
                time=packets.time[index],
                link=packets.link[index],
                wire=packets.wire[index],
                size=size,
                kind=plan.kind[begin:end],
                unit=plan.unit[begin:end],
                fresh=plan.fresh[begin:end],
                taken=plan.taken[begin:end],
                is_last=plan.is_last[begin:end],
                octets=gathered(octets, start, size),
            )
        )
        gone = index[plan.taken[begin:end]]
        packets.link[gone] = NO_PACKET
        self.taken += len(gone)

    def left(self) -> Left:
        """What was taken, and the last messages."""
        return joined(self._found)


def joined(pieces: Sequence[Left]) -> Left:
    """Several stretches of packets, one behind the other."""
    kinds: dict[str, Any] = {
        **dict.fromkeys(("frame", "offset", "time"), np.int64),
        **dict.fromkeys(("link", "wire", "size"), np.int32),
        "kind": np.uint8,
        "unit": np.uint64,
        "octets": np.uint8,
        **dict.fromkeys(("fresh", "taken", "is_last"), np.bool_),
    }
    return Left(
        **{
            name: np.concatenate([np.empty(0, kind), *(getattr(one, name) for one in pieces)])
            for name, kind in kinds.items()
        }
    )
