"""Kernels from the first octet of a captured packet to its transport header.

Link types are those of the LINKTYPE_ registry of tcpdump.org; IPv4 is RFC 791, IPv6 and its
extension headers RFC 8200, the authentication header RFC 4302.
"""

from __future__ import annotations

from typing import Any, Final

from forensics.capture.integers import be16, be32, int64, le32
from forensics.capture.losses import Reason
from forensics.wire.jit import lean_kernel

NOT_IP: Final = -1
"""`network`: the packet carries something else."""
_CUT: Final = -2 - int(Reason.PACKET_CUT)
_UNKNOWN: Final = -2 - int(Reason.LINK_TYPE_UNKNOWN)
_MALFORMED: Final = int(Reason.IP_MALFORMED)
_PACKET_CUT: Final = int(Reason.PACKET_CUT)

WHOLE: Final = 0
FIRST_FRAGMENT: Final = 1
LATER_FRAGMENT: Final = 2

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD


@lean_kernel
def _ethertype(octets: Any, at: int, end: int) -> int:
    """Follow VLAN tags (802.1Q, 802.1ad, the older 0x9100) and PPPoE from an EtherType to IP.

    Return the offset of the IP header, `NOT_IP` or `_CUT`.
    """
    while at + 2 <= end:
        kind = be16(octets, at)
        at += 2
        if kind in (_IPV4, _IPV6):
            return at
        if kind == 0x8864:
            # PPPoE session (RFC 2516): six octets, then the PPP protocol.
            if at + 8 > end:
                return _CUT
            return at + 8 if be16(octets, at + 6) in (0x0021, 0x0057) else NOT_IP
        if kind not in (0x8100, 0x88A8, 0x9100):
            return NOT_IP
        at += 2
    return _CUT


@lean_kernel
def network(octets: Any, start: int, end: int, link: int) -> int:
    """Find the IP header of a packet of link type `link` in octets [start, end).

    Return its offset, `NOT_IP`, or -2 - a code of `losses.Reason`.
    """
    if link == 1:
        return _ethertype(octets, start + 12, end)
    if link in (101, 12, 14, 228, 229):
        return start
    if link == 276:
        # The protocol stands first and any VLAN tag behind the 20 octets of the header.
        if start + 20 > end:
            return _CUT
        kind = be16(octets, start)
        if kind in (_IPV4, _IPV6):
            return start + 20
        return _ethertype(octets, start + 22, end) if kind in (0x8100, 0x88A8) else NOT_IP
    if link == 113:
        return _ethertype(octets, start + 14, end)
    if link in (0, 108):
        # An address family in the byte order of whoever captured: 2 is IPv4 everywhere, IPv6
        # is 10, 23, 24, 28 or 30 by operating system.
        if start + 4 > end:
            return _CUT
        family = be32(octets, start)
        if family > 0xFFFF:
            family = le32(octets, start)
        return start + 4 if family in (2, 10, 23, 24, 28, 30) else NOT_IP
    return _UNKNOWN


@lean_kernel
def transport(octets: Any, at: int, end: int, wire_end: int) -> tuple[int, int, int, int]:
    """Read the IP header at `at` of a packet captured up to `end`.

    `wire_end` is where the packet would end had all of it been captured. Return (protocol, offset
    of the transport header, offset where the IP payload ends on the wire, fragment state); a
    negative protocol is -1 - a code of `losses.Reason`.
    """
    if at + 20 > end:
        return -1 - _PACKET_CUT, at, at, WHOLE
    version = octets[at] >> 4
    if version == 4:
        header = int64(octets[at] & 15) * 4
        total = be16(octets, at + 2)
        if total == 0:
            # Segmentation offload: the length did not fit, or was not filled in yet.
            total = wire_end - at
        if header < 20 or total < header:
            return -1 - _MALFORMED, at, at, WHOLE
        if at + header > end:
            return -1 - _PACKET_CUT, at, at, WHOLE
        fragment = be16(octets, at + 6)
        state = WHOLE
        if fragment & 0x1FFF:
            state = LATER_FRAGMENT
        elif fragment & 0x2000:
            state = FIRST_FRAGMENT
        return int64(octets[at + 9]), at + header, at + total, state
    if version != 6:
        return -1 - _MALFORMED, at, at, WHOLE
    if at + 40 > end:
        return -1 - _PACKET_CUT, at, at, WHOLE
    length = be16(octets, at + 4)
    stop = at + 40 + length if length else wire_end
    protocol = int64(octets[at + 6])
    here = at + 40
    state = WHOLE
    while True:
        # Each turn moves at least eight octets on, so the packet's end bounds the loop.
        if protocol not in (0, 43, 44, 51, 60, 135, 139, 140):
            return protocol, here, stop, state
        if here + 8 > end:
            return -1 - _PACKET_CUT, at, at, WHOLE
        following = int64(octets[here])
        if protocol == 44:
            offset = be16(octets, here + 2)
            if offset >> 3:
                state = LATER_FRAGMENT
            elif offset & 1:
                state = FIRST_FRAGMENT
            here += 8
            if state == LATER_FRAGMENT:
                # What follows are octets from the middle, not a header.
                return following, here, stop, state
        elif protocol == 51:
            here += (int64(octets[here + 1]) + 2) * 4
        else:
            here += (int64(octets[here + 1]) + 1) * 8
        protocol = following
