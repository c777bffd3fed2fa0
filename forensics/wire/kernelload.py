"""Kept kernels become callable without what only a compiler needs of them.

Beside its machine code a kept kernel has its LLVM bitcode, to be compiled into others that call
it. To read that takes half of the time of loading; few runs compile anything, so it waits.
"""

from __future__ import annotations

from typing import Any, Final

import llvmlite.binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys

_RUNTIME: Final = b"NRT_"
"""How the names of numba's runtime begin, which counts references and allocates arrays. It is
compiled at each start, so only where machine code calls it: lean kernels do not."""

_numba_library: Any = JITCodeLibrary
_result: Any = CompileResult


class LoadedLibrary(JITCodeLibrary):
    """The machine code of one kept kernel; its bitcode is read when a caller is compiled.

    Args:
        codegen: numba's, of the target.
        name: of the library.
        machine_code: an object file.
        bitcode: of the same.
    """

    _shared_module: Any

    def __init__(self, codegen: Any, name: str, machine_code: bytes, bitcode: bytes) -> None:
        _numba_library.__init__(self, codegen, name)
        self._bitcode = bitcode
        library: Any = self
        library.enable_object_caching()
        library._set_compiled_object(machine_code)  # noqa: SLF001
        library._finalize_final_module()  # noqa: SLF001

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of a function that is in the machine code."""
        address: int = self._codegen._engine.get_function_address(name)  # noqa: SLF001
        return address

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None:
            self._shared_module = llvm.parse_bitcode(self._bitcode)
        return self._shared_module


def rebuilt(target: Any, payload: tuple[Any, ...]) -> Any:
    """Make callable what `CompileResult._reduce` gave of a kernel, as its `_rebuild` does.

    Args:
        target: numba's context of the target.
        payload: as kept; whatever is wrong with it raises.
    """
    (name, kind, code), fndesc, env, signature, objectmode, lifted, said, inits, others = payload
    if kind != "object":
        raise ValueError(kind)
    machine_code, bitcode = code
    if _RUNTIME in machine_code:
        rtsys.initialize(target)
    for init in inits:
        init()
    library: Any = LoadedLibrary(target.codegen(), name, machine_code, bitcode)
    result = _result(
        target_context=target,
        typing_context=target.typing_context,
        library=library,
        environment=env,
        entry_point=target.get_executable(library, fndesc, env),
        fndesc=fndesc,
        type_annotation=said,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        typing_error=None,
        call_helper=None,
        metadata=None,
        reload_init=inits,
        referenced_envs=others,
    )
    for other in others:
        library.codegen.set_env(other.env_name, other)
    return result
