"""Kernels that walk protobuf, and the columns that readers of such logs fill.

Protobuf encoding: a field is a varint of number and wire type (0 varint, 1 eight octets,
2 length and octets, 5 four octets), then its value. Unknown fields are passed over; a field that
is repeated counts with its last value, as protobuf demands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.integers import int64, le32
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import lean_kernel
from forensics.wire.moves import put64
from forensics.wire.words import le64

_NO_FIELD: Final = -1
_MAPPED: Final = np.uint64(0xFFFF0000)
"""Octets 8 to 11 of an IPv4 address as IPv6, least first."""


@dataclass(slots=True)
class Rows:
    """The columns of `MessageBlock` that a walk fills, with room for N rows."""

    start: NDArray[np.int64]
    length: NDArray[np.int32]
    time: NDArray[np.int64]
    frame: NDArray[np.int64]
    source: NDArray[np.uint8]
    destination: NDArray[np.uint8]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    transport: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    identity: NDArray[np.int32]
    other_time: NDArray[np.int64]

    @classmethod
    def empty(cls, capacity: int) -> Rows:
        """Make room for `capacity` rows."""
        return cls(
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int64),
            np.empty((capacity, 16), np.uint8),
            np.empty((capacity, 16), np.uint8),
            np.empty(capacity, np.uint16),
            np.empty(capacity, np.uint16),
            np.empty(capacity, np.uint8),
            np.empty(capacity, np.uint8),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.int64),
        )

    def block(
        self, octets: NDArray[np.uint8], count: int, number: int, identities: list[str]
    ) -> MessageBlock:
        """The first `count` rows as a block over `octets`, of input `number`."""
        length = self.length[:count]
        return MessageBlock(
            octets=octets,
            start=self.start[:count],
            captured=length,
            length=length,
            time=self.time[:count],
            frame=self.frame[:count],
            source=self.source[:count],
            destination=self.destination[:count],
            source_port=self.source_port[:count],
            destination_port=self.destination_port[:count],
            transport=self.transport[:count],
            kind=self.kind[:count],
            identity=self.identity[:count],
            other_time=self.other_time[:count],
            flags=np.zeros(count, np.uint8),
            capture=number,
            identities=identities,
        )


@lean_kernel
def varint(octets: Any, at: int, end: int) -> tuple[int, int]:
    """Read a varint of at most ten octets; return (value, offset behind it); offset -1: none."""
    value = int64(0)
    for i in range(10):
        if at + i >= end:
            break
        octet = int64(octets[at + i])
        value |= (octet & 127) << (7 * i)
        if octet < 128:
            return value, at + i + 1
    return 0, -1


@lean_kernel
def fields(octets: Any, at: int, end: int, value: Any, size: Any) -> bool:
    """Walk the fields of the protobuf message [at, end); return whether it is well-formed.

    For field f below `len(value)`: size[f] is -1 where it is absent; for octets, value[f] is their
    offset and size[f] their number; for numbers value[f] is the number and size[f] is -2.
    """
    for f in range(len(value)):
        size[f] = _NO_FIELD
    for _ in range(limits.PROTOBUF_FIELDS):
        if at == end:
            return True
        # Nearly every tag and length is one octet: a call for each costs a third of the walk. An
        # unsigned index cannot count from the end of an array, so it is not tested for that.
        tag = int64(octets[np.uint64(at)])
        at += 1
        if tag >= 128:
            tag, at = varint(octets, at - 1, end)
            if at < 0:
                return False
        if tag < 8:
            return False
        number = tag >> 3
        wire = tag & 7
        found = int64(0)
        length = int64(-2)
        if wire in (0, 2):
            if at == end:
                return False
            found = int64(octets[np.uint64(at)])
            at += 1
            if found >= 128:
                found, at = varint(octets, at - 1, end)
                if at < 0:
                    return False
            if wire == 2:
                length = found
                if length < 0 or length > end - at:
                    return False
                found = at
                at += length
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            if end - at < width:
                return False
            found = le32(octets, at)
            at += width
        else:
            return False
        if number < len(value):
            value[np.uint64(number)] = found
            size[np.uint64(number)] = length
    return at == end


@lean_kernel
def put_address(octets: Any, at: int, size: int, target: Any, row: int) -> None:
    """Write an address of 4 or 16 octets into a row; any other is written as zeros.

    `target` is uint8, 16 a row; an IPv4 address becomes ::ffff:a.b.c.d (RFC 4291 2.5.5.2).
    """
    low = high = np.uint64(0)
    if size == 16:
        low = le64(octets, at)
        high = le64(octets, at + 8)
    elif size == 4:
        high = np.uint64(le32(octets, at)) << np.uint64(32) | _MAPPED
    put64(target, 16 * row, low)
    put64(target, 16 * row + 8, high)


@lean_kernel
def lose(tally: Any, reason: int, size: int, offset: int, frame: int) -> None:
    """Count a loss of `size` octets in a tally of `losses.new_tally`."""
    tally[reason, 0] += 1
    tally[reason, 1] += size
    if tally[reason, 2] < 0:
        tally[reason, 2] = offset
        tally[reason, 3] = frame
