"""Whole words out of arrays of octets: the reads that every kernel starts with.

Nothing here checks bounds: the kernel that calls has done so, for as many octets as it reads.
Under `NUMBA_BOUNDSCHECK=1` the eight-octet read is made of checked single reads instead.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from forensics.wire.jit import lean_kernel

MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: an odd multiplier that spreads bits upward."""

ONES = np.uint64(0x0101010101010101)
HIGHS = np.uint64(0x8080808080808080)

# An unsigned index cannot count from the end of an array: with one the compiler merges the reads
# of neighbouring octets into a single load.
_1 = np.uint64(1)
_2 = np.uint64(2)
_3 = np.uint64(3)


@lean_kernel
def be16(octets: Any, at: Any) -> int:
    """Read 16 bits, network order. The caller has checked `at + 2`."""
    place = np.uint64(at)
    return (np.int64(octets[place]) << 8) | np.int64(octets[place + _1])  # type: ignore[return-value]


@lean_kernel
def be32(octets: Any, at: Any) -> int:
    """Read 32 bits, network order, as int64. The caller has checked `at + 4`."""
    place = np.uint64(at)
    high = (np.int64(octets[place]) << 24) | (np.int64(octets[place + _1]) << 16)
    low = (np.int64(octets[place + _2]) << 8) | np.int64(octets[place + _3])
    return high | low  # type: ignore[return-value]


if numba.config.BOUNDSCHECK:  # type: ignore[attr-defined]

    @lean_kernel
    def le64(octets: Any, at: Any) -> Any:
        """Read 64 bits, least octet first. The caller has checked `at + 8`."""
        word = np.uint64(0)
        for place in range(8):
            word |= np.uint64(octets[at + place]) << np.uint64(8 * place)
        return word

    @lean_kernel
    def prefetch(array: Any, at: Any) -> None:
        """Do nothing: an early read is a hint, not a need."""

    @lean_kernel
    def prefetch_behind(array: Any, at: Any, octets: Any) -> None:
        """Do nothing, likewise."""

else:

    def _hint(context: Any, builder: Any, signature: Any, arguments: Any, octets: Any) -> Any:
        """Write the code that asks for the line `octets` behind an element of an array."""
        proxy: Any = cgutils.create_struct_proxy
        held = proxy(signature.args[0])(context, builder, arguments[0])
        index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        octet = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        declare: Any = cgutils.get_or_insert_function
        hint = declare(
            builder.module,
            ir.FunctionType(ir.VoidType(), [octet, number, number, number]),
            "llvm.prefetch.p0",
        )
        pointer = builder.bitcast(builder.gep(held.data, [index]), octet)
        if octets is not None:
            pointer = builder.gep(pointer, [octets])
        builder.call(hint, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    @intrinsic
    def prefetch(typingctx: Any, array: Any, at: Any) -> Any:  # noqa: ARG001
        """Ask for the cache line of `array[at]`, to be read soon; any `at` is harmless."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _hint(context, builder, signature, arguments, None)

        return types.none(array, at), generate

    @intrinsic
    def prefetch_behind(typingctx: Any, array: Any, at: Any, octets: Any) -> Any:  # noqa: ARG001
        """Ask for the cache line that lies some octets behind the start of `array[at]`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            octets = context.cast(builder, arguments[2], signature.args[2], types.intp)
            return _hint(context, builder, signature, arguments, octets)

        return types.none(array, at, octets), generate

    @intrinsic
    def le64(typingctx: Any, octets: Any, at: Any) -> Any:  # noqa: ARG001
        """Read 64 bits, least octet first, in one instruction. The caller has checked `at + 8`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            proxy: Any = cgutils.create_struct_proxy
            array = proxy(signature.args[0])(context, builder, arguments[0])
            index = context.cast(builder, arguments[1], signature.args[1], types.intp)
            word = ir.IntType(64)
            pointer = builder.gep(array.data, [index])
            return builder.load(builder.bitcast(pointer, word.as_pointer()), align=1, typ=word)

        return types.uint64(octets, at), generate


@lean_kernel
def ask_lines(column: Any, begin: Any, end: Any) -> None:
    """Ask for the cache lines of `column[begin:end]`; any range is harmless.

    A processor foresees a dozen walks through memory; a kernel that reads or fills thirty columns
    side by side waits for each line of the others: 45 ns a line, and 17 if it asks for them.
    """
    step = 64 // column.itemsize
    for at in range(begin, end, step):
        prefetch(column, at)


@lean_kernel
def lowered(word: Any) -> Any:
    """Turn the ASCII capitals among eight octets into small letters (RFC 4343).

    A length octet of a name is at most 63, below `A`, so that whole wire names pass unharmed.
    """
    low = word & ~HIGHS
    # bit 7 of each octet: at least 'A' and not above 'Z', for octets below 128
    capital = (low + ONES * np.uint64(128 - 65)) & ~(low + ONES * np.uint64(128 - 91))
    capital &= ~word & HIGHS
    return word | (capital >> np.uint64(2))


@lean_kernel
def some(octets: Any, at: Any, count: Any) -> Any:
    """Read `count` (1 to 8) octets, least first, the rest zero. The caller has checked them."""
    if at + 8 <= len(octets):
        word = le64(octets, at)
        if count < 8:
            word &= (np.uint64(1) << np.uint64(8 * count)) - np.uint64(1)
        return word
    word = np.uint64(0)
    for place in range(count):
        word |= np.uint64(octets[at + place]) << np.uint64(8 * place)
    return word


@lean_kernel
def mixed(state: Any, word: Any) -> Any:
    """Stir eight octets into the state of a hash."""
    state = (state ^ word) * MIX
    return state ^ (state >> np.uint64(29))


@lean_kernel
def name_hash(octets: Any, start: Any, length: Any) -> Any:
    """Hash `length` octets of a wire name, lower-cased. The caller has checked them."""
    state = np.uint64(length) * MIX
    for done in range(0, length, 8):
        state = mixed(state, lowered(some(octets, start + done, min(length - done, 8))))
    return finished(state)


@lean_kernel
def octets_hash(octets: Any, start: Any, length: Any) -> Any:
    """Hash `length` octets as they are. The caller has checked them."""
    state = np.uint64(length) * MIX
    for done in range(0, length, 8):
        state = mixed(state, some(octets, start + done, min(length - done, 8)))
    return finished(state)


@lean_kernel
def finished(state: Any) -> Any:
    """Spread the last octets over all bits; never 0, which stands for no name."""
    state ^= state >> np.uint64(32)
    state *= MIX
    state ^= state >> np.uint64(29)
    if state == np.uint64(0):
        return np.uint64(1)
    return state


@lean_kernel
def address_hash(octets: Any, at: Any) -> Any:
    """Hash an address of 16 octets. The caller has checked `at + 16`."""
    return finished(mixed(mixed(np.uint64(16), le64(octets, at)), le64(octets, at + 8)))
