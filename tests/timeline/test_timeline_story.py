"""The rules of incidents, each in both directions, on scenes of a few rows."""

from __future__ import annotations

import json

import pytest
from timeline_scene import (
    AUTHORITY,
    DNSKEY,
    DS,
    KSK,
    NSEC3,
    RESOLVER,
    SOA,
    ZSK,
    A,
    Scene,
    ns,
    outage,
    rdata,
)

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell
from forensics.vocabulary import SightingFlag


def at(seconds: float) -> str:
    return rfc3339(ns(seconds))


def kinds(story) -> list[str]:
    return [finding["kind"] for finding in story.findings]


def patterns(incident: dict) -> dict[str, dict]:
    return {pattern["kind"]: pattern["figures"] for pattern in incident["patterns"]}


def test_outage_with_its_brackets_at_every_server() -> None:
    story = tell(outage().evidence())
    (incident,) = story.incidents
    assert (incident["zone"], incident["reason"], incident["ede"]) == (
        "de.",
        "signature-invalid",
        6,
    )
    assert (incident["severity"], incident["confidence"]) == ("outage", "strong")
    assert incident["onset"] == {"last_good": at(95), "first_bad": at(100)}
    assert incident["recovery"] == {"last_bad": at(196), "first_good": at(201)}
    assert incident["types"] == ["SOA"]
    assert patterns(incident)["every-server"] == {"servers": 2, "bad": 2}
    first, second = incident["servers"]
    assert first["onset"] == {"last_good": at(95), "first_bad": at(100)}
    assert second["onset"] == {"last_good": at(96), "first_bad": at(101)}
    assert first["recovery"] == {"last_bad": at(195), "first_good": at(200)}
    assert (first["bad"], first["role"], first["nsid"]) == (20, "zone", "n0")
    assert (incident["cause"]["after"], incident["cause"]["before"]) == (at(95), at(100))
    assert story.statuses == {
        "secure": 200, "valid": 0, "insecure": 0, "bogus": 40, "indeterminate": 0
    }  # fmt: skip


def test_evidence_cites_the_frames_of_the_brackets() -> None:
    scene = outage(servers=1)
    frames = {(row["time"], row["signature"]): row["frame"] for row in scene.rows["sightings"]}
    (incident,) = tell(scene.evidence()).incidents
    shown = {row["shows"]: row for row in incident["evidence"]}
    assert shown["first-bad"]["frame"] == frames[ns(100), 2]
    assert shown["last-good"]["frame"] == frames[ns(95), 1]
    assert shown["last-bad"]["frame"] == frames[ns(195), 3]
    assert shown["first-good"]["frame"] == frames[ns(200), 4]
    assert {row["capture"] for row in incident["evidence"]} == {"a.pcap"}
    assert "key-set" in shown


def test_healthy_zone_has_no_incident() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    soa = scene.good("de.", SOA, "de.")
    for second in range(50):
        scene.see(soa, second, place)
    story = tell(scene.evidence())
    assert story.incidents == []
    assert story.findings == []


def test_later_verdicts_and_unjudged_ones_accuse_nobody() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    later, unknown = scene.sign("de.", SOA, "de."), scene.sign("de.", A, "de.")
    scene.judge(later, "valid", "dnskey-missing", later=True)
    scene.judge(unknown, "indeterminate", "dnskey-not-captured")
    for second in range(9):
        scene.see(later, second, place)
        scene.see(unknown, second, place)
    assert tell(scene.evidence()).incidents == []


def test_a_later_verdict_is_no_last_good() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    good, later, bad = scene.good("de.", SOA, "de."), scene.sign("de.", SOA, "de."), 0
    scene.judge(later, "valid", later=True)
    bad = scene.bad("de.", SOA, "de.")
    scene.see(good, 1, place)
    scene.see(later, 2, place)
    scene.see(bad, 3, place)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"]["last_good"] == at(1)


