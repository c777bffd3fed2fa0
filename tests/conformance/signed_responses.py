"""Responses that dnspython signs and writes, captured, and explained as a validator would see them.

The keys, the signatures and the wire form are dnspython's and `cryptography`'s; what must follow of
them is what the RFC in question says.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from forensics.explain import Asker
from forensics.ingest import ingest
from forensics.keyring import anchors
from forensics.options import Options

NOW = 1_770_000_000
"""2026-02-02 02:40 UTC."""


class Signer:
    """A zone with one key.

    Args:
        zone: its name.
        algorithm: 13, or one of RSA.
        seed: of the P-256 key.
    """

    def __init__(self, zone: str, algorithm: int = 13, seed: int = 4711, flags: int = 257) -> None:
        self.zone = dns.name.from_text(zone)
        if algorithm == 13:
            self.private = ec.derive_private_key(seed, ec.SECP256R1())
        else:
            self.private = rsa.generate_private_key(65537, 1024)
        self.key = dns.dnssec.make_dnskey(self.private.public_key(), algorithm, flags=flags)

    @property
    def anchor(self) -> str:
        return f"{self.zone} IN DNSKEY {self.key.to_text()}"

    @property
    def keys(self) -> list[dns.rrset.RRset]:
        return self.sign(self.zone.to_text(), "DNSKEY", self.key.to_text())

    def ds(self, digest: str = "SHA256") -> str:
        return dns.dnssec.make_ds(
            self.zone, self.key, digest, policy=dns.dnssec.allow_all_policy
        ).to_text()

    def sign(
        self, owner: str, kind: str, *texts: str, times: tuple[int, int] = (-99, 9_999_999),
        ttl: int = 300,
    ) -> list[dns.rrset.RRset]:  # fmt: skip
        """An RRset with its RRSIG; `times`: seconds from NOW."""
        rrset = dns.rrset.from_text(owner, ttl, "IN", kind, *texts)
        made = dns.dnssec.sign(
            rrset, self.private, self.zone, self.key, verify=False,
            inception=(NOW + times[0]) % 2**32, expiration=(NOW + times[1]) % 2**32,
            policy=dns.dnssec.allow_all_policy,
        )  # fmt: skip
        return [rrset, dns.rrset.from_rdata(rrset.name, ttl, made)]

    def soa(self) -> list[dns.rrset.RRset]:
        return self.sign(self.zone.to_text(), "SOA", ". . 1 7200 3600 1209600 300")


class Exchange(NamedTuple):
    """A question with its response."""

    name: str
    kind: str
    answer: Sequence[dns.rrset.RRset] = ()
    authority: Sequence[dns.rrset.RRset] = ()
    rcode: int = 0
    aa: bool = True


def _packet(message: dns.message.Message, number: int, *, out: bool) -> bytes:
    data = message.to_wire(max_size=65_535)
    ports = (40_000 + number, 53) if out else (53, 40_000 + number)
    ends = [b"\xc6\x33\x64\x35", b"\xc0\x00\x02\x01"][:: 1 if out else -1]
    udp = struct.pack(">HHHH", *ports, 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return head + b"".join(ends) + udp


class Explained:
    """Exchanges, a second apart from NOW on, captured and asked of one minute later."""

    def __init__(
        self, folder: Path, trusted: Sequence[str], exchanges: Sequence[Exchange],
        policy: str = "strict", now: int = NOW,
    ) -> None:  # fmt: skip
        parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)]
        for number, one in enumerate(exchanges):
            query = dns.message.make_query(one.name, one.kind, want_dnssec=True, id=number)
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.AA if one.aa else 0
            reply.set_rcode(one.rcode)
            reply.answer, reply.authority = list(one.answer), list(one.authority)
            for message, out in ((query, True), (reply, False)):
                data = _packet(message, number, out=out)
                at = struct.pack("<IIII", now + number, 0 if out else 900, *[len(data)] * 2)
                parts.append(at + data)
        file, anchor = folder / "responses.pcap", folder / "anchors"
        file.write_bytes(b"".join(parts))
        anchor.write_text("".join(f"{line}\n" for line in trusted))
        result = ingest([str(file)], folder / "tables")
        assert not result.errors
        self._asker = Asker(folder / "tables", Options(policy=policy), anchors.read(anchor))
        self._at = (now + 60) * 10**9

    def __call__(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason."""
        told = self.told(name, kind)
        return told["status"], told["reason"]

    def told(self, name: str, kind: str) -> dict:
        number = int(dns.rdatatype.from_text(kind))
        return self._asker.ask(dns.name.from_text(name).canonicalize().to_text(), number, self._at)
