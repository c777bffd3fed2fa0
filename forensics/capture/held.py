"""Octets held until the rest of them arrives: datagrams in pieces, and the two ways of a stream.

An *entry* is one datagram or one way of one TCP connection. It is found by its key (five words)
through a chained hash table, stands in a list by age, and in at most one list of those that wait.
Its octets lie in pages of one arena, and what arrived where stands in records. All memory is made
once and touched only as it is used; whoever wants more has to let go of the oldest first.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.integers import int64
from forensics.wire.jit import lean_kernel
from forensics.wire.moves import put64
from forensics.wire.words import finished, le64, mixed

PAGE: Final = 2048
"""Octets of a page: room for a full Ethernet frame, so that most entries need one or two."""
SPAN: Final = 96
"""Pages of an entry at most."""
REACH: Final = PAGE * (SPAN - 1)
"""Octets of a stream held at most, from any place in the first page on: the longest message
(2 + 65,535 octets), the longest segment, and as much again that came too early."""

# Columns of `Held.table`. The lists are rings: AGES, PATIENT and HASTY are rows that hold nothing.
KEY: Final = 0
"""Five words: source address (two), destination address (two), and what else tells entries apart.
"""
CHAIN: Final = 5
OLDER: Final = 6
NEWER: Final = 7
BEFORE: Final = 8
BEHIND: Final = 9
WAITS: Final = 10
"""Which of the waiting lists the entry is in; 0: none."""
SINCE: Final = 11
"""Since when it waits, ns."""
LAST: Final = 12
"""Time of its last packet, ns."""
FIRST: Final = 13
"""Its first record; -1: none."""
RECORDS: Final = 14
SLOT: Final = 15
OWN: Final = 16
"""From here on the columns belong to fragments.py or streams.py."""
COLUMNS: Final = 32

AGES: Final = 0
PATIENT: Final = 1
HASTY: Final = 2
_SENTINELS: Final = 3

# Columns of `Held.records`
NEXT: Final = 0
LOW: Final = 1
HIGH: Final = 2
PACKETS: Final = 3
TIME: Final = 4
FRAME: Final = 5
ORDINAL: Final = 6
CAPTURE: Final = 7
FIRST_FRAME: Final = 8
OFFSET: Final = 9
USED: Final = 10
"""1: octets of it are in a message; 2: its octets were never captured, there is only their place.
"""
BEGINS: Final = 11
"""Number of the octet that its first segment began with."""
STORED: Final = 12
"""Octets of its packets that it stands for in the account."""
TAKEN: Final = 13
"""Those of them that are in messages."""
PASSED_FOR: Final = 14
"""The reason for which the others were passed over last; -1: none were."""
WEIGHS: Final = 15
"""`outcome.WEIGHT` when it came."""
RECORD_COLUMNS: Final = 16

# Numbers in `Held.state`
ENTRIES_MADE: Final = 0
ENTRY_FREE: Final = 1
ENTRIES: Final = 2
PAGES_MADE: Final = 3
PAGES_FREE: Final = 4
RECORDS_MADE: Final = 5
RECORD_FREE: Final = 6
RECORDS_OPEN: Final = 7
WAITING: Final = 8
ARRIVED: Final = 9
"""Packets seen so far: the ordinal of the next one."""

_CHAIN_MOST: Final = 32


class Held(NamedTuple):
    """The entries of one kind.

    Attributes:
        table: int64 (entries, COLUMNS).
        slots: int32, first entry of each chain; 0: none.
        pages: int32 (entries, SPAN), the pages of each entry; -1: none.
        arena: uint8, the pages.
        free: int32, stack of pages given back.
        records: int64 (records, RECORD_COLUMNS).
        state: int64, counts.
    """

    table: NDArray[np.int64]
    slots: NDArray[np.int32]
    pages: NDArray[np.int32]
    arena: NDArray[np.uint8]
    free: NDArray[np.int32]
    records: NDArray[np.int64]
    state: NDArray[np.int64]


def held(entries: int, octets: int, records: int) -> Held:
    """Make room for so many entries, octets and records; memory is touched as it is used."""
    count = octets // PAGE
    slots = 1 << (entries - 1).bit_length()
    made = Held(
        np.zeros((entries + _SENTINELS, COLUMNS), np.int64),
        np.zeros(slots, np.int32),
        np.empty((entries + _SENTINELS, SPAN), np.int32),
        np.empty(count * PAGE, np.uint8),
        np.empty(count, np.int32),
        np.empty((records, RECORD_COLUMNS), np.int64),
        np.zeros(16, np.int64),
    )
    for row in range(_SENTINELS):
        made.table[row, [OLDER, NEWER, BEFORE, BEHIND]] = row
    made.state[ENTRIES_MADE] = _SENTINELS
    made.state[ENTRY_FREE] = -1
    made.state[RECORD_FREE] = -1
    return made


@lean_kernel
def pages_left(held: Any) -> int:
    """Pages that can still be taken."""
    state = held.state
    return int64(len(held.free) - state[PAGES_MADE] + state[PAGES_FREE])


@lean_kernel
def records_left(held: Any) -> int:
    """Records that can still be taken."""
    return int64(len(held.records) - held.state[RECORDS_OPEN])


@lean_kernel
def entries_left(held: Any) -> int:
    """Entries that can still be made."""
    return int64(len(held.table) - _SENTINELS - held.state[ENTRIES])


@lean_kernel
def slot_of(held: Any, a: int, b: int, c: int, d: int, e: int) -> int:
    """Slot of the chain of a key."""
    state = mixed(mixed(np.uint64(40), np.uint64(a)), np.uint64(b))
    state = mixed(mixed(state, np.uint64(c)), np.uint64(d))
    state = finished(mixed(state, np.uint64(e)))
    return int64(state & np.uint64(len(held.slots) - 1))


@lean_kernel
def find(held: Any, slot: int, a: int, b: int, c: int, d: int, e: int) -> int:
    """Find the entry of a key in its chain; 0: none."""
    table = held.table
    row = int64(held.slots[slot])
    while row:
        if (
            table[row, 4] == e
            and table[row, 1] == b
            and table[row, 3] == d
            and table[row, 0] == a
            and table[row, 2] == c
        ):
            return row
        row = table[row, CHAIN]
    return 0


@lean_kernel
def crowded(held: Any, slot: int) -> int:
    """The oldest entry of a chain that has grown too long, which must go first; 0: there is room.

    Hashes are public: whoever makes keys that collide shortens the memory for those keys only.
    """
    table = held.table
    row = int64(held.slots[slot])
    last = row
    length = 0
    while row:
        last = row
        length += 1
        row = table[row, CHAIN]
    return last if length >= _CHAIN_MOST else 0


@lean_kernel
def join(table: Any, ring: int, row: int, before: int) -> None:
    """Put an entry at the end of a ring, of ages (before = OLDER) or of waiting (BEFORE)."""
    last = table[ring, before]
    table[row, before] = last
    table[row, before + 1] = ring
    table[last, before + 1] = row
    table[ring, before] = row


@lean_kernel
def part(table: Any, row: int, before: int) -> None:
    """Take an entry out of its ring."""
    earlier = table[row, before]
    later = table[row, before + 1]
    table[earlier, before + 1] = later
    table[later, before] = earlier


@lean_kernel
def wait(held: Any, row: int, ring: int, since: int) -> None:
    """Let an entry wait in a ring (0: in none) from `since` on."""
    table = held.table
    if table[row, WAITS]:
        part(table, row, BEFORE)
        held.state[WAITING] -= 1
    table[row, WAITS] = ring
    table[row, SINCE] = since
    if ring:
        join(table, ring, row, BEFORE)
        held.state[WAITING] += 1


@lean_kernel
def touch(table: Any, row: int, now: int) -> None:
    """Make an entry the youngest."""
    table[row, LAST] = now
    if table[AGES, OLDER] != row:
        part(table, row, OLDER)
        join(table, AGES, row, OLDER)


@lean_kernel
def enter(held: Any, slot: int, a: int, b: int, c: int, d: int, e: int, now: int) -> int:
    """Make an entry. The caller has seen to it that one is left."""
    table = held.table
    state = held.state
    row = state[ENTRY_FREE]
    if row >= 0:
        state[ENTRY_FREE] = table[row, CHAIN]
    else:
        row = state[ENTRIES_MADE]
        state[ENTRIES_MADE] += 1
    state[ENTRIES] += 1
    for column in range(COLUMNS):
        table[row, column] = 0
    table[row, 0] = a
    table[row, 1] = b
    table[row, 2] = c
    table[row, 3] = d
    table[row, 4] = e
    table[row, LAST] = now
    table[row, FIRST] = -1
    table[row, SLOT] = slot
    table[row, CHAIN] = held.slots[slot]
    held.slots[slot] = row
    join(table, AGES, row, OLDER)
    for page in range(SPAN):
        held.pages[row, page] = -1
    return int64(row)


@lean_kernel
def leave(held: Any, row: int) -> None:
    """Take an entry out of everything. It must hold no record any more."""
    table = held.table
    state = held.state
    free_pages(held, row, 0)
    wait(held, row, 0, 0)
    part(table, row, OLDER)
    slot = table[row, SLOT]
    other = int64(held.slots[slot])
    if other == row:
        held.slots[slot] = table[row, CHAIN]
    else:
        while table[other, CHAIN] != row:
            other = table[other, CHAIN]
        table[other, CHAIN] = table[row, CHAIN]
    table[row, CHAIN] = state[ENTRY_FREE]
    state[ENTRY_FREE] = row
    state[ENTRIES] -= 1


@lean_kernel
def free_pages(held: Any, row: int, first: int) -> None:
    """Give back the pages of an entry from number `first` on."""
    state = held.state
    for page in range(first, SPAN):
        number = held.pages[row, page]
        if number >= 0:
            held.free[state[PAGES_FREE]] = number
            state[PAGES_FREE] += 1
            held.pages[row, page] = -1


@lean_kernel
def drop_page(held: Any, row: int) -> None:
    """Give back the first page of an entry; the others move up."""
    state = held.state
    pages = held.pages
    number = pages[row, 0]
    if number >= 0:
        held.free[state[PAGES_FREE]] = number
        state[PAGES_FREE] += 1
    for page in range(SPAN - 1):
        pages[row, page] = pages[row, page + 1]
    pages[row, SPAN - 1] = -1


@lean_kernel
def _page(held: Any, row: int, page: int) -> int:
    """Offset in the arena of a page of an entry, taken now if it is not there yet."""
    number = int64(held.pages[row, page])
    if number < 0:
        state = held.state
        if state[PAGES_FREE]:
            state[PAGES_FREE] -= 1
            number = int64(held.free[state[PAGES_FREE]])
        else:
            number = state[PAGES_MADE]
            state[PAGES_MADE] += 1
        held.pages[row, page] = number
    return number * PAGE


@lean_kernel
def copy_octets(out: Any, to: int, octets: Any, at: int, count: int) -> None:
    """Copy `count` octets and not one more. The caller has checked both ranges."""
    step = 0
    while step + 8 <= count:
        put64(out, to + step, le64(octets, at + step))
        step += 8
    while step < count:
        out[to + step] = octets[at + step]
        step += 1


@lean_kernel
def store(held: Any, row: int, position: int, octets: Any, at: int, count: int) -> None:
    """Write octets of an entry. The caller has checked that enough pages are left."""
    while count > 0:
        inside = position % PAGE
        size = min(PAGE - inside, count)
        copy_octets(held.arena, _page(held, row, position // PAGE) + inside, octets, at, size)
        position += size
        at += size
        count -= size


@lean_kernel
def fetch_octets(held: Any, row: int, position: int, count: int, out: Any, to: int) -> None:
    """Read octets of an entry into `out`, which has room for them."""
    while count > 0:
        inside = position % PAGE
        size = min(PAGE - inside, count)
        copy_octets(out, to, held.arena, _page(held, row, position // PAGE) + inside, size)
        position += size
        to += size
        count -= size


@lean_kernel
def differ(held: Any, row: int, position: int, octets: Any, at: int, count: int) -> int:
    """Count the octets that differ from those that the entry holds."""
    found = 0
    while count > 0:
        inside = position % PAGE
        size = min(PAGE - inside, count)
        place = _page(held, row, position // PAGE) + inside
        for i in range(size):
            if held.arena[place + i] != octets[at + i]:
                found += 1
        position += size
        at += size
        count -= size
    return found


@lean_kernel
def octet(held: Any, row: int, position: int) -> int:
    """Read one octet of an entry."""
    return int64(held.arena[_page(held, row, position // PAGE) + position % PAGE])


@lean_kernel
def new_record(held: Any, behind: int, row: int) -> int:
    """Make a record of an entry behind another one (-1: as its first one)."""
    state = held.state
    records = held.records
    made = state[RECORD_FREE]
    if made >= 0:
        state[RECORD_FREE] = records[made, NEXT]
    else:
        made = state[RECORDS_MADE]
        state[RECORDS_MADE] += 1
    state[RECORDS_OPEN] += 1
    held.table[row, RECORDS] += 1
    if behind < 0:
        records[made, NEXT] = held.table[row, FIRST]
        held.table[row, FIRST] = made
    else:
        records[made, NEXT] = records[behind, NEXT]
        records[behind, NEXT] = made
    return int64(made)


@lean_kernel
def drop_first(held: Any, row: int) -> None:
    """Let go of the first record of an entry."""
    state = held.state
    gone = held.table[row, FIRST]
    held.table[row, FIRST] = held.records[gone, NEXT]
    held.table[row, RECORDS] -= 1
    held.records[gone, NEXT] = state[RECORD_FREE]
    state[RECORD_FREE] = gone
    state[RECORDS_OPEN] -= 1


def streams_room() -> Held:
    """Room for the streams of one sensor."""
    return held(limits.TCP_STREAMS, limits.TCP_OCTETS, limits.TCP_RECORDS)


def datagrams_room() -> Held:
    """Room for the datagrams in pieces of one sensor."""
    return held(limits.FRAGMENTED, limits.FRAGMENT_OCTETS, 2 * limits.FRAGMENTED)
