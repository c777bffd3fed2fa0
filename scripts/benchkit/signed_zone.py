"""A signed zone of which every signature is distinct: as rows, as text, and as packets."""

import struct
from pathlib import Path
from typing import Any, NamedTuple

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rrset

ORIGIN = "bench."
INCEPTION, EXPIRATION = 1_700_000_000, 2_000_000_000
NOW = 1_770_000_000
_SERVER, _CLIENT = bytes([192, 0, 2, 53]), bytes([198, 51, 100, 7])


class Made(NamedTuple):
    """Signatures of one key with what they sign.

    Attributes:
        dnskey: the key. table: schemas.SIGNATURES.
        rrsets: (RRset, RRSIG) of each.
    """

    dnskey: Any
    table: Any
    rrsets: list[tuple[Any, Any]]


def make(algorithm: int, count: int) -> Made:
    """Sign a zone with one key: apex, and names with an A RRset and the NSEC chain over them."""
    import pyarrow as pa
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    from forensics import schemas

    private: Any = {
        13: lambda: ec.generate_private_key(ec.SECP256R1()),
        8: lambda: rsa.generate_private_key(65_537, 2048),
        15: ed25519.Ed25519PrivateKey.generate,
    }[algorithm]()
    dnskey = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=257)
    zone = dns.name.from_text(ORIGIN)
    rrsets, rows = [], []
    for rrset in _rrsets(dnskey, max(count, 8)):
        rrsig = dns.dnssec.sign(
            rrset, private, zone, dnskey, inception=INCEPTION, expiration=EXPIRATION
        )
        number = len(rows)
        rrsets.append((rrset, rrsig))
        rows.append(
            {
                "signature": number, "signature_id": f"{number:064x}",
                "owner": rrset.name.to_text(), "type": int(rrset.rdtype), "signer": ORIGIN,
                "key_tag": rrsig.key_tag, "algorithm": algorithm, "labels": rrsig.labels,
                "original_ttl": 3600, "inception": INCEPTION, "expiration": EXPIRATION,
                "records": len(rrset), "serial": None, "problem": None,
                "octets": rrsig.signature,
                "signed_data": dns.dnssec._make_rrsig_signature_data(rrset, rrsig),  # noqa: SLF001
            }
        )  # fmt: skip
    return Made(dnskey, pa.Table.from_pylist(rows, schema=schemas.SIGNATURES), rrsets)


def _rrsets(dnskey: Any, count: int) -> list[Any]:
    """Return the RRsets: four of the apex, then A and NSEC of each name."""
    names = [f"n{number:07d}.{ORIGIN}" for number in range(max((count - 4) // 2, 1))]
    soa = f"ns.{ORIGIN} host.{ORIGIN} 1 3600 600 86400 300"
    found = [
        dns.rrset.from_text(ORIGIN, 3600, "IN", "SOA", soa),
        dns.rrset.from_text(ORIGIN, 3600, "IN", "NS", names[0]),
        dns.rrset.from_rdata(ORIGIN, 3600, dnskey),
        dns.rrset.from_text(
            ORIGIN, 300, "IN", "NSEC", f"{names[0]} NS SOA RRSIG NSEC DNSKEY"
        ),
    ]  # fmt: skip
    for name, following in zip(names, [*names[1:], ORIGIN], strict=True):
        found.append(dns.rrset.from_text(name, 3600, "IN", "A", "192.0.2.1"))
        found.append(dns.rrset.from_text(name, 300, "IN", "NSEC", f"{following} A RRSIG NSEC"))
    return found


def write_zone(made: Made, path: Path) -> None:
    """Write the zone as text, for verifiers of zones."""
    with path.open("w", encoding="ascii") as file:
        for rrset, rrsig in made.rrsets:
            file.write(f"{rrset.to_text()}\n{rrset.name} {rrset.ttl} IN RRSIG {rrsig.to_text()}\n")


def write_capture(made: Made, path: Path, responses: int) -> int:
    """Write responses that hold the zone's signatures over and over; return the signatures."""
    packets = []
    for number, (rrset, rrsig) in enumerate(made.rrsets):
        query = dns.message.make_query(rrset.name, rrset.rdtype, want_dnssec=True)
        query.id = number % 65_536
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        reply.answer = [rrset, dns.rrset.from_rdata(rrset.name, rrset.ttl, rrsig)]
        packets.append(_packet(reply.to_wire()))
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    with path.open("wb") as file:
        file.write(header)
        for number in range(responses):
            packet = packets[number % len(packets)]
            seconds, rest = divmod(number, 10_000)
            size = len(packet)
            file.write(struct.pack("<IIII", NOW + seconds, rest * 100, size, size) + packet)
    return responses


def _packet(message: bytes) -> bytes:
    """Wrap a message in UDP and IPv4; checksums are 0, which captures of offloading cards show."""
    udp = struct.pack(">HHHH", 53, 40_000, 8 + len(message), 0)
    total = 28 + len(message)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, total, 0, 0, 64, 17, 0) + _SERVER + _CLIENT
    return ip + udp + message
