"""From the first octet of a captured packet to its transport header.

`LINKS` is the one table that says how each link type is read: by which kernel, or through scapy.
`network` finds the IP header of the usual ones, `inner` walks everything else. Link types are those
of the LINKTYPE_ registry of tcpdump.org; IPv4 is RFC 791, IPv6 and its extension headers RFC 8200,
the authentication header RFC 4302.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from forensics import limits
from forensics.capture import encapsulations as kinds
from forensics.capture.encapsulations import (
    CUT,
    DEEP,
    IPV4,
    IPV6,
    NOT_IP,
    SECRET,
    TAGS,
    UNKNOWN,
    by_version,
    name_of,
)
from forensics.capture.integers import int64, le16, le32
from forensics.capture.linkheaders import dot11, family, hdlc, llc, netfilter, radiotap, typed
from forensics.capture.losses import Reason
from forensics.capture.tunnels import geneve, gre, gtp, mpls, nsh, ppp, teredo, vxlan
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32

_MALFORMED: Final = int(Reason.IP_MALFORMED)
_PACKET_CUT: Final = int(Reason.PACKET_CUT)

WHOLE: Final = 0
FIRST_FRAGMENT: Final = 1
LATER_FRAGMENT: Final = 2

SCAPY: Final = 0x5FF
"""In place of a kind: `exotic.py` looks for the IP header through scapy, packet by packet."""


class LinkType(NamedTuple):
    """How a link type is read.

    Attributes:
        name: in the LINKTYPE_ registry.
        kind: what stands at the first octet of a packet (`encapsulations`), or SCAPY.
    """

    name: str
    kind: int


LINKS: Final = {
    0: LinkType("NULL", kinds.FAMILY),
    1: LinkType("ETHERNET", kinds.ETHERNET),
    9: LinkType("PPP", kinds.PPP),
    10: LinkType("FDDI", kinds.FDDI),
    11: LinkType("ATM_RFC1483", kinds.LLC),
    12: LinkType("RAW", kinds.IP),
    14: LinkType("RAW", kinds.IP),
    50: LinkType("PPP_HDLC", kinds.HDLC),
    51: LinkType("PPP_ETHER", kinds.PPPOE),
    100: LinkType("ATM_RFC1483", kinds.LLC),
    101: LinkType("RAW", kinds.IP),
    104: LinkType("C_HDLC", kinds.HDLC),
    105: LinkType("IEEE802_11", kinds.DOT11),
    108: LinkType("LOOP", kinds.FAMILY),
    109: LinkType("ENC", kinds.ENC),
    113: LinkType("LINUX_SLL", kinds.SLL),
    117: LinkType("PFLOG", kinds.PFLOG),
    119: LinkType("IEEE802_11_PRISM", kinds.PRISM),
    127: LinkType("IEEE802_11_RADIOTAP", kinds.RADIOTAP),
    138: LinkType("APPLE_IP_OVER_IEEE1394", kinds.FIREWIRE),
    144: LinkType("LINUX_IRDA", SCAPY),
    149: LinkType("USER2", kinds.PKTAP),
    163: LinkType("IEEE802_11_AVS", kinds.PRISM),
    166: LinkType("PPP_PPPD", kinds.PPP_DIRECTION),
    192: LinkType("PPI", kinds.PPI),
    195: LinkType("IEEE802_15_4_WITHFCS", SCAPY),
    201: LinkType("BLUETOOTH_HCI_H4_WITH_PHDR", SCAPY),
    204: LinkType("PPP_WITH_DIR", kinds.PPP_DIRECTION),
    228: LinkType("IPV4", kinds.IP),
    229: LinkType("IPV6", kinds.IP),
    230: LinkType("IEEE802_15_4_NOFCS", SCAPY),
    239: LinkType("NFLOG", kinds.NFLOG),
    242: LinkType("IPOIB", kinds.IPOIB),
    258: LinkType("PKTAP", kinds.PKTAP),
    274: LinkType("ETHERNET_MPACKET", SCAPY),
    276: LinkType("LINUX_SLL2", kinds.SLL2),
}
"""Every link type that is read, and how. Apple's tcpdump stores its PKTAP as USER2."""

