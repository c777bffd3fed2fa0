"""Zones that one seeded change each has gone through, in some field of some record of DNSSEC.

What was rightly signed and then changed shows whether signatures are checked; what was changed and
then rightly signed shows whether it is understood.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone

from verdictkit.signing import SIGNERS, Resigner, ds_of, load
from verdictkit.zones import LEAVES, ROOT, TOPS, TTL, Made

Change = Callable[["Bench"], None]
RRSIG = dns.rdatatype.RRSIG
TOP = {"na.": "nsec", "ha.": "nsec3", "oa.": "opt-out"}
TARGETS = (
    ("www", "A"), ("@", "SOA"), ("@", "DNSKEY"), ("*.wild", "A"), ("alias", "CNAME"),
    ("dn", "DNAME"), ("sec", "DS"), ("denials", ""),
)  # fmt: skip
"""Whose signatures are changed: owner and type, or every NSEC or NSEC3."""


@dataclass
class Bench:
    """A signed zone to be changed.

    Attributes:
        zone: names in full.
        name: of the zone.
        resigner: signs with the zone's keys.
        draw: seeded by the name of the change.
        ds: lines for the parent.
    """

    zone: dns.zone.Zone
    name: str
    resigner: Resigner
    draw: random.Random
    ds: list[str]

    def owner(self, label: str) -> dns.name.Name:
        """Return a name of the zone in full."""
        return dns.name.from_text(label if label != "@" else self.name, self.resigner.name)

    def targets(self, label: str, kind: str) -> list[tuple[dns.name.Name, str]]:
        """Return owner and type of what is changed."""
        if label != "denials":
            return [(self.owner(label), kind)]
        return self.denials()

    def denials(self) -> list[tuple[dns.name.Name, str]]:
        """Return owner and type of each NSEC or NSEC3."""
        return [
            (name, dns.rdatatype.to_text(rdataset.rdtype))
            for name in sorted(self.zone.nodes)
            for rdataset in self.zone.nodes[name].rdatasets
            if rdataset.rdtype in {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
        ]

    def signatures(self, owner: dns.name.Name, kind: str) -> dns.rdataset.Rdataset:
        """Return the RRSIGs over an RRset."""
        return self.zone.find_rdataset(owner, RRSIG, covers=kind)


def refill(rdataset: dns.rdataset.Rdataset, records: list[dns.rdata.Rdata]) -> None:
    """Put records in place of those there were."""
    ttl = rdataset.ttl
    rdataset.clear()
    for record in records:
        rdataset.add(record, ttl)


def _in_signature(field: str, label: str, kind: str) -> Change:
    """Change one field of every RRSIG over the target."""

    def change(bench: Bench) -> None:
        for owner, covered in bench.targets(label, kind):
            held = bench.signatures(owner, covered)
            refill(held, [_changed(one, field, bench) for one in held])

    return change


def _changed(one: dns.rdata.Rdata, field: str, bench: Bench) -> dns.rdata.Rdata:
    draw = bench.draw
    octets = bytearray(one.signature)
    if field == "flip":
        octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
        return one.replace(signature=bytes(octets))
    if field == "cut":
        return one.replace(signature=bytes(octets[:-1]))
    if field == "longer":
        return one.replace(signature=bytes(octets) + b"\0")
    if field == "zeros":
        return one.replace(signature=bytes(len(octets)))
    if field == "tag":
        return one.replace(key_tag=one.key_tag ^ 1 << draw.randrange(16))
    if field == "algorithm":
        return one.replace(algorithm=draw.choice([5, 8, 14, 15, 200]))
    if field == "ttl":
        return one.replace(original_ttl=one.original_ttl ^ 1 << draw.randrange(5))
    if field == "ends":
        return one.replace(expiration=one.inception + 3600)
    if field == "swapped":
        return one.replace(expiration=one.inception, inception=one.expiration)
    if field == "labels":
        return one.replace(labels=max(one.labels + draw.choice([-1, 1]), 0))
    assert field == "signer"
    names = [bench.resigner.name.parent(), dns.name.root, bench.owner("sec"), bench.owner("www")]
    return one.replace(signer=draw.choice(names))


def _dated(label: str, kind: str, days: tuple[float, float]) -> Change:
    """Sign again with another period of validity."""

    def change(bench: Bench) -> None:
        for owner, covered in bench.targets(label, kind):
            bench.resigner.sign(bench.zone, owner, covered, ksk=covered == "DNSKEY", days=days)

    return change


def _drop(label: str, kind: str) -> Change:
    def change(bench: Bench) -> None:
        for owner, covered in bench.targets(label, kind):
            bench.zone.delete_rdataset(owner, RRSIG, covers=covered)

    return change


def _second(label: str, kind: str, field: str) -> Change:
    """Add a bad signature beside the good one."""

    def change(bench: Bench) -> None:
        for owner, covered in bench.targets(label, kind):
            held = bench.signatures(owner, covered)
            refill(held, [*held, *(_changed(one, field, bench) for one in held)])

    return change


def _key(what: str, *, sep: bool, resign: bool) -> Change:
    """Change a key, and perhaps sign the key set again."""

    def change(bench: Bench) -> None:
        apex = bench.resigner.name
        keys = bench.zone.find_rdataset(apex, "DNSKEY")
        made = []
        for key in keys:
            if bool(key.flags & 1) is not sep:
                made.append(key)
                continue
            octets = bytearray(key.key)
            octets[bench.draw.randrange(len(octets))] ^= 1 << bench.draw.randrange(8)
            made += {
                "flip": [key.replace(key=bytes(octets))],
                "drop": [],
                "zone bit": [key.replace(flags=key.flags & ~256)],
                "revoked": [key.replace(flags=key.flags | 128)],
                "protocol": [key.replace(protocol=2)],
                "algorithm": [key.replace(algorithm=bench.draw.choice([8, 14, 200]))],
                "sep bit": [key.replace(flags=key.flags ^ 1)],
                "twin": [key, key.replace(flags=key.flags ^ 1)],
                "unknown flag": [key.replace(flags=key.flags | 2)],
                "cut": [key.replace(key=key.key[:-1])],
            }[what]
        refill(keys, made)
        if resign:
            bench.resigner.sign(bench.zone, apex, "DNSKEY", ksk=True)

    return change


def _ds(what: str, *, beside: bool = False) -> Change:
    """Change what the parent says."""

    def change(bench: Bench) -> None:
        made = []
        for line in bench.ds:
            owner, _, _, tag, algorithm, kind, digest = line.split()
            cut = bytearray.fromhex(digest)
            cut[bench.draw.randrange(len(cut))] ^= 1 << bench.draw.randrange(8)
            new = {
                "tag": (str(int(tag) ^ 1), algorithm, kind, digest),
                "algorithm": (tag, "8", kind, digest),
                "unknown algorithm": (tag, "200", kind, digest),
                "reserved algorithm": (tag, "0", kind, digest),
                "old algorithm": (tag, "3", kind, digest),
                "unknown digest": (tag, algorithm, "200", digest),
                "gost digest": (tag, algorithm, "3", digest),
                "digest": (tag, algorithm, kind, cut.hex()),
            }[what]
            made.append(f"{owner} IN DS {' '.join(new)}")
        bench.ds[:] = [*bench.ds, *made] if beside else made

    return change


def _with_sha1(good: int) -> Change:
    """SHA-1 and SHA-256 beside each other, only one of them right (RFC 4509 3)."""

    def change(bench: Bench) -> None:
        key = next(k for k, _ in bench.resigner.keys if k.flags & 1)
        made = []
        for digest, name in ((1, "SHA1"), (2, "SHA256")):
            ds = dns.dnssec.make_ds(
                bench.name, key, name, policy=dns.dnssec.allow_all_policy
            ).to_text()
            made.append(f"{bench.name} IN DS {ds if digest == good else ds[:-1] + 'f'}")
            if digest != good and ds.endswith("f"):
                made[-1] = f"{bench.name} IN DS {ds[:-1]}0"
        bench.ds[:] = made

    return change


def _denial(what: str, *, resign: bool) -> Change:
    """Change every NSEC or NSEC3, or one of them, and perhaps sign them again."""

    def change(bench: Bench) -> None:
        draw = bench.draw
        found = bench.denials()
        if what == "shuffled":
            nexts = [next(iter(bench.zone.find_rdataset(*one))).next for one in found]
            nexts = [*nexts[1:], nexts[0]]
        for at, (owner, kind) in enumerate(found):
            held = bench.zone.find_rdataset(owner, kind)
            (one,) = list(held)
            new = one
            if what == "shuffled":
                new = one.replace(next=nexts[at])
            elif what == "next":
                new = one.replace(next=_other_next(one, bench))
            elif what in {"all types", "cut types", "cname", "ns"}:
                new = one.replace(windows=_windows(one, what))
            elif what == "drop" and owner != bench.resigner.name and draw.random() < 0.5:
                bench.zone.delete_rdataset(owner, kind)
                bench.zone.delete_rdataset(owner, RRSIG, covers=kind)
                continue
            elif kind == "NSEC3":
                changed = {"flags": one.flags ^ 1, "unknown flags": 2}
                new = one.replace(flags=changed.get(what, one.flags))
            refill(held, [new])
            if resign:
                bench.resigner.sign(bench.zone, owner, kind)

    return change


def _other_next(one: dns.rdata.Rdata, bench: Bench) -> object:
    if one.rdtype == dns.rdatatype.NSEC:
        return bench.draw.choice([bench.resigner.name, bench.owner("m"), bench.owner("0")])
    octets = bytearray(one.next)
    octets[bench.draw.randrange(2)] ^= 1 << bench.draw.randrange(8)
    return bytes(octets)


def _windows(one: dns.rdata.Rdata, what: str) -> list[tuple[int, bytes]]:
    held = dict(one.windows)
    bits = bytearray(held.get(0, b"").ljust(7, b"\0"))
    for kind, does in {
        "all types": ((1, True), (16, True), (43, True)),
        "cut types": ((1, False), (43, False), (16, False)),
        "cname": ((5, True),),
        "ns": ((2, True), (6, False)),
    }[what]:
        mask = 0x80 >> kind % 8
        bits[kind // 8] = bits[kind // 8] | mask if does else bits[kind // 8] & ~mask
    first = bytes(bits).rstrip(b"\0")
    return [*([(0, first)] if first else []), *((w, b) for w, b in one.windows if w)]


def _record(what: str) -> Change:
    """Change data and leave its signature."""

    def change(bench: Bench) -> None:
        held = bench.zone.find_rdataset(bench.owner("www"), "A")
        more = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.A, "192.0.2.66")
        records = list(held)
        if what == "ttl up":
            held.ttl = TTL * 2
        elif what == "ttl down":
            held.ttl = TTL // 2
        else:
            rest = records[1:]
            refill(held, {"more": [*records, more], "less": rest, "other": [more, *rest]}[what])

    return change


def _changes() -> dict[str, Change]:
    made: dict[str, Change] = {"nothing": lambda _: None}
    fields = ("flip", "cut", "longer", "zeros", "tag", "algorithm", "ttl", "ends", "swapped",
              "labels", "signer")  # fmt: skip
    for label, kind in TARGETS:
        what = kind or label
        for field in fields:
            made[f"{what} {field}"] = _in_signature(field, label, kind)
        made[f"{what} dropped"] = _drop(label, kind)
        made[f"{what} ran out"] = _dated(label, kind, (-20, -2))
        made[f"{what} early"] = _dated(label, kind, (2, 20))
        for field in ("flip", "tag", "algorithm", "ends"):
            made[f"{what} second {field}"] = _second(label, kind, field)
    for what in ("flip", "drop", "zone bit", "revoked", "protocol", "algorithm", "sep bit", "twin",
                 "unknown flag", "cut"):  # fmt: skip
        for sep in (True, False):
            made[f"key {what} {sep}"] = _key(what, sep=sep, resign=False)
            made[f"key {what} {sep} signed"] = _key(what, sep=sep, resign=True)
    for what in ("tag", "algorithm", "unknown algorithm", "reserved algorithm", "old algorithm",
                 "unknown digest", "gost digest", "digest"):  # fmt: skip
        made[f"delegation {what}"] = _ds(what)
        made[f"delegation {what} beside"] = _ds(what, beside=True)
    made |= {"sha1 good": _with_sha1(1), "sha256 good": _with_sha1(2)}
    # Parameters of NSEC3 that differ from NSEC3PARAM end NSD; the tests of proofs have them.
    for what in ("shuffled", "next", "all types", "cut types", "cname", "ns", "drop", "flags",
                 "unknown flags"):  # fmt: skip
        made[f"denial {what}"] = _denial(what, resign=False)
        made[f"denial {what} signed"] = _denial(what, resign=True)
    for what in ("more", "less", "other", "ttl up", "ttl down"):
        made[f"data {what}"] = _record(what)
    return made


CHANGES = _changes()


def leaves() -> list[tuple[str, str, str, Change]]:
    """Every mutant: label, top-level zone, what is changed, and the change; they take turns."""
    found = []
    for number, (what, change) in enumerate(CHANGES.items()):
        words = what.replace(" ", "-").lower().replace("true", "sep").replace("false", "zsk")
        for at, top in enumerate(TOP):
            if at == number % 3 or what.startswith("denial") or what == "nothing":
                found.append((words, top, what, change))
    return found


ASKED = (
    ("www", "A"), ("www", "TXT"), ("", "SOA"), ("", "DNSKEY"), ("", "DS"), ("nothing", "A"),
    ("a.b.nothing", "A"), ("deep", "A"), ("a.wild", "A"), ("a.wild", "TXT"), ("alias", "A"),
    ("outnx", "A"), ("x.dn", "A"), ("un", "DS"), ("www.un", "A"), ("sec", "DS"), ("www.sec", "A"),
    ("nothing.sec", "A"), ("www", "DS"),
)  # fmt: skip


def questions(seed: int) -> list[tuple[str, str]]:
    """Every question, in an order of its own."""
    found = [
        (f"{label}.{words}.{top}" if label else f"{words}.{top}", kind)
        for words, top, _, _ in leaves()
        for label, kind in ASKED
    ]
    random.Random(seed).shuffle(found)
    return found


def _text(name: str, top: str) -> str:
    return (
        f"$ORIGIN {name}\n$TTL {TTL}\n@ IN SOA ns.{name} host.{name} 7 60 60 86400 {TTL}\n"
        f"@ IN NS ns\nns IN A {LEAVES}\nwww IN A 192.0.2.80\nwww IN A 192.0.2.81\n"
        'ent.deep IN TXT "below"\n*.wild IN A 192.0.2.90\nalias IN CNAME www\n'
        f"outnx IN CNAME nothing.nothing.{top}\ndn IN DNAME deep\nx.deep IN A 192.0.2.91\n"
        f"un IN NS ns.un\nns.un IN A {TOPS}\nsec IN NS ns.sec\nns.sec IN A {TOPS}\n"
    )


def _child(name: str) -> str:
    return (
        f"$ORIGIN {name}\n$TTL {TTL}\n@ IN SOA ns.{name} host.{name} 1 60 60 86400 {TTL}\n"
        f"@ IN NS ns\nns IN A {TOPS}\nwww IN A 192.0.2.70\n"
    )


def _write(folder: Path, name: str, text: str, server: str) -> Made:
    path = folder / f"{name.strip('.') or 'root'}.zone"
    path.write_text(text)
    return Made(name, path, server=server)


def make_all(folder: Path) -> tuple[list[Made], list[str]]:
    """Make every zone; return them and the root's trust anchor lines."""
    made: list[Made] = []
    below: dict[str, list[Made]] = {top: [] for top in TOP}
    for words, top, _, change in leaves():
        name = f"{words}.{top}"
        un = _write(folder, f"un.{name}", _child(f"un.{name}"), TOPS)
        sec = _write(folder, f"sec.{name}", _child(f"sec.{name}"), TOPS)
        SIGNERS["l"](sec.path, sec.name, 13, "nsec", 0)
        lines = "\n".join(ds_of(sec.path, sec.name))
        zone = _write(folder, name, f"{_text(name, top)}{lines}\n", LEAVES)
        SIGNERS["l"](zone.path, name, 13, TOP[top], 0)
        resigner = Resigner(zone.path, name)
        draw = random.Random(name)
        bench = Bench(load(zone.path, name), name, resigner, draw, ds_of(zone.path, name))
        change(bench)
        bench.zone.to_file(str(zone.path), relativize=False, want_origin=False)
        zone.ds = bench.ds
        below[top].append(zone)
        made += [zone, un, sec]
    tops = []
    for top, denial in TOP.items():
        text = _child(top) + "".join(
            f"{z.name} IN NS ns.{z.name}\nns.{z.name} IN A {LEAVES}\n" for z in below[top]
        )
        text += "".join(f"{ds}\n" for z in below[top] for ds in z.ds)
        zone = _write(folder, top, text, TOPS)
        SIGNERS["l"](zone.path, top, 13, denial, 0)
        zone.ds = ds_of(zone.path, top)
        tops.append(zone)
    text = f"$ORIGIN .\n$TTL {TTL}\n. IN SOA ns. host. 1 60 60 86400 {TTL}\n. IN NS ns.\n"
    text += f"ns. IN A {ROOT}\n" + "".join(
        f"{t.name} IN NS ns.{t.name}\nns.{t.name} IN A {TOPS}\n" for t in tops
    )
    root = _write(folder, ".", text + "".join(f"{ds}\n" for t in tops for ds in t.ds), ROOT)
    SIGNERS["l"](root.path, ".", 13, "nsec", 0)
    return [root, *tops, *made], ds_of(root.path, ".")
