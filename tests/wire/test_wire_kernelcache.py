"""What the name of a compiled kernel depends on."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from forensics.wire.kernelcache import digest

CALLEE = "@njit\ndef callee(x):\n    {doc}\n    return x + CONSTANT{change}\n"
CALLER = "@njit\ndef caller(x):\n    # {comment}\n    return callee(x) * 2\n"
SELF = "@njit\ndef down(n):\n    return 0 if n < 1 else down(n - {step})\n"


def kernels(
    *, constant: object = 3, change: str = "", doc: str = "", comment: str = "", step: int = 1,
    lines: int = 0, other: int = 1,
) -> dict[str, object]:  # fmt: skip
    names: dict[str, object] = {
        "njit": numba.njit, "CONSTANT": constant, "OTHER": other, "__name__": "made",
    }  # fmt: skip
    text = "\n" * lines + CALLER.format(comment=comment) + SELF.format(step=step)
    text += CALLEE.format(doc=repr(doc) if doc else "pass", change=change)
    exec(compile(text, f"made-{lines}.py", "exec"), names)
    return names


def named(**changes: object) -> str:
    return digest(kernels(**changes)["caller"])


def test_what_is_not_machine_code_does_not_count() -> None:
    plain = named()
    assert plain == named(comment="another") == named(lines=7) == named(other=2)
    assert named(doc="One.") == named(doc="Two.")


@pytest.mark.parametrize(
    "change", [{"constant": 4}, {"constant": 3.0}, {"constant": True}, {"change": " + 1"}]
)
def test_a_change_in_a_callee_counts(change: dict[str, object]) -> None:
    assert named(**change) != named()


def test_arrays_count_by_their_octets() -> None:
    import numpy as np

    first = named(constant=np.arange(3))
    assert first == named(constant=np.arange(3))
    assert first != named(constant=np.arange(1, 4))
    assert first != named(constant=np.arange(3, dtype=np.uint8))


def test_a_kernel_that_calls_itself() -> None:
    assert digest(kernels()["down"]) == digest(kernels()["down"])
    assert digest(kernels()["down"]) != digest(kernels(step=2)["down"])


def test_constants_of_a_module_count_where_they_are_named() -> None:
    import types

    def through(values: dict[str, int]) -> str:
        module = types.ModuleType("forensics.made")
        vars(module).update(values)
        names: dict[str, object] = {"njit": numba.njit, "module": module, "__name__": "made"}
        exec("@njit\ndef reads(x):\n    return x + module.ONE\n", names)
        return digest(names["reads"])

    assert through({"ONE": 1, "TWO": 2}) == through({"ONE": 1, "TWO": 3})
    assert through({"ONE": 1, "TWO": 2}) != through({"ONE": 5, "TWO": 2})


PROGRAM = """
import sys
import numpy as np
from forensics.wire.jit import lean_kernel, when_compiling

when_compiling(lambda: print("compiling"))

@lean_kernel
def beyond(values, at):
    return values[at]

try:
    print(int(beyond(np.zeros(3, np.uint8), int(sys.argv[1]))))
except IndexError:
    print("refused")
"""


def run(folder: Path, *asked: object, program: str = PROGRAM, **environment: str) -> list[str]:
    made = folder / "program.py"
    made.write_text(program)
    result = subprocess.run(
        [sys.executable, str(made), *map(str, asked)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "NUMBA_CACHE_DIR": str(folder / "kernels"),
            "NUMBA_BOUNDSCHECK": "0",
            **environment,
        },
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return result.stdout.split()


def test_kept_for_the_next_run_and_apart_from_checked_ones(tmp_path: Path) -> None:
    assert run(tmp_path, 1) == ["compiling", "0"]
    assert run(tmp_path, 1) == ["0"]
    assert run(tmp_path, 5, NUMBA_BOUNDSCHECK="1") == ["compiling", "refused"]
    assert run(tmp_path, 5, NUMBA_BOUNDSCHECK="1") == ["refused"]
    assert run(tmp_path, 1) == ["0"]


def test_a_damaged_file_is_compiled_again(tmp_path: Path) -> None:
    assert run(tmp_path, 1) == ["compiling", "0"]
    for path in (tmp_path / "kernels").iterdir():
        path.write_bytes(b"no kernel")
    assert run(tmp_path, 1) == ["compiling", "0"]
    assert run(tmp_path, 1) == ["0"]


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "kernels").write_text("a file stands here")
    assert run(tmp_path, 1) == ["compiling", "0"]
    assert run(tmp_path, 1) == ["compiling", "0"]


CALLING = """
import sys
import llvmlite.binding as llvm
import numpy as np
from forensics.wire.jit import kernel, lean_kernel, when_compiling

when_compiling(lambda: print("compiling"))
parse = llvm.parse_bitcode
llvm.parse_bitcode = lambda *args: print("bitcode") or parse(*args)

@lean_kernel
def inner(values, at):
    return values[at] + 1

@lean_kernel
def outer(values, at):
    return 10 * inner(values, at)

@kernel
def allocating(values, at):
    made = np.zeros(5, np.int64)
    made[at] = 7
    return made.sum()

for name in sys.argv[1:]:
    print(int(globals()[name](np.ones(3, np.uint8), 1)))
"""


def test_a_kept_kernel_can_be_compiled_into_another_and_until_then_its_bitcode_rests(
    tmp_path: Path,
) -> None:
    assert run(tmp_path, "inner", program=CALLING) == ["compiling", "2"]
    assert run(tmp_path, "inner", program=CALLING) == ["2"]
    assert run(tmp_path, "inner", "outer", program=CALLING) == ["2", "compiling", "bitcode", "20"]
    # What calls it holds all that it needs.
    for path in (tmp_path / "kernels").glob("*inner*"):
        path.unlink()
    assert run(tmp_path, "outer", program=CALLING) == ["20"]


def test_a_kept_kernel_that_allocates_finds_the_runtime_that_it_needs(tmp_path: Path) -> None:
    assert run(tmp_path, "allocating", program=CALLING) == ["compiling", "7"]
    assert run(tmp_path, "allocating", program=CALLING) == ["7"]
    assert run(tmp_path, "inner", "allocating", program=CALLING) == ["compiling", "2", "7"]
    assert run(tmp_path, "inner", "allocating", program=CALLING) == ["2", "7"]
