"""Packets that several files left over, read as those of one sensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.leftovers import Left
from forensics.capture.outcome import ROOM_MOST
from forensics.capture.packets import Dissector, Packets
from forensics.capture.reassembly import Reassembly, Sensor
from forensics.wire.blocks import MessageBlock

_WINDOW: Final = 8 * 2**20


@dataclass(slots=True)
class _Window:
    """Octets as a Dissector sees them: `containers.Stream` of what was read before."""

    octets: NDArray[np.uint8]
    room: NDArray[np.uint8]
    base: int


class _OneSensor(Reassembly):
    """The state of captures that follow each other: all are of one sensor."""

    def sensor(self, facts: CaptureFacts) -> Sensor:
        """That sensor."""
        self.facts[facts.number] = facts
        if not self._sensors:
            self._sensors.append(Sensor(self.secrets))
        return self._sensors[0]


@dataclass(slots=True)
class Rereading:
    """Reads packets that were left over, of one capture after the other.

    Attributes:
        ports: that carry DNS besides 53.
    """

    ports: frozenset[int]
    reassembly: _OneSensor = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing that waits."""
        self.reassembly = _OneSensor(self.ports)

    def blocks(self, left: Left, facts: CaptureFacts) -> Iterator[MessageBlock]:
        """Give their messages; the frames are numbered from 1 in `left`.

        `facts` are those of these packets alone, without the framing of their file.
        """
        facts.ledger = facts.ledger or Ledger()
        facts.ledger.content += int(left.size.sum(dtype=np.int64))
        dissector = Dissector(facts, self.reassembly)
        begins = np.cumsum(left.size, dtype=np.int64) - left.size
        at = 0
        while at < len(left):
            end = int(np.searchsorted(begins, begins[at] + _WINDOW, side="left"))
            end = min(max(end, at + 1), at + limits.BLOCK_MESSAGES)
            size = left.size[at:end]
            first = int(begins[at])
            used = int(size.sum(dtype=np.int64))
            room = np.zeros(used + 2 * ROOM_MOST, np.uint8)
            room[:used] = left.octets[first : first + used]
            window = _Window(room[:used], room, first)
            packets = Packets(
                begins[at:end] - first,
                size.copy(),
                left.wire[at:end].copy(),
                left.time[at:end].copy(),
                left.link[at:end].copy(),
            )
            for block in dissector.blocks(window, packets):  # type: ignore[arg-type]
                if len(block):
                    yield block
            if end == len(left):
                dissector.end(window)  # type: ignore[arg-type]
            else:
                dissector.leave(window, used)  # type: ignore[arg-type]
            at = end

    def finish(self) -> Iterator[MessageBlock]:
        """Give what still waits."""
        return self.reassembly.finish()
