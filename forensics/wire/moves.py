"""Writes of whole words into arrays of octets, and copies made of them.

Copies are done eight octets at a time and may write up to `SLACK` octets past their end, so the
target has that much room, and is filled from front to back. Under `NUMBA_BOUNDSCHECK=1` each
octet is written on its own, and checked.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from forensics.wire.jit import lean_kernel
from forensics.wire.words import le64

SLACK: Final = 8
"""Octets that a target has behind the last one wanted."""

if numba.config.BOUNDSCHECK:  # type: ignore[attr-defined]

    @lean_kernel
    def put64(octets: NDArray[np.uint8], at: int, word: Any) -> None:
        """Write 64 bits, least octet first. The caller has checked `at + 8`."""
        for place in range(8):
            octets[at + place] = (word >> np.uint64(8 * place)) & np.uint64(255)

else:

    @intrinsic
    def put64(typingctx: Any, octets: Any, at: Any, word: Any) -> Any:  # noqa: ARG001
        """Write 64 bits, least octet first, in one instruction. The caller has checked `at + 8`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            proxy: Any = cgutils.create_struct_proxy
            array = proxy(signature.args[0])(context, builder, arguments[0])
            index = context.cast(builder, arguments[1], signature.args[1], types.intp)
            value = context.cast(builder, arguments[2], signature.args[2], types.uint64)
            pointer = builder.gep(array.data, [index])
            pointer = builder.bitcast(pointer, ir.IntType(64).as_pointer())
            builder.store(value, pointer, align=1)
            return context.get_dummy_value()

        return types.void(octets, at, word), generate


@lean_kernel
def copy(
    out: NDArray[np.uint8], at: int, octets: NDArray[np.uint8], start: int, count: int
) -> None:
    """Copy `octets[start:start + count]` to `out[at:]`; see the module for what may follow it.

    The caller has checked both ranges; nothing behind the end of `octets` is read.
    """
    step = 0
    if start + count + SLACK <= octets.shape[0]:
        while step < count:
            put64(out, at + step, le64(octets, start + step))
            step += 8
    else:
        while step < count:
            out[at + step] = octets[start + step]
            step += 1
