"""How a notice reaches people: a line of JSON, and a command that is run with it.

The hook gets the notice on standard input and its key facts in its environment; no shell reads
either, for names come from captures. It may take `bounds.HOOK_SECONDS`; then it is killed with all
that it started. What it prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from forensics.errors import UsageError
from forensics.watching import bounds

_FACTS: Final = (
    "event", "id", "incident", "zone", "reason", "severity", "confidence", "view", "sentence",
    "noticed", "began", "capture",
)  # fmt: skip
_TAIL: Final = 2**20


def line_of(notice: Mapping[str, Any]) -> str:
    """Give the line of a notice: ASCII, so that nothing in it acts on a terminal."""
    return json.dumps(notice, ensure_ascii=True, separators=(",", ":"))


def facts_of(notice: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables of a hook's environment."""
    return {
        f"DNS_FORENSICS_{name.upper()}": str(notice[name])
        for name in _FACTS
        if notice.get(name) is not None
    }


class Delivery:
    """Writes notices and runs hooks for those of an outbox.

    Attributes:
        complain: takes a line for a person.

    Args:
        path: file to append lines to; None: standard output.
        hook: command line, its words told apart as a shell would; empty: none.
        complain: takes a line about a hook that failed.
        seconds: that a hook may take.
    """

    def __init__(
        self,
        path: Path | None,
        hook: str,
        complain: Callable[[str], None],
        seconds: float = bounds.HOOK_SECONDS,
    ) -> None:
        """Open the file, and cut off a line that was not finished.

        Raises:
            UsageError: it cannot be written, or the hook is no command line.
        """
        self.complain = complain
        self._seconds = seconds
        self._file: Any = None
        self._written: set[str] = set()
        try:
            self._words = shlex.split(hook)
        except ValueError as error:
            raise UsageError(f"--hook {hook}: {error}".lower()) from None
        if path is not None:
            try:
                self._file = path.open("a+b")
                self._written = _heal(self._file)
            except OSError as error:
                reason = (error.strerror or "error").lower()
                raise UsageError(f"--notices {path}: cannot be written: {reason}") from None
        self._pool = ThreadPoolExecutor(bounds.HOOKS, thread_name_prefix="hook")
        self._running: dict[str, Future[None]] = {}
        self._ending = False

    def pump(self, outbox: list[dict[str, Any]]) -> bool:
        """Write what is not written, run what is not run; take out what everyone has heard of.

        Returns:
            whether the outbox changed.

        Raises:
            UsageError: the file cannot be written.
        """
        before = [(row["written"], row["hooked"]) for row in outbox]
        for row in outbox:
            notice = row["notice"]
            if not row["written"]:
                self._write(notice)
                row["written"] = True
            if not row["hooked"]:
                row["hooked"] = self._hook(notice)
        over = len(outbox) - bounds.OUTBOX
        if over > 0:
            self.complain(f"{over} notices were never taken by a hook, and are given up")
            for row in outbox[:over]:
                row["hooked"] = True
        outbox[:] = [row for row in outbox if not (row["written"] and row["hooked"])]
        return before != [(row["written"], row["hooked"]) for row in outbox]

    def close(self, outbox: list[dict[str, Any]]) -> None:
        """Wait for the hooks that run; those that wait stay in the outbox."""
        self._ending = True
        for future in self._running.values():
            future.cancel()
        self._pool.shutdown(wait=True)
        self._running = {
            name: future for name, future in self._running.items() if not future.cancelled()
        }
        for row in outbox:
            done = self._running.get(row["notice"]["id"])
            row["hooked"] = row["hooked"] or done is not None
        outbox[:] = [row for row in outbox if not (row["written"] and row["hooked"])]
        if self._file is not None:
            self._file.close()

    def _write(self, notice: Mapping[str, Any]) -> None:
        if notice["id"] in self._written:
            return
        line = line_of(notice) + "\n"
        if self._file is None:
            sys.stdout.write(line)
            sys.stdout.flush()
            return
        try:
            self._file.write(line.encode("ascii"))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"--notices: cannot be written: {reason}") from None

    def _hook(self, notice: Mapping[str, Any]) -> bool:
        """Begin the hook of a notice, or tell whether it has ended."""
        if not self._words:
            return True
        known = self._running.get(notice["id"])
        if known is None:
            if not self._ending:
                self._running[notice["id"]] = self._pool.submit(self._run, dict(notice))
            return False
        if not known.done():
            return False
        del self._running[notice["id"]]
        return True

    def _run(self, notice: dict[str, Any]) -> None:
        """Run the hook to its end, or to the end of its time."""
        name = f"hook for {notice['event']} {notice.get('zone', '')}".strip()
        try:
            with subprocess.Popen(  # noqa: S603  the user's own command, no shell
                self._words,
                stdin=subprocess.PIPE,
                stdout=2,
                env={**os.environ, **facts_of(notice)},
                start_new_session=True,
            ) as process:
                try:
                    process.communicate((line_of(notice) + "\n").encode("ascii"), self._seconds)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    self.complain(f"{name}: killed after {self._seconds:g} seconds")
                    return
            if process.returncode:
                self.complain(f"{name}: ended with status {process.returncode}")
        except OSError as error:
            self.complain(f"{name}: cannot be run: {(error.strerror or 'error').lower()}")


def _heal(file: Any) -> set[str]:
    """Cut off an unfinished last line; give the ids of the last lines."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        file.truncate(size - (len(tail) - whole))
    found = set()
    for line in tail[:whole].splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            found.add(json.loads(line)["id"])
    return found
