"""The command line of `scripts/fuzz`."""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzzkit import guided
from fuzzkit.mutation import damaged
from fuzzkit.targets import TARGETS, Target

SECONDS_EACH = 10
"""Longest that one input may take."""

HUNG = 300
"""Seconds after which an input has hung where no signal is heard: inside a kernel."""

WARMING = 200
"""Inputs that are run without a clock first: each kernel is compiled when it is first needed."""

MEMORY = 6 << 30
"""Octets of data that the process may hold: what grows without bound ends in MemoryError."""

SAVED = Path("out/fuzz")
"""Where inputs go that broke something."""


class TooSlow(Exception):
    """An input took longer than `SECONDS_EACH`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; returns 0, or 1 when something broke."""
    options = _parser().parse_args(arguments)
    if options.guided:
        return _guided(options, sys.argv[1:] if arguments is None else arguments)
    if options.checked and os.environ.get("NUMBA_BOUNDSCHECK") != "1":
        return _checked(arguments)
    if options.checked:
        _canary()
    chosen = [one for one in TARGETS if options.name in (one.name, "all")]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    return max(_fuzz(one, options) for one in chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fuzz", description=__doc__, epilog="Example: scripts/fuzz pcap --seconds 60 --checked"
    )
    names = [one.name for one in TARGETS]
    parser.add_argument("name", choices=[*names, "all"], help="what to fuzz")
    parser.add_argument("--seconds", type=float, default=0, help="stop after so long")
    parser.add_argument("--executions", type=int, default=0, help="stop after so many inputs")
    parser.add_argument("--seed", type=int, default=1, help="of the damage; default: %(default)s")
    parser.add_argument(
        "--checked",
        action="store_true",
        help="check every index in every kernel; compiles them anew, for some minutes",
    )
    parser.add_argument(
        "--guided",
        action="store_true",
        help="be led by coverage, with kernels uncompiled: needs atheris, and is slow",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="with --guided: write the target's corpus anew (tests/fuzz/corpus)",
    )
    return parser


def _guided(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Fuzz with atheris."""
    guided.restarted(words, Path(__file__).resolve().parent.parent / "fuzz")
    chosen = [one for one in TARGETS if options.name in (one.name, "all")]
    executions = options.executions or (0 if options.seconds else 1_000)
    return max(
        guided.fuzz(one, options.seconds, executions, options.seed, SAVED, keep=options.keep)
        for one in chosen
    )


def _checked(arguments: Sequence[str] | None) -> int:
    """Run again with bounds checks, in an empty cache: a warm one would void them in silence."""
    with tempfile.TemporaryDirectory(prefix="dns-forensics-fuzz-") as cache:
        environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": cache}
        script = Path(__file__).resolve().parent.parent / "fuzz"
        words = sys.argv[1:] if arguments is None else list(arguments)
        return subprocess.run(
            [sys.executable, str(script), *words], env=environment, check=False
        ).returncode


def _canary() -> None:
    """Prove that the checks are on."""
    import numpy as np

    from forensics.wire.jit import lean_kernel

    @lean_kernel
    def beyond(values: object) -> object:
        return values[len(values) + 5]

    try:
        beyond(np.zeros(3, np.uint8))
    except IndexError:
        return
    raise SystemExit("the canary sings: kernels do not check bounds, so this run proves nothing")


def _fuzz(target: Target, options: argparse.Namespace) -> int:
    """Fuzz one target until its time or number is up, or something broke."""
    seeds = [*target.seeds(), *guided.kept(target.name)]
    dice = random.Random(f"{target.name} {options.seed}")
    executions = options.executions or (0 if options.seconds else 1_000)

    def too_slow(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, too_slow)
    # Whatever is compiled, or read from the cache, is so before the clock runs.
    for data in [*seeds, *(damaged(dice, seeds) for _ in range(WARMING))]:
        try:
            target.run(data, dice)
        except Exception:  # noqa: BLE001  as below
            return _told(target, data, 0)
    began = time.monotonic()
    done = 0
    at_hand: dict[str, Any] = {"data": b"", "since": began}
    threading.Thread(target=_watch, args=(target, at_hand), daemon=True).start()
    while (not executions or done < executions) and (
        not options.seconds or time.monotonic() - began < options.seconds
    ):
        data = damaged(dice, seeds)
        state = dice.getstate()
        at_hand.update(data=data, since=time.monotonic())
        try:
            try:
                _timed(target, data, dice)
            except TooSlow:
                # A kernel that this input needs first was compiled: only a second time counts.
                dice.setstate(state)
                _timed(target, data, dice)
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            at_hand.update(since=None)
            return _told(target, data, done)
        done += 1
    at_hand.update(since=None)
    took = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{target.name}: {done:,} inputs in {took:.1f} s, peak {peak} MiB, nothing broke")
    return 0


def _watch(target: Target, at_hand: dict[str, Any]) -> None:
    """End the process where an input takes `HUNG` seconds: a kernel hears no alarm."""
    while at_hand["since"] is not None:
        time.sleep(1)
        since = at_hand["since"]
        if since is not None and time.monotonic() - since > HUNG:
            path = _kept(target, at_hand["data"])
            print(f"{target.name}: an input hangs in a kernel; kept as {path}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)


def _timed(target: Target, data: bytes, dice: random.Random) -> None:
    """Run one input, for `SECONDS_EACH` at most."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS_EACH)
    try:
        target.run(data, dice)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _told(target: Target, data: bytes, done: int) -> int:
    """Keep the input that broke something, and say what it was."""
    path = _kept(target, data)
    traceback.print_exc()
    print(f"{target.name}: input {done:,} broke it; kept as {path}", file=sys.stderr)
    return 1


def _kept(target: Target, data: bytes) -> Path:
    import hashlib

    SAVED.mkdir(parents=True, exist_ok=True)
    path = SAVED / f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
