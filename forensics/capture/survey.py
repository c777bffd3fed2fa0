"""The first pass over a capture: which of its packets only a neighbouring file can explain."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.facts import CaptureFacts
from forensics.capture.leftovers import DATAGRAM, FRAGMENT, SEGMENT, Left, Plan, gathered
from forensics.capture.packets import Packets
from forensics.capture.rereading import Rereading
from forensics.errors import InputError
from forensics.vocabulary import Transport
from forensics.wire.blocks import MessageBlock

EDGE: Final = limits.STREAM_TIMEOUT
"""Units with packets so near the first or last packet of a file are left over: as long as missing
octets are waited for, and longer than a closed connection repeats any."""

HEAD: Final = limits.DUPLICATE_WINDOW + limits.SENSOR_SLACK
"""Messages so near the first packet are left over: the file before may hold them too."""

_COPIES: Final = HEAD + limits.DUPLICATE_WINDOW
"""Copies of those messages are left over with them."""

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_TCP: Final = 6
_IN_PIECES: Final = 44
_ROUNDS: Final = 8
_MULTIPLIERS: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class _Parts:
    """Notes the fragments and the segments of DNS ports."""

    def __init__(self) -> None:
        self.rows: list[tuple[NDArray[Any], ...]] = []

    def see(
        self,
        octets: NDArray[np.uint8],
        packets: Packets,
        parts: NDArray[np.int64],
        first_frame: int,
    ) -> None:
        """Look through the parts (`packets.dissect`) of a window."""
        if len(parts):
            index = parts[:, 0]
            unit, kind, flags, way = _units(octets, parts[:, 1], parts[:, 2])
            self.rows.append(
                (
                    first_frame + index,
                    packets.time[index],
                    packets.captured[index].astype(np.int64),
                    unit,
                    kind,
                    flags,
                    way,
                )
            )


class Survey:
    """Looks through a capture for what its neighbours may change; a `facts.watch`.

    What it says holds whatever the neighbours are. `blocks` must be told the messages besides.
    """

    def __init__(self) -> None:
        self.pieces = _Parts()
        self._first: int | None = None
        self._begin: int | None = None
        self._end: int | None = None
        self._head: list[tuple[Packets, NDArray[np.int64], NDArray[np.uint8]]] = []
        self._messages: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._recent: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def see(self, octets: NDArray[np.uint8], packets: Packets, first_frame: int) -> None:
        """Look through N packets of a window, numbered from `first_frame`."""
        times = packets.time[packets.time > 0]
        if not len(times):
            return
        if self._first is None:
            self._first = int(times[0])
        least, most = int(times.min()), int(times.max())
        self._begin = least if self._begin is None else min(self._begin, least)
        self._end = most if self._end is None else max(self._end, most)
        if least > self._first + _COPIES:
            return
        near = np.flatnonzero((packets.time <= self._first + _COPIES) & (packets.link >= 0))
        chosen = Packets(
            *(
                getattr(packets, name)[near].copy()
                for name in ("start", "captured", "wire", "time", "link")
            )
        )
        self._head.append(
            (chosen, first_frame + near, gathered(octets, chosen.start, chosen.captured))
        )

    def messages(self, block: MessageBlock) -> None:
        """Look through the messages of the windows seen so far."""
        if self._first is None or not len(block):
            return
        plain = block.transport == Transport.UDP
        frames, times = block.frame[plain], block.time[plain]
        near = times <= self._first + HEAD
        if near.any():
            self._messages.append((frames[near], times[near]))
        # The end is not known yet.
        late = times >= (self._end or 0) - HEAD
        self._recent.append((frames[late], times[late]))
        if len(self._recent) > 2:
            edge = (self._end or 0) - HEAD
            self._recent = [one for one in self._recent if len(one[1]) and one[1].max() >= edge]

    def plan(self, ports: frozenset[int]) -> Plan:
        """Say what is left over."""
        frames, kinds, units, fresh, sizes = [], [], [], [], []
        parts = np.empty(0, np.int64)
        if self.pieces.rows and self._begin is not None and self._end is not None:
            columns = [np.concatenate(column) for column in zip(*self.pieces.rows, strict=True)]
            frame, time, size, unit, kind, flags, way = columns
            parts = frame
            for chosen, begins in (
                _connections(frame, time, unit, kind, flags, way, self._begin, self._end),
                _datagrams(time, unit, kind, self._begin, self._end),
            ):
                frames.append(frame[chosen])
                kinds.append(kind[chosen])
                units.append(unit[chosen])
                fresh.append(begins[chosen])
                sizes.append(size[chosen])
        heads = self._heads(parts, ports)
        frames.append(heads)
        kinds.append(np.full(len(heads), DATAGRAM, np.uint8))
        units.append(np.zeros(len(heads), np.uint64))
        fresh.append(np.zeros(len(heads), np.bool_))
        lasts = self._lasts(parts)
        left = np.concatenate(frames).astype(np.int64)
        only = np.setdiff1d(lasts, left)
        every = np.concatenate((left, only))
        order = np.argsort(every, kind="stable")
        more = len(only)

        def column(values: list[NDArray[Any]], rest: Any) -> NDArray[Any]:
            return np.concatenate((*values, rest))[order]

        plan = Plan(
            every[order],
            column(kinds, np.full(more, DATAGRAM, np.uint8)),
            column(units, np.zeros(more, np.uint64)),
            column(fresh, np.zeros(more, np.bool_)),
            column([np.ones(len(left), np.bool_)], np.zeros(more, np.bool_)),
            np.isin(every[order], lasts),
        )
        if sum(int(one.sum()) for one in sizes) > limits.LEFT_OCTETS:
            plan.too_many = True
        return plan

    def _heads(self, parts: NDArray[np.int64], ports: frozenset[int]) -> NDArray[np.int64]:
        """Frames of the first messages, and of their copies."""
        if not self._messages:
            return np.empty(0, np.int64)
        known = np.concatenate([frames for frames, _ in self._messages])
        known = known[~np.isin(known, parts)]
        found = [known]
        frames = np.concatenate([numbers for _, numbers, _ in self._head])
        rest = ~np.isin(frames, known) & ~np.isin(frames, parts)
        for _ in range(_ROUNDS):
            # What is no message beside the others, and one without them, is a copy.
            alone = frames[rest]
            copies = alone[self._alone(frames, rest, ports)]
            if not len(copies):
                break
            found.append(copies)
            rest &= ~np.isin(frames, copies)
        return np.unique(np.concatenate(found))

    def _alone(
        self, frames: NDArray[np.int64], rows: NDArray[np.bool_], ports: frozenset[int]
    ) -> NDArray[np.int64]:
        """Which of some of the first packets are messages, read without the others."""
        if not rows.any():
            return np.empty(0, np.int64)
        packets = [packets for packets, _, _ in self._head]
        size = np.concatenate([one.captured for one in packets])
        begins = np.cumsum(size, dtype=np.int64) - size
        octets = np.concatenate([octets for _, _, octets in self._head])
        none = np.zeros(int(rows.sum()), np.bool_)
        time, link, wire = (
            np.concatenate([getattr(one, name) for one in packets])[rows]
            for name in ("time", "link", "wire")
        )
        left = Left(
            frame=frames[rows],
            offset=np.zeros(len(none), np.int64),
            time=time,
            link=link,
            wire=wire,
            size=size[rows],
            kind=none.astype(np.uint8),
            unit=none.astype(np.uint64),
            fresh=none,
            taken=~none,
            is_last=none,
            octets=gathered(octets, begins[rows], size[rows]),
        )
        reading = Rereading(ports)
        facts = CaptureFacts("", 0, "")
        found = [block.frame for block in reading.blocks(left, facts)]
        return (np.concatenate(found) if found else np.empty(0, np.int64)) - 1

    def _lasts(self, parts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Frames of the last messages."""
        if not self._recent or self._end is None:
            return np.empty(0, np.int64)
        frames = np.concatenate([one[0] for one in self._recent])
        times = np.concatenate([one[1] for one in self._recent])
        frames = frames[times >= self._end - HEAD]
        return np.unique(frames[~np.isin(frames, parts)])


