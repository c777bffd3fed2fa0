"""The truth beside a recording: what the lab did and saw, as TOML."""

from collections import Counter
from collections.abc import Collection, Iterable

from labkit import topology
from labkit.incident import Stage, Step
from labkit.keys import SigningKey
from labkit.publication import Publication
from labkit.recording import Recording
from labkit.registry import ROTATION
from labkit.resolvers import version_of
from labkit.toml_text import SECOND, Plain, Table, table_text, time_text, value_text

VIEWS = """\
# The earliest instants at which a verdict can change. Published: the lab's acts, first and last
# server. Resolver: a proof that is not in the cache is fetched at once, so the act itself is the
# earliest for bad_from and good_from; the other two add the longest TTL a cache can still hold
# (data for bad_for_cached_from; a bogus answer and then a bogus key for good_everywhere_from).
"""


def truth_text(recording: Recording, logs: Collection[str]) -> str:
    """Return truth.toml; `logs` are the names of the resolvers' logs that there are."""
    stage = recording.stage
    parts = ["# Written by scripts/lab; not by hand. Times are UTC, of the clock of the capture."]
    parts.append(table_text("", _head(recording)))
    parts.append(table_text("capture", _capture(recording)))
    parts.append(table_text("ttl", _ttls()))
    parts.append(table_text("zones", _zones()))
    if recording.is_outage:
        parts.append(VIEWS)
        parts += [table_text(f"views.{name}", table) for name, table in _views(recording).items()]
    parts += [table_text("[keys]", table) for table in _keys(stage)]
    parts += [table_text("[steps]", _step(recording, step)) for step in stage.steps]
    parts += [table_text("[servers]", table) for table in _servers(recording)]
    parts += [table_text("[mitigations]", table) for table in _mitigations(stage)]
    parts += [table_text("[authorities]", table) for table in _authorities(recording)]
    for resolver in recording.incident.resolvers:
        log = f"{resolver.name}.log"
        parts.append(
            table_text(
                "[resolvers]",
                {
                    "name": resolver.name,
                    "identity": resolver.identity,
                    "addresses": list(resolver.addresses),
                    "software": version_of(resolver),
                    "validating": resolver.validating,
                    "log": log if log in logs else "",
                },
            )
        )
    parts += [table_text("[clients]", table) for table in _clients(recording)]
    parts.append(table_text("observed", _observed(recording)))
    parts += [table_text("[serials]", table) for table in _serials(stage.registry.publication)]
    if recording.is_outage:
        parts.append(_signatures(stage.registry.publication))
    return "\n".join(parts)


def _head(recording: Recording) -> Table:
    stage, incident = recording.stage, recording.incident
    table: Table = {"name": incident.name, "zone": "de.", "expected": incident.expected}
    table["algorithm"] = 13
    if not recording.is_outage:
        return table
    unpublished = stage.registry.publication.unpublished
    bad_types = {t for v in stage.registry.publication.versions for t in v.bad}
    table |= {
        "reason": "signature-invalid",
        "ede": 6,
        "key_tag": stage.new_keys[0].tag,
        "published_count": len(stage.new_keys) - len(unpublished),
        "unpublished_count": len(unpublished),
        "types": sorted(bad_types),
        "patterns": ["every-server", "flapping"],
    }
    return table


def _capture(recording: Recording) -> Table:
    return {
        "file": "capture.pcap.zst",
        "packets": recording.packets,
        "dropped": recording.dropped,
        "dnstap_file": recording.incident.dnstap_file,
        "dnstap_frames": recording.frames,
        "monitor": list(topology.MONITOR_ADDRESSES),
        "monitor_queries": recording.sightings.queries,
        "monitor_timeouts": recording.sightings.timeouts,
    }


def _zones() -> Table:
    return {
        "signed_below": ["nic.de.", *topology.DE_SIGNED],
        "unsigned_below": list(topology.DE_UNSIGNED),
        "controls": [
            "nl.",
            *topology.NL_SIGNED,
            *topology.NL_UNSIGNED,
            "zz.",
            *topology.ZZ_UNSIGNED,
        ],
    }


