"""What is done to a capture. The same dice give the same mutant.

A *gentle* change leaves every signed octet that is still there as it was recorded: packets are
lost, repeated, delayed, cut, written out of order or stamped by a wrong clock. After gentle changes
alone, a capture of healthy zones must not be called an outage. A *rough* change alters octets
anywhere; what is signed may be broken by it, and then it is right to say so.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

from fuzzkit.mutation import damaged

from mutantkit.records import Record, Reel, Tape

Records = list[Record]
Change = Callable[[Records, random.Random], Records]
Part = TypeVar("Part", Record, bytes)

WINDOW = (30, 600)
"""Packets of what most mutants are made from: a run over it takes a tenth of a second."""
NEAR = 40
"""Places by which a record may be moved."""
SECONDS = (1, 60, 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)


def window(records: list[Part], dice: random.Random) -> list[Part]:
    """Keep a stretch of the capture."""
    size = round(WINDOW[0] * (WINDOW[1] / WINDOW[0]) ** dice.random())
    at = dice.randrange(max(len(records) - size, 0) + 1)
    return records[at : at + size]


def conversations(records: Records, dice: random.Random) -> Records:
    """Keep whole transactions out of the capture's whole time: as many as make a window."""
    share = WINDOW[1] / len(records)
    salt = dice.randbytes(8)
    return [
        one
        for one in records
        if blake2b(one.conversation(), salt=salt, digest_size=4).digest()
        < int(share * 2**32).to_bytes(4, "big")
    ]


def _lost(records: list[Part], dice: random.Random) -> list[Part]:
    share = dice.choice((0.01, 0.1, 0.5, 0.9))
    return [one for one in records if dice.random() >= share] or records[:1]


def _hole(records: list[Part], dice: random.Random) -> list[Part]:
    at = dice.randrange(len(records))
    return records[:at] + records[at + dice.randint(1, 400) :] or records[:1]


def _twice(records: list[Part], dice: random.Random) -> list[Part]:
    share = dice.choice((0.05, 1.0))
    return [copy for one in records for copy in ((one, one) if dice.random() < share else (one,))]


def _moved(records: list[Part], dice: random.Random) -> list[Part]:
    places = [(at + dice.randint(0, NEAR), at) for at in range(len(records))]
    return [records[at] for _, at in sorted(places)]


def _cut(records: Records, dice: random.Random) -> Records:
    most = dice.choice((40, 64, 96, 128, 200, 512))
    return [replace(one, data=one.data[:most]) for one in records]


def _some_cut(records: Records, dice: random.Random) -> Records:
    return [
        replace(one, data=one.data[: dice.randrange(len(one.data) + 1)])
        if dice.random() < 0.05
        else one
        for one in records
    ]


def _stepped(records: Records, dice: random.Random) -> Records:
    at = dice.randrange(len(records))
    step = dice.choice(SECONDS) * dice.choice((-1, 1))
    return records[:at] + [one.later(step) for one in records[at:]]


def _all_shifted(records: Records, dice: random.Random) -> Records:
    step = dice.choice(SECONDS) * dice.choice((-1, 1))
    return [one.later(step) for one in records]


def _some_shifted(records: Records, dice: random.Random) -> Records:
    step = dice.choice(SECONDS) * dice.choice((-1, 1))
    share = dice.choice((0.02, 0.2))
    return [one.later(step) if dice.random() < share else one for one in records]


def _one_way(records: Records, dice: random.Random) -> Records:
    """Keep what came from one side: a tap of one direction, told by the Ethernet source."""
    address = dice.choice(records).data[6:12]
    return [one for one in records if one.data[6:12] == address]


def _forged(records: Records, dice: random.Random) -> Records:
    """Set false answers beside true ones: the id and question of a packet, octets of another."""
    at = dice.randrange(len(records))
    victim = records[at]
    data = bytearray(victim.data)
    for _ in range(dice.randint(1, 40)):
        if data:
            data[dice.randrange(min(42, len(data) - 1), len(data))] ^= 1 << dice.randrange(8)
    return [*records[:at], replace(victim, data=bytes(data)), *records[at:]]


def _octets(records: Records, dice: random.Random) -> Records:
    chosen = set(
        dice.sample(range(len(records)), max(1, len(records) // dice.choice((2, 20, 200))))
    )
    return [
        replace(one, data=damaged(dice, [one.data])[: 4 * len(one.data) + 64])
        if at in chosen and one.data
        else one
        for at, one in enumerate(records)
    ]


def _lengths(records: Records, dice: random.Random) -> Records:
    at = dice.randrange(len(records))
    length = dice.choice((0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF, len(records[at].data) + 1))
    return [*records[:at], replace(records[at], length=length), *records[at + 1 :]]


GENTLE: tuple[Change, ...] = (
    _lost, _hole, _twice, _moved, _cut, _some_cut, _stepped, _all_shifted, _some_shifted, _one_way,
)  # fmt: skip
ROUGH: tuple[Change, ...] = (_forged, _octets, _lengths)


def mutate(
    source: Tape, others: Iterable[Tape], dice: random.Random, *, gentle: bool
) -> tuple[Records, list[str]]:
    """Change a capture in one to four ways.

    Returns:
        its records now, and the names of the changes.
    """
    records = list(source.records)
    names = []
    if len(records) > WINDOW[1] and dice.random() < 0.98:
        kept = conversations(records, dice) if dice.random() < 0.5 else []
        if 0 < len(kept) < 2 * WINDOW[1]:
            records = kept
            names.append("conversations")
        else:
            records = window(records, dice)
            names.append("window")
    for _ in range(dice.choice((1, 1, 2, 3, 4))):
        if not gentle and dice.random() < 0.1:
            for other in islice(others, 1):
                records = _spliced(records, other, dice)
                names.append("spliced")
            continue
        change = dice.choice(GENTLE if gentle else GENTLE + ROUGH + ROUGH)
        records = change(records, dice) or records
        names.append(change.__name__.lstrip("_"))
    return records, names


def mutate_pieces(source: Reel, dice: random.Random, *, gentle: bool) -> tuple[bytes, list[str]]:
    """Change a file of blocks or frames in one to three ways.

    Returns:
        its octets now, and the names of the changes.
    """
    pieces = list(source.pieces)
    names = []
    if len(pieces) > WINDOW[1] and dice.random() < 0.98:
        pieces = window(pieces, dice)
        names.append("window")
    for _ in range(dice.choice((1, 1, 2, 3))):
        change = dice.choice((_lost, _hole, _twice, _moved))
        if gentle or dice.random() < 0.3:
            pieces = change(pieces, dice)
            names.append(change.__name__.lstrip("_"))
        else:
            for at in dice.sample(range(len(pieces)), max(1, len(pieces) // dice.choice((5, 50)))):
                pieces[at] = damaged(dice, [pieces[at]])[: 4 * len(pieces[at]) + 64]
            names.append("octets")
    tail = source.tail if dice.random() < 0.9 else b""
    return source.head + b"".join(pieces) + tail, names


def _spliced(records: Records, other: Tape, dice: random.Random) -> Records:
    at = dice.randrange(len(records))
    return records[:at] + window(list(other.records), dice)[:200] + records[at:]
