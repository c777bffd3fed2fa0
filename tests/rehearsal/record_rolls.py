"""Make `recorded/`: zones of each step of some rolls, and captures of real traffic for some.

    unshare --net python tests/rehearsal/record_rolls.py tests/rehearsal/recorded

Needs root (a network namespace of its own, port 53, tcpdump), nsd, and BIND's dnssec-keygen,
dnssec-signzone and dnssec-dsfromkey. A name server serves a parent (`test.`) and the zone of the
step; clients at four addresses ask it. The keys are thrown away: a zone file is what an operator
would be about to publish, a capture is what was served before.
"""

from __future__ import annotations

import base64
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.rrset
import dns.zone
import zstandard
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

ZONE, PARENT = "reg.test.", "test."
BEGIN, END = "20261101000000", "20261231000000"
TTL_KEYS = 3600
SERVER = "127.0.0.1"
CLIENTS = [f"127.0.1.{n}" for n in (1, 2, 3, 4)]

CONTENT = """\
$TTL 600
@ IN SOA ns1.reg.test. hostmaster.reg.test. {serial} 3600 600 86400 300
@ IN NS ns1.reg.test.
@ IN MX 10 mail.reg.test.
@ IN TXT "reg"
ns1 IN A 192.0.2.1
ns1 IN AAAA 2001:db8::1
mail IN A 192.0.2.2
www IN A 192.0.2.3
www IN AAAA 2001:db8::3
alias IN CNAME www.reg.test.
out IN CNAME www.elsewhere.example.
moved IN DNAME new.reg.test.
www.new IN A 192.0.2.4
*.wild IN TXT "any"
deep.empty IN A 192.0.2.5
signed IN NS ns1.signed.reg.test.
signed IN DS 12345 13 2 49fd46e6c4b45c55d4ac4ba45c55d4ac49fd46e6c4b45c55d4ac4ba45c55d4ac
ns1.signed IN A 192.0.2.6
plain IN NS ns1.plain.reg.test.
ns1.plain IN A 192.0.2.7
other IN NS ns.elsewhere.example.
below.cutty IN NS ns.elsewhere.example.
"""

QUESTIONS = [
    *(["www A"] * 12), *(["www AAAA"] * 6), *(["@ SOA"] * 4), *(["@ NS"] * 3), "@ MX", "@ TXT",
    *(["@ DNSKEY"] * 3), *(["@ DS"] * 3), "alias A", "alias A", "out A", "www.moved A",
    "x.wild TXT", "y.wild TXT", "x.wild A", "empty A", "deep.empty A", "www MX", "mail AAAA",
    *(f"nope{n} A" for n in range(6)), "a.b.nope A", "signed A", "www.signed A", "signed DS",
    "plain A", "www.plain AAAA", "plain DS", "other A", "below.cutty A", "cutty A", "@ CDS",
]  # fmt: skip


class Signer:
    """Makes keys and signs zones with BIND's tools, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.content = CONTENT

    def run(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def key(self, algorithm: str = "ECDSAP256SHA256", *, ksk: bool = False) -> str:
        """Return the name of a new key's files."""
        flags = ("-f", "KSK") if ksk else ()
        return self.run("dnssec-keygen", "-q", "-a", algorithm, *flags, ZONE)

    def ds(self, *keys: str) -> list[str]:
        return [self.run("dnssec-dsfromkey", "-2", key) for key in keys]

    def sign(
        self,
        serial: int,
        published: list[str],
        by: list[str],
        *extra: str,
        zone: str = ZONE,
        content: str | None = None,
    ) -> str:
        """Return the zone signed by some keys while the DNSKEY RRset has others."""
        text = self.content if content is None else content
        text = text.format(serial=serial)
        for key in published:
            record = (self.folder / f"{key}.key").read_text().splitlines()[-1]
            owner, rest = record.split(" ", 1)
            text += f"{owner} {TTL_KEYS} {rest}\n"
        (self.folder / "zone").write_text(text)
        self.run(
            "dnssec-signzone",
            "-P",
            "-x",
            "-O",
            "full",
            "-o",
            zone,
            "-s",
            BEGIN,
            "-e",
            END,
            "-f",
            "signed",
            *extra,
            "zone",
            *by,
        )
        return (self.folder / "signed").read_text()


