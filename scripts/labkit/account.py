"""The truth beside a recording of the small world, as TOML, and the maker's note."""

from collections import Counter
from collections.abc import Iterable

from labkit import places
from labkit.clients import Observation
from labkit.lab import Act, Lab
from labkit.monitor import Sightings
from labkit.resolvers import version_of
from labkit.resolving.unbound import BOGUS_TTL
from labkit.servers import versions
from labkit.toml_text import SECOND, Plain, Table, table_text, time_text
from labkit.topology import BOGUS_KEY_TTL, HOSTING_SERVER

HEAD = "# Written by scripts/lab; not by hand. Times are UTC, of the clock of the capture."
VIEWS = """\
# The earliest instants at which a verdict can change. Published: when the first and the last server
# were told. Resolver: what is not in a cache is fetched at once, so nothing is left of any TTL at
# bad_from and good_from; the other two add the longest TTL that a cache can still hold.
"""


def account_text(
    lab: Lab, sightings: Sightings, observations: list[Observation], counts: dict[str, int]
) -> str:
    """Return truth.toml."""
    plan, truth = lab.plan, lab.plan.truth
    head: Table = {
        "name": plan.name,
        "zone": truth.zone or plan.zones[0].origin,
        "expected": truth.expected,
    }
    head["zones"] = [zone.origin for zone in plan.zones]
    for name in ("reason", "ede", "severity", "triage"):
        if value := getattr(truth, name):
            head[name] = value
    for name in ("also", "patterns", "findings"):
        if value := getattr(truth, name):
            head[name] = list(value)
    head["view"] = truth.view
    if lab.phases:
        head["phases"] = [[time_text(at), reason] for at, reason in lab.phases]
    parts = [HEAD, table_text("", head | dict(lab.notes))]
    capture: Table = {"file": "capture.pcap.zst", "dnstap_file": "resolvers.dnstap.zst"}
    capture |= counts
    capture |= {
        "monitor": list(places.MONITOR),
        "monitor_queries": sightings.queries,
        "monitor_timeouts": sightings.timeouts,
    }
    parts.append(table_text("capture", capture))
    ttls: Table = {zone.origin: zone.ttl for zone in plan.zones}
    ttls |= {"root": plan.root_ttl, "bogus": BOGUS_TTL, "bogus_key": BOGUS_KEY_TTL}
    parts.append(table_text("ttl", {f'"{name}"': value for name, value in ttls.items()}))
    servers = list(_servers(lab, sightings))
    views = _views(lab, servers)
    if views:
        parts.append(VIEWS)
        parts += [table_text(f"views.{name}", table) for name, table in views.items()]
    parts += [table_text("[steps]", _step(lab, sightings, act)) for act in lab.acts]
    parts += [table_text("[servers]", server) for server in servers]
    parts += [table_text("[keys]", table) for table in _keys(lab)]
    parts += [table_text("[mitigations]", table) for table in _mitigations(lab)]
    parts += [table_text("[authorities]", table) for table in _authorities(lab, sightings)]
    parts += [table_text("[resolvers]", table) for table in _resolvers(lab)]
    parts += [table_text("[clients]", table) for table in _clients(lab, observations)]
    parts.append(table_text("observed", _observed(observations)))
    return "\n".join(parts)


def _interval(lab: Lab, sightings: Sightings, act: Act, server: str, address: str) -> list[int]:
    """Return when a server was told, and when an address first showed it: none, one or two."""
    live = lab.world.live[act.zone]
    if act.serial:
        told = live.out.channels[server].first_told(act.serial)
        if told is None:
            return []
        seen = sightings.first_of(address, live.origin, act.serial)
    else:
        told = act.at
        seen = sightings.first_after(address, live.origin, act.at)
    return [told] if seen is None else [told, seen]


def _places(lab: Lab, act: Act) -> Iterable[tuple[str, str]]:
    for server in lab.world.servers[act.zone]:
        if server.name in act.servers:
            for address in server.addresses:
                yield server.name, address


