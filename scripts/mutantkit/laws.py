"""What must hold of every report, whatever the capture went through."""

from typing import Any

ACCUSING = ("outage", "partial")


def broken_laws(report: dict[str, Any], sizes: dict[str, int], *, blameless: bool) -> list[str]:
    """Say which laws a report breaks.

    Args:
        report: the contents of report.json.
        sizes: octets of each input, by its path.
        blameless: no zone of the capture may be accused.
    """
    found = []
    for row in report["captures"]:
        if row["octets"] != sizes[row["path"]]:
            found.append(f"{row['octets']} octets accounted for of {sizes[row['path']]}")
        ledger = row.get("ledger")
        if ledger is not None and sum(ledger.values()) != ledger_total(row):
            found.append(f"the ledger's sum is not the input's length: {ledger}")
        if any(count < 1 for count in row["losses"].values()):
            found.append(f"a loss of nothing: {row['losses']}")
    counts = report["counts"]
    both = counts["answered"] + counts["late"]
    alone = sum(
        counts[name] for name in ("unanswered", "unsolicited", "duplicate", "retransmitted")
    )
    if both + alone != counts["transactions"]:
        found.append(f"pairings do not add up to the transactions: {counts}")
    left_out = sum(
        row["count"]
        for row in report["losses"]
        if row["reason"] in ("zone-transfer", "outside-times")
    )
    if 2 * both + alone + left_out != counts["messages"]:
        found.append(f"{counts['messages']} messages, {2 * both + alone} in transactions: {counts}")
    for incident in report["incidents"]:
        if blameless and incident["severity"] in ACCUSING:
            found.append(
                f"healthy, but {incident['severity']} of {incident['zone']!r}: "
                f"{incident['reason']} ({incident['confidence']}), "
                f"first bad {incident['onset']['first_bad']}"
            )
    return found


def ledger_total(row: dict[str, Any]) -> int:
    """Octets that a capture's ledger must add up to."""
    return int(row.get("decompressed_octets", row["octets"]))
