"""What carries IP packets: the names that are counted, and the kinds of header that are walked.

What stands at an offset is told by its *kind*: an EtherType, or one of the numbers below 0x600
defined here. Each header has one kernel (linkheaders.py, tunnels.py), which gives the kind and the
offset of what follows; a negative kind is `NOT_IP` or -2 - a code of `losses.Reason`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from forensics.capture.losses import Reason
from forensics.wire.jit import lean_kernel


class Encapsulation(IntEnum):
    """What is counted per capture: packets that carry at least one such header."""

    VLAN = 0
    QINQ = 1
    """a second VLAN tag behind the first"""
    MPLS = 2
    PPPOE = 3
    PPP = 4
    GRE = 5
    ERSPAN = 6
    VXLAN = 7
    GENEVE = 8
    IP_IN_IP = 9
    GTP = 10
    TEREDO = 11
    ETHERIP = 12
    NSH = 13
    IEEE802_11 = 14


ENCAPSULATIONS: Final = tuple(one.name.lower().replace("_", "-") for one in Encapsulation)
"""The names by code, as they stand in `captures.encapsulations`."""

NOT_IP: Final = -1
"""In place of an offset: the packet carries something else."""
CUT: Final = -2 - int(Reason.PACKET_CUT)
CLOSED: Final = -2 - int(Reason.ENCAPSULATION_NOT_OPENED)
SECRET: Final = -2 - int(Reason.LINK_ENCRYPTED)
DEEP: Final = -2 - int(Reason.TUNNEL_DEPTH)
UNKNOWN: Final = -2 - int(Reason.LINK_TYPE_UNKNOWN)

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
TRANSPARENT_ETHERNET: Final = 0x6558

# Kinds that are no EtherType: first those of link types ...
NOTHING: Final = 0
IP: Final = 1
"""An IP header; its first four bits tell the version."""
ETHERNET: Final = 2
LLC: Final = 3
HDLC: Final = 4
PPP_DIRECTION: Final = 5
PPPOE: Final = 6
FAMILY: Final = 7
SLL: Final = 8
SLL2: Final = 9
DOT11: Final = 10
RADIOTAP: Final = 11
PPI: Final = 12
PRISM: Final = 13
NFLOG: Final = 14
PFLOG: Final = 15
PKTAP: Final = 16
IPOIB: Final = 17
FDDI: Final = 18
ENC: Final = 19
FIREWIRE: Final = 20
# ... then those of tunnels ...
TUNNELS: Final = 32
PPP: Final = 32
GRE: Final = 33
VXLAN: Final = 34
VXLAN_GPE: Final = 35
GENEVE: Final = 36
GTP: Final = 37
TEREDO: Final = 38
IP_IN_IP: Final = 39
ETHERIP: Final = 40
ERSPAN_I: Final = 41
# ... and from here on EtherTypes.
LENGTHS: Final = 0x600
"""What is less in the place of an EtherType is the length of an 802.3 frame."""
MPLS: Final = 0x8847
MPLS_MULTICAST: Final = 0x8848
PPPOE_SESSION: Final = 0x8864
NSH: Final = 0x894F
ERSPAN_II: Final = 0x88BE
ERSPAN_III: Final = 0x22EB
TAGS: Final = (0x8100, 0x88A8, 0x9100, 0x9200)
"""VLAN tags: 802.1Q, 802.1ad and what was used before it."""

_VLAN: Final = int(Encapsulation.VLAN)
_QINQ: Final = int(Encapsulation.QINQ)
_NAMES: Final = (
    (MPLS, int(Encapsulation.MPLS)),
    (MPLS_MULTICAST, int(Encapsulation.MPLS)),
    (PPPOE_SESSION, int(Encapsulation.PPPOE)),
    (PPP, int(Encapsulation.PPP)),
    (GRE, int(Encapsulation.GRE)),
    (ERSPAN_I, int(Encapsulation.ERSPAN)),
    (ERSPAN_II, int(Encapsulation.ERSPAN)),
    (ERSPAN_III, int(Encapsulation.ERSPAN)),
    (VXLAN, int(Encapsulation.VXLAN)),
    (VXLAN_GPE, int(Encapsulation.VXLAN)),
    (GENEVE, int(Encapsulation.GENEVE)),
    (IP_IN_IP, int(Encapsulation.IP_IN_IP)),
    (GTP, int(Encapsulation.GTP)),
    (TEREDO, int(Encapsulation.TEREDO)),
    (ETHERIP, int(Encapsulation.ETHERIP)),
    (NSH, int(Encapsulation.NSH)),
    (DOT11, int(Encapsulation.IEEE802_11)),
)
"""Which header counts as which encapsulation."""


@lean_kernel
def name_of(kind: int, tags: int) -> int:
    """Code of the encapsulation whose header is of that kind, -1: none that is counted."""
    if kind in TAGS:
        return _QINQ if tags > 1 else _VLAN
    for header, name in _NAMES:
        if kind == header:
            return name
    return -1


def new_counts() -> Any:
    """Make the array of counts: int64 (encapsulations, 2): packets, and the last one counted."""
    import numpy as np

    return np.zeros((len(Encapsulation), 2), np.int64)


@lean_kernel
def by_version(octets: Any, at: int, end: int) -> int:
    """Tell whether the first four bits at `at` are those of IP."""
    if at >= end:
        return CUT
    return IP if octets[at] >> 4 in (4, 6) else NOT_IP
