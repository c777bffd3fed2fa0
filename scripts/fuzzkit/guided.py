"""Fuzzing led by coverage (atheris): kernels run uncompiled, so that their branches count too.

What it finds worth keeping goes to `tests/fuzz/corpus/NAME`, which all other runs start from too.
"""

import gc
import hashlib
import os
import random
import shutil
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType

from fuzzkit.mutation import LONGEST
from fuzzkit.targets import Target

CORPUS = Path(__file__).resolve().parents[2] / "tests" / "fuzz" / "corpus"
SECONDS_EACH = 20
"""Longest that one input may take: kernels without compiler are a hundred times as slow."""
MEMORY = 4096
"""MiB that the process may hold."""
KEPT = 24
"""Inputs of one target that are kept."""
SHORT = 4096
"""Octets of the longest of them."""


def kept(name: str) -> list[bytes]:
    """The inputs that led to new coverage once, in order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def restarted(words: Sequence[str], script: Path) -> None:
    """Begin again with kernels uncompiled, where this process may have compiled some."""
    if os.environ.get("NUMBA_DISABLE_JIT") != "1":
        # Under bounds checks words are read by kernels too, not by machine instructions.
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "NUMBA_BOUNDSCHECK": "1"}
        os.execve(sys.executable, [sys.executable, str(script), *words], environment)


def fuzz(
    target: Target, seconds: float, executions: int, seed: int, saved: Path, *, keep: bool
) -> int:
    """Fuzz one target in a process of its own; returns 0, or 1 when something broke.

    With `keep`, the shortest of what led to new coverage becomes the target's corpus.
    """
    saved.mkdir(parents=True, exist_ok=True)
    seeds = [*target.seeds(), *kept(target.name)]
    with tempfile.TemporaryDirectory(prefix="dns-forensics-fuzz-") as made:
        found = Path(made, "found")
        found.mkdir()
        for number, data in enumerate(seeds):
            (found / f"seed-{number}").write_bytes(data[:LONGEST])
        limits = [f"-max_total_time={int(seconds)}", f"-runs={executions or -1}", f"-seed={seed}"]
        limits.append(f"-artifact_prefix={saved}/{target.name}-")
        status = _apart(target, [str(found), *limits], saved)
        if keep and not status:
            # What led to coverage that nothing before it had; it is kept under its digest.
            new = [path for path in found.iterdir() if not path.name.startswith("seed-")]
            _keep(target, [path.read_bytes() for path in new])
    return status


def _keep(target: Target, inputs: list[bytes]) -> None:
    """Add to the corpus of a target, and thin it out: some of every length."""
    short = {data for data in (*inputs, *kept(target.name)) if len(data) <= SHORT}
    ordered = sorted(short, key=lambda one: (len(one), one))
    folder = CORPUS / target.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for data in ordered[:: max(len(ordered) // KEPT, 1)][:KEPT]:
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def _apart(target: Target, arguments: list[str], saved: Path) -> int:
    """Run atheris in a process of its own, for it ends the one that it runs in."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            _run(target, arguments, saved)
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException:  # noqa: BLE001  whatever it is, the other process must not go on here
            traceback.print_exc()
        os._exit(3)
    _, status = os.waitpid(child, 0)
    return int(status != 0)


def _run(target: Target, arguments: list[str], saved: Path) -> None:
    try:
        import atheris
    except ImportError:
        print("fuzz: --guided needs atheris: pip install atheris", file=sys.stderr)
        os._exit(2)
    warnings.simplefilter("ignore")  # kernels count on numbers of 64 bits that wrap around
    for data in target.seeds()[:3]:
        target.run(data, random.Random(0))  # imports what is imported late
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and (one.__module__ or "").startswith("forensics."):
            atheris.instrument_func(one)

    def run(data: bytes) -> None:
        try:
            target.run(data, random.Random(zlib.crc32(data)))
        except Exception:
            name = f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
            print(f"{target.name}: kept as {saved / name}", file=sys.stderr)
            (saved / name).write_bytes(data)
            raise

    atheris.Setup(
        [
            "fuzz", *arguments, f"-max_len={LONGEST}", f"-timeout={SECONDS_EACH}",
            f"-rss_limit_mb={MEMORY}", "-print_final_stats=1",
        ],
        run,
    )  # fmt: skip
    atheris.Fuzz()
