"""Start the real servers, hand them zones, and stop what was started (by its own process)."""

import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from labkit import topology
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
    return Running(server, folder, _start(command, folder), list(zones))


def start_resolver(resolver: Resolver, trust_anchor: Path, work: Path, socket: Path) -> Running:
    """Start an Unbound whose dnstap goes to the given unix socket."""
    folder = work / resolver.name
    folder.mkdir()
    hints = []
    for name, server in topology.ROOT_NAMES.items():
        hints.append(f". 3600 IN NS {name}")
        hints += [
            f"{name} 3600 IN {'AAAA' if ':' in address else 'A'} {address}"
            for address in server.addresses
        ]
    (folder / "root.hints").write_text("\n".join(hints) + "\n")
    validator = [
        'module-config: "validator iterator"',
        f'trust-anchor-file: "{trust_anchor}"',
        "val-log-level: 2",
        f"val-bogus-ttl: {topology.BOGUS_TTL}",
        "aggressive-nsec: no",
        "ede: yes",
    ]
    lines = [
        "server:",
        *[f"  interface: {address}" for address in resolver.addresses],
        *[f"  outgoing-interface: {address}" for address in resolver.addresses],
        "  access-control: 0.0.0.0/0 allow",
        "  access-control: ::/0 allow",
        '  username: ""',
        '  chroot: ""',
        '  pidfile: ""',
        f'  directory: "{folder}"',
        f'  root-hints: "{folder}/root.hints"',
        f'  logfile: "{folder}/unbound.log"',
        "  use-syslog: no",
        "  log-servfail: yes",
        "  verbosity: 1",
        "  num-threads: 1",
        "  infra-host-ttl: 60",
        "  extended-statistics: no",
        *[
            f"  {line}"
            for line in (validator if resolver.validating else ['module-config: "iterator"'])
        ],
        "dnstap:",
        "  dnstap-enable: yes",
        "  dnstap-bidirectional: yes",
        f'  dnstap-socket-path: "{socket}"',
        "  dnstap-send-identity: yes",
        f'  dnstap-identity: "{resolver.identity}"',
        "  dnstap-send-version: yes",
        *[
            f"  dnstap-log-{side}-{kind}-messages: yes"
            for side in ("client", "resolver")
            for kind in ("query", "response")
        ],
        "remote-control:",
        "  control-enable: no",
    ]
    configuration = folder / "unbound.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return Running(resolver, folder, _start(["unbound", "-d", "-c", str(configuration)], folder))


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


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
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
