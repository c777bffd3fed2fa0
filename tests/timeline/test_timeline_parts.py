"""The small parts: names, times, bins, counts of distinct things, keys through time."""

from __future__ import annotations

from datetime import UTC, datetime

import dns.name
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline_scene import DNSKEY, KSK, ZSK, Scene, ns, rdata

from forensics.timeline import series
from forensics.timeline.columns import coded
from forensics.timeline.impact import zone_below
from forensics.timeline.keysets import (
    TYPE_NAMES,
    changes,
    describe,
    lifetimes,
    published,
    read_runs,
    requests,
)
from forensics.timeline.lineage import ZoneFinder, child_label, is_under, parent
from forensics.timeline.lookups import zone_numbers
from forensics.timeline.moments import clock, length, rfc3339
from forensics.timeline.sketch import Distinct, hash_values

CDNSKEY = 60

LABELS = st.lists(st.sampled_from([b"de", b"a", b"b.", b"x.de", b"\\", b"c\\."]), max_size=4)


def text(labels: list[bytes]) -> str:
    return dns.name.Name([*labels, b""]).to_text()


@given(LABELS, LABELS)
def test_names_and_zones_as_dnspython_says(name, zone) -> None:
    one, other = dns.name.Name([*name, b""]), dns.name.Name([*zone, b""])
    assert is_under(text(name), text(zone)) == one.is_subdomain(other)
    assert parent(text(name)) == (one.parent().to_text() if name else None)
    if one.is_subdomain(other) and one != other:
        assert child_label(text(name), text(zone)) == one.split(len(zone) + 2)[1].to_text()
    else:
        assert child_label(text(name), text(zone)) is None


@given(st.lists(LABELS, max_size=12), st.lists(LABELS, min_size=1, max_size=12))
@settings(deadline=None)
def test_closest_zone_by_suffix_and_by_walk(zones, names) -> None:
    finder = ZoneFinder(text(zone) for zone in zones)
    texts = [text(name) for name in names]
    expected = [
        max(
            (zone for zone in finder.zones if is_under(name, zone)),
            key=lambda zone: len(dns.name.from_text(zone).labels), default=None,
        )
        for name in texts
    ]  # fmt: skip
    numbers = zone_numbers(finder, coded(pa.array(texts)))
    assert [finder.zones[n] if n >= 0 else None for n in numbers] == expected
    walked = finder.closest_of(pa.array(texts))
    assert walked.tolist() == numbers.tolist()


@given(st.integers(0, 4 * 10**18))
def test_times_are_rfc3339(time) -> None:
    whole = datetime.fromtimestamp(time // 10**9, UTC)
    assert rfc3339(time) == f"{whole:%Y-%m-%dT%H:%M:%S}.{time % 10**9:09}Z"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (0, "0 seconds"),
        (1_500_000_000, "1.5 seconds"),
        (61 * 10**9, "1 minute 1 second"),
        (3600 * 10**9, "1 hour"),
        (9060 * 10**9, "2 hours 31 minutes"),
        (90_000 * 10**9, "1 day 1 hour"),
    ],
)
def test_lengths_in_words(span, words) -> None:
    assert length(span) == words


def test_clock_names_its_zone() -> None:
    assert clock(0) == "1970-01-01 00:00:00 UTC"
    assert clock(1_500_000_000, 3) == "1970-01-01 00:00:01.500 UTC"


@given(st.integers(0, 10**18), st.integers(1, 10**17))
def test_bins_cover_the_capture(first, span) -> None:
    origin, width = series.binning(first, first + span)
    assert origin <= first
    numbers = series.bin_numbers(np.array([first, first + span]), origin, width)
    assert numbers[0] == 0
    assert 0 <= numbers[1] <= 2 * series.BINS
    assert width in series.WIDTHS


def test_distinct_is_exact_while_few_and_close_when_many() -> None:
    values = hash_values(pa.array([f"n{n}" for n in range(50_000)]))
    assert len(set(values.tolist())) == 50_000
    one, two = Distinct(1_000), Distinct(1_000)
    one.add(values[:900])
    one.add(values[:900])
    assert one.count() == 900
    one.add(values)
    for part in np.array_split(values[::-1], 7):
        two.add(part)
    assert one.count() == two.count()
    assert abs(one.count() - 50_000) < 5_000


