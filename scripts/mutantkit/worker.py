"""The process that makes mutants and analyses them, one after the other.

It says which mutant it is about to run before it runs it, and how much memory that took after it,
so that whoever started it knows which one has killed it, hangs, or takes too much (`overseer.py`).
"""

import json
import random
import resource
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mutantkit.changes import mutate, mutate_pieces
from mutantkit.laws import broken_laws
from mutantkit.records import Reel, Tape, file_of, octets_of, reel, tape

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared" / "captures"
ENDINGS = (".pcap", ".pcapng", ".cap", ".dnstap", ".fstrm", ".cdns", ".pb", ".zst", ".gz")
MEMORY = 6 << 30
"""Octets of data that the process may hold; what grows without bound ends in MemoryError."""
LARGEST = 6 << 20
"""Octets of a capture that is taken as a source."""
TRANSFERS = (251, 252)
"""QTYPE of IXFR and AXFR."""
IN_A_ROW = 4
"""Mutants in a row of one source, so that it is not read anew for each."""


@dataclass(frozen=True)
class Source:
    """A capture that mutants are made from.

    Attributes:
        path: the file.
        name: for the table.
        healthy: nothing in it is an outage, by the lab's truth.
        anchor: file with its trust anchor.
    """

    path: Path
    name: str
    healthy: bool
    anchor: Path | None


def sources(*, shared: bool) -> list[Source]:
    """The captures that mutants are made from, in a fixed order."""
    found = []
    for folder in sorted((ROOT / "captures").iterdir()):
        truth = folder / "truth.toml"
        if not truth.is_file():
            continue
        told = tomllib.loads(truth.read_text())
        healthy = told.get("expected") == "no incident"
        anchor = folder / "trust-anchor.ds"
        # A healthy capture is a source several times over: it is what may be accused wrongly.
        for _ in range(3 if healthy else 1):
            found.append(Source(folder / "capture.pcap.zst", folder.name, healthy, anchor))
        for path in sorted(folder.glob("*.dnstap*")):
            found.append(Source(path, f"{folder.name} dnstap", healthy, anchor))
    if shared and SHARED.is_dir():
        paths = [path for path in SHARED.rglob("*") if path.suffix.lower() in ENDINGS]
        found += [
            Source(path, str(path.relative_to(SHARED)), healthy=False, anchor=None)
            for path in sorted(paths)
        ]
    return [one for one in found if one.path.is_file() and 0 < one.path.stat().st_size < LARGEST]


@lru_cache(maxsize=12)
def opened(path: Path) -> tuple[bytes, Tape | Reel | None]:
    """A file's octets, decompressed, and its parts; None: it is changed octet by octet."""
    octets = octets_of(path)
    return octets, tape(octets) or reel(octets)


def mutant(sources: list[Source], number: int, seed: int) -> tuple[Source, bytes, list[str], bool]:
    """Make the mutant of a number.

    Returns:
        its source, its octets, what was done, and whether that was gentle only.
    """
    dice = random.Random(f"{seed} {number}")
    chosen = sources[number // IN_A_ROW % len(sources)]
    gentle = dice.random() < (0.6 if chosen.healthy else 0.2)
    octets, parts = opened(chosen.path)
    if isinstance(parts, Tape):
        records, names = mutate(parts, _another(sources, dice), dice, gentle=gentle)
        octets = file_of(parts.header, parts.order, records)
    elif isinstance(parts, Reel):
        octets, names = mutate_pieces(parts, dice, gentle=gentle)
    else:
        from fuzzkit.mutation import damaged

        for _ in range(dice.choice((1, 1, 2, 4))):
            octets = damaged(dice, [octets]) or octets
        return chosen, octets, ["octets"], False
    if dice.random() < 0.1:
        octets = octets[: dice.randrange(min(24, len(octets)), len(octets) + 1)]
        names.append("broken off")
    return chosen, octets, names, gentle


def _another(sources: list[Source], dice: random.Random) -> Iterable[Tape]:
    """A tape to splice from: read only if it is asked for."""
    for _ in range(20):
        parts = opened(dice.choice(sources).path)[1]
        if isinstance(parts, Tape):
            yield parts


def run(sources: list[Source], numbers: Iterable[int], seed: int) -> None:
    """Analyse the mutants of these numbers; write a line before and a line after each.

    The first one is analysed twice: what is read from the cache of kernels, or compiled, is so
    before a clock runs.
    """
    import pyarrow as pa

    from forensics.timeline import moduli

    # Small tables gain nothing by threads, and on a busy machine each waits for its turn.
    pa.set_cpu_count(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    # Whoever started it may end it at any time; nothing is to be said about that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # The keys of RSA signers may cost a stated 100 s a run, which is no hang: they are left out.
    moduli.EXPONENTS = (3,)  # type: ignore[misc]
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="dns-forensics-mutants-", dir=fast if fast.is_dir() else None
    ) as folder:
        place = Path(folder)
        warm = False
        for number in numbers:
            one, octets, names, gentle = mutant(sources, number, seed)
            if not warm:
                _tell({"warming": number})
                analysed(place, one, octets, blameless=False)
                warm = True
            _forget_peak()
            _tell({"begun": number})
            began = time.monotonic()
            faults = analysed(place, one, octets, blameless=gentle and one.healthy)
            _tell(
                {
                    "number": number,
                    "source": one.name,
                    "changes": names,
                    "judged": gentle and one.healthy,
                    "seconds": round(time.monotonic() - began, 3),
                    "octets": len(octets),
                    "peak": _peak(),
                    "faults": faults,
                }
            )


def analysed(place: Path, one: Source, octets: bytes, *, blameless: bool) -> list[str]:
    """Analyse a mutant; give what is wrong with the run or the report."""
    from forensics import pipeline
    from forensics.errors import NoInputError
    from forensics.options import Options

    path = place / "mutant"
    path.write_bytes(octets)
    anchors = (str(one.anchor),) if one.anchor is not None else ()
    try:
        pipeline.analyze(
            [str(path)], place / "out", Options(trust_anchors=anchors), figures=False
        )
        report = json.loads((place / "out" / "report.json").read_text())
        return broken_laws(
            report,
            {str(path): len(octets)},
            blameless=blameless,
            transfers=_holds_transfers(place / "out" / "tables"),
        )
    except NoInputError:
        return []
    except Exception:  # noqa: BLE001  whatever it is, it is a finding
        return [traceback.format_exc(limit=-3)]


def _holds_transfers(tables: Path) -> bool:
    """Whether a zone transfer (RFC 5936, RFC 1995) is among the transactions."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(TRANSFERS, pa.uint16())
    kinds = pq.read_table(tables / "transactions.parquet", columns=["qtype"])["qtype"]
    return bool(pc.any(pc.is_in(kinds, value_set=wanted)).as_py())


def _forget_peak() -> None:
    """Let the kernel count the largest resident memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Largest resident memory since then, octets."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
