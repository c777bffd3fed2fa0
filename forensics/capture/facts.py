"""What is known of one input file when it has been read, and the two tables made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.capture.link import link_type_name
from forensics.capture.losses import REASONS, Losses, Reason

if TYPE_CHECKING:
    from forensics.capture.packets import Packets


class Pieces(Protocol):
    """Looks through the fragments and segments of a capture while it is read."""

    def see(
        self,
        octets: NDArray[np.uint8],
        packets: Packets,
        parts: NDArray[np.int64],
        first_frame: int,
    ) -> None:
        """Look through the `parts` (packets.dissect) of a window of packets."""


class Watch(Protocol):
    """Looks through the packets of a capture while it is read."""

    @property
    def pieces(self) -> Pieces | None:
        """Looks through fragments and segments; None: nobody asked."""

    def see(self, octets: NDArray[np.uint8], packets: Packets, first_frame: int) -> None:
        """Look through N packets of a window, numbered from `first_frame`."""


@dataclass(slots=True)
class Ledger:
    """What became of the decompressed octets of an input; with its losses they are all there.

    What TCP carries is a message with its two octets of length; a segment without data is framing.

    Attributes:
        content: octets of the input, decompressed.
        messages: in DNS messages, or in what DNS messages were made of; copies are such too.
        other: in frames without a message.
        framing: of the format itself, around them, and of headers of packets with a message.
    """

    content: int = 0
    messages: int = 0
    other: int = 0
    framing: int = 0

    def add(self, sums: NDArray[np.int64]) -> None:
        """Add what a kernel counted: messages, other and framing, in this order."""
        self.messages += int(sums[0])
        self.other += int(sums[1])
        self.framing += int(sums[2])


@dataclass(slots=True)
class CaptureFacts:
    """The facts of one input: complete once its blocks are exhausted.

    Attributes:
        path: the file as the user named it; `-`: standard input.
        number: number of the input in this run.
        format: pcap, pcapng or dnstap, with `+gzip` and the like when compressed.
        sha256: of the file as stored, lower-case hex.
        octets: size of the file as stored.
        link_types: names of the link types of its packets, sorted.
        encapsulations: packets by each encapsulation that they were in (encapsulations.py).
        packets: packet records or dnstap frames read.
        messages: DNS messages found, duplicates left out.
        carriers: packets of which octets are in those messages.
        duplicates: packets that brought nothing new: copies, and repetitions within TCP.
        other: packets that carry no DNS message that is read.
        first, last: earliest and latest packet time, ns since 1970 UTC; None: no packet.
        losses: what could not be read, and why.
        ledger: where its octets went; None: this reader keeps no account of them.
        stopped_by: the damage at which reading stopped before the end; None: it did not.
        elsewhere: messages among the duplicates that another input held first, by its number.
        clock_offset: ns added to all its times; None: nothing was corrected.
        clock_against: number of the input whose clock it was compared with; None: none.
        clock_ahead: ns that its clock was ahead of that one's; None: not known.
        clock_shared: messages of both on which this rests.
        watch: looks through its packets meanwhile (capture.cutting, leftovers); None: nobody asked.
    """

    path: str
    number: int
    format: str
    sha256: str = ""
    octets: int = 0
    link_types: list[str] = field(default_factory=list)
    encapsulations: dict[str, int] = field(default_factory=dict)
    packets: int = 0
    messages: int = 0
    carriers: int = 0
    duplicates: int = 0
    other: int = 0
    first: int | None = None
    last: int | None = None
    losses: Losses = field(default_factory=Losses)
    elsewhere: dict[int, int] = field(default_factory=dict)
    clock_offset: int | None = None
    clock_against: int | None = None
    clock_ahead: int | None = None
    clock_shared: int = 0
    watch: Watch | None = None
    ledger: Ledger | None = None
    stopped_by: Reason | None = None

    def saw_times(self, times: NDArray[np.int64]) -> None:
        """Widen the span of the capture to these times; 0 stands for an unknown one."""
        if len(times) and int(times.min()) == 0:
            times = times[times > 0]
        if len(times):
            earliest, latest = int(times.min()), int(times.max())
            self.first = earliest if self.first is None else min(self.first, earliest)
            self.last = latest if self.last is None else max(self.last, latest)

    def skipped(
        self, reason: Reason, what: str, *, offset: int, octets: int, resumed: bool
    ) -> None:
        """Count a damaged stretch of the input that reading passed over, or stopped at."""
        ending = "reading goes on behind it" if resumed else "reading stops here"
        detail = f"{what}; {ending}"
        frame = self.packets + 1
        self.losses.add(reason, offset=offset, frame=frame, octets=octets, detail=detail)
        if not resumed:
            self.stopped_by = reason

    def cut(self, *, offset: int, octets: int) -> None:
        """Count the last record of the input, of which only the first `octets` are there."""
        frame = self.packets + 1
        self.losses.add(Reason.FILE_CUT, offset=offset, frame=frame, octets=octets)

    def lost(self, tally: NDArray[np.int64], base: int) -> None:
        """Add what a kernel lost in the window at offset `base`, of which it noted the offsets."""
        order = sorted(np.flatnonzero(tally[:, 0]).tolist(), key=lambda code: int(tally[code, 2]))
        for code in order:
            count, size, offset, frame = (int(value) for value in tally[code])
            self.losses.add(
                Reason(code), count=count, octets=size, offset=base + offset, frame=frame
            )

    def saw_link_types(self, numbers: list[int]) -> None:
        """Add link types by their numbers."""
        names = {link_type_name(number) for number in numbers}
        self.link_types = sorted(names.union(self.link_types))


def captures_table(facts: list[CaptureFacts]) -> Any:
    """The facts of all inputs as a table of schema `CAPTURES`."""
    import pyarrow as pa

    from forensics.schemas import CAPTURES

    rows = [
        {
            "capture": one.number,
            "path": one.path,
            "sha256": one.sha256,
            "format": one.format,
            "link_types": one.link_types,
            "encapsulations": sorted(one.encapsulations.items()),
            "octets": one.octets,
            "packets": one.packets,
            "messages": one.messages,
            "carriers": one.carriers,
            "duplicates": one.duplicates,
            "other": one.other,
            "content_octets": one.ledger.content if one.ledger else None,
            "message_octets": one.ledger.messages if one.ledger else None,
            "other_octets": one.ledger.other if one.ledger else None,
            "framing_octets": one.ledger.framing if one.ledger else None,
            "lost_octets": one.losses.octets if one.ledger else None,
            "elsewhere": sorted(one.elsewhere.items()),
            "clock_offset": one.clock_offset,
            "clock_against": one.clock_against,
            "clock_ahead": one.clock_ahead,
            "clock_shared": one.clock_shared,
            "first": one.first,
            "last": one.last,
        }
        for one in facts
    ]
    return pa.Table.from_pylist(rows, schema=CAPTURES)


def losses_table(facts: list[CaptureFacts], later: Mapping[str, int]) -> Any:
    """The losses of all inputs as a table of schema `LOSSES`.

    Args:
        facts: of every input, with its losses.
        later: what the stages behind the readers left out of the run as a whole, by reason.
    """
    import pyarrow as pa

    from forensics.schemas import LOSSES

    rows = [
        {
            "capture": one.number,
            "reason": REASONS[loss.reason],
            "count": loss.count,
            "octets": loss.octets,
            "offset": loss.offset,
            "frame": loss.frame,
            "detail": loss.detail,
        }
        for one in facts
        for loss in one.losses.rows()
    ]
    rows += [
        {
            "capture": None,
            "reason": reason,
            "count": count,
            "octets": 0,
            "offset": 0,
            "frame": 0,
            "detail": f"{vocabulary.LOSSES[reason].noun} {vocabulary.LOSSES[reason].tail}",
        }
        for reason, count in sorted(later.items())
        if count
    ]
    return pa.Table.from_pylist(rows, schema=LOSSES)
