"""Start the recursive resolvers of either world, order them about, and keep their logs."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from labkit.resolving import PROGRAMS, Setting
from labkit.servers import Running, start
from labkit.topology import Resolver

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def start_resolver(
    resolver: Resolver,
    anchors: tuple[str, ...],
    work: Path,
    socket: Path,
    options: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
) -> Running:
    """Start a resolver in a folder of its own, its dnstap going to the unix socket.

    `options` are further lines of its configuration (FOLDER is its folder), or `clock -3d`;
    `files` lie in its folder from the start.
    """
    folder = work / resolver.name
    folder.mkdir(exist_ok=True)
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    clock = next((o.removeprefix("clock ") for o in options if o.startswith("clock ")), "")
    extra = tuple(o.replace("FOLDER", str(folder)) for o in options if not o.startswith("clock "))
    setting = Setting(resolver, folder, anchors, socket, extra)
    command = PROGRAMS[resolver.software].start(setting)
    if clock:
        # faketime's own wrapper forks; the preload alone keeps the process that is signalled.
        command = ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME={clock}", *command]
    return Running(resolver, folder, start(command, folder))


def control(running: Running, *order: str) -> str:
    """Give a resolver an operator's order, and return what it says; refused: RuntimeError."""
    assert isinstance(running.server, Resolver)
    command = PROGRAMS[running.server.software].control(running.folder, order)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise RuntimeError(f"{running.server.name} refused {' '.join(order)}: {said}")
    return said


def copy_log(resolver: Resolver, work: Path, out: Path) -> None:
    """Copy a validating resolver's log, with the folders of this machine taken out."""
    if not resolver.validating:
        return
    log = work / resolver.name / PROGRAMS[resolver.software].log
    if log.exists():
        text = log.read_text(errors="replace")
        text = text.replace(f"{work}/{resolver.name}", "").replace(str(work), "")
        if text:
            (out / f"{resolver.name}.log").write_text(text)


def version_of(resolver: Resolver) -> str:
    """Return the first line that a resolver's program says about its version, without times."""
    command = PROGRAMS[resolver.software].version
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = (done.stdout + done.stderr).splitlines()[0]
    return line[line.index("PowerDNS") :] if "PowerDNS" in line else line
