"""The small rules of `explain`, one by one: which rows, which response, which reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import UsageError
from forensics.explain import read_instant, read_name, read_type
from forensics.explanation.answer import ALIAS, NODATA, POSITIVE, REFERRAL, classify
from forensics.explanation.chain import Judged, Link, worst
from forensics.explanation.columns import Ordered
from forensics.explanation.current import Current, accuses, current
from forensics.explanation.keys import usable
from forensics.explanation.records import Response, RRset, Signature, name_of, read_records
from forensics.explanation.signing import Checker, window
from forensics.knowledge import DelegationSigner
from forensics.limits import BURST, EXPLAIN_AFTER, EXPLAIN_BEFORE, SECOND
from forensics.report.explained import render_explained
from forensics.validation.policy import POLICIES, RFC_9905
from forensics.vocabulary import TYPE_DS, TYPE_NS, TYPE_SOA, Section, Status

A, CNAME, DNAME = 1, 5, 39


def signature(number=0, **changes) -> Signature:
    made = Signature(
        number, "www.example.", A, "example.", 1, 13, 2, 60, 100, 200, None, b"", bytes(64)
    )
    return replace(made, **changes)


def response(time=0, place="a", **changes) -> Response:
    made = Response(
        transaction=time * 100 + ord(place[0]),
        time=time,
        capture=0,
        frame=1,
        client="c",
        server=place,
        nsid=None,
        place=place,
        qname="www.example.",
        qtype=A,
        rcode=0,
        aa=True,
        ra=False,
        tc=False,
        has_dnssec=True,
        is_authority=True,
        is_doubtful=False,
        answers=1,
        authorities=0,
    )
    return replace(made, **changes)


def shown(inception: int, number: int) -> tuple[RRset, ...]:
    made = signature(number, inception=inception)
    return (RRset("www.example.", A, int(Section.ANSWER), 60, (made,)),)


# -- the rows nearest to an instant --------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=80), st.integers(0, 50))
def test_the_nearest_rows_of_each_server_are_those_a_loop_finds(rows, at):
    numbers = list(range(len(rows)))
    found = Ordered.of(
        np.array([w for w, _ in rows], np.int64),
        np.array([t for _, t in rows], np.int64),
        np.array(numbers, np.int64),
    ).nearest(at)
    wanted = set()
    for where in {w for w, _ in rows}:
        own = sorted((t, n) for (w, t), n in zip(rows, numbers, strict=True) if w == where)
        before = [n for t, n in own if t <= at]
        after = [n for t, n in own if t > at]
        wanted.update(before[-EXPLAIN_BEFORE:], after[:EXPLAIN_AFTER])
    assert set(found.tolist()) == wanted


# -- which responses count -------------------------------------------------------------------------


def test_the_latest_of_each_server_counts_and_later_ones_only_where_there_is_no_other():
    early, late = response(10), response(30)
    assert current([early, late], 20) == [Current(early)]
    assert current([early, late], 30) == [Current(late)]
    assert current([late], 20) == [Current(late, is_later=True)]


def test_an_older_state_of_another_server_is_superseded_by_a_newer_one():
    old = response(10, "a", rrsets=shown(100, 1))
    new = response(90 * SECOND, "b", rrsets=shown(150, 2))
    found = current([old, new], 100 * SECOND)
    assert [(c.response, c.is_superseded) for c in found] == [(new, False), (old, True)]


def test_a_server_that_lags_stands_beside_one_that_had_the_new_state_before():
    new_before = response(5, "b", rrsets=shown(150, 2))
    lagging = response(10, "a", rrsets=shown(100, 1))
    new = response(90 * SECOND, "b", rrsets=shown(150, 2))
    found = current([new_before, lagging, new], 100 * SECOND)
    assert {c.response for c in found if not c.is_superseded} == {new, lagging}


def test_two_signings_of_one_moment_that_differ_stand_beside_each_other():
    one = response(10, "a", rrsets=shown(100, 1))
    other = response(90 * SECOND, "b", rrsets=shown(100, 2))
    assert not any(c.is_superseded for c in current([one, other], 100 * SECOND))


def test_a_serial_tells_before_an_inception_does():
    old = response(10, "a", rrsets=shown(200, 1), serial=7)
    new = response(90 * SECOND, "b", rrsets=shown(100, 2), serial=8)
    assert [c.is_superseded for c in current([old, new], 100 * SECOND)] == [False, True]


def test_what_a_resolver_held_is_stale_once_its_ttl_is_over_and_the_next_fetch_differs():
    held = response(10, rrsets=shown(100, 1), held_until=50)
    same, other = response(70, rrsets=shown(100, 1)), response(70, rrsets=shown(150, 2))
    assert not current([held, other], 40)[0].is_stale
    assert current([held, other], 60)[0].is_stale
    assert not current([held, same], 60)[0].is_stale


def test_what_came_later_accuses_only_in_the_same_burst_or_of_an_end_already_past():
    later = Current(response(BURST + 2), is_later=True)
    assert not accuses(later, 0, "signature-invalid")
    assert accuses(later, 0, "signature-expired")
    assert accuses(later, 5, "signature-invalid")
    assert accuses(Current(response(0)), 10, "signature-invalid")
    assert not accuses(Current(response(0, is_doubtful=True)), 10, "signature-invalid")


# -- signatures and DS records ---------------------------------------------------------------------


def test_a_window_is_placed_by_serial_arithmetic_and_ends_with_its_second():
    start, end, is_void = window(
        signature(inception=2**32 - 10, expiration=10), (2**32 + 3) * SECOND, POLICIES["strict"]
    )
    assert (start, end, is_void) == ((2**32 - 10) * SECOND, (2**32 + 11) * SECOND, False)
    assert window(signature(inception=200, expiration=100), 0, POLICIES["strict"])[2]


def test_skew_widens_a_window_by_policy():
    made = signature(inception=100_000, expiration=200_000)
    strict = window(made, 0, POLICIES["strict"])
    unbound = window(made, 0, POLICIES["unbound"])
    assert (strict[0] - unbound[0], unbound[1] - strict[1]) == (10_000 * SECOND, 10_000 * SECOND)


def ds(algorithm=13, digest_type=2) -> DelegationSigner:
    return DelegationSigner(1, algorithm, digest_type, b"x")


@pytest.mark.parametrize(
    ("records", "at", "count", "why"),
    [
        ([ds()], 0, 1, "none"),
        ([ds(200)], 0, 0, "algorithm-unsupported"),
        ([ds(13, 99)], 0, 0, "ds-digest-unsupported"),
        ([ds(200), ds()], 0, 1, "none"),
        ([ds(13, 1), ds(13, 2)], 0, 1, "none"),
        ([ds(13, 1)], 0, 1, "none"),
        ([ds(7)], RFC_9905 - 1, 1, "none"),
        ([ds(7)], RFC_9905, 0, "algorithm-unsupported"),
    ],
)
def test_a_zone_is_insecure_only_if_no_ds_record_is_usable(records, at, count, why):
    found, reason = usable(records, Checker(POLICIES["strict"]), at)
    assert (len(found), reason) == (count, why)


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"strict"}))
def test_programs_go_on_validating_sha1_signatures(policy):
    """RFC 9905 2: implementations MUST, who runs them MUST treat the zone as unsigned."""
    found, reason = usable([ds(5), ds(7)], Checker(POLICIES[policy]), RFC_9905)
    assert (len(found), reason) == (2, "none")


def test_a_sha1_digest_counts_beside_others_for_unbound_alone():
    """RFC 4509 3; Unbound 1.17 was seen to go by the SHA-1 digest where SHA-256 fits no key."""
    for policy in POLICIES:
        found, _ = usable([ds(13, 1), ds(13, 2)], Checker(POLICIES[policy]), 0)
        assert len(found) == (2 if policy == "unbound" else 1), policy


def test_checks_end_at_their_limit_and_say_so():
    from forensics.knowledge import Key

    key = Key("example.", bytes([1, 0, 3, 13]) + bytes(64))
    made = signature(tag=key.tag, signed_data=b"x" * 40)
    assert (
        Checker(POLICIES["strict"], left=0).attempt(made, "example.", [key], 150 * SECOND).reason
        == "limit-reached"
    )
    assert (
        Checker(POLICIES["strict"]).attempt(made, "example.", [key], 150 * SECOND).reason
        == "signature-invalid"
    )


# -- classification --------------------------------------------------------------------------------


def rrset(owner, kind, section=Section.ANSWER, **changes) -> RRset:
    return RRset(owner, kind, int(section), 60, **changes)


def test_responses_are_classified_as_a_resolver_does():
    positive = response(rrsets=(rrset("www.example.", A),))
    assert classify(positive, "www.example.", A).kind == POSITIVE
    alias = response(rrsets=(rrset("www.example.", CNAME, target="b.example."),))
    assert classify(alias, "www.example.", A).target == "b.example."
    assert classify(alias, "www.example.", CNAME).kind == POSITIVE
    nodata = response(answers=0, rrsets=(rrset("example.", TYPE_SOA, Section.AUTHORITY),))
    assert classify(nodata, "www.example.", A).kind == NODATA
    referral = response(
        aa=False, answers=0, rrsets=(rrset("example.", TYPE_NS, Section.AUTHORITY),)
    )
    assert classify(referral, "www.example.", A).kind == REFERRAL
    assert classify(replace(referral, aa=True), "www.example.", A).kind == NODATA


def test_a_dname_puts_its_target_in_its_owners_stead():
    made = response(rrsets=(rrset("example.", DNAME, target="other.test."),))
    found = classify(made, "a.b.example.", A)
    assert (found.kind, found.target) == (ALIAS, "a.b.other.test.")
    assert classify(made, "example.", A).kind != ALIAS


def test_a_ds_rrset_in_a_referral_answers_the_question_for_it():
    made = response(
        aa=False,
        answers=0,
        rrsets=(rrset("sub.example.", TYPE_DS, Section.AUTHORITY, signatures=(signature(),)),),
    )
    assert classify(made, "sub.example.", TYPE_DS).kind == POSITIVE
    assert classify(made, "www.sub.example.", A).kind == REFERRAL


# -- the whole -------------------------------------------------------------------------------------


def test_the_worst_part_speaks_and_of_equal_ones_the_higher_link():
    good = Judged(Status.SECURE, "none")
    low = Judged(Status.BOGUS, "signature-expired")
    high = Judged(Status.BOGUS, "ds-mismatch")
    assert worst([good, low, high]) == high
    assert good.and_(low).reason == "signature-expired"
    assert Judged(Status.INSECURE, "none").and_(good).status == Status.INSECURE


@given(st.binary(max_size=120))
def test_signed_data_of_any_octets_is_read_without_a_fault(octets):
    assert isinstance(read_records(octets), list)
    name = name_of(octets)
    assert name is None or name.endswith(".")


def test_questions_and_instants_are_read_or_refused():
    assert read_name("WWW.Example") == "www.example."
    assert (read_type("aaaa"), read_type("TYPE65"), read_type("28")) == (28, 65, 28)
    assert read_instant("1970-01-01T00:00:01Z") == SECOND
    assert read_instant("1970-01-01T00:00:01.5Z") == 1_599_999_999
    assert read_instant("1970-01-01T00:00:01.123456789Z") == 1_123_456_789
    for read, text in ((read_name, "a..b"), (read_type, "NOPE"), (read_instant, "noon")):
        with pytest.raises(UsageError):
            read(text)


def test_the_terminal_form_obeys_no_octets_of_a_packet():
    link = Link("evil\x1b[2J.", "rrset", Status.BOGUS, "signature-invalid", "evil\x1b[2J.", A)
    told = {
        "name": "evil\x1b[2J.", "type": "A", "at": "t", "view": "published", "resolvers": [],
        "policy": "strict", "status": "bogus", "reason": "signature-invalid", "ede": 6,
        "sentence": "evil\x1b[2J.", "later": False, "servers": [],
        "chain": [
            {
                "zone": link.zone, "link": link.kind, "status": "bogus", "reason": link.reason,
                "name": link.name, "type": "A", "keys": [], "frames": [], "sightings": [],
                "valid_until": None, "confidence": "weak", "source": "observed",
                "sentence": "x\x1b]0;y", "servers": [],
            }
        ],
    }  # fmt: skip
    assert "\x1b" not in render_explained(told)
    assert "\x1b[31;1m" in render_explained(told, colour=True)
