"""Several captures as one stream of messages in order of time.

Captures that do not overlap are read one after the other, block by block, as if each were alone.
Where some overlap, what they hold of the same stretch of time is merged into common blocks, so that
a query in one file stands before its response in another. Within a file the order stays as it is.
The result does not depend on the order in which the files were named.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.facts import CaptureFacts
from forensics.capture.readers import Capture, first_time, open_capture
from forensics.capture.reassembly import Reassembly
from forensics.capture.sensors import Clocks, Sensors, compare, message_keys
from forensics.capture.tls_secrets import Secrets
from forensics.errors import InputError
from forensics.vocabulary import MessageFlag
from forensics.wire.blocks import MessageBlock

_WHOLE: Final = frozenset({"octets", "capture", "identities"})
_COLUMNS: Final = tuple(
    column.name for column in fields(MessageBlock) if column.name not in _WHOLE | {"start"}
)
_NEVER: Final = 2**63 - 1

Failed = Callable[[InputError], None]
"""Called with an input that cannot be read, or not to its end."""
Read = Callable[[CaptureFacts, int], None]
"""Called after a block of an input with the octets read of it so far."""


@dataclass(slots=True)
class _Waiting:
    """An input whose turn has not come.

    Attributes:
        begins: time of its first packet, ns, its clock corrected as far as is known.
        number: of the input.
        path: of the file.
        shift: ns to add to its times; None: none.
        compared: its clock has been looked at, or the user gave its offset.
        clocks, against: what came of that, and the number of the other input.
    """

    begins: int
    number: int
    path: str
    shift: int | None
    compared: bool
    clocks: Clocks | None = None
    against: int | None = None

    def tell(self, facts: CaptureFacts) -> None:
        """Write down what is known of its clock."""
        facts.clock_offset = self.shift
        if self.clocks is not None:
            facts.clock_against = self.against
            facts.clock_ahead = self.clocks.ahead
            facts.clock_shared = self.clocks.shared


class _Input:
    """An open capture, and what of it has been read and not yet handed on."""

    def __init__(self, capture: Capture, shift: int, failed: Failed, read: Read) -> None:
        self.facts = capture.facts
        self.done = False
        self._blocks = capture.blocks()
        self._shift = shift
        self._failed = failed
        self._read = read
        self._octets = 0
        self._waiting: deque[tuple[MessageBlock, NDArray[np.int64]]] = deque()
        self._at = 0

    def fill(self, until: int = -_NEVER, blocks: int = 1) -> bool:
        """Have something to hand on, up to a time if that takes no more blocks; else False."""
        while not self.done and len(self._waiting) < blocks:
            if self._waiting and self.last >= until:
                break
            try:
                block = next(self._blocks)
            except StopIteration:
                self.done = True
                break
            except InputError as error:
                self._failed(error)
                self.done = True
                break
            self._octets += len(block.octets)
            self._read(self.facts, self._octets)
            if self._shift:
                _move(block, self._shift)
            self._waiting.append((block, np.maximum.accumulate(block.time)))
        return bool(self._waiting)

    @property
    def next(self) -> int:
        """Time of the next message."""
        return int(self._waiting[0][1][self._at])

    @property
    def last(self) -> int:
        """Latest time among what has been read."""
        return int(self._waiting[-1][1][-1])

    @property
    def reach(self) -> int:
        """Latest time in the block at hand."""
        return int(self._waiting[0][1][-1])

    def take(self, until: int) -> tuple[MessageBlock, NDArray[np.int64]] | None:
        """Hand on the messages of the block at hand up to a time, with the times that order them;
        None: there is none.
        """  # noqa: D205
        block, order = self._waiting[0]
        begin = self._at
        end = max(begin, int(np.searchsorted(order, until, side="right")))
        self._at = end
        if end == len(block):
            self._waiting.popleft()
            self._at = 0
        if begin == end:
            return None
        if end - begin == len(block):
            return block, order
        return _part(block, slice(begin, end)), order[begin:end]

    def finished(self) -> CaptureFacts:
        """Its facts, complete now, with times by the corrected clock."""
        facts = self.facts
        if self._shift and facts.first is not None and facts.last is not None:
            facts.first += self._shift
            facts.last += self._shift
        return facts

    def sample(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys and times of what has been read and not yet handed on."""
        keys = [message_keys(block) for block, _ in self._waiting]
        return np.concatenate(keys), np.concatenate([block.time for block, _ in self._waiting])


def _move(block: MessageBlock, ns: int) -> None:
    """Move the times of a block's messages; 0 stays what it is, no time."""
    block.time = np.where(block.time > 0, block.time + ns, 0)
    block.other_time = np.where(block.other_time > 0, block.other_time + ns, 0)


def _part(block: MessageBlock, rows: slice | NDArray[np.bool_]) -> MessageBlock:
    """Some messages of a block, over the same octets."""
    columns = {name: getattr(block, name)[rows] for name in ("start", *_COLUMNS)}
    whole = {name: getattr(block, name) for name in _WHOLE}
    return MessageBlock(**whole, **columns)


