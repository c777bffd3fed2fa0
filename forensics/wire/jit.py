"""The kernel decorators: compile on first use, without the GIL, and keep the machine code.

`kernelcache.py` says where it is kept and under which name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from forensics.wire.kernelcache import KernelCache, cache_folder

_F = TypeVar("_F", bound=Callable[..., Any])

CACHE = cache_folder()

_LEAN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_waiting: list[Callable[[], None]] = []


def when_compiling(told: Callable[[], None]) -> None:
    """Have a function called once, before this process compiles its first kernel, if it does."""
    _waiting[:] = [told]


def _compiling() -> None:
    while _waiting:
        _waiting.pop()()


def _compiled(function: _F, **options: Any) -> _F:
    kernel: Any = numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        kernel._cache = KernelCache(kernel, CACHE, _compiling)  # noqa: SLF001  as its `enable_caching`
    return cast("_F", kernel)


def kernel(function: _F) -> _F:
    """Compile `function` on first use, without the GIL, and keep the machine code on disk."""
    return _compiled(function, nogil=True, error_model="numpy")


def lean_kernel(function: _F) -> _F:
    """Compile like `kernel`, without reference counts: for kernels that allocate no array.

    An ordinary kernel counts references to its arrays with locked instructions whenever it takes
    a tuple apart or hands arrays on, which costs more than the work on a message. Arrays that a
    caller passes in outlive the call anyway. numba refuses to compile an allocation here.
    """
    return _compiled(function, **_LEAN)


def inlined_kernel(function: _F) -> _F:
    """Compile like `lean_kernel`, always into its caller: for what is called in one place.

    A call hands over each array of a tuple as seven words, 300 for some tuples of ours.
    """
    return _compiled(function, **_LEAN, forceinline=True)


def octets(data: bytes | bytearray | memoryview) -> NDArray[np.uint8]:
    """Turn a buffer into the one array type that kernels take: writable, contiguous uint8.

    A read-only array is another type to numba, and every kernel would be compiled twice.
    """
    if isinstance(data, bytearray):
        return np.frombuffer(data, dtype=np.uint8)
    return np.frombuffer(bytearray(data), dtype=np.uint8)