def test_good_answer_under_the_bad_serial_is_no_proof_of_health() -> None:
    """A third of the new signatures were good: luck under the new serial is not the old state."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    old = scene.good("de.", SOA, "de.", serial=1)
    lucky = scene.good("a.de.", NSEC3, "de.", inception=0)
    bad = scene.bad("b.de.", NSEC3, "de.", inception=0)
    before = scene.good("a.de.", NSEC3, "de.")
    scene.see(old, 1, place, serial=1)
    scene.see(before, 5, place, serial=1)
    scene.see(lucky, 10, place, serial=2)
    scene.see(bad, 11, place, serial=2)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"] == {"last_good": at(5), "first_bad": at(11)}
    # The same with serials hidden in all but the bad responses' own: the RRset was never good.
    for row in scene.rows["sightings"]:
        row["serial"] = 0
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"]["last_good"] == at(5)  # `lucky` was not signed before the bad one


def test_old_signature_beside_the_bad_one_proves_nothing_between_serials() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    old, leftover = scene.good("de.", SOA, "de.", serial=1), scene.good("x.de.", A, "de.")
    bad = scene.bad("de.", SOA, "de.", serial=2)
    scene.see(old, 1, place, serial=1)
    scene.see(leftover, 2, place)  # no serial: may be of serial 1 or 2
    scene.see(bad, 3, place, serial=2)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"]["last_good"] == at(1)


@pytest.mark.parametrize("reason", ["ds-mismatch", "signature-invalid"])
def test_only_a_standing_chain_brackets_a_broken_link(reason: str) -> None:
    """Between the last sighting of the old DS and the first of the new one, nobody knows."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    soa = scene.sign("de.", SOA, "de.")
    for status, start, end in (
        ("secure", None, 10),
        ("valid", 10, 20),
        ("bogus", 20, 30),
        ("valid", 30, 40),
        ("secure", 40, None),
    ):
        why = reason if status == "bogus" else "none"
        scene.judge(soa, status, why, start=start, end=end)
    for second in (5, 15, 25, 35, 45):
        scene.see(soa, second, place)
    (incident,) = tell(scene.evidence()).incidents
    good = (5, 45) if reason == "ds-mismatch" else (15, 35)
    assert incident["onset"] == {"last_good": at(good[0]), "first_bad": at(25)}
    assert incident["recovery"] == {"last_bad": at(25), "first_good": at(good[1])}


def test_recovery_needs_every_stratum_and_a_newer_serial() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    soas = {n: scene.bad("de.", SOA, "de.", serial=n) for n in (1,)}
    lucky = scene.good("q.de.", A, "de.")
    repaired = scene.good("de.", SOA, "de.", serial=2, inception=5)
    denial = scene.bad("h.de.", NSEC3, "de.")
    scene.see(soas[1], 1, place, serial=1)
    scene.see(denial, 2, place, serial=1)
    scene.see(lucky, 3, place, serial=1)  # still serial 1
    (incident,) = tell(scene.evidence()).incidents
    assert incident["recovery"] == {"last_bad": at(2), "first_good": None}
    scene.see(repaired, 5, place, serial=2)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["recovery"]["first_good"] is None  # denial was not seen good again
    scene.see(scene.good("h.de.", NSEC3, "de.", inception=5), 6, place, serial=2)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["recovery"] == {"last_bad": at(2), "first_good": at(6)}
    assert [row["kind"] for row in incident["mitigations"]] == ["repair"]
    assert "resigned" in {row["event"] for row in incident["history"]}


@pytest.mark.parametrize(("begun", "recovered"), [(True, False), (False, True), (False, False)])
def test_capture_that_cuts_the_outage(begun: bool, recovered: bool) -> None:
    story = tell(outage(begun=begun, recovered=recovered).evidence())
    (incident,) = story.incidents
    assert (incident["onset"]["last_good"] is None) == (not begun)
    assert (incident["recovery"]["first_good"] is None) == (not recovered)
    assert ("starts-in-outage" in kinds(story)) == (not begun)
    assert ("ends-in-outage" in kinds(story)) == (not recovered)
    assert ("does not show when it began" in incident["sentence"]) == (not begun)
    assert ("does not show it fully repaired" in incident["sentence"]) == (not recovered)


