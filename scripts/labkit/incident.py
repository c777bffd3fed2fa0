"""What a script acts on, and what it leaves behind for the truth."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from labkit import topology
from labkit.keys import SigningKey
from labkit.publication import Publication, Version
from labkit.registry import Registry
from labkit.resolvers import control
from labkit.servers import Running
from labkit.topology import Resolver, Stub
from labkit.zones import World


@dataclass(frozen=True)
class Step:
    """One act of the operator: when (ns), what, and the zone and serial that carried it."""

    at: int
    name: str
    detail: str
    zone: str
    serial: int


@dataclass(frozen=True)
class Mitigation:
    """What a resolver's operator did, and when it was done (ns)."""

    at: int
    kind: str
    resolver: str
    command: str


@dataclass
class Stage:
    """The running lab as a script sees it."""

    world: World
    registry: Registry
    root: Publication
    resolvers: dict[str, Running]
    started: float = 0.0
    steps: list[Step] = field(default_factory=list)
    bad_serial: int | None = None
    good_serial: int | None = None
    new_keys: list[SigningKey] = field(default_factory=list)
    mitigations: list[Mitigation] = field(default_factory=list)

    async def until(self, seconds: float) -> None:
        """Wait until so many seconds after the start, bumping the serial meanwhile."""
        while True:
            elapsed = time.monotonic() - self.started
            slot = (int(elapsed / topology.SERIAL_INTERVAL) + 1) * topology.SERIAL_INTERVAL
            if slot >= seconds - 0.5:
                await asyncio.sleep(max(0.0, seconds - elapsed))
                return
            await asyncio.sleep(slot - elapsed)
            self.registry.bump()

    def note(self, version: Version, zone: str, name: str, detail: str) -> None:
        """Write an act down that this version of the zone carried."""
        self.steps.append(Step(version.made, name, detail, zone, version.serial))
        print(f"{time.monotonic() - self.started:7.1f} s  {name}: {detail}", flush=True)

    async def mitigate(self, resolver: str, kind: str, *commands: tuple[str, ...]) -> None:
        """Give a resolver its operator's commands, and write down when they were done."""
        for command in commands:
            await self.operate(resolver, *command)
            self.mitigations.append(Mitigation(time.time_ns(), kind, resolver, " ".join(command)))

    async def operate(self, resolver: str, *command: str) -> None:
        """Give a resolver its operator's command."""
        said = await asyncio.to_thread(control, self.resolvers[resolver], *command)
        elapsed = time.monotonic() - self.started
        print(f"{elapsed:7.1f} s  {resolver}: {' '.join(command)}: {said}", flush=True)

    def stagger(self, publication: Publication, delays: dict[str, float]) -> None:
        """Hold each server and release it after its delay (seconds from now)."""
        for name, delay in delays.items():
            publication.hold(name)
            asyncio.get_running_loop().call_later(delay, publication.release, name)


@dataclass(frozen=True)
class Incident:
    """A recording the lab can make: the phases in words, the resolvers, their clients, the script.

    Without resolvers of its own it has two Unbounds and one that does not validate.
    """

    name: str
    headline: str
    expected: str
    phases: tuple[str, ...]
    script: Callable[[Stage], Awaitable[None]]
    resolvers: tuple[Resolver, ...] = topology.RESOLVERS

    @property
    def stubs(self) -> tuple[Stub, ...]:
        """The clients of its resolvers."""
        if self.resolvers == topology.RESOLVERS:
            return topology.STUBS
        return tuple(topology.stubs_of(self.resolvers))

    @property
    def dnstap_file(self) -> str:
        """The name of the dnstap file: of Unbound alone, or of several programs."""
        programs = {resolver.software for resolver in self.resolvers}
        return f"{'unbound' if len(programs) == 1 else 'resolvers'}.dnstap.zst"