def _mitigations(stage: Stage) -> Iterable[Table]:
    for done in stage.mitigations:
        resolver = stage.resolvers[done.resolver].server
        yield {
            "at": time_text(done.at),
            "kind": done.kind,
            "resolver": resolver.addresses[0],
            "name": resolver.name,
            "zone": "de.",
            "command": done.command,
        }


def _authorities(recording: Recording) -> Iterable[Table]:
    """List the servers of the other zones; those of de. are under `servers`."""
    others = (*topology.ROOT_SERVERS, topology.CONTROL_SERVER, topology.HOSTING_SERVER)
    zones = {
        topology.CONTROL_SERVER.name: ["nl.", "zz."],
        topology.HOSTING_SERVER.name: ["children"],
    }
    for server in others:
        yield {
            "name": server.name,
            "zones": list(zones.get(server.name, ["."])),
            "software": recording.versions[server.software],
            "nsid": server.nsid,
            "addresses": list(server.addresses),
        }


def _ttls() -> Table:
    return {
        "soa": topology.TTL_SOA,
        "negative": topology.TTL_NEGATIVE,
        "dnskey": topology.TTL_DNSKEY,
        "ds": topology.TTL_DS,
        "delegation": topology.TTL_DELEGATION,
        "child": topology.TTL_CHILD,
        "bogus": topology.BOGUS_TTL,
        "bogus_key": topology.BOGUS_KEY_TTL,
    }


def _views(recording: Recording) -> dict[str, Table]:
    """Bound the instants at which a verdict can change.

    Published: the acts. Resolver: a name not in its cache needs a fresh proof, so nothing is
    left of any TTL and the act itself is the earliest; what is cached lasts its TTL at most.
    A bogus answer kept for its TTL can still mark a key as bogus, which is kept longer.
    """
    stage = recording.stage
    channels = stage.registry.publication.channels.values()
    assert stage.bad_serial is not None
    assert stage.good_serial is not None
    broken = sorted(_require(c.first_told(stage.bad_serial)) for c in channels)
    repaired = sorted(_require(c.first_told(stage.good_serial)) for c in channels)
    longest = max(topology.TTL_NEGATIVE, topology.TTL_SOA, topology.TTL_DS)
    bogus = topology.BOGUS_TTL + topology.BOGUS_KEY_TTL
    return {
        "published": {
            "bad_from": time_text(broken[0]),
            "bad_everywhere_from": time_text(broken[-1]),
            "good_from": time_text(repaired[0]),
            "good_everywhere_from": time_text(repaired[-1]),
        },
        "resolver": {
            "bad_from": time_text(broken[0]),
            "bad_for_cached_from": time_text(broken[0] + longest * SECOND),
            "good_from": time_text(repaired[0]),
            "good_everywhere_from": time_text(repaired[-1] + bogus * SECOND),
        },
    }


def _keys(stage: Stage) -> Iterable[Table]:
    unpublished = stage.registry.publication.unpublished
    for key in (stage.world.de_ksk, stage.world.de_zsk, *stage.new_keys):
        yield _key(key, published=key.label not in unpublished)


def _key(key: SigningKey, *, published: bool) -> Table:
    return {
        "label": key.label,
        "role": key.role,
        "tag": key.tag,
        "algorithm": int(key.dnskey.algorithm),
        "published": published,
        "public_key": key.public_text,
        "public_key_sha256": key.public_digest,
    }


def _step(recording: Recording, step: Step) -> Table:
    stage = recording.stage
    publication = stage.root if step.zone == "." else stage.registry.publication
    told, seen = [], []
    for name, channel in publication.channels.items():
        told.append([name, time_text(_require(channel.first_told(step.serial)))])
        for address in channel.running.server.addresses:
            first = recording.sightings.first_at_or_after(address, step.serial)
            if first is not None:
                seen.append([address, time_text(first)])
    return {
        "at": time_text(step.at),
        "name": step.name,
        "zone": step.zone,
        "serial": step.serial,
        "detail": step.detail,
        "told": told,
        "first_seen": seen,
    }


