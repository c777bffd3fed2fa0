"""Render one exchange: the query and response messages of a scene, in wire form."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import numpy as np

from benchkit.zones import TTL, LabZone, Signed

LABEL_OCTETS = 10
MARKER = "v" * LABEL_OCTETS
"""Stands in a question name where a scene's labels are stamped."""
EDNS_PAYLOAD = 1_232
SERVER_PREFIX = "2001:db8:53::"
"""Network of the name servers; the IPv4 addresses are in 192.0.2.0/24."""


def no_labels() -> np.ndarray:
    """Return the empty label table of a scene with a fixed name."""
    return np.zeros((0, LABEL_OCTETS), dtype=np.uint8)


@dataclass(frozen=True)
class Scene:
    """One exchange.

    A scene with labels stands for many names: the marker in its question name is
    overwritten by one of the labels, and all of them share the scene's signatures.
    """

    family: str
    host: int
    """Index of the answering server."""
    query: bytes
    response: bytes
    labels: np.ndarray = field(default_factory=no_labels)
    """uint8[n, LABEL_OCTETS]: what may stand in place of the marker."""


def exchange(
    family: str,
    zone: LabZone,
    owner: dns.name.Name,
    rdtype: str,
    *,
    answer: Sequence[Signed | dns.rrset.RRset] = (),
    authority: Sequence[Signed | dns.rrset.RRset] = (),
    labels: np.ndarray | None = None,
    edns: bool = True,
) -> Scene:
    """Render the query of owner and type at the zone's server, and the response to it.

    The query has DO and the response is signed, but for the family "plain"; a
    referral (by family) has glue and no AA. Ids are zero.
    """
    question = dns.rrset.RRset(owner, dns.rdataclass.IN, dns.rdatatype.from_text(rdtype))
    query = dns.message.QueryMessage(id=0)
    query.question.append(question)
    response = dns.message.QueryMessage(id=0)
    response.question.append(question)
    referral = family.startswith("referral")
    response.flags = dns.flags.QR if referral else dns.flags.QR | dns.flags.AA
    if family == "nxdomain":
        response.set_rcode(dns.rcode.NXDOMAIN)
    response.answer = flatten(answer)
    response.authority = flatten(authority)
    if referral:
        response.additional = glue(authority[0], zone.host)
    if edns:
        flags = 0 if family == "plain" else dns.flags.DO
        query.use_edns(0, flags, EDNS_PAYLOAD)
        response.use_edns(0, flags, EDNS_PAYLOAD, options=[nsid(zone.host)] if zone.host else [])
        if zone.host:
            query.use_edns(0, flags, EDNS_PAYLOAD, options=[dns.edns.NSIDOption(b"")])
    return Scene(
        family,
        zone.host,
        query.to_wire(max_size=65_535),
        response.to_wire(max_size=65_535),
        no_labels() if labels is None else labels,
    )


def nsid(host: int) -> dns.edns.Option:
    """Name the instance of a server."""
    return dns.edns.NSIDOption(f"lab-{host}".encode())


def name_servers(zone: dns.name.Name, host: int) -> dns.rrset.RRset:
    """Make the unsigned NS RRset of a delegation, with its name servers inside the zone."""
    names = [f"{label}.{zone}" for label in ("ns1", "ns2")[: 1 + host % 2]]
    return dns.rrset.from_text(zone, TTL, "IN", "NS", *names)


def glue(servers: Signed | dns.rrset.RRset, host: int) -> list[dns.rrset.RRset]:
    """Make the addresses of the name servers in an NS RRset."""
    if isinstance(servers, tuple):
        raise TypeError("an NS RRset at a delegation is not signed")
    found = []
    for number, rdata in enumerate(servers):
        found.append(
            dns.rrset.from_text(rdata.target, TTL, "IN", "A", f"203.0.113.{host + number}")
        )
        address = f"{SERVER_PREFIX}{host + number}:1"
        found.append(dns.rrset.from_text(rdata.target, TTL, "IN", "AAAA", address))
    return found


def flatten(section: Sequence[Signed | dns.rrset.RRset]) -> list[dns.rrset.RRset]:
    """Lay signed RRsets out as a section, each before its RRSIG."""
    found: list[dns.rrset.RRset] = []
    for item in section:
        found.extend(item if isinstance(item, tuple) else [item])
    return found
