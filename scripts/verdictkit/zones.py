"""The zones: made plain, signed by ldns-signzone, then broken by one edit each.

Three top-level zones (NSEC, NSEC3, NSEC3 with opt-out) hold the same leaves, one a behaviour. Keys
are new in every run; only the faults are fixed.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

ROOT, TOPS, LEAVES = "198.18.1.1", "198.18.1.2", "198.18.1.3"
"""Who serves the root, the top-level zones and the leaves."""

STYLES = {"nsec.": (), "hash.": ("-n", "-t", "1"), "opt.": ("-n", "-p", "-t", "1")}
"""ldns-signzone's options for denial, by top-level zone."""

TTL = 30
DAY = 86_400

Edit = Callable[[dns.zone.Zone], None]


@dataclass(frozen=True)
class Leaf:
    """One behaviour.

    Attributes:
        name: the label.
        sign: whether it is signed at all.
        delegated: what the parent's DS says: right, none, wrong, algorithm (unknown), digest
            (unknown), twice (right and wrong).
        window: days from now of inception and expiration.
        style: options of denial, None: those of the zone above.
        edit: what is broken after signing.
        more: further records.
    """

    name: str
    sign: bool = True
    delegated: str = "right"
    window: tuple[int, int] = (-1, 20)
    style: tuple[str, ...] | None = None
    edit: Edit | None = None
    more: tuple[str, ...] = ()
    iterations: int = 0


def _drop(kind: str, at: str = "www") -> Edit:
    """Leave out the signatures over one RRset."""

    def edit(zone: dns.zone.Zone) -> None:
        zone.delete_rdataset(at, "RRSIG", covers=kind)

    return edit


def _drop_all(zone: dns.zone.Zone) -> None:
    """Leave out all of DNSSEC."""
    for node in zone.nodes.values():
        for rdataset in list(node.rdatasets):
            if rdataset.rdtype in {
                dns.rdatatype.RRSIG,
                dns.rdatatype.NSEC,
                dns.rdatatype.NSEC3,
                dns.rdatatype.NSEC3PARAM,
                dns.rdatatype.DNSKEY,
            }:
                node.delete_rdataset(rdataset.rdclass, rdataset.rdtype, rdataset.covers)


def _flip(kind: str, at: str = "www") -> Edit:
    """Turn one bit of the signatures over one RRset, or over all of a type (`at` is *)."""

    def edit(zone: dns.zone.Zone) -> None:
        for name, node in zone.nodes.items():
            if at not in {"*all", name.to_text()}:
                continue
            for rdataset in node.rdatasets:
                if (
                    rdataset.rdtype == dns.rdatatype.RRSIG
                    and rdataset.covers == dns.rdatatype.from_text(kind)
                ):
                    broken = [
                        rdata.replace(
                            signature=rdata.signature[:-1] + bytes([rdata.signature[-1] ^ 1])
                        )
                        for rdata in rdataset
                    ]
                    rdataset.clear()
                    rdataset.update(dns.rdataset.from_rdata_list(TTL, broken))

    return edit


def _foreign(at: str = "www", kind: str = "A") -> Edit:
    """Sign one RRset with a key that is not published."""

    def edit(zone: dns.zone.Zone) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        key = dns.dnssec.make_dnskey(private.public_key(), 13)
        origin = zone.origin or dns.name.root
        owner = dns.name.from_text(at, origin)
        rdataset = zone.find_rdataset(at, kind)
        rrset = dns.rrset.from_rdata_list(owner, rdataset.ttl, list(rdataset))
        now = int(time.time_ns() // 10**9)
        made = dns.dnssec.sign(
            rrset, private, origin, key, inception=now - DAY, expiration=now + 9 * DAY
        )
        zone.delete_rdataset(at, "RRSIG", covers=kind)
        zone.find_rdataset(at, "RRSIG", covers=kind, create=True).add(made, rdataset.ttl)

    return edit


def _drop_denials(zone: dns.zone.Zone) -> None:
    """Leave out every NSEC and NSEC3 but those at the apex."""
    for name, node in list(zone.nodes.items()):
        for rdataset in list(node.rdatasets):
            kinds = {rdataset.rdtype, rdataset.covers}
            if kinds & {dns.rdatatype.NSEC, dns.rdatatype.NSEC3} and name.to_text() != "@":
                node.delete_rdataset(rdataset.rdclass, rdataset.rdtype, rdataset.covers)


def _grow(at: str = "www") -> Edit:
    """Change the data and leave its signature as it was."""

    def edit(zone: dns.zone.Zone) -> None:
        zone.find_rdataset(at, "A").add(
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.A, "192.0.2.66"), TTL
        )

    return edit