def surveyed(path: str, ports: frozenset[int]) -> Plan | None:
    """Read a capture for what its neighbours may change of it; None: it holds no packets."""
    from forensics.capture.readers import open_capture

    survey = Survey()
    try:
        capture = open_capture(path, 0, ports, hashed=False)
        if not capture.facts.format.startswith("pcap"):
            capture.close()
            return None
        capture.facts.watch = survey
        for block in capture.blocks():
            survey.messages(block)
    except InputError:
        # It will be told when the file is read.
        pass
    return survey.plan(ports)


def _units(
    octets: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Hash the connection or datagram of each part; its kind, TCP flags, and which way it goes."""

    def octet(place: NDArray[np.int64]) -> NDArray[np.int64]:
        return octets[np.minimum(place, len(octets) - 1)].astype(np.int64)

    def word(place: NDArray[np.int64], count: int) -> NDArray[np.uint64]:
        value = np.zeros(len(place), np.uint64)
        for step in range(count):
            value = (value << np.uint64(8)) | octet(place + step).astype(np.uint64)
        return value

    is_4 = octet(at) >> 4 == 4
    here = np.where(is_4, at + (octet(at) & 15) * 4, at + 40)
    protocol = np.where(is_4, octet(at + 9), octet(at + 6))
    # Extension headers (RFC 8200 4): each turn moves on, and few packets have any.
    for _ in range(limits.TUNNEL_DEPTH):
        more = ~is_4 & np.isin(protocol, (0, 43, 51, 60, 135, 139, 140)) & (here + 8 <= end)
        if not more.any():
            break
        unit = np.where(protocol == 51, 4, 8)
        extra = np.where(protocol == 51, 2, 1)
        protocol = np.where(more, octet(here), protocol)
        here = np.where(more, here + (octet(here + 1) + extra) * unit, here)
    pieces = np.where(
        is_4, (octet(at + 6) << 8 | octet(at + 7)) & 0x3FFF != 0, protocol == _IN_PIECES
    )
    source, destination = (
        _mixed(
            _mixed(np.full(len(at), 16, np.uint64), word(np.where(is_4, at + four, at + six), 4)),
            np.where(is_4, np.uint64(0), word(at + six + 4, 8) ^ word(at + six + 12, 4)),
        )
        for four, six in ((12, 8), (16, 24))
    )
    number = np.where(is_4, word(at + 4, 2), word(here + 4, 4))
    inner = np.where(is_4, octet(at + 9), octet(here)).astype(np.uint64)
    datagram = _mixed(_mixed(_mixed(source, destination), number), inner)
    ours = _mixed(source, word(here, 2))
    theirs = _mixed(destination, word(here + 2, 2))
    both = _mixed(ours + theirs, np.full(len(at), _TCP, np.uint64))
    flags = np.where(here + 14 <= end, octet(here + 13), 0)
    unit = np.where(pieces, datagram, both) | np.uint64(1)
    kind = np.where(pieces, FRAGMENT, SEGMENT).astype(np.uint8)
    return unit, kind, flags.astype(np.uint8), ours < theirs


def _mixed(state: NDArray[np.uint64], value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Fold a value into a hash."""
    one, two, three = (np.uint64(number) for number in _MULTIPLIERS)
    state = (state ^ value) * one
    state = (state ^ (state >> np.uint64(30))) * two
    return (state ^ (state >> np.uint64(27))) * three


def _connections(
    frame: NDArray[np.int64],
    time: NDArray[np.int64],
    unit: NDArray[np.uint64],
    kind: NDArray[np.uint8],
    flags: NDArray[np.uint8],
    way: NDArray[np.bool_],
    begin: int,
    end: int,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which segments are of connections with an open end; which begin a connection for certain.

    A connection is whole in a file if it begins with a SYN and ends with FINs both ways or RST, all
    of it farther than `EDGE` from the file's ends.
    """
    left = np.zeros(len(frame), np.bool_)
    begins = np.zeros(len(frame), np.bool_)
    rows = np.flatnonzero(kind == SEGMENT)
    if not len(rows):
        return left, begins
    rows = rows[np.lexsort((frame[rows], unit[rows]))]
    edges = np.flatnonzero(np.concatenate([[True], unit[rows][1:] != unit[rows][:-1]]))
    group = np.cumsum(np.concatenate([[True], unit[rows][1:] != unit[rows][:-1]])) - 1
    bits, times, ways = flags[rows], time[rows], way[rows]
    asks = (bits & _SYN != 0) & (bits & _ACK == 0)
    place = np.arange(len(rows))

    def last(where: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.maximum.reduceat(np.where(where, place, -1), edges)

    opened = last(asks)
    closed = last(bits & _RST != 0) > opened
    fin = bits & _FIN != 0
    closed |= (last(fin & ways) > opened) & (last(fin & ~ways) > opened)
    near = (times <= begin + EDGE) | (times >= end - EDGE)
    is_open = ~asks[edges] | ~closed | np.logical_or.reduceat(near, edges)
    left[rows] = is_open[group]
    first = rows[edges]
    begins[first] = asks[edges] & (time[first] > begin + EDGE)
    return left, begins


def _datagrams(
    time: NDArray[np.int64],
    unit: NDArray[np.uint64],
    kind: NDArray[np.uint8],
    begin: int,
    end: int,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The same of fragments: those so near the ends of the file, and what may belong to them."""
    left = np.zeros(len(time), np.bool_)
    begins = np.zeros(len(time), np.bool_)
    rows = np.flatnonzero(kind == FRAGMENT)
    if not len(rows):
        return left, begins
    rows = rows[np.lexsort((time[rows], unit[rows]))]
    times = time[rows]
    apart = np.concatenate([[True], unit[rows][1:] != unit[rows][:-1]])
    apart[1:] |= np.diff(times) > limits.FRAGMENT_TIMEOUT
    edges, group = np.flatnonzero(apart), np.cumsum(apart) - 1
    near = (times <= begin + limits.FRAGMENT_TIMEOUT) | (times >= end - limits.FRAGMENT_TIMEOUT)
    left[rows] = np.logical_or.reduceat(near, edges)[group]
    first = rows[edges]
    begins[first] = time[first] > begin + limits.FRAGMENT_TIMEOUT
    return left, begins
