"""Small whole inputs to start from: pieces of the captures that come with the project."""

import bz2
import gzip
import itertools
import lzma
import struct
import sys
from functools import cache
from pathlib import Path

import zstandard

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "captures"
PACKETS = 12
"""Packets or frames of one seed."""


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


_ANCHORS = b"""<?xml version="1.0"?>
<TrustAnchor><Zone>.</Zone><KeyDigest validFrom="2017-02-02T00:00:00+00:00"><KeyTag>20326</KeyTag>
<Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
</KeyDigest></TrustAnchor>
"""
"""A trust anchor in IANA's form."""


@cache
def packets() -> list[list[tuple[int, bytes]]]:
    """Runs of packets (time in ns, octets) from several places of several captures."""
    found = []
    for path in sorted(CAPTURES.glob("*/capture.pcap.zst"))[:8]:
        content = _content(path)
        unit = 1 if content[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
        records, at = [], 24
        while at + 16 <= len(content):
            seconds, rest, size, _ = struct.unpack_from("<IIII", content, at)
            records.append((seconds * 10**9 + rest * unit, content[at + 16 : at + 16 + size]))
            at += 16 + size
        for place in range(0, len(records), max(len(records) // 6, 1)):
            found.append(records[place : place + PACKETS])
    return found


@cache
def link_type() -> int:
    """Link type of the captures that `packets` reads."""
    first = min(CAPTURES.glob("*/capture.pcap.zst"))
    return int.from_bytes(_content(first)[20:22], "little")


def pcap() -> list[bytes]:
    """Classic captures, in both byte orders and both resolutions."""
    made = []
    forms = itertools.cycle(
        [("<", 0xA1B2C3D4, 1000), (">", 0xA1B2C3D4, 1000), ("<", 0xA1B23C4D, 1)]
    )
    for run, (order, magic, unit) in zip(packets(), forms, strict=False):
        content = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link_type())
        for time, octets in run:
            fields = (time // 10**9, time % 10**9 // unit, len(octets), len(octets))
            content += struct.pack(f"{order}IIII", *fields) + octets
        made.append(content)
    return made


def pcapng() -> list[bytes]:
    """The same packets as pcapng, with comments."""
    from forensics.report.pcapng import Packet, render_pcapng

    return [
        render_pcapng(
            [Packet(time, link_type(), octets, len(octets), "seed") for time, octets in run], "seed"
        )
        for run in packets()
    ]


TLS_PACKETS = 16
"""Packets of a seed of `tls`: the handshake, and some messages. Damage to more sealed octets would
tell little."""


def tls() -> list[bytes]:
    """Connections of DNS over TLS, their beginnings, each as a pcapng that brings its secrets."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + size + body + size

    made = []
    for path in sorted((ROOT / "tests" / "capture" / "tls").glob("*.pcap")):
        content, keys = path.read_bytes(), path.with_suffix(".keys").read_bytes()
        head = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        head += block(1, struct.pack("<HHI", 1, 0, 0))
        connections: dict[frozenset[bytes], list[bytes]] = {}
        at = 24
        while at + 16 <= len(content):
            seconds, rest, size, _ = struct.unpack_from("<IIII", content, at)
            octets = content[at + 16 : at + 16 + size]
            ticks = seconds * 10**6 + rest
            fields = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, size, size)
            # The ports of TCP behind Ethernet and IPv4.
            ends = frozenset((octets[34:36], octets[36:38]))
            connections.setdefault(ends, []).append(block(6, fields + octets))
            at += 16 + size
        lines = keys.splitlines(keepends=True)
        for packets in connections.values():
            content = b"".join(packets[:TLS_PACKETS])
            # A line: label, client random, secret.
            own = b"".join(line for line in lines if _random_of(line) in content)
            made.append(head + block(10, struct.pack("<II", 0x544C534B, len(own)) + own) + content)
    return [one for one in made if len(one) < 2**15]


def _random_of(line: bytes) -> bytes:
    """The client's random that a line of a log of secrets names."""
    words = line.split()
    return bytes.fromhex(words[1].decode()) if len(words) == 3 else b"no line of secrets"


def dnstap() -> list[bytes]:
    """Frame Streams: the handshake's START, then a few frames from several places."""
    made = []
    for path in sorted(CAPTURES.glob("*/*.dnstap.zst"))[:6]:
        content = _content(path)
        start = 8 + int.from_bytes(content[4:8], "big")
        head, at, frames = content[:start], start, []
        while at + 4 <= len(content):
            size = int.from_bytes(content[at : at + 4], "big")
            if not size:
                break
            frames.append(content[at : at + 4 + size])
            at += 4 + size
        for place in range(0, len(frames), max(len(frames) // 6, 1)):
            made.append(head + b"".join(frames[place : place + PACKETS]))
    return made


def cdns() -> list[bytes]:
    """C-DNS as the tests' own exporter writes it, whole and with fields left out."""
    sys.path.insert(0, str(ROOT / "tests" / "capture"))
    from cdns_files import Exchange, Exporter

    pieces = messages()
    pairs = [
        Exchange(query, response)
        for query, response in itertools.pairwise(pieces[:: max(len(pieces) // 30, 1)])
        if not query[2] & 0x80 and response[2] & 0x80
    ]
    pairs += [Exchange(response=one) for one in pieces if one[2] & 0x80][:5]
    ways = (Exporter(), Exporter(hints=0x3FF), Exporter(prefixes={4: 3, 16: 6}))
    return [way.file(way.block(pairs[:6]), way.block(pairs[6:12])) for way in ways]


def powerdns() -> list[bytes]:
    """Protobuf logs of PowerDNS Recursor and dnsdist, recorded for the tests."""
    found = []
    for path in sorted((ROOT / "tests" / "capture" / "powerdns_log").glob("*.pb")):
        content = path.read_bytes()
        found += [content[:2_000], content[:8_000]]
    return found


def compressed() -> list[bytes]:
    """Small captures in every compression."""
    import lz4.frame

    ways = (
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstandard.ZstdCompressor().compress,
        lz4.frame.compress,
    )
    return [way(content) for content in pcap()[:3] for way in ways]


def cut(path: Path, packets: int) -> bytes:
    """The beginning of a capture: so many packets."""
    content, at = _content(path), 24
    for _ in range(packets):
        if at + 16 > len(content):
            break
        at += 16 + int.from_bytes(content[at + 8 : at + 12], "little")
    return content[:at]


def keylogs() -> list[bytes]:
    """Logs of TLS secrets, a few lines each."""
    found = []
    for path in sorted((ROOT / "tests" / "capture" / "tls").glob("*.keys")):
        lines = path.read_bytes().splitlines(keepends=True)
        found += [b"".join(lines[at : at + 5]) for at in range(0, min(len(lines), 40), 5)]
    return found


def rdata() -> list[bytes]:
    """RDATA of the records of messages, without names compressed."""
    import dns.exception
    import dns.message

    found = set()
    for wire in messages():
        try:
            message = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            continue
        for rrset in (*message.answer, *message.authority, *message.additional):
            found |= {record.to_digestable() for record in rrset}
    return sorted(found)[:: max(len(found) // 200, 1)]


def messages() -> list[bytes]:
    """DNS messages: the payloads of the dnstap frames and packets that carry them."""
    found = []
    for run in packets():
        for _, octets in run:
            at = octets.find(b"\x08\x00\x45") + 2
            if at > 1 and octets[at + 9] == 17:
                payload = octets[at + 28 :]
                if len(payload) > 12:
                    found.append(payload)
    return found


def log_lines() -> list[bytes]:
    """Lines of the resolvers' logs."""
    found = []
    for path in sorted(CAPTURES.glob("*/*.log")):
        lines = path.read_bytes().splitlines()
        found += lines[:: max(len(lines) // 20, 1)]
    return found


def records() -> list[bytes]:
    """Files of trust anchors and of keys."""
    return [path.read_bytes() for path in sorted(CAPTURES.glob("*/trust-anchor.ds"))] + [
        b"de. 3600 IN DNSKEY 257 3 13 bW9uZXk=\n$ORIGIN de.\n@ IN DS 1 13 2 (\n aabb ; x\n )\n",
        _ANCHORS,
    ]