def test_expired_signature_was_good_until_it_ran_out() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    signature = scene.sign("mm.", SOA, "mm.", expiration=50)
    scene.judge(signature, "secure", end=50)
    scene.judge(signature, "bogus", "signature-expired", start=50)
    longer = scene.good("x.mm.", A, "mm.", expiration=500)
    other = scene.good("root.", A, ".")
    for second in (10, 48, 53, 60):
        scene.see(signature, second, place, serial=7)
        scene.see(longer, second + 1, place, serial=7)
        scene.see(other, second + 1, place)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["reason"] == "signature-expired"
    assert incident["onset"] == {"last_good": at(48), "first_bad": at(53)}  # not 49, by `longer`
    assert incident["cause"]["after"] == incident["cause"]["before"] == at(50)
    assert incident["recovery"]["first_good"] is None


def test_withdrawn_key_makes_the_same_signature_bad() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    signature = scene.sign("x.", SOA, "x.", 1111)
    scene.judge(signature, "secure", end=100)
    scene.judge(signature, "bogus", "dnskey-missing", start=100, end=200)
    scene.judge(signature, "secure", start=200)
    scene.check(signature, ZSK, 1111, verifies=True)
    scene.keys("x.", DNSKEY, place, 10, 90, [KSK, ZSK], [2222, 1111])
    scene.keys("x.", DNSKEY, place, 100, 190, [KSK], [2222])
    scene.keys("x.", DNSKEY, place, 200, 250, [KSK, ZSK], [2222, 1111])
    for second in (50, 95, 101, 150, 199, 205):
        scene.see(signature, second, place, serial=1)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"] == {"last_good": at(95), "first_bad": at(101)}
    assert incident["recovery"] == {"last_bad": at(199), "first_good": at(205)}
    assert (incident["cause"]["after"], incident["cause"]["before"]) == (at(90), at(100))
    assert [(row["event"], row["at"]) for row in incident["history"]] == [
        ("dnskey-removed", at(100)),
        ("dnskey-added", at(200)),
    ]
    assert incident["signers"] == [
        {"tag": 1111, "algorithm": 8, "published": False, "signatures": 1, "recovered": False,
         "key_id": incident["signers"][0]["key_id"]}
    ]  # fmt: skip
    assert [(key["tag"], key["published"]) for key in incident["keys"]] == [
        (2222, True), (1111, False)
    ]  # fmt: skip


def test_partial_when_one_server_stays_good() -> None:
    scene = outage(servers=1)
    other = scene.place("192.0.2.77")
    for second in range(0, 300, 20):
        scene.see(0, second, other, serial=1)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["severity"] == "partial"
    assert patterns(incident)["server-divergence"]["good_servers"] == 1
    assert "1 of the 2 name servers" in incident["sentence"]


def test_server_seen_only_outside_of_the_outage_does_not_count() -> None:
    scene = outage(servers=1)
    other = scene.place("192.0.2.77")
    scene.see(0, 20, other, serial=1)
    assert tell(scene.evidence()).incidents[0]["severity"] == "outage"


@pytest.mark.parametrize("flag", [SightingFlag.TC, SightingFlag.CUT, SightingFlag.UNPAIRED])
def test_cut_truncated_and_stray_responses_never_accuse(flag: SightingFlag) -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    bad, good = scene.bad("de.", SOA, "de."), scene.good("de.", SOA, "de.")
    scene.see(good, 1, place)
    for second in range(5):
        scene.see(bad, 2 + second, place, flags=AUTHORITY & ~int(SightingFlag.DO_KNOWN) | int(flag))
    assert tell(scene.evidence()).incidents == []


def test_responses_accuse_where_no_query_of_that_server_was_captured() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    bad = scene.bad("de.", SOA, "de.")
    flags = int(SightingFlag.AA | SightingFlag.AUTHORITY | SightingFlag.UNPAIRED)
    for second in range(5):
        scene.see(bad, 2 + second, place, flags=flags)
        scene.ask("de.", 2 + second, query=False, vantage="upstream")
    story = tell(scene.evidence())
    assert [incident["zone"] for incident in story.incidents] == ["de."]
    assert "one-direction" in kinds(story)


