"""Sound zones of every signer, algorithm and kind of denial, and all that can be asked of them.

Three top-level zones: BIND with NSEC, Knot with NSEC3, BIND with NSEC3 and opt-out. Below them a
zone of each signer and algorithm, with delegations of every kind, wildcards, aliases between zones,
names of mixed case, unknown types and RRsets that only TCP carries.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from verdictkit.signing import LDNS, SIGNERS, ds_of
from verdictkit.zones import LEAVES, ROOT, TOPS, TTL, Made

TOP = {"ba.": ("b", 13, "nsec"), "ka.": ("k", 8, "nsec3"), "oa.": ("b", 13, "opt-out")}
DENIALS = ("nsec", "nsec3", "opt-out")


@dataclass(frozen=True)
class Combination:
    """A zone: who signed it, how."""

    signer: str
    algorithm: int
    denial: str
    bits: int = 1024

    @property
    def label(self) -> str:
        """Name it so that a difference tells where it was."""
        size = "" if self.bits == 1024 else f"x{self.bits}"
        return f"{self.signer}{self.algorithm}{self.denial.replace('-', '')}{size}"


COMBINATIONS = list(
    dict.fromkeys(
        [
            Combination(signer, algorithm, denial)
            for at, algorithm in enumerate(LDNS)
            for place, signer in enumerate(SIGNERS)
            for denial in (DENIALS[(at + place) % 3],)
            if algorithm != 5 or denial == "nsec"
        ]
        + [
            Combination("l", 8, "nsec", 1031),
            Combination("b", 8, "nsec3", 4096),
            Combination("l", 13, "opt-out"),
            Combination("b", 13, "nsec3"),
            Combination("k", 13, "nsec"),
        ]
    )
)

ASKED = (
    ("www", "A"), ("www", "AAAA"), ("WwW", "A"), ("mixed", "TXT"), ("", "SOA"), ("", "NS"),
    ("", "MX"), ("", "DNSKEY"), ("", "DS"), ("", "NSEC3PARAM"), ("", "CAA"), ("www", "MX"),
    ("nothing", "A"), ("a.nothing", "A"), ("a.b.c.nothing", "TXT"), ("deep", "A"),
    ("ent.deep", "TXT"), ("x.ent.deep", "TXT"), ("x.deep", "A"), ("a.wild", "A"),
    ("a.b.wild", "A"), ("a.wild", "TXT"), ("wild", "A"), ("*.wild", "A"), ("*.wild", "MX"),
    ("is.wild", "A"), ("is.wild", "TXT"), ("x.is.wild", "A"), ("a.wcname", "A"),
    ("a.wcname", "TXT"), ("a.wcnx", "A"), ("a.wmx", "MX"), ("a.wmx", "A"), ("odd", "TYPE65280"),
    ("odd", "TYPE65281"), ("svc", "HTTPS"), ("_sip._tcp", "SRV"), ("_tcp", "SRV"),
    ("many", "TXT"), ("lots", "A"), ("naptr", "NAPTR"), ("alias", "A"), ("alias", "AAAA"),
    ("alias", "TXT"), ("alias", "CNAME"), ("aliasnx", "A"), ("out", "A"), ("outnx", "A"),
    ("outnodata", "A"), ("outwild", "A"), ("tounsigned", "A"), ("tounsignednx", "A"),
    ("toalg", "A"), ("x.dn", "A"), ("www.dn", "A"), ("nothing.dn", "A"), ("dn", "DNAME"),
    ("dn", "A"), ("www.dnout", "A"), ("www.dnuns", "A"), ("a.wild.dnout", "A"),
    ("un", "DS"), ("un", "NS"), ("www.un", "A"), ("nothing.un", "A"), ("un", "DNSKEY"),
    ("sec", "DS"), ("sec", "DNSKEY"), ("sec", "NS"), ("www.sec", "A"), ("nothing.sec", "A"),
    ("www.sec", "TXT"), ("a.wild.sec", "A"), ("www.un.sec", "A"), ("www", "DS"), ("nothing", "DS"),
    ("deep", "DS"), ("ns.un", "A"), ("unk", "DS"), ("www.unk", "A"), ("www.dig", "A"),
    ("www.two", "A"), ("www.sha1", "A"), ("www.sha384", "A"), ("wilder.x", "A"), ("www", "ANY"),
    ("", "ANY"), ("nothing", "ANY"), ("a.wild", "ANY"), ("alias", "ANY"), ("sp\\032ace", "A"),
    ("do\\.t", "A"), ("nu\\000l", "A"), ("\\*", "A"), ("www", "NSEC"), ("", "NSEC"),
    ("zzz", "A"), ("0", "A"), ("-", "A"), ("www.deleg", "A"), ("x.y.deleg", "A"),
)  # fmt: skip
"""Asked of every zone: labels below its name, and the type."""


def _zone(name: str, top: str) -> str:
    sound, other = f"b13nsec3.{top}", f"k13nsec.{top}"
    lines = [
        f"$ORIGIN {name}",
        f"$TTL {TTL}",
        f"@ IN SOA ns.{name} host.{name} 7 60 60 86400 {TTL}",
        "@ IN NS ns", f"ns IN A {LEAVES}", "@ IN MX 10 WWW",
        '@ IN CAA 0 issue "ca.example"',
        "www IN A 192.0.2.80", "www IN A 192.0.2.81", "www IN AAAA 2001:db8::80",
        'MiXeD IN TXT "Mixed" "CASE"', 'ent.deep IN TXT "below"',
        "*.wild IN A 192.0.2.90", 'is.wild IN TXT "here"', "*.wcname IN CNAME www",
        "*.wcnx IN CNAME nowhere", "*.wmx IN MX 5 WWW.Mixed",
        "odd IN TYPE65280 \\# 4 DEADBEEF", "svc IN HTTPS 1 . alpn=h2 port=8443",
        "_sip._tcp IN SRV 1 2 5060 Www",
        *(f'many IN TXT "{at:04d}{"x" * 200}"' for at in range(24)),
        *(f"lots IN A 198.51.{at // 250}.{at % 250}" for at in range(300)),
        'naptr IN NAPTR 1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" RePlace',
        "alias IN CNAME www", "aliasnx IN CNAME nowhere",
        f"out IN CNAME www.{sound}", f"outnx IN CNAME nothing.{other}",
        f"outnodata IN CNAME deep.{sound}", f"outwild IN CNAME a.wild.{other}",
        f"tounsigned IN CNAME www.plain.{top}", f"tounsignednx IN CNAME nothing.plain.{top}",
        f"toalg IN CNAME www.unk.{sound}",
        "dn IN DNAME www", f"dnout IN DNAME {sound}", f"dnuns IN DNAME plain.{top}",
        "sp\\032ace IN A 192.0.2.91", "do\\.t IN A 192.0.2.92", "nu\\000l IN A 192.0.2.93",
    ]  # fmt: skip
    for child in ("un", "sec", "unk", "dig", "two", "sha1", "sha384"):
        lines += [f"{child} IN NS ns.{child}", f"ns.{child} IN A {ROOT if child == 'un' else TOPS}"]
    return "\n".join(lines) + "\n"


def _child(name: str) -> str:
    return (
        f"$ORIGIN {name}\n$TTL {TTL}\n@ IN SOA ns.{name} host.{name} 1 60 60 86400 {TTL}\n"
        f"@ IN NS ns\nns IN A {TOPS}\nwww IN A 192.0.2.70\n*.wild IN A 192.0.2.71\n"
        f"un IN NS ns.un\nns.un IN A {LEAVES}\n"
    )


def _plain(name: str, address: str) -> str:
    return (
        f"$ORIGIN {name}\n$TTL {TTL}\n@ IN SOA ns.{name} host.{name} 1 60 60 86400 {TTL}\n"
        f"@ IN NS ns\nns IN A {address}\nwww IN A 192.0.2.70\n"
    )


def make_all(folder: Path) -> tuple[list[Made], list[str]]:
    """Make every zone; return them and the root's trust anchor lines."""
    made: list[Made] = []
    tops: list[Made] = []
    for at, (top, (signer, algorithm, denial)) in enumerate(TOP.items()):
        below: list[Made] = []
        for number, one in enumerate(COMBINATIONS):
            everywhere = one.label in {"b13nsec3", "k13nsec"}
            if number % len(TOP) == at or everywhere:
                below += _leaf(folder, one, top)
        below.append(_write(folder, f"plain.{top}", _plain(f"plain.{top}", LEAVES)))
        direct = [z for z in below if z.name.count(".") == 2]
        text = _plain(top, TOPS) + "".join(
            f"{z.name} IN NS ns.{z.name}\nns.{z.name} IN A {LEAVES}\n" for z in direct
        )
        text += "".join(f"{ds}\n" for z in direct for ds in z.ds)
        zone = _write(folder, top, text, TOPS)
        SIGNERS[signer](zone.path, top, algorithm, denial, 1024)
        zone.ds = ds_of(zone.path, top)
        tops.append(zone)
        made += below
    text = f"$ORIGIN .\n$TTL {TTL}\n. IN SOA ns. host. 1 60 60 86400 {TTL}\n. IN NS ns.\n"
    text += f"ns. IN A {ROOT}\n" + "".join(
        f"{t.name} IN NS ns.{t.name}\nns.{t.name} IN A {TOPS}\n" for t in tops
    )
    root = _write(folder, ".", text + "".join(f"{ds}\n" for t in tops for ds in t.ds), ROOT)
    SIGNERS["l"](root.path, ".", 8, "nsec", 2048)
    return [root, *tops, *made], ds_of(root.path, ".")