def test_hash_of_a_text_does_not_depend_on_its_neighbours() -> None:
    whole = pa.array(["a", "bc", "", "d"])
    assert hash_values(whole)[1:3].tolist() == hash_values(whole.slice(1, 2)).tolist()
    assert hash_values(pa.array(["bc"]))[0] == hash_values(whole)[1]
    assert hash_values(whole.slice(0, 0)).tolist() == []


@pytest.mark.parametrize(
    ("name", "zone", "signed", "expected"),
    [
        ("www.example.de.", "de.", {"example.de."}, ("example.de.", True)),
        ("www.example.de.", "de.", {"de."}, ("example.de.", False)),
        ("de.", "de.", set(), (None, True)),
        ("www.example.de.", "example.de.", set(), (None, True)),
        ("a.sub.example.de.", "example.de.", {"sub.example.de."}, ("sub.example.de.", True)),
        ("www.example.de.", ".", {"de."}, ("de.", True)),
    ],
)
def test_zone_below(name, zone, signed, expected) -> None:
    assert zone_below(name, zone, frozenset(signed)) == expected


def test_changes_are_told_once_over_all_places() -> None:
    scene = Scene()
    one, two = scene.place("192.0.2.1"), scene.place("192.0.2.2")
    new = rdata(256, 8, "new")
    for place, late in ((one, 0), (two, 30)):
        scene.keys("x.", DNSKEY, place, 1, 90 + late, [KSK, ZSK], [2, 1])
        scene.keys("x.", DNSKEY, place, 100 + late, 190, [KSK, ZSK, new], [2, 1, 3])
        scene.keys("x.", DNSKEY, place, 200 + late, 290, [KSK, new], [2, 3])
        scene.keys("x.", DNSKEY, place, 300 + late, 390, [KSK, ZSK, new], [2, 1, 3])
    runs = read_runs(scene.evidence().keys, ["x."])["x."]
    told = [(row.event, row.key.tag, row.after.time, row.before.time) for row in changes(runs)]
    assert told == [
        ("dnskey-added", 3, ns(90), ns(100)),
        ("dnskey-removed", 1, ns(190), ns(200)),
        ("dnskey-added", 1, ns(290), ns(300)),
    ]
    assert [key.tag for key in published(runs, ns(210), ns(220), DNSKEY)] == [1, 2, 3]
    assert [key.tag for key in published(runs, ns(240), ns(250), DNSKEY)] == [2, 3]
    assert {row["tag"]: row["first"] for row in lifetimes(runs)}[3] == rfc3339(ns(100))


def test_requests_to_the_parent_are_told_and_are_no_cause() -> None:
    scene = Scene()
    one, two = scene.place("192.0.2.1"), scene.place("192.0.2.2")
    old, new = rdata(257, 13, "old"), rdata(257, 13, "new")
    for place, late in ((one, 0), (two, 5)):
        scene.keys("x.", CDNSKEY, place, 1 + late, 90, [old], [7])
        scene.keys("x.", CDNSKEY, place, 100 + late, 190, [new], [8])
    runs = read_runs(scene.evidence().keys, ["x."])["x."]
    assert changes(runs) == []
    told = [(row.event, row.key.tag, row.before.time) for row in changes(runs, TYPE_NAMES)]
    assert told == [("cdnskey-removed", 7, ns(100)), ("cdnskey-added", 8, ns(100))] or told == [
        ("cdnskey-added", 8, ns(100)),
        ("cdnskey-removed", 7, ns(100)),
    ]
    ((moment, event, key, place),) = requests(runs)
    assert (moment.time, event, key.tag, place) == (ns(1), "cdnskey-seen", 7, one)
    assert describe(event, key) == "CDNSKEY with key tag 7, algorithm 13"
    asks = key._replace(algorithm=0)
    assert describe("cds-seen", asks).startswith("CDS that asks the parent to remove the DS")


def test_revocation_is_no_removal() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    revoked = rdata(257 | 0x80, 8, "ksk")
    scene.keys("x.", DNSKEY, place, 1, 90, [KSK, ZSK], [2, 1])
    scene.keys("x.", DNSKEY, place, 100, 190, [revoked, ZSK], [130, 1])
    runs = read_runs(scene.evidence().keys, ["x."])["x."]
    assert [(row.event, row.key.tag) for row in changes(runs)] == [("dnskey-revoked", 130)]
