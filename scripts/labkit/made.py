"""The maker's note beside a recording."""

from labkit import topology
from labkit.recording import Recording
from labkit.resolvers import version_of
from labkit.toml_text import time_text


def made_text(recording: Recording) -> str:
    """Return MADE.md."""
    incident = recording.incident
    lines = [
        f"# {incident.name}",
        "",
        (
            f"{incident.headline}. Recorded on {time_text(recording.stage.steps[0].at)[:10]} with "
            f"`scripts/lab record {incident.name}` from real servers on the loopback interface of "
            "a network namespace. Addresses are from documentation ranges; zones and keys are the "
            "lab's own, and the private keys were thrown away."
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
            "- nl. (signed) and zz. (unsigned), the controls: nsd, NSID "
            f"`{topology.CONTROL_SERVER.nsid}`: {', '.join(topology.CONTROL_SERVER.addresses)}"
        ),
        (
            f"- every zone below them: nsd, NSID `{topology.HOSTING_SERVER.nsid}`: "
            f"{', '.join(topology.HOSTING_SERVER.addresses)}"
        ),
        *[
            f"- {'validating' if resolver.validating else 'plain'} {version_of(resolver)}, dnstap "
            f"identity `{resolver.identity}`: {', '.join(resolver.addresses)}"
            for resolver in incident.resolvers
        ],
        f"- monitor (asks the servers directly): {', '.join(topology.MONITOR_ADDRESSES)}",
        "- stubs: " + ", ".join(stub.addresses[0] for stub in incident.stubs),
        "",
        "## Files",
        (
            f"- `capture.pcap.zst`: tcpdump on `lo`, nanoseconds, {recording.packets} packets, "
            f"{recording.dropped} dropped, in the order the kernel gave them (a few times step "
            "back); UDP and TCP checksums are the partial ones of loopback"
        ),
        (
            f"- `{incident.dnstap_file}`: Frame Streams, {recording.frames} frames of all "
            "resolvers (the identity tells them apart): Unbound and BIND both sides, Recursor its "
            "upstream side, Knot Resolver its client side"
        ),
        (
            "- `*.log`: the validating resolvers' own logs (Unbound with `val-log-level: 2`, "
            "`log-servfail: yes`)"
        ),
        "- `trust-anchor.ds`: DS of the private root",
        "- `truth.toml`: what the lab did and told each server, what monitor and clients saw",
        "",
        (
            "TTLs are seconds instead of hours (see `[ttl]` in the truth); Unbound has "
            f"`val-bogus-ttl: {topology.BOGUS_TTL}` and `aggressive-nsec: no`. A new serial comes "
            f"every {topology.SERIAL_INTERVAL:.0f} s."
        ),
        "",
    ]
    return "\n".join(lines)
