"""Kernels that recognise DNS which is encrypted, so that it is counted by its name.

Only what is sure is named: DNS over TLS and over QUIC by their port (RFC 7858, RFC 9250), the
latter by QUIC's fixed bit too; DNSCrypt by the eight octets that begin each response; DNS over
HTTPS where a TLS connection to port 443 asks for a public service of it by name. Any other such
connection looks like the rest of the web, and is not claimed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.capture.integers import int64
from forensics.capture.losses import Reason
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32, finished, le64, mixed

PLAIN: Final = -1
"""In place of a reason: nothing encrypted that is recognised."""
_TLS: Final = int(Reason.DNS_OVER_TLS)
_HTTPS: Final = int(Reason.DNS_OVER_HTTPS)
_QUIC: Final = int(Reason.DNS_OVER_QUIC)
_DNSCRYPT: Final = int(Reason.DNSCRYPT)

SERVICES: Final = (
    "adguard-dns.com",
    "cleanbrowsing.org",
    "cloudflare-dns.com",
    "dns.google",
    "dns.nextdns.io",
    "dns.quad9.net",
    "dns.sb",
    "dns0.eu",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "dns4.eu",
    "dns9.quad9.net",
    "doh.cleanbrowsing.org",
    "doh.dns.apple.com",
    "doh.opendns.com",
    "doh.pub",
    "doh.umbrella.com",
    "dns.alidns.com",
    "dns.adguard-dns.com",
    "doh.mullvad.net",
    "dns.mullvad.net",
    "freedns.controld.com",
    "mozilla.cloudflare-dns.com",
    "odvr.nic.cz",
    "one.one.one.one",
)
"""Names under which public resolvers offer DNS over HTTPS and nothing else. A longer name below
one of them is one of them."""

_TEXT: Final = np.frombuffer("".join(SERVICES).encode() + b"\0", np.uint8).copy()
_ENDS: Final = np.cumsum([len(name) for name in SERVICES])
_FLOWS: Final = limits.ENCRYPTED_FLOWS


def new_flows() -> Any:
    """Make the set of connections that carry DNS over HTTPS: uint64 (limits.ENCRYPTED_FLOWS)."""
    return np.zeros(_FLOWS, np.uint64)


@lean_kernel
def _is_service(octets: Any, at: int, size: int) -> bool:
    """Whether the name of `size` octets at `at` is one of SERVICES or below one of them."""
    begin = int64(0)
    for end in _ENDS:
        length = end - begin
        if size == length or (size > length and octets[at + size - length - 1] == 46):
            same = True
            for i in range(length):
                if octets[at + size - length + i] | 0x20 != _TEXT[begin + i] | 0x20:
                    same = False
                    break
            if same:
                return True
        begin = end
    return False


@lean_kernel
def _asks_for_service(octets: Any, at: int, end: int) -> bool:
    """Whether a TLS record at `at` begins a ClientHello (RFC 8446 4.1.2) that names a service."""
    if at + 44 > end or octets[at] != 22 or octets[at + 1] != 3 or octets[at + 5] != 1:
        return False
    # record and handshake headers, version, random; then three fields of varying length
    at += 43
    at += 1 + int64(octets[at])
    if at + 2 > end:
        return False
    at += 2 + be16(octets, at)
    if at >= end:
        return False
    at += 1 + int64(octets[at]) + 2
    while at + 4 <= end:
        # Each turn moves at least four octets on.
        size = be16(octets, at + 2)
        if be16(octets, at) == 0:
            # The name of the server (RFC 6066 3): a list of one name of type 0.
            if at + 9 > end or octets[at + 6] != 0:
                return False
            length = be16(octets, at + 7)
            return at + 9 + length <= end and _is_service(octets, at + 9, length)
        at += 4 + size
    return False


@lean_kernel
def _flow(octets: Any, internet: int, at: int) -> Any:
    """Number of a connection, the same in both directions, never 0."""
    if octets[internet] >> 4 == 4:
        one = np.uint64(be32(octets, internet + 12))
        two = np.uint64(be32(octets, internet + 16))
    else:
        one = mixed(le64(octets, internet + 8), le64(octets, internet + 16))
        two = mixed(le64(octets, internet + 24), le64(octets, internet + 32))
    one = finished(mixed(one, np.uint64(be16(octets, at))))
    two = finished(mixed(two, np.uint64(be16(octets, at + 2))))
    return (one ^ two) | np.uint64(1)


@lean_kernel
def encrypted_segment(
    octets: Any, internet: int, at: int, end: int, stop: int, flows: Any
) -> tuple[int, int]:
    """Judge the TCP segment at `at` below the IP header at `internet`.

    Return (reason or PLAIN, octets of payload on the wire). State: flows, see `new_flows`.
    """
    if at + 20 > end:
        return PLAIN, 0
    source, destination = be16(octets, at), be16(octets, at + 2)
    header = int64(octets[at + 12] >> 4) * 4
    size = stop - at - header
    if size <= 0 or header < 20:
        return PLAIN, 0
    if 853 in (source, destination):
        return _TLS, size
    if 443 not in (source, destination):
        return PLAIN, 0
    flow = _flow(octets, internet, at)
    slot = int64(flow >> np.uint64(40)) % _FLOWS
    if destination == 443 and _asks_for_service(octets, at + header, min(end, stop)):
        flows[slot] = flow
    return (_HTTPS if flows[slot] == flow else PLAIN), size


@lean_kernel
def is_followed(octets: Any, internet: int, at: int, end: int, stop: int, followed: Any) -> bool:
    """Whether the TCP segment at `at` belongs to a connection that may be decrypted.

    That is port 853, or that a ClientHello was seen in it. State: followed, see `new_flows`.
    """
    if at + 20 > end:
        return False
    if be16(octets, at) == 853 or be16(octets, at + 2) == 853:
        return True
    flow = _flow(octets, internet, at)
    slot = int64(flow >> np.uint64(40)) % _FLOWS
    here = at + int64(octets[at + 12] >> 4) * 4
    # A record of the handshake (RFC 8446 5.1) that begins with a ClientHello.
    if (
        here + 6 <= min(end, stop)
        and octets[here] == 22
        and octets[here + 1] == 3
        and octets[here + 5] == 1
    ):
        followed[slot] = flow
    return bool(followed[slot] == flow)


@lean_kernel
def is_dnscrypt(octets: Any, at: int, end: int) -> bool:
    """Whether a datagram is a DNSCrypt response: its first octets spell r6fnvWj8."""
    if at + 8 > end or be16(octets, at) != 0x7236:
        return False
    return be32(octets, at) == 0x7236666E and be32(octets, at + 4) == 0x76576A38


@lean_kernel
def encrypted_datagram(octets: Any, at: int, source: int, destination: int, end: int) -> int:
    """Judge what a UDP datagram that is no DNS message carries from `at` on; give a reason."""
    if is_dnscrypt(octets, at, end):
        return _DNSCRYPT
    if 853 in (source, destination) and at < end and octets[at] & 0x40:
        # QUIC's fixed bit (RFC 9000 17)
        return _QUIC
    return PLAIN
