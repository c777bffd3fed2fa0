"""What an incident says of a signature that was bad by its time, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from forensics.limits import SECOND
from forensics.timeline.expiry import validity
from forensics.timeline.moments import Moment
from forensics.timeline.survey import Spell
from forensics.vocabulary import REASON_CODE, TYPE_DNSKEY

SEEN = 1_700_000_000


@dataclass
class Clock:
    policy: str
    start: int
    end: int


def clocks(inception: int, expiration: int, _: int) -> list[Clock]:
    exact = Clock("strict", inception * SECOND, (expiration + 1) * SECOND)
    return [exact, Clock("unbound", exact.start - 3600 * SECOND, exact.end + 3600 * SECOND)]


def told(reason: str, inception: int, expiration: int) -> dict[str, Any] | None:
    catalog: Any = SimpleNamespace(
        row=np.array([0]),
        type=np.array([TYPE_DNSKEY]),
        tag=np.array([4711]),
        inception=np.array([inception]),
        expiration=np.array([expiration]),
    )
    moment = Moment(SEEN * SECOND, 0, 1, 0)
    spell = Spell("x.", REASON_CODE[reason], 0, 0, moment, moment, 1, 0)
    return validity([spell], catalog, clocks)


def test_an_expired_signature_is_refused_from_its_end() -> None:
    found = told("signature-expired", SEEN - 1000, SEEN - 101)
    assert found is not None
    assert found["became_invalid"] == "2023-11-14T22:11:40.000000000Z"  # SEEN less 100 s
    strict, unbound = found["policies"]
    assert strict["would_refuse_from"] == found["became_invalid"]
    assert strict["refused_when_seen"]
    assert unbound["would_refuse_from"] == "2023-11-14T23:11:40.000000000Z"
    assert not unbound["refused_when_seen"]
    assert strict["would_refuse_until"] is unbound["would_refuse_until"] is None
    assert "DNSKEY by key 4711, became invalid at 2023-11-14 22:11:40 UTC" in found["sentence"]


def test_an_early_signature_is_refused_until_its_beginning() -> None:
    found = told("signature-not-yet-valid", SEEN + 100, SEEN + 1000)
    assert found is not None
    assert found["became_invalid"] is None
    strict, unbound = found["policies"]
    assert strict["would_refuse_until"] == found["valid_from"] == "2023-11-14T22:15:00.000000000Z"
    assert strict["would_refuse_from"] is None
    assert strict["refused_when_seen"]
    assert not unbound["refused_when_seen"]


@pytest.mark.parametrize("reason", ["signature-invalid", "ds-mismatch", "dnskey-missing"])
def test_other_reasons_say_nothing_of_time(reason: str) -> None:
    assert told(reason, SEEN - 1000, SEEN - 101) is None
