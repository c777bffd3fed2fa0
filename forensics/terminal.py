"""What stands between the command line and a terminal: progress, colours, signals, exit lines."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, TextIO

from forensics.output import discard

if TYPE_CHECKING:
    from forensics.errors import InputError
    from forensics.pipeline import Progress


GRACE: Final = 5.0
"""Seconds after which a signal that was not obeyed is raised again."""

PATIENCE: Final = 8.0
"""Seconds after which the process is ended by force."""

CLEARING: Final = 3.0
"""Seconds that clearing away may then take."""


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour a stream: a terminal that can, and a user who did not set NO_COLOR."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def plain_line(text: str) -> str:
    """Make a text that names files safe to print."""
    from forensics.report.summary import plain

    return plain(text)


def complain(message: str) -> None:
    """Print one clear line to standard error."""
    from forensics.report.summary import plain

    sys.stderr.write(f"dns-forensics: {plain(message)}\n")


def report_errors(errors: tuple[InputError, ...]) -> None:
    """One line for each input that could not be read."""
    for error in errors:
        complain(str(error))


def say_if_compiling(quiet: bool) -> None:
    """Tell a user whose kernels have to be compiled first why that run takes minutes."""
    from forensics.wire.jit import CACHE, when_compiling

    def told() -> None:
        sys.stderr.write(
            "First run of this version: compiling its kernels, once, for one to three minutes "
            f"(kept in {CACHE}) ...\n"
        )

    if not quiet:
        when_compiling(told)


class _Bar:
    """A progress bar on a terminal: octets of input read, rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("reading", total=None)

    def __enter__(self) -> Progress:
        self._progress.start()
        return self._update

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _update(self, stage: str, done: int, total: int) -> None:
        self._progress.update(self._task, description=stage, completed=done, total=total or None)


def bar(quiet: bool) -> AbstractContextManager[Progress | None]:
    """Return a progress bar where a person watches, else nothing."""
    if quiet or not sys.stderr.isatty():
        return nullcontext(None)
    return _Bar()


def stop_on_signals() -> Callable[[], int]:
    """End on Ctrl-C, SIGTERM and SIGHUP by unwinding, so that half an output folder goes away.

    Returns what gives the number of the signal that came first, or 0.

    The exit status is 128 and the signal's number, as a shell gives it. Python drops an exception
    that is raised while an object is taken down, so a signal that is not obeyed within
    `GRACE` seconds raises again.

    No handler runs while the main thread is inside a compiler or waits for the lock of one, and to
    unwind may mean to wait for a thread that compiles for minutes. So a thread is told of signals
    too, and after `PATIENCE` seconds ends the process, half an output folder first.
    """

    def stop(number: int, _: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        raise SystemExit(128 + (asked.setdefault("signal", number)))

    def insist() -> None:
        while True:
            number = os.read(told, 1)[0]
            # A command that ends in its own way (watch, listen) has other handlers.
            if number != signal.SIGALRM and signal.getsignal(number) is stop:
                break
        time.sleep(PATIENCE)
        _end(128 + number)

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if "signal" not in asked or what.exc_type is not SystemExit:
            sys.__unraisablehook__(what)

    asked: dict[str, int] = {}
    sys.unraisablehook = dropped
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM"):
        signal.signal(getattr(signal, name), stop)
    # The interpreter takes its handlers away as it ends, and an alarm would kill it then.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    told, teller = os.pipe()
    os.set_blocking(teller, False)
    signal.set_wakeup_fd(teller, warn_on_full_buffer=False)
    threading.Thread(target=insist, name="signals", daemon=True).start()
    return lambda: asked.get("signal", 0)


def _end(status: int) -> None:
    """End the process whatever its threads do; first clear away what is not whole."""
    last = threading.Timer(CLEARING, os._exit, [status])
    last.daemon = True
    last.start()
    discard()
    atexit._run_exitfuncs()  # noqa: SLF001  temporary folders are taken away there
    os._exit(status)


def leave_out_pandas() -> None:
    """Let pyarrow believe that pandas is not installed, in this process.

    pyarrow imports pandas at the first Python list that it is given, which takes longer than the
    analysis of a small capture. No command needs pandas; the Python API does, and is not touched.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    pa.array([0])
    sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """A finder of modules that says of pandas that it is not there."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ImportError(name)
