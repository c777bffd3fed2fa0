"""Kernels that walk the headers of link types other than Ethernet, to what they carry.

Like every kernel of a header they take the octets, the offset and the end of what was captured,
and give the kind and the offset of what follows (`encapsulations`). Link types are those of the
LINKTYPE_ registry of tcpdump.org.
"""

from __future__ import annotations

from typing import Any

from forensics.capture import encapsulations as kinds
from forensics.capture.encapsulations import CLOSED, CUT, NOT_IP, SECRET, by_version
from forensics.capture.integers import le16, le32
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32


@lean_kernel
def llc(octets: Any, at: int, end: int) -> tuple[int, int]:
    """802.2 LLC with SNAP (RFC 1042): five octets, the EtherType and the rest."""
    if at + 8 > end:
        return CUT, at
    if be16(octets, at) != 0xAAAA or octets[at + 2] != 3:
        return NOT_IP, at
    kind = be16(octets, at + 6)
    return (kind if kind >= kinds.LENGTHS else NOT_IP), at + 8


@lean_kernel
def dot11(octets: Any, at: int, end: int) -> tuple[int, int]:
    """A data frame of IEEE 802.11 (9.3.2.1): two to four addresses, quality of service, LLC."""
    if at + 24 > end:
        return CUT, at
    control, flags = octets[at], octets[at + 1]
    if control & 0x0C != 0x08 or control & 0x40:
        # management, control, or a data frame without data
        return NOT_IP, at
    if flags & 0x40:
        return SECRET, at
    at += 30 if flags & 3 == 3 else 24
    if control & 0x80:
        if at + 2 > end:
            return CUT, at
        if octets[at] & 0x80:
            # several units in one frame
            return CLOSED, at
        at += 6 if flags & 0x80 else 2
    return kinds.LLC, at


@lean_kernel
def radiotap(octets: Any, at: int, end: int) -> tuple[int, int]:
    """The radiotap header; a bit of its flags tells of octets that pad the 802.11 header."""
    if at + 8 > end:
        return CUT, at
    behind = at + le16(octets, at + 2)
    present = le32(octets, at + 4)
    field = at + 8
    more = present
    while more & 0x80000000:
        # Each turn moves four octets on.
        if field + 4 > end:
            return CUT, at
        more = le32(octets, field)
        field += 4
    if present & 1:
        field = at + ((field - at + 7) & ~7) + 8
    padded = present & 2 != 0 and field < min(behind, end) and octets[field] & 0x20 != 0
    # Such frames are rare; what is behind the header would be looked for in the wrong place.
    return (CLOSED if padded else kinds.DOT11), behind


@lean_kernel
def netfilter(octets: Any, at: int, end: int) -> tuple[int, int]:
    """NFLOG: an address family, then attributes, one of which is the packet."""
    if at + 4 > end:
        return CUT, at
    at += 4
    while at + 4 <= end:
        # Each turn moves at least four octets on.
        size = le16(octets, at)
        if le16(octets, at + 2) == 9:
            return by_version(octets, at + 4, end), at + 4
        if size < 4:
            return NOT_IP, at
        at += (size + 3) & ~3
    return NOT_IP, at


@lean_kernel
def family(octets: Any, at: int, end: int) -> tuple[int, int]:
    """An address family in the byte order of whoever captured.

    2 is IPv4 everywhere; IPv6 is 10, 23, 24, 28 or 30 by operating system.
    """
    if at + 4 > end:
        return CUT, at
    number = be32(octets, at)
    if number > 0xFFFF:
        number = le32(octets, at)
    return (kinds.IP if number in (2, 10, 23, 24, 28, 30) else NOT_IP), at + 4


@lean_kernel
def typed(octets: Any, at: int, end: int, place: int, size: int) -> tuple[int, int]:
    """A header of `size` octets whose EtherType stands `place` octets from its start."""
    if at + size > end:
        return CUT, at
    kind = be16(octets, at + place)
    return (kind if kind >= kinds.LENGTHS else NOT_IP), at + size


@lean_kernel
def hdlc(octets: Any, at: int, end: int) -> tuple[int, int]:
    """PPP in frames like those of HDLC (RFC 1662), or Cisco's own with an EtherType."""
    if at < end and octets[at] in (0x0F, 0x8F):
        return typed(octets, at, end, 2, 4)
    return kinds.PPP, at
