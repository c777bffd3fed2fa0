"""Start the recursive resolvers, and speak to them as their operator."""

import subprocess
from pathlib import Path

from labkit import topology
from labkit.servers import Running, start
from labkit.topology import Resolver


def start_resolver(resolver: Resolver, trust_anchor: Path, work: Path, socket: Path) -> Running:
    """Start an Unbound whose dnstap goes to the given unix socket in the same work folder."""
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
        f'  dnstap-socket-path: "../{socket.name}"',
        "  dnstap-send-identity: yes",
        f'  dnstap-identity: "{resolver.identity}"',
        "  dnstap-send-version: yes",
        *[
            f"  dnstap-log-{side}-{kind}-messages: yes"
            for side in ("client", "resolver")
            for kind in ("query", "response")
        ],
        "remote-control:",
        "  control-enable: yes",
        f'  control-interface: "{folder}/control.sock"',
        "  control-use-cert: no",
    ]
    configuration = folder / "unbound.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return Running(resolver, folder, start(["unbound", "-d", "-c", str(configuration)], folder))


def control(running: Running, *command: str) -> str:
    """Give an Unbound an operator's command, and return what it says."""
    configuration = running.folder / "unbound.conf"
    done = subprocess.run(
        ["unbound-control", "-c", str(configuration), *command],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
