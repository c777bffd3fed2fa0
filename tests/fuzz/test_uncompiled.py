"""Kernels say the same without the compiler: what guided fuzzing sees is what users run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TELL = """
import hashlib, random, sys, tempfile, warnings
from pathlib import Path
warnings.simplefilter("ignore")  # numbers of 64 bits that wrap around
sys.path.insert(0, sys.argv[1])
import numpy as np
from forensics.capture.readers import open_capture
from fuzzkit import seeds, streams
from fuzzkit.mutation import damaged
made = [*seeds.pcap()[:2], *seeds.pcapng()[2:4], *seeds.dnstap()[:2], *seeds.tls()[:1]]
made += [streams.capture(one) for one in streams.seeds(seeds.messages())[:8]]
dice = random.Random(8)
made += [damaged(dice, made) for _ in range(30)]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "a")
    for data in made:
        path.write_bytes(data)
        told = hashlib.sha256()
        try:
            capture = open_capture(str(path), 0)
            for block in capture.blocks():
                for row in range(len(block)):
                    start, size = int(block.start[row]), int(block.captured[row])
                    told.update(block.octets[start : start + size].tobytes())
                    told.update(repr([int(getattr(block, name)[row]) for name in (
                        "frame", "time", "length", "source_port", "transport", "flags"
                    )]).encode())
            capture.close()
            facts = capture.facts
            losses = sorted(facts.losses.as_dict().items())
            print(told.hexdigest(), facts.packets, facts.messages, losses)
        except Exception as error:
            print(type(error).__name__, str(error).replace(folder, ""))
"""


def told(**environment: str) -> list[str]:
    """What a process of its own reads: a line a capture."""
    ran = subprocess.run(
        [sys.executable, "-c", TELL, str(SCRIPTS)],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_kernels_without_compiler_read_the_same() -> None:
    compiled = told()
    plain = told(NUMBA_DISABLE_JIT="1", NUMBA_BOUNDSCHECK="1")
    assert len(compiled) > 40
    assert sum(" 0 [" not in line for line in compiled) > 20
    assert plain == compiled
