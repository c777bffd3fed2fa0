"""Which instant divides the state of the first bad answer from the one before, by SOA serials."""

from __future__ import annotations

import pytest

from forensics.timeline.moments import Moment
from forensics.timeline.onset import Stratum, combine, state_before

OLD, NEW = (7, 100, 200), (8, 260, 400)  # serial, first and last seen


@pytest.mark.parametrize("beside", [False, True])
def test_another_serial_seen_before_divides_whatever_stands_beside_the_bad(beside: bool) -> None:
    assert state_before([OLD, NEW], 300, 8, beside=beside) == (8, 201)


def test_a_capture_that_begins_under_the_serial_of_the_first_bad_knows_no_other_state() -> None:
    """Of the new signatures some are good: one before the first bad may be of the faulty version.

    Found where a capture of de-2026-resolvers begins in the outage: the good DS of one server, 14
    ms before the first bad SOA of another, was told as the last good.
    """
    assert state_before([NEW], 300, 8, beside=True) == (8, 0)
    assert state_before([NEW], 300, 0, beside=True) == (8, 0)


def test_where_nothing_good_stands_beside_the_bad_what_was_good_before_was_another_state() -> None:
    assert state_before([NEW], 300, 8, beside=False) == (8, 260)


@pytest.mark.parametrize("beside", [False, True])
def test_without_any_serial_the_first_bad_itself_divides(beside: bool) -> None:
    assert state_before([], 300, 0, beside=beside) == (0, 300)


def stratum(place: int, last_good: int | None, first_bad: int) -> Stratum:
    def moment(time: int) -> Moment:
        return Moment(time, 0, time)

    found = Stratum(place, 0, 0, 0, 1, 1, moment(first_bad), moment(900))
    found.last_good = None if last_good is None else moment(last_good)
    return found


def test_a_server_that_was_good_before_bounds_the_first_bad_of_another() -> None:
    found = [stratum(1, None, 300), stratum(2, 250, 310)]
    assert combine(found).last_good == Moment(250, 0, 250)


def test_a_server_that_went_bad_later_bounds_no_other() -> None:
    """It was good when the first was bad already: what it showed before tells of itself alone."""
    found = [stratum(1, None, 300), stratum(2, 250, 310), stratum(2, 320, 330)]
    assert combine(found).last_good is None
    assert combine([*found, stratum(3, 200, 400)]).last_good == Moment(200, 0, 200)
