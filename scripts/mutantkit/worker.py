"""The process that makes mutants and analyses them, one after the other.

It says which mutant it is about to run before it runs it, so that whoever started it knows which
one has killed it.
"""

import json
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutantkit.changes import mutate
from mutantkit.laws import broken_laws
from mutantkit.records import Tape, file_of, octets_of, tape

MEMORY = 6 << 30
"""Octets of data that the process may hold; what grows without bound ends in MemoryError."""
WARMING = 100
"""Mutants that are analysed without a clock first."""
SLOWEST = 10.0
"""Seconds that a mutant may take."""
LARGEST = 6 << 20
"""Octets of a capture that is taken as a source."""


class TooSlow(Exception):
    """A mutant took longer than `SLOWEST`."""


@dataclass(frozen=True)
class Source:
    """A capture that mutants are made from.

    Attributes:
        name: for the table.
        octets: the file, decompressed.
        tape: its records; None: it is not a classic pcap, and is changed octet by octet.
        healthy: nothing in it is an outage, by the lab's truth.
        anchor: file with its trust anchor.
    """

    name: str
    octets: bytes
    tape: Tape | None
    healthy: bool
    anchor: Path | None


def source(path: Path, name: str, *, healthy: bool, anchor: Path | None) -> Source | None:
    """Take a file as a source; None: it is too large."""
    octets = octets_of(path)
    if not octets or len(octets) > LARGEST:
        return None
    return Source(name, octets, tape(octets), healthy, anchor)


def mutant(sources: list[Source], number: int, seed: int) -> tuple[Source, bytes, list[str], bool]:
    """Make the mutant of a number.

    Returns:
        its source, its octets, what was done, and whether that was gentle only.
    """
    dice = random.Random(f"{seed} {number}")
    chosen = sources[number % len(sources)]
    gentle = dice.random() < (0.6 if chosen.healthy else 0.2)
    if chosen.tape is None:
        from fuzzkit.mutation import damaged

        octets = chosen.octets
        for _ in range(dice.choice((1, 1, 2, 4))):
            octets = damaged(dice, [octets]) or octets
        return chosen, octets, ["octets"], False
    others = [one.tape for one in sources if one.tape is not None]
    records, names = mutate(chosen.tape, others, dice, gentle=gentle)
    octets = file_of(chosen.tape.header, chosen.tape.order, records)
    if dice.random() < 0.1:
        octets = octets[: dice.randrange(24, len(octets) + 1)]
        names.append("broken off")
    return chosen, octets, names, gentle


def run(sources: list[Source], numbers: range, seed: int) -> None:
    """Analyse the mutants of these numbers; write a line before and a line after each."""
    from forensics.timeline import moduli

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    def too_slow(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, too_slow)
    # The keys of RSA signers may cost a stated 100 s a run, which is no hang: they are left out.
    moduli.EXPONENTS = (3,)  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="dns-forensics-mutants-") as folder:
        place = Path(folder)
        # Whatever is compiled, or read from the cache, is so before the clock runs: an alarm that
        # goes off inside the compiler leaves its lock behind.
        for number in range(WARMING):
            one, octets, _, _ = mutant(sources, number, seed)
            _analysed(place, one, octets, blameless=False, seconds=0)
        for number in numbers:
            _tell({"begun": number})
            one, octets, names, gentle = mutant(sources, number, seed)
            began = time.monotonic()
            faults = _analysed(place, one, octets, blameless=gentle and one.healthy)
            _tell(
                {
                    "number": number,
                    "source": one.name,
                    "changes": names,
                    "gentle": gentle,
                    "judged": gentle and one.healthy,
                    "seconds": round(time.monotonic() - began, 3),
                    "octets": len(octets),
                    "faults": faults,
                }
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _tell({"peak": peak << 10})


def _analysed(
    place: Path, one: Source, octets: bytes, *, blameless: bool, seconds: float = SLOWEST
) -> list[str]:
    """Analyse a mutant, for so many seconds at most; give what is wrong with the run or report."""
    from forensics import pipeline
    from forensics.errors import NoInputError
    from forensics.options import Options

    path = place / "mutant"
    path.write_bytes(octets)
    anchors = (str(one.anchor),) if one.anchor is not None else ()
    for attempt in (1, 2):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            outcome = pipeline.analyze(
                [str(path)], place / "out", Options(trust_anchors=anchors), figures=False
            )
            signal.setitimer(signal.ITIMER_REAL, 0)
            report = json.loads((place / "out" / "report.json").read_text())
            del outcome
            return broken_laws(report, {str(path): len(octets)}, blameless=blameless)
        except NoInputError:
            return []
        except TooSlow:
            # A kernel that this mutant needs first was compiled: only a second time counts.
            if attempt == 2:
                return [f"took longer than {SLOWEST:g} s"]
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            return [traceback.format_exc(limit=-3)]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return []


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