def _step(lab: Lab, sightings: Sightings, act: Act) -> Table:
    told: dict[str, int] = {}
    seen: list[Plain] = []
    for server, address in _places(lab, act):
        interval = _interval(lab, sightings, act, server, address)
        if interval:
            told[server] = interval[0]
        if len(interval) == 2:
            seen.append([address, time_text(interval[1])])
    return {
        "at": time_text(act.at),
        "name": act.name,
        "zone": act.zone,
        "serial": act.serial,
        "effect": act.effect,
        "detail": act.detail,
        "told": [[server, time_text(at)] for server, at in told.items()],
        "first_seen": seen,
    }


def _servers(lab: Lab, sightings: Sightings) -> Iterable[Table]:
    """Bound, address by address, the first change for the worse and the last for the better."""
    tables: dict[tuple[str, str], Table] = {}
    for act in lab.acts:
        if not act.effect:
            continue
        verb = "changed" if act.effect == "change" else "repaired"
        for server, address in _places(lab, act):
            interval = _interval(lab, sightings, act, server, address)
            if not interval:
                continue
            table = tables.setdefault(
                (act.zone, address),
                {
                    "zone": act.zone,
                    "address": address,
                    "name": server,
                    "nsid_seen": sightings.nsids.get(address, ""),
                },
            )
            if f"told_to_{act.effect}" in table and act.effect == "change":
                continue
            table[f"told_to_{act.effect}"] = time_text(interval[0])
            if len(interval) == 2:
                table[f"first_seen_{verb}"] = time_text(interval[1])
    yield from tables.values()


def _views(lab: Lab, servers: list[Table]) -> dict[str, Table]:
    if lab.plan.truth.expected != "incident":
        return {}
    broken = sorted(_texts(servers, "told_to_change"))
    repaired = sorted(_texts(servers, "told_to_repair"))
    # What no server did (a resolver's own copy ran out) is told by the phases alone.
    broken = broken or [at for at, reason in lab.phases if reason][:1]
    repaired = repaired or [at for at, reason in lab.phases if not reason][-1:]
    holds = lab.plan.holds * SECOND
    found: dict[str, Table] = {"published": {}, "resolver": {}}
    for verb, times in (("bad", broken), ("good", repaired)):
        if not times:
            continue
        last = times[-1] + holds
        if verb == "good":
            last = times[-1] + (BOGUS_TTL + BOGUS_KEY_TTL) * SECOND
        found["published"][f"{verb}_from"] = time_text(times[0])
        found["published"][f"{verb}_everywhere_from"] = time_text(times[-1])
        found["resolver"][f"{verb}_from"] = time_text(times[0])
        name = "bad_for_cached_from" if verb == "bad" else "good_everywhere_from"
        found["resolver"][name] = time_text(last)
    if lab.plan.truth.view == "resolver":
        del found["published"]
    return found


def _texts(servers: list[Table], name: str) -> Iterable[int]:
    import datetime as dt

    for server in servers:
        if name in server:
            text = str(server[name])
            whole = dt.datetime.fromisoformat(text[:19]).replace(tzinfo=dt.UTC)
            yield int(whole.timestamp()) * SECOND + int(text[20:29])


def _keys(lab: Lab) -> Iterable[Table]:
    seen = set()
    for live in lab.world.live.values():
        for key in lab.keys_of(live):
            if key.label not in seen:
                seen.add(key.label)
                yield {
                    "label": key.label,
                    "zone": live.plan.origin,
                    "role": key.role,
                    "tag": key.tag,
                    "algorithm": int(key.dnskey.algorithm),
                    "published": key.label not in lab.hidden,
                    "public_key": key.public_text,
                    "public_key_sha256": key.public_digest,
                }


def _mitigations(lab: Lab) -> Iterable[Table]:
    for done in lab.mitigations:
        yield {
            "at": time_text(done.at),
            "kind": done.kind,
            "resolver": places.RESOLVERS[done.resolver].addresses[0],
            "name": done.resolver,
            "zone": lab.plan.zones[0].origin,
            "command": done.command,
        }


def _authorities(lab: Lab, sightings: Sightings) -> Iterable[Table]:
    found = versions()
    zones: dict[str, list[str]] = {}
    servers = {HOSTING_SERVER.name: HOSTING_SERVER}
    for origin, some in lab.world.servers.items():
        for server in some:
            servers[server.name] = server
            zones.setdefault(server.name, []).append(origin)
    for name, server in servers.items():
        yield {
            "name": name,
            "zones": list(zones.get(name, ["children"])),
            "software": found[server.software],
            "nsid": server.nsid,
            "nsid_seen": sightings.nsids.get(server.addresses[0], ""),
            "addresses": list(server.addresses),
        }


