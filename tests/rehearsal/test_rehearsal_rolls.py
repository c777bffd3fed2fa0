"""Each step of a roll, rehearsed on recorded traffic: the healthy pass, those of outages do not."""

from __future__ import annotations

from pathlib import Path

import pytest

RECORDED = Path(__file__).resolve().parent / "recorded"

HOUR = 3600
DAY = 24 * HOUR


def refusals(told: dict) -> set[tuple[str, str]]:
    return {(one["reason"], one["holders"]) for one in told["findings"] if one["level"] == "refuse"}


HEALTHY = [
    # what was recorded, the zone to be published, how long after the recording (s), DS in force
    ("old", "zsk-published", 10, None),
    ("published", "zsk-signs", 10, None),
    ("old published", "zsk-signs", HOUR + 60, None),
    ("signs", "zsk-withdrawn", 10, None),
    ("published signs", "zsk-withdrawn", HOUR + 60, None),
    ("double-ds", "ksk-swapped", 10, None),
    ("old double-ds", "ksk-swapped", HOUR + 60, None),
    ("old", "algorithm-signatures", 10, None),
    ("algorithm-signatures", "algorithm-keys", 10, None),
    ("algorithm-keys", "algorithm-new", 10, None),
    ("old", "nsec3", 10, None),
    ("old", "nsec3-opt-out", 10, None),
    ("old no-ds", "unsigned", HOUR + 60, None),
    ("no-ds", "unsigned", 10, "no-ds"),
    ("old", "old", 10, None),
]


@pytest.mark.parametrize(("captures", "zone", "after", "ds"), HEALTHY)
def test_a_healthy_step_passes(stage, captures, zone, after, ds):
    told = stage(captures, zone, after, ds=ds)
    assert told["verdict"] == "pass", told["sentence"]
    assert not refusals(told)
    assert told["bogus"]["queries"] == 0
    assert told["demand"]["queries"] > 40


BROKEN = [
    # .de 2026, .ru 2024: the tag of the published key, the signature of another
    ("published", "same-tag", 10, None, {("signature-invalid", "everyone")}),
    # signed by a key that is not published
    ("old", "unpublished-key", 10, None, {("dnskey-missing", "everyone")}),
    # .nl 2012: a key published and used at once
    ("old", "zsk-signs", 10, None, {("dnskey-missing", "cached-keys")}),
    ("old published", "zsk-signs", 10, None, {("dnskey-missing", "cached-keys")}),
    # the old key withdrawn while caches hold its signatures, and older sets of keys
    (
        "old",
        "zsk-withdrawn",
        10,
        None,
        {("dnskey-missing", "cached-keys"), ("dnskey-withdrawn", "cached-data")},
    ),
    ("published", "zsk-withdrawn", 10, None, {("dnskey-withdrawn", "cached-data")}),
    # .fj 2022, .al 2026: no key that the DS refers to
    ("old", "ksk-swapped", 10, None, {("ds-mismatch", "everyone")}),
    # .nz 2023: the new DS is in force, and caches hold the old one
    ("old double-ds", "ksk-swapped", 10, None, {("ds-mismatch", "cached-ds")}),
    # ripe.net 2011
    ("old", "ksk-does-not-sign", 10, None, {("dnskey-unsigned-by-ds-key", "everyone")}),
    # .gov 2013: only the new algorithm is published, the DS and caches expect the old one
    (
        "algorithm-signatures",
        "algorithm-new",
        10,
        None,
        {
            ("ds-mismatch", "everyone"),
            ("dnskey-missing", "cached-keys"),
        },
    ),
    # .red 2014: no signatures under a DS
    ("old", "unsigned", 10, None, {("dnskey-absent", "everyone")}),
    ("old no-ds", "unsigned", 10, None, {("dnskey-absent", "cached-ds")}),
    # the new DS comes too early
    (
        "old",
        "old",
        10,
        "algorithm-keys",
        {("ds-mismatch", "everyone")},
    ),
    ("old", "serial-back", 10, None, {("serial-not-increased", "secondaries")}),
]


@pytest.mark.parametrize(("captures", "zone", "after", "ds", "expected"), BROKEN)
def test_a_step_that_breaks_is_refused_for_its_reason(stage, captures, zone, after, ds, expected):
    told = stage(captures, zone, after, ds=ds)
    assert told["verdict"] == "refuse"
    assert refusals(told) == expected, told["sentence"]


