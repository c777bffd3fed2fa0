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
from numpy.typing import NDArray

from forensics.wire.jit import kernel

MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: an odd multiplier that spreads bits upward."""

ONES = np.uint64(0x0101010101010101)
HIGHS = np.uint64(0x8080808080808080)


@kernel
def be16(octets: NDArray[np.uint8], at: int) -> int:
    """Read 16 bits, network order. The caller has checked `at + 2`."""
    return (np.int64(octets[at]) << 8) | np.int64(octets[at + 1])


@kernel
def be32(octets: NDArray[np.uint8], at: int) -> int:
    """Read 32 bits, network order, as int64. The caller has checked `at + 4`."""
    return (
        (np.int64(octets[at]) << 24)
        | (np.int64(octets[at + 1]) << 16)
        | (np.int64(octets[at + 2]) << 8)
        | np.int64(octets[at + 3])
    )


if numba.config.BOUNDSCHECK:

    @kernel
    def le64(octets: NDArray[np.uint8], at: int) -> Any:
        """Read 64 bits, least octet first. The caller has checked `at + 8`."""
        word = np.uint64(0)
        for place in range(8):
            word |= np.uint64(octets[at + place]) << np.uint64(8 * place)
        return word

else:

    @intrinsic
    def le64(typingctx: Any, octets: Any, at: Any) -> Any:  # noqa: ARG001
        """Read 64 bits, least octet first, in one instruction. The caller has checked `at + 8`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
            index = context.cast(builder, arguments[1], signature.args[1], types.intp)
            word = ir.IntType(64)
            pointer = builder.gep(array.data, [index])
            return builder.load(builder.bitcast(pointer, word.as_pointer()), align=1, typ=word)

        return types.uint64(octets, at), generate


@kernel
def lowered(word: Any) -> Any:
    """Turn the ASCII capitals among eight octets into small letters (RFC 4343).

    A length octet of a name is at most 63, below `A`, so that whole wire names pass unharmed.
    """
    low = word & ~HIGHS
    # bit 7 of each octet: at least 'A' and not above 'Z', for octets below 128
    capital = (low + ONES * np.uint64(128 - 65)) & ~(low + ONES * np.uint64(128 - 91))
    capital &= ~word & HIGHS
    return word | (capital >> np.uint64(2))


@kernel
def tail(octets: NDArray[np.uint8], at: int, count: int) -> Any:
    """Read `count` (0 to 7) octets, least first, the rest zero. The caller has checked them."""
    word = np.uint64(0)
    for place in range(count):
        word |= np.uint64(octets[at + place]) << np.uint64(8 * place)
    return word


@kernel
def mixed(state: Any, word: Any) -> Any:
    """Stir eight octets into the state of a hash."""
    state = (state ^ word) * MIX
    return state ^ (state >> np.uint64(29))


@kernel
def name_hash(octets: NDArray[np.uint8], start: int, length: int, limit: int) -> Any:
    """Hash `length` octets of a wire name, lower-cased; no octet at or past `limit` is read."""
    state = np.uint64(length) * MIX
    at = start
    left = length
    while left >= 8:
        state = mixed(state, lowered(le64(octets, at)))
        at += 8
        left -= 8
    if left > 0:
        if at + 8 <= limit:
            keep = (np.uint64(1) << np.uint64(8 * left)) - np.uint64(1)
            state = mixed(state, lowered(le64(octets, at) & keep))
        else:
            state = mixed(state, lowered(tail(octets, at, left)))
    return finished(state)


@kernel
def finished(state: Any) -> Any:
    """Spread the last octets over all bits; never 0, which stands for no name."""
    state ^= state >> np.uint64(32)
    state *= MIX
    state ^= state >> np.uint64(29)
    if state == np.uint64(0):
        return np.uint64(1)
    return state


@kernel
def address_hash(octets: NDArray[np.uint8], at: int) -> Any:
    """Hash an address of 16 octets. The caller has checked `at + 16`."""
    return finished(mixed(mixed(np.uint64(16), le64(octets, at)), le64(octets, at + 8)))