HASHED = ("-n", "-t", "1")
FEW = ("good", "good3", "unsigned", "island", "denyflip3", "nodeny3", "often", "wrongds")
"""The leaves of `hash.`: those whose fate the style of the zone above can change."""

LEAF_LIST = (
    Leaf("good"),
    Leaf("good3", style=HASHED),
    Leaf("unsigned", sign=False, delegated="none"),
    Leaf("island", delegated="none"),
    Leaf("expired", window=(-20, -1)),
    Leaf("future", window=(5, 20)),
    Leaf("oneflip", edit=_flip("A")),
    Leaf("keyflip", edit=_flip("DNSKEY", "@")),
    Leaf("soaflip", edit=_flip("SOA", "@")),
    Leaf("denyflip", style=(), edit=_flip("NSEC", "*all")),
    Leaf("denyflip3", style=HASHED, edit=_flip("NSEC3", "*all")),
    Leaf("wrongds", delegated="wrong"),
    Leaf("twods", delegated="twice"),
    Leaf("algds", delegated="algorithm"),
    Leaf("digds", delegated="digest"),
    Leaf("nosig", edit=_drop("A")),
    Leaf("nosoasig", edit=_drop("SOA", "@")),
    Leaf("nokeysig", edit=_drop("DNSKEY", "@")),
    Leaf("plain", sign=False),
    Leaf("nodeny", style=(), edit=_drop_denials),
    Leaf("nodeny3", style=HASHED, edit=_drop_denials),
    Leaf("foreign", edit=_foreign()),
    Leaf("grown", edit=_grow()),
    Leaf("often", style=("-n", "-t", "200", "-s", "abcd")),
)


def leaves(top: str) -> list[Leaf]:
    """Return the leaves of a top-level zone."""
    return [leaf for leaf in LEAF_LIST if top != "hash." or leaf.name in FEW]


@dataclass
class Made:
    """A zone file on disk and the DS records that its parent should hold."""

    name: str
    path: Path
    ds: list[str] = field(default_factory=list)
    server: str = LEAVES


def _plain(name: str, tail: str, more: tuple[str, ...]) -> str:
    """Write the records of a leaf; `tail` is its top-level zone."""
    lines = [
        f"$ORIGIN {name}",
        f"$TTL {TTL}",
        f"@ IN SOA ns.{name} host.{name} 1 60 60 86400 {TTL}",
        f"@ IN NS ns.{name}",
        f"ns IN A {LEAVES}",
        "www IN A 192.0.2.80",
        "www IN AAAA 2001:db8::80",
        "@ IN MX 10 www",
        "*.wild IN A 192.0.2.90",
        f"*.wildalias IN CNAME www.good.{tail}",
        'ent.deep IN TXT "an empty non-terminal above"',
        "alias IN CNAME www",
        f"togood IN CNAME www.good.{tail}",
        f"tounsigned IN CNAME www.unsigned.{tail}",
        f"toexpired IN CNAME www.expired.{tail}",
        f"tonothing IN CNAME nothing.good.{tail}",
        f"tonodata IN CNAME deep.good3.{tail}",
        f"towild IN CNAME a.wild.good3.{tail}",
        "chain IN CNAME alias",
        f"far IN CNAME chain.good.{tail}",
        "loop IN CNAME pool",
        "pool IN CNAME loop",
        f"sub IN DNAME good.{tail}",
        f"subbad IN DNAME expired.{tail}",
        f"subnone IN DNAME unsigned.{tail}",
        f"child IN NS ns.child.{name}",
        f"ns.child IN A {LEAVES}",
        *more,
    ]
    return "\n".join(lines) + "\n"


