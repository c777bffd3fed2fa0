"""When each policy refuses a signature: by hand, and as the verdicts' own clock has it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.limits import SECOND
from forensics.validation.horizon import horizons
from forensics.validation.policy import POLICIES
from forensics.validation.validity import validity

START = 1_700_000_000
HOUR, DAY = 3_600, 86_400


def test_each_policy_refuses_from_when_its_manual_says() -> None:
    # 30 days: a tenth would be three days, and Unbound's val-sig-skew-max is one.
    end = START + 30 * DAY
    found = {one.policy: one for one in horizons(START, end, end * SECOND)}
    assert list(found) == ["strict", "unbound", "bind", "knot", "powerdns"]
    lived = (end + 1) * SECOND
    refused = {name: (one.end - lived) // SECOND for name, one in found.items()}
    assert refused == {"strict": 0, "unbound": DAY, "bind": 0, "knot": 0, "powerdns": 0}
    early = {name: START - one.start // SECOND for name, one in found.items()}
    assert early == {"strict": 0, "unbound": DAY, "bind": 0, "knot": 0, "powerdns": 60}


def test_short_signatures_have_the_least_skew() -> None:
    found = {one.policy: one for one in horizons(START, START + 600, START * SECOND)}
    assert found["unbound"].end == (START + 600 + HOUR + 1) * SECOND


def test_a_period_that_ends_before_it_begins_has_no_horizon() -> None:
    assert horizons(START, START - 1, START * SECOND) == []


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.booleans()
)
@settings(deadline=None)
def test_horizons_are_those_of_the_verdicts(near, lifetime, away, before) -> None:
    """RFC 1982: also where 32 bits run over, in 2106."""
    inception = (near + (-away if before else away)) % 2**32
    expiration = (inception + lifetime) % 2**32
    table = pa.table(
        {
            "inception": pa.array([inception], pa.uint32()),
            "expiration": pa.array([expiration], pa.uint32()),
        }
    )
    for one in horizons(inception, expiration, near * SECOND):
        told = validity(table, near * SECOND, POLICIES[one.policy])
        assert (one.start, one.end) == (int(told.start[0]), int(told.end[0])), one.policy
        assert not np.any(told.is_void)
