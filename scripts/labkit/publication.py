"""How versions of a zone reach its servers: each with its own lag, or held back for a while."""

import asyncio
import time
from dataclasses import dataclass, field

from labkit.servers import Running
from labkit.signing import MadeSignature, Zone


@dataclass(frozen=True)
class Version:
    """One serial of a zone as it was handed out; `bad` lists owners by type."""

    serial: int
    made: int
    phase: str
    text: str
    bad: dict[str, list[str]]


@dataclass
class Channel:
    """The way to one server: its usual lag in seconds, and what it was told when (ns)."""

    running: Running
    lag: float
    held: bool = False
    told: dict[int, int] = field(default_factory=dict)

    def first_told(self, serial: int) -> int | None:
        """Return when the server was first told this serial or a later one."""
        return min((at for number, at in self.told.items() if number >= serial), default=None)


@dataclass
class Publication:
    """A zone, the signatures that no published key verifies, and the ways to its servers."""

    zone: Zone
    channels: dict[str, Channel]
    versions: list[Version] = field(default_factory=list)
    unpublished: set[str] = field(default_factory=set)
    watched_tag: int | None = None
    watched: dict[str, MadeSignature] = field(default_factory=dict)
    _deliveries: set[asyncio.Task[None]] = field(default_factory=set)

    def publish(self, phase: str) -> Version:
        """Make a version of the zone as it stands and send it on its way to every server."""
        origin = self.zone.origin
        bad: dict[str, list[str]] = {}
        for signatures in self.zone.signatures.values():
            for made in signatures:
                if made.key.tag == self.watched_tag and made.key.role == "zsk":
                    self.watched.setdefault(made.digest, made)
                if made.key.label in self.unpublished:
                    owners = bad.setdefault(made.rdtype.name, [])
                    owners.append(made.owner.relativize(origin).to_text())
        bad = {rdtype: sorted(owners) for rdtype, owners in sorted(bad.items())}
        version = Version(self.zone.serial, time.time_ns(), phase, self.zone.to_text(), bad)
        self.versions.append(version)
        for channel in self.channels.values():
            if not channel.held:
                self._later(channel, version, channel.lag)
        return version

    def hold(self, *names: str) -> None:
        """Let no later version reach these servers until they are released."""
        for name in names:
            self.channels[name].held = True

    def release(self, name: str) -> None:
        """Hand the newest version to a server that was held."""
        channel = self.channels[name]
        channel.held = False
        self._later(channel, self.versions[-1], 0.0)

    async def close(self) -> None:
        """Wait for deliveries under way."""
        await asyncio.gather(*self._deliveries)

    def _later(self, channel: Channel, version: Version, lag: float) -> None:
        task = asyncio.create_task(self._deliver(channel, version, lag))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, channel: Channel, version: Version, lag: float) -> None:
        await asyncio.sleep(lag)
        newest = max(channel.told, default=0)
        if channel.held or version.serial <= newest:
            return
        channel.running.write_zone(self.zone.origin.to_text(), version.text)
        channel.told[version.serial] = time.time_ns()
        channel.running.reload()
