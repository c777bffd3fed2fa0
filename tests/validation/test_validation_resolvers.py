"""The whole analyzer against real resolvers: what Unbound and BIND refused is what it accuses.

The captures beside tests/explanation hold one resolver's upstream traffic for zones of every signer
and algorithm, sound and broken, and what that resolver concluded of each question.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forensics.ingest import ingest
from forensics.judging import report_of
from forensics.keyring import anchors, archive
from forensics.options import Options

RECORDED = Path(__file__).resolve().parents[1] / "explanation"
RECORDINGS = {
    "recorded": "unbound",
    "breadth-unbound": "unbound",
    "breadth-bind": "bind",
    "mutants-unbound": "unbound",
}
"""Folders, and the policy of the resolver that was asked."""

REASON_OF_ZONE = {
    "expired": "signature-expired",
    "future": "signature-not-yet-valid",
    "keyflip": "signature-invalid",
    "wrongds": "ds-mismatch",
    "nokeysig": "rrsig-missing",
    "plain": "dnskey-absent",
    "nosig": "rrsig-missing",
    "foreign": "dnskey-missing",
    "grown": "signature-invalid",
    "oneflip": "signature-invalid",
    "nodeny": "denial-missing",
    "nodeny3": "denial-missing",
    "nosoasig": "rrsig-missing",
    "soaflip": "signature-invalid",
    "denyflip": "signature-invalid",
    "denyflip3": "signature-invalid",
}
"""By a zone's first label, the fault that the recorder of `recorded` put in."""

ELSEWHERE = {
    "toexpired": "an alias into a zone that has an incident of its own",
    "subbad": "below a DNAME into such a zone",
    "loop": "aliases in a circle, which no resolver follows: nothing is wrong with the signatures",
    "lots": "more RRSIGs than BIND checks: a limit of that resolver",
}
"""Labels of names that are refused for another reason than their own zone."""


UNPROVEN = {
    "cname-tag": "a tag that no key has: the key set was seen once, and not in the same burst",
    "denials-tag": "the same, of NSEC3 records",
    "denials-algorithm": "an algorithm that nobody knows: such a signature is not judged",
    "denial-all-types-signed": "rightly signed, every type denied: told only where it is served",
}
"""Zones of which the resolver refused something that the analyzer leaves open: never accused."""

BEYOND = {
    "soa-ends": "the SOA's signature is bad by cryptography, and no question needed it",
}
"""Zones that are accused of what the resolver had no reason to look at."""


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request, tmp_path_factory) -> tuple[str, list[dict], list[list]]:
    name = request.param
    folder = RECORDED / name
    options = Options(
        trust_anchors=(str(folder / "trust-anchor.ds"),), policy=RECORDINGS[name]
    )  # fmt: skip
    tables = tmp_path_factory.mktemp(name) / "tables"
    assert not ingest([str(folder / "capture.pcap.zst")], tables).errors
    trusted = anchors.chosen(options.trust_anchors)
    report, _ = report_of(tables, (), trusted, archive.read(()), options, in_brief=True)
    verdicts = json.loads((folder / "verdicts.json").read_text())
    return name, report["incidents"], [one for one in verdicts if one[3] == "bogus"]


def below(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def test_no_zone_is_accused_of_which_the_resolver_refused_nothing(recording) -> None:
    _, incidents, refused = recording
    for incident in incidents:
        if incident["severity"] != "near-miss":
            zone = incident["zone"]
            if BEYOND.keys() & set(zone.split(".")):
                continue
            assert any(below(one[0], zone) for one in refused), (zone, incident["sentence"])


def test_what_the_resolver_refused_has_an_incident(recording) -> None:
    name, incidents, refused = recording
    zones = {incident["zone"] for incident in incidents}
    for one in refused:
        if not (ELSEWHERE.keys() | UNPROVEN.keys()) & set(one[0].split(".")):
            assert any(below(one[0], zone) for zone in zones), (name, one[:2])


def test_the_reasons_are_the_faults_that_were_put_in(recording) -> None:
    name, incidents, _ = recording
    if name == "recorded":
        named = {(i["zone"].split(".")[0], i["reason"]) for i in incidents}
        assert named == set(REASON_OF_ZONE.items())
    if name.startswith("breadth"):
        assert not [i for i in incidents if i["severity"] != "near-miss"]
