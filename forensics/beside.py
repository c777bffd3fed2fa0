"""Python itself as a process beside, with the code of this package."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command(code: str) -> list[str]:
    """Return the command line that runs code; arguments may follow.

    With -P nothing is imported from the working folder, which may hold evidence.
    """
    return [sys.executable, "-P", "-c", code]


def environment() -> dict[str, str]:
    """Return the environment in which the package is found where this process found it."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path}
