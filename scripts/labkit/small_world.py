"""The lab's small world: a signed root, two control TLDs, the tested zones and what is below."""

import time
from dataclasses import dataclass, field

import dns.name
import dns.rdatatype

from labkit import places
from labkit.keys import SigningKey, make, make_ecdsa
from labkit.live import LiveZone
from labkit.plan import Plan, ZonePlan
from labkit.signing import Zone
from labkit.topology import CONTROL_SERVER, HOSTING_SERVER, ROOT_SERVERS, Server

SECOND = 1_000_000_000
HOSTING = ("ns1.hosting.zz.", "ns2.hosting.zz.")
NL = ZonePlan("nl.", ("nsd",), chain="nsec", signed=("dijk", "molen"), unsigned=("fiets", "polder"))
ZZ = ZonePlan(
    "zz.", ("nsd",), signed=(), unsigned=("hosting", "alpha", "beta", "gamma"), is_signed=False
)


@dataclass
class SmallWorld:
    """Every zone by name: `live` have keys a script may change, `children` stand still."""

    live: dict[str, LiveZone]
    servers: dict[str, tuple[Server, ...]]
    children: list[Zone]
    anchors: list[SigningKey] = field(default_factory=list)

    @property
    def root(self) -> LiveZone:
        """The root zone."""
        return self.live["."]

    def anchor_text(self) -> str:
        """Return the DS of each root KSK, one a line."""
        return "".join(
            f". IN DS {key.ds(dns.name.root).to_text()}\n" for key in self.anchors or self.root.ksks
        )


def build(plan: Plan, *, signed: bool = True) -> SmallWorld:
    """Make all keys and zones; everything is healthy, and signed unless the world is not to be."""
    world = SmallWorld({}, {}, [])
    parents = sorted({zone.parent for zone in plan.zones} - {"."} - {z.origin for z in plan.zones})
    tops = [ZonePlan(name, ("nsd",), ttl=plan.root_ttl, signed=(), unsigned=()) for name in parents]
    root_plan = ZonePlan(
        ".", ("nsd", "knot"), 8, "nsec", plan.root_ttl, (), (), (), is_signed=signed
    )
    deepest_first = [*reversed(plan.zones), *tops, NL, ZZ]
    for zone_plan in deepest_first:
        tested = zone_plan in plan.zones
        servers = _servers(zone_plan) if tested else (CONTROL_SERVER,)
        _make(world, zone_plan, servers, signed=signed and zone_plan.is_signed)
    root = _make(world, root_plan, ROOT_SERVERS, signed=signed)
    for live in world.live.values():
        if live is not root:
            live.parent = world.live[live.plan.parent]
    return world


def _servers(plan: ZonePlan) -> tuple[Server, ...]:
    return tuple(places.zone_server(n, software) for n, software in enumerate(plan.servers, 1))


def _make(
    world: SmallWorld, plan: ZonePlan, servers: tuple[Server, ...], *, signed: bool
) -> LiveZone:
    zone = _new(plan.origin, plan.ttl)
    names = _server_names(plan.origin, servers)
    zone.add(plan.origin, plan.ttl * 2, "NS", *names)
    for name, server in names.items():
        _add_addresses(zone, name, server.addresses, plan.ttl * 2)
    for number, host in enumerate(dict.fromkeys(plan.hosts), 1):
        owner = f"{host}.{plan.origin}"
        zone.add(owner, plan.ttl, "A", f"203.0.113.{number}")
        zone.add(owner, plan.ttl, "AAAA", f"2001:db8:80::{number:x}")
    for label in (*plan.signed, *plan.unsigned):
        _add_child(world, zone, plan, label, signed=signed and label in plan.signed)
    for below in world.live.values():
        if below.plan.parent == plan.origin and below.origin != zone.origin:
            _delegate(zone, below, world.servers[below.plan.origin], plan.ttl)
    label = plan.origin.rstrip(".") or "root"
    ksk = make(plan.algorithm, f"{label}-ksk", "ksk")
    zsk = make(plan.algorithm, f"{label}-zsk", "zsk")
    live = LiveZone(plan, zone, [ksk], [zsk])
    if signed:
        live.publish_keys(ksk, zsk)
        live.rebuild_denial()
        live.resign()
    else:
        live.ksks, live.zsks = [], []
    world.live[plan.origin] = live
    world.servers[plan.origin] = servers
    return live


def _new(origin: str, ttl: int) -> Zone:
    serial = time.time_ns() // SECOND
    zone = Zone(dns.name.from_text(origin), serial)
    soa = f"ns1.hosting.zz. hostmaster.lab. {serial} 3600 900 604800 {ttl}"
    zone.add(origin, ttl, "SOA", soa)
    return zone


def _server_names(origin: str, servers: tuple[Server, ...]) -> dict[str, Server]:
    if origin == ".":
        return dict(places.ROOT_NAMES)
    return {f"ns{number}.{origin}": server for number, server in enumerate(servers, 1)}


def _add_addresses(zone: Zone, owner: str, addresses: tuple[str, ...], ttl: int) -> None:
    for rdtype in ("A", "AAAA"):
        texts = [a for a in addresses if (":" in a) == (rdtype == "AAAA")]
        zone.add(owner, ttl, rdtype, *texts)


def _delegate(zone: Zone, below: LiveZone, servers: tuple[Server, ...], ttl: int) -> None:
    names = _server_names(below.plan.origin, servers)
    zone.add(below.plan.origin, ttl * 2, "NS", *names)
    for name, server in names.items():
        _add_addresses(zone, name, server.addresses, ttl * 2)
    if below.ksks:
        zone.put(below.origin, ttl, [key.ds(below.origin) for key in below.ksks])


def _add_child(world: SmallWorld, zone: Zone, plan: ZonePlan, label: str, *, signed: bool) -> None:
    """Delegate a child and make its zone; a signed one has a single key for everything."""
    origin = f"{label}.{plan.origin}" if plan.origin != "." else f"{label}."
    number = len(world.children) + 20
    child = _new(origin, plan.ttl)
    names = HOSTING
    if origin == "hosting.zz.":
        halves = (HOSTING_SERVER.addresses[:2], HOSTING_SERVER.addresses[2:])
        for name, addresses in zip(names, halves, strict=True):
            _add_addresses(zone, name, addresses, plan.ttl * 2)
            _add_addresses(child, name, addresses, plan.ttl * 2)
    zone.add(origin, plan.ttl * 2, "NS", *names)
    child.add(origin, plan.ttl * 2, "NS", *names)
    for owner in (origin, f"www.{origin}", f"mail.{origin}"):
        child.add(owner, plan.ttl, "A", f"203.0.113.{number}")
        child.add(owner, plan.ttl, "AAAA", f"2001:db8:80::{number:x}")
    child.add(origin, plan.ttl, "MX", f"10 mail.{origin}")
    if signed:
        key: SigningKey = make_ecdsa(f"{origin}csk", "csk")
        live = LiveZone(ZonePlan(origin, chain="nsec", ttl=plan.ttl), child, [key], [key])
        live.publish_keys(key)
        live.rebuild_denial()
        live.resign()
        zone.put(child.origin, plan.ttl, [key.ds(child.origin)])
    world.children.append(child)
