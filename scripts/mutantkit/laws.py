"""What must hold of every report, whatever the capture went through."""

from typing import Any

ACCUSING = ("outage", "partial")


def broken_laws(
    report: dict[str, Any], sizes: dict[str, int], *, blameless: bool, transfers: bool = False
) -> list[str]:
    """Say which laws a report breaks.

    Args:
        report: the contents of report.json.
        sizes: octets of each input, by its path.
        blameless: no zone of the capture may be accused.
        transfers: there are zone transfers, whose further messages stand in one transaction.
    """
    found = []
    for row in report["captures"]:
        if row["octets"] != sizes[row["path"]]:
            found.append(f"{row['octets']} octets accounted for of {sizes[row['path']]}")
        ledger = row["ledger"]
        parts = sum(ledger[name] for name in ("messages", "other", "framing", "lost"))
        if ledger["complete"] is not (parts == ledger["content"]) or not ledger["complete"]:
            found.append(f"the ledger's sum is not the input's length: {ledger}")
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
    over = counts["messages"] - (2 * both + alone + left_out)
    if over < 0 or (over and not transfers):
        found.append(f"{counts['messages']} messages, {2 * both + alone} in transactions: {counts}")
    for incident in report["incidents"]:
        if blameless and incident["severity"] in ACCUSING:
            found.append(
                f"healthy, but {incident['severity']} of {incident['zone']!r}: "
                f"{incident['reason']} ({incident['confidence']}), "
                f"first bad {incident['onset']['first_bad']}"
            )
    return found

