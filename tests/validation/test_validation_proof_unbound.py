"""The same answers, right and mutilated, judged by Unbound and by the prover."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from denial_servers import SIGNERS, TOOLS, ZONE, Puppet, ask, authority, status, validator

from forensics.validation.proof import Claim, Denier, prove
from forensics.vocabulary import Status

missing = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")

ZONES = {
    "bind-nsec": ("bind", {"nsec3": False}),
    "ldns-nsec": ("ldns", {"nsec3": False}),
    "knot-nsec3-0": ("knot", {"nsec3": True, "iterations": 0}),
    "bind-nsec3-10-optout": ("bind", {"nsec3": True, "iterations": 10, "opt_out": True}),
    "ldns-nsec3-150": ("ldns", {"nsec3": True, "iterations": 150}),
    "knot-nsec3-10-optout": ("knot", {"nsec3": True, "iterations": 10, "opt_out": True}),
    "ldns-nsec3-151": ("ldns", {"nsec3": True, "iterations": 151}),
}
ERROR, NODATA, WILD = Claim.NAME_ERROR, Claim.NO_DATA, Claim.WILDCARD_ANSWER
QUESTIONS = [
    (ERROR, "nx", "A"),
    (ERROR, "nx.www", "A"),
    (ERROR, "a.b.c.d.e", "TXT"),
    (ERROR, "nx.x.wild", "A"),
    (ERROR, "0", "DS"),
    (NODATA, "www", "MX"),
    (NODATA, "", "TXT"),
    (NODATA, "ent", "A"),
    (NODATA, "er.ent", "A"),
    (NODATA, "wild", "A"),
    (NODATA, "foo.wild", "MX"),
    (NODATA, "bar.foo.wild", "MX"),
    (NODATA, "*.wild", "MX"),
    (NODATA, "www", "DS"),
    (NODATA, "ent", "DS"),
    (NODATA, "u", "DS"),
    (NODATA, "v.u2", "DS"),
    (NODATA, "u2", "DS"),
    (WILD, "foo.wild", "TXT"),
    (WILD, "bar.foo.wild", "A"),
]


def is_open(how: dict[str, object]) -> bool:
    """Whether names of a zone may be unsigned without proof.

    Where no record at all came along, Unbound asks for the DS of the name. Opt-out, or too many
    iterations, then leave the name insecure: the one way in which its verdict is another than the
    prover's, which only knows the records of the response.
    """
    return bool(how.get("opt_out")) or how.get("iterations", 0) > 150


class Group(NamedTuple):
    """An NSEC or NSEC3 RRset with its signature."""

    denial: dns.rrset.RRset
    signature: dns.rrset.RRset

    @property
    def denier(self) -> Denier:
        owner = self.denial.name.canonicalize().to_wire()
        return Denier(owner, int(self.denial.rdtype), self.denial[0].to_wire())


def groups_of(rrsets) -> list[Group]:
    kinds = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
    return [
        Group(one, other)
        for one in rrsets
        for other in rrsets
        if one.rdtype in kinds and other.covers == one.rdtype and other.name == one.name
    ]


def zone_groups(folder) -> list[Group]:
    zone = dns.zone.from_file(str(folder / "signed"), ZONE, relativize=False, check_origin=False)
    # In order of names: signers write them as their threads come to it.
    rdatasets = [(name, one) for name, node in sorted(zone.nodes.items()) for one in node]
    rrsets = [dns.rrset.from_rdata_list(name, one.ttl, one) for name, one in rdatasets]
    for rrset, (_, one) in zip(rrsets, rdatasets, strict=True):
        rrset.covers = one.covers
    return groups_of(rrsets)


def is_misled(asked: str, groups: list[Group]) -> bool:
    """Whether Unbound 1.17 overlooks the proof that no wildcard stands for a name.

    It goes through the NSEC records of a name error in order and means to keep what the one with
    the longest closest encloser proves, but remembers the encloser of the last one. A third record
    then puts away what the first has proven. RFC 4035 5.4 knows no order of records.
    """
    name, before, is_proven = dns.name.from_text(asked), 0, False
    for group in groups:
        if group.denial.rdtype != dns.rdatatype.NSEC:
            return False
        owner, following = group.denial.name, group.denial[0].next
        common = max(name.fullcompare(owner)[2], name.fullcompare(following)[2])
        if common > before or (common == before and not is_proven):
            wildcard = dns.name.Name((b"*", *name.labels[-common:]))
            is_last = following <= owner
            is_proven = owner < wildcard and (wildcard < following or is_last)
        before = common
    return not is_proven


def variants(groups: list[Group], others: list[Group], choice: random.Random) -> list[list[Group]]:
    """Every part of an answer's own groups, and each of them exchanged for another of the zone."""
    found = [list(part) for size in range(len(groups)) for part in combinations(groups, size)]
    for at in range(len(groups)):
        for other in choice.sample(others, min(3, len(others))):
            found.append([*groups[:at], other, *groups[at + 1 :]])
    return [*found, [*groups, *choice.sample(others, min(2, len(others)))]]


