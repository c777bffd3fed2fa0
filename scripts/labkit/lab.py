"""The running small world as a script sees it: acts with their truth, and the operator's hand."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from labkit.incident import Mitigation
from labkit.keys import Role, SigningKey, make
from labkit.live import LiveZone
from labkit.plan import Plan
from labkit.resolvers import control
from labkit.servers import Running
from labkit.small_world import SmallWorld

Effect = Literal["", "change", "repair"]
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Act:
    """What was done, when (ns), to which zone; a serial if a new version carried it.

    `servers` names the servers that it touched when no serial tells.
    """

    at: int
    name: str
    zone: str
    detail: str
    effect: Effect
    serial: int = 0
    servers: tuple[str, ...] = ()


@dataclass
class Lab:
    """The world, its processes, and what the script has done so far."""

    plan: Plan
    world: SmallWorld
    authorities: dict[str, Running] = field(default_factory=dict)
    resolvers: dict[str, Running] = field(default_factory=dict)
    started: float = 0.0
    acts: list[Act] = field(default_factory=list)
    phases: list[tuple[int, str]] = field(default_factory=list)
    mitigations: list[Mitigation] = field(default_factory=list)
    operations: list[Mitigation] = field(default_factory=list)
    made: dict[str, list[SigningKey]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    files: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: dict[str, int | str] = field(default_factory=dict)
    before_bump: Callable[[LiveZone], None] | None = None
    background: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def root(self) -> LiveZone:
        """The root zone."""
        return self.world.root

    @property
    def zone(self) -> LiveZone:
        """The first of the tested zones."""
        return self.world.live[self.plan.zones[0].origin]

    @property
    def parent(self) -> LiveZone:
        """The parent of the first of the tested zones."""
        assert self.zone.parent is not None
        return self.zone.parent

    @property
    def zones(self) -> list[LiveZone]:
        """All tested zones."""
        return [self.world.live[zone.origin] for zone in self.plan.zones]

    async def at(self, seconds: float) -> None:
        """Wait until so many seconds after the start; new serials come meanwhile."""
        while True:
            elapsed = time.monotonic() - self.started
            interval = self.plan.serial_interval
            slot = (int(elapsed / interval) + 1) * interval
            if slot >= seconds - 0.5:
                await asyncio.sleep(max(0.0, seconds - elapsed))
                return
            await asyncio.sleep(slot - elapsed)
            for live in self.zones:
                if self.before_bump:
                    self.before_bump(live)
                live.bump("routine")

    def key(
        self, label: str, role: Role, algorithm: int = 0, *, hidden: bool = False
    ) -> SigningKey:
        """Make a key for the tested zone and keep it for the truth; `hidden` is never published."""
        made = make(algorithm or self.zone.plan.algorithm, label, role)
        self.keep(self.zone, made, hidden=hidden)
        return made

    def keep(self, live: LiveZone, *keys: SigningKey, hidden: bool = False) -> None:
        """Keep keys for the truth."""
        self.made.setdefault(live.plan.origin, []).extend(keys)
        if hidden:
            self.hidden += [key.label for key in keys]

    def keys_of(self, live: LiveZone) -> list[SigningKey]:
        """Return every key the zone ever had."""
        return [*self.made.get(live.plan.origin, []), *live.keys]

    def publish(
        self,
        live: LiveZone,
        name: str,
        detail: str,
        effect: Effect = "",
        *,
        only: tuple[str, ...] = (),
    ) -> int:
        """Send the zone as it stands to its servers (or to `only` these from now on)."""
        if only:
            live.out.hold(*(n for n in live.out.channels if n not in only))
        version = live.bump(name)
        servers = tuple(n for n in live.out.channels if not only or n in only)
        self._note(
            Act(version.made, name, live.plan.origin, detail, effect, version.serial, servers)
        )
        return version.made

    def record(
        self,
        name: str,
        live: LiveZone,
        detail: str,
        effect: Effect = "",
        *,
        at: int = 0,
        servers: tuple[str, ...] | None = None,
    ) -> None:
        """Write down what happens without a new serial, now or at the given time (ns)."""
        names = tuple(live.out.channels) if servers is None else servers
        when = at or time.time_ns()
        self._note(Act(when, name, live.plan.origin, detail, effect, 0, names))

    def phase(self, reason: str) -> None:
        """Say what is wrong from now on; nothing wrong is the empty reason."""
        self.phases.append((time.time_ns(), reason))

    async def mitigate(self, resolver: str, kind: str, *orders: tuple[str, ...]) -> None:
        """Give a resolver its operator's orders as one mitigation, and write down when."""
        await self.operate(resolver, *orders)
        self.mitigations.append(Mitigation(time.time_ns(), kind, resolver, " ".join(orders[0])))

    async def operate(self, resolver: str, *orders: tuple[str, ...]) -> None:
        """Give a resolver its operator's orders; what is no mitigation is kept apart."""
        for order in orders:
            said = await asyncio.to_thread(control, self.resolvers[resolver], *order)
            print(f"{self.elapsed:7.1f} s  {resolver}: {' '.join(order)}: {said}", flush=True)
            self.operations.append(Mitigation(time.time_ns(), "order", resolver, " ".join(order)))

    async def flush(self, zone: str) -> None:
        """Let the operators of Unbound, BIND and Recursor flush a zone, as they do after a repair.

        Unbound keeps a key it found bogus for a minute, which is longer than the recording has.
        """
        orders = {
            "unbound": ("flush_zone", zone),
            "unbound-2": ("flush_zone", zone),
            "bind": ("flushtree", zone),
            "recursor": ("wipe-cache", f"{zone}$"),
        }
        for name in self.resolvers:
            if name in orders:
                await self.operate(name, orders[name])

    def in_background(self, task: asyncio.Task[None]) -> None:
        """Keep a task to the end of the recording."""
        self.background.append(task)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def _note(self, act: Act) -> None:
        self.acts.append(act)
        print(f"{self.elapsed:7.1f} s  {act.zone} {act.name}: {act.detail}", flush=True)


def filter_packets(*rules: str) -> None:
    """Drop what these nftables rules match, inside the namespace, before it reaches a socket."""
    table = "add table inet lab; flush table inet lab;"
    chain = "add chain inet lab in { type filter hook input priority 0; };"
    text = table + chain + "".join(f"add rule inet lab in {rule};" for rule in rules)
    subprocess.run(["nft", text], check=True)