def with_tag_of(signer: Signer, key: str) -> str:
    """Make a zone-signing key that shares a key's tag, and write its files."""
    tag = int(key.rsplit("+", 1)[1])
    while True:
        private = ec.generate_private_key(ec.SECP256R1())
        record = dns.dnssec.make_dnskey(private.public_key(), Algorithm.ECDSAP256SHA256, 256)
        if dns.dnssec.key_id(record) == tag:
            break
    name = f"Kreg.test.+013+{tag:05d}"
    number = private.private_numbers().private_value.to_bytes(32, "big")
    other = Signer(signer.folder / "same-tag")
    other.folder.mkdir()
    (other.folder / f"{name}.key").write_text(f"{ZONE} IN DNSKEY {record.to_text()}\n")
    (other.folder / f"{name}.private").write_text(
        "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n"
        f"PrivateKey: {base64.b64encode(number).decode()}\n"
    )
    return name


def mixed(good: str, other: str, chosen: set[tuple[str, str]]) -> str:
    """Take the signatures of some RRsets from another signing of the same zone."""

    def covered(line: str) -> tuple[str, str] | None:
        words = line.split()
        return (words[0], words[4]) if words[3:4] == ["RRSIG"] else None

    bad = {covered(line): line for line in other.splitlines()}
    lines = [bad[covered(x)] if covered(x) in chosen else x for x in good.splitlines()]
    assert sum(line in other for line in lines if covered(line)) == len(chosen)
    return "\n".join(lines) + "\n"


