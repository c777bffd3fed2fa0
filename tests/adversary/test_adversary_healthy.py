"""No healthy history is an outage, whatever part of it was recorded."""

from __future__ import annotations

import random

import dns.message
import dns.rrset
import pytest
from recorders import HOW, KEY, asked_type, is_response, losses, shifted, spoofed
from scenes import SCENES
from world import DAY, State, healthy, key, signatures

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


def test_signatures_before_keys_say_nothing_of_the_time_after(accused) -> None:
    """An algorithm roll of which two key sets were recorded, in answers to ANY."""
    world = SCENES["algorithm_from_8_to_13"](300)
    assert accused(world, [p for p in world.packets if asked_type(p) != KEY]) == []


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("scene", ["zsk_pre_published", "ksk_signing_twice"])
def test_forged_keys_accuse_nobody(scene, signed, accused) -> None:
    world = SCENES[scene](7)
    draw = random.Random(scene)
    packets = list(world.packets)
    for packet in world.packets:
        if packet.source[:8] == "192.0.2." and asked_type(packet) == KEY and draw.random() < 0.5:
            message = dns.message.from_wire(packet.data)
            zone = message.question[0].name
            message.answer = [dns.rrset.from_rdata(zone, 60, key("forged").record)]
            if signed:
                forger = State(zone.to_text().lower())
                message.answer.append(signatures(message.answer[0], forger, [key("forged")]))
            forged = packet._replace(data=message.to_wire(), time=packet.time - 200_000)
            packets.append(forged)
    assert accused(world, sorted(packets, key=lambda p: p.time)) == []


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
