"""From reports to notices: one for each change, none twice, and none for what is healthy."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from forensics.limits import SECOND
from forensics.timeline.moments import rfc3339
from forensics.watching import bounds
from forensics.watching.delivery import facts_of, line_of
from forensics.watching.events import OPEN, RECOVERED, WITHDRAWN, Event, compare

T0 = 1_800_000_000 * SECOND
ALL_SERVERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def at(seconds):
    return rfc3339(T0 + seconds * SECOND)


def incident(
    first=100,
    last=110,
    good=None,
    *,
    zone="de.",
    reason="signature-invalid",
    severity="outage",
    confidence="strong",
    view="published",
    servers=("192.0.2.1",),
):
    return {
        "zone": zone,
        "reason": reason,
        "ede": 6,
        "severity": severity,
        "confidence": confidence,
        "view": view,
        "onset": {"last_good": None, "first_bad": at(first)},
        "recovery": {"last_bad": at(last), "first_good": None if good is None else at(good)},
        "servers": [
            {"address": one, "nsid": None, "bad": int(one in servers)} for one in ALL_SERVERS
        ],
        "resolvers": [],
        "signers": [{"tag": 62973}],
        "keys": [{"tag": 1}],
        "types": ["SOA"],
        "impact": {"servfail": 3},
        "evidence": [
            {"capture": "a.pcap", "frame": 7, "time": at(first), "shows": "first-bad"},
        ],
        "sentence": "It is broken.",
    }


def report(now, *incidents):
    return {"window": {"from": at(0), "to": at(now)}, "incidents": list(incidents)}


def follow(*reports, horizons=None):
    """Compare one report after the other; give what is known, and the notices."""
    known, told = (), []
    for one, horizon in zip(reports, horizons or [0] * len(reports), strict=True):
        known, notices = compare(known, one, T0 + horizon * SECOND)
        told += notices
    return known, told


def kinds(told):
    return [notice["event"] for notice in told]


def test_a_notice_names_what_a_person_needs():
    (event,), (notice,) = follow(report(120, incident()))
    assert event.state == OPEN
    assert notice["event"] == "began"
    assert notice["zone"] == "de."
    assert notice["tags"] == [62973]
    assert notice["servers"] == ["192.0.2.1"]
    assert notice["first_bad"] == {"capture": "a.pcap", "frame": 7, "time": at(100)}
    assert notice["noticed"] == at(120)
    assert json.loads(line_of(notice)) == notice
    assert facts_of(notice)["DNS_FORENSICS_ZONE"] == "de."


def test_nothing_is_told_of_reports_without_incidents():
    assert follow(report(10), report(1000)) == ((), [])


def test_a_near_miss_is_no_outage():
    assert follow(report(999, incident(severity="near-miss"))) == ((), [])


def test_weak_evidence_waits_and_strong_evidence_hardly():
    weak = incident(confidence="weak")
    assert follow(report(110, weak))[1] == []
    assert kinds(follow(report(110, weak), report(121, weak))[1]) == ["began"]
    assert follow(report(101, incident()))[1] == []
    assert kinds(follow(report(102, incident()))[1]) == ["began"]
    assert 60 * SECOND > bounds.NOTICE_WEAK > bounds.NOTICE_STRONG


def test_what_becomes_graver_is_told_at_once_and_the_rest_after_a_pause():
    some = incident(severity="partial")
    more = incident(severity="partial", servers=ALL_SERVERS[:2])
    every = incident(servers=ALL_SERVERS)
    _, told = follow(report(110, some), report(115, more), report(120, every))
    assert kinds(told) == ["began", "changed"]
    assert told[1]["changes"] == {"severity": ["partial", "outage"], "servers": [1, 3]}
    assert [notice["number"] for notice in told] == [1, 2]
    _, told = follow(report(110, some), report(115, more), report(175, more))
    assert kinds(told) == ["began", "changed"]


def test_a_reason_that_becomes_clearer_is_the_same_event():
    (event,), told = follow(
        report(120, incident(reason="dnskey-missing")),
        report(130, incident(reason="signature-invalid")),
    )
    assert kinds(told) == ["began", "changed"]
    assert told[1]["changes"] == {"reason": ["dnskey-missing", "signature-invalid"]}
    assert event.reason == "signature-invalid"
    assert len({notice["incident"] for notice in told}) == 1


def test_the_end_is_told_when_it_has_lasted():
    _, told = follow(
        report(120, incident()),
        report(150, incident(good=140)),
        report(200, incident(good=140)),
        report(999, incident(good=140)),
    )
    assert kinds(told) == ["began", "recovered"]
    assert told[1]["noticed"] == at(200)


def test_an_end_that_was_none_opens_the_event_again():
    known, told = follow(
        report(120, incident()),
        report(200, incident(good=140)),
        report(230, incident(last=225)),
    )
    assert kinds(told) == ["began", "recovered", "changed"]
    assert told[2]["changes"]["state"] == [RECOVERED, OPEN]
    assert known[0].state == OPEN


def test_a_second_outage_of_a_zone_is_a_second_event():
    one, two = incident(good=140), incident(first=500, last=510)
    _, told = follow(report(120, incident()), report(300, one), report(510, one, two))
    assert kinds(told) == ["began", "recovered", "began"]
    assert told[0]["incident"] != told[2]["incident"]


def test_what_came_and_went_between_two_looks_is_told_as_both():
    known, told = follow(report(400, incident(good=140)))
    assert kinds(told) == ["began", "recovered"]
    assert known[0].ended == T0 + 140 * SECOND


def test_what_the_horizon_forgets_goes_on():
    """The first bad answer is past the horizon, and then all of them: the event stands."""
    known, told = follow(
        report(120, incident()),
        report(900, incident(first=600, last=890)),
        report(1800),
        horizons=[0, 500, 1500],
    )
    assert kinds(told) == ["began"]
    assert known[0].state == OPEN
    known, told = follow(
        report(120, incident()),
        report(900, incident(first=600, last=690, good=700)),
        report(9000, incident(first=600, last=690, good=700)),
        horizons=[0, 500, 8000],
    )
    assert kinds(told) == ["began", "recovered"]
    assert known == ()


def test_what_does_not_stand_is_withdrawn_once():
    known, told = follow(report(120, incident()), report(130), report(140))
    assert kinds(told) == ["began", "withdrawn"]
    assert known[0].state == WITHDRAWN


def test_what_was_withdrawn_stands_again_before_it_recovers():
    """Within the pause nothing is told; behind it the outage is told again, and then its end."""
    steps = [report(500, incident(last=400)), report(502)]
    soon = report(561, incident(last=400, good=501))
    late = report(502 + bounds.NOTICE_PAUSE // SECOND, incident(last=400, good=501))
    known, told = follow(*steps, soon)
    assert kinds(told) == ["began", "withdrawn"]
    assert known[0].state == WITHDRAWN
    known, told = follow(*steps, soon, late)
    assert kinds(told) == ["began", "withdrawn", "changed", "recovered"]
    assert known[0].state == RECOVERED


def test_two_of_one_kind_keep_their_incidents():
    """A second look at one report changes nothing, though either could be the other's."""
    twins = [
        incident(last=400, view="resolver", confidence="weak"),
        incident(last=401, view="resolver", confidence="strong"),
    ]
    last = report(560, *twins)
    known, told = follow(report(500, incident(last=400)), last)
    assert follow(report(500, incident(last=400)), last, last) == (known, told)
    assert {event.seen for event in known} == {
        event.seen for event in compare(known, last, T0)[0]
    }


