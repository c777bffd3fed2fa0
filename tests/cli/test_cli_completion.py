"""Tab in a real bash and a real zsh, after `--install-completion` as the README says."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("dns-forensics")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
"""Seconds to wait for a line: a busy machine starts the program slowly."""

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="dns-forensics is not installed")


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, shell: str, home: Path) -> None:
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.environ.clear()
            os.environ.update(
                HOME=str(home), ZDOTDIR=str(home), TERM="dumb", PS1="$ ", LC_ALL="C.UTF-8",
                PATH=f"{PROGRAM.parent}:/usr/local/bin:/usr/bin:/bin", PYTHONPATH=str(ROOT),
                COLUMNS="200", SHELL=f"/bin/{shell}",
            )  # fmt: skip
            os.execvp(shell, [shell, "-i"])
        self.seen = ""

    def type(self, text: str) -> None:
        self.seen = ""
        os.write(self.end, text.encode())

    def wait_for(self, pattern: str) -> str:
        """What was shown, as soon as the pattern is in it."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if re.search(pattern, self.seen):
                return self.seen
            if select.select([self.end], [], [], 0.5)[0]:
                self.seen += os.read(self.end, 65_536).decode(errors="replace")
        raise AssertionError(f"no {pattern!r} in {self.seen!r}")

    def close(self) -> None:
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.end)


@pytest.fixture(params=["bash", "zsh"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A home in which the shell's own command has installed the completion."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / f".{shell}rc").write_text("" if shell == "bash" else "autoload -Uz compinit\n")
    terminal = Terminal(shell, tmp_path)
    try:
        terminal.type("dns-forensics --install-completion; echo status=$?\n")
        shown = terminal.wait_for(r"status=\d")
        assert "status=0" in shown, shown
        assert f"{shell} completion installed" in shown, shown
    finally:
        terminal.close()
    return shell, tmp_path


def test_tab_completes_commands_and_options(home: tuple[str, Path]) -> None:
    terminal = Terminal(*home)
    try:
        terminal.type("echo re''ady\n")
        terminal.wait_for("ready")
        terminal.type("dns-forensics anal\t")
        if home[0] == "zsh":  # its first Tab loads the completion, as the README says
            terminal.wait_for(r"\x07|yze")
            terminal.type("\t")
        terminal.wait_for("yze")
        terminal.type("--basel\t")
        terminal.wait_for(r"--basel\S*?ine")
        terminal.type("\x15dns-forensics verify --re\t")
        terminal.wait_for(r"--re\S*?run")
    finally:
        terminal.close()
