"""Signatures near their end: said where the zone's own rhythm makes it unusual, and never else."""

from __future__ import annotations

import pytest
from timeline_scene import RESOLVER, A, Scene, ns

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell

HOUR = 3600
LIFE = 1000 * HOUR
HEAD = bytes(18) + b"\x01x\x00"
"""What precedes the records in what is signed: 18 octets and the signer's name."""


class Zone:
    """A zone x. at one server; its signatures live 1,000 hours."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.place = self.scene.place("192.0.2.1")

    def sign(self, name: str, *, begin: float, data: bytes | None = None, tag: int = 1111) -> int:
        octets = HEAD + (name.encode() if data is None else data)
        return self.scene.good(
            name, A, "x.", tag, inception=begin, expiration=begin + LIFE, data=octets
        )

    def anew(self, name: str, *, left: float, **options) -> None:
        """A signature that another one over the same records replaces with so much left."""
        old = self.sign(name, begin=100 * HOUR + left - LIFE)
        new = self.sign(name, begin=99 * HOUR, **options)
        self.scene.see(old, 99 * HOUR, self.place)
        self.scene.see(new, 100 * HOUR, self.place)

    def told(self) -> list[dict]:
        story = tell(self.scene.evidence(seed=5, cut=3))
        assert story.incidents == []
        return [row for row in story.findings if row["kind"] == "near-miss"]


def zone(*lefts: float) -> Zone:
    made = Zone()
    for number, left in enumerate(lefts):
        made.anew(f"n{number}.x.", left=left * HOUR)
    return made


def near_its_end(made: Zone, left: float, **options) -> int:
    """A signature that is seen last with so many hours left, at hour 120."""
    number = made.sign("old.x.", begin=(120 + left) * HOUR - LIFE)
    return made.scene.see(number, 120 * HOUR, made.place, **options)


def test_a_signature_with_less_left_than_its_signer_leaves_is_told() -> None:
    made = zone(250, 260, 270)
    frame = near_its_end(made, 20)
    (row,) = made.told()
    assert (row["zone"], row["name"], row["type"], row["frame"]) == ("x.", "old.x.", "A", frame)
    assert row["ends"] == rfc3339(ns(140 * HOUR))
    assert row["refresh_seconds"] == 250 * HOUR
    assert "ends 20 hours later" in row["sentence"]
    assert "at least 10 days 10 hours left" in row["sentence"]


@pytest.mark.parametrize(
    ("lefts", "left"),
    [
        ((250, 260), 20),  # two RRsets show no rhythm
        ((250, 260, 15), 20),  # its signer does leave so little
        ((250, 260, 270), 150),  # not in the last tenth: all may have been signed early once
    ],
)
def test_what_may_be_the_rhythm_of_the_zone_is_not(lefts, left) -> None:
    made = zone(*lefts)
    near_its_end(made, left)
    assert made.told() == []


def test_new_records_show_no_rhythm_nor_does_a_roll() -> None:
    made = Zone()
    for number in range(3):
        made.anew(f"n{number}.x.", left=250 * HOUR, data=b"other records")
        made.anew(f"m{number}.x.", left=250 * HOUR, tag=2222)
    near_its_end(made, 20)
    assert made.told() == []


def test_a_cache_that_gives_an_old_signature_is_not_the_zone() -> None:
    made = zone(250, 260, 270)
    near_its_end(made, 20, flags=RESOLVER)
    assert made.told() == []


def test_a_newer_signature_beside_it_is_what_counts() -> None:
    made = zone(250, 260, 270)
    near_its_end(made, 20)
    made.scene.see(made.sign("old.x.", begin=90 * HOUR), 121 * HOUR, made.place)
    assert made.told() == []
