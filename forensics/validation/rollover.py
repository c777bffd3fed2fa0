"""What a capture shows of automated updates of trust anchors (RFC 5011), as notes.

A validator that follows RFC 5011 drops an anchor once it is seen revoked, and takes a new key with
the SEP bit after it has stood in the signed DNSKEY RRset for the hold-down time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from forensics.knowledge import Note
from forensics.limits import SECOND
from forensics.validation.trust import Trust

HOLD_DOWN: Final = 30 * 86_400 * SECOND
"""The add hold-down time (RFC 5011 2.4.1)."""

_SEP: Final = 0x0001


def rollover_notes(trust: Trust) -> list[Note]:
    """Tell of trust anchors seen revoked, and of keys that may take their place."""
    notes = []
    for zone in sorted(trust.anchors):
        revoked = trust.revoked_anchors(zone)
        if not revoked:
            notes += _succession(trust, zone)
            continue
        known = trust.zones[zone]
        gone = {known.keys[index].unrevoked().rdata for index in revoked}
        spans: dict[int, list[int]] = {}
        track = known.published
        for first, last, item in zip(
            track.first.tolist(), track.last.tolist(), track.item.tolist(), strict=True
        ):
            for index in known.key_sets[item]:
                key = known.keys[index]
                if key.flags & _SEP and not key.is_revoked and key.rdata not in gone:
                    span = spans.setdefault(index, [first, last])
                    span[0], span[1] = min(span[0], first), max(span[1], last)
        rows = [
            {
                "tag": known.keys[index].tag,
                "seen_since": _text(first),
                "hold_down_over": last - first >= HOLD_DOWN,
            }
            for index, (first, last) in sorted(spans.items())
        ]
        old = ", ".join(str(known.keys[index].unrevoked().tag) for index in sorted(revoked))
        new = ", ".join(f"{row['tag']} (since {row['seen_since']})" for row in rows)
        notes.append(
            Note(
                "anchor-revoked",
                zone,
                sentence=(
                    f"{'The root zone' if zone == '.' else zone} revoked the key of a trust "
                    f"anchor (tag {old}, first seen revoked at "
                    f"{_text(min(revoked.values()))}): validators that follow RFC 5011 drop it."
                    + (f" Key signing keys seen beside it: {new}." if new else "")
                ),
                figures={"revoked": sorted(known.keys[i].unrevoked().tag for i in revoked),
                         "successors": rows},
            )
        )  # fmt: skip
    return notes


def _succession(trust: Trust, zone: str) -> list[Note]:
    """Tell of an anchor whose key went, unrevoked as far as was captured, for one beside it."""
    known = trust.zones.get(zone)
    if known is None:
        return []
    old = trust.matching(zone, [trust.anchors[zone]], known.key_sets)
    track = known.published
    gone = [
        (first, item)
        for first, item in zip(track.first.tolist(), track.item.tolist(), strict=True)
        if not known.key_sets[item] & old and trust.is_succeeded(zone, [known.key_sets[item]])
    ]
    if not gone:
        return []
    first, item = min(gone)
    tags = sorted(known.keys[index].tag for index in old)
    new = sorted(
        known.keys[index].tag
        for index in known.key_sets[item]
        if known.keys[index].flags & _SEP and not known.keys[index].is_revoked
    )
    named = "The root zone" if zone == "." else zone
    return [
        Note(
            "anchor-succeeded",
            zone,
            sentence=(
                f"{named} was seen without the key of the trust anchor (tag "
                f"{', '.join(map(str, tags))}) from {_text(first)} on, and with key "
                f"{', '.join(map(str, new))}, which stood beside it before. Validators that trust "
                "the old key alone refuse everything; those that follow RFC 5011 may have taken "
                "the new one. Give it with --trust-anchor to judge by it."
            ),
            figures={"old": tags, "successors": new},
        )
    ]


def _text(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
