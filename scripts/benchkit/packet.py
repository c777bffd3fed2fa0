"""The kernel that writes one packet: a template with addresses, id, label and time."""

import numpy as np
from numba import njit

from benchkit.templates import Templates
from benchkit.zones import EPOCH

IPV6_IN_TEN = 3
"""Clients in ten that use IPv6."""
MAX_RECORD = 2_048
"""Octets of the largest pcap record, with room to spare."""

QUERY, RETRANSMISSION, RESPONSE = 0, 1, 2
"""Kinds of event."""
SCENE, ROW, CLIENT, PORT, IDENTITY, KIND, NEXT = range(7)
"""Columns of an event: int64."""
EVENT_COLUMNS = 7


@njit(nogil=True)
def put16(out: np.ndarray, at: int, value: int) -> None:
    """Write a big-endian 16-bit word."""
    out[at] = (value >> 8) & 0xFF
    out[at + 1] = value & 0xFF


@njit(nogil=True)
def put32_little(out: np.ndarray, at: int, value: int) -> None:
    """Write a little-endian 32-bit word."""
    for octet in range(4):
        out[at + octet] = (value >> (8 * octet)) & 0xFF


@njit(nogil=True)
def fold(total: int) -> int:
    """Finish an Internet checksum (RFC 1071)."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@njit(nogil=True)
def add_words(out: np.ndarray, start: int, end: int) -> int:
    """Sum the big-endian 16-bit words of out[start:end]."""
    total = 0
    for at in range(start, end, 2):
        total += (int(out[at]) << 8) | int(out[at + 1])
    return total


@njit(nogil=True)
def put_client(out: np.ndarray, at: int, client: int, v6: bool) -> None:
    """Write a client's address: 100.64.0.0/10, or 2001:db8:c000::/36."""
    if not v6:
        spread = (client * 2654435761) & 0x3FFFFF
        put16(out, at, 0x6440 | (spread >> 16))
        put16(out, at + 2, spread & 0xFFFF)
        return
    put16(out, at, 0x2001)
    put16(out, at + 2, 0x0DB8)
    put16(out, at + 4, 0xC000 | (client >> 16))
    put16(out, at + 6, client & 0xFFFF)
    out[at + 8 : at + 16] = 0
    put16(out, at + 14, 0x35 + client % 7)


@njit(nogil=True)
def put_server(out: np.ndarray, at: int, host: int, v6: bool) -> None:
    """Write a server's address: 192.0.2.53 + host, or 2001:db8:53:host::1."""
    if not v6:
        put16(out, at, 0xC000)
        put16(out, at + 2, 0x0200 | (53 + host))
        return
    put16(out, at, 0x2001)
    put16(out, at + 2, 0x0DB8)
    put16(out, at + 4, 0x53)
    put16(out, at + 6, host)
    out[at + 8 : at + 16] = 0
    out[at + 15] = 1


@njit(nogil=True)
def put_packet(
    out: np.ndarray, at: int, templates: Templates, event: np.ndarray, microseconds: int
) -> int:
    """Write one pcap record at out[at:] and return its end; times count from EPOCH."""
    scene, client = event[SCENE], event[CLIENT]
    respond = event[KIND] == RESPONSE
    message = templates.response[scene] if respond else templates.query[scene]
    offset, length, words = message[0], message[1], message[2]
    v6 = client % 10 < IPV6_IN_TEN
    ip_octets = 40 if v6 else 20
    captured = 14 + ip_octets + 8 + length
    put32_little(out, at, EPOCH + microseconds // 1_000_000)
    put32_little(out, at + 4, microseconds % 1_000_000)
    put32_little(out, at + 8, captured)
    put32_little(out, at + 12, captured)
    ethernet = at + 16
    for octet in range(12):
        out[ethernet + octet] = 0
    out[ethernet], out[ethernet + 6] = 2, 2
    out[ethernet + 5], out[ethernet + 11] = (1, 2) if respond else (2, 1)
    put16(out, ethernet + 12, 0x86DD if v6 else 0x0800)
    ip = ethernet + 14
    udp = ip + ip_octets
    width = 16 if v6 else 4
    near, far = udp - 2 * width, udp - width
    if respond:
        near, far = far, near
    put_client(out, near, client, v6)
    put_server(out, far, templates.host[scene], v6)
    addresses = add_words(out, udp - 2 * width, udp)
    if v6:
        put16(out, ip, 0x6000)
        put16(out, ip + 2, 0)
        put16(out, ip + 4, 8 + length)
        put16(out, ip + 6, 0x1140)
    else:
        put16(out, ip, 0x4500)
        put16(out, ip + 2, 28 + length)
        put16(out, ip + 4, event[IDENTITY] ^ event[PORT])
        put16(out, ip + 6, 0)
        put16(out, ip + 8, 0x4011)
        put16(out, ip + 10, 0)
        put16(out, ip + 10, fold(add_words(out, ip, ip + 12) + addresses))
    put16(out, udp, 53 if respond else event[PORT])
    put16(out, udp + 2, event[PORT] if respond else 53)
    put16(out, udp + 4, 8 + length)
    payload = udp + 8
    out[payload : payload + length] = templates.octets[offset : offset + length]
    put16(out, payload, event[IDENTITY])
    total = addresses + 17 + 2 * (8 + length) + 53 + event[PORT] + event[IDENTITY] + words
    place = templates.place[scene]
    if place:
        label = templates.labels[event[ROW]]
        for octet in range(len(label)):
            out[payload + place + octet] = label[octet]
            total += int(label[octet]) << (0 if (place + octet) & 1 else 8)
    checksum = fold(total)
    put16(out, udp + 6, checksum or 0xFFFF)
    return int(payload + length)
