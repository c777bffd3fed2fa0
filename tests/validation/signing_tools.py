"""One zone signed by BIND, Knot and ldns, in each algorithm that they can sign with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import dns.zone

ORIGIN = "example."
INCEPTION, NOW, EXPIRATION = "20260201000000", 1_770_000_000, "20260301000000"
"""2026-02-01 to 2026-03-01; NOW is 2026-02-02 02:40 UTC."""

TEXT = """$ORIGIN example.
$TTL 3600
@ SOA ns1 host 1 7200 3600 1209600 300
@ NS ns1
@ NS ns2
@ MX 10 www
ns1 A 192.0.2.1
ns2 AAAA 2001:db8::2
www A 192.0.2.80
www A 192.0.2.81
www TXT "a" "text of Mixed Case"
*.wild A 192.0.2.90
deep.ent TXT "below an empty non-terminal"
srv SRV 1 2 53 Www
sub NS ns.sub
ns.sub A 192.0.2.99
"""

ALGORITHMS = {
    5: ("RSASHA1", "rsasha1"),
    7: ("RSASHA1-NSEC3-SHA1", "rsasha1-nsec3-sha1"),
    8: ("RSASHA256", "rsasha256"),
    10: ("RSASHA512", "rsasha512"),
    13: ("ECDSAP256SHA256", "ecdsap256sha256"),
    14: ("ECDSAP384SHA384", "ecdsap384sha384"),
    15: ("ED25519", "ed25519"),
    16: ("ED448", "ed448"),
}
"""By number: ldns' name, Knot's name."""

RSA_BITS = 1024


def run(*words: str | Path, where: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=where,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def _bits(algorithm: int) -> list[str]:
    return ["-b", str(RSA_BITS)] if algorithm < 12 else []


def by_bind(algorithm: int, denial: str, where: Path, origin: str = ORIGIN) -> Path:
    for more in (["-f", "KSK"], []):
        run(
            "dnssec-keygen", "-q", "-a", str(algorithm), *_bits(algorithm), *more, origin,
            where=where,
        )  # fmt: skip
    nsec3 = {"nsec": [], "nsec3": ["-3", "ab"], "opt-out": ["-3", "-", "-A"]}[denial]
    run(
        "dnssec-signzone", "-S", "-P", "-K", where, *nsec3, "-s", INCEPTION, "-e", EXPIRATION,
        "-o", origin, "-f", "signed", "zone", where=where,
    )  # fmt: skip
    return where / "signed"


def by_knot(algorithm: int, denial: str, where: Path, origin: str = ORIGIN) -> Path:
    nsec3 = ""
    if denial != "nsec":
        opt_out = "on" if denial == "opt-out" else "off"
        nsec3 = f"    nsec3: on\n    nsec3-iterations: 0\n    nsec3-opt-out: {opt_out}\n"
        nsec3 += "    nsec3-salt-length: 0\n"  # a random one else, and another order of hashes
    size = f"    ksk-size: {RSA_BITS}\n    zsk-size: {RSA_BITS}\n" if algorithm < 12 else ""
    (where / "knot.conf").write_text(
        f"server:\n    rundir: {where}\ndatabase:\n    storage: {where}/db\n"
        f"policy:\n  - id: p\n    algorithm: {ALGORITHMS[algorithm][1]}\n{size}"
        f"    rrsig-lifetime: 20d\n    rrsig-refresh: 5d\n{nsec3}"
        f"zone:\n  - domain: {origin}\n    file: {where}/zone\n"
        "    dnssec-signing: on\n    dnssec-policy: p\n"
    )
    for folder in ("out", "db"):
        (where / folder).mkdir()
    run("kzonesign", "-c", "knot.conf", "-t", str(NOW), "-o", "out", origin, where=where)
    return where / "out" / "zone"


def by_ldns(algorithm: int, denial: str, where: Path, origin: str = ORIGIN) -> Path:
    names = [
        run(
            "ldns-keygen", "-a", ALGORITHMS[algorithm][0], *_bits(algorithm), *more, origin,
            where=where,
        ).strip()
        for more in (["-k"], [])
    ]  # fmt: skip
    nsec3 = {"nsec": [], "nsec3": ["-n"], "opt-out": ["-n", "-p"]}[denial]
    run(
        "ldns-signzone", *nsec3, "-i", INCEPTION, "-e", EXPIRATION, "-o", origin, "-f", "signed",
        "zone", *names, where=where,
    )  # fmt: skip
    return where / "signed"


SIGNERS: dict[str, tuple[str, Callable[..., Path]]] = {
    "bind": ("dnssec-signzone", by_bind),
    "knot": ("kzonesign", by_knot),
    "ldns": ("ldns-signzone", by_ldns),
}


def missing(*tools: str) -> str | None:
    """The first of some programs that is not installed."""
    return next((tool for tool in tools if shutil.which(tool) is None), None)


def sign(
    signer: str, algorithm: int, denial: str, where: Path, origin: str = ORIGIN, text: str = TEXT
) -> Path:
    """Sign the zone; return its file."""
    (where / "zone").write_text(text)
    return SIGNERS[signer][1](algorithm, denial, where, origin)


def load(path: Path, origin: str = ORIGIN) -> dns.zone.Zone:
    return dns.zone.from_file(str(path), origin, relativize=False, check_origin=False)
