"""What waits in a run for the rest of it: the state that one file hands to the next.

Files that follow each other in time are of one *sensor*, and share their fragments, their streams
and the packets that copies are held against; files that overlap are of different ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture import outcome as columns
from forensics.capture.assemble import assemble, finish
from forensics.capture.datagram import port_map
from forensics.capture.duplicates import Duplicates
from forensics.capture.encapsulations import new_counts
from forensics.capture.facts import CaptureFacts
from forensics.capture.fragments import SCRATCH
from forensics.capture.held import WAITING, datagrams_room, streams_room
from forensics.capture.losses import Reason
from forensics.capture.outcome import FATES, Outcome, outcome
from forensics.capture.tls_secrets import Secrets
from forensics.capture.tls_streams import TlsStreams
from forensics.wire.blocks import MessageBlock

_FINISH_OCTETS: Final = 2**22


class Sensor:
    """What one sensor's captures have left unfinished.

    Args:
        secrets: of TLS connections, of the run.

    Attributes:
        duplicates: the last messages, against which copies are held.
        tls: the TLS connections that may be decrypted.
        last: latest time of its packets so far, ns.
        capture: number of the capture that is being read; None: it has ended.
        claimed: octets of the packets of the last call that are no framing.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.duplicates = Duplicates()
        self.tls = TlsStreams(secrets, _note)
        self.last: int | None = None
        self.capture: int | None = None
        self.claimed = 0
        self.out: Outcome | None = None
        self._state: tuple[Any, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether anything waits for the time of a packet."""
        return bool(self._state) and any(held.state[WAITING] for held in self._state[:2])

    def _begin(self, capture: int, room: int) -> Outcome:
        """Make an outcome for one call, and with the first one the memory for what waits."""
        if self.out is None:
            self.out = outcome()
            starts = np.zeros((limits.TCP_STARTS, 4), np.int64)
            scratch = np.zeros(SCRATCH, np.uint8)
            self._state = (datagrams_room(), streams_room(), starts, scratch)
        self.out.state[:] = 0
        self.out.state[columns.PRESENT] = capture
        self.out.state[columns.WEIGHT] = 1
        self.out.state[columns.ROOM] = room
        return self.out

    def assemble(
        self,
        octets: NDArray[np.uint8],
        room: int,
        base: int,
        packets: Any,
        parts: NDArray[np.int64],
        bitmap: NDArray[np.uint8],
        tunnels: NDArray[np.int64],
        facts: dict[int, CaptureFacts],
        capture: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        """Put the `parts` of a window together; see the kernel.

        Return (rows of messages, the octets that they point into, how far those are used).
        `room`: from where on `octets` may be written.
        """
        out = self._begin(capture, room)
        datagrams, streams, starts, scratch = self._state
        while not assemble(
            octets,
            base,
            facts[capture].packets + 1,
            packets.start,
            packets.time,
            parts,
            len(parts),
            bitmap,
            tunnels,
            datagrams,
            streams,
            starts,
            scratch,
            out,
        ):
            octets, out = self._make_room(octets, facts)
        return self._ended(octets, facts)

    def finish(
        self, bitmap: NDArray[np.uint8], facts: dict[int, CaptureFacts]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        """Give up everything that waits; return as `assemble` does."""
        out = self._begin(-1, 0)
        octets = np.empty(_FINISH_OCTETS, np.uint8)
        datagrams, streams, _, _ = self._state
        while not finish(octets, bitmap, new_counts(), datagrams, streams, out):
            octets, out = self._make_room(octets, facts)
        return self._ended(octets, facts)

    def _make_room(
        self, octets: NDArray[np.uint8], facts: dict[int, CaptureFacts]
    ) -> tuple[NDArray[np.uint8], Outcome]:
        """Give the kernel more room of whatever it ran out of."""
        out = self.out
        assert out is not None
        _note_elsewhere(out, facts)
        if len(out.rows) - out.state[columns.ROWS] < columns.ROWS_MOST:
            more = np.empty((len(out.rows) + columns.ROWS_MOST, out.rows.shape[1]), np.int64)
            more[: len(out.rows)] = out.rows
            self.out = out = out._replace(rows=more)
        used = int(out.state[columns.ROOM])
        if len(octets) - used < columns.ROOM_MOST:
            larger = np.empty(used + used // 2 + 2 * columns.ROOM_MOST, np.uint8)
            larger[:used] = octets[:used]
            octets = larger
        return octets, out

    def _ended(
        self, octets: NDArray[np.uint8], facts: dict[int, CaptureFacts]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        out = self.out
        assert out is not None
        _note_elsewhere(out, facts)
        present = facts.get(int(out.state[columns.PRESENT]))
        if present is not None:
            _note_present(out.fates, present)
        self.claimed = int(out.state[columns.CLAIMED])
        rows = out.rows[: int(out.state[columns.ROWS])]
        captures, counts = np.unique(rows[:, columns.CAPTURE], return_counts=True)
        for capture, count in zip(captures.tolist(), counts.tolist(), strict=True):
            facts[capture].messages += count
        return rows, octets, int(out.state[columns.ROOM])


def _note(facts: CaptureFacts, fate: int, count: int, octets: int, offset: int, frame: int) -> None:
    """Count packets of a capture, and their octets, by their fate."""
    ledger = facts.ledger
    assert ledger is not None
    if fate == columns.CARRIED:
        facts.carriers += count
        ledger.messages += octets
    elif fate == columns.COPY:
        facts.duplicates += count
        ledger.messages += octets
    elif fate == columns.OTHER:
        facts.other += count
        ledger.other += octets
    elif fate == columns.FRAMING:
        ledger.framing += octets
    else:
        facts.losses.add(Reason(fate), count=count, octets=octets, offset=offset, frame=frame)


def _note_present(fates: NDArray[np.int64], facts: CaptureFacts) -> None:
    """Count the fates of packets of the present capture, and begin anew."""
    met = np.flatnonzero(fates[:, columns.COUNT] | fates[:, columns.OCTETS])
    for fate in met[np.argsort(fates[met, columns.FIRST_FRAME], kind="stable")].tolist():
        _note(facts, fate, *(int(value) for value in fates[fate]))
    fates[:] = 0
    fates[:, columns.OFFSET :] = -1


def _note_elsewhere(out: Outcome, facts: dict[int, CaptureFacts]) -> None:
    """Count the fates of packets of earlier captures."""
    cases = out.elsewhere[: int(out.state[columns.ELSEWHERE])]
    if not len(cases):
        return
    keys = cases[:, columns.FILE] * FATES + cases[:, columns.FATE]
    for key in np.unique(keys).tolist():
        capture, fate = divmod(key, FATES)
        chosen = cases[keys == key]
        first = chosen[np.argmin(chosen[:, columns.FIRST_FRAME])]
        _note(
            facts[capture],
            fate,
            int(chosen[:, columns.COUNT].sum()),
            int(chosen[:, columns.OCTETS].sum()),
            int(first[columns.OFFSET]),
            int(first[columns.FIRST_FRAME]),
        )
    out.state[columns.ELSEWHERE] = 0


class Reassembly:
    """The state of a run, shared by all its captures in the order in which they are read.

    Attributes:
        bitmap: uint8 (8192), the ports that carry DNS.
        secrets: of TLS connections; a capture may add to them.
    """

    def __init__(
        self, ports: frozenset[int] = frozenset(), secrets: Secrets | None = None
    ) -> None:
        """Begin a run; `ports` carry DNS besides 53."""
        self.bitmap = port_map(ports)
        self.secrets = Secrets() if secrets is None else secrets
        self.facts: dict[int, CaptureFacts] = {}
        self._sensors: list[Sensor] = []

    def sensor(self, facts: CaptureFacts) -> Sensor:
        """The sensor of a capture of which the first packets have been seen.

        It is the one whose last capture ended last before this one begins.
        """
        self.facts[facts.number] = facts
        first = facts.first
        if first is not None:
            ended = [
                one
                for one in self._sensors
                if one.capture is None
                and one.last is not None
                and one.last <= first + limits.SENSOR_SLACK
            ]
            if ended:
                found = max(ended, key=lambda one: one.last or 0)
                found.capture = facts.number
                return found
        made = Sensor(self.secrets)
        made.capture = facts.number
        self._sensors.append(made)
        return made

    def ended(self, facts: CaptureFacts) -> None:
        """Note the end of a capture: the next one may take its sensor over."""
        for one in self._sensors:
            if one.capture == facts.number:
                one.capture = None

    def surplus(self) -> Iterator[MessageBlock]:
        """Give up what waits at the sensors beyond the limit, those that ended first."""
        while len(self._sensors) > limits.SENSORS:
            oldest = min(
                self._sensors[:-1], key=lambda one: (one.capture is not None, one.last or 0)
            )
            self._sensors.remove(oldest)
            yield from self._finish(oldest)

    def finish(self) -> Iterator[MessageBlock]:
        """Give up what waits everywhere, at the end of the last capture."""
        for sensor in self._sensors:
            yield from self._finish(sensor)
        self._sensors.clear()

    def _finish(self, sensor: Sensor) -> Iterator[MessageBlock]:
        if sensor.waits:
            rows, octets, used = sensor.finish(self.bitmap, self.facts)
            yield from blocks_of(rows, octets[:used])
        rows, octets, used = sensor.tls.finish(self.facts)
        yield from blocks_of(rows, octets[:used])


def blocks_of(rows: NDArray[np.int64], octets: NDArray[np.uint8]) -> Iterator[MessageBlock]:
    """Turn rows into blocks, one for each run of rows of the same capture."""
    captures = rows[:, columns.CAPTURE]
    edges = np.flatnonzero(np.diff(captures)) + 1
    for begin, end in zip([0, *edges], [*edges, len(rows)], strict=True):
        if end == begin:
            continue
        part = rows[begin:end]
        count = len(part)
        words = np.ascontiguousarray(part[:, columns.ADDRESSES :]).view(np.uint8)
        yield MessageBlock(
            octets=octets,
            start=part[:, columns.START].copy(),
            captured=part[:, columns.CAPTURED].astype(np.int32),
            length=part[:, columns.LENGTH].astype(np.int32),
            time=part[:, columns.TIME].copy(),
            frame=part[:, columns.FRAME].copy(),
            source=np.ascontiguousarray(words[:, :16]),
            destination=np.ascontiguousarray(words[:, 16:]),
            source_port=(part[:, columns.PORTS] & 0xFFFF).astype(np.uint16),
            destination_port=(part[:, columns.PORTS] >> 16).astype(np.uint16),
            transport=part[:, columns.TRANSPORT].astype(np.uint8),
            kind=np.zeros(count, np.uint8),
            identity=np.full(count, -1, np.int32),
            other_time=np.zeros(count, np.int64),
            flags=part[:, columns.FLAGS].astype(np.uint8),
            capture=int(part[0, columns.CAPTURE]),
        )


def merged(
    block: MessageBlock, at: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[MessageBlock]:
    """Put rows among the messages of a block, each where its packet at hand stood.

    `at`: index of each message's packet. Both point into the octets of the block.
    """
    pieces = (*blocks_of(rows, block.octets), block)
    order = np.argsort(np.concatenate((rows[:, columns.AT], at)), kind="stable")
    whose = np.concatenate([np.full(len(one), one.capture) for one in pieces])[order]
    mixed = {
        name: np.concatenate([getattr(one, name) for one in pieces])[order] for name in _COLUMNS
    }
    edges = np.flatnonzero(np.diff(whose)) + 1
    for begin, end in zip([0, *edges], [*edges, len(whose)], strict=True):
        part: dict[str, Any] = {name: column[begin:end] for name, column in mixed.items()}
        yield MessageBlock(octets=block.octets, capture=int(whose[begin]), **part)


_COLUMNS: Final = (
    "start",
    "captured",
    "length",
    "time",
    "frame",
    "source",
    "destination",
    "source_port",
    "destination_port",
    "transport",
    "kind",
    "identity",
    "other_time",
    "flags",
)
"""The columns of a block that have one row a message."""
