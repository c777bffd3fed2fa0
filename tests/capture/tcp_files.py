"""Write TCP connections as packets: what the tests of streams share."""

from __future__ import annotations

import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def framed(*messages):
    """Messages as they stand in a stream (RFC 1035 4.2.2)."""
    return b"".join(struct.pack(">H", len(message)) + message for message in messages)


def packet4(payload, source="192.0.2.1", target="198.51.100.2", ident=0):
    """An IPv4 packet around a TCP segment."""
    addresses = bytes(int(part) for part in f"{source}.{target}".split("."))
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, 0x4000, 64, 6, 0)
    return head + addresses + payload


def segment(seq, data=b"", *, sport=40000, dport=53, ack=0, flags=ACK, options=b""):
    """A TCP segment."""
    words = 5 + len(options) // 4
    numbers = struct.pack(">HHII", sport, dport, seq % 2**32, ack % 2**32)
    return numbers + struct.pack(">BBHHH", words << 4, flags, 65535, 0, 0) + options + data


class Way:
    """One way of a connection, from the client (53 is the target) or from the server.

    Attributes:
        seq: number of the next octet.
    """

    def __init__(self, seq=1000, *, port=40000, server=False, six=False):
        self.seq = seq
        self.port, self.server, self.six = port, server, six

    def packet(self, seq, data=b"", *, ack=0, flags=ACK):
        ports = (53, self.port) if self.server else (self.port, 53)
        made = segment(seq, data, sport=ports[0], dport=ports[1], ack=ack, flags=flags)
        if self.six:
            near, far = (
                b"\x20\x01\x0d\xb8" + bytes(11) + b"\1",
                b"\x20\x01\x0d\xb8" + bytes(11) + b"\2",
            )
            pair = far + near if self.server else near + far
            return struct.pack(">IHBB", 0x60000000, len(made), 6, 64) + pair + made
        pair = ("192.0.2.1", "198.51.100.2")
        return packet4(made, *(pair[::-1] if self.server else pair))

    def syn(self):
        """The SYN; the next octet is the first of the stream."""
        made = self.packet(self.seq, flags=SYN)
        self.seq += 1
        return made

    def send(self, data, *, ack=0, flags=ACK):
        """A segment with the next octets."""
        made = self.packet(self.seq, data, ack=ack, flags=flags)
        self.seq += len(data)
        return made

    def skip(self, count):
        """Octets that the capture lacks."""
        self.seq += count

    def fin(self):
        return self.packet(self.seq, flags=FIN | ACK)

    def cut(self, data, sizes):
        """Segments of these sizes, the last size for all that is left."""
        made, at, sizes = [], 0, list(sizes)
        while at < len(data):
            size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
            made.append(self.send(data[at : at + size]))
            at += size
        return made
