"""The zone that a server of the incident library served from a step on, from its answers."""

from __future__ import annotations

import io
import ipaddress
from datetime import datetime
from functools import cache
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import zstandard

LIBRARY = Path(__file__).resolve().parents[2] / "captures"
T = dns.rdatatype.RdataType


def nanoseconds(text: str) -> int:
    whole, fraction = text.rstrip("Z").split(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0"))


@cache
def responses(capture: Path) -> list:
    """Return (ns, server's address, message) of UDP responses (Ethernet or raw IP, whole)."""
    from scapy.utils import RawPcapReader

    packed = zstandard.ZstdDecompressor().decompressobj().decompress(capture.read_bytes())
    found = []
    reader = RawPcapReader(io.BytesIO(packed))
    for packet, about in reader:
        time = about.sec * 10**9 + about.usec * (1 if reader.nano else 1000)
        at = packet[14:] if packet[12:14] in (b"\x08\x00", b"\x86\xdd") else packet
        version = at[0] >> 4
        head, protocol = (20, at[9]) if version == 4 else (40, at[6])
        source = at[12:16] if version == 4 else at[8:24]
        if protocol != 17 or at[head : head + 2] != b"\0\x35":
            continue
        try:
            message = dns.message.from_wire(at[head + 8 :])
        except (dns.exception.DNSException, ValueError):
            continue
        if message.flags & dns.flags.QR and not message.flags & dns.flags.TC:
            found.append((time, str(ipaddress.ip_address(source)), message))
    return found


def rebuild(capture: Path, zone: str, servers: set[str], start: int, end: int) -> str | None:
    """Return the zone as text; None: no SOA or DNSKEY RRset was seen.

    What nobody asked for is missing, so that its denial chain has holes.
    """
    origin = dns.name.from_text(zone)
    held: dict = {}
    signed: dict = {}
    for time, server, message in responses(capture):
        if server not in servers or not start <= time < end:
            continue
        for section in (message.answer, message.authority):
            for rrset in section:
                if rrset.rdtype == T.RRSIG:
                    made = [one for one in rrset if one.signer == origin]
                    key = (rrset.name, rrset.covers)
                    labels = len(rrset.name) - 1
                    if made and made[0].labels == labels:
                        signed[key] = (time, rrset.ttl, made)
                        plain = next((r for r in section if (r.name, r.rdtype) == key), None)
                        if plain is not None:
                            held[key] = plain
                elif rrset.rdtype == T.NS and rrset.name.is_subdomain(origin):
                    held[rrset.name, T.NS] = rrset
    if (origin, T.SOA) not in held or (origin, T.DNSKEY) not in held:
        return None
    lines = [held[origin, T.SOA].to_text()]
    lines += [r.to_text() for key, r in sorted(held.items()) if key[1] != T.SOA]
    for (name, _), (_, ttl, made) in sorted(signed.items()):
        lines += [f"{name} {ttl} IN RRSIG {one.to_text()}" for one in made]
    return "\n".join(lines) + "\n"
