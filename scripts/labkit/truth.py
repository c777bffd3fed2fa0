"""The truth beside a recording: what the lab did and saw, as TOML, and how it was made."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from labkit import topology
from labkit.clients import Observation
from labkit.incident import Incident, Stage, Step
from labkit.keys import SigningKey
from labkit.monitor import Sightings
from labkit.publication import Publication
from labkit.registry import ROTATION

SECOND = 1_000_000_000
Plain = str | int | bool | list["Plain"]
Table = dict[str, Plain]


@dataclass(frozen=True)
class Recording:
    """Everything the lab knows when a recording has ended."""

    incident: Incident
    stage: Stage
    sightings: Sightings
    observations: list[Observation]
    versions: dict[str, str]
    packets: int
    dropped: int
    frames: int

    @property
    def is_outage(self) -> bool:
        """Whether the script broke something."""
        return self.stage.bad_serial is not None


def truth_text(recording: Recording) -> str:
    """Return truth.toml."""
    stage = recording.stage
    parts = ["# Written by scripts/lab; not by hand. Times are UTC, of the clock of the capture."]
    parts.append(_table("", _head(recording)))
    parts.append(_table("capture", _capture(recording)))
    parts.append(_table("ttl", _ttls()))
    if recording.is_outage:
        parts += [_table(f"views.{name}", table) for name, table in _views(recording).items()]
    parts += [_table("[keys]", table) for table in _keys(stage)]
    parts += [_table("[steps]", _step(recording, step)) for step in stage.steps]
    parts += [_table("[servers]", table) for table in _servers(recording)]
    for resolver in topology.RESOLVERS:
        parts.append(
            _table(
                "[resolvers]",
                {
                    "name": resolver.name,
                    "identity": resolver.identity,
                    "addresses": list(resolver.addresses),
                    "software": recording.versions["unbound"],
                    "validating": resolver.validating,
                },
            )
        )
    parts += [_table("[clients]", table) for table in _clients(recording)]
    parts.append(_table("observed", _observed(recording)))
    parts += [_table("[serials]", table) for table in _serials(stage.registry.publication)]
    if recording.is_outage:
        parts.append(_signatures(stage.registry.publication))
    return "\n".join(parts)


def made_text(recording: Recording) -> str:
    """Return MADE.md."""
    incident = recording.incident
    lines = [
        f"# {incident.name}",
        "",
        (
            f"{incident.headline}. Recorded on "
            f"{_time(recording.stage.steps[0].at)[:10]} with `scripts/lab record {incident.name}` "
            "from real servers on the loopback interface of a network namespace; addresses are from "
            "documentation ranges, zones and keys are the lab's own. Private keys were thrown away."
        ),
        "",
        "## Phases (seconds after the start of the clients)",
        *[f"- {phase}" for phase in incident.phases],
        "",
        "## Servers",
        *[f"- {name}: {version}" for name, version in recording.versions.items()],
        "",
        "## Who is who",
    ]
    for server in (*topology.ROOT_SERVERS, *topology.DE_SERVERS):
        zone = "." if server in topology.ROOT_SERVERS else "de."
        lines.append(
            f"- {zone} {server.software}, NSID `{server.nsid}`: {', '.join(server.addresses)}"
        )
    lines += [
        (
            f"- nl. (signed) and zz. (unsigned), the controls: nsd, NSID "
            f"`{topology.CONTROL_SERVER.nsid}`: {', '.join(topology.CONTROL_SERVER.addresses)}"
        ),
        (
            f"- every zone below them: nsd, NSID `{topology.HOSTING_SERVER.nsid}`: "
            f"{', '.join(topology.HOSTING_SERVER.addresses)}"
        ),
        *[
            f"- {'validating' if resolver.validating else 'plain'} Unbound, dnstap identity "
            f"`{resolver.identity}`: {', '.join(resolver.addresses)}"
            for resolver in topology.RESOLVERS
        ],
        f"- monitor (asks the servers directly): {', '.join(topology.MONITOR_ADDRESSES)}",
        "- stubs: " + ", ".join(stub.addresses[0] for stub in topology.STUBS),
        "",
        "## Files",
        (
            f"- `capture.pcap.zst`: tcpdump on `lo`, nanoseconds, {recording.packets} packets, "
            f"{recording.dropped} dropped; UDP checksums are the kernel's partial ones"
        ),
        (
            f"- `unbound.dnstap.zst`: Frame Streams, {recording.frames} frames of both resolvers, "
            "client and resolver messages"
        ),
        "- `unbound.log`: the validating resolver, `val-log-level: 2`, `log-servfail: yes`",
        "- `trust-anchor.ds`: DS of the private root",
        (
            "- `truth.toml`: what the lab did, when it told each server, what its monitor and clients "
            "saw"
        ),
        "",
        (
            "TTLs are seconds instead of hours (see `[ttl]` in the truth); Unbound has "
            f"`val-bogus-ttl: {topology.BOGUS_TTL}` and `aggressive-nsec: no`. A new serial comes "
            f"every {topology.SERIAL_INTERVAL:.0f} s."
        ),
        "",
    ]
    return "\n".join(lines)


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
        "key_tag": stage.shared_keys[0].tag,
        "published_count": len(stage.shared_keys) - len(unpublished),
        "unpublished_count": len(unpublished),
        "types": sorted(bad_types),
        "patterns": ["every-server", "flapping", "server-divergence"],
    }
    return table


def _capture(recording: Recording) -> Table:
    return {
        "file": "capture.pcap.zst",
        "packets": recording.packets,
        "dropped": recording.dropped,
        "dnstap_file": "unbound.dnstap.zst",
        "dnstap_frames": recording.frames,
        "monitor": list(topology.MONITOR_ADDRESSES),
        "monitor_queries": recording.sightings.queries,
        "monitor_timeouts": recording.sightings.timeouts,
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
    }


def _views(recording: Recording) -> dict[str, Table]:
    """Bound the instants at which a verdict can change.

    Published: the acts. Resolver: a name not in its cache needs a fresh proof, so nothing is
    left of any TTL and the act itself is the earliest; what is cached lasts its TTL at most.
    """
    stage = recording.stage
    channels = stage.registry.publication.channels.values()
    assert stage.bad_serial is not None
    assert stage.good_serial is not None
    broken = sorted(_require(c.first_told(stage.bad_serial)) for c in channels)
    repaired = sorted(_require(c.first_told(stage.good_serial)) for c in channels)
    longest = max(topology.TTL_NEGATIVE, topology.TTL_SOA, topology.TTL_DS)
    bad_data = max(longest, topology.BOGUS_TTL)
    return {
        "published": {
            "bad_from": _time(broken[0]),
            "bad_everywhere_from": _time(broken[-1]),
            "good_from": _time(repaired[0]),
            "good_everywhere_from": _time(repaired[-1]),
        },
        "resolver": {
            "bad_from": _time(broken[0]),
            "bad_for_cached_from": _time(broken[0] + longest * SECOND),
            "good_from": _time(repaired[0]),
            "good_everywhere_from": _time(repaired[-1] + bad_data * SECOND),
        },
    }


def _keys(stage: Stage) -> Iterable[Table]:
    unpublished = stage.registry.publication.unpublished
    for key in (stage.world.de_ksk, stage.world.de_zsk, *stage.shared_keys):
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
    told = [
        [name, _time(_require(channel.first_told(step.serial)))]
        for name, channel in publication.channels.items()
    ]
    return {
        "at": _time(step.at),
        "name": step.name,
        "zone": step.zone,
        "serial": step.serial,
        "detail": step.detail,
        "told": [list(pair) for pair in told],
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
                    table[f"told_to_{act}"] = _time(_require(channel.first_told(serial)))
                    first = sightings.first_at_or_after(address, serial)
                    table[f"first_seen_{seen}"] = _time(_require(first))
            yield table


def _clients(recording: Recording) -> Iterable[Table]:
    for stub in topology.STUBS:
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
        table["first_servfail"] = _time(min(times))
        table["last_servfail"] = _time(max(times))
    return table


def _counts(values: Iterable[str]) -> Plain:
    counted = sorted(Counter(values).items())
    return [[value, count] for value, count in counted]


def _serials(publication: Publication) -> Iterable[Table]:
    for version in publication.versions:
        table: Table = {
            "serial": version.serial,
            "made": _time(version.made),
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
        lines.append(f"  {_value([*row, m.digest])},")
    return "\n".join([*lines, "]", ""])


def _table(name: str, table: Table) -> str:
    head = [f"[{name}]"] if name else []
    return "\n".join([*head, *(f"{key} = {_value(value)}" for key, value in table.items()), ""])


def _value(value: Plain) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _time(at: int) -> str:
    whole = dt.datetime.fromtimestamp(at // SECOND, dt.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % SECOND:09d}Z"


def _require(at: int | None) -> int:
    if at is None:
        raise RuntimeError("the lab never saw what it did")
    return at
