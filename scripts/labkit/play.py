"""One recording in the small world, inside the namespace: start, play, stop, write."""

import asyncio
import signal
import time
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name

from labkit import places, small_world
from labkit.account import account_text, note_text
from labkit.clients import Observation, run_stub
from labkit.lab import Lab
from labkit.monitor import Sightings, Watch, poll, small_watches
from labkit.plan import Plan
from labkit.publication import Channel, Publication
from labkit.questions import chooser_of
from labkit.recorder import DnstapCollector, PacketRecorder, compress
from labkit.resolvers import copy_log, start_resolver
from labkit.servers import Running, start_authority
from labkit.topology import HOSTING_SERVER, Server

START_SECONDS = 20.0


async def record(plan: Plan, work: Path, out: Path) -> None:
    """Record a plan and write its folder."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    unsigned = "unsigned-world" in (plan.options or {})
    lab = Lab(plan, small_world.build(plan, signed=not unsigned))
    if plan.prepare:
        plan.prepare(lab)
    anchor = work / "trust-anchor.ds"
    anchor.write_text(lab.world.anchor_text() or unrelated_anchor())
    anchors = tuple(lab.world.anchor_text().splitlines())
    collector = DnstapCollector(work / "resolvers.dnstap", work / "dnstap.sock")
    await collector.start()
    running: list[Running] = []
    tasks: list[asyncio.Task[None]] = []
    observations: list[Observation] = []
    sightings = Sightings()
    packets: PacketRecorder | None = None
    try:
        await _start_authorities(lab, work, running)
        packets = PacketRecorder.start(work / "capture.pcap")
        for name in plan.resolvers:
            running.append(_start_resolver(lab, name, anchors, work, collector.socket))
            lab.resolvers[name] = running[-1]
        for name in plan.resolvers:
            await wait_for(places.RESOLVERS[name].addresses[0], "zz.", whatever=True)
        lab.started = time.monotonic()
        choose = chooser_of(plan)
        stubs = places.stubs(plan.resolvers)
        tasks += [asyncio.create_task(run_stub(stub, observations, choose)) for stub in stubs]
        tasks += [asyncio.create_task(poll(watch, sightings)) for watch in _watches(lab)]
        await plan.script(lab)
        for live in lab.world.live.values():
            if live.publication:
                await live.publication.close()
    finally:
        tasks += lab.background
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(2.0)  # resolvers finish, dnstap buffers empty
        for server in reversed(running):
            await asyncio.to_thread(server.stop)
        await collector.stop()
        captured, dropped = packets.stop() if packets else (0, 0)
    await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
    compress(work / "capture.pcap", out / "capture.pcap.zst")
    compress(work / "resolvers.dnstap", out / "resolvers.dnstap.zst")
    for name in plan.resolvers:
        copy_log(places.RESOLVERS[name], work, out)
    (out / "trust-anchor.ds").write_text(anchor.read_text())
    counts = {"packets": captured, "dropped": dropped, "dnstap_frames": collector.frames}
    (out / "truth.toml").write_text(account_text(lab, sightings, observations, counts))
    (out / "MADE.md").write_text(note_text(lab))


def unrelated_anchor() -> str:
    """Return the DS of a key that signs nothing: the analyzer's, where the world is unsigned.

    The resolvers of such a world validate without any anchor, or they would fail every question.
    """
    from labkit.keys import make_ecdsa

    return f". IN DS {make_ecdsa('unrelated', 'ksk').ds(dns.name.root).to_text()}\n"


async def _start_authorities(lab: Lab, work: Path, running: list[Running]) -> None:
    world = lab.world
    zones: dict[Server, dict[str, str]] = {}
    for origin, servers in world.servers.items():
        for server in servers:
            zones.setdefault(server, {})[origin] = world.live[origin].zone.to_text()
    zones[HOSTING_SERVER] = {zone.origin.to_text(): zone.to_text() for zone in world.children}
    for server, texts in zones.items():
        lab.authorities[server.name] = start_authority(server, texts, work)
        running.append(lab.authorities[server.name])
    for server, texts in zones.items():
        for address in server.addresses:
            await wait_for(address, next(iter(texts)))
    for origin, servers in world.servers.items():
        channels = {
            server.name: Channel(lab.authorities[server.name], lag)
            for server, lag in zip(servers, places.LAGS, strict=False)
        }
        live = world.live[origin]
        live.publication = Publication(live.zone, channels)


def _start_resolver(
    lab: Lab, name: str, anchors: tuple[str, ...], work: Path, socket: Path
) -> Running:
    options = (lab.plan.options or {}).get(name, ())
    files = {file: text for (owner, file), text in lab.files.items() if owner == name}
    return start_resolver(places.RESOLVERS[name], anchors, work, socket, options, files)


def _watches(lab: Lab) -> list[Watch]:
    found: list[Watch] = []
    slow = max(1, len(lab.plan.zones) // 2)
    for live in lab.zones:
        found += small_watches(lab.world.servers[live.plan.origin], live.origin, slow)
    parents = {live.plan.parent: live for live in lab.zones if live.plan.origin != "."}
    for parent, live in parents.items():
        if parent in {zone.origin for zone in lab.plan.zones}:
            continue
        for server in lab.world.servers[parent]:
            for address in server.addresses[:1]:
                found.append(Watch(address, "SOA", 2.0, lambda p=parent: dns.name.from_text(p)))  # type: ignore[misc]
                found.append(Watch(address, "DS", 3.0, lambda n=live.origin: n))  # type: ignore[misc]
    return found


async def wait_for(address: str, origin: str, *, whatever: bool = False) -> None:
    """Wait until a server answers for its zone, or says whatever: a wrong clock fails always."""
    source = places.MONITOR[":" in address]
    query = dns.message.make_query(origin, "SOA")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            response = await dns.asyncquery.udp(query, address, timeout=1.0, source=source)
        except (dns.exception.DNSException, OSError):
            await asyncio.sleep(0.2)
            continue
        if response.answer or whatever:
            return
        await asyncio.sleep(0.2)
    raise RuntimeError(f"{address} does not answer for {origin}")
