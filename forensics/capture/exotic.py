"""Rare link types through scapy, one packet at a time: where in a packet the IP header stands.

`link.LINKS` says which. Only the offset is taken from scapy: the packet itself stays where it is,
and goes through the kernels from its IP header on like any other. A packet whose IP header scapy
had to rebuild (6LoWPAN compresses it) has no such offset, and counts as not opened.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.facts import CaptureFacts
from forensics.capture.link import KINDS, SCAPY, STRIPPED
from forensics.capture.losses import Reason

if TYPE_CHECKING:
    from forensics.capture.packets import Packets

_OTHER: Final = -1 - int(Reason.LINK_TYPE_UNKNOWN)
_CLOSED: Final = -1 - int(Reason.ENCAPSULATION_NOT_OPENED)


def unusual(links: NDArray[np.int32]) -> NDArray[np.intp]:
    """Indices of the packets whose link type scapy has to read."""
    inside = np.clip(links, 0, len(KINDS) - 1)
    return np.flatnonzero((KINDS[inside] == SCAPY) & (inside == links))


class Exotic:
    """Finds IP headers through scapy, in `limits.SCAPY_PACKETS` packets of one capture at most.

    Args:
        facts: of the capture, which learns the link types.
    """

    def __init__(self, facts: CaptureFacts) -> None:
        self._facts = facts
        self._left = limits.SCAPY_PACKETS
        self._classes: dict[int, Any] = {}

    def strip(self, octets: NDArray[np.uint8], packets: Packets) -> None:
        """Turn the packets of such link types into packets that begin with their IP header.

        What is none, and what cannot be found, becomes a packet that cannot be read.
        """
        found = unusual(packets.link)
        if not len(found):
            return
        self._facts.saw_link_types(np.unique(packets.link[found]).tolist())
        for index in found.tolist():
            if self._left == 0:
                packets.link[index] = _CLOSED
                continue
            self._left -= 1
            start, size = int(packets.start[index]), int(packets.captured[index])
            raw = octets[start : start + size].tobytes()
            at = self._offset(raw, int(packets.link[index]))
            if at < 0:
                packets.link[index] = at
                continue
            if self._facts.ledger is not None:
                self._facts.ledger.framing += at
            packets.start[index] += at
            packets.captured[index] -= at
            packets.wire[index] -= at
            packets.link[index] = STRIPPED

    def _offset(self, raw: bytes, link: int) -> int:
        """Offset of the IP header in a packet, or in place of a link type why there is none."""
        layer = self._class(link)
        if layer is None:
            return _OTHER
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6

        try:
            packet = layer(raw)
            header = packet.getlayer(IP) or packet.getlayer(IPv6)
        except Exception:  # noqa: BLE001  whatever scapy trips over is an octet of the input
            return _CLOSED
        if header is None:
            return _CLOSED
        return at if (at := raw.find(header.original)) >= 0 and header.original else _CLOSED

    def _class(self, link: int) -> Any:
        """The scapy class of a link type; None: it has none."""
        if link not in self._classes:
            with warnings.catch_warnings():
                # scapy names ciphers that cryptography is about to drop.
                warnings.simplefilter("ignore")
                from scapy import all as scapy
            self._classes[link] = scapy.conf.l2types.num2layer.get(link)
        return self._classes[link]