_NUMBERS: Final = 512
KINDS: Final = np.zeros(_NUMBERS, np.int64)
"""The kinds of `LINKS` by number; 0: not read."""
for _number, _link in LINKS.items():
    KINDS[_number] = _link.kind
STRIPPED: Final = _NUMBERS - 1
"""In place of a link type: a packet whose link header `exotic.py` has taken off."""
KINDS[STRIPPED] = kinds.IP


def link_type_name(number: int) -> str:
    """Name a link type; one that is not read is named by its number."""
    return LINKS[number].name if number in LINKS else f"LINKTYPE_{number}"


@lean_kernel
def kind_of(link: int) -> int:
    """Kind of what a packet of that link type begins with; NOTHING: it is not read."""
    return KINDS[link] if 0 <= link < _NUMBERS else int64(0)


@lean_kernel
def network(octets: Any, start: int, end: int, link: int) -> int:
    """Find the IP header right behind a usual link header; -1: `inner` has to look closer."""
    if link == 1:
        place, size = start + 12, 14
    elif link == 113:
        place, size = start + 14, 16
    elif link == 276:
        place, size = start, 20
    else:
        return start if link in (101, 12, 14, 228, 229) else -1
    if start + size > end:
        return -1
    return start + size if be16(octets, place) in (IPV4, IPV6) else -1


@lean_kernel
def _behind_ethertype(octets: Any, kind: int, at: int, end: int) -> tuple[int, int]:
    """What follows an EtherType that is not IP and no VLAN tag."""
    if kind in (0x8847, 0x8848):
        return mpls(octets, at, end)
    if kind == 0x8864:
        # PPPoE session (RFC 2516): six octets, then PPP.
        return (kinds.PPP, at + 6) if at + 8 <= end else (CUT, at)
    if kind == 0x88E7:
        # Provider backbone bridging (802.1ah): a service number, then a whole frame.
        return kinds.ETHERNET, at + 4
    if kind == 0x8926:
        # VN-Tag
        return typed(octets, at, end, 4, 6)
    if kind == 0x893F:
        # E-Tag (802.1BR)
        return typed(octets, at, end, 6, 8)
    if kind == 0x894F:
        return nsh(octets, at, end)
    if kind == kinds.ERSPAN_II:
        return kinds.ETHERNET, at + 8
    if kind == kinds.ERSPAN_III:
        # The last bit of the header tells of eight more octets.
        if at + 12 > end:
            return CUT, at
        return kinds.ETHERNET, at + (20 if octets[at + 11] & 1 else 12)
    if kind == 0x88E5:
        # MACsec (802.1AE): encrypted, changed, or only signed
        if at + 6 > end:
            return CUT, at
        if octets[at] & 0x0C:
            return SECRET, at
        size = 14 if octets[at] & 0x20 else 6
        return typed(octets, at, end, size, size + 2)
    return NOT_IP, at


@lean_kernel
def _behind_tunnel(octets: Any, kind: int, at: int, end: int) -> tuple[int, int]:
    """What follows the header of a tunnel, or of PPP."""
    if kind == kinds.PPP:
        return ppp(octets, at, end)
    if kind == kinds.GRE:
        return gre(octets, at, end)
    if kind in (kinds.VXLAN, kinds.VXLAN_GPE):
        return vxlan(octets, at, end, kind == kinds.VXLAN_GPE)
    if kind == kinds.GENEVE:
        return geneve(octets, at, end)
    if kind == kinds.GTP:
        return gtp(octets, at, end)
    if kind == kinds.TEREDO:
        return teredo(octets, at, end)
    if kind == kinds.ETHERIP:
        # RFC 3378: a version, then a frame
        return kinds.ETHERNET, at + 2
    if kind == kinds.ERSPAN_I:
        return kinds.ETHERNET, at
    return kinds.IP, at


