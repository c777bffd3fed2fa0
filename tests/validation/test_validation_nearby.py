"""What the sightings around an instant may prove: what is seen later alone accuses nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.validation.nearby import UNPROVEN, Event, outcome, possible

SECOND = 10**9
TTL = 60 * SECOND
T = 1000 * SECOND


@given(st.integers(1, 10 * SECOND), st.booleans())
def test_a_key_set_seen_only_later_is_not_known_before(distance: int, single: bool) -> None:
    found = possible([(T + distance, T + distance, TTL, 7)], T, single=single)
    assert not found.is_known
    assert not found.is_firm


@given(st.integers(1, TTL), st.integers(1, TTL))
def test_a_key_set_seen_before_is_known_within_its_ttl(before: int, beyond: int) -> None:
    assert possible([(T - before, T - before, TTL, 7)], T, single=True).is_known
    late = T - TTL - beyond
    assert not possible([(late, late, TTL, 7)], T, single=True).is_known
    both = [(late, late, TTL, 7), (T + beyond, T + beyond, TTL, 8)]
    found = possible(both, T, single=True)
    assert (found.items, found.is_known, found.is_firm) == ((7, 8), True, True)


@given(st.integers(1, 10 * SECOND))
def test_a_bad_rrset_seen_only_later_accuses_nobody_before(distance: int) -> None:
    bad = Event(T + distance, T + distance, "ds-mismatch", "x.")
    assert outcome([bad], T, TTL).reason == UNPROVEN
    earlier = Event(T - distance, T - distance, "ds-mismatch", "x.")
    assert outcome([earlier], T, TTL) == earlier
    assert outcome([earlier, bad], T, TTL) == earlier
    # Between a good one and a bad one nobody knows on which side of the change it lies.
    assert outcome([earlier._replace(reason=""), bad], T, TTL).reason == UNPROVEN
