"""Zone transfers: every message of one belongs to the transaction that asked for it.

RFC 5936 2.2: a response to AXFR is as many messages as it takes, and only the first one must repeat
the question. The reader flags the further ones (`MessageFlag.CONTINUED`); here they find their
transaction, by both endpoints and the id. An IXFR response that lists differences (RFC 1995 4)
shows what is gone beside what has come, so only one in the form of a whole zone is content.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import fields
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.vocabulary import MessageFlag, Pairing, Transport
from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.jit import lean_kernel
from forensics.wire.records import skip_name
from forensics.wire.words import be16

AXFR: Final = 252
IXFR: Final = 251

_SOA: Final = 6
_IN: Final = 1
_HEADER: Final = 12
_LONGEST: Final = 255
_ASKED: Final = frozenset({int(Pairing.ANSWERED), int(Pairing.LATE)})
_UNFIT: Final = int(MessageFlag.FRAGMENT | MessageFlag.DUPLICATE | MessageFlag.DISPUTED)
_WHOLE: Final = ("octets", "capture", "identities")


class _Transfer(NamedTuple):
    """A transfer whose further messages are to come.

    Attributes:
        transaction, place: of its first response.
        is_content: its records are those of a zone at one time.
        is_asked: its query is in the capture.
    """

    transaction: int
    place: int
    is_content: bool
    is_asked: bool


class Content(NamedTuple):
    """Messages that show a zone's content, first and further ones of transfers.

    Attributes:
        block: the messages.
        transaction, place: int64 (N), of the transfer that each belongs to.
        is_asked: bool (N), the query of the transfer is in the capture.
    """

    block: MessageBlock
    transaction: NDArray[np.int64]
    place: NDArray[np.int64]
    is_asked: NDArray[np.bool_]


class Transfers:
    """The transfers of a run, from the first file to the last.

    Attributes:
        messages: further messages that found their transfer.
        left_out: those of which the content is not read: differences, and without a beginning.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.left_out = 0
        self._open: OrderedDict[tuple[bytes, ...], _Transfer] = OrderedDict()

    def follow(
        self, block: MessageBlock, parsed: Parsed, further: MessageBlock | None
    ) -> Content | None:
        """Take in the messages of a block that have been matched, and the `further` ones.

        Return those that show a zone's content; None: there are none.
        """
        chosen, owners = self._begun(block, parsed)
        first = block.taken(chosen)
        if further is None or not len(further):
            return _content(first, owners) if owners else None
        mine, found = self._continued(further)
        rest = further.taken(mine)
        if not owners and not found:
            return None
        return _content(_joined(first, rest), [*owners, *found])

    def _begun(
        self, block: MessageBlock, parsed: Parsed
    ) -> tuple[NDArray[np.int64], list[_Transfer]]:
        """Note the transfers that begin; give the responses among them that show content."""
        begins = (parsed.qtype == AXFR) | (parsed.qtype == IXFR)
        if not begins.any():
            return np.empty(0, np.int64), []
        begins &= (parsed.header_flags & 0x8000 != 0) & (block.transport == Transport.TCP)
        begins &= (parsed.rcode == 0) & (parsed.answers > 0) & (parsed.qclass == _IN)
        rows, owners = [], []
        for row in np.flatnonzero(begins).tolist():
            is_content = int(parsed.qtype[row]) == AXFR or _is_whole_zone(block, parsed, row)
            made = _Transfer(
                int(parsed.transaction[row]),
                int(parsed.place[row]),
                is_content,
                int(parsed.state[row]) in _ASKED,
            )
            key = _key(block, row)
            self._open.pop(key, None)
            self._open[key] = made
            if len(self._open) > limits.OPEN_TRANSFERS:
                self._open.popitem(last=False)
            if is_content and not int(block.flags[row]) & _UNFIT:
                rows.append(row)
                owners.append(made)
        return np.array(rows, np.int64), owners

    def _continued(self, further: MessageBlock) -> tuple[NDArray[np.int64], list[_Transfer]]:
        """Find the transfers of further messages; give those that show content."""
        rows, owners = [], []
        for row in range(len(further)):
            made = self._open.get(_key(further, row))
            if made is None:
                self.left_out += 1
                continue
            self.messages += 1
            if made.is_content and not int(further.flags[row]) & _UNFIT:
                rows.append(row)
                owners.append(made)
            else:
                self.left_out += 1
        return np.array(rows, np.int64), owners


def as_content(parsed: Parsed, transactions: NDArray[np.int64], places: NDArray[np.int64]) -> None:
    """Make what was parsed of such messages fit to be read for signatures alone.

    They are answers to no question of their own: nothing is due in them, and what they show of keys
    is no key set, as an RRset may go on in the next message.
    """
    parsed.transaction[:] = transactions
    parsed.place[:] = places
    parsed.state[:] = int(Pairing.UNSOLICITED)
    parsed.questions[:] = 1
    parsed.qclass[:] = _IN
    parsed.qtype[:] = _SOA
    parsed.keys[:] = 0
    for column in (parsed.do_known, parsed.do_asked, parsed.dnssec_ok):
        column[:] = False