def main() -> int:
    """Make zones and captures."""
    target = Path(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    shutil.rmtree(target, ignore_errors=True)
    (target / "zones").mkdir(parents=True)
    (target / "captures").mkdir()
    with tempfile.TemporaryDirectory() as made:
        signer = Signer(Path(made))
        zones, captures = steps(signer)
        for name, text in zones.items():
            (target / "zones" / f"{name}.zone").write_text(text)
        for name, (zone, ds) in captures.items():
            content = record(signer, zones[zone], ds, name)
            packed = zstandard.ZstdCompressor(level=19).compress(content)
            (target / "captures" / f"{name}.pcap.zst").write_bytes(packed)
            (target / "captures" / f"{name}.ds").write_text("".join(f"{one}\n" for one in ds))
            print(name, len(content))
    return 0


def steps(signer: Signer) -> tuple[dict[str, str], dict[str, tuple[str, list[str]]]]:
    """Sign the zone of each step; return zones, and of captures the zone served and its DS."""
    ksk, ksk2 = signer.key(ksk=True), signer.key(ksk=True)
    zsk, zsk2 = signer.key(), signer.key()
    ksk15, zsk15 = signer.key("ED25519", ksk=True), signer.key("ED25519")
    twin = with_tag_of(signer, zsk2)
    sign = signer.sign
    zones = {
        "old": sign(100, [ksk, zsk], [ksk, zsk]),
        # ZSK roll by pre-publication (RFC 6781 4.1.1.1).
        "zsk-published": sign(101, [ksk, zsk, zsk2], [ksk, zsk]),
        "zsk-signs": sign(102, [ksk, zsk, zsk2], [ksk, zsk2]),
        "zsk-withdrawn": sign(103, [ksk, zsk2], [ksk, zsk2]),
        # KSK roll by double DS (4.1.2).
        "ksk-swapped": sign(104, [ksk2, zsk], [ksk2, zsk]),
        # Algorithm roll (4.1.4): signatures, then keys, then the old ones leave.
        "algorithm-signatures": sign(105, [ksk, zsk], [ksk, zsk, zsk15]),
        "algorithm-keys": sign(106, [ksk, zsk, ksk15, zsk15], [ksk, zsk, ksk15, zsk15]),
        "algorithm-new": sign(107, [ksk15, zsk15], [ksk15, zsk15]),
        "nsec3": sign(108, [ksk, zsk], [ksk, zsk], "-3", "-"),
        "nsec3-opt-out": sign(109, [ksk, zsk], [ksk, zsk], "-3", "abcd", "-H", "2", "-A"),
        "unsigned": CONTENT.format(serial=111),
        "serial-back": sign(99, [ksk, zsk], [ksk, zsk]),
        # The DNSKEY RRset signed by a key that no DS refers to, the DS's key published beside it.
        "ksk-does-not-sign": sign(112, [ksk, ksk2, zsk], [ksk2, zsk]),
        "unpublished-key": sign(113, [ksk, zsk], [ksk, zsk2]),
    }
    # .de in 2026: a third of the signatures by a key with the tag of the published one.
    same = Signer(signer.folder / "same-tag")
    for name in (ksk, zsk):
        for ending in ("key", "private"):
            shutil.copy(signer.folder / f"{name}.{ending}", same.folder)
    published = [ksk, zsk, zsk2]
    twin_signed = same.sign(114, [ksk, zsk, twin], [ksk, twin])
    good = sign(114, published, [ksk, zsk2])
    chosen = {("reg.test.", "SOA"), ("www.reg.test.", "A"), ("plain.reg.test.", "NSEC")}
    zones["same-tag"] = mixed(good, twin_signed, chosen)
    captures = {
        "old": ("old", signer.ds(ksk)),
        "published": ("zsk-published", signer.ds(ksk)),
        "signs": ("zsk-signs", signer.ds(ksk)),
        "double-ds": ("old", signer.ds(ksk, ksk2)),
        "algorithm-signatures": ("algorithm-signatures", signer.ds(ksk)),
        "algorithm-keys": ("algorithm-keys", signer.ds(ksk15)),
        "no-ds": ("old", []),
        "nsec3": ("nsec3", signer.ds(ksk)),
        "nsec3-opt-out": ("nsec3-opt-out", signer.ds(ksk)),
    }
    return zones, captures


def record(signer: Signer, zone: str, ds: list[str], name: str) -> bytes:
    """Serve a zone and its parent, ask, and return the packets."""
    folder = signer.folder / f"serve-{name}"
    folder.mkdir()
    parent = Signer(folder)
    keys = [
        parent.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags, PARENT)
        for flags in (("-f", "KSK"), ())
    ]
    content = (
        "$TTL 3600\n@ IN SOA ns1.reg.test. h.test. {serial} 3600 600 86400 300\n"
        "@ IN NS ns1.reg.test.\nreg IN NS ns1.reg.test.\nns1.reg IN A 192.0.2.1\n"
        + "".join(f"{one}\n" for one in ds)
    )
    signed = parent.sign(1, keys, keys, zone=PARENT, content=content)
    (folder / "test.zone").write_text(signed)
    (folder / "reg.zone").write_text(zone)
    (folder / "nsd.conf").write_text(
        f'server:\n ip-address: {SERVER}\n zonesdir: "{folder}"\n database: ""\n username: ""\n'
        f' pidfile: "{folder}/nsd.pid"\n xfrdfile: "{folder}/x"\n zonelistfile: "{folder}/z"\n'
        f' logfile: "{folder}/nsd.log"\n'
        f"remote-control:\n control-enable: no\n"
        f'zone:\n name: "{PARENT}"\n zonefile: "test.zone"\n'
        f'zone:\n name: "{ZONE}"\n zonefile: "reg.zone"\n'
    )
    file = folder / "out.pcap"
    dump = subprocess.Popen(
        ["tcpdump", "-i", "lo", "-U", "-w", str(file), "-Z", "root", "udp port 53"],
        stderr=subprocess.DEVNULL,
    )
    server = subprocess.Popen(["nsd", "-d", "-c", str(folder / "nsd.conf")])
    try:
        time.sleep(2)
        _ask(random.Random(7))
        time.sleep(1)
    finally:
        server.terminate()
        dump.terminate()
        server.wait()
        dump.wait()
    return file.read_bytes()


def _ask(chance: random.Random) -> None:
    questions = list(QUESTIONS)
    chance.shuffle(questions)
    origin = dns.name.from_text(ZONE)
    for number, question in enumerate(questions):
        name, kind = question.split()
        message = dns.message.make_query(
            dns.name.from_text(name, origin), kind, want_dnssec=number % 9 != 8, payload=4096
        )
        message.flags &= ~dns.flags.RD
        message.id = chance.randrange(1 << 16)
        dns.query.udp(message, SERVER, source=CLIENTS[chance.randrange(4)], timeout=3)


if __name__ == "__main__":
    sys.exit(main())
