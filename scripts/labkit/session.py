"""One recording, inside the namespace: start, play, stop, write."""

import asyncio
import signal
import time
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name

from labkit import topology
from labkit.clients import Observation, run_stub
from labkit.incident import Incident, Stage
from labkit.made import made_text
from labkit.monitor import Sightings, parent_watches, poll, watches
from labkit.publication import Channel, Publication
from labkit.recorder import DnstapCollector, PacketRecorder, compress
from labkit.recording import Recording
from labkit.registry import Registry, one_key
from labkit.resolvers import copy_log, start_resolver
from labkit.servers import Running, start_authority, versions
from labkit.topology import Server
from labkit.truth import truth_text
from labkit.zones import DE, World, build_world

START_SECONDS = 15.0
OPTIONS = {"unbound": (f"val-bogus-ttl: {topology.BOGUS_TTL}", "infra-host-ttl: 60")}
LAGS = {"de-nsd": 0.0, "de-knot": 0.7, "de-bind": 1.5}


async def record(incident: Incident, work: Path, out: Path) -> None:
    """Record an incident and write its folder."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    world = build_world()
    anchors = tuple(world.trust_anchor.splitlines())
    (work / "trust-anchor.ds").write_text(world.trust_anchor)
    collector = DnstapCollector(work / "resolvers.dnstap", work / "dnstap.sock")
    await collector.start()
    running: list[Running] = []
    tasks: list[asyncio.Task[None]] = []
    observations: list[Observation] = []
    sightings = Sightings()
    packets: PacketRecorder | None = None
    try:
        authorities = _start_authorities(world, work, running)
        for authority in running:
            for address in authority.server.addresses:
                await _wait_for(address, authority.zones[0])
        packets = PacketRecorder.start(work / "capture.pcap")
        resolvers = {}
        for resolver in incident.resolvers:
            options = OPTIONS.get(resolver.software, ())
            running.append(start_resolver(resolver, anchors, work, collector.socket, options))
            resolvers[resolver.name] = running[-1]
        for resolver in incident.resolvers:
            await _wait_for(resolver.addresses[0], ".")
        stage = _stage(world, authorities, resolvers)
        tasks += [asyncio.create_task(run_stub(stub, observations)) for stub in incident.stubs]
        questions = watches(topology.DE_SERVERS, DE)
        questions += parent_watches(topology.ROOT_SERVERS, DE)
        tasks += [asyncio.create_task(poll(watch, sightings)) for watch in questions]
        await incident.script(stage)
        await stage.registry.publication.close()
        await stage.root.close()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(3.0)  # resolvers finish, dnstap buffers empty
        for server in reversed(running):
            await asyncio.to_thread(server.stop)
        await collector.stop()
        captured, dropped = packets.stop() if packets else (0, 0)
    recording = Recording(
        incident, stage, sightings, observations, versions(), captured, dropped, collector.frames
    )
    await asyncio.to_thread(_write, recording, work, out)


def _write(recording: Recording, work: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    compress(work / "capture.pcap", out / "capture.pcap.zst")
    compress(work / "resolvers.dnstap", out / recording.incident.dnstap_file)
    for resolver in recording.incident.resolvers:
        copy_log(resolver, work, out)
    (out / "trust-anchor.ds").write_text((work / "trust-anchor.ds").read_text())
    logs = {path.name for path in out.glob("*.log")}
    (out / "truth.toml").write_text(truth_text(recording, logs))
    (out / "MADE.md").write_text(made_text(recording))


def _start_authorities(world: World, work: Path, running: list[Running]) -> dict[str, Running]:
    plan: list[tuple[tuple[Server, ...], list[tuple[str, str]]]] = [
        (topology.ROOT_SERVERS, [(".", world.root.to_text())]),
        (topology.DE_SERVERS, [("de.", world.de.to_text())]),
        ((topology.CONTROL_SERVER,), [(z.origin.to_text(), z.to_text()) for z in world.controls]),
        ((topology.HOSTING_SERVER,), [(z.origin.to_text(), z.to_text()) for z in world.children]),
    ]
    found = {}
    for servers, zones in plan:
        for server in servers:
            found[server.name] = start_authority(server, dict(zones), work)
            running.append(found[server.name])
    return found


def _stage(world: World, authorities: dict[str, Running], resolvers: dict[str, Running]) -> Stage:
    de_channels = {s.name: Channel(authorities[s.name], LAGS[s.name]) for s in topology.DE_SERVERS}
    root_channels = {s.name: Channel(authorities[s.name], 0.0) for s in topology.ROOT_SERVERS}
    registry = Registry(Publication(world.de, de_channels), one_key(world.de_zsk), "healthy")
    root = Publication(world.root, root_channels)
    return Stage(world, registry, root, resolvers, started=time.monotonic())


async def _wait_for(address: str, origin: str) -> None:
    """Wait until a server answers for its zone."""
    source = topology.MONITOR_ADDRESSES[":" in address]
    query = dns.message.make_query(origin, "SOA")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            response = await dns.asyncquery.udp(query, address, timeout=1.0, source=source)
        except (dns.exception.DNSException, OSError):
            await asyncio.sleep(0.2)
            continue
        if response.answer:
            return
        await asyncio.sleep(0.2)
    raise RuntimeError(f"{address} does not answer for {origin}")
