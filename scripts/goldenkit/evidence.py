"""Analyse the evidence of each incident of recordings again, and say what it proves otherwise.

Usage: evidence.py [--write] [NAME…], names of folders in captures/ (default: all). A line for each
incident of the packets and of the dnstap, and exit status 1 where something differs; `--write`
keeps them in EVIDENCE.md.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from forensics.pipeline import Options, analyze

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
INPUTS = ("capture.pcap.zst", "resolvers.dnstap.zst", "unbound.dnstap.zst")
FIELDS = ("id", "zone", "reason", "severity", "confidence", "view", "onset", "recovery", "patterns")
RESULT = Path(__file__).with_name("EVIDENCE.md")
HEAD = """# What the evidence of each incident proves by itself

Written by `scripts/goldenkit/evidence.py --write`: each recording is analysed, then each
`evidence/*.pcapng` of its report alone. `same`: one incident, with the same id, zone, reason,
severity, confidence, view, onset, recovery and kinds of patterns.

| recording | input | incident | its evidence alone |
|---|---|---|---|
"""


def main() -> int:
    """Try them all."""
    names = [word for word in sys.argv[1:] if word != "--write"]
    folders = [CAPTURES / name for name in names] or sorted(CAPTURES.iterdir())
    rows, failed = [], 0
    for folder in folders:
        for source in INPUTS:
            if (folder / source).exists():
                for incident, told in differences(folder, source):
                    failed += told != "same"
                    rows.append(f"| {folder.name} | {source} | {incident} | {told} |")
                    print(f"{folder.name} {source}: {incident}: {told}", flush=True)
    if "--write" in sys.argv:
        RESULT.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return 1 if failed else 0


def differences(folder: Path, source: str) -> Iterator[tuple[str, str]]:
    """Give of each incident of a recording its name, and what its evidence alone says otherwise."""
    options = Options(trust_anchors=(str(folder / "trust-anchor.ds"),))
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "out"
        report = analyze([str(folder / source)], out, options, figures=False).report
        for incident in report["incidents"]:
            named = f"{incident['zone']} {incident['reason']}"
            name = incident.get("evidence_file")
            if name is None:
                yield named, "no evidence was cut out"
                continue
            again = analyze([str(out / name)], Path(made) / "again", options, figures=False).report
            alike = [row for row in again["incidents"] if row["id"] == incident["id"]]
            if not alike:
                found = ", ".join(f"{row['zone']} {row['reason']}" for row in again["incidents"])
                yield named, f"gives {found or 'nothing'}"
                continue
            others = [field for field in FIELDS if told(alike[0], field) != told(incident, field)]
            more = len(again["incidents"]) - 1
            parts = [f"{field} differs" for field in others]
            parts += [f"{more} more incidents"] * (more > 0)
            yield named, ", ".join(parts) or "same"


def told(incident: dict, field: str) -> object:
    """Give what an incident says; of its patterns the kinds, for figures count all packets.

    Zones that fail together each have their own evidence: that they did, no file alone can show.
    """
    if field == "patterns":
        kinds = {row["kind"] for row in incident["patterns"]}
        return kinds - {"shared-operator"}
    return incident[field]


if __name__ == "__main__":
    sys.exit(main())
