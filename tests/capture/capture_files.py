"""Write capture files and read them back: what the tests of this stage share."""

from __future__ import annotations

import ipaddress
import struct
import warnings
from functools import cache
from itertools import chain
from typing import NamedTuple

from forensics import limits
from forensics.capture.facts import CaptureFacts
from forensics.capture.losses import LOST_PACKETS
from forensics.capture.readers import open_capture
from forensics.capture.reassembly import Reassembly

with warnings.catch_warnings():
    # scapy names ciphers that cryptography is about to drop.
    warnings.simplefilter("ignore")
    from scapy import all as scapy

T0 = 1_778_009_400 * 10**9


class Row(NamedTuple):
    """One message as a reader found it."""

    frame: int
    time: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    octets: bytes
    length: int
    flags: int
    transport: int
    kind: int
    identity: str
    other_time: int


def _address(row):
    address = ipaddress.IPv6Address(row.tobytes())
    return str(address.ipv4_mapped or address)


def read(
    path, block_octets=limits.BLOCK_OCTETS, ports=frozenset(), secrets=None
) -> tuple[CaptureFacts, list[Row]]:
    """Read a file and check what holds for every block."""
    reassembly = Reassembly(ports, secrets)
    capture = open_capture(str(path), 7, ports, block_octets, reassembly)
    rows = []
    for block in chain(capture.blocks(), reassembly.finish()):
        assert len(block) > 0
        assert block.capture == 7
        assert block.octets.flags.writeable
        assert (block.start >= 0).all()
        assert (block.captured >= 12).all()
        assert (block.start + block.captured <= len(block.octets)).all()
        if not capture.facts.format.startswith(("c-dns", "powerdns")):
            assert (block.length >= block.captured).all()
        for i in range(len(block)):
            start, size = int(block.start[i]), int(block.captured[i])
            name = int(block.identity[i])
            rows.append(
                Row(
                    int(block.frame[i]),
                    int(block.time[i]),
                    _address(block.source[i]),
                    int(block.source_port[i]),
                    _address(block.destination[i]),
                    int(block.destination_port[i]),
                    block.octets[start : start + size].tobytes(),
                    int(block.length[i]),
                    int(block.flags[i]),
                    int(block.transport[i]),
                    int(block.kind[i]),
                    block.identities[name] if name >= 0 else "",
                    int(block.other_time[i]),
                )
            )
    assert capture.facts.messages == len(rows)
    check_ledger(capture.facts)
    return capture.facts, rows


def check_ledger(facts):
    """Every packet is one that carries messages, a copy, other traffic, or lost with a reason."""
    ledger = facts.ledger
    kept = (ledger.messages, ledger.other, ledger.framing, facts.losses.octets)
    assert min(kept) >= 0, (kept, facts)
    assert ledger.content == sum(kept), (kept, facts, losses(facts))
    if facts.format.startswith("c-dns") or (facts.format.startswith("dnstap") and facts.duplicates):
        return  # what they repeat are messages, of which a frame may hold two
    lost = sum(loss.count for loss in facts.losses.rows() if loss.reason in LOST_PACKETS)
    assert facts.packets == facts.carriers + facts.duplicates + facts.other + lost, (
        facts,
        losses(facts),
    )


def losses(facts):
    return facts.losses.as_dict()


@cache
def query(name="www.example.", qid=4711, qtype="A"):
    """A query in wire form, made by dnspython."""
    import dns.message

    message = dns.message.make_query(name, qtype, want_dnssec=True)
    message.id = qid
    return message.to_wire()


@cache
def response(name="www.example.", qid=4711, count=1):
    """A response in wire form with `count` addresses, made by dnspython."""
    import dns.message
    import dns.rrset

    message = dns.message.make_response(dns.message.from_wire(query(name, qid)))
    addresses = [f"192.0.2.{i + 1}" for i in range(count)]
    message.answer.append(dns.rrset.from_text(name, 300, "IN", "A", *addresses))
    return message.to_wire(max_size=65535)


