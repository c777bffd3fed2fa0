"""Analyse the evidence of each incident of recordings again, and say what it proves otherwise.

Usage: evidence.py [NAME…], names of folders in captures/ (default: all). A line each, and exit
status 1 where something differs.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from forensics.pipeline import Options, analyze

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
FIELDS = ("id", "zone", "reason", "severity", "confidence", "onset", "recovery")


def main() -> int:
    """Try them all."""
    names = sys.argv[1:] or sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())
    failed = 0
    for name in names:
        for told in differences(CAPTURES / name):
            failed += told != "same"
            print(f"{name}: {told}", flush=True)
    return 1 if failed else 0


def differences(folder: Path) -> Iterator[str]:
    """Tell of each incident of a recording what its evidence alone says otherwise."""
    capture = folder / "capture.pcap.zst"
    if not capture.exists():
        return
    options = Options(trust_anchors=(str(folder / "trust-anchor.ds"),))
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "out"
        report = analyze([str(capture)], out, options, figures=False).report
        for incident in report["incidents"]:
            name = incident.get("evidence_file")
            if name is None:
                yield f"{incident['id']}: no evidence was cut out"
                continue
            again = analyze([str(out / name)], Path(made) / "again", options, figures=False).report
            alike = [row for row in again["incidents"] if row["id"] == incident["id"]]
            if not alike:
                found = ", ".join(f"{row['zone']} {row['reason']}" for row in again["incidents"])
                yield f"{incident['zone']} {incident['reason']}: gives {found or 'nothing'}"
                continue
            others = [field for field in FIELDS if alike[0][field] != incident[field]]
            more = len(again["incidents"]) - 1
            parts = [f"{field} differs" for field in others]
            parts += [f"{more} more incidents"] * (more > 0)
            told = f"{incident['zone']} {incident['reason']}: {', '.join(parts)}"
            yield told if parts else "same"


if __name__ == "__main__":
    sys.exit(main())
