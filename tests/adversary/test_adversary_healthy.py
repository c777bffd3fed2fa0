"""No healthy history is an outage, whatever part of it was recorded."""

from __future__ import annotations

import random

import pytest
from recorders import HOW, is_response, losses, shifted, spoofed
from scenes import SCENES
from world import DAY, healthy

YEAR = 365 * DAY


@pytest.mark.parametrize("scene", SCENES)
def test_no_part_of_a_healthy_history_accuses(scene, accused) -> None:
    world = SCENES[scene](1)
    assert accused(world) == []
    draw = random.Random(scene)
    for name, packets in draw.sample(list(losses(world.packets, draw)), 5):
        if packets:
            assert accused(world, packets) == [], name


@pytest.mark.parametrize(
    ("scene", "seed", "share"),
    [
        ("ksk_signing_twice", 1, 0.3), ("root_revokes_its_old_ksk", 1, 0.5),
        ("zone_revokes_its_old_ksk", 1, 0.5), ("insecure_and_back", 1, 0.5),
        ("one_key_for_all", 1, 0.3), ("ksk_with_two_ds", 2, 0.3),
        ("algorithm_from_8_to_13", 2, 0.5), ("zsk_with_the_tag_of_the_old", 1, 0.5),
        ("ksk_with_the_tag_of_the_old", 1, 0.15), ("ksk_of_the_top_level", 2, 0.15),
    ],
)  # fmt: skip
def test_rolls_of_which_few_key_sets_were_recorded(scene, seed, share, accused) -> None:
    world = SCENES[scene](seed)
    for number in range(3):
        draw = random.Random(number)
        assert accused(world, [p for p in world.packets if draw.random() < share]) == [], number


@pytest.mark.parametrize("how", HOW)
def test_forged_answers_accuse_nobody(how, accused) -> None:
    world = healthy(3).run(500, 4)
    packets = spoofed(world.packets, how, random.Random(how))
    assert accused(world, packets) == []
    # Where no query was captured nobody can tell which answer was asked for: weak at most.
    answers = accused(world, [p for p in packets if is_response(p)])
    assert [row for row in answers if row[3] == "strong"] == []


@pytest.mark.parametrize("seconds", [-YEAR, -30 * DAY, -3600, 3600, 8 * DAY, YEAR])
@pytest.mark.parametrize("scene", ["secondaries_keep_up", "zsk_pre_published", "ksk_signing_twice"])
def test_a_recorders_clock_accuses_nobody(scene, seconds, accused) -> None:
    world = SCENES[scene](1)
    assert accused(world, shifted(world.packets, seconds)) == []
    middle = world.packets[len(world.packets) // 2].time
    assert accused(world, shifted(world.packets, seconds, after=middle)) == []


@pytest.mark.parametrize("scene", ["secondaries_keep_up", "zsk_pre_published", "ksk_signing_twice"])
def test_any_cut_into_files_accuses_nobody(scene, accused) -> None:
    world = SCENES[scene](1)
    half, third = len(world.packets) // 2, len(world.packets) // 3
    early, late = world.packets[:half], world.packets[half:]
    assert accused(world, early, late) == []
    assert accused(world, late, early) == []
    assert accused(world, world.packets[: 2 * third], world.packets[third:]) == []
    assert accused(world, world.packets[::2], world.packets[third:]) == []
    assert accused(world, snap=96) == accused(world, snap=300) == []
    assert accused(world, anchored=False) == []


def test_truncated_answers_accuse_nobody(accused) -> None:
    world = SCENES["zsk_pre_published"](1)
    cut = [
        p._replace(data=p.data[:2] + bytes([p.data[2] | 2]) + p.data[3:])
        if is_response(p) and len(p.data) > 300
        else p
        for p in world.packets
    ]
    assert accused(world, cut) == []
