"""Lets the test files of this folder import what they share."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

# The first example compiles kernels, and machines that test are busy.
settings.register_profile("evidence", deadline=None)
settings.load_profile("evidence")