def test_resolver_alone_is_resolver_local() -> None:
    scene = Scene()
    authority, resolver = scene.place("192.0.2.1"), scene.place("1.1.1.1", role="resolver")
    good, other = scene.good("de.", SOA, "de."), scene.good("a.", A, "a.")
    stale = scene.bad("de.", SOA, "de.", reason="signature-invalid")
    for second in range(5):
        scene.see(good, second, authority)
        scene.see(other, second, authority)
        scene.see(stale, second, resolver, flags=RESOLVER)
    (incident,) = tell(scene.evidence()).incidents
    assert (incident["view"], incident["severity"]) == ("resolver", "partial")
    assert patterns(incident)["resolver-local"]["authority_good"] == 5
    assert [row["bad"] for row in incident["resolvers"]] == [5]
    # As soon as an authority shows it too, it is the zone's incident and nothing else.
    scene.see(stale, 3, authority)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["view"] == "published"
    scene.ask("www.de.", 3.5, 2, server="1.1.1.1")
    (incident,) = tell(scene.evidence()).incidents
    assert [(row["bad"], row["servfail"]) for row in incident["resolvers"]] == [(5, 1)]


def test_flapping_is_one_incident_with_figures() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    outcomes = [True, False, True, True, False, True, False, True]
    for serial, good in enumerate(outcomes, 1):
        make = scene.good if good else scene.bad
        signature = make("se.", SOA, "se.", serial=serial, inception=serial)
        scene.see(signature, serial * 3600, place, serial=serial)
    (incident,) = tell(scene.evidence()).incidents
    assert patterns(incident)["flapping"] == {
        "serials": 6, "bad_serials": 3, "good_serials": 3, "changes": 4
    }  # fmt: skip
    assert incident["onset"] == {"last_good": at(3600), "first_bad": at(7200)}
    assert incident["recovery"] == {"last_bad": at(7 * 3600), "first_good": at(8 * 3600)}
    assert "flapping" not in patterns(tell(outage().evidence()).incidents[0])


def test_reasons_become_phases_and_a_long_pause_another_incident() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    first = scene.bad("al.", SOA, "al.", reason="ds-mismatch")
    second = scene.bad("al.", SOA, "al.", reason="dnskey-missing")
    for step in range(5):
        scene.see(first, 10 + step, place)
        scene.see(second, 100 + step, place)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["reason"] == "ds-mismatch"
    assert [(row["reason"], row["from"], row["to"]) for row in incident["phases"]] == [
        ("ds-mismatch", at(10), at(14)),
        ("dnskey-missing", at(100), at(104)),
    ]
    scene.see(scene.good("al.", SOA, "al."), 3600, place)
    scene.see(first, 10 * 3600, place)
    story = tell(scene.evidence())
    assert [row["onset"]["first_bad"] for row in story.incidents] == [at(10), at(36000)]
    assert story.incidents[0]["recovery"]["first_good"] == at(3600)
    assert story.incidents[1]["onset"]["last_good"] == at(3600)


def test_what_breaks_below_is_impact_of_the_broken_zone() -> None:
    scene = Scene()
    place, below = scene.place("192.0.2.1"), scene.place("192.0.2.2")
    own = scene.bad("de.", DNSKEY, "de.", reason="ds-mismatch")
    others = [
        scene.bad(f"z{n}.de.", SOA, f"z{n}.de.", reason="ds-mismatch", zone="de.") for n in range(7)
    ]
    for step in range(3):
        scene.see(own, step, place)
        for number, signature in enumerate(others):
            scene.see(signature, step + number / 10, below)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["zone"] == "de."
    assert incident["impact"]["zones"] == 7
    assert [row["address"] for row in incident["servers"]] == ["192.0.2.1"]


def test_two_zones_behind_the_same_servers() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    for name in ("a.", "b."):
        bad = scene.bad(name, SOA, name)
        for step in range(3):
            scene.see(bad, step, place)
    story = tell(scene.evidence())
    assert [row["zone"] for row in story.incidents] == ["a.", "b."]
    assert all(patterns(row)["shared-operator"]["zones"] == 2 for row in story.incidents)


