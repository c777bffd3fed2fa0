"""What is done to a capture. The same dice give the same mutant.

A *gentle* change leaves every signed octet that is still there as it was recorded: packets are
lost, repeated, delayed, cut, written out of order or stamped by a wrong clock. After gentle changes
alone, a capture of healthy zones must not be called an outage. A *rough* change alters octets
anywhere; what is signed may be broken by it, and then it is right to say so.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from fuzzkit.mutation import damaged

from mutantkit.records import Record, Tape

Records = list[Record]
Change = Callable[[Records, random.Random], Records]

WINDOW = (50, 1200)
"""Packets of the stretch that most mutants are made from: a run over it takes part of a second."""
NEAR = 40
"""Places by which a record may be moved."""
SECONDS = (1, 60, 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)


def window(records: Records, dice: random.Random) -> Records:
    """Keep a stretch of the capture."""
    size = dice.randint(*WINDOW)
    at = dice.randrange(max(len(records) - size, 0) + 1)
    return records[at : at + size]


def _lost(records: Records, dice: random.Random) -> Records:
    share = dice.choice((0.01, 0.1, 0.5, 0.9))
    return [one for one in records if dice.random() >= share] or records[:1]


def _hole(records: Records, dice: random.Random) -> Records:
    at = dice.randrange(len(records))
    return records[:at] + records[at + dice.randint(1, 400) :] or records[:1]


def _twice(records: Records, dice: random.Random) -> Records:
    share = dice.choice((0.05, 1.0))
    return [copy for one in records for copy in ((one, one) if dice.random() < share else (one,))]


def _moved(records: Records, dice: random.Random) -> Records:
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
    source: Tape, others: Sequence[Tape], dice: random.Random, *, gentle: bool
) -> tuple[Records, list[str]]:
    """Change a capture in one to four ways.

    Returns:
        its records now, and the names of the changes.
    """
    records = list(source.records)
    names = []
    if len(records) > WINDOW[1] and dice.random() < 0.95:
        records = window(records, dice)
        names.append("window")
    for _ in range(dice.choice((1, 1, 2, 3, 4))):
        if not gentle and others and dice.random() < 0.1:
            records = _spliced(records, dice.choice(others), dice)
            names.append("spliced")
            continue
        change = dice.choice(GENTLE if gentle else GENTLE + ROUGH + ROUGH)
        records = change(records, dice) or records
        names.append(change.__name__.lstrip("_"))
    return records, names


def _spliced(records: Records, other: Tape, dice: random.Random) -> Records:
    at = dice.randrange(len(records))
    return records[:at] + window(list(other.records), dice)[:200] + records[at:]