def test_states_of_before_are_read():
    """Events that were kept before they knew their incident have none."""
    (event,), _ = follow(report(120, incident()))
    row = event.row()
    del row["seen"]
    assert Event.read(row).seen == ""
    assert compare([Event.read(row)], report(130, incident()), T0) == ((event,), [])


def test_parts_of_one_outage_are_not_told_apart():
    _, told = follow(
        report(120, incident()), report(130, incident(last=125), incident(first=120, last=128))
    )
    assert kinds(told) == ["began"]


def test_events_survive_their_json():
    (event,), _ = follow(report(120, incident()))
    assert Event.read(json.loads(json.dumps(event.row()))) == event


states = st.builds(
    incident,
    first=st.sampled_from([100, 150, 400]),
    last=st.integers(400, 500),
    good=st.one_of(st.none(), st.integers(501, 800)),
    zone=st.sampled_from(["de.", "nl."]),
    reason=st.sampled_from(["signature-invalid", "dnskey-missing", "denial-missing"]),
    severity=st.sampled_from(["outage", "partial", "near-miss"]),
    confidence=st.sampled_from(["weak", "strong"]),
    view=st.sampled_from(["published", "resolver"]),
    servers=st.lists(st.sampled_from(ALL_SERVERS), max_size=3).map(tuple),
)
reports = st.lists(
    st.tuples(st.integers(0, 200), st.lists(states, max_size=4)), max_size=12
)


@given(reports, st.integers(0, 399))
def test_laws_of_any_sequence_of_reports(steps, horizon):
    known, told, now = (), [], 500
    for pause, found in steps:
        now += pause
        one = report(now, *found)
        known, notices = compare(known, one, T0 + horizon * SECOND)
        again, repeated = compare(known, one, T0 + horizon * SECOND)
        assert repeated == []
        assert again == known
        told += notices
    assert len({notice["id"] for notice in told}) == len(told)
    by_event = {}
    for notice in told:
        assert notice["severity"] != "near-miss"
        by_event.setdefault(notice["incident"], []).append(notice)
    for notices in by_event.values():
        assert notices[0]["event"] == "began"
        assert [notice["number"] for notice in notices] == list(range(1, len(notices) + 1))
        for before, after in pairwise(notices):
            assert after["event"] != "began"
            assert (before["event"], after["event"]) not in {
                ("recovered", "recovered"),
                ("withdrawn", "withdrawn"),
                ("withdrawn", "recovered"),
            }
    assert [Event.read(event.row()) for event in known] == list(known)
