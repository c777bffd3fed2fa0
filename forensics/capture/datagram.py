"""Kernels that open a packet down to its UDP header (RFC 768) and judge that, tunnels included."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.encapsulations import CUT, NOT_IP, NOTHING
from forensics.capture.encrypted import PLAIN, encrypted_datagram, is_dnscrypt
from forensics.capture.integers import int64
from forensics.capture.link import WHOLE, inner, transport
from forensics.capture.losses import Reason
from forensics.capture.plausible import plausible
from forensics.capture.tunnels import ip_tunnel, udp_tunnel
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.words import be16

_UDP_MALFORMED: Final = int(Reason.UDP_MALFORMED)
_PACKET_CUT: Final = int(Reason.PACKET_CUT)
_SHORT: Final = int(Reason.MESSAGE_SHORT)
_DNSCRYPT: Final = int(Reason.DNSCRYPT)
_HEADER: Final = 12

NO_DNS: Final = -1
"""`judge`: other traffic."""
MESSAGE: Final = -2
"""`judge`: a DNS message."""
TUNNEL: Final = -3
"""`judge`: perhaps a tunnel."""
_DEEP: Final = int(Reason.TUNNEL_DEPTH)


def port_map(ports: frozenset[int]) -> NDArray[np.uint8]:
    """Make the bitmap of ports that always carry DNS; port 53 is one of them anyway."""
    bits = np.zeros(65536 // 8, np.uint8)
    for port in {53} | ports:
        bits[port >> 3] |= 1 << (port & 7)
    return bits


@lean_kernel
def has_port(bitmap: Any, port: int) -> bool:
    """Whether a port always carries DNS."""
    return bool((bitmap[port >> 3] >> (port & 7)) & 1)


@lean_kernel
def judge(
    octets: Any, at: int, end: int, stop: int, state: int, bitmap: Any
) -> tuple[int, int, int, int]:
    """Judge the UDP header at `at` of an IP payload ending at `stop`.

    Return (`MESSAGE`, `NO_DNS`, `TUNNEL` or a loss code; offset of what the datagram carries;
    octets of it captured; octets of it on the wire).
    """
    if at + 8 > end:
        return _PACKET_CUT, at, 0, 0
    source = be16(octets, at)
    destination = be16(octets, at + 2)
    expected = has_port(bitmap, source) or has_port(bitmap, destination)
    if not expected:
        # Multicast DNS, LLMNR and NetBIOS names look like DNS and are not.
        for port in (5353, 5355, 137):
            if port in (source, destination):
                return NO_DNS, at, 0, 0
    length = be16(octets, at + 4)
    if length == 0:
        # A jumbogram (RFC 2675), or left to the network card.
        length = stop - at
    if length < 8:
        return (_UDP_MALFORMED if expected else NO_DNS), at, 0, 0
    begin = at + 8
    length -= 8
    captured = min(begin + length, stop, end) - begin
    if captured < _HEADER:
        return (_SHORT if expected else NO_DNS), begin, max(captured, 0), 0
    if not expected:
        whole = captured == length and state == WHOLE
        if not plausible(octets, begin, begin + captured, whole):
            if udp_tunnel(source, destination) != NOTHING:
                return TUNNEL, begin, captured, length
            secret = encrypted_datagram(octets, begin, source, destination, begin + captured)
            return (NO_DNS if secret == PLAIN else secret), begin, captured, 0
    elif is_dnscrypt(octets, begin, begin + captured):
        return _DNSCRYPT, begin, captured, 0
    return MESSAGE, begin, captured, length


@lean_kernel
def is_part(protocol: int) -> bool:
    """Whether fragments of that protocol are put together: TCP, UDP, and what may contain them."""
    return protocol in (6, 17, 60) or ip_tunnel(protocol) != NOTHING


@inlined_kernel
def open_up(
    octets: Any, at: int, end: int, wire_end: int, ordinal: int, tunnels: Any, bitmap: Any
) -> tuple[int, int, int, int, int, int, int, int, int, int, int]:
    """Follow the tunnels that begin with the IP header at `at`, up to fragments, TCP or UDP.

    In: the end of what was captured, and where the packet would end had all of it been; the running
    number of the packet; tunnels, see `encapsulations.new_counts`. Return offset (or `NOT_IP`, or
    -2 - a code of `losses.Reason`) of the innermost IP header and those ends, what `link.transport`
    returns of it (four) and what `judge` does of a datagram (four).
    """
    depth = 0
    protocol, here, stop, state = int64(-1), at, at, WHOLE
    verdict, message, held, full = NO_DNS, at, int64(0), int64(0)
    while at >= 0:
        protocol, here, stop, state = transport(octets, at, end, wire_end)
        if state != WHOLE:
            break
        kind = NOTHING
        if protocol == 17:
            # Link-layer padding must not become part of the message, nor octets beyond the capture.
            verdict, message, held, full = judge(octets, here, end, stop, state, bitmap)
            if verdict != TUNNEL:
                break
            kind = udp_tunnel(be16(octets, here), be16(octets, here + 2))
            here = message
        elif protocol != 6:
            kind = ip_tunnel(protocol)
        if kind == NOTHING:
            break
        depth += 1
        if depth > limits.TUNNEL_DEPTH:
            at = -2 - _DEEP
            break
        end = min(end, stop)
        at, wire_end = inner(octets, kind, here, end, stop, ordinal, tunnels)
        if at == CUT and end == stop:
            # All of the datagram is there: it only looked like a tunnel.
            at = NOT_IP
    return at, end, wire_end, protocol, here, stop, state, verdict, message, held, full
