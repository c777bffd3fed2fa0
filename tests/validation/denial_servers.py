"""Real signers, a real authority and a real validator on loopback, for the proofs of absence."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.zone

ZONE = "denial.example."
PLAIN = """$ORIGIN denial.example.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ MX 10 www
ns A 127.0.0.1
www A 192.0.2.1
www AAAA 2001:db8::1
a.ent A 192.0.2.2
deep.er.ent TXT "x"
*.wild A 192.0.2.3
*.wild TXT "wild"
x.wild A 192.0.2.4
alias CNAME www
d DNAME www
u NS ns.elsewhere.example.net.
v.u2 NS ns.elsewhere.example.net.
s NS ns.elsewhere.example.net.
s DS 4711 13 2 1111111111111111111111111111111111111111111111111111111111111111
zz TXT "last"
"""


def free_port() -> int:
    """A port that nobody listens on, UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def run(*command: str, cwd: Path) -> str:
    """Run a tool; its output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def by_bind(folder: Path, *, nsec3: bool, iterations: int = 0, opt_out: bool = False) -> None:
    """Sign with BIND's tools."""
    key = run("dnssec-keygen", "-q", "-a", "13", "-f", "KSK", ZONE, cwd=folder).strip()
    options = ["-3", "aabbccdd", "-H", str(iterations)] if nsec3 else []
    options += ["-A"] if opt_out else []
    text = (folder / f"{key}.key").read_text()
    (folder / "zone").write_text(PLAIN + text)
    run(
        "dnssec-signzone", "-q", "-z", *options, "-o", ZONE, "-f", "signed", "zone", key, cwd=folder
    )


def by_ldns(folder: Path, *, nsec3: bool, iterations: int = 0, opt_out: bool = False) -> None:
    """Sign with ldns' tools."""
    key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", ZONE, cwd=folder).strip()
    (folder / "zone").write_text(PLAIN)
    options = ["-n", "-t", str(iterations), "-s", "beef"] if nsec3 else []
    options += ["-p"] if opt_out else []
    run("ldns-signzone", *options, "-o", ZONE, "-f", "signed", "zone", key, cwd=folder)


def by_knot(folder: Path, *, nsec3: bool, iterations: int = 0, opt_out: bool = False) -> None:
    """Sign with Knot's tools."""
    onoff = {True: "on", False: "off"}
    (folder / "knot.conf").write_text(
        f"database:\n  storage: {folder}\n"
        "policy:\n  - id: p\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"
        f"    nsec3: {onoff[nsec3]}\n    nsec3-iterations: {iterations}\n"
        f"    nsec3-opt-out: {onoff[opt_out]}\n"
        f"zone:\n  - domain: {ZONE}\n    storage: {folder}\n    file: zone\n"
        "    dnssec-signing: on\n    dnssec-policy: p\n"
    )
    (folder / "zone").write_text(PLAIN)
    (folder / "out").mkdir()
    run("kzonesign", "-c", "knot.conf", "-o", "out", ZONE, cwd=folder)
    shutil.move(next((folder / "out").iterdir()), folder / "signed")


SIGNERS: dict[str, Callable[..., None]] = {"bind": by_bind, "ldns": by_ldns, "knot": by_knot}
TOOLS = ("nsd", "unbound", "dnssec-signzone", "ldns-signzone", "kzonesign")


@contextmanager
def process(*command: str, ready: Callable[[], None], log: Path) -> Iterator[None]:
    """Run a server until the end; `ready` raises for as long as it is not."""
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as server:
        try:
            for turn in range(100):
                try:
                    ready()
                    break
                except (OSError, dns.exception.DNSException):
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.05)
                    assert turn < 99, log.read_text()
            yield
        finally:
            server.terminate()
            server.wait(10)


def ask(port: int, name: str, kind: str, timeout: float = 5.0) -> dns.message.Message:
    """Ask a server on loopback with DO."""
    query = dns.message.make_query(name, kind, want_dnssec=True)
    return dns.query.udp(query, "127.0.0.1", port=port, timeout=timeout, ignore_trailing=True)


@contextmanager
def authority(folder: Path) -> Iterator[int]:
    """Serve `folder`/signed with NSD; gives its port."""
    port = free_port()
    conf = folder / "nsd.conf"
    conf.write_text(
        f'server:\n  ip-address: 127.0.0.1@{port}\n  username: ""\n  chroot: ""\n'
        f'  database: ""\n  zonesdir: "{folder}"\n  pidfile: "{folder}/nsd.pid"\n'
        f'  xfrdfile: "{folder}/xfrd"\n  zonelistfile: "{folder}/list"\n'
        f'  server-count: 1\n  xfrdir: "{folder}"\nremote-control:\n  control-enable: no\n'
        f'zone:\n  name: {ZONE}\n  zonefile: "{folder}/signed"\n'
    )

    def ready() -> None:
        ask(port, ZONE, "SOA", 0.2)

    with process("nsd", "-d", "-c", str(conf), ready=ready, log=folder / "nsd.log"):
        yield port


class Puppet:
    """An authority over UDP that says what it is told to, and else what the real one says."""

    def __init__(self, real: int) -> None:
        self.real = real
        self.told: dict[tuple[str, str], dns.message.Message] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self._held: dict[tuple[str, str], dns.message.Message] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                wire, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(wire)
            question = query.question[0]
            key = (question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype))
            answer = self.told.get(key) or self._held.get(key)
            if answer is None:
                answer = self._held[key] = ask(self.real, *key)
            answer.id = query.id
            answer.question = query.question
            self.socket.sendto(answer.to_wire(max_size=65535), peer)


@contextmanager
def validator(folder: Path, port: int, anchor: str) -> Iterator[int]:
    """Run Unbound over the authority at `port`; nothing is kept in its caches. Gives its port."""
    mine = free_port()
    conf = folder / "unbound.conf"
    conf.write_text(
        f'server:\n  directory: "{folder}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n'
        f"  interface: 127.0.0.1@{mine}\n  do-daemonize: no\n  use-syslog: no\n"
        "  do-not-query-localhost: no\n  do-ip6: no\n  do-tcp: no\n  num-threads: 1\n"
        '  module-config: "validator iterator"\n  qname-minimisation: no\n'
        "  aggressive-nsec: no\n  harden-below-nxdomain: no\n  cache-max-ttl: 0\n"
        "  val-bogus-ttl: 0\n  val-max-restart: 0\n  msg-cache-size: 0\n  rrset-cache-size: 0\n"
        "  neg-cache-size: 0\n"
        f'  edns-buffer-size: 4096\n  trust-anchor: "{anchor}"\n'
        "remote-control:\n  control-enable: no\n"
        f"stub-zone:\n  name: {ZONE}\n  stub-addr: 127.0.0.1@{port}\n"
    )

    def ready() -> None:
        ask(mine, ZONE, "SOA", 0.5)

    with process("unbound", "-d", "-c", str(conf), ready=ready, log=folder / "unbound.log"):
        yield mine


def status(answer: dns.message.Message) -> str:
    """What the validator says of an answer: secure, insecure or bogus."""
    if answer.rcode() == dns.rcode.SERVFAIL:
        return "bogus"
    return "secure" if answer.flags & dns.flags.AD else "insecure"
