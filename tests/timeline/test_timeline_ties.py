"""Which of two strata that one answer shows bad decides: never the numbers of their signatures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.timeline.moments import Moment
from forensics.timeline.onset import Stratum, combine

TIMES = st.integers(0, 5)


@st.composite
def strata(draw) -> list[Stratum]:
    """Classes of records at one place; some go bad, or are bad last, in one and the same answer."""
    found = []
    for record_class in range(draw(st.integers(1, 4))):
        first, last = draw(TIMES) + 10, draw(TIMES) + 20
        good, again = draw(st.none() | TIMES), draw(st.none() | TIMES)
        found.append(
            Stratum(
                place=0,
                side=0,
                signer=0,
                record_class=record_class,
                good=1,
                bad=1,
                first_bad=Moment(first, 0, first),
                last_bad=Moment(last, 0, last),
                last_good=None if good is None else Moment(good, 0, good + 1),
                first_good=None if again is None else Moment(30 + again, 0, 30 + again),
            )
        )
    return found


@given(strata(), st.randoms(use_true_random=False))
def test_numbers_of_signatures_and_the_order_of_strata_decide_nothing(found, chance) -> None:
    once = combine(found)
    numbers = list(range(len(found)))
    chance.shuffle(numbers)
    for stratum, number in zip(found, numbers, strict=True):
        stratum.first_bad = stratum.first_bad._replace(signature=number)
        stratum.last_bad = stratum.last_bad._replace(signature=-number)
    again = combine(chance.sample(found, len(found)))
    for name in ("last_good", "first_bad", "last_bad", "first_good"):
        one, other = getattr(once, name), getattr(again, name)
        assert (one and one[:3]) == (other and other[:3])


def test_the_later_last_good_stands_for_both() -> None:
    bad = Moment(10, 0, 10)
    one = Stratum(0, 0, 0, 2, 1, 1, bad, Moment(20, 0, 20), Moment(3, 0, 3), Moment(31, 0, 31))
    other = Stratum(0, 0, 0, 3, 1, 1, bad, Moment(20, 0, 20), Moment(5, 0, 5), Moment(33, 0, 33))
    for pair in ([one, other], [other, one]):
        told = combine(pair)
        assert told.last_good == Moment(5, 0, 5)
        assert told.first_good == Moment(31, 0, 31)
