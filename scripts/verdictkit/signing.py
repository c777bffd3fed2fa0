"""Signing by the signers that zones in practice are signed with: BIND, Knot and ldns."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

DAY = 86_400
LDNS = {
    5: "RSASHA1", 7: "RSASHA1-NSEC3-SHA1", 8: "RSASHA256", 10: "RSASHA512",
    13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448",
}  # fmt: skip
"""Mnemonics of the algorithms that the signers know."""

DIGESTS = {1: "SHA1", 2: "SHA256", 4: "SHA384"}
ALLOWED = dns.dnssec.allow_all_policy


def run(*words: str | Path, where: Path) -> str:
    """Run a program; return what it printed."""
    done = subprocess.run(
        [str(word) for word in words], cwd=where, check=True, capture_output=True, text=True
    )
    return done.stdout


def date(days: float) -> str:
    """Return the instant so many days from now as zone files write it."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time_ns() / 1e9 + DAY * days))


def by_bind(path: Path, name: str, algorithm: int, denial: str, bits: int) -> None:
    """Sign a zone file in place with dnssec-signzone."""
    folder = path.parent / f"keys-{path.name}"
    folder.mkdir()
    size = ["-b", str(bits)] if algorithm < 12 else []
    for more in (["-f", "KSK"], []):
        run("dnssec-keygen", "-q", "-a", str(algorithm), *size, *more, name, where=folder)
    nsec3 = {"nsec": [], "nsec3": ["-3", "ab"], "opt-out": ["-3", "-", "-A"]}[denial]
    run(
        "dnssec-signzone", "-S", "-P", "-K", folder, "-d", folder, *nsec3, "-s", date(-1),
        "-e", date(20), "-o", name, "-f", f"{path}.signed", path, where=folder,
    )  # fmt: skip
    Path(f"{path}.signed").replace(path)


def by_knot(path: Path, name: str, algorithm: int, denial: str, bits: int) -> None:
    """Sign a zone file in place with kzonesign."""
    folder = path.parent / f"keys-{path.name}"
    for made in (folder, folder / "db", folder / "out"):
        made.mkdir()
    nsec3 = ""
    if denial != "nsec":
        opt_out = "on" if denial == "opt-out" else "off"
        nsec3 = f"    nsec3: on\n    nsec3-iterations: 0\n    nsec3-opt-out: {opt_out}\n"
    size = f"    ksk-size: {bits}\n    zsk-size: {bits}\n" if algorithm < 12 else ""
    (folder / "knot.conf").write_text(
        f"server:\n    rundir: {folder}\ndatabase:\n    storage: {folder}/db\n"
        f"policy:\n  - id: p\n    algorithm: {LDNS[algorithm].lower()}\n{size}"
        f"    rrsig-lifetime: 20d\n    rrsig-refresh: 5d\n{nsec3}"
        f"zone:\n  - domain: {name}\n    file: {path}\n"
        "    dnssec-signing: on\n    dnssec-policy: p\n"
    )
    run("kzonesign", "-c", "knot.conf", "-o", "out", name, where=folder)
    (folder / "out" / path.name).replace(path)


def by_ldns(path: Path, name: str, algorithm: int, denial: str, bits: int) -> None:
    """Sign a zone file in place with ldns-signzone."""
    size = ["-b", str(bits)] if algorithm < 12 else []
    folder = path.parent / f"keys-{path.name}"
    folder.mkdir()
    keys = [
        run("ldns-keygen", "-a", LDNS[algorithm], *size, *more, name, where=folder).strip()
        for more in (["-k"], [])
    ]
    nsec3 = {"nsec": [], "nsec3": ["-n"], "opt-out": ["-n", "-p"]}[denial]
    run(
        "ldns-signzone", *nsec3, "-i", date(-1), "-e", date(20), "-o", name,
        "-f", f"{path}.signed", path, *keys, where=folder,
    )  # fmt: skip
    Path(f"{path}.signed").replace(path)


SIGNERS: dict[str, Callable[[Path, str, int, str, int], None]] = {
    "b": by_bind, "k": by_knot, "l": by_ldns,
}  # fmt: skip
"""By the letter that a zone's name begins with."""


def load(path: Path, name: str) -> dns.zone.Zone:
    """Read a zone file, names in full."""
    return dns.zone.from_file(str(path), name, relativize=False, check_origin=False)


def ds_of(path: Path, name: str, digests: tuple[int, ...] = (2,)) -> list[str]:
    """Make the DS lines of a signed zone's SEP keys."""
    zone = load(path, name)
    keys = [k for k in zone.find_rdataset(name, "DNSKEY") if k.flags & 1]
    return [
        f"{name} IN DS {dns.dnssec.make_ds(name, key, DIGESTS[digest], policy=ALLOWED).to_text()}"
        for key in sorted(keys)
        for digest in digests
    ]


class Resigner:
    """Signs single RRsets of a zone again, with the zone's own P-256 keys.

    Args:
        path: the zone file, signed by `by_ldns` with algorithm 13.
        name: of the zone.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = dns.name.from_text(name)
        self.keys = []
        for file in sorted((path.parent / f"keys-{path.name}").glob("*.private")):
            text = next(
                line.split(":", 1)[1].strip()
                for line in file.read_text().splitlines()
                if line.startswith("PrivateKey:")
            )
            number = int.from_bytes(base64.b64decode(text), "big")
            private = ec.derive_private_key(number, ec.SECP256R1())
            flags = int(file.with_suffix(".key").read_text().split("DNSKEY")[1].split()[0])
            key = dns.dnssec.make_dnskey(private.public_key(), 13, flags=flags)
            self.keys.append((key, private))

    def sign(self, zone: dns.zone.Zone, owner: dns.name.Name, kind: str, *, ksk: bool = False,
             days: tuple[float, float] = (-1, 20)) -> None:  # fmt: skip
        """Put a fresh signature over an RRset, in place of those there were."""
        rdataset = zone.find_rdataset(owner, kind)
        rrset = dns.rrset.from_rdata_list(owner, rdataset.ttl, list(rdataset))
        key, private = next(k for k in self.keys if bool(k[0].flags & 1) is ksk)
        now = time.time_ns() // 10**9
        made = dns.dnssec.sign(
            rrset, private, self.name, key,
            inception=now + int(days[0] * DAY), expiration=now + int(days[1] * DAY),
        )  # fmt: skip
        zone.delete_rdataset(owner, "RRSIG", covers=kind)
        zone.find_rdataset(owner, "RRSIG", covers=kind, create=True).add(made, rdataset.ttl)
