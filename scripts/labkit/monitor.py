"""The operator's monitor: asks each authoritative address directly and notes what it first sees."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
from dns.name import Name
from dns.rdatatype import RdataType

from labkit import topology
from labkit.topology import Server

TIMEOUT = 2.0
UDP_PAYLOAD = 1232


@dataclass
class Sightings:
    """When the monitor first received each serial from each address, and who answered."""

    serials: dict[str, dict[int, int]] = field(default_factory=dict)
    nsids: dict[str, str] = field(default_factory=dict)
    answered: dict[str, dict[Name, list[int]]] = field(default_factory=dict)
    zones: dict[str, dict[Name, dict[int, int]]] = field(default_factory=dict)
    queries: int = 0
    timeouts: int = 0

    def first_at_or_after(self, address: str, serial: int) -> int | None:
        """Return when the address first answered with this serial or a later one (ns)."""
        seen = self.serials.get(address, {})
        return min((at for number, at in seen.items() if number >= serial), default=None)

    def first_of(self, address: str, zone: Name, serial: int) -> int | None:
        """Return when the address first showed this serial of a zone, or a later one (ns)."""
        seen = self.zones.get(address, {}).get(zone, {})
        return min((at for number, at in seen.items() if number >= serial), default=None)

    def first_after(self, address: str, zone: Name, at: int) -> int | None:
        """Return when the address first answered about a zone after an instant (ns)."""
        times = self.answered.get(address, {}).get(zone, [])
        return min((time for time in times if time > at), default=None)


@dataclass(frozen=True)
class Watch:
    """A question put again and again to one address."""

    address: str
    rdtype: str
    interval: float
    owner: Callable[[], Name]
    tcp: bool = False


def watches(servers: tuple[Server, ...], zone: Name) -> list[Watch]:
    """Return the questions for the servers of a zone: SOA often, keys and denial now and then."""
    counter = itertools.count(1)

    def absent() -> Name:
        return dns.name.from_text(f"monitor-{next(counter):04d}", zone)

    def apex() -> Name:
        return zone

    found = []
    for server in servers:
        for address in server.addresses:
            four = ":" not in address
            found.append(Watch(address, "SOA", 1.0 if four else 2.0, apex))
            if four:
                found.append(Watch(address, "DNSKEY", 5.0, apex))
                found.append(Watch(address, "A", 8.0, absent))
            else:
                found.append(Watch(address, "DNSKEY", 15.0, apex, tcp=True))
    return found


def parent_watches(servers: tuple[Server, ...], zone: Name) -> list[Watch]:
    """Return the questions for the servers of the parent: the DS of the zone, and the serial."""
    addresses = [a for server in servers for a in server.addresses if ":" not in a]
    found = [Watch(address, "DS", 5.0, lambda: zone) for address in addresses]
    found += [Watch(address, "SOA", 5.0, lambda: dns.name.root) for address in addresses]
    return found


def small_watches(servers: tuple[Server, ...], zone: Name, slow: int) -> list[Watch]:
    """Return the questions of a short recording: `slow` stretches all intervals."""
    counter = itertools.count(1)

    def absent() -> Name:
        return dns.name.from_text(f"monitor-{next(counter):04d}", zone)

    def apex() -> Name:
        return zone

    found = []
    for server in servers:
        four, six = server.addresses[:2]
        found.append(Watch(four, "SOA", 1.0 * slow, apex))
        found.append(Watch(six, "SOA", 2.0 * slow, apex))
        found.append(Watch(four, "DNSKEY", 4.0 * slow, apex))
        found.append(Watch(six, "DNSKEY", 12.0 * slow, apex, tcp=True))
        found.append(Watch(four, "A", 5.0 * slow, absent))
    return found


async def poll(watch: Watch, sightings: Sightings) -> None:
    """Ask one question for ever."""
    source = topology.MONITOR_ADDRESSES[":" in watch.address]
    rdtype = dns.rdatatype.from_text(watch.rdtype)
    due = time.monotonic()
    while True:
        await _ask(watch, source, rdtype, sightings)
        due += watch.interval
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _ask(watch: Watch, source: str, rdtype: RdataType, sightings: Sightings) -> None:
    address = watch.address
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    query = dns.message.make_query(
        watch.owner(), rdtype, use_edns=0, want_dnssec=True, payload=UDP_PAYLOAD, options=[nsid]
    )
    query.flags &= ~dns.flags.RD
    sightings.queries += 1
    try:
        if watch.tcp:
            response = await dns.asyncquery.tcp(query, address, timeout=TIMEOUT, source=source)
        else:
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, address, timeout=TIMEOUT, source=source
            )
    except (dns.exception.DNSException, OSError):
        sightings.timeouts += 1
        return
    now = time.time_ns()
    for option in response.options:
        if option.otype == dns.edns.OptionType.NSID:
            sightings.nsids[address] = option.to_wire().decode("ascii", "replace")
    for rrset in response.answer:
        if rrset.rdtype == dns.rdatatype.SOA and rdtype == dns.rdatatype.SOA:
            sightings.serials.setdefault(address, {}).setdefault(rrset[0].serial, now)
            zones = sightings.zones.setdefault(address, {})
            zones.setdefault(rrset.name, {}).setdefault(rrset[0].serial, now)
            answered = sightings.answered.setdefault(address, {})
            answered.setdefault(rrset.name, []).append(now)
