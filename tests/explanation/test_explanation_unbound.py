"""Against a real Unbound: what it concluded of each recorded question, `explain` concludes too."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from forensics.explain import Asker, read_name, read_type
from forensics.ingest import ingest
from forensics.keyring import anchors
from forensics.options import Options
from forensics.vocabulary import REASON_CODE, REASONS

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded"
VERDICTS = json.loads((RECORDED / "verdicts.json").read_text())
DIFFERENCES = tomllib.loads((HERE / "unbound_differences.toml").read_text())["difference"]

REASON_OF_LEAF = {
    "expired": "signature-expired",
    "future": "signature-not-yet-valid",
    "keyflip": "signature-invalid",
    "wrongds": "ds-mismatch",
    "nokeysig": "rrsig-missing",
    "plain": "dnskey-absent",
}
"""Leaves of which the whole zone is broken, by the fault that the recorder put in."""

REASON_OF_NAME = {
    "www.oneflip": "signature-invalid",
    "www.nosig": "rrsig-missing",
    "www.foreign": "dnskey-missing",
    "www.grown": "signature-invalid",
    "nothing.nodeny": "denial-missing",
    "nothing.nosoasig": "rrsig-missing",
    "nothing.soaflip": "signature-invalid",
}
"""Names of which one RRset is broken, asked for their A RRset."""


@pytest.fixture(scope="module")
def asker(tmp_path_factory) -> Asker:
    folder = tmp_path_factory.mktemp("recorded")
    result = ingest([str(RECORDED / "capture.pcap.zst")], folder)
    assert not result.errors
    trusted = anchors.read(RECORDED / "trust-anchor.ds")
    return Asker(folder, Options(policy="unbound"), trusted)


@pytest.fixture(scope="module")
def told(asker) -> list[dict]:
    return [asker.ask(read_name(name), read_type(kind), at) for name, kind, at, *_ in VERDICTS]


def test_every_conclusion_is_unbounds_or_a_listed_difference(told):
    found = Counter()
    for one, (name, kind, _, status, *_) in zip(told, VERDICTS, strict=True):
        if one["status"] == status:
            continue
        listed = [
            number
            for number, d in enumerate(DIFFERENCES)
            if name.split(".")[0] == d["first_label"]
            and (status, one["status"], one["reason"]) == (d["unbound"], d["explain"], d["reason"])
        ]
        assert listed, (name, kind, status, one["status"], one["reason"], one["sentence"])
        found.update(listed[:1])
    assert set(found) == set(range(len(DIFFERENCES))), "a listed difference is none any more"


def test_the_questions_cover_every_status():
    counts = Counter(status for _, _, _, status, *_ in VERDICTS)
    assert min(counts[s] for s in ("secure", "insecure", "bogus")) > 300


def test_a_broken_zone_is_given_the_reason_that_was_put_in(told):
    for one, (name, _, _, status, *_) in zip(told, VERDICTS, strict=True):
        labels = name.rstrip(".").split(".")
        leaf = labels[-2] if len(labels) > 1 else ""
        if status == "bogus" and leaf in REASON_OF_LEAF and labels[0] != "subbad":
            assert one["reason"] == REASON_OF_LEAF[leaf], name


def test_a_broken_rrset_is_given_the_reason_that_was_put_in(told):
    seen = set()
    for one, (name, kind, *_) in zip(told, VERDICTS, strict=True):
        head = ".".join(name.split(".")[:2])
        if kind == "A" and head in REASON_OF_NAME:
            assert one["reason"] == REASON_OF_NAME[head], name
            seen.add(head)
    assert seen == set(REASON_OF_NAME)


def test_the_form_is_the_same_for_all(told):
    for one in told:
        assert set(one) >= {
            "name", "type", "at", "status", "reason", "ede", "rcode", "servers", "chain",
        }  # fmt: skip
        reason = REASONS[REASON_CODE[one["reason"]]]
        assert one["ede"] == (reason.ede if one["reason"] != "none" else None)
        for link in one["chain"]:
            assert link["link"] in {"anchor", "ds", "dnskey", "rrset", "denial", "alias"}
            assert link["reason"] in REASON_CODE
            assert all(frame > 0 for frame in link["frames"])
        assert one["status"] in {link["status"] for link in one["chain"]}
        assert one["rcode"] in {"NOERROR", "NXDOMAIN", None}


def test_rcodes_are_those_of_the_answers(told):
    for one, (name, _, _, status, rcode, _) in zip(told, VERDICTS, strict=True):
        if status != "bogus" and one["answer"] != "alias":
            assert one["resolver_rcode"] == rcode, name