def test_an_expired_zone_is_refused_and_one_that_will_expire_is_on_demand(stage):
    told = stage("old", "zsk-published", 60 * DAY)
    assert ("signature-expired", "everyone") in refusals(told)
    assert told["bogus"]["share"] > 0.9
    # 2026-12-31 is 33 days after the recording.
    assert stage("old", "zsk-published", valid_for="30d")["verdict"] == "pass"
    told = stage("old", "zsk-published", valid_for="40d")
    assert refusals(told) == {("signature-expiring", "everyone")}


def test_before_its_inception_a_zone_is_refused_until_then(stage):
    told = stage("old", "old", -60 * DAY)
    (finding,) = (one for one in told["findings"] if one["level"] == "refuse")
    assert (finding["reason"], finding["until"][:19]) == (
        "signature-not-yet-valid",
        "2026-11-01T00:00:00",
    )
    assert told["demand"]["queries"] == 0  # it was recorded later


@pytest.mark.parametrize("after", [10, 1800])
def test_refusal_lasts_as_long_as_caches_hold_the_old_keys(stage, after):
    """The TTL of the DNSKEY RRset is 3600 s, and the old one is served until publication."""
    told = stage("old", "zsk-signs", after)
    (finding,) = told["findings"]
    assert finding["seconds"] == HOUR
    assert finding["rrsets_count"] == 30  # all but the DNSKEY RRset
    assert finding["keys"][0]["tag"] != finding["keys"][-1]["tag"] or len(finding["keys"]) == 1


def test_a_superseded_set_is_held_until_its_own_ttl_ends(stage):
    """Seen last in `old`; the next set came before publication, so less than a TTL is left."""
    told = stage("old published", "zsk-signs", 1800)
    (finding,) = told["findings"]
    assert 1700 < finding["seconds"] < 1800 + 60


def test_a_recording_whose_keys_ran_out_is_not_judged_and_does_not_refuse(stage):
    told = stage("old", "zsk-signs", HOUR + 60)
    assert told["verdict"] == "unjudged"
    assert [one["what"] for one in told["unjudged"]] == ["cached-keys"]
    assert "Could not be judged" in told["sentence"]


def test_a_zone_whose_ds_nobody_recorded_does_not_pass(stage):
    """The servers of the zone itself say that there is no DS; only the parent's would know."""
    told = stage("no-ds", "unsigned")
    assert told["verdict"] == "unjudged"
    assert [one["what"] for one in told["unjudged"]] == ["delegation"]
    assert "--ds" in told["unjudged"][0]["needed"]


def test_only_recorded_queries_that_need_broken_rrsets_count(stage):
    """Three signatures of .de's kind: SOA (with every denial), www A, the NSEC of `plain`."""
    told = stage("published", "same-tag")
    (finding,) = (one for one in told["findings"] if one["level"] == "refuse")
    assert {(one["name"], one["type"]) for one in finding["rrsets"]} == {
        ("reg.test.", "SOA"),
        ("www.reg.test.", "A"),
        ("plain.reg.test.", "NSEC"),
    }
    hit = {(one["name"], one["type"]) for one in finding["examples"]}
    assert ("www.reg.test.", "A") in hit
    assert ("www.reg.test.", "AAAA") not in hit
    assert 0.3 < finding["share"] < 0.8
    assert finding["clients"] <= 4
    assert all(one["frame"] > 0 and one["capture"] for one in finding["examples"])


def test_without_a_ds_in_force_nobody_refuses(stage, tmp_path):
    """A zone that is not delegated as signed yet may be wrong: nobody validates it."""
    none = tmp_path / "none.ds"
    none.write_text("")
    told = stage("no-ds", "unpublished-key", delegation=none)
    assert told["verdict"] == "pass"
    assert ("dnskey-missing", "warning") in {(f["reason"], f["level"]) for f in told["findings"]}
    # The same while caches hold the DS of before.
    assert stage("old", "unpublished-key", delegation=none)["verdict"] == "refuse"


def test_queries_without_do_to_an_authority_hurt_nobody(stage):
    """Of 61 queries every ninth has no DO."""
    demand = stage("old", "old")["demand"]
    assert demand["without_do"] >= 6
    assert demand["queries"] + demand["without_do"] >= 60


def test_a_hole_in_the_nsec3_chain_is_found_and_hits_those_who_need_it(stage, tmp_path):
    lines = (RECORDED / "zones" / "nsec3.zone").read_text().splitlines(keepends=True)
    owners = [line.split()[0] for line in lines if line.split()[3:4] == ["NSEC3"]]
    path = tmp_path / "broken.zone"
    path.write_text("".join(line for line in lines if not line.startswith(owners[3])))
    told = stage("old", path)
    reasons = {reason for reason, _ in refusals(told)}
    assert reasons <= {"chain-broken", "denial-missing", "denial-invalid"}
    assert "chain-broken" in reasons
    assert told["verdict"] == "refuse"
