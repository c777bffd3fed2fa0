"""A resolver that forwards, and says EDE 33 under a negative trust anchor (`front_server.py`)."""

import sys
from pathlib import Path

from labkit import places
from labkit.resolving.setting import Program, Setting


def _start(setting: Setting) -> list[str]:
    script = Path(__file__).with_name("front_server.py")
    source = setting.resolver.addresses[0]
    behind = places.RESOLVERS["unbound-2"].addresses[0]
    return [sys.executable, str(script), source, behind, str(setting.folder / "anchors")]


def _control(folder: Path, order: tuple[str, ...]) -> list[str]:
    return ["sh", "-c", f"echo {order[-1]} > {folder}/anchors"]


PROGRAM = Program(_start, _control, ("python3", "--version"), "output.txt")
