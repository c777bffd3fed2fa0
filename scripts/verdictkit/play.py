"""Serve the zones with NSD, ask through Unbound, capture, and write down every verdict."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from verdictkit import breadth, mutants, zones
from verdictkit.resolvers import RESOLVER, RESOLVERS
from verdictkit.zones import LEAVES, ROOT, STYLES, TOPS, Made, leaves

CLIENT = "198.18.1.100"

NAMES = (
    ("www.{}", "A"), ("www.{}", "AAAA"), ("www.{}", "TXT"), ("{}", "SOA"), ("{}", "NS"),
    ("{}", "MX"), ("{}", "DNSKEY"), ("{}", "DS"), ("{}", "TXT"), ("nothing.{}", "A"),
    ("x.wild.{}", "A"), ("y.x.wild.{}", "A"), ("x.wild.{}", "TXT"), ("x.wildalias.{}", "A"),
    ("deep.{}", "A"), ("alias.{}", "A"), ("alias.{}", "TXT"), ("chain.{}", "A"),
    ("www.child.{}", "A"), ("child.{}", "DS"), ("nothing.child.{}", "A"), ("www.{}", "DS"),
)  # fmt: skip
"""Asked of every leaf."""

FAR = (
    ("togood.{}", "A"), ("tounsigned.{}", "A"), ("toexpired.{}", "A"), ("tonothing.{}", "A"),
    ("tonodata.{}", "A"), ("towild.{}", "A"), ("far.{}", "A"), ("www.sub.{}", "A"),
    ("www.subbad.{}", "A"), ("www.subnone.{}", "A"), ("nothing.sub.{}", "A"), ("loop.{}", "A"),
    ("sub.{}", "DNAME"), ("alias.{}", "CNAME"), ("www.{}", "ANY"), ("{}", "ANY"),
)  # fmt: skip
"""Asked of the sound leaves."""


def main() -> int:
    """Make a recording: `scripts/verdicts OUT` (root: it makes a network namespace)."""
    parser = argparse.ArgumentParser(prog="scripts/verdicts", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the recording")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", choices=PLANS, default="faults", help="which zones are made")
    parser.add_argument("--resolver", choices=RESOLVERS, default="unbound")
    parser.add_argument("--one-in", type=int, default=1, help="of so many questions one is asked")
    parser.add_argument("--zones", type=Path, help="a folder to keep the zones in, or to take from")
    arguments = parser.parse_args()
    if arguments.inside:
        return _play(arguments.inside, arguments)
    if os.geteuid() != 0:
        sys.stderr.write("scripts/verdicts needs root: it makes a network namespace\n")
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verdicts-") as folder:
        command = ["unshare", "--net", sys.executable, *sys.argv, "--inside", folder]
        return subprocess.run(command, check=False).returncode


def questions(seed: int) -> list[tuple[str, str]]:
    """Every question of a recording, in an order of its own."""
    found = []
    for top in STYLES:
        for leaf in leaves(top):
            zone = f"{leaf.name}.{top}"
            found += [(name.format(zone), kind) for name, kind in NAMES]
            if leaf.name in {"good", "good3", "unsigned"}:
                found += [(name.format(zone), kind) for name, kind in FAR]
        found += [(f"nobody.{top}", "A"), (f"a.nobody.{top}", "A"), (top, "SOA"), (top, "DS")]
    found += [("nowhere.", "A"), (".", "DNSKEY"), (".", "SOA"), (".", "NS")]
    random.Random(seed).shuffle(found)
    return found


PLANS = {
    "faults": (zones.make_all, questions),
    "breadth": (breadth.make_all, breadth.questions),
    "mutants": (mutants.make_all, mutants.questions),
}
"""What makes the zones, and what is asked of them."""


def _play(work: Path, arguments: argparse.Namespace) -> int:
    out, seed = arguments.out, arguments.seed
    make, ask = PLANS[arguments.plan]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (ROOT, TOPS, LEAVES, RESOLVER, CLIENT):  # BIND listens on configured ones only
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    made, anchors = _made(make, arguments.zones or work)
    running = []
    try:
        pcap = work / "capture.pcap"
        running.append(
            subprocess.Popen(
                [
                    "tcpdump",
                    "-i",
                    "lo",
                    "-U",
                    "-B",
                    "8192",
                    "-w",
                    str(pcap),
                    "-Z",
                    "root",
                    "--time-stamp-precision=nano",
                    "port",
                    "53",
                ],
                stderr=subprocess.DEVNULL,
            )
        )
        time.sleep(1)
        running += [_nsd(work, address, made) for address in (ROOT, TOPS, LEAVES)]
        running.append(RESOLVERS[arguments.resolver](work, anchors))
        if not _is_ready():
            sys.stderr.write(f"{arguments.resolver} answers nothing\n")
            return 1
        verdicts = [_ask(name, kind) for name, kind in ask(seed)[:: arguments.one_in]]
        time.sleep(1)
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    subprocess.run(
        ["zstd", "-q", "-f", "-19", str(pcap), "-o", str(out / "capture.pcap.zst")], check=True
    )
    (out / "trust-anchor.ds").write_text("\n".join(anchors) + "\n")
    lines = ",\n".join(json.dumps(list(v), separators=(",", ":")) for v in verdicts)
    (out / "verdicts.json").write_text(f"[\n{lines}\n]\n")
    return 0


def _made(make: Callable[[Path], tuple[list[Made], list[str]]], folder: Path) -> Any:
    """Make the zones, or take those that were made before."""
    kept = folder / "made.json"
    if kept.exists():
        held, anchors = json.loads(kept.read_text())
        return [Made(name, Path(path), server=server) for name, path, server in held], anchors
    folder.mkdir(parents=True, exist_ok=True)
    made, anchors = make(folder)
    kept.write_text(json.dumps([[(z.name, str(z.path), z.server) for z in made], anchors]))
    return made, anchors


def _nsd(work: Path, address: str, made: list[Made]) -> subprocess.Popen[bytes]:
    config = work / f"nsd-{address}.conf"
    zones = "".join(
        f'zone:\n  name: "{z.name}"\n  zonefile: "{z.path}"\n' for z in made if z.server == address
    )
    config.write_text(
        f'server:\n  ip-address: {address}\n  port: 53\n  username: ""\n  chroot: ""\n'
        f'  zonesdir: "{work}"\n  database: ""\n  pidfile: "{work}/nsd-{address}.pid"\n'
        f'  xfrdfile: "{work}/xfrd-{address}"\n  zonelistfile: "{work}/list-{address}"\n'
        f'  xfrdir: "{work}"\n  verbosity: 0\n  hide-version: yes\n  rrl-ratelimit: 0\n'
        f"remote-control:\n  control-enable: no\n{zones}"
    )
    return subprocess.Popen(
        ["nsd", "-d", "-c", str(config)], stderr=(work / f"nsd-{address}.log").open("w")
    )


def _is_ready() -> bool:
    """Wait until the resolver and the root's server answer."""
    for _ in range(20):
        time.sleep(2)
        if _ask(".", "SOA")[3] == "secure":
            return True
    return False


def _ask(name: str, kind: str) -> tuple[str, str, int, str, str, list[int]]:
    """Return name, type, time of the answer in ns, verdict, RCODE and extended errors."""
    query = dns.message.make_query(name, kind, want_dnssec=True, payload=4096)
    try:
        reply, _ = dns.query.udp_with_fallback(
            query, RESOLVER, timeout=15, source=CLIENT, ignore_trailing=True
        )
    except dns.exception.DNSException as error:
        return name, kind, time.time_ns(), "none", type(error).__name__, []
    ended = time.time_ns()
    ede = [int(o.code) for o in reply.options if isinstance(o, dns.edns.EDEOption)]
    rcode = dns.rcode.to_text(reply.rcode())
    if rcode == "SERVFAIL":
        status = "bogus"
    elif reply.flags & dns.flags.AD:
        status = "secure"
    else:
        status = "insecure"
    return name, kind, ended, status, rcode, ede
