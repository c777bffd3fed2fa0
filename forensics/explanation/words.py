"""The plain words that sentences of an explanation are made of."""

from __future__ import annotations

from collections.abc import Iterable

from forensics.explanation.records import Response

_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
    39: "DNAME", 43: "DS", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 50: "NSEC3", 59: "CDS",
    60: "CDNSKEY", 64: "SVCB", 65: "HTTPS", 255: "ANY", 257: "CAA",
}  # fmt: skip


def said(name: str) -> str:
    """Write a name within a sentence: without its final dot, and the root in letters."""
    return "the root" if name == "." else name.removesuffix(".")


def type_text(kind: int) -> str:
    """Return a type's mnemonic, `TYPE123` where it has none (RFC 3597 5)."""
    if kind in _TYPES:
        return _TYPES[kind]
    import dns.rdatatype

    return str(dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind)))


def rcode_text(code: int | None) -> str | None:
    """Return an RCODE's mnemonic; None: no response was captured."""
    if code is None:
        return None
    import dns.rcode

    return str(dns.rcode.to_text(dns.rcode.Rcode.make(code)))


def server_text(response: Response) -> str:
    """Name the responder: its address, and its NSID if it gave one."""
    return f"{response.server} ({response.nsid})" if response.nsid else response.server


def tags_text(keys: Iterable[tuple[int, int]]) -> str:
    """Name keys by tag and algorithm."""
    found = sorted(set(keys))
    if not found:
        return "no key"
    listed = ", ".join(f"{tag} (algorithm {algorithm})" for tag, algorithm in found[:6])
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""
    return f"key {listed}{more}" if len(found) == 1 else f"keys {listed}{more}"
