"""Equal strings get one number, different strings never do, and collisions cost no time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.wire.intern import COUNT, PROBES, intern, interner, lengths
from forensics.wire.jit import octets
from forensics.wire.words import lowered, name_hash, octets_hash


def kept(used):
    sizes = lengths(used)
    starts = used.starts[: int(used.state[COUNT])]
    return [bytes(used.arena[at : at + size]) for at, size in zip(starts, sizes, strict=True)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=60), st.booleans())
def test_numbers_are_those_of_a_dictionary_in_order_of_first_sight(strings, lower):
    used = interner(100, 4000)
    seen: dict[bytes, int] = {}
    for string in strings:
        data = octets(string)
        hashed = np.uint64((name_hash if lower else octets_hash)(data, 0, len(data)))
        number = intern(*used, hashed, data, 0, len(data), lower)
        key = string.lower() if lower else string
        assert number == seen.setdefault(key, len(seen))
    assert kept(used) == list(seen)


def test_strings_beyond_the_first_slots_keep_their_numbers():
    used = interner(20_000, 400_000)
    data = [octets(f"name-{number}".encode()) for number in range(9_000)]
    for _ in range(2):
        for number, one in enumerate(data):
            hashed = np.uint64(octets_hash(one, 0, len(one)))
            assert intern(*used, hashed, one, 0, len(one), False) == number


def test_chosen_collisions_are_appended_and_never_confused():
    used = interner(1_000, 20_000)
    collision = np.uint64(7 << 33)
    for number in range(500):
        one = octets(f"{number:06}".encode())
        assert intern(*used, collision, one, 0, len(one), False) == number
    first = octets(b"000000")
    assert intern(*used, collision, first, 0, 6, False) == 0
    beyond = octets(f"{PROBES + 100:06}".encode())
    assert intern(*used, collision, beyond, 0, 6, False) == 500
    assert kept(used)[500] == bytes(beyond)


def test_a_full_interner_says_so():
    used = interner(2, 100)
    numbers = []
    for text in (b"a", b"b", b"c", b"a"):
        data = octets(text)
        numbers.append(intern(*used, np.uint64(octets_hash(data, 0, 1)), data, 0, 1, False))
    assert numbers == [0, 1, -1, 0]


@given(st.binary(min_size=8, max_size=8))
def test_lowering_eight_octets_changes_ascii_capitals_alone(word):
    value = np.uint64(int.from_bytes(word, "little"))
    assert int(lowered(value)).to_bytes(8, "little") == word.lower()
