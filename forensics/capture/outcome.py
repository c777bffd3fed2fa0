"""What comes of fragments and segments: rows of messages, and the fate of each packet.

Every packet that reaches the kernels of reassembly ends once as *carried* (octets of it are in a
message), *copy* (it brought nothing that was not there before), *other* (no DNS) or as a loss with
its reason. As its fate may be known only in a later file, it is noted with the capture it is of.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.capture.integers import int64
from forensics.capture.losses import Reason
from forensics.wire.jit import lean_kernel
from forensics.wire.words import le64

CARRIED: Final = len(Reason)
COPY: Final = len(Reason) + 1
OTHER: Final = len(Reason) + 2
FRAMING: Final = len(Reason) + 3
"""Of octets alone: headers of packets that a message was made of."""
FATES: Final = len(Reason) + 4
"""Codes of fates: those of the losses, then those that are none."""

# Columns of `Outcome.rows`
START: Final = 0
CAPTURED: Final = 1
LENGTH: Final = 2
TIME: Final = 3
FRAME: Final = 4
CAPTURE: Final = 5
FLAGS: Final = 6
TRANSPORT: Final = 7
AT: Final = 8
"""Index of the packet at which the message was handed on."""
PORTS: Final = 9
"""Source port, and the destination's 16 bits higher."""
ADDRESSES: Final = 10
"""Source and destination, two words each."""
ROW_COLUMNS: Final = 14

# Columns of `Outcome.fates` (one row a fate, of the present capture) and `Outcome.elsewhere`.
COUNT: Final = 0
OCTETS: Final = 1
OFFSET: Final = 2
FIRST_FRAME: Final = 3
FATE: Final = 4
FILE: Final = 5

# Numbers in `Outcome.state`
ROWS: Final = 0
ROOM: Final = 1
"""Offset of the first octet behind the window that is still free."""
ELSEWHERE: Final = 2
PRESENT: Final = 3
"""Number of the present capture."""
PACKET: Final = 4
"""Index of the packet at hand."""
CHECKED: Final = 5
"""Packets whose time the waiting entries have been held against."""
DONE: Final = 6
"""Packets of the list that have been put in."""
CLAIMED: Final = 7
"""Octets of packets of the present capture that have a fate, or wait for one: the rest of what
they hold is framing."""
WEIGHT: Final = 8
"""1; 0: the octets at hand are those of packets that have been accounted for already."""
_STATE: Final = 9

_MAPPED: Final = np.uint64(0xFFFF0000)
_UPPER: Final = np.uint64(0xFFFFFFFF00000000)

ROWS_MOST: Final = 2**16
"""Rows that one step may add: a segment of the longest captured packet (2^18 octets) full of the
shortest messages (14 octets) gives 18,725, and what two streams held before it 14,000 each."""
ROOM_MOST: Final = 2**20
"""Octets that one step may write behind the window: what two streams hold, a datagram, and as much
again to look at."""
ELSEWHERE_MOST: Final = 2**13
"""Fates of other captures that one step may add: more than two streams have records and gaps, of
three notes each."""


class Outcome(NamedTuple):
    """What the kernels of reassembly hand back.

    Attributes:
        rows: int64 (n, ROW_COLUMNS), the messages.
        fates: int64 (FATES, 4), packets of the present capture: count, octets, and offset and
            frame of the first; -1: none.
        elsewhere: int64 (n, 6), the same of other captures, one row a case.
        state: int64, counts.
    """

    rows: NDArray[np.int64]
    fates: NDArray[np.int64]
    elsewhere: NDArray[np.int64]
    state: NDArray[np.int64]


def outcome() -> Outcome:
    """Make an empty one."""
    made = Outcome(
        np.empty((2 * ROWS_MOST, ROW_COLUMNS), np.int64),
        np.zeros((FATES, 4), np.int64),
        np.empty((2 * ELSEWHERE_MOST, 6), np.int64),
        np.zeros(_STATE, np.int64),
    )
    made.fates[:, OFFSET:] = -1
    return made


@lean_kernel
def note(
    out: Any, capture: int, fate: int, packets: int, octets: int, offset: int, frame: int
) -> None:
    """Note what became of packets."""
    if capture == out.state[PRESENT]:
        fates = out.fates
        fates[fate, COUNT] += packets
        fates[fate, OCTETS] += octets
        if fates[fate, FIRST_FRAME] < 0:
            fates[fate, OFFSET] = offset
            fates[fate, FIRST_FRAME] = frame
        return
    row = out.state[ELSEWHERE]
    out.state[ELSEWHERE] = row + 1
    elsewhere = out.elsewhere
    elsewhere[row, COUNT] = packets
    elsewhere[row, OCTETS] = octets
    elsewhere[row, OFFSET] = offset
    elsewhere[row, FIRST_FRAME] = frame
    elsewhere[row, FATE] = fate
    elsewhere[row, FILE] = capture


@lean_kernel
def claim(out: Any, octets: int) -> int:
    """Take octets of the packet at hand into the account; return how many of them count."""
    weighed = octets * out.state[WEIGHT]
    out.state[CLAIMED] += weighed
    return int64(weighed)


@lean_kernel
def decide(out: Any, fate: int, packets: int, octets: int, offset: int, frame: int) -> None:
    """Note the fate of octets of the packet at hand, at once."""
    note(out, out.state[PRESENT], fate, packets, claim(out, octets), offset, frame)


@lean_kernel
def hand_on(
    out: Any,
    start: int,
    captured: int,
    length: int,
    time: int,
    frame: int,
    capture: int,
    flags: int,
    transport: int,
    ports: int,
    a: int,
    b: int,
    c: int,
    d: int,
) -> None:
    """Add the row of a message; the caller has seen to it that there is room."""
    row = out.state[ROWS]
    out.state[ROWS] = row + 1
    rows = out.rows
    rows[row, START] = start
    rows[row, CAPTURED] = captured
    rows[row, LENGTH] = length
    rows[row, TIME] = time
    rows[row, FRAME] = frame
    rows[row, CAPTURE] = capture
    rows[row, FLAGS] = flags
    rows[row, TRANSPORT] = transport
    rows[row, AT] = out.state[PACKET]
    rows[row, PORTS] = ports
    rows[row, ADDRESSES] = a
    rows[row, ADDRESSES + 1] = b
    rows[row, ADDRESSES + 2] = c
    rows[row, ADDRESSES + 3] = d


@lean_kernel
def addresses(octets: Any, at: int) -> tuple[int, int, int, int]:
    """Source and destination of the IP header at `at`, two words each.

    The words are those of 16 octets, IPv4 as ::ffff:a.b.c.d (RFC 4291).
    """
    if octets[at] >> 4 == 4:
        both = le64(octets, at + 12)
        return (
            int64(0),
            int64((both << np.uint64(32)) | _MAPPED),
            int64(0),
            int64((both & _UPPER) | _MAPPED),
        )
    return (
        int64(le64(octets, at + 8)),
        int64(le64(octets, at + 16)),
        int64(le64(octets, at + 24)),
        int64(le64(octets, at + 32)),
    )