def make_all(folder: Path) -> tuple[list[Made], list[str]]:
    """Make every zone; return them and the root's trust anchor lines."""
    made: list[Made] = []
    tops: list[Made] = []
    for top, style in STYLES.items():
        below: list[Made] = []
        for leaf in leaves(top):
            name = f"{leaf.name}.{top}"
            one = _leaf(folder, leaf, name, top, style)
            below.append(one)
            child = Made(f"child.{name}", folder / f"child.{name}zone")
            child.path.write_text(
                f"$ORIGIN child.{name}\n$TTL {TTL}\n@ IN SOA ns.child.{name} host.{name} 1 60 60"
                f" 86400 {TTL}\n@ IN NS ns.child.{name}\nns IN A {LEAVES}\nwww IN A 192.0.2.70\n"
            )
            below.append(child)
        lines = [
            f"$ORIGIN {top}",
            f"$TTL {TTL}",
            f"@ IN SOA ns.{top} host.{top} 1 60 60 86400 {TTL}",
            f"@ IN NS ns.{top}",
            f"ns IN A {TOPS}",
            *(
                f"{z.name} IN NS ns.{z.name}\nns.{z.name} IN A {LEAVES}"
                for z in below
                if z.name.count(".") == 2
            ),
            *(ds for z in below for ds in z.ds),
        ]
        path = folder / f"{top}zone"
        path.write_text("\n".join(lines) + "\n")
        one = Made(top, path, server=TOPS)
        one.ds = [_ds(line) for line in _sign(path, top, style, (-1, 20))]
        tops.append(one)
        made += below
    path = folder / "root.zone"
    path.write_text(
        f"$ORIGIN .\n$TTL {TTL}\n. IN SOA ns. host. 1 60 60 86400 {TTL}\n. IN NS ns.\n"
        f"ns. IN A {ROOT}\n"
        + "".join(f"{t.name} IN NS ns.{t.name}\nns.{t.name} IN A {TOPS}\n" for t in tops)
        + "".join(f"{ds}\n" for t in tops for ds in t.ds)
    )
    anchors = [_ds(line) for line in _sign(path, ".", (), (-1, 20))]
    return [Made(".", path, server=ROOT), *tops, *made], anchors


def _leaf(folder: Path, leaf: Leaf, name: str, top: str, style: tuple[str, ...]) -> Made:
    path = folder / f"{name}zone"
    path.write_text(_plain(name, top, leaf.more))
    made = Made(name, path)
    if not leaf.sign:
        if leaf.delegated == "right":
            made.ds = [_stranger(name)]
        return made
    keys = _sign(path, name, style if leaf.style is None else leaf.style, leaf.window)
    right = [_ds(line) for line in keys]
    digest = right[0].split()[-1]
    made.ds = {
        "right": right,
        "none": [],
        "wrong": [_stranger(name)],
        "twice": [*right, _stranger(name)],
        "algorithm": [f"{name} IN DS 4711 200 2 {digest}"],
        "digest": [f"{name} IN DS 4711 13 200 {digest}"],
    }[leaf.delegated]
    if leaf.edit is not None:
        zone = dns.zone.from_file(str(path), name, relativize=True, check_origin=False)
        leaf.edit(zone)
        zone.to_file(str(path), relativize=False, want_origin=False)
    return made


def _stranger(name: str) -> str:
    """A DS of a key that nobody has."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), 13, flags=257)
    return f"{name} IN DS {dns.dnssec.make_ds(name, key, 'SHA256').to_text()}"


def _sign(path: Path, name: str, style: tuple[str, ...], window: tuple[int, int]) -> list[str]:
    """Sign a zone file in place; return the lines of its KSKs."""
    folder = path.parent
    keys = []
    for more in (("-k",), ()):
        done = subprocess.run(
            ["ldns-keygen", "-a", "ECDSAP256SHA256", *more, name],
            cwd=folder, check=True, capture_output=True, text=True,
        )  # fmt: skip
        keys.append(done.stdout.strip())
    now = int(time.time_ns() // 10**9)
    dates = [time.strftime("%Y%m%d%H%M%S", time.gmtime(now + DAY * days)) for days in window]
    signed = folder / f"{path.name}.signed"
    subprocess.run(
        ["ldns-signzone", *style, "-o", name, "-i", dates[0], "-e", dates[1], "-f", signed.name,
         path.name, *keys],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    signed.replace(path)
    return [(folder / f"{keys[0]}.key").read_text().split(";")[0].strip()]


def _ds(key_line: str) -> str:
    """Make the DS of a DNSKEY line."""
    words = key_line.split()
    at = words.index("DNSKEY")
    text = " ".join([*words[at + 1 : at + 4], "".join(words[at + 4 :])])
    key = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DNSKEY, text)
    return f"{words[0]} IN DS {dns.dnssec.make_ds(words[0], key, 'SHA256').to_text()}"
