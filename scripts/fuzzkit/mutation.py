"""Damage octets in the ways that break parsers; the same seed gives the same damage."""

import random
from collections.abc import Callable, Sequence
from typing import Final

LONGEST: Final = 65_536
"""Octets of one damaged input."""

_ODD: Final = (0, 1, 2, 4, 0x0C, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
_LENGTHS: Final = (0, 1, 7, 8, 11, 12, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def _flip(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _odd(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    data[dice.randrange(len(data))] = dice.choice(_ODD)


def _any(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    data[dice.randrange(len(data))] = dice.randrange(256)


def _length(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    width = dice.choice((2, 4))
    at = dice.randrange(len(data))
    value = dice.choice(_LENGTHS) & (1 << 8 * width) - 1
    data[at : at + width] = value.to_bytes(width, dice.choice(("big", "little")))


def _nudge(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    width = dice.choice((1, 2, 4))
    order = dice.choice(("big", "little"))
    at = dice.randrange(len(data))
    value = int.from_bytes(data[at : at + width], order) + dice.choice((-4, -1, 1, 2, 16))
    data[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, order)


def _cut(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    del data[dice.randrange(len(data)) :]


def _drop(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 2, 4, 16, 64))]


def _repeat(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    piece = data[at : at + dice.choice((1, 4, 16, 64, 256))]
    data[at:at] = piece * dice.choice((1, 2, 8))


def _splice(data: bytearray, dice: random.Random, seeds: Sequence[bytes]) -> None:
    other = dice.choice(seeds)
    if other:
        at = dice.randrange(len(other))
        data[dice.randrange(len(data)) :] = other[at:]


def _insert(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    data[at:at] = dice.randbytes(dice.choice((1, 2, 4, 12)))


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip, _flip, _odd, _any, _length, _length, _nudge, _nudge, _cut, _drop, _repeat, _splice,
    _insert,
)  # fmt: skip
"""Ways to damage; those that stand twice come twice as often."""


def damaged(dice: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Choose a seed and damage it one to eight times; now and then not at all."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 4, 8))):
        if not data:
            data = bytearray(b"\0")
        dice.choice(MUTATIONS)(data, dice, seeds)
    return bytes(data[:LONGEST])
