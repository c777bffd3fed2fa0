"""The kernel decorator, and where compiled kernels are kept.

numba notices a change only in the file that defines a kernel, not in the kernels that it calls nor
in the constants that it freezes. So the cache folder is named by a digest over every source file
that holds kernels or their constants: any change there starts an empty folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = Path(__file__).resolve().parent.parent
_KERNEL_SOURCES = ("wire", "capture", "transactions", "evidence", "timeline", "archive")
_CONSTANTS = ("limits.py", "vocabulary.py")


def _sources_digest() -> str:
    """Digest of every file that may hold a kernel, and of the compiler's version."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    paths = [_PACKAGE / name for name in _CONSTANTS]
    for folder in _KERNEL_SOURCES:
        paths += sorted((_PACKAGE / folder).glob("*.py"))
    for path in paths:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """The folder of compiled kernels: NUMBA_CACHE_DIR if set, else one below the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "dns-forensics" / f"kernels-{_sources_digest()}"


CACHE = cache_folder()
numba.config.CACHE_DIR = str(CACHE)  # type: ignore[attr-defined]

_LEAN: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}


def is_compiled() -> bool:
    """Whether kernels of this very source have been compiled before (else the first run waits)."""
    return CACHE.is_dir() and any(CACHE.rglob("*.nbi"))


def kernel(function: _F) -> _F:
    """Compile `function` on first use, without the GIL, and keep the machine code on disk."""
    return cast("_F", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def lean_kernel(function: _F) -> _F:
    """Compile like `kernel`, without reference counts: for kernels that allocate no array.

    An ordinary kernel counts references to its arrays with locked instructions whenever it takes
    a tuple apart or hands arrays on, which costs more than the work on a message. Arrays that a
    caller passes in outlive the call anyway. numba refuses to compile an allocation here.
    """
    return cast("_F", numba.njit(**_LEAN)(function))


def inlined_kernel(function: _F) -> _F:
    """Compile like `lean_kernel`, always into its caller: for what is called in one place.

    A call hands over each array of a tuple as seven words, 300 for some tuples of ours.
    """
    return cast("_F", numba.njit(**_LEAN, forceinline=True)(function))


def octets(data: bytes | bytearray | memoryview) -> NDArray[np.uint8]:
    """Turn a buffer into the one array type that kernels take: writable, contiguous uint8.

    A read-only array is another type to numba, and every kernel would be compiled twice.
    """
    if isinstance(data, bytearray):
        return np.frombuffer(data, dtype=np.uint8)
    return np.frombuffer(bytearray(data), dtype=np.uint8)