def _resolvers(lab: Lab) -> Iterable[Table]:
    for name in lab.plan.resolvers:
        resolver = places.RESOLVERS[name]
        yield {
            "name": name,
            "identity": resolver.identity,
            "addresses": list(resolver.addresses),
            "software": version_of(resolver),
            "validating": resolver.validating,
            "options": list((lab.plan.options or {}).get(name, ())),
        }


def _clients(lab: Lab, observations: list[Observation]) -> Iterable[Table]:
    for stub in places.stubs(lab.plan.resolvers):
        seen = [o for o in observations if o.client == stub.addresses[0]]
        yield {
            "name": stub.name,
            "address": stub.addresses[0],
            "resolvers": list(stub.resolvers),
            "dnssec_ok": stub.dnssec_ok,
            "queries": len(seen),
            "servfail": sum(o.rcode == "SERVFAIL" for o in seen),
        }


def _observed(observations: list[Observation]) -> Table:
    failed = [o for o in observations if o.rcode == "SERVFAIL"]
    by_resolver = Counter(o.resolver for o in failed)
    table: Table = {
        "queries": len(observations),
        "servfail": len(failed),
        "timeouts": sum(o.rcode == "TIMEOUT" for o in observations),
        "authentic": sum(o.authentic for o in observations),
        "servfail_by_kind": _counted(Counter(o.kind for o in failed)),
        "servfail_by_resolver": _counted(by_resolver),
        "queries_by_kind": _counted(Counter(o.kind for o in observations)),
        "ede": _counted(Counter(str(code) for o in observations for code in o.ede)),
    }
    times = [o.received for o in failed if o.received is not None]
    if times:
        table["first_servfail"] = time_text(min(times))
        table["last_servfail"] = time_text(max(times))
    return table


def _counted(counter: "Counter[str]") -> Plain:
    return [[name, count] for name, count in sorted(counter.items())]


def note_text(lab: Lab) -> str:
    """Return MADE.md."""
    plan = lab.plan
    lines = [f"# {plan.name}", ""]
    lines.append(
        f"{plan.headline}. Recorded on {time_text(lab.acts[0].at)[:10]} with "
        f"`scripts/lab record {plan.name}` from real servers on the loopback interface of a "
        "network namespace. Addresses are from documentation ranges; zones and keys are the lab's "
        "own, and the private keys were thrown away. TTLs are seconds instead of hours."
    )
    lines += ["", "## What happens (seconds after the start of the clients)"]
    lines += [f"- {phase}" for phase in plan.phases]
    lines += ["", "## Who is who"]
    for origin, servers in lab.world.servers.items():
        for server in servers:
            addresses = ", ".join(server.addresses)
            lines.append(f"- {origin} {server.software}, NSID `{server.nsid}`: {addresses}")
    addresses = ", ".join(HOSTING_SERVER.addresses)
    lines.append(f"- every zone below them: nsd, NSID `{HOSTING_SERVER.nsid}`: {addresses}")
    for name in plan.resolvers:
        resolver = places.RESOLVERS[name]
        version = version_of(resolver)
        kind = "validating" if resolver.validating else "not validating"
        addresses = ", ".join(resolver.addresses)
        options = (plan.options or {}).get(name, ())
        told = f"; {'; '.join(options)}" if options else ""
        lines.append(f"- {kind} {version}, `{resolver.identity}`: {addresses}{told}")
    lines.append(f"- monitor (asks the servers directly): {', '.join(places.MONITOR)}")
    lines += [
        "",
        "## Files",
        "- `capture.pcap.zst`: tcpdump on `lo`, nanoseconds; checksums are those of loopback",
        (
            "- `resolvers.dnstap.zst`: Frame Streams of every resolver that speaks dnstap (Unbound "
            "and BIND both sides, Recursor its upstream side, Knot Resolver its client side)"
        ),
        "- `*.log`: the validating resolvers' own logs",
        "- `trust-anchor.ds`: DS of the private root",
        "- `truth.toml`: what the lab did and told each server, what monitor and clients saw",
        "",
    ]
    return "\n".join(lines)
