"""Kernels that open tunnels: from the header that carries a packet to what it carries.

Like every kernel of a header they take the octets, the offset and the end of what was captured,
and give the kind and the offset of what follows (`encapsulations`).
"""

from __future__ import annotations

from typing import Any

from forensics.capture import encapsulations as kinds
from forensics.capture.encapsulations import CLOSED, CUT, NOT_IP, by_version
from forensics.capture.integers import int64
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32


@lean_kernel
def ip_tunnel(protocol: int) -> int:
    """Kind of what an IP packet of that protocol number carries; NOTHING: no tunnel."""
    if protocol in (4, 41, 94):
        return kinds.IP_IN_IP
    if protocol == 47:
        return kinds.GRE
    if protocol == 97:
        return kinds.ETHERIP
    if protocol == 137:
        return kinds.MPLS
    return kinds.NOTHING


@lean_kernel
def udp_tunnel(source: int, destination: int) -> int:
    """Kind of what a UDP datagram between these ports may carry; NOTHING: no tunnel."""
    if destination in (4789, 8472):
        return kinds.VXLAN
    if destination == 4790:
        return kinds.VXLAN_GPE
    if destination == 6081:
        return kinds.GENEVE
    if destination == 2152:
        return kinds.GTP
    if destination == 6635:
        return kinds.MPLS
    if 3544 in (source, destination):
        return kinds.TEREDO
    return kinds.NOTHING


@lean_kernel
def mpls(octets: Any, at: int, end: int) -> tuple[int, int]:
    """A label stack (RFC 3032), then IP, or Ethernet with or without a control word (RFC 4385)."""
    while True:
        # Each turn moves four octets on.
        if at + 4 > end:
            return CUT, at
        at += 4
        if octets[at - 2] & 1:
            break
    if at >= end:
        return CUT, at
    first = octets[at] >> 4
    if first == 0 and at + 4 <= end and be32(octets, at) >> 16 == 0:
        return kinds.ETHERNET, at + 4
    if first in (4, 6):
        return kinds.IP, at
    return kinds.ETHERNET, at


@lean_kernel
def ppp(octets: Any, at: int, end: int) -> tuple[int, int]:
    """PPP (RFC 1661), its address and control octets (RFC 1662) there or left out.

    The protocol may stand in one octet (RFC 1661 6.5).
    """
    if at + 2 > end:
        return CUT, at
    if be16(octets, at) == 0xFF03:
        at += 2
        if at + 2 > end:
            return CUT, at
    if octets[at] & 1:
        protocol = int64(octets[at])
        at += 1
    else:
        protocol = be16(octets, at)
        at += 2
    if protocol in (0x0021, 0x0057):
        return kinds.IP, at
    if protocol in (0x0281, 0x0283):
        return kinds.MPLS, at
    # compressed datagrams, encrypted ones, compressed TCP headers
    if protocol in (0x00FD, 0x00FB, 0x0053, 0x0055, 0x002D, 0x002F):
        return CLOSED, at
    return NOT_IP, at


@lean_kernel
def gre(octets: Any, at: int, end: int) -> tuple[int, int]:
    """GRE (RFC 2784, 2890), and its version 1 in PPTP (RFC 2637)."""
    if at + 4 > end:
        return CUT, at
    flags = be16(octets, at)
    kind = be16(octets, at + 2)
    sequence = flags & 0x1000 != 0
    if flags & 7 == 1:
        # Without a sequence number it is an acknowledgement alone.
        behind = at + 12 + (4 if flags & 0x0080 else 0)
        return (kinds.PPP, behind) if kind == 0x880B and sequence else (NOT_IP, at)
    if flags & 7:
        return NOT_IP, at
    if flags & 0x4000:
        # Source routes (RFC 1701) were abolished by RFC 2784.
        return CLOSED, at
    at += 4
    for flag in (0x8000, 0x2000, 0x1000):
        if flags & flag:
            at += 4
    if kind == kinds.TRANSPARENT_ETHERNET:
        return kinds.ETHERNET, at
    if kind == kinds.ERSPAN_II and not sequence:
        # Type I has no header of its own, and no sequence number before it.
        return kinds.ERSPAN_I, at
    if kind == 0x880B:
        return kinds.PPP, at
    if kind == 0x883E:
        # Version 2 of WCCP has a redirect header before the IP header.
        return kinds.IP, at + (4 if at < end and octets[at] >> 4 != 4 else 0)
    return (kind if kind >= kinds.LENGTHS else NOT_IP), at


