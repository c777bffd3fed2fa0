"""Start the authoritative servers, hand them zones, and stop what was started."""

import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from labkit.topology import Resolver, Server

STOP_SECONDS = 10


@dataclass
class Running:
    """A server process with the folder that holds its zones, configuration and log."""

    server: Server | Resolver
    folder: Path
    process: subprocess.Popen[bytes]
    zones: list[str] = field(default_factory=list)

    def write_zone(self, origin: str, text: str) -> None:
        """Put a zone file in place whole."""
        _write_whole(self.folder / _zone_file(origin), text)

    def reload(self) -> None:
        """Tell the server to read its zone files again (SIGHUP does so in NSD, Knot and BIND)."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End the process and wait for it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)


def start_authority(server: Server, zones: dict[str, str], work: Path) -> Running:
    """Start an authoritative server with the given zones (origin to text)."""
    folder = work / server.name
    folder.mkdir()
    for origin, text in zones.items():
        _write_whole(folder / _zone_file(origin), text)
    configure = {"nsd": _nsd, "knot": _knot, "bind": _bind}[server.software]
    command = configure(server, list(zones), folder)
    return Running(server, folder, start(command, folder), list(zones))


def versions() -> dict[str, str]:
    """Return the version line of each program the lab runs."""
    commands = {
        "nsd": ["nsd", "-v"],
        "knot": ["knotd", "-V"],
        "bind": ["named", "-V"],
        "unbound": ["unbound", "-V"],
        "tcpdump": ["tcpdump", "--version"],
    }
    found = {}
    for name, command in commands.items():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found[name] = re.sub(r"\s*<.*>", "", (done.stdout + done.stderr).splitlines()[0])
    found["unbound"] = found["unbound"].replace("Version", "Unbound")
    return found


def _nsd(server: Server, zones: list[str], folder: Path) -> list[str]:
    lines = [
        "server:",
        *[f"  ip-address: {address}" for address in server.addresses],
        "  server-count: 1",
        "  username: root",
        f'  zonesdir: "{folder}"',
        '  pidfile: ""',
        '  database: ""',
        f'  logfile: "{folder}/nsd.log"',
        f'  zonelistfile: "{folder}/zone.list"',
        f'  xfrdfile: "{folder}/xfrd.state"',
        f'  xfrdir: "{folder}"',
        f'  nsid: "ascii_{server.nsid}"',
        "  rrl-ratelimit: 0",
        "  rrl-whitelist-ratelimit: 0",
        "  zonefiles-check: yes",
        "remote-control:",
        "  control-enable: no",
    ]
    for origin in zones:
        lines += ["zone:", f'  name: "{origin}"', f'  zonefile: "{_zone_file(origin)}"']
    configuration = folder / "nsd.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return ["nsd", "-d", "-c", str(configuration)]


def _knot(server: Server, zones: list[str], folder: Path) -> list[str]:
    lines = [
        "server:",
        f'  rundir: "{folder}"',
        "  user: root:root",
        "  listen: [" + ", ".join(f'"{address}@53"' for address in server.addresses) + "]",
        f'  nsid: "{server.nsid}"',
        "  udp-workers: 1",
        "  tcp-workers: 1",
        "  background-workers: 1",
        "log:",
        f'  - target: "{folder}/knot.log"',
        "    any: info",
        "database:",
        f'  storage: "{folder}"',
        "template:",
        "  - id: default",
        f'    storage: "{folder}"',
        "    zonefile-sync: -1",
        "    zonefile-load: whole",
        "    journal-content: none",
        "zone:",
    ]
    for origin in zones:
        lines += [f'  - domain: "{origin}"', f'    file: "{_zone_file(origin)}"']
    configuration = folder / "knot.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return ["knotd", "-c", str(configuration)]


def _bind(server: Server, zones: list[str], folder: Path) -> list[str]:
    ipv4 = "; ".join(a for a in server.addresses if ":" not in a)
    ipv6 = "; ".join(a for a in server.addresses if ":" in a)
    lines = [
        "options {",
        f'  directory "{folder}";',
        f"  listen-on {{ {ipv4}; }};",
        f"  listen-on-v6 {{ {ipv6}; }};",
        f'  server-id "{server.nsid}";',
        "  recursion no; notify no; dnssec-validation no; empty-zones-enable no;",
        "  allow-transfer { none; };",
        f'  pid-file none; lock-file none; session-keyfile "{folder}/session.key";',
        "};",
        "controls { };",
    ]
    lines += [
        f'zone "{origin}" {{ type primary; file "{_zone_file(origin)}"; }};' for origin in zones
    ]
    configuration = folder / "named.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return ["named", "-f", "-n", "1", "-c", str(configuration)]


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a server in its folder, its output in a file there."""
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder
        )


def _zone_file(origin: str) -> str:
    return f"{origin.rstrip('.') or 'root'}.zone"


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)
