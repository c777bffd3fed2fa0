"""Kernels that write the values of a Parquet data page (encodings of parquet-format 2.11).

All take what an Arrow column holds as octets, and the rows to be written as their positions in it,
so that values without nulls and with some go the same way, each kernel is compiled once, and the
positions of one bitmap serve every column that shares it. Each writes into `out` from `at` on and
gives the offset behind; the caller has made room: a value's octets, and `SLACK`.

Where a loop is short, indices are unsigned: the compiler then need not ask whether they count from
the end, and makes vector instructions of it, twenty times as fast.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.moves import SLACK, copy, put64
from forensics.wire.words import le64

_BLOCK: Final = 128
_MINI: Final = 32
"""Values in a block, and in a miniblock, of DELTA_BINARY_PACKED."""

DELTA_SCRATCH: Final = _BLOCK
"""Numbers of scratch that `deltas` needs."""

__all__ = [
    "DELTA_SCRATCH",
    "SLACK",
    "bits_of",
    "codes",
    "deltas",
    "known_rows",
    "levels",
    "split",
    "texts",
    "texts_octets",
]


@lean_kernel
def known_rows(bits: Any, first: Any, count: Any, positions: Any) -> Any:
    """List the positions, from `first` on, whose validity bit is set; give how many.

    `positions`: int32, room for `count`.
    """
    known = np.uint64(0)
    for row in range(np.uint64(first), np.uint64(first + count)):
        positions[known] = np.int32(row)
        known += np.uint64((bits[row >> np.uint64(3)] >> (row & np.uint64(7))) & np.uint64(1))
    return np.int64(known)


@lean_kernel
def _varint(out: Any, at: Any, value: Any) -> Any:
    """Write a uint64, seven bits an octet, least first."""
    while value > np.uint64(127):
        out[at] = np.uint8(value & np.uint64(127)) | np.uint8(128)
        value >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@lean_kernel
def levels(bits: Any, first: Any, last: Any, known: Any, out: Any, at: Any) -> Any:
    """Write definition levels: their octets (four), then one run (RLE hybrid of width 1).

    `known`: how many of the rows hold a value. Where all do, the run is one repeated level, else
    it is the bitmap itself.
    """
    count = last - first
    begin = at + 4
    if known == count:
        end = _varint(out, begin, np.uint64(count) << np.uint64(1))
        out[end] = 1
        end += 1
    else:
        groups = (count + 7) >> 3
        end = _varint(out, begin, (np.uint64(groups) << np.uint64(1)) | np.uint64(1))
        shift = first & 7
        for group in range(groups):
            source = (first >> 3) + group
            octet = np.int64(bits[source]) >> shift
            if shift and source + 1 < len(bits):
                octet |= np.int64(bits[source + 1]) << (8 - shift)
            out[end + group] = octet & 255
        end += groups
        if count & 7:
            out[end - 1] &= (1 << (count & 7)) - 1
    for octet in range(4):
        out[at + octet] = ((end - begin) >> (8 * octet)) & 255
    return end


@inlined_kernel
def _run(values: Any, width: Any, source: Any, count: Any, out: Any, at: Any) -> None:
    """Take apart numbers that lie side by side; `width` is a literal, so that this is unrolled."""
    for row in range(count):
        for octet in range(width):
            out[at + octet * count + row] = values[source + width * row + octet]


@inlined_kernel
def _chosen(
    values: Any, width: Any, positions: Any, first: Any, count: Any, out: Any, at: Any
) -> None:
    """Take apart numbers between which others are left out; see `_run`."""
    for row in range(count):
        source = width * np.uint64(np.uint32(positions[first + row]))
        for octet in range(width):
            out[at + octet * count + row] = values[source + octet]


@lean_kernel
def split(
    values: Any, width: Any, stored: Any, positions: Any, first: Any, last: Any, out: Any, at: Any
) -> Any:
    """Write numbers of `width` octets, zero-extended to `stored`, as BYTE_STREAM_SPLIT."""
    count = np.uint64(last - first)
    start = np.uint64(first)
    to = np.uint64(at)
    if last > first and positions[last - 1] - positions[first] == last - first - 1:
        source = np.uint64(width) * np.uint64(positions[first])
        if width == 1:
            _run(values, np.uint64(1), source, count, out, to)
        elif width == 2:
            _run(values, np.uint64(2), source, count, out, to)
        elif width == 4:
            _run(values, np.uint64(4), source, count, out, to)
        else:
            _run(values, np.uint64(8), source, count, out, to)
    elif width == 1:
        _chosen(values, np.uint64(1), positions, start, count, out, to)
    elif width == 2:
        _chosen(values, np.uint64(2), positions, start, count, out, to)
    elif width == 4:
        _chosen(values, np.uint64(4), positions, start, count, out, to)
    else:
        _chosen(values, np.uint64(8), positions, start, count, out, to)
    for place in range(to + np.uint64(width) * count, to + np.uint64(stored) * count):
        out[place] = 0
    return at + stored * (last - first)


@lean_kernel
def bits_of(values: Any, positions: Any, first: Any, last: Any, out: Any, at: Any) -> Any:
    """Write booleans as PLAIN: eight to an octet, least first."""
    to = np.uint64(at)
    held = np.uint64(0)
    place = np.uint64(0)
    for row in range(np.uint64(first), np.uint64(last)):
        position = np.uint64(np.uint32(positions[row]))
        octet = np.uint64(values[position >> np.uint64(3)])
        held |= ((octet >> (position & np.uint64(7))) & np.uint64(1)) << place
        place += np.uint64(1)
        if place == np.uint64(8):
            out[to] = np.uint8(held)
            to += np.uint64(1)
            held = np.uint64(0)
            place = np.uint64(0)
    if place:
        out[to] = np.uint8(held)
        to += np.uint64(1)
    return np.int64(to)


@inlined_kernel
def _bit_length(value: Any) -> Any:
    """Give the number of bits without leading zeros."""
    bits = 0
    for step in (32, 16, 8, 4, 2, 1):
        if value >> np.uint64(step):
            value >>= np.uint64(step)
            bits += step
    if value:
        bits += 1
    return bits


@inlined_kernel
def _packed(out: Any, at: Any, held: Any, filled: Any, value: Any, width: Any) -> Any:
    """Append `width` bits to the `filled` (fewer than 64) held ones, and write whole words."""
    held |= value << np.uint64(filled)
    filled += width
    if filled >= 64:
        put64(out, at, held)
        at += 8
        filled -= 64
        held = value >> np.uint64(width - filled) if filled else np.uint64(0)
    return at, held, filled


@lean_kernel
def codes(
    values: Any, strings: Any, positions: Any, first: Any, last: Any, out: Any, at: Any
) -> Any:
    """Write indices of a dictionary: the bit width, then one run (RLE hybrid).

    `values`: int32, each below the number of `strings`, else -1 is given. A page of one value is a
    repeated run, any other a bit-packed one.
    """
    width = _bit_length(np.uint64(max(strings - 1, 0)))
    count = last - first
    out[at] = width
    at += 1
    if count == 0:
        return at
    one = values[positions[first]]
    same = True
    for row in range(first + 1, last):
        if values[positions[row]] != one:
            same = False
            break
    if same:
        if one < 0 or one >= strings:
            return np.int64(-1)
        at = _varint(out, at, np.uint64(count) << np.uint64(1))
        for octet in range((width + 7) >> 3):
            out[at] = (one >> (8 * octet)) & 255
            at += 1
        return at
    groups = (count + 7) >> 3
    at = _varint(out, at, (np.uint64(groups) << np.uint64(1)) | np.uint64(1))
    end = at + groups * width
    held = np.uint64(0)
    filled = 0
    for row in range(first, last):
        code = values[positions[row]]
        if code < 0 or code >= strings:
            return np.int64(-1)
        at, held, filled = _packed(out, at, held, filled, np.uint64(code), width)
    put64(out, at, held)
    for to in range(at + 8, end):
        out[to] = 0
    return end


@inlined_kernel
def _number(values: Any, width: Any, position: Any) -> Any:
    """Read a number of 4 or 8 octets, least first, as int64."""
    if width == 8:
        return np.int64(le64(values, 8 * np.int64(position)))
    at = np.uint64(4) * np.uint64(np.uint32(position))
    value = np.uint64(values[at]) | np.uint64(values[at + np.uint64(1)]) << np.uint64(8)
    value |= np.uint64(values[at + np.uint64(2)]) << np.uint64(16)
    return np.int64(value | np.uint64(values[at + np.uint64(3)]) << np.uint64(24))


@inlined_kernel
def _signed(value: Any, stored: Any) -> Any:
    """Take a difference modulo 2 ** 32 where the column stores 32 bits."""
    if stored == 4:
        return np.int64(np.int32(value & 0xFFFFFFFF))
    return value


@lean_kernel
def _zigzag(value: Any) -> Any:
    """Turn a signed number into one of which small ones are short."""
    return np.uint64(value << 1) ^ np.uint64(value >> 63)


@lean_kernel
def deltas(
    values: Any,
    width: Any,
    stored: Any,
    positions: Any,
    first: Any,
    last: Any,
    scratch: Any,
    out: Any,
    at: Any,
) -> Any:
    """Write numbers of 4 or 8 octets (`width`), stored as they are, as DELTA_BINARY_PACKED.

    `scratch`: int64, `DELTA_SCRATCH` of them.
    """
    count = last - first
    at = _varint(out, at, np.uint64(_BLOCK))
    at = _varint(out, at, np.uint64(_BLOCK // _MINI))
    at = _varint(out, at, np.uint64(count))
    before = np.int64(0)
    if count:
        before = _signed(_number(values, width, positions[first]), stored)
    at = _varint(out, at, _zigzag(before))
    done = 1
    while done < count:
        held = min(_BLOCK, count - done)
        least = np.int64(0x7FFFFFFFFFFFFFFF)
        ahead = np.uint64(first + done)
        for row in range(np.uint64(held)):
            value = _signed(_number(values, width, positions[ahead + row]), stored)
            step = _signed(value - before, stored)
            before = value
            scratch[row] = step
            least = min(least, step)
        at = _varint(out, at, _zigzag(least))
        widths = at
        at += _BLOCK // _MINI
        for mini in range(_BLOCK // _MINI):
            begin = _MINI * mini
            end = min(begin + _MINI, held)
            union = np.uint64(0)
            for row in range(np.uint64(begin), np.uint64(max(end, begin))):
                union |= np.uint64(scratch[row] - least)
            bits = _bit_length(union)
            out[widths + mini] = bits
            if bits == 0:
                continue
            gathered = np.uint64(0)
            filled = 0
            to = at
            for row in range(np.uint64(begin), np.uint64(end)):
                value = np.uint64(scratch[row] - least)
                to, gathered, filled = _packed(out, to, gathered, filled, value, bits)
            put64(out, to, gathered)
            at += (_MINI // 8) * bits
            for octet in range(to + 8, at):
                out[octet] = 0
        done += held
    return at


@lean_kernel
def texts_octets(offsets: Any, chosen: Any, positions: Any, first: Any, last: Any) -> Any:
    """Sum up the octets of chosen strings; -1: one does not exist."""
    total = np.int64(0)
    for row in range(first, last):
        code = np.int64(chosen[positions[row]])
        if code < 0 or code + 1 >= len(offsets):
            return np.int64(-1)
        total += np.int64(offsets[code + 1]) - np.int64(offsets[code])
    return total


@lean_kernel
def texts(
    octets: Any,
    offsets: Any,
    chosen: Any,
    positions: Any,
    first: Any,
    last: Any,
    out: Any,
    at: Any,
) -> Any:
    """Write chosen strings as PLAIN: the length in four octets, least first, then the string.

    `texts_octets` has looked at them, and the caller made room for what it told.
    """
    for row in range(first, last):
        code = np.int64(chosen[positions[row]])
        start: Any = np.int64(offsets[code])
        length: Any = np.int64(offsets[code + 1]) - start
        put64(out, at, np.uint64(length))
        copy(out, at + 4, octets, start, length)
        at += 4 + length
    return at
