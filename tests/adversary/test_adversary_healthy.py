"""No healthy history is an outage, whatever part of it was recorded."""

from __future__ import annotations

import random

import pytest
from recorders import losses
from scenes import SCENES
from world import DAY

YEAR = 365 * DAY


@pytest.mark.parametrize("scene", SCENES)
def test_no_part_of_a_healthy_history_accuses(scene, accused) -> None:
    world = SCENES[scene](1)
    assert accused(world) == []
    for name, packets in losses(world.packets, random.Random(scene)):
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
    for number in range(8):
        draw = random.Random(number)
        assert accused(world, [p for p in world.packets if draw.random() < share]) == [], number