def test_confidence_is_weak_for_one_sighting_without_key_set() -> None:
    scene = Scene()
    place, other = scene.place("192.0.2.1"), scene.place("192.0.2.2")
    scene.see(scene.bad("de.", SOA, "de."), 5, place)
    assert tell(scene.evidence()).incidents[0]["confidence"] == "weak"
    scene.keys("de.", DNSKEY, other, 1, 9, [KSK], [2222])
    assert tell(scene.evidence()).incidents[0]["confidence"] == "weak"
    scene.keys("de.", DNSKEY, place, 1, 9, [KSK], [2222])
    assert tell(scene.evidence()).incidents[0]["confidence"] == "strong"


def test_weak_verdicts_make_a_weak_incident() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    signature = scene.sign("de.", SOA, "de.")
    scene.judge(signature, "bogus", "dnskey-missing", confidence="weak")
    for step in range(9):
        scene.see(signature, step, place)
    assert tell(scene.evidence()).incidents[0]["confidence"] == "weak"


def _windows(scene: Scene, zones: list[str], reason: str, **window: float) -> None:
    place = scene.place("192.0.2.1")
    for zone in zones:
        signature = scene.bad(zone, SOA, zone, reason=reason, **window)
        for step in range(3):
            scene.see(signature, step, place)


@pytest.mark.parametrize(
    ("reason", "window"),
    [
        ("signature-expired", {"inception": -9000, "expiration": -500}),
        ("signature-not-yet-valid", {"inception": 500, "expiration": 9000}),
    ],
)
def test_many_zones_out_of_time_are_the_recorders_clock(reason: str, window: dict) -> None:
    scene = Scene()
    _windows(scene, [".", "de.", "nl.", "example.nl."], reason, **window)
    story = tell(scene.evidence())
    assert story.incidents == []
    assert kinds(story) == ["clock-recorder"]
    scene = Scene()
    _windows(scene, ["de."], reason, **window)
    scene.see(scene.good(".", SOA, "."), 1, 0)
    scene.see(scene.good("nl.", SOA, "nl."), 1, 0)
    story = tell(scene.evidence())
    assert [row["zone"] for row in story.incidents] == ["de."]
    assert "clock-recorder" not in kinds(story)


def test_wrong_clock_leaves_other_reasons_standing() -> None:
    scene = Scene()
    window = {"inception": 500, "expiration": 9000}
    _windows(scene, [".", "de.", "nl."], "signature-not-yet-valid", **window)
    bad = scene.bad("nl.", SOA, "nl.", **window)
    scene.see(bad, 1, 0)
    scene.see(bad, 2, 0)
    story = tell(scene.evidence())
    assert [(row["zone"], row["reason"]) for row in story.incidents] == [
        ("nl.", "signature-invalid")
    ]


def test_resolver_with_a_wrong_clock_is_a_finding() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    scene.see(scene.good("de.", SOA, "de."), 1, place)
    for step in range(9):
        scene.ask(f"www.example{step}.de.", step, 2, ede=8, server="10.0.0.53")
    story = tell(scene.evidence())
    assert story.incidents == []
    (finding,) = [row for row in story.findings if row["kind"] == "clock-resolver"]
    assert finding["resolvers"] == ["10.0.0.53"]
    # One name alone says nothing of the clock.
    scene.rows["transactions"] = scene.rows["transactions"][:1]
    assert kinds(tell(scene.evidence())) == ["resolver-local"]


