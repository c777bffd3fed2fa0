"""C-DNS: queries with their responses in CBOR (RFC 8618), as DNS-STATS compactor writes it.

A file is an array of a text, a preamble and blocks. A block stands alone: tables of addresses,
names, RDATA and RRs, and items that name their entries. Each item becomes a query and a response
in wire form (`rebuild`). What the exporter left out stays a known absence: such messages carry
`MessageFlag.PARTIAL`, from which no later stage may conclude that something was missing.

Memory: one block of the file, and what one window of messages needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture import cbor, rebuild
from forensics.capture.containers import Stream
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.losses import Reason, new_tally
from forensics.capture.reassembly import Reassembly
from forensics.capture.rebuild import Columns, Tables
from forensics.errors import UnknownFormat
from forensics.wire.blocks import MessageBlock
from forensics.wire.moves import SLACK

NAME: Final = "c-dns"

_NAME_ITEM: Final = b"\x65C-DNS"
_EVERYTHING: Final = (1 << 62) - 1
_JUDGED_TYPES: Final = (1, 2, 5, 6, 15, 16, 28, 39, 43, 46, 47, 48, 50)
"""RR types without which nothing can be said of a response: an exporter that drops one of them
drops it from every response."""
_TABLE_KEYS: Final = 9
_ALL_HINTS: Final = 2**18 - 1


def sniff(head: bytes) -> bool:
    """Whether the input is an array that begins with the text C-DNS."""
    return head[:1] in {b"\x83", b"\x9f"} and head[1:7] == _NAME_ITEM


class _Parameters:
    """One set of block parameters of the preamble: what was stored, and in which unit."""

    def __init__(self, octets: NDArray[np.uint8], at: int, end: int) -> None:
        both = _map(octets, at, end, 2, _EVERYTHING)
        storage = _map(octets, int(both[0]), end, 12, 1 << 2 | 1 << 3 | 1 << 4)
        hints = _map(octets, int(storage[2]), end, 4, 0)
        ticks = int(storage[0])
        self.ticks = ticks if 0 < ticks <= limits.SECOND else 1_000_000
        self.hints = int(hints[0]) if hints[0] >= 0 else _ALL_HINTS
        kept = _numbers(octets, int(storage[4]), end)
        self.types = np.zeros(65536, np.uint8)
        if not kept:
            self.types[:] = 1
        elif kept.issuperset(_JUDGED_TYPES):
            self.types[[kind for kind in kept if kind < len(self.types)]] = 1


def blocks(stream: Stream, facts: CaptureFacts, reassembly: Reassembly) -> Iterator[MessageBlock]:
    """Read every block of a C-DNS file, or of several one after another.

    Raises:
        UnknownFormat: the version of the format is none that is read.
    """
    del reassembly  # C-DNS holds nothing but DNS
    facts.ledger = ledger = Ledger()
    at = 0
    while True:
        parameters, left, at = _preamble(stream, facts, ledger, at)
        while left != 0:
            at, behind = _item(stream, at)
            octets = stream.octets
            if left < 0 and at < len(octets) and octets[at] == 0xFF:
                at += 1
                ledger.framing += 1
                break
            if at == len(octets):
                return
            whole = behind >= 0
            if whole or (behind == cbor.MORE and stream.final):
                end = behind if whole else len(octets)
                yield from _block(stream, facts, at, end, parameters, whole=whole)
            if not whole:
                cut = behind == cbor.MORE and stream.final
                if not stream.final:
                    # The search must not depend on where the window ends.
                    stream.advance(at, 2 * limits.RESYNC_OCTETS)
                    at = 0
                found = _passed_over(stream, facts, at, cut=cut)
                if found < 0:
                    return
                behind = found
            at = behind
            left -= 1
        # The array of the file may have ended with a break of its own.
        at, _ = _item(stream, at)
        if at < len(stream.octets) and stream.octets[at] == 0xFF:
            at += 1
            ledger.framing += 1
        at, _ = _item(stream, at)
        rest = stream.octets[at:]
        if not len(rest):
            return
        if not sniff(rest[:8].tobytes()):
            what = "octets that are no C-DNS follow the C-DNS data"
            offset = stream.base + at
            facts.skipped(
                Reason.CBOR_MALFORMED, what, offset=offset, octets=len(rest), resumed=False
            )
            return


def _item(stream: Stream, at: int) -> tuple[int, int]:
    """Bring the item at `at` whole into the window: where it is now, and where it ends.

    The end is `cbor.BROKEN`, or `cbor.MORE` where the input ends before or the item is longer than
    any that is believed.
    """
    while True:
        behind = cbor.skip(stream.octets, at, len(stream.octets))
        held = len(stream.octets) - at
        if behind != cbor.MORE or stream.final or held > limits.CDNS_BLOCK_OCTETS:
            return at, behind
        stream.advance(at, min(2 * held, limits.CDNS_BLOCK_OCTETS + 1))
        at = 0


def _preamble(
    stream: Stream, facts: CaptureFacts, ledger: Ledger, at: int
) -> tuple[list[_Parameters], int, int]:
    """Read up to the blocks: (parameters, how many blocks or -1, offset of the first).

    Raises:
        UnknownFormat: no preamble, or of a version that is not read.
    """
    begun = stream.base + at
    start, behind = _item(stream, at + 1 + len(_NAME_ITEM))
    octets = stream.octets
    values = _map(octets, start, len(octets), 4, 1 << 3)
    version = f"{values[0]}.{values[1]}" if values[0] >= 0 <= values[1] else "unknown"
    place = stream.base + at
    if behind < 0:
        raise UnknownFormat(stream.path, place, "C-DNS whose preamble is damaged or cut")
    if values[0] != 1:
        reason = f"C-DNS of version {version}; version 1 (RFC 8618) is read: rewrite it with "
        raise UnknownFormat(stream.path, place, reason + "inspector and compactor of DNS-STATS")
    parameters = [
        _Parameters(octets, int(one), len(octets))
        for one in _items(octets, int(values[3]), len(octets))
    ]
    if not parameters:
        raise UnknownFormat(stream.path, place, "C-DNS without block parameters")
    # The head of the array of blocks has at most nine octets.
    if len(octets) - behind < 9 and not stream.final:
        stream.advance(behind, 9)
        behind = 0
    major, count, first = cbor.head(stream.octets, behind, len(stream.octets))
    if first < 0:
        ledger.framing += stream.base + behind - begun
        facts.cut(offset=stream.base + behind, octets=len(stream.octets) - behind)
        return parameters, 0, len(stream.octets)
    if major != cbor.ARRAY:
        raise UnknownFormat(stream.path, place, "C-DNS without an array of blocks")
    ledger.framing += stream.base + first - begun
    return parameters, count, first


def _block(
    stream: Stream,
    facts: CaptureFacts,
    at: int,
    end: int,
    parameters: list[_Parameters],
    *,
    whole: bool,
) -> Iterator[MessageBlock]:
    """Yield the messages of the block [at, end), which is cut there unless it is `whole`."""
    octets, base = stream.octets, stream.base
    parts = _map(octets, at, end, 6, _EVERYTHING)
    if whole and facts.ledger is not None:
        facts.ledger.messages += end - at
    preamble = _map(octets, int(parts[0]), end, 2, 1 << 0)
    chosen = max(int(preamble[1]), 0)
    if parts[0] < 0 or chosen >= len(parameters):
        if not whole:
            return
        if facts.ledger is not None:
            facts.ledger.messages -= end - at
        what = "a block without preamble or with unknown parameters"
        offset = base + at
        facts.skipped(Reason.CBOR_MALFORMED, what, offset=offset, octets=end - at, resumed=True)
        return
    mine = parameters[chosen]
    earliest = [*_numbers_in_order(octets, int(preamble[0]), end), cbor.MISSING, 0][:2]
    tables, data = _tables(octets, int(parts[2]), end, mine, facts, base)
    budget = max(limits.CDNS_FREE_OCTETS, limits.CDNS_RATIO * (end - at))
    known = np.array([*earliest, mine.ticks, mine.hints, 0, 0, budget], np.int64)
    for place, keys, nested, message_data in (
        (int(parts[3]), rebuild.ITEM_KEYS, rebuild.NESTED_OF_ITEM, None),
        (int(parts[5]), 4, 0, data),
    ):
        values = _rows(octets, place, end, keys, nested, facts, base)
        first = 0
        known[rebuild.FIRST_FRAME] = facts.packets + 1
        while first < len(values):
            columns = _columns(len(values) - first)
            tally = new_tally()
            offset = place
            if message_data is None:
                rows, done, used = rebuild.rebuild(
                    octets, offset, end, known, tables, values, first, columns, tally
                )
            else:
                rows, done, used = rebuild.malformed(
                    octets, offset, end, known, tables, values, message_data, first, columns, tally
                )
            first += done
            facts.packets += done
            facts.messages += rows
            facts.carriers += len(np.unique(columns.frame[:rows]))
            facts.lost(tally, base)
            block = _message_block(columns, rows, used, facts.number)
            facts.saw_times(block.time)
            yield block


def _tables(
    octets: NDArray[np.uint8], at: int, end: int, mine: _Parameters, facts: CaptureFacts, base: int
) -> tuple[Tables, NDArray[np.int64]]:
    """Read the tables of a block, and the one of the malformed messages' data."""
    parts = _map(octets, at, end, _TABLE_KEYS, _EVERYTHING).tolist()
    address, address_length = _strings(octets, parts[0], end, facts, base)
    name, name_length = _strings(octets, parts[2], end, facts, base)
    count = _count(octets, parts[6], end, facts, base)
    lists = np.zeros(count + 1, np.int64)
    listed = np.zeros(0, np.int64)
    if count:
        listed = np.zeros(cbor.lists(octets, parts[6], end, lists, listed), np.int64)
        cbor.lists(octets, parts[6], end, lists, listed)
    tables = Tables(
        address=address,
        address_length=address_length,
        classtypes=_rows(octets, parts[1], end, 2, 0, facts, base),
        name=name,
        name_length=name_length,
        signatures=_rows(octets, parts[3], end, rebuild.SIGNATURE_KEYS, 0, facts, base),
        lists=lists,
        listed=listed,
        records=_rows(octets, parts[7], end, 4, 0, facts, base),
        types=mine.types,
    )
    nested = rebuild.NESTED_OF_MALFORMED
    return tables, _rows(octets, parts[8], end, 4, nested, facts, base)


