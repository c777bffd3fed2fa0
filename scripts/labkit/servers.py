"""Start the authoritative servers, hand them zones, and stop what was started."""

import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from labkit.topology import Resolver, Server

STOP_SECONDS = 10
LARGEST_ANSWER = 4096  # octets over UDP; resolvers that ask for less get less


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
        if isinstance(self.server, Server) and self.server.software == "pdns":
            for origin in self.zones:
                order = ["bind-reload-now", origin.rstrip(".") or "."]
                _quietly(["pdns_control", f"--socket-dir={self.folder}", *order])
            return
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
    configure = {"nsd": _nsd, "knot": _knot, "bind": _bind, "pdns": _pdns}[server.software]
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
    try:
        command = ["pdns_server", "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        text = (done.stdout + done.stderr).splitlines()[0]
        found["pdns"] = re.sub(r"\s*\(C\).*", "", text[text.index("PowerDNS") :])
    except FileNotFoundError:
        pass  # only some recordings need it
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
        f"  ipv4-edns-size: {LARGEST_ANSWER}",
        f"  ipv6-edns-size: {LARGEST_ANSWER}",
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
        f"  udp-max-payload: {LARGEST_ANSWER}",
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
        f"  max-udp-size {LARGEST_ANSWER};",
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


def _pdns(server: Server, zones: list[str], folder: Path) -> list[str]:
    """PowerDNS serves the zone files as they are signed: `pdnsutil set-presigned`."""
    lines = [
        f'zone "{origin.rstrip(".")}" {{ type master; file "{folder}/{_zone_file(origin)}"; }};'
        for origin in zones
    ]
    (folder / "named.conf").write_text("\n".join(lines) + "\n")
    lines = [
        "launch=bind",
        f"bind-config={folder}/named.conf",
        f"bind-dnssec-db={folder}/dnssec.db",
        "local-address=" + ", ".join(server.addresses),
        f"server-id={server.nsid}",
        f"socket-dir={folder}",
        "daemon=no",
        "guardian=no",
        "disable-syslog=yes",
        "security-poll-suffix=",
        "cache-ttl=0",
        "query-cache-ttl=0",
        "negquery-cache-ttl=0",
        "zone-cache-refresh-interval=0",
        "receiver-threads=1",
        "distributor-threads=1",
    ]
    (folder / "pdns.conf").write_text("\n".join(lines) + "\n")
    utility = ["pdnsutil", f"--config-dir={folder}"]
    _quietly([*utility, "create-bind-db", str(folder / "dnssec.db")])
    for origin in zones:
        _quietly([*utility, "set-presigned", origin.rstrip(".")])
    return ["pdns_server", f"--config-dir={folder}"]


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


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