def test_impact_counts_lookups_under_the_zone_in_its_time() -> None:
    scene = outage()
    for client, name, second, rcode in (
        ("10.0.0.1", "www.example.de.", 120, 2),
        ("10.0.0.1", "mail.example.de.", 121, 2),
        ("10.0.0.2", "other.de.", 122, 2),
        ("10.0.0.2", "cached.de.", 123, 0),
        ("10.0.0.3", "example.nl.", 124, 2),  # another zone
        ("10.0.0.3", "notde.", 124, 2),  # no suffix of labels
        ("10.0.0.4", "early.de.", 50, 2),  # before
        ("10.0.0.4", "late.de.", 290, 2),  # after
    ):
        scene.ask(name, second, rcode, client=client, ede=6 if rcode else None)
    scene.ask("www.example.de.", 122, 2, client="10.0.0.1", pairing="retransmitted")
    scene.ask("example.de.", 10, 0)  # so this exists; `other` may not
    story = tell(scene.evidence())
    (incident,) = story.incidents
    impact = dict(incident["impact"])
    rates, storm, caches = (impact.pop(part) for part in ("rates", "storm", "caches"))
    assert impact == {
        "transactions": 4, "servfail": 3, "names": 3, "clients": 2, "zones": 1,
        "signed": 0, "unsigned": 3, "retries": 1, "repeats": 0,
        "domains": {"signed": 0, "unsigned": 1},
    }  # fmt: skip
    # The retransmission is a query, and no lookup; from the first lookup to the first bad answer
    # there are 90 s, from there to the last place's first good one 101.
    counts = {
        (where, when): (row["queries"], row["lookups"], row["servfail"])
        for where in ("zone", "elsewhere")
        for when, row in rates[where].items()
    }
    assert counts == {
        ("zone", "before"): (2, 2, 1), ("zone", "during"): (5, 4, 3),
        ("elsewhere", "before"): (0, 0, 0), ("elsewhere", "during"): (2, 2, 2),
    }  # fmt: skip
    assert rates["seconds"] == {"before": 90.0, "during": 101.0}
    assert (rates["zone"]["before"]["share"], rates["elsewhere"]["before"]["share"]) == (0.5, None)
    assert storm == {"before": round(2 / 90, 3), "during": round(5 / 101, 3), "factor": 2.27}
    assert caches == {"servfail": 1, "last": at(290), "seconds": 89.0}
    (resolver,) = incident["resolvers"]
    assert (resolver["servfail"], resolver["answered"], resolver["ede"]) == (3, 1, {"6": 3})
    assert resolver["first_servfail"] == at(120)
    assert "3 lookups of 4 by clients failed, by 2 clients for 3 names." in incident["sentence"]
    failure = [row for row in incident["evidence"] if row["shows"] == "client-failure"]
    assert failure[0]["time"] == at(120)
    # The same question again in a new query: one more retry, by the rule of the series.
    scene.ask("other.de.", 122.1, 2, client="10.0.0.2")
    story = tell(scene.evidence())
    impact = story.incidents[0]["impact"]
    assert (impact["servfail"], impact["repeats"], impact["retries"]) == (4, 1, 2)
    assert sum(row["retries"] for row in story.series["lookups"]) == 2


def test_mitigations_are_told_by_ede() -> None:
    scene = outage()
    scene.ask("a.de.", 130, 0, server="9.9.9.9", ede=33)
    scene.ask("a.de.", 120, 0, server="8.8.8.8", ede=3)
    (incident,) = tell(scene.evidence()).incidents
    assert [(row["kind"], row["resolver"], row["at"]) for row in incident["mitigations"]] == [
        ("serve-stale", "8.8.8.8", at(120)),
        ("negative-trust-anchor", "9.9.9.9", at(130)),
        ("repair", None, at(201)),
    ]


def trusted_then_bare(server: str = "9.9.9.9", *, fails: bool = True, ad: bool = False) -> Scene:
    """A resolver vouches for b.de., fails in the outage, then answers without a word."""
    scene = outage()
    scene.ask("www.b.de.", 20, 0, server=server, ad=True)
    if fails:
        scene.ask("www.b.de.", 130, 2, server=server)
    for second in (150, 152, 154):
        scene.ask("mail.b.de.", second, 0, server=server, ad=ad)
    return scene


def test_negative_trust_anchor_shows_in_answers_without_ad() -> None:
    scene = trusted_then_bare()
    (incident,) = tell(scene.evidence()).incidents
    told = [row for row in incident["mitigations"] if row["kind"] != "repair"]
    first_bare = scene.rows["transactions"][-3]
    assert told == [
        {
            "kind": "negative-trust-anchor",
            "resolver": "9.9.9.9",
            "at": at(150),
            "basis": "inferred",
            "capture": "a.pcap",
            "frame": first_bare["response_frame"],
        }
    ]


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("it never failed", lambda: trusted_then_bare(fails=False)),
        ("it still vouches", lambda: trusted_then_bare(ad=True)),
    ],
)
def test_no_trust_anchor_is_invented(why: str, change) -> None:
    (incident,) = tell(change().evidence()).incidents
    assert [row["kind"] for row in incident["mitigations"]] == ["repair"], why