def _map(octets: NDArray[np.uint8], at: int, end: int, keys: int, nested: int) -> NDArray[np.int64]:
    """The values of a map below `keys`, as `cbor.entries` gives them; all missing: no map."""
    values = np.full(keys, cbor.MISSING, np.int64)
    if at >= 0:
        cbor.entries(octets, at, end, nested, values)
    return values


def _count(octets: NDArray[np.uint8], at: int, end: int, facts: CaptureFacts, base: int) -> int:
    """How many items of an array are read; 0: it is none. More than the limit are counted."""
    if at < 0:
        return 0
    most = limits.CDNS_ENTRIES
    count = cbor.count_items(octets, at, end, most + 1)
    if count > most:
        facts.losses.add(Reason.CBOR_LIMIT, offset=base + at, frame=facts.packets + 1)
    return max(min(count, most), 0)


def _rows(
    octets: NDArray[np.uint8],
    at: int,
    end: int,
    keys: int,
    nested: int,
    facts: CaptureFacts,
    base: int,
) -> NDArray[np.int64]:
    """An array of maps as rows, int64 (items, keys)."""
    values = np.empty((_count(octets, at, end, facts, base), keys), np.int64)
    if len(values):
        cbor.rows(octets, at, end, nested, values)
    return values


def _strings(
    octets: NDArray[np.uint8], at: int, end: int, facts: CaptureFacts, base: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """An array of octet strings as offsets and lengths."""
    count = _count(octets, at, end, facts, base)
    start, length = np.empty(count, np.int64), np.empty(count, np.int64)
    if count:
        cbor.strings(octets, at, end, start, length)
    return start, length


def _items(octets: NDArray[np.uint8], at: int, end: int) -> NDArray[np.int64]:
    """Offsets of the items of a small array."""
    count = cbor.count_items(octets, at, end, 65536) if at >= 0 else 0
    start = np.empty(max(count, 0), np.int64)
    if len(start):
        cbor.items(octets, at, end, start)
    return start


def _numbers_in_order(octets: NDArray[np.uint8], at: int, end: int) -> list[int]:
    """The numbers of a small array."""
    heads = [cbor.head(octets, int(place), end) for place in _items(octets, at, end)]
    return [int(value) for major, value, _ in heads if major == cbor.UNSIGNED]


def _numbers(octets: NDArray[np.uint8], at: int, end: int) -> set[int]:
    return set(_numbers_in_order(octets, at, end))


def _columns(items: int) -> Columns:
    """Room for the messages of so many items, or for a window of them."""
    count = 2 * items
    octets = min(limits.BLOCK_OCTETS, count * limits.MESSAGE_OCTETS) + SLACK
    return Columns(
        out=np.empty(octets, np.uint8),
        start=np.empty(count, np.int64),
        captured=np.empty(count, np.int32),
        length=np.empty(count, np.int32),
        time=np.empty(count, np.int64),
        frame=np.empty(count, np.int64),
        source=np.empty((count, 16), np.uint8),
        destination=np.empty((count, 16), np.uint8),
        source_port=np.empty(count, np.uint16),
        destination_port=np.empty(count, np.uint16),
        transport=np.empty(count, np.uint8),
        kind=np.empty(count, np.uint8),
        other_time=np.empty(count, np.int64),
        flags=np.empty(count, np.uint8),
    )


def _message_block(columns: Columns, rows: int, used: int, number: int) -> MessageBlock:
    """The first `rows` rows as a block."""
    held: dict[str, Any] = {
        name: column[:rows] for name, column in columns._asdict().items() if name != "out"
    }
    identity = np.full(rows, -1, np.int32)
    return MessageBlock(octets=columns.out[:used], identity=identity, capture=number, **held)


def _passed_over(stream: Stream, facts: CaptureFacts, at: int, *, cut: bool) -> int:
    """Count what is no whole block at `at`; return the offset of the next block, -1: none."""
    octets = stream.octets
    found = _resynchronise(octets, at + 1, at + limits.RESYNC_OCTETS)
    lost = (found if found >= 0 else len(octets)) - at
    if cut and found < 0:
        facts.cut(offset=stream.base + at, octets=lost)
        return found
    reason = Reason.CBOR_MALFORMED
    offset = stream.base + at
    facts.skipped(reason, "damage", offset=offset, octets=lost, resumed=found >= 0)
    return found


def _resynchronise(octets: NDArray[np.uint8], at: int, stop: int) -> int:
    """Find the start of a block in [at, stop): the maps up to its earliest time; -1: none."""
    held = octets[at:stop].tobytes()
    place = 0
    while True:
        # {0: {0: [seconds of 32 bits, …
        place = held.find(b"\x00\x82\x1a", place)
        if place < 0:
            return -1
        start = at + place - 3
        place += 1
        if start < at or octets[start + 1] or not 0xA0 <= octets[start + 2] <= 0xBF:
            continue
        if 0xA0 < octets[start] <= 0xBF:
            return start
