"""The command `watch`: follow captures as they come, and tell when validation begins failing."""

from __future__ import annotations

import os
import re
import select
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from forensics import limits
from forensics.errors import UsageError
from forensics.options import Options

RECORDING_SECONDS: Final = 60
"""Time in one file of the recorder behind --socket."""

RECORDING_OCTETS: Final = 256 * 2**20
"""Octets in one such file before compression."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for.

    Attributes:
        folder: to be followed; None: a socket is.
        socket: `unix:PATH` or `tcp:HOST:PORT`; empty: a folder is.
        public: the socket may be one that others can reach.
        state: folder of ours.
        notices: file for the notices; None: standard output.
        hook: command to be run with each notice; empty: none.
        horizon, silence: as `seconds` reads them; silence may be empty.
        hours: before the end of signatures.
        options: of the analysis.
    """

    folder: Path | None
    socket: str
    public: bool
    state: Path
    notices: Path | None
    hook: str
    horizon: str
    silence: str
    hours: float
    options: Options


def seconds(text: str, option: str) -> int:
    """Read a time such as 90s, 10m, 2h or 1d, in seconds.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if found is None or not int(found[1]):
        raise UsageError(f"{option} {text}: write a time like 90s, 10m or 2h")
    return int(found[1]) * _UNITS[found[2]]


def watch(
    asked: Asked,
    *,
    clock: Callable[[], int],
    complain: Callable[[str], None],
    begun: Callable[[], None],
) -> None:
    """Follow until SIGINT or SIGTERM.

    Args:
        asked: what the user asked for.
        clock: wall clock, ns since 1970 UTC.
        complain: takes a line for a person.
        begun: called once the first look may begin.

    Raises:
        UsageError: an option is wrong, or a folder or file cannot be read or written.
    """
    from forensics.keyring import anchors as trust
    from forensics.keyring import archive
    from forensics.watching.delivery import Delivery
    from forensics.watching.sources import Follower
    from forensics.watching.store import Store
    from forensics.watching.watcher import Settings, Watcher, run

    if (asked.folder is None) == (not asked.socket):
        raise UsageError("name a folder or a --socket, one of them")
    if asked.folder is not None and not asked.folder.is_dir():
        raise UsageError(f"{asked.folder}: no folder")
    settings = Settings(
        asked.options,
        horizon=seconds(asked.horizon, "--horizon") * limits.SECOND,
        silence=seconds(asked.silence, "--silence") * limits.SECOND if asked.silence else 0,
        hours=asked.hours,
    )
    anchors = trust.chosen(asked.options.trust_anchors)
    supplied = archive.read(asked.options.keys)
    asked_to_stop: list[int] = []
    # A pipe wakes the waiting: an Event that a handler sets can lock up with the one who waits.
    wake, waker = os.pipe()

    def stop(number: int, _: object) -> None:
        asked_to_stop.append(number)
        os.write(waker, b".")

    with ExitStack() as stack:
        stack.callback(os.close, wake)
        stack.callback(os.close, waker)
        store = Store(asked.state)
        watched = str(asked.folder.resolve()) if asked.folder else asked.socket
        known = store.load(watched)
        delivery = Delivery(asked.notices, asked.hook, complain)
        recorder = None
        if asked.socket:
            recorder = _Recorder(asked, store.captures, clock)
            stack.enter_context(recorder)
        follower = Follower(
            asked.folder or store.captures,
            store.pieces,
            own=bool(asked.socket),
            sources=known.sources,
            number=known.number,
            departed=known.departed,
        )
        watcher = Watcher(store, follower, known, settings, delivery, anchors, supplied)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            former = signal.signal(number, stop)
            stack.callback(signal.signal, number, former)
        begun()

        def wait(pause: float) -> bool:
            select.select([wake], [], [], pause)
            if recorder is not None:
                recorder.check()
            return bool(asked_to_stop)

        try:
            run(watcher, clock, wait)
            if recorder is not None:
                # What was on its way when we were told to stop is recorded, and judged.
                recorder.finish(complain)
                # A backlog is taken in parts; who asks twice does not want to wait for it.
                while watcher.step(clock()) and len(asked_to_stop) < 2:
                    pass
        finally:
            watcher.close()
        complain(f"{watcher.frames():,} packets were read")


class _Recorder:
    """The recorder of `listen`, in a thread of its own, into a folder of ours."""

    def __init__(self, asked: Asked, folder: Path, clock: Callable[[], int]) -> None:
        from forensics.capture.listener import Tally, bound
        from forensics.capture.recording import Recording

        self._address = asked.socket
        self._server = bound(asked.socket, public=asked.public)
        self._recording = Recording(
            folder, seconds=RECORDING_SECONDS, octets=RECORDING_OCTETS, clock=clock
        )
        self._tally = Tally()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._server.close()
        if self._address.startswith("unix:"):
            Path(self._address.removeprefix("unix:")).unlink(missing_ok=True)

    def check(self) -> None:
        """Look whether it still records.

        Raises:
            UsageError: it cannot go on.
        """
        if isinstance(self._failure, UsageError):
            raise self._failure
        if self._failure is not None:
            raise UsageError(f"the recorder failed: {self._failure}")

    def finish(self, complain: Callable[[str], None]) -> None:
        """Stop recording, let the last file appear, and tell of connections that broke."""
        self._stop.set()
        self._thread.join()
        for sentence in self._tally.sentences():
            complain(sentence)
        self.check()

    def _run(self) -> None:
        from forensics.capture.listener import listen

        try:
            self._tally = listen(self._server, self._recording, self._stop.is_set)
        except BaseException as failure:  # noqa: BLE001  told by the other thread
            self._failure = failure
        finally:
            self._recording.finish()