def test_answers_that_a_failure_follows_show_no_lapse() -> None:
    scene = trusted_then_bare()
    scene.ask("www.b.de.", 160, 2, server="9.9.9.9")
    (incident,) = tell(scene.evidence()).incidents
    assert [row["kind"] for row in incident["mitigations"]] == ["repair"]


def test_another_resolver_tells_that_the_place_is_signed() -> None:
    scene = trusted_then_bare()
    for second in (151, 153, 155):
        scene.ask("mail.c.de.", second, 0, server="8.8.4.4")
    scene.ask("www.c.de.", 131, 2, server="8.8.4.4")
    scene.ask("www.c.de.", 21, 0, server="9.9.9.9", ad=True)
    (incident,) = tell(scene.evidence()).incidents
    told = {row["resolver"] for row in incident["mitigations"] if row["kind"] != "repair"}
    assert told == {"9.9.9.9"}  # the other never vouched for anything: it may not validate
    scene.ask("www.d.de.", 22, 0, server="8.8.4.4", ad=True)
    (incident,) = tell(scene.evidence()).incidents
    told = {row["resolver"] for row in incident["mitigations"] if row["kind"] != "repair"}
    assert told == {"8.8.4.4", "9.9.9.9"}


def test_place_never_vouched_for_shows_no_lapse() -> None:
    """Most delegations are unsigned: no AD is their ordinary state."""
    scene = outage()
    scene.ask("www.b.de.", 20, 0, server="9.9.9.9", ad=True)
    scene.ask("www.b.de.", 130, 2, server="9.9.9.9")
    for second in (150, 152, 154):
        scene.ask("mail.unsigned.de.", second, 0, server="9.9.9.9")
    (incident,) = tell(scene.evidence()).incidents
    assert [row["kind"] for row in incident["mitigations"]] == ["repair"]


def test_triage_sorts_every_failed_lookup() -> None:
    scene = outage()
    scene.ask("a.de.", 120, 2)
    scene.ask("b.nl.", 121, 2, ede=7)
    scene.ask("c.nl.", 122, 2, ede=23)
    scene.ask("d.nl.", 122, 2, ede=6, cd=True)
    scene.ask("e.nl.", 123, 5)
    scene.ask("f.nl.", 124, None)
    scene.ask("g.nl.", 125, 3, ede=15)
    scene.ask("h.nl.", 126, 0)
    scene.ask("i.nl.", 127, 5, vantage="upstream", ra=False)
    scene.ask("j.nl.", 128, 0, vantage="upstream", ra=False, answers=0)
    scene.ask("f.nl.", 129, None, pairing="retransmitted")
    assert tell(scene.evidence()).triage == {
        "validation": 2, "timeout": 1, "refused": 1, "lame": 2, "servfail-other": 2, "policy": 1
    }  # fmt: skip


def test_findings_of_the_capture() -> None:
    scene = Scene()
    scene.ask("a.de.", 1, None)
    scene.duplicates = 1
    scene.rows["losses"].append(
        {"capture": 0, "reason": "truncated-file", "count": 2, "octets": 9, "offset": 1,
         "frame": 1, "detail": "cut"}
    )  # fmt: skip
    notes = ({"kind": "private-root"},)
    story = tell(scene.evidence(notes=notes))
    assert kinds(story) == ["private-root", "no-dnssec", "one-direction", "duplicates", "losses"]
    assert all(row["sentence"] for row in story.findings)


def test_near_miss_is_no_incident() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    signature = scene.sign("gov.", SOA, "gov.")
    scene.judge(signature, "secure", "algorithm-incomplete")
    for step in range(3):
        scene.see(signature, step, place)
    story = tell(scene.evidence())
    assert story.incidents == []
    assert kinds(story) == ["near-miss"]