def _servers(recording: Recording) -> Iterable[Table]:
    stage, sightings = recording.stage, recording.sightings
    for server in topology.DE_SERVERS:
        channel = stage.registry.publication.channels[server.name]
        for address in server.addresses:
            table: Table = {
                "address": address,
                "name": server.name,
                "software": recording.versions[server.software],
                "nsid": server.nsid,
                "nsid_seen": sightings.nsids.get(address, ""),
            }
            acts = (
                ("change", "changed", stage.bad_serial),
                ("repair", "repaired", stage.good_serial),
            )
            for act, seen, serial in acts:
                if serial is not None:
                    table[f"told_to_{act}"] = time_text(_require(channel.first_told(serial)))
                    first = sightings.first_at_or_after(address, serial)
                    table[f"first_seen_{seen}"] = time_text(_require(first))
            yield table


def _clients(recording: Recording) -> Iterable[Table]:
    for stub in recording.incident.stubs:
        seen = [o for o in recording.observations if o.client == stub.addresses[0]]
        yield {
            "name": stub.name,
            "address": stub.addresses[0],
            "resolvers": list(stub.resolvers),
            "dnssec_ok": stub.dnssec_ok,
            "queries": len(seen),
            "servfail": sum(o.rcode == "SERVFAIL" for o in seen),
        }


def _observed(recording: Recording) -> Table:
    """Sum up what the clients saw: SERVFAIL is about de. unless the kind is a control."""
    seen = recording.observations
    failed = [o for o in seen if o.rcode == "SERVFAIL"]
    table: Table = {
        "queries": len(seen),
        "servfail": len(failed),
        "timeouts": sum(o.rcode == "TIMEOUT" for o in seen),
        "authentic": sum(o.authentic for o in seen),
        "servfail_names": len({o.name for o in failed}),
        "servfail_by_kind": _counts(o.kind for o in failed),
        "queries_by_kind": _counts(o.kind for o in seen),
        "ede": _counts(str(code) for o in failed for code in o.ede),
        "servfail_without_ede": sum(not o.ede for o in failed),
    }
    times = [o.received for o in failed if o.received is not None]
    if times:
        table["first_servfail"] = time_text(min(times))
        table["last_servfail"] = time_text(max(times))
    return table


def _counts(values: Iterable[str]) -> Plain:
    counted = sorted(Counter(values).items())
    return [[value, count] for value, count in counted]


def _serials(publication: Publication) -> Iterable[Table]:
    for version in publication.versions:
        table: Table = {
            "serial": version.serial,
            "made": time_text(version.made),
            "phase": version.phase,
        }
        for rdtype, owners in version.bad.items():
            table[f"bad_{rdtype}"] = list(owners)
        yield table


def _signatures(publication: Publication) -> str:
    """List every signature under the shared tag: owner, type, first serial, key, verifies, id."""
    made = publication.watched.values()
    good = sum(m.key.label not in publication.unpublished for m in made)
    lines = [
        "# Every signature made under the shared tag, in the order of making: owner, type, first",
        "# serial, key, whether the published key verifies it, and the first 16 hexadecimal digits",
        f"# of SHA-256 over its signature field. A serial signs 1/{ROTATION} of the others anew.",
        "[shared_tag]",
        f"signatures = {len(made)}",
        f"verify = {good}",
        f"fail = {len(made) - good}",
        "list = [",
    ]
    for m in made:
        verifies = m.key.label not in publication.unpublished
        row: list[Plain] = [m.owner.to_text(), m.rdtype.name, m.serial, m.key.label, verifies]
        lines.append(f"  {value_text([*row, m.digest])},")
    return "\n".join([*lines, "]", ""])


def _require(at: int | None) -> int:
    if at is None:
        raise RuntimeError("the lab never saw what it did")
    return at
