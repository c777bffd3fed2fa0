"""What a recorder makes of traffic: parts of it, in another order, with another clock."""

from __future__ import annotations

import random
from collections.abc import Iterator

from world import Packet

KEY, DS = 48, 43


def asked_type(packet: Packet) -> int:
    """The QTYPE of a message with one uncompressed question."""
    at = 12
    while packet.data[at]:
        at += 1 + packet.data[at]
    return int.from_bytes(packet.data[at + 1 : at + 3], "big")


def is_response(packet: Packet) -> bool:
    return packet.sport == 53


def is_client_side(packet: Packet) -> bool:
    return "203.0.113." in (packet.source[:10], packet.target[:10])


def losses(packets: list[Packet], draw: random.Random) -> Iterator[tuple[str, list[Packet]]]:
    """Captures that lack packets, or hold them slightly out of order; each with its name."""
    begin, end = packets[0].time, packets[-1].time
    servers = sorted({p.source for p in packets if p.source.startswith("192.0.2.")})

    def instant() -> int:
        return draw.randrange(begin, end)

    def thinned(share: float, *, only: int | None = None) -> list[Packet]:
        return [
            p
            for p in packets
            if (only is not None and asked_type(p) != only) or draw.random() < share
        ]

    yield "queries only", [p for p in packets if not is_response(p)]
    yield "responses only", [p for p in packets if is_response(p)]
    yield "every second packet", packets[::2]
    for share in (0.05, 0.15, 0.3, 0.5, 0.8):
        yield f"{share:.0%} of the packets", thinned(share)
    yield "upstream side", [p for p in packets if not is_client_side(p)]
    yield "client side", [p for p in packets if is_client_side(p)]
    chosen = set(draw.sample(servers, draw.randint(1, min(5, len(servers)))))
    yield f"servers {chosen}", [p for p in packets if {p.source, p.target} & chosen]
    for name, kind in (("DNSKEY", KEY), ("DS", DS)):
        yield f"no {name}", [p for p in packets if asked_type(p) != kind]
        cut = instant()
        yield f"{name} late", [p for p in packets if asked_type(p) != kind or p.time > cut]
        yield f"{name} early", [p for p in packets if asked_type(p) != kind or p.time < cut]
        low, high = sorted((instant(), instant()))
        kept = [p for p in packets if asked_type(p) != kind or not low < p.time < high]
        yield f"{name} gap", kept
        yield f"some {name}", thinned(0.15, only=kind)
    low, high = sorted((instant(), instant()))
    yield "a stretch", [p for p in packets if low <= p.time <= high]
    yield "out of order", sorted(packets, key=lambda p: p.time + draw.randrange(900_000))


def shifted(packets: list[Packet], seconds: int, after: int = 0) -> list[Packet]:
    """A recorder whose clock is off by that, from the instant `after` on."""
    return [p._replace(time=p.time + seconds * 10**9) if p.time >= after else p for p in packets]


def spoiled(packet: Packet) -> bytes | None:
    """The response with one octet of its first signature turned; None where it has none."""
    at = packet.data.find(b"\x00\x2e\x00\x01")
    if at < 0:
        return None
    octets = bytearray(packet.data)
    octets[at + 10 + int.from_bytes(octets[at + 8 : at + 10], "big") - 5] ^= 0xFF
    return bytes(octets)


def spoofed(packets: list[Packet], how: str, draw: random.Random) -> list[Packet]:
    """Someone forges answers of authorities, in the way named, before or after the true ones."""
    found = list(packets)
    for packet in packets:
        forged = spoiled(packet) if packet.source.startswith("192.0.2.") else None
        if forged is None or not is_response(packet) or draw.random() > 0.3:
            continue
        copy = packet._replace(data=forged, time=packet.time - 200_000)
        if how == "wrong id":
            copy = copy._replace(data=bytes([forged[0] ^ 1]) + forged[1:])
        elif how == "wrong port":
            copy = copy._replace(tport=packet.tport ^ 1)
        elif how == "unasked":
            copy = copy._replace(time=packet.time + 7 * 10**9, target="198.51.100.99")
        elif how == "too late":
            copy = copy._replace(time=packet.time + 200_000)
        found.append(copy)
    return sorted(found, key=lambda p: p.time)


HOW = ("wrong id", "wrong port", "unasked", "too late", "race won")
