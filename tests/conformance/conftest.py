"""The evidence stage's hand-made blocks serve here too, and a signer for all folders."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "evidence"), str(HERE)]