def _write(folder: Path, name: str, text: str, server: str = LEAVES) -> Made:
    path = folder / f"{name.strip('.') or 'root'}.zone"
    path.write_text(text)
    return Made(name, path, server=server)


def _leaf(folder: Path, one: Combination, top: str) -> list[Made]:
    """Make a zone and those below it."""
    name = f"{one.label}.{top}"
    children = []
    lines = []
    for label in ("sec", "unk", "dig", "two", "sha1", "sha384"):
        child = _write(folder, f"{label}.{name}", _child(f"{label}.{name}"), TOPS)
        kind = ("nsec", "nsec3")[len(label) % 2]
        SIGNERS["l"](child.path, child.name, 13, kind, 1024)
        digests = {"sha1": (1,), "sha384": (4,), "two": (1, 2)}.get(label, (2,))
        ds = ds_of(child.path, child.name, digests)
        words = ds[0].split()
        if label == "unk":
            ds = [" ".join([*words[:4], "200", *words[5:]])]
        elif label == "dig":
            ds = [" ".join([*words[:5], "200", *words[6:]])]
        elif label == "two":
            ds.append(" ".join([*words[:4], "201", *words[5:]]))
        lines += ds
        children.append(child)
    nephew = f"un.sec.{name}"
    children += [
        _write(folder, f"un.{name}", _plain(f"un.{name}", ROOT), ROOT),
        _write(folder, nephew, _plain(nephew, LEAVES), LEAVES),
    ]
    zone = _write(folder, name, _zone(name, top) + "\n".join(lines) + "\n")
    SIGNERS[one.signer](zone.path, name, one.algorithm, one.denial, one.bits)
    zone.ds = ds_of(zone.path, name)
    return [zone, *children]


def questions(seed: int) -> list[tuple[str, str]]:
    """Every question, in an order of its own."""
    found = []
    for at, top in enumerate(TOP):
        for number, one in enumerate(COMBINATIONS):
            if number % len(TOP) == at:
                zone = f"{one.label}.{top}"
                found += [(f"{label}.{zone}" if label else zone, kind) for label, kind in ASKED]
        found += [
            (f"nobody.{top}", "A"), (f"a.nobody.{top}", "A"), (top, "SOA"), (top, "DS"),
            (top, "A"), (f"plain.{top}", "DS"), (f"www.plain.{top}", "A"),
            (f"nothing.plain.{top}", "A"), (f"plain.{top}", "NS"), (f"plain.{top}", "DNSKEY"),
        ]  # fmt: skip
    found += [
        ("nowhere.", "A"), ("a.nowhere.", "A"), (".", "DNSKEY"), (".", "SOA"), (".", "NS"),
        (".", "A"), (".", "DS"), ("nowhere.", "DS"),
    ]  # fmt: skip
    random.Random(seed).shuffle(found)
    return found