def test_ds_mismatch_names_the_parent_and_the_change() -> None:
    scene = Scene()
    parent, child = scene.place("192.0.2.1"), scene.place("192.0.2.9")
    other = rdata(257, 8, "other")
    scene.keys("fj.", DS, parent, 1, 40, [KSK], [2222])
    scene.keys("fj.", DS, parent, 50, 100, [other], [3333])
    scene.keys("fj.", DNSKEY, child, 1, 100, [KSK, ZSK], [2222, 1111])
    signature = scene.sign("fj.", SOA, "fj.")
    scene.judge(signature, "secure", end=50)
    scene.judge(signature, "bogus", "ds-mismatch", start=50)
    for second in range(1, 100, 5):
        scene.see(signature, second, child)
    (incident,) = tell(scene.evidence()).incidents
    assert [(row["address"], row["role"]) for row in incident["servers"]] == [
        ("192.0.2.9", "zone"), ("192.0.2.1", "parent")
    ]  # fmt: skip
    assert (incident["cause"]["after"], incident["cause"]["before"]) == (at(40), at(50))
    assert {row["event"] for row in incident["history"]} == {"ds-added", "ds-removed"}
    assert {"ds", "key-set"} <= {row["shows"] for row in incident["evidence"]}
    assert incident["keys"][0]["published"]


def test_series_and_events_tell_the_same_counts() -> None:
    scene = outage()
    for second in range(100, 200, 2):
        scene.ask("same.de.", second, 2)
    story = tell(scene.evidence())
    assert sum(row["bad"] for row in story.series["sightings"]) == 40
    assert sum(row["good"] for row in story.series["sightings"]) == 200
    assert sum(row["bad"] for row in story.series["matrix"]) == 40
    assert {row["serial"] for row in story.series["matrix"] if row["bad"]} == {3, 4}
    lookups = story.series["lookups"]
    assert sum(row["raw"]["servfail"] for row in lookups) == 50
    assert sum(row["servfail"] + row["retries"] for row in lookups) == 50
    assert all(row["servfail"] == 1 for row in lookups)  # the same question again is a retry
    assert [row["at"] for row in story.events] == sorted(row["at"] for row in story.events)
    assert {"first-bad", "last-bad", "serial", "signer-changed"} <= {
        row["kind"] for row in story.events
    }
    assert [row["tag"] for row in story.series["keys"]] == [1111, 2222]


def test_story_is_json() -> None:
    story = tell(outage().evidence())
    text = json.dumps([story.incidents, story.findings, story.events, story.series, story.triage])
    assert json.loads(text)[0] == story.incidents


@pytest.mark.parametrize("other", ["secure", "valid", "insecure", "indeterminate"])
@pytest.mark.parametrize("bad_first", [True, False])
def test_an_rrset_is_as_good_as_its_best_signature(other: str, bad_first: bool) -> None:
    """RFC 4035 5.3.3: a double-signed RRset whose second signature lost its key is no outage."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    bad = scene.bad("www.de.", 1, "de.", reason="dnskey-missing")
    good = scene.sign("www.de.", 1, "de.", 2222)
    scene.judge(good, other)
    for step in range(4):
        pair = (bad, good) if bad_first else (good, bad)
        scene.see(pair[0], step, place)
        scene.see(pair[1], step, place, together=True)
    story = tell(scene.evidence())
    assert story.incidents == []
    assert story.statuses["bogus"] == 0
    assert story.statuses[other] == 8


def test_a_good_signature_saves_neither_other_rrsets_nor_other_responses() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    bad = scene.bad("www.de.", 1, "de.")
    worse = scene.bad("www.de.", 1, "de.", 2222)
    other = scene.good("ftp.de.", 1, "de.")
    same = scene.good("www.de.", 1, "de.", 3333)
    scene.see(bad, 1, place)
    scene.see(worse, 1, place, together=True)
    scene.see(other, 1, place, together=True)
    scene.see(same, 2, place)
    story = tell(scene.evidence())
    assert [row["zone"] for row in story.incidents] == ["de."]
    assert story.statuses["bogus"] == 2


def test_a_dnskey_rrset_is_no_witness_against_itself() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    scene.see(scene.bad("de.", DNSKEY, "de."), 5, place)
    scene.keys("de.", DNSKEY, place, 5, 5, [KSK], [2222])
    assert tell(scene.evidence()).incidents[0]["confidence"] == "weak"