def _merge(parts: Sequence[tuple[MessageBlock, NDArray[np.int64]]]) -> MessageBlock:
    """One block out of several, in order of time; equals in order of the files."""
    order = np.argsort(np.concatenate([times for _, times in parts]), kind="stable")
    identities: list[str] = []
    octets = []
    starts = []
    numbers = []
    used = 0
    for block, _ in parts:
        begin = int(block.start.min())
        end = int((block.start + block.captured).max())
        octets.append(block.octets[begin:end])
        starts.append(block.start + (used - begin))
        used += end - begin
        # -1 stands for no identity
        numbers.append(np.where(block.identity >= 0, block.identity + len(identities), -1))
        identities += block.identities
    columns = {
        name: np.concatenate([getattr(block, name) for block, _ in parts])[order]
        for name in _COLUMNS
    }
    columns["identity"] = np.concatenate(numbers).astype(np.int32)[order]
    return MessageBlock(
        octets=np.concatenate(octets),
        start=np.concatenate(starts)[order],
        capture=parts[0][0].capture,
        identities=identities,
        **columns,
    )


def merged(
    paths: Sequence[str],
    ports: frozenset[int],
    clock_offsets: Mapping[str, int],
    failed: Failed,
    read: Read,
    secrets: Secrets | None = None,
) -> Iterator[MessageBlock | CaptureFacts]:
    """Read captures in order of time; yield their blocks, and the facts of each at its end.

    Args:
        paths: input files in any order.
        ports: ports that carry DNS besides 53.
        clock_offsets: ns to add to the times of an input, by its path: the user's word.
        failed: takes note of what cannot be read.
        read: told of the progress.
        secrets: of TLS connections.
    """
    reassembly = Reassembly(ports, secrets)
    facts: dict[int, CaptureFacts] = {}
    order = []
    for path in paths:
        try:
            first = first_time(path)
        except InputError as error:
            failed(error)
            continue
        begins = _NEVER if first is None else first + clock_offsets.get(path, 0)
        order.append((begins, path))
    waiting = [
        _Waiting(begins, number, path, clock_offsets.get(path), path in clock_offsets)
        for number, (begins, path) in enumerate(sorted(order))
    ]
    active: list[_Input] = []
    sensors: Sensors | None = None
    common = -_NEVER
    while waiting or active:
        horizon = min((one.reach for one in active), default=None)
        if horizon is not None and _compare_clocks(waiting, active, horizon):
            continue
        if waiting and (horizon is None or _is_due(waiting[0], horizon, len(active))):
            due = waiting.pop(0)
            # Several at once share the memory of one.
            octets = limits.BLOCK_OCTETS // 4 if active else limits.BLOCK_OCTETS
            for one in active:
                # Where a rotated capture has ended, the next one goes on with its streams.
                one.fill(_NEVER, 2)
            try:
                capture = open_capture(due.path, due.number, ports, octets, reassembly)
            except InputError as error:
                failed(error)
                continue
            facts[due.number] = capture.facts
            due.tell(capture.facts)
            one = _Input(capture, due.shift or 0, failed, read)
            if one.fill():
                active.append(one)
            else:
                yield one.finished()
            continue
        assert horizon is not None
        parts = [part for one in active if (part := one.take(horizon)) is not None]
        if len(active) > 1:
            sensors = sensors or Sensors()
            common = horizon + limits.SENSOR_WINDOW
        if parts:
            block = parts[0][0] if len(parts) == 1 else _merge(parts)
            if sensors is not None and int(parts[0][1][0]) <= common:
                _mark_copies(block, sensors, facts)
            yield block
        yield from (one.finished() for one in active if not one.fill())
        active = [one for one in active if one.fill()]
    yield from reassembly.finish()


def _is_due(one: _Waiting, horizon: int, active: int) -> bool:
    """Whether an input must be opened before messages up to `horizon` go on."""
    return active < limits.SENSORS and one.begins <= horizon


def _compare_clocks(waiting: list[_Waiting], active: Sequence[_Input], horizon: int) -> bool:
    """Compare the clock of an input that begins soon with those being read; True: one was.

    Its beginning is read for that alone, and once more when its turn has come.
    """
    for one in waiting:
        if one.begins - limits.CLOCK_LEAD > horizon:
            return False
        if one.compared or one.begins == _NEVER:
            continue
        one.compared = True
        mine = _beginning(one.path)
        for other in active:
            other.fill(one.begins + limits.CLOCK_LEAD, limits.CLOCK_BLOCKS)
            clocks = compare(*mine, *other.sample())
            if clocks is None:
                continue
            one.clocks, one.against = clocks, other.facts.number
            if clocks.firm:
                one.shift = -clocks.ahead
                one.begins -= clocks.ahead
            break
        waiting.sort(key=lambda one: (one.begins, one.number))
        return True
    return False


def _beginning(path: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys and times of the first messages of a file."""
    keys, times = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    try:
        capture = open_capture(path, 0, block_octets=limits.BLOCK_OCTETS // 4)
        for block in capture.blocks():
            keys.append(message_keys(block))
            times.append(block.time)
            if len(keys) > limits.CLOCK_BLOCKS:
                break
        capture.close()
    except InputError:
        # It will be told when its turn has come.
        pass
    return np.concatenate(keys), np.concatenate(times)


def _mark_copies(block: MessageBlock, sensors: Sensors, facts: Mapping[int, CaptureFacts]) -> None:
    """Mark the messages that another capture held before, and count them in its facts."""
    first = sensors.seen_before(block)
    copies = first >= 0
    if not copies.any():
        return
    for number in np.unique(block.captures[copies]).tolist():
        one = facts[number]
        mine = first[copies & (block.captures == number)]
        for other, count in zip(*np.unique(mine, return_counts=True), strict=True):
            one.elsewhere[int(other)] = one.elsewhere.get(int(other), 0) + int(count)
        one.messages -= len(mine)
        one.duplicates += len(mine)
    flags = block.flags.copy()
    flags[copies] |= int(MessageFlag.DUPLICATE)
    block.flags = flags