def _content(block: MessageBlock, owners: list[_Transfer]) -> Content:
    return Content(
        block,
        np.array([owner.transaction for owner in owners], np.int64),
        np.array([owner.place for owner in owners], np.int64),
        np.array([owner.is_asked for owner in owners], np.bool_),
    )


def borders(block: MessageBlock) -> dict[tuple[int, int], frozenset[bytes] | None]:
    """Give the names at which RRsets may go on in the message before or behind.

    Of each frame, by (capture, frame): the owners of its messages' first and last records in the
    answer section, lower case on the wire, but for the SOA that a transfer begins and ends with
    (RFC 5936 2.2). None: a record cannot be read, so that nothing is known.
    """
    found: dict[tuple[int, int], frozenset[bytes] | None] = {}
    for row in range(len(block)):
        start, size = int(block.start[row]), int(block.captured[row])
        names = _ends(block.octets, start, start + size)
        key = int(block.captures[row]), int(block.frame[row])
        other = found.get(key, frozenset())
        found[key] = None if names is None or other is None else names | other
    return found


def _ends(octets: NDArray[np.uint8], start: int, end: int) -> frozenset[bytes] | None:
    """The owners of the first and last record of the answer section that are no SOA's."""
    first, first_type, last, last_type = edges(octets, start, end)
    if first < 0:
        return None
    names = {
        _name(octets[start:end].tobytes(), int(at) - start)
        for at, kind in ((first, first_type), (last, last_type))
        if kind != _SOA
    }
    return None if None in names else frozenset(name for name in names if name is not None)


@lean_kernel
def edges(octets: Any, start: Any, end: Any) -> Any:
    """Find the first and last record of the answer section of the message in [start, end).

    Return (offset of the first's owner, its type, offset of the last's owner, its type); the
    first offset is -1 where there is none, or one cannot be read.
    """
    nothing = (-1, 0, -1, 0)
    if start + _HEADER > end:
        return nothing
    at = start + _HEADER
    for _ in range(be16(octets, start + 4)):
        at = skip_name(octets, at, end)
        if at < 0 or at + 4 > end:
            return nothing
        at += 4
    first = -1
    first_type = 0
    last = -1
    last_type = 0
    for _ in range(be16(octets, start + 6)):
        last = at
        at = skip_name(octets, at, end)
        if at < 0 or at + 10 > end:
            return nothing
        last_type = be16(octets, at)
        if first < 0:
            first, first_type = last, last_type
        at += 10 + be16(octets, at + 8)
        if at > end:
            return nothing
    return (first, first_type, last, last_type)


def _name(octets: bytes, at: int) -> bytes | None:
    """The name at `at`, lower case, without compression; None: it is none."""
    made = bytearray()
    lowest = at
    while 0 <= at < len(octets) and len(made) < _LONGEST:
        length = octets[at]
        if length >= 192:
            at = int.from_bytes(octets[at : at + 2], "big") & 0x3FFF
            if at >= lowest:
                return None
            lowest = at
            continue
        made += octets[at : at + 1 + length]
        at += 1 + length
        if not length:
            return bytes(made).lower()
    return None


def _key(block: MessageBlock, row: int) -> tuple[bytes, ...]:
    """Both endpoints and the id of a response."""
    start = int(block.start[row])
    return (
        block.source[row].tobytes(),
        block.destination[row].tobytes(),
        block.source_port[row].tobytes() + block.destination_port[row].tobytes(),
        block.octets[start : start + 2].tobytes(),
    )


def _is_whole_zone(block: MessageBlock, parsed: Parsed, row: int) -> bool:
    """Whether an IXFR response lists a zone, not differences: its second record is no SOA."""
    start, size = int(block.start[row]), int(block.captured[row])
    octets = block.octets[start : start + size].tobytes()
    at = _behind_name(octets, _HEADER)
    if int(parsed.questions[row]) != 1 or int(parsed.answers[row]) < 2 or at < 0:
        return False
    at = _behind_name(octets, at + 4)
    if at < 0 or at + 10 > len(octets):
        return False
    at = _behind_name(octets, at + 10 + int.from_bytes(octets[at + 8 : at + 10], "big"))
    return at >= 0 and at + 2 <= len(octets) and octets[at : at + 2] != _SOA.to_bytes(2, "big")


def _behind_name(octets: bytes, at: int) -> int:
    """Offset behind the name at `at`; -1: it has no end."""
    while 0 <= at < len(octets):
        length = octets[at]
        if length >= 192:
            return at + 2
        at += 1 + length
        if length == 0:
            return at
    return -1


def _joined(one: MessageBlock, other: MessageBlock) -> MessageBlock:
    """Two blocks over the same octets as one."""
    if not len(one) or not len(other):
        return one if len(one) else other
    held: dict[str, Any] = {name: getattr(one, name) for name in _WHOLE}
    for column in fields(MessageBlock):
        if column.name not in _WHOLE:
            held[column.name] = np.concatenate(
                (getattr(one, column.name), getattr(other, column.name))
            )
    return MessageBlock(**held)
