"""Where compiled kernels are kept, and under which name.

numba notices a change only in the file that defines a kernel, not in the kernels that it calls nor
in the constants that it freezes. So a kernel is kept under a digest of all that goes into its
machine code: its own bytecode, the values of the constants that it names, and the same of every
kernel that it calls. What is not in it changes nothing: a comment, a docstring, a line number, the
folder of the checkout, a constant that other kernels use. Bounds checks are in it, so that kernels
compiled without them are never taken for checked ones.
"""

from __future__ import annotations

import enum
import hashlib
import os
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

from forensics.wire.kernelload import rebuilt

_PACKAGE = __name__.partition(".")[0]
_DIGITS = 24
"""Hexadecimal digits of a digest in a file name: 96 bits."""


def cache_folder() -> Path:
    """The folder of compiled kernels: NUMBA_CACHE_DIR if set, else one below the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "dns-forensics" / "kernels"


def digest(kernel: Any) -> str:
    """Name all that the machine code of a kernel is made of, as hexadecimal digits.

    Args:
        kernel: a numba dispatcher whose callees are all defined.
    """
    known = _digests.get(id(kernel))
    if known is None:
        total = hashlib.sha256(_surroundings().encode())
        for part in _parts_of_kernel(kernel, set()):
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
        known = total.hexdigest()[:_DIGITS]
        # The kernel is held with its digest, so that no other object takes over its id.
        _digests[id(kernel)] = known
        _held.append(kernel)
    return known


_digests: dict[int, str] = {}
_held: list[Any] = []


def _surroundings() -> str:
    """What changes machine code besides the source: compiler and Python, and bounds checks."""
    checked = bool(numba.config.BOUNDSCHECK)  # type: ignore[attr-defined]
    return f"{numba.__version__} {llvmlite.__version__} {np.__version__} {sys.version} {checked}"


def _parts_of_kernel(kernel: Any, seen: set[int]) -> Iterator[bytes]:
    if id(kernel) in seen:
        yield b"again " + kernel.py_func.__qualname__.encode()
        return
    seen.add(id(kernel))
    yield repr(sorted(kernel.targetoptions.items())).encode()
    yield from _parts_of_function(kernel.py_func, seen)


def _parts_of_function(function: Any, seen: set[int]) -> Iterator[bytes]:
    yield f"{function.__module__}.{function.__qualname__}".encode()
    yield from _parts_of_value(function.__defaults__, seen)
    for cell in function.__closure__ or ():
        yield from _parts_of_value(cell.cell_contents, seen)
    yield from _parts_of_code(function.__code__, function.__globals__, function.__doc__, seen)


def _parts_of_code(
    code: types.CodeType, known: dict[str, Any], doc: str | None, seen: set[int]
) -> Iterator[bytes]:
    yield code.co_code
    yield code.co_exceptiontable
    yield repr((code.co_varnames, code.co_freevars, code.co_cellvars, code.co_names)).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts_of_code(constant, known, None, seen)
        elif constant is None or constant != doc:
            yield repr(constant).encode()
    for name in code.co_names:
        if name in known:
            yield name.encode()
            value = known[name]
            yield from _parts_of_value(value, seen)
            if isinstance(value, types.ModuleType) and value.__name__.startswith(_PACKAGE):
                for attribute in code.co_names:
                    if hasattr(value, attribute):
                        yield attribute.encode()
                        yield from _parts_of_value(getattr(value, attribute), seen)


def _parts_of_value(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Name a value that a kernel freezes; of what it does not freeze, who it is."""
    if isinstance(value, numba.core.dispatcher.Dispatcher):
        yield from _parts_of_kernel(value, seen)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, enum.EnumMeta):
        members: dict[str, Any] = dict(value.__members__)
        yield repr([(name, member.value) for name, member in members.items()]).encode()
    elif isinstance(value, tuple):
        for element in value:
            yield from _parts_of_value(element, seen)
    elif hasattr(value, "_defn"):
        # An intrinsic of numba's: a function that writes instructions.
        yield from _parts_of_function(value._defn, seen)  # noqa: SLF001
    elif isinstance(value, type):
        fields = getattr(value, "_fields", ())
        yield f"{value.__module__}.{value.__qualname__} {fields}".encode()
    elif isinstance(value, types.ModuleType):
        yield value.__name__.encode()
    elif isinstance(value, types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        yield f"{getattr(value, '__module__', '')}.{value.__name__}".encode()
    else:
        yield f"{type(value).__qualname__} {value!r}".encode()


@dataclass(frozen=True)
class _Place:
    """Tells numba's cache the folder, and makes it (the interface of its locators)."""

    folder: Path

    def get_cache_path(self) -> str:
        return str(self.folder)

    def ensure_cache_path(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)


class _Stored(CompileResultCacheImpl):
    """How numba writes and reads one kernel's machine code, at a place of ours."""

    def __init__(self, place: _Place) -> None:
        self._locator = place

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """Make callable what was kept (the interface of numba's caches)."""
        return rebuilt(target_context, payload)


@cache
def _is_writable(place: _Place) -> bool:
    try:
        place.ensure_cache_path()
        tempfile.TemporaryFile(dir=place.get_cache_path()).close()
    except OSError:
        return False
    return True


_numba_cache: Any = FunctionCache
_numba_files: Any = IndexDataCacheFile


class KernelCache(FunctionCache):
    """The cache of one kernel, opened at the first call: by then all that it calls is defined.

    A folder that cannot be written keeps nothing: kernels are compiled in each run.

    Args:
        kernel: the numba dispatcher.
        folder: of the files.
        compiling: called before the kernel is compiled because the folder does not have it.
    """

    _cache_file: Any

    def __init__(self, kernel: Any, folder: Path, compiling: Callable[[], None]) -> None:
        self._kernel = kernel
        self._py_func = kernel.py_func
        self._name = repr(kernel.py_func)
        self._place = _Place(folder)
        self._impl = _Stored(self._place)
        self._cache_path = str(folder)
        self._compiling = compiling
        self._opened = False
        self._enabled = True

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the machine code for argument types, or None: it has to be compiled."""
        if not self._opened:
            self._open()
        try:
            # What numba would load first is for compiling, and takes a sixth of a second.
            found = _numba_cache._load_overload(self, sig, target_context)  # noqa: SLF001
        except Exception:  # noqa: BLE001  whatever damaged octets unpickle to
            # A damaged file is as good as none: forget it, compile, write again.
            found = None
            self._cache_file.flush()
        if found is None:
            self._compiling()
        return found

    def _open(self) -> None:
        function = self._py_func
        name = f"{function.__module__}.{function.__qualname__}".replace("<locals>", "local")
        named = digest(self._kernel)
        self._cache_file = _numba_files(self._cache_path, f"{name}-{named}", named)
        self._opened = True
        self._enabled = _is_writable(self._place)
