"""The same message seen by several sensors: recognised, counted once, and used to compare clocks.

Two captures hold the same message when octets, endpoints, ports and transport agree and, by the
corrected clocks, the times do within `limits.SENSOR_WINDOW`. Of a message that was sent several
times in that window, the first sighting at one sensor is the first at the other, and so on: a
repetition is never taken for a copy. Messages of dnstap have a place of their own and stay apart.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.integers import int64
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import lean_kernel
from forensics.wire.words import address_hash, finished, mixed, octets_hash

_WINDOW: Final = limits.SENSOR_WINDOW
_SLOTS: Final = limits.SENSOR_SLOTS
_PROBES: Final = 8
_ENOUGH: Final = limits.CLOCK_SHARED

# Columns of the table
_KEY, _TIME, _COUNT, _FIRST = range(4)


@lean_kernel
def _keys(
    octets: Any,
    start: Any,
    captured: Any,
    length: Any,
    source: Any,
    destination: Any,
    source_port: Any,
    destination_port: Any,
    transport: Any,
    kind: Any,
    keys: Any,
) -> None:
    """Hash each message with its endpoints into int64 keys; bit 0: it is a response; 0: dnstap."""
    for i in range(len(start)):
        if kind[i] != 0:
            keys[i] = 0
            continue
        ports = (int64(source_port[i]) << 24) | (int64(destination_port[i]) << 8)
        sizes = (int64(length[i]) << 20) ^ int64(captured[i])
        key = octets_hash(octets, start[i], int64(captured[i]))
        key = mixed(mixed(key, np.uint64(ports | int64(transport[i]))), np.uint64(sizes))
        key = mixed(key, address_hash(source, 16 * i))
        key = finished(mixed(key, address_hash(destination, 16 * i)))
        response = int64(octets[start[i] + 2]) >> 7
        keys[i] = (int64(key >> np.uint64(2)) << 1) | response | 2


@lean_kernel
def _slot(table: Any, key: int, now: int) -> int:
    """Row of a key in the table, made if need be; one that is too old begins anew."""
    first = int64(finished(np.uint64(key)) >> np.uint64(20)) % (_SLOTS - _PROBES)
    oldest = first
    for row in range(first, first + _PROBES):
        if table[row, _KEY] == key:
            if abs(now - table[row, _TIME]) > _WINDOW:
                table[row, _COUNT] = 0
            return row
        if table[row, _TIME] < table[oldest, _TIME]:
            oldest = row
    table[oldest, _KEY] = key
    table[oldest, _TIME] = now
    table[oldest, _COUNT] = 0
    return oldest


@lean_kernel
def _recognise(keys: Any, captures: Any, time: Any, table: Any, first: Any) -> int:
    """Tell the messages that another capture held before; return how many.

    Out: first int64 (N), the capture that held it first, -1: this one. State: table int64
    (limits.SENSOR_SLOTS, 4).
    """
    found = 0
    for i in range(len(keys)):
        first[i] = -1
        if keys[i] == 0:
            continue
        now = time[i]
        own = _slot(table, keys[i] ^ ((int64(captures[i]) + 1) << 40), now)
        table[own, _TIME] = now
        table[own, _COUNT] += 1
        count = table[own, _COUNT]
        shared = _slot(table, keys[i], now)
        if count <= table[shared, _COUNT]:
            if table[shared, _FIRST] != captures[i]:
                first[i] = table[shared, _FIRST]
                found += 1
            continue
        table[shared, _TIME] = now
        table[shared, _COUNT] = count
        table[shared, _FIRST] = captures[i]
    return found


def message_keys(block: MessageBlock) -> NDArray[np.int64]:
    """Hash each message of a block with its endpoints; 0: a message of dnstap."""
    keys = np.empty(len(block), np.int64)
    _keys(
        block.octets,
        block.start,
        block.captured,
        block.length,
        np.ascontiguousarray(block.source).reshape(-1),
        np.ascontiguousarray(block.destination).reshape(-1),
        block.source_port,
        block.destination_port,
        block.transport,
        block.kind,
        keys,
    )
    return keys


class Sensors:
    """The messages seen lately, by any capture."""

    def __init__(self) -> None:
        self._table = np.zeros((_SLOTS, 4), np.int64)

    def seen_before(self, block: MessageBlock) -> NDArray[np.int64]:
        """The capture that held each message first; -1: its own one."""
        first = np.empty(len(block), np.int64)
        _recognise(message_keys(block), block.captures, block.time, self._table, first)
        return first


class Clocks(NamedTuple):
    """How one capture's clock stands to another's.

    Attributes:
        ahead: ns that it is ahead.
        shared: messages that both saw, on which this rests.
        firm: it exceeds what the path between the sensors can explain, so it is corrected.
    """

    ahead: int
    shared: int
    firm: bool


def compare(
    keys: NDArray[np.int64],
    times: NDArray[np.int64],
    other_keys: NDArray[np.int64],
    other_times: NDArray[np.int64],
) -> Clocks | None:
    """Compare the clocks of two captures by the messages that both hold exactly once.

    The path between two sensors delays queries and responses in opposite directions, so half the
    sum of both medians is the offset. Where only one direction was seen by both, an offset below
    `limits.CLOCK_ONE_WAY` cannot be told from a delay. None: fewer than `limits.CLOCK_SHARED`
    shared messages, or they disagree by more than `limits.CLOCK_SPREAD`.
    """
    mine, place = _once(keys, times)
    theirs, other_place = _once(other_keys, other_times)
    _, left, right = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    if len(left) < _ENOUGH:
        return None
    differences = place[left] - other_place[right]
    response = (mine[left] & 1).astype(bool)
    medians = []
    rest = []
    for side in (differences[~response], differences[response]):
        if len(side) >= _ENOUGH // 2:
            medians.append(int(np.median(side)))
            rest.append(np.abs(side - medians[-1]))
    if not medians or np.quantile(np.concatenate(rest), 0.75) > limits.CLOCK_SPREAD:
        return None
    ahead = sum(medians) // len(medians)
    bound = limits.CLOCK_TOLERANCE if len(medians) > 1 else limits.CLOCK_ONE_WAY
    return Clocks(ahead, len(left), abs(ahead) > bound)


def _once(
    keys: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys that occur exactly once, and their times."""
    found, index, counts = np.unique(keys, return_index=True, return_counts=True)
    once = (counts == 1) & (found != 0)
    return found[once], times[index[once]]
