"""What the report says first, beside the incidents: how far the evidence reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from forensics import vocabulary
from forensics.timeline.evidence import Evidence
from forensics.timeline.impact import Traffic
from forensics.timeline.survey import Survey
from forensics.timeline.wording import counted

DOUBLED: Final = 0.3
"""With this share of all messages seen twice, the capture point copies both directions."""

ORDER: Final = (
    "private-root",
    "clock-recorder",
    "clock-resolver",
    "clock-step",
    "no-dnssec",
    "one-direction",
    "sensor-clock",
    "sensors",
    "seen-twice",
    "duplicates",
    "starts-in-outage",
    "ends-in-outage",
    "testimony",
    "resolver-local",
    "forgery",
    "near-miss",
    "rollover",
    "losses",
    "not-read",
    "omitted",
    "trust-signals",
    "trust-sentinels",
)
"""Findings in this order: what changes how all the rest is to be read comes first."""

PRIVATE_ROOT: Final = (
    "The root keys in this capture match no trust anchor known here: below a private root nothing "
    "can be called secure. Give its trust anchor with --trust-anchor."
)


def sort(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order findings by kind; equals keep their order."""
    rank = {kind: number for number, kind in enumerate(ORDER)}
    return sorted(found, key=lambda row: rank.get(row["kind"], len(ORDER)))


def of_notes(evidence: Evidence) -> list[dict[str, Any]]:
    """Pass on what validation found."""
    found = []
    for note in evidence.notes:
        row = dict(note)
        row.setdefault("sentence", PRIVATE_ROOT if row.get("kind") == "private-root" else "")
        found.append(row)
    return found


def of_capture(evidence: Evidence, seen: Survey, traffic: Traffic) -> list[dict[str, Any]]:
    """Tell how the capture itself limits what can be said."""
    found: list[dict[str, Any]] = []
    if not seen.sightings:
        found.append(
            {
                "kind": "no-dnssec",
                "sentence": (
                    "No signature was captured: either nobody asked for DNSSEC here, or the "
                    "answers were not recorded. Nothing could be judged."
                ),
            }
        )
    if bool(traffic.queries) != bool(traffic.responses):
        held = "queries" if traffic.queries else "responses"
        missing = "responses" if traffic.queries else "queries"
        found.append(
            {
                "kind": "one-direction",
                "holds": held,
                "sentence": (
                    f"The capture holds only {held}, no {missing}: what was asked and never "
                    "answered cannot be told."
                    if held == "responses"
                    else f"The capture holds only {held}, no {missing}: nothing can be judged."
                ),
            }
        )
    messages = sum(evidence.captures["messages"].to_pylist())
    twice = sum(evidence.captures["duplicates"].to_pylist())
    if messages and twice >= DOUBLED * messages:
        found.append(
            {
                "kind": "duplicates",
                "count": twice,
                "sentence": (
                    f"The capture holds {counted(twice, 'message')} twice, of "
                    f"{counted(messages, 'message')}; each was counted once."
                ),
            }
        )
    found += _of_sensors(evidence.captures.drop_columns(["first", "last"]).to_pylist())
    found += _of_losses(evidence.losses.select(["reason", "count"]).to_pylist())
    return found


def _of_sensors(captures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell which sensors saw the same messages, and how their clocks stood to each other."""
    paths = {row["capture"]: row["path"] for row in captures}
    found: list[dict[str, Any]] = []
    for row in captures:
        for other, count in row["elsewhere"] or ():
            sentence = (
                f"{paths[other]} and {row['path']} hold {counted(count, 'message')} both, "
                f"{paths[other]} first; each was counted once, there."
            )
            found.append(
                {
                    "kind": "sensors",
                    "capture": row["path"],
                    "first": paths[other],
                    "count": count,
                    "sentence": sentence,
                }
            )
        ahead, offset = row["clock_ahead"], row["clock_offset"]
        if ahead is not None:
            side = "ahead of" if ahead >= 0 else "behind"
            done = (
                "its times are corrected by that, here and in the tables"
                if offset is not None
                else "which the way between the sensors may explain, so nothing was corrected"
            )
            sentence = (
                f"The clock of {row['path']} was {abs(ahead) / 10**9:.6f} s {side} that of "
                f"{paths[row['clock_against']]}, by {counted(row['clock_shared'], 'message')} "
                f"that both saw; {done}."
            )
        elif offset is not None:
            sentence = (
                f"{offset / 10**9:+.6f} s were added to the times of {row['path']}, as asked."
            )
        else:
            continue
        found.append(
            {
                "kind": "sensor-clock",
                "capture": row["path"],
                "ahead": ahead,
                "offset": offset,
                "shared": row["clock_shared"],
                "sentence": sentence,
            }
        )
    return found


def _of_losses(losses: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell damage of the input apart from what this version does not read."""
    reasons: dict[str, int] = {}
    for row in losses:
        if not row["count"]:
            continue  # octets alone, of packets that were read
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["count"]
    found = []
    for kind, text, chosen in (
        ("not-read", "Whole in the capture, but not read", reasons.keys() & vocabulary.NOT_READ),
        ("losses", "Part of the input could not be read", reasons.keys() - vocabulary.NOT_READ),
    ):
        if chosen:
            held = {reason: reasons[reason] for reason in sorted(chosen)}
            named = "; ".join(_loss(reason, count) for reason, count in held.items())
            found.append({"kind": kind, "reasons": held, "sentence": f"{text}: {named}."})
    return found


def _loss(reason: str, count: int) -> str:
    """Name a loss: `126 TCP segments (this version does not put TCP streams together)`."""
    known = vocabulary.LOSSES.get(reason)
    if known is None:
        return f"{count:,} {reason}"
    return f"{counted(count, known.noun)} {known.tail}"


def of_incidents(incidents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell which incidents reach over the borders of the capture."""
    found = []
    for kind, part, end, text in (
        ("starts-in-outage", "onset", "last_good", "were bad from the first comparable one on"),
        ("ends-in-outage", "recovery", "first_good", "were not seen all good again"),
    ):
        for incident in incidents:
            if incident[part][end] is None and incident["severity"] != "near-miss":
                zone = incident["zone"]
                sentence = f"Answers for {zone} {text}: the capture does not hold that end of it."
                found.append(
                    {"kind": kind, "zone": zone, "incident": incident["id"], "sentence": sentence}
                )
    return found


def of_claims(traffic: Traffic, explained: set[str]) -> list[dict[str, Any]]:
    """Tell of resolvers that report failed validation which nothing captured explains.

    Args:
        traffic: with the claims.
        explained: resolvers that another finding speaks of.
    """
    found: dict[str, dict[str, Any]] = {}
    for (server, ede), claim in sorted(traffic.claims.items()):
        if server in explained:
            continue
        row = found.setdefault(
            server,
            {"kind": "resolver-local", "resolver": server, "lookups": 0, "ede": {}, "names": []},
        )
        row["lookups"] += claim.count
        row["ede"][str(ede)] = claim.count
        row["names"] = sorted({*row["names"], *claim.names})[:8]
    for row in found.values():
        if not row["names"]:
            row["sentence"] = f"The resolver {row['resolver']} reported failed validation."
            continue
        row["sentence"] = (
            f"The resolver {row['resolver']} reported failed validation for "
            f"{counted(row['lookups'], 'lookup')} (for instance {row['names'][0]}), but no bad "
            "data was captured for them: the cause lies in the resolver, or outside of this "
            "capture."
        )
    return list(found.values())