@lean_kernel
def vxlan(octets: Any, at: int, end: int, generic: bool) -> tuple[int, int]:
    """VXLAN (RFC 7348): a flag that the network's number is there; or its generic extension."""
    if at + 8 > end:
        return CUT, at
    flags = octets[at]
    if flags & 0x08 == 0:
        return NOT_IP, at
    if generic and flags & 0x04:
        following = octets[at + 3]
        if following in (1, 2):
            return kinds.IP, at + 8
        if following == 4:
            return kinds.NSH, at + 8
        if following != 3:
            return NOT_IP, at
    return kinds.ETHERNET, at + 8


@lean_kernel
def geneve(octets: Any, at: int, end: int) -> tuple[int, int]:
    """Geneve version 0 with its options (RFC 8926 3.4)."""
    if at + 8 > end:
        return CUT, at
    if octets[at] >> 6:
        return NOT_IP, at
    kind = be16(octets, at + 2)
    behind = at + 8 + (int64(octets[at]) & 63) * 4
    if kind == kinds.TRANSPARENT_ETHERNET:
        return kinds.ETHERNET, behind
    return (kind, behind) if kind in (kinds.IPV4, kinds.IPV6) else (NOT_IP, at)


@lean_kernel
def gtp(octets: Any, at: int, end: int) -> tuple[int, int]:
    """A G-PDU of GTP-U version 1 with its extension headers (3GPP TS 29.281 5)."""
    if at + 8 > end:
        return CUT, at
    flags = octets[at]
    if flags >> 4 != 3 or octets[at + 1] != 255:
        return NOT_IP, at
    at += 8
    if flags & 7:
        if at + 4 > end:
            return CUT, at
        following = octets[at + 3] if flags & 4 else octets[at + 3] & 0
        at += 4
        while following:
            # Each turn moves at least four octets on.
            if at >= end:
                return CUT, at
            size = int64(octets[at]) * 4
            if size == 0:
                return NOT_IP, at
            if at + size > end:
                return CUT, at
            following = octets[at + size - 1]
            at += size
    return by_version(octets, at, end), at


@lean_kernel
def teredo(octets: Any, at: int, end: int) -> tuple[int, int]:
    """IPv6 over UDP behind an authentication and an origin indication or not (RFC 4380 5.1.1)."""
    if at + 4 > end:
        return CUT, at
    if be16(octets, at) == 1:
        at += 13 + int64(octets[at + 2]) + int64(octets[at + 3])
        if at + 2 > end:
            return CUT, at
    if be16(octets, at) == 0:
        at += 8
    if at >= end:
        return CUT, at
    return (kinds.IPV6 if octets[at] >> 4 == 6 else NOT_IP), at


@lean_kernel
def nsh(octets: Any, at: int, end: int) -> tuple[int, int]:
    """A network service header (RFC 8300 2.2): its length in words, and what follows."""
    if at + 8 > end:
        return CUT, at
    size = (int64(octets[at + 1]) & 63) * 4
    following = octets[at + 3]
    if size < 8:
        return NOT_IP, at
    if following in (1, 2):
        return kinds.IP, at + size
    if following == 3:
        return kinds.ETHERNET, at + size
    return (kinds.MPLS if following == 5 else NOT_IP), at + size
