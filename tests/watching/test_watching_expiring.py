"""Signatures about to end: told once, and not of signers that renew in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.limits import SECOND
from forensics.watching.expiring import Served, expiring

NOW = 1_800_000_000
HOUR = 3600


def served(left, life, *, owner="www.de.", last=0, kind=1):
    end = NOW + left
    return Served("de.", owner, kind, 1, end - life, end, (NOW - last) * SECOND, "a", 1)


def told(*signatures, before=None, hours=6):
    return expiring(signatures, before or {}, NOW * SECOND, hours)


def test_a_signature_about_to_end_is_told_once():
    one = served(HOUR, 14 * 24 * HOUR)
    known, (notice,) = told(one)
    assert notice["event"] == "signatures-expire-soon"
    assert notice["expires"] == "2027-01-15T09:00:00.000000000Z"
    assert "ends in 60 minutes" in notice["sentence"]
    assert told(one, before=known) == (known, [])


def test_healthy_signers_are_not_told():
    month = 30 * 24 * HOUR
    for healthy in (
        [served(7 * 24 * HOUR, month)],  # renewed a week before
        [served(5 * HOUR, 24 * HOUR)],  # short signatures, a fifth left
        [served(HOUR, month), served(month, month)],  # the newer one is beside it
        [served(HOUR, month, last=HOUR)],  # not served any more
        [served(-HOUR, month)],  # it has ended: another event's business
    ):
        assert told(*healthy)[1] == []
    assert told(served(HOUR, month), hours=0)[1] == []


@given(st.lists(st.tuples(st.integers(-HOUR, 9 * HOUR), st.sampled_from([1, 6, 48])), max_size=9))
def test_one_notice_for_each_zone_and_type_whatever_the_order(rows):
    month = 30 * 24 * HOUR
    signatures = [served(left, month, kind=kind, owner=f"n{i}.de.")
                  for i, (left, kind) in enumerate(rows)]  # fmt: skip
    known, notices = told(*signatures)
    assert told(*reversed(signatures)) == (known, notices)
    assert len(notices) == len({kind for left, kind in rows if 0 < left <= 6 * HOUR})
    assert told(*signatures, before=known) == (known, [])