def mutilated(answer: dns.message.Message, groups: list[Group]) -> dns.message.Message:
    other = dns.message.from_wire(answer.to_wire())
    kept = {(g.denial.name, g.denial.rdtype) for g in groups_of(other.authority)}
    other.authority = [
        rrset
        for rrset in other.authority
        if (rrset.name, rrset.rdtype) not in kept and (rrset.name, rrset.covers) not in kept
    ]
    for group in groups:
        other.authority += [group.denial, group.signature]
    return other


@dataclass
class Trial:
    """One zone, its real answers, and what came of holding the two validators side by side."""

    folder: Path
    real: int
    puppet: Puppet
    how: dict[str, object]
    others: list[Group]
    choice: random.Random
    differ: list[tuple] = field(default_factory=list)
    bogus: int = 0

    def judge(self, resolver: int, claim: Claim, label: str, kind: str) -> None:
        """Hold all variants of one answer against each other, those that prove it last."""
        asked = f"{label}.{ZONE}" if label else ZONE
        answer = ask(self.real, asked, kind)
        labels = None
        if claim is WILD:
            signature = next(r for r in answer.answer if r.rdtype == dns.rdatatype.RRSIG)
            labels = signature[0].labels
        right = groups_of(answer.authority)
        trials = [
            (
                prove(
                    claim,
                    dns.name.from_text(asked).to_wire(),
                    int(dns.rdatatype.from_text(kind)),
                    dns.name.from_text(ZONE).to_wire(),
                    [group.denier for group in groups],
                    labels=labels,
                ),
                groups,
            )
            for groups in [*variants(right, self.others, self.choice), right]
        ]
        # NSD 4.6 proves nothing for u2, which only an unsigned delegation below it makes a name.
        assert trials[-1][0].status is not Status.BOGUS or label == "u2"
        for proof, groups in sorted(trials, key=lambda trial: trial[0].status is not Status.BOGUS):
            assert proof.status in (Status.SECURE, Status.INSECURE, Status.BOGUS)
            self.puppet.told = {(asked, kind): mutilated(answer, groups)}
            theirs = status(ask(resolver, asked, kind))
            ours = proof.status.name.lower()
            self.bogus += theirs == "bogus"
            if not groups and is_open(self.how) and theirs == "insecure":
                continue
            if (ours, theirs, claim) == ("secure", "bogus", ERROR) and is_misled(asked, groups):
                continue
            if ours != theirs:
                shown = [(g.denial.name.to_text(), g.denial[0].to_text()) for g in groups]
                self.differ.append((claim, label, kind, ours, theirs, proof.explanation, shown))


@pytest.mark.parametrize("name", ZONES)
def test_verdicts_agree_with_unbound(name, tmp_path):
    signer, how = ZONES[name]
    SIGNERS[signer](tmp_path, **how)
    with authority(tmp_path) as real:
        keys = next(r for r in ask(real, ZONE, "DNSKEY").answer if r.rdtype == dns.rdatatype.DNSKEY)
        anchor = f"{ZONE} 300 IN DNSKEY {keys[0].to_text()}"
        puppet = Puppet(real)
        trial = Trial(tmp_path, real, puppet, how, zone_groups(tmp_path), random.Random(name))
        with validator(tmp_path, puppet.port, anchor) as resolver:
            for claim, label, kind in QUESTIONS:
                if kind != "DS" or how["nsec3"]:
                    trial.judge(resolver, claim, label, kind)
        for claim, label, kind in QUESTIONS:
            # For DS, Unbound answers out of NSEC records that it has seen within the same second.
            if kind == "DS" and not how["nsec3"]:
                with validator(tmp_path, puppet.port, anchor) as resolver:
                    trial.judge(resolver, claim, label, kind)
        puppet.socket.close()
    assert not trial.differ, "\n".join(map(str, trial.differ))
    assert trial.bogus > (50 if how.get("iterations", 0) <= 150 else 0)


def test_the_order_of_records_misleads_unbound(tmp_path):
    """The one difference that is let pass, seen: the same records in another order are a proof."""
    SIGNERS["bind"](tmp_path, nsec3=False)
    asked = f"nx.x.wild.{ZONE}"
    with authority(tmp_path) as real:
        keys = next(r for r in ask(real, ZONE, "DNSKEY").answer if r.rdtype == dns.rdatatype.DNSKEY)
        puppet = Puppet(real)
        answer = ask(real, asked, "A")
        of = {group.denial.name: group for group in zone_groups(tmp_path)}
        names = [f"{label}.{ZONE}" for label in ("x.wild", "d", "v.u2")]
        groups = [of[dns.name.from_text(name)] for name in names]
        anchor = f"{ZONE} 300 IN DNSKEY {keys[0].to_text()}"
        with validator(tmp_path, puppet.port, anchor) as resolver:
            said = []
            for some in (groups, groups[::-1]):
                puppet.told = {(asked, "A"): mutilated(answer, some)}
                said.append((is_misled(asked, some), status(ask(resolver, asked, "A"))))
        puppet.socket.close()
    assert said == [(True, "bogus"), (False, "secure")]
