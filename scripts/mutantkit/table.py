"""The result of a run of mutants, as a page to be committed."""

import argparse
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What has been seen so far."""

    mutants: int = 0
    judged: int = 0
    octets: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)
    peak: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    sources: set[str] = field(default_factory=set)
    faults: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, told: dict[str, Any]) -> None:
        """Count one mutant."""
        self.mutants += 1
        self.judged += bool(told.get("judged"))
        self.octets += told.get("octets", 0)
        seconds = told.get("seconds", 0.0)
        self.seconds += seconds
        self.slowest = max(self.slowest, (seconds, told["number"]))
        self.changes.update(set(told.get("changes", ())))
        self.peak = max(self.peak, told.get("peak", 0))
        if "source" in told:
            self.sources.add(told["source"])
        for fault in told["faults"]:
            where = f"{told.get('source', '?')}: {', '.join(told.get('changes', ()))}"
            self.faults.append((told["number"], where, fault))

    def line(self) -> str:
        """Where the run is."""
        return f"{self.mutants:,} mutants, {len(self.faults)} faults, {self.seconds:.0f} s"


def table(tally: Tally, options: argparse.Namespace, day: str) -> str:
    """Write the page of a run that ended on this day."""
    shared = " --shared" if options.shared else ""
    how = "ended on" if tally.mutants >= options.mutants else "had come so far on"
    lines = [
        "# Mutants",
        "",
        "Damaged copies of the incident library"
        + (" and of public captures" if options.shared else "")
        + ", each analysed from file to report, by",
        "",
        f"    scripts/mutants --mutants {options.mutants} --seed {options.seed}{shared}",
        "",
        f"which {how} {day}. What may not happen: a crash, more than 10 s, more than 1,536",
        "MiB, sums of the ledger or of the counts that do not agree, and an outage (or a part of",
        "one) in a capture of healthy zones whose signed octets are intact.",
        "",
        "| | |",
        "|---|---|",
        f"| mutants | {tally.mutants:,} of {len(tally.sources)} captures |",
        f"| of them of healthy captures, signed octets intact | {tally.judged:,} |",
        f"| octets | {tally.octets:,} |",
        f"| slowest, beside other work | {tally.slowest[0]:.1f} s (mutant {tally.slowest[1]}) |",
        f"| peak memory of a process | {tally.peak >> 20} MiB |",
        f"| of this that happened | {len(tally.faults)} |",
        "",
        "What was done to them, alone or together:",
        "",
        "| change | mutants |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in sorted(tally.changes.items())),
    ]
    if tally.faults:
        lines += ["", "Found:", ""]
        lines += [
            f"- {number} ({where}): `{fault.strip()}`"
            for number, where, fault in sorted(tally.faults)
        ]
    return "\n".join(lines) + "\n"
