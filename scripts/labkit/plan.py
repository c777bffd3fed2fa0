"""What a recording consists of: the zone that its script acts on, the resolvers, the script."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from labkit.lab import Lab

Expected = Literal["incident", "near-miss", "no incident"]
Algorithm = Literal[8, 13, 15]


@dataclass(frozen=True)
class ZonePlan:
    """A zone under its own servers; `signed` and `unsigned` are delegations, `hosts` its own names.

    `ttl` (seconds) is that of all its data. A parent other than the root is made as well.
    """

    origin: str
    servers: tuple[str, ...] = ("nsd", "knot", "bind")
    algorithm: Algorithm = 13
    chain: Literal["nsec", "nsec3"] = "nsec3"
    ttl: int = 8
    hosts: tuple[str, ...] = ()
    signed: tuple[str, ...] = ("amsel", "buche", "dachs")
    unsigned: tuple[str, ...] = ("tanne", "ulme", "weide", "zeder")
    is_signed: bool = True

    @property
    def parent(self) -> str:
        """The zone that delegates this one."""
        return self.origin.partition(".")[2] or "."


@dataclass(frozen=True)
class Truth:
    """What the analyzer must say, as the script's author knows it before the recording.

    For an incident: reason by reason of its phases, patterns by name, and the view that shows it:
    `published`, or `resolver` where what the servers publish is sound. `reasons` lists others that
    are right as well, for a mechanism that several rules describe. `zone` is the plan's first zone
    unless it says otherwise.
    """

    expected: Expected
    zone: str = ""
    reason: str = ""
    also: tuple[str, ...] = ()
    ede: int = 0
    severity: str = ""
    view: Literal["published", "resolver"] = "published"
    patterns: tuple[str, ...] = ()
    triage: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A recording the lab can make in its small world."""

    name: str
    headline: str
    truth: Truth
    zones: tuple[ZonePlan, ...]
    script: Callable[["Lab"], Awaitable[None]]
    phases: tuple[str, ...]
    resolvers: tuple[str, ...] = ("unbound", "bind", "recursor", "plain")
    prepare: Callable[["Lab"], None] | None = None
    holds: int = 8
    options: dict[str, tuple[str, ...]] | None = None
    root_ttl: int = 30
    serial_interval: float = 10.0
