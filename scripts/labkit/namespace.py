"""The network namespace: made, entered and removed by the lab alone."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

ETHERNET_MTU = 1500


@contextmanager
def network_namespace(addresses: list[str]) -> Iterator[str]:
    """Make a namespace whose only interface is `lo` with all these addresses on it."""
    name = f"dns-lab-{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "mtu", str(ETHERNET_MTU), "up")
        for address in addresses:
            if ":" in address:
                _ip("-n", name, "addr", "add", f"{address}/128", "dev", "lo", "nodad")
            else:
                _ip("-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        yield name
    finally:
        _ip("netns", "delete", name)


def inside(name: str, command: list[str]) -> list[str]:
    """Return the command that runs the given one inside the namespace."""
    return ["ip", "netns", "exec", name, *command]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
