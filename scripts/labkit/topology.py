"""Who stands where in the lab: addresses, names, software and TTLs, all from documentation ranges.

Everything below is constant, so two recordings of one incident differ in keys and times alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Software = Literal["nsd", "knot", "bind", "pdns", "unbound"]


@dataclass(frozen=True)
class Server:
    """One authoritative server process: its name, software, NSID and addresses."""

    name: str
    software: Software
    nsid: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Resolver:
    """One recursive resolver process; `identity` is what it puts in its dnstap frames."""

    name: str
    identity: str
    addresses: tuple[str, ...]
    validating: bool
    software: str = "unbound"


@dataclass(frozen=True)
class Stub:
    """One client: its source addresses and the resolvers it asks, in order, on SERVFAIL."""

    name: str
    addresses: tuple[str, ...]
    resolvers: tuple[str, ...]
    dnssec_ok: bool
    retries: int


ROOT_SERVERS = (
    Server("root-a", "nsd", "a1.root.lab", ("198.51.100.1", "2001:db8:53::1")),
    Server("root-b", "knot", "b1.root.lab", ("198.51.100.2", "2001:db8:53::2")),
)
ROOT_NAMES = {"a.rootsrv.": ROOT_SERVERS[0], "b.rootsrv.": ROOT_SERVERS[1]}

DE_NSD = Server("de-nsd", "nsd", "nsd1.fra.nic.de", ("198.51.100.11", "2001:db8:53::11"))
DE_KNOT = Server("de-knot", "knot", "knot1.ams.nic.de", ("198.51.100.12", "2001:db8:53::12"))
DE_BIND = Server("de-bind", "bind", "bind1.sin.nic.de", ("198.51.100.13", "2001:db8:53::13"))
DE_SERVERS = (DE_NSD, DE_KNOT, DE_BIND)
DE_NAMES = {"a.nic.de.": DE_NSD, "f.nic.de.": DE_KNOT, "z.nic.de.": DE_BIND}

CONTROL_SERVER = Server("tld", "nsd", "tld1.lab", ("198.51.100.21", "2001:db8:53::21"))
HOSTING_SERVER = Server(
    "hosting",
    "nsd",
    "host1.hosting.zz",
    ("198.51.100.31", "2001:db8:53::31", "198.51.100.32", "2001:db8:53::32"),
)

VALIDATING = Resolver(
    "unbound", "resolver-1.lab", ("192.0.2.53", "2001:db8:1::53"), validating=True
)
PLAIN = Resolver("plain", "resolver-2.lab", ("192.0.2.54", "2001:db8:1::54"), validating=False)
MITIGATED = Resolver(
    "mitigated", "resolver-3.lab", ("192.0.2.55", "2001:db8:1::55"), validating=True
)
RESOLVERS = (VALIDATING, PLAIN, MITIGATED)

BIND = Resolver("bind", "resolver-4.lab", ("192.0.2.56", "2001:db8:1::56"), True, "bind")
RECURSOR = Resolver(
    "recursor", "resolver-5.lab", ("192.0.2.57", "2001:db8:1::57"), True, "recursor"
)
KRESD = Resolver("kresd", "resolver-6.lab", ("192.0.2.58", "2001:db8:1::58"), True, "kresd")
SIDE_BY_SIDE = (VALIDATING, BIND, RECURSOR, KRESD, PLAIN)
"""Every validating resolver of Debian, and one that does not validate."""

MONITOR_ADDRESSES = ("192.0.2.200", "2001:db8:1::200")

_FIRST4, _FIRST6 = VALIDATING.addresses
_SECOND4, _SECOND6 = PLAIN.addresses
_THIRD4, _THIRD6 = MITIGATED.addresses
STUBS = (
    Stub("stub-01", ("192.0.2.101",), (_FIRST4,), dnssec_ok=False, retries=2),
    Stub("stub-02", ("192.0.2.102",), (_FIRST4,), dnssec_ok=True, retries=1),
    Stub("stub-03", ("192.0.2.103",), (_FIRST4, _FIRST4), dnssec_ok=False, retries=3),
    Stub("stub-04", ("192.0.2.104",), (_FIRST4, _SECOND4), dnssec_ok=False, retries=1),
    Stub("stub-05", ("192.0.2.105",), (_SECOND4,), dnssec_ok=False, retries=1),
    Stub("stub-06", ("2001:db8:1::106",), (_FIRST6,), dnssec_ok=True, retries=2),
    Stub("stub-07", ("2001:db8:1::107",), (_FIRST6, _SECOND6), dnssec_ok=False, retries=1),
    Stub("stub-08", ("2001:db8:1::108",), (_FIRST6,), dnssec_ok=False, retries=0),
    Stub("stub-09", ("192.0.2.109",), (_THIRD4,), dnssec_ok=False, retries=1),
    Stub("stub-10", ("2001:db8:1::110",), (_THIRD6,), dnssec_ok=True, retries=1),
)


def stubs_of(resolvers: Sequence[Resolver]) -> list[Stub]:
    """Return two clients of each resolver, and one that goes on to the last at a SERVFAIL."""
    found = []
    last = resolvers[-1].addresses[0]
    for place, resolver in enumerate(resolvers):
        addresses = resolver.addresses
        first = 101 + 10 * place
        found.append(
            Stub(f"stub-{first}", (f"192.0.2.{first}",), addresses[:1], False, 2),
        )
        family = (f"2001:db8:1::{first + 1}", addresses[1]) if len(addresses) > 1 else None
        source, target = family or (f"192.0.2.{first + 1}", addresses[0])
        found.append(Stub(f"stub-{first + 1}", (source,), (target,), True, 1))
    away = (resolvers[0].addresses[0], last)
    found.append(Stub("stub-181", ("192.0.2.181",), away, False, 1))
    return found


# TTLs in seconds. A real registry uses hours; the lab has minutes for the whole story.
TTL_ROOT = 60
TTL_ROOT_DNSKEY = 60
TTL_DS = 15
TTL_DNSKEY = 15
TTL_DELEGATION = 20
TTL_SOA = 15
TTL_NEGATIVE = 10
TTL_CHILD = 10
TTL_CHILD_DNSKEY = 60
BOGUS_KEY_TTL = 60  # how long Unbound keeps a key it found bogus; not configurable
BOGUS_TTL = 10  # Unbound's val-bogus-ttl (default 60) under the same compression

SERIAL_INTERVAL = 5.0  # seconds between two serials of de.
SIGNATURE_LIFETIME = 14 * 86400
INCEPTION_BACKDATE = 3600

# fmt: off
DE_SIGNED = (
    "amsel.de.", "buche.de.", "dachs.de.", "eiche.de.", "falke.de.", "ginster.de.", "hirse.de.",
    "iltis.de.", "jasmin.de.", "kiefer.de.", "linde.de.", "marder.de.", "nelke.de.", "otter.de.",
    "pappel.de.", "quelle.de.", "raps.de.", "salbei.de.",
)
DE_UNSIGNED = (
    "tanne.de.", "ulme.de.", "veilchen.de.", "wachtel.de.", "ziege.de.", "ahorn.de.", "birke.de.",
    "distel.de.", "elster.de.", "fichte.de.", "garten.de.", "hafen.de.", "insel.de.", "juli.de.",
    "kranich.de.", "lerche.de.", "moor.de.", "nebel.de.", "ostsee.de.", "platz.de.", "rabe.de.",
    "see.de.",
)
# fmt: on
NL_SIGNED = ("dijk.nl.", "molen.nl.", "tulp.nl.")
NL_UNSIGNED = ("fiets.nl.", "gracht.nl.", "polder.nl.")
ZZ_UNSIGNED = ("hosting.zz.", "alpha.zz.", "beta.zz.", "gamma.zz.")


def all_addresses() -> list[str]:
    """Return every address the namespace must hold, each once."""
    found: list[str] = []
    for server in (*ROOT_SERVERS, *DE_SERVERS, CONTROL_SERVER, HOSTING_SERVER):
        found.extend(server.addresses)
    for resolver in (*RESOLVERS, *SIDE_BY_SIDE):
        found.extend(resolver.addresses)
    for stub in (*STUBS, *stubs_of(SIDE_BY_SIDE)):
        found.extend(stub.addresses)
    found.extend(MONITOR_ADDRESSES)
    return list(dict.fromkeys(found))