@lean_kernel
def _behind_link(octets: Any, kind: int, at: int, end: int) -> tuple[int, int]:
    """What follows the header of a link type."""
    if kind == kinds.FAMILY:
        return family(octets, at, end)
    if kind == kinds.SLL:
        if at + 16 <= end and be16(octets, at + 14) == 4:
            return kinds.LLC, at + 16
        return typed(octets, at, end, 14, 16)
    if kind == kinds.SLL2:
        if at + 20 <= end and be16(octets, at) == 4:
            return kinds.LLC, at + 20
        return typed(octets, at, end, 0, 20)
    if kind == kinds.PPPOE:
        return 0x8864, at
    if kind == kinds.LLC:
        return llc(octets, at, end)
    if kind == kinds.HDLC:
        return hdlc(octets, at, end)
    if kind == kinds.PPP_DIRECTION:
        # PPP_PPPD has put the direction in the place of the address, so the control octet is left.
        return kinds.PPP, at + (2 if at + 2 <= end and octets[at + 1] == 3 else 1)
    if kind == kinds.DOT11:
        return dot11(octets, at, end)
    if kind == kinds.RADIOTAP:
        return radiotap(octets, at, end)
    if kind == kinds.PRISM:
        if at + 8 > end:
            return CUT, at
        avs = be32(octets, at) >> 12 == 0x80211
        return kinds.DOT11, at + (be32(octets, at + 4) if avs else 144)
    if kind == kinds.NFLOG:
        return netfilter(octets, at, end)
    if kind == kinds.PPI:
        if at + 8 > end:
            return CUT, at
        following = kind_of(le32(octets, at + 4))
        return (following or UNKNOWN), at + max(le16(octets, at + 2), 8)
    if kind == kinds.PKTAP:
        if at + 12 > end:
            return CUT, at
        size = le32(octets, at)
        if size < 108 or le32(octets, at + 4) != 1:
            return UNKNOWN, at
        following = kind_of(le32(octets, at + 8))
        return (following or UNKNOWN), at + size
    if kind == kinds.IPOIB:
        return typed(octets, at, end, 40, 44)
    if kind == kinds.FIREWIRE:
        return typed(octets, at, end, 16, 18)
    if kind == kinds.FDDI:
        return kinds.LLC, at + 13
    if kind == kinds.ENC:
        return by_version(octets, at + 12, end), at + 12
    if kind == kinds.PFLOG:
        if at >= end:
            return CUT, at
        at += (int64(octets[at]) + 3) & ~3
        return by_version(octets, at, end), at
    return UNKNOWN, at


@lean_kernel
def inner(
    octets: Any, kind: int, at: int, end: int, stop: int, ordinal: int, counts: Any
) -> tuple[int, int]:
    """Walk from a header of that kind at `at` to the next IP header, and count what is on the way.

    In: the end of what was captured and `stop`, where the packet would end had all of it been; the
    running number of the packet. State: counts, see `encapsulations.new_counts`. Return (offset of
    the IP header, `NOT_IP` or -2 - a code of `losses.Reason`; where it ends on the wire).
    """
    tags = 0
    for _ in range(limits.TUNNEL_HEADERS):
        if kind in (kinds.IP, IPV4, IPV6):
            return at, stop
        header = kind
        if kind == kinds.ETHERNET:
            if at + 14 > end:
                return CUT, stop
            kind = be16(octets, at + 12)
            at += 14
            if kind < kinds.LENGTHS:
                # An 802.3 frame gives its length there, and has LLC behind it.
                stop = min(stop, at + kind)
                kind = kinds.LLC
        elif kind in TAGS:
            kind, at = typed(octets, at, end, 2, 4)
            tags += 1
        elif kind >= kinds.LENGTHS:
            kind, at = _behind_ethertype(octets, kind, at, end)
        elif kind >= kinds.TUNNELS:
            kind, at = _behind_tunnel(octets, kind, at, end)
        else:
            kind, at = _behind_link(octets, kind, at, end)
        if kind < 0:
            return kind, stop
        name = name_of(header, tags)
        if name >= 0 and counts[name, 1] != ordinal:
            # once a packet, however often it is nested
            counts[name, 1] = ordinal
            counts[name, 0] += 1
    return DEEP, stop


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
