"""The validating resolvers that are asked: each made ready to run on one address of loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from verdictkit.zones import ROOT

RESOLVER = "198.18.1.53"


def unbound(work: Path, anchors: list[str], minimise: bool = False) -> subprocess.Popen[bytes]:
    """Run Unbound; `minimise` sends no more of a name upstream than is needed (RFC 9156)."""
    hints = _hints(work)
    config = work / "unbound.conf"
    (work / "anchor.ds").write_text("\n".join(anchors) + "\n")
    config.write_text(
        f'server:\n  interface: {RESOLVER}\n  access-control: 198.18.0.0/15 allow\n  username: ""\n'
        f'  chroot: ""\n  directory: "{work}"\n  pidfile: "{work}/unbound.pid"\n'
        f'  do-not-query-localhost: no\n  root-hints: "{hints}"\n'
        f'  trust-anchor-file: "{work}/anchor.ds"\n  ede: yes\n'
        f"  qname-minimisation: {'yes' if minimise else 'no'}\n"
        '  module-config: "validator iterator"\n  do-ip6: no\n  use-syslog: no\n'
        "  aggressive-nsec: no\n  num-threads: 1\n  so-reuseport: no\n  outgoing-interface: "
        f"{RESOLVER}\n  val-bogus-ttl: 1\n  deny-any: no\n  edns-buffer-size: 4096\n"
        "remote-control:\n  control-enable: no\n"
    )
    return subprocess.Popen(
        ["unbound", "-d", "-c", str(config)], stderr=(work / "unbound.log").open("w")
    )


def unbound_minimising(work: Path, anchors: list[str]) -> subprocess.Popen[bytes]:
    """Run Unbound as its package does: it sends no more of a name than is needed."""
    return unbound(work, anchors, minimise=True)


def bind(work: Path, anchors: list[str]) -> subprocess.Popen[bytes]:
    """Run named as a resolver."""
    hints = _hints(work)
    folder = work / "named"
    folder.mkdir()
    trusted = "".join(
        '  "{}" static-ds {} {} {} "{}";\n'.format(words[0], *words[3:6], "".join(words[6:]))
        for words in (line.split() for line in anchors)
    )
    config = work / "named.conf"
    config.write_text(
        f'options {{\n  directory "{folder}";\n  listen-on {{ {RESOLVER}; }};\n'
        f"  listen-on-v6 {{ none; }};\n  query-source address {RESOLVER};\n"
        f'  pid-file "{folder}/pid";\n  session-keyfile "{folder}/session";\n'
        "  recursion yes;\n  allow-query { any; };\n  allow-recursion { any; };\n"
        "  dnssec-validation yes;\n"
        "  empty-zones-enable no;\n  minimal-any no;\n  servfail-ttl 0;\n"
        "  synth-from-dnssec no;\n};\n"
        f"controls {{ }};\ntrust-anchors {{\n{trusted}}};\n"
        f'zone "." {{ type hint; file "{hints}"; }};\n'
    )
    return subprocess.Popen(
        ["named", "-f", "-n", "1", "-c", str(config)], stderr=(work / "named.log").open("w")
    )


def knot(work: Path, anchors: list[str]) -> subprocess.Popen[bytes]:
    """Run kresd."""
    folder = work / "kresd"
    folder.mkdir()
    config = folder / "config"
    trusted = "".join(f"trust_anchors.add('{line}')\n" for line in anchors)
    config.write_text(
        f"net.listen('{RESOLVER}', 53)\nnet.ipv6 = false\nnet.outgoing_v4('{RESOLVER}')\n"
        "trust_anchors.remove('.')\n"
        f"{trusted}modules.load('hints')\nhints.root({{ ['ns.'] = {{'{ROOT}'}} }})\n"
        "policy.special_names = {}\ncache.size = 50 * MB\n"
        "pcall(modules.unload, 'ta_update')\npcall(modules.unload, 'ta_signal_query')\n"
        "pcall(modules.unload, 'priming')\n"
    )
    return subprocess.Popen(
        ["kresd", "-n", "-c", str(config), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=(work / "kresd.log").open("w"),
        stdin=subprocess.DEVNULL,
    )


RESOLVERS: dict[str, Callable[[Path, list[str]], subprocess.Popen[bytes]]] = {
    "unbound": unbound, "unbound-minimising": unbound_minimising, "bind": bind, "knot": knot,
}  # fmt: skip
"""By the name that `scripts/verdicts --resolver` takes."""


def _hints(work: Path) -> Path:
    path = work / "hints"
    path.write_text(f". 3600 IN NS ns.\nns. 3600 IN A {ROOT}\n")
    return path
