"""Numbers for the servers and names of closed rows: which of them are equal.

Rows are taken some at a time: first all their slots are asked for, then the strings that these
point to, then the searches run, so that memory is waited for once and not row by row.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.transactions.rows import CAPACITY, NAME_OCTETS, Batch
from forensics.wire.intern import (
    Interner,
    append,
    clear,
    find,
    interner,
    prefetch_slot,
    prefetch_string,
)
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.moves import SLACK, put64
from forensics.wire.words import finished, mixed

_AHEAD: Final = 32


class Numbers(NamedTuple):
    """Interners for the strings of one batch at a time, and the numbers of its closed rows.

    Attributes:
        servers: of addresses, 16 octets each.
        names: of lower-case wire names.
        clients: uint8, the address of each closed row, 16 octets. Most clients ask once or twice
            while a batch lasts: to number them would cost more than to write them out.
        server, name: int32, number by closed row; of the name -1: no question.
        words: uint8, room for one address.
        hashes: uint64, room for the hashes of some rows.
    """

    servers: Interner
    names: Interner
    clients: NDArray[np.uint8]
    server: NDArray[np.int32]
    name: NDArray[np.int32]
    words: NDArray[np.uint8]
    hashes: NDArray[np.uint64]


def numbers() -> Numbers:
    """Make room for the strings of the largest batch. Memory is touched only as it is used."""
    return Numbers(
        interner(CAPACITY, 16 * CAPACITY),
        interner(CAPACITY, NAME_OCTETS),
        np.empty(16 * CAPACITY + SLACK, np.uint8),
        np.empty(CAPACITY, np.int32),
        np.empty(CAPACITY, np.int32),
        np.zeros(24, np.uint8),
        np.zeros(_AHEAD, np.uint64),
    )


@inlined_kernel
def _address(interned: Any, hashed: Any, words: Any, high: Any, low: Any) -> Any:
    """Give the number of an address, a new one if it is new."""
    slots, hashes, starts, arena, state = interned
    put64(words, 0, high)
    put64(words, 8, low)
    number = find(slots, arena, state[1], hashed, words, 0, 16, False)
    if number < 0:
        number = append(slots, hashes, starts, arena, state, hashed, words, 0, 16, False)
    return number


@lean_kernel
def _number(rows: Any, status: Any, count: Any, octets: Any, into: Any) -> None:
    """Number the strings of the closed rows among the first `count`."""
    servers, names, clients, server, name, words, hashes = into
    to = 0
    done = 0
    while done < count:
        end = min(done + _AHEAD, count)
        for row in range(done, end):
            entry = rows[row]
            at = row - done
            hashed = finished(mixed(mixed(np.uint64(16), entry.serves), entry.serves_low))
            hashes[at] = hashed
            prefetch_slot(servers.slots, servers.state[1], hashed)
            prefetch_slot(names.slots, names.state[1], entry.name_hash)
        for row in range(done, end):
            at = row - done
            prefetch_string(servers.slots, servers.arena, servers.state[1], hashes[at])
            prefetch_string(names.slots, names.arena, names.state[1], rows[row].name_hash)
        for row in range(done, end):
            if status[row] != 0:
                continue
            entry = rows[row]
            at = row - done
            put64(clients, 16 * to, entry.asks)
            put64(clients, 16 * to + 8, entry.asks_low)
            server[to] = _address(servers, hashes[at], words, entry.serves, entry.serves_low)
            number = np.int64(-1)
            if entry.name >= 0:
                start = np.int64(entry.name)
                length = np.int64(entry.name_length)
                hashed = entry.name_hash
                slots, table, starts, arena, state = names
                number = find(slots, arena, state[1], hashed, octets, start, length, False)
                if number < 0:
                    number = append(
                        slots, table, starts, arena, state, hashed, octets, start, length, False
                    )
            name[to] = number
            to += 1
        done = end


def number(batch: Batch, into: Numbers) -> None:
    """Number the strings of a batch's closed rows, in order of first sight."""
    for strings in (into.servers, into.names):
        clear(strings)
    _number(batch.rows, batch.status, batch.count, batch.names, into)