def udp4(
    payload, *, sport=40000, dport=53, ipid=4242, source="192.0.2.1", target="198.51.100.2", **ip
):
    """An IPv4 packet in wire form."""
    header = scapy.IP(src=source, dst=target, id=ipid, **ip)
    return bytes(header / scapy.UDP(sport=sport, dport=dport) / scapy.Raw(payload))


def udp6(payload, *, sport=40000, dport=53, source="2001:db8::1", target="2001:db8::2", between=()):
    """An IPv6 packet in wire form, with extension headers between IPv6 and UDP."""
    packet = scapy.IPv6(src=source, dst=target)
    for header in between:
        packet /= header
    return bytes(packet / scapy.UDP(sport=sport, dport=dport) / scapy.Raw(payload))


def ethernet(packet, tags=(), padding=b""):
    """An Ethernet frame around an IP packet; `tags` are EtherTypes of VLAN tags, outer first."""
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    head = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
    vlan = b"".join(struct.pack(">HH", tag, 100 + i) for i, tag in enumerate(tags))
    return head + vlan + kind + packet + padding


def framed(packet, link):
    """The IP packet as a capture of link type `link` holds it."""
    six = packet[0] >> 4 == 6
    kind = b"\x86\xdd" if six else b"\x08\x00"
    if link == 1:
        return ethernet(packet)
    if link in {12, 14, 101, 228, 229}:
        return packet
    if link == 113:
        return b"\0\0\0\x01\0\x06\x02\0\0\0\0\x01\0\0" + kind + packet
    if link == 276:
        return kind + b"\0\0\0\0\0\x02\0\x01\0\x06\x02\0\0\0\0\x01\0\0" + packet
    if link == 0:
        return struct.pack("<I", 30 if six else 2) + packet
    assert link == 108
    return struct.pack(">I", 24 if six else 2) + packet


def pcap(packets, *, link=1, order="<", magic=0xA1B2C3D4, snaplen=262144, wire=None):
    """A pcap file of (time in ns, octets) pairs; `wire` gives lengths on the wire."""
    unit = 1 if magic == 0xA1B23C4D else 1000
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for i, (time, octets) in enumerate(packets):
        held = octets[:snaplen]
        full = len(octets) if wire is None else wire[i]
        second, rest = divmod(time, 10**9)
        parts.append(struct.pack(order + "IIII", second, rest // unit, len(held), full))
        if magic == 0xA1B2CD34:
            parts.append(struct.pack(order + "IHBB", 2, 0x800, 0, 0))
        parts.append(held)
    return b"".join(parts)


def ng_block(kind, body, order="<"):
    """A pcapng block."""
    body += b"\0" * (-len(body) % 4)
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def ng_section(order="<"):
    return ng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def ng_interface(link=1, order="<", snaplen=0, options=()):
    """An interface description; options are (code, octets)."""
    body = struct.pack(order + "HHI", link, 0, snaplen)
    for code, value in options:
        body += struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)
    return ng_block(1, body + (b"\0\0\0\0" if options else b""), order)


def ng_packet(ticks, octets, order="<", interface=0, wire=None):
    """An enhanced packet block."""
    full = len(octets) if wire is None else wire
    head = struct.pack(
        order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), full
    )
    return ng_block(6, head + octets + b"\0" * (-len(octets) % 4), order)


def control(kind, content=b"protobuf:dnstap.Dnstap"):
    """A control frame of Frame Streams."""
    body = struct.pack(">I", kind)
    if content:
        body += struct.pack(">II", 1, len(content)) + content
    return struct.pack(">II", 0, len(body)) + body


def stream(frames, *, stop=True):
    """A Frame Streams file of data frames."""
    data = b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)
    return control(2) + data + (control(3, b"") if stop else b"")
