"""What every resolver is told, whatever its program."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labkit import places
from labkit.topology import Resolver


@dataclass(frozen=True)
class Setting:
    """A resolver's place, folder, anchors, dnstap socket and further lines of configuration.

    `clock` is an offset such as `-3d` for faketime, or nothing.
    """

    resolver: Resolver
    folder: Path
    anchors: tuple[str, ...]
    socket: Path
    extra: tuple[str, ...] = ()
    clock: str = ""

    def hints(self) -> str:
        """Return the root hints as a zone file."""
        lines = []
        for name, server in places.ROOT_NAMES.items():
            lines.append(f". 3600 IN NS {name}")
            for address in server.addresses:
                lines.append(f"{name} 3600 IN {'AAAA' if ':' in address else 'A'} {address}")
        return "\n".join(lines) + "\n"

    def write(self, name: str, *lines: str) -> Path:
        """Write a file of configuration and return its path."""
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path


@dataclass(frozen=True)
class Program:
    """A resolver program: how it is started, spoken to, versioned, and where it logs.

    `start` returns the command; `control` returns the command that gives an operator's order.
    """

    start: Callable[[Setting], list[str]]
    control: Callable[[Path, tuple[str, ...]], list[str]]
    version: tuple[str, ...]
    log: str
    environment: dict[str, str] = field(default_factory=dict)
