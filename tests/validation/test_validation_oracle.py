"""Laws over random key timelines: a slow oracle of the rules, order, cover, and the lookup."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validation_world import Signer, World, at, said, verdict

from forensics import schemas
from forensics.keyring import view
from forensics.validation.judge import judge
from forensics.wire.verdicts import VerdictIndex

ZONE = "example."
KEY, OTHER = Signer(ZONE), Signer(ZONE)
SETS = ([OTHER], [OTHER, KEY], [KEY])
BURST = 5
TTL = 60

# A sighting: (second, place, which key set). Single sightings keep the oracle free of runs.
SIGHTINGS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 2), st.integers(0, 2)), max_size=8
)


def unique(sightings):
    """One key set at a time at one place."""
    return sorted({(place, second): (second, place, s) for second, place, s in sightings}.values())


def oracle(sightings, t: int, place: int, probes: list[int]) -> tuple[str, str]:
    """DESIGN section 4, word by word, over single sightings of one key (no colliding tags)."""
    holds = {(second, p): kind != 0 for second, p, kind in sightings}
    own = sorted(second for second, p in holds if p == place)

    def shown_elsewhere(low: float, high: float, t: int) -> bool:
        """Another server is known to hold the key within [low, high], and perhaps at t.

        Known: at a sighting, and between two in a row that both hold it. Perhaps at t: no sighting
        of that server from there up to t lacks it.
        """
        for p in {p for _, p in holds} - {place}:
            theirs = sorted(s for s, q in holds if q == p)
            for one, two in itertools.product(theirs, theirs):
                known = all(holds[s, p] for s in theirs if one <= s <= two)
                if one > two or not known or one > high or two < low:
                    continue
                if all(holds[s, p] for s in theirs if min(one, t) <= s <= max(two, t)):
                    return True
        return False

    def holds_next(t: int) -> bool:
        """Whether the next that any server is known to show after t holds the key."""
        found = []
        for p in {p for _, p in holds}:
            theirs = sorted(s for s, q in holds if q == p)
            for has, run in itertools.groupby(theirs, key=lambda s: holds[s, p]):
                spell = list(run)
                if spell[-1] > t:
                    found.append((max(spell[0], t), has))
        soonest = min((when for when, _ in found), default=None)
        return any(has for when, has in found if when == soonest)

    def proven(t: int) -> bool:
        before, after = [s for s in own if s <= t], [s for s in own if s >= t]
        if t in own:
            return not holds[t, place] and not shown_elsewhere(t, t, t)
        if before and after and not holds[before[-1], place] and not holds[after[0], place]:
            return not shown_elsewhere(before[-1], after[0], t)
        sides = [s for s in (*before[-1:], *after[:1]) if abs(s - t) <= BURST]
        if before and after:
            # The key came or went between two sightings: one of them alone proves nothing of t.
            return False
        if before and holds_next(t):
            return False
        if sides and not any(holds[s, place] for s in sides):
            return not shown_elsewhere(t - BURST, t + BURST, t)
        return False

    if proven(t):
        return "bogus", "dnskey-missing"
    sighting_of_key = sorted(second for (second, _), has in holds.items() if has)
    for probe in probes:  # instants at which the signature was seen at the place
        if probe <= t and proven(probe) and not any(probe < s <= t for s in sighting_of_key):
            return "bogus", "dnskey-missing"
    before, after = [s for s in own if s <= t], [s for s in own if s >= t]
    sides = [*before[-1:], *after[:1]]
    if any(holds[s, place] for s in sides) or shown_elsewhere(-1, 10**9, t):
        return "valid", "none"
    return "indeterminate", "dnskey-not-captured"


@given(SIGHTINGS, st.lists(st.integers(0, 60), min_size=1, max_size=2), st.integers(0, 3))
@settings(max_examples=400, deadline=None)
def test_every_instant_agrees_with_the_oracle(sightings, probes, place) -> None:
    sightings = unique(sightings)
    world = World()
    for second, where, kind in sightings:
        world.serve(ZONE, SETS[kind], second, place=where, ttl=TTL)
    signature = world.see(world.sign(KEY, spoil=False), *probes, place=place)
    found = world.judge()
    # Whether a key was captured at all decides what verifies; the oracle knows of no cryptography.
    for t in range(min(probes), max(probes) + 1):
        expected = oracle(sightings, t, place, [min(probes), max(probes)])
        assert said(found, signature, t, place) == expected, (t, sightings)
        if expected[0] == "valid":
            first = min(second for second, _, kind in sightings if kind)
            assert verdict(found, signature, t, place)["later"] == (t < first - BURST)


def random_world(seed: int) -> World:
    chance = random.Random(seed)
    world = World(places=["server", "server", "server", "resolver"])
    keys = [KEY, OTHER, Signer(ZONE, 257), Signer(ZONE, 257 | 128)]
    for _ in range(chance.randint(0, 9)):
        start = chance.randint(0, 900)
        content = chance.sample(keys, chance.randint(1, 4))
        world.serve(ZONE, content, start, start + chance.randint(0, 90), place=chance.randint(0, 3))
        world.serve(ZONE, [keys[2].ds()], start, kind=43, place=chance.randint(0, 3))
    for _ in range(chance.randint(1, 8)):
        number = world.sign(
            chance.choice(keys),
            inception=chance.randint(-99, 600),
            expiration=chance.randint(300, 1100),
            spoil=chance.random() < 0.3,
        )
        for place in chance.sample(range(4), 2):
            world.see(number, chance.randint(0, 1000), chance.randint(0, 1000), place=place)
    return world


@pytest.mark.parametrize("seed", range(25))
def test_intervals_cover_every_sighting_once_and_row_order_changes_nothing(seed: int) -> None:
    world = random_world(seed)
    anchors = [KEY.anchor()]
    signatures, keys, places = world.tables()
    pairs = world.sightings()
    first = judge(signatures, pairs, view.build(keys, places), places, anchors)
    rows = first.verdicts.to_pylist()
    groups: dict[tuple[int, int], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["signature"], row["place"]), []).append(row)
        assert row["start"] < row["end"]
    for own in groups.values():
        assert all(a["end"] == b["start"] for a, b in itertools.pairwise(own))
        assert all(
            {**a, "start": 0, "end": 0} != {**b, "start": 0, "end": 0}
            for a, b in itertools.pairwise(own)
        )
    for signature, place, low, high in world.pairs:
        own = groups.get((signature, place), groups.get((signature, -1)))
        assert own is not None
        assert own[0]["start"] <= low
        assert high < own[-1]["end"]
    generator = np.random.default_rng(seed)
    mixed = [table.take(generator.permutation(len(table))) for table in (signatures, keys, places)]
    order = generator.permutation(len(pairs))
    shuffled = type(pairs)(
        *(getattr(pairs, n)[order] for n in ("signature", "place", "first", "last", "count"))
    )
    second = judge(mixed[0], shuffled, view.build(mixed[1], mixed[2]), mixed[2], anchors)
    assert second.verdicts.equals(first.verdicts)
    assert second.checks.equals(first.checks)
    assert second.notes == first.notes


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_index_finds_what_a_loop_over_the_rows_finds(seed: int, size: int) -> None:
    chance = random.Random(seed)
    rows = []
    for signature in chance.sample(range(30), 5):
        for place in chance.sample(range(-1, 4), 3):
            start = chance.randint(0, 20)
            for _ in range(chance.randint(1, 4)):
                end = start + chance.randint(1, 20)
                rows.append(
                    {
                        "signature": signature, "place": place, "view": "published",
                        "start": start, "end": end, "status": chance.choice(["valid", "bogus"]),
                        "reason": "none", "confidence": chance.choice(["weak", "strong"]),
                        "zone": chance.choice(["a.", "b."]), "keys": [], "later": False,
                    }
                )  # fmt: skip
                start = end
    chance.shuffle(rows)
    table = pa.Table.from_pylist(rows, schema=schemas.VERDICTS)
    index = VerdictIndex(table)
    asked = [
        (chance.randint(0, 30), chance.randint(0, 4), chance.randint(-5, 90)) for _ in range(size)
    ]
    columns = np.array(asked, np.int64).T
    numbers = index.find(columns[0].astype(np.uint32), columns[1].astype(np.uint32), columns[2])
    for (signature, place, time), number in zip(asked, numbers.tolist(), strict=True):
        own = [r for r in rows if (r["signature"], r["place"]) == (signature, place)]
        own = own or [r for r in rows if (r["signature"], r["place"]) == (signature, -1)]
        held = [r for r in own if r["start"] <= time < r["end"]]
        if held:
            assert table.slice(int(index.rows[number]), 1).to_pylist() == held
        else:
            assert number == -1


def test_an_empty_index_and_an_empty_world() -> None:
    index = VerdictIndex(schemas.VERDICTS.empty_table())
    none = np.array([1], np.uint32)
    found = index.codes(none, none, np.array([at(0)]))
    assert [column.tolist() for column in found] == [[4], [0], [False], [-1]]
    nothing = World().judge()
    assert nothing.verdicts.num_rows == nothing.checks.num_rows == 0
    assert nothing.notes == []


@pytest.mark.parametrize("moment", [-(2**63), -1, 0, 2**62, 2**63 - 1])
def test_hostile_clocks_never_raise(moment: int) -> None:
    world = World()
    world.serve(ZONE, [KEY], 0, 10, ttl=2**31)
    world.serve(ZONE, [OTHER], 20, ttl=2**31)
    world.runs[0]["first"] = min(moment, world.runs[0]["first"])
    world.runs[1]["last"] = max(moment, world.runs[1]["last"])
    number = world.see(world.sign(KEY), 5)
    world.pairs.append((number, 1, min(moment, at(5)), max(moment, at(5))))
    found = world.judge([KEY.anchor()])
    assert said(found, number, 5)[0] in {"valid", "secure"}


def test_many_key_sets_end_in_limit_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "TRACK_RUNS", 4)
    world = World()
    for turn in range(8):
        world.serve(ZONE, SETS[turn % 2], turn * 100)
    number = world.see(world.sign(KEY), 0, 800)
    found = world.judge()
    assert said(found, number, 100)[0] == "valid"
    assert said(found, number, 500) == ("indeterminate", "limit-reached")
    assert [note.kind for note in found.notes] == ["limit"]
