"""One failing answer in the words of the protocol: what a client got, or what a server sent."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from forensics import vocabulary
from forensics.timeline.moments import Moment, rfc3339

RECORDS: Final = 8
"""Records of one RRset that are quoted."""

LINE: Final = 240
"""Characters of one quoted line: a signature of RSA with 2048 bits is cut, its head is not."""

_RRSIG: Final = struct.Struct("!HBBIIIH")
"""Type covered, algorithm, labels, original TTL, expiration, inception, key tag (RFC 4034 3.1)."""


def of_lookup(batch: Any, row: int) -> list[str]:
    """Quote a response to a client in the way of dig, from a row of schemas.TRANSACTIONS."""
    import dns.edns
    import dns.rcode

    told = {name: batch[name][row].as_py() for name in _ASKED}
    flags = ["qr", *(name for name in ("aa", "tc", "rd", "ra", "ad", "cd") if told[name])]
    status = dns.rcode.to_text(dns.rcode.Rcode.make(told["rcode"] or 0))
    lines = [
        f"; {told['server']} to {told['client']}",
        f";; status: {status}, id: {told['id']}, flags: {' '.join(flags)}",
    ]
    if told["ede"] is not None:
        try:
            name = dns.edns.EDECode(told["ede"]).name.replace("_", " ").title()
        except ValueError:
            name = "unassigned"
        name = name.replace("Dnssec", "DNSSEC").replace("Dnskey", "DNSKEY")
        text = f": {told['ede_text']}" if told["ede_text"] else ""
        lines.append(f";; EDE: {told['ede']} ({name}){text}")
    if told["qname"] is not None and told["qtype"] is not None:
        lines.append(f";{told['qname']}  IN  {type_name(told['qtype'])}")
    return [line[:LINE] for line in lines]


_ASKED: Final = (
    "server", "client", "rcode", "id", "aa", "tc", "rd", "ra", "ad", "cd", "ede", "ede_text",
    "qname", "qtype",
)  # fmt: skip


def of_signature(row: Mapping[str, Any]) -> list[str]:
    """Quote a signed RRset with its RRSIG, from a row of schemas.SIGNATURES.

    The records stand in canonical form, as they were signed (RFC 4034 3.1.8.1). Empty where the
    octets do not read as records.
    """
    import base64

    import dns.exception
    import dns.name
    import dns.rdata

    data = row["signed_data"] or b""
    try:
        covered, algorithm, labels, ttl, expires, begins, tag = _RRSIG.unpack_from(data)
        signer, used = dns.name.from_wire(data, _RRSIG.size)
        at = _RRSIG.size + used
        lines: list[str] = []
        while at < len(data) and len(lines) < RECORDS:
            owner, used = dns.name.from_wire(data, at)
            kind, rdclass, original, size = struct.unpack_from("!HHIH", data, at + used)
            at += used + 10
            rdata = dns.rdata.from_wire(rdclass, kind, data, at, size)
            lines.append(f"{owner}  {original}  IN  {type_name(kind)}  {rdata}")
            at += size
    except (struct.error, dns.exception.DNSException, ValueError, IndexError):
        return []
    signature = base64.b64encode(row["octets"] or b"").decode("ascii")
    lines.append(
        f"{row['owner']}  {ttl}  IN  RRSIG  {type_name(covered)} {algorithm} {labels} {ttl} "
        f"{_date(expires)} {_date(begins)} {tag} {signer} {signature}"
    )
    return [line[:LINE] for line in lines]


def _date(seconds: int) -> str:
    """Give the presentation form of a time in an RRSIG (RFC 4034 3.2)."""
    text = rfc3339(seconds * 1_000_000_000)
    return "".join(letter for letter in text[:19] if letter.isdigit())


def type_name(number: int) -> str:
    """Give a record type's mnemonic."""
    import dns.rdatatype

    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


def row_of(moment: Moment, lines: list[str], paths: Mapping[int, str]) -> dict[str, Any]:
    """Give `quote` as the report has it."""
    return {"capture": paths.get(moment.capture, "?"), "frame": moment.frame, "lines": lines}


def link_of(record_type: int) -> str:
    """Name the kind of link that a record type makes in a chain of trust."""
    return {
        vocabulary.TYPE_DS: "ds",
        vocabulary.TYPE_DNSKEY: "dnskey",
        vocabulary.TYPE_NSEC: "denial",
        vocabulary.TYPE_NSEC3: "denial",
    }.get(record_type, "rrset")
