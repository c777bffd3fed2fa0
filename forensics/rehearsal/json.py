"""The rehearsal as JSON-ready values: the machine contract of `rehearse --json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from forensics.knowledge import key_tag
from forensics.limits import SECOND
from forensics.rehearsal.demand import Hit
from forensics.rehearsal.finding import Finding, Holders, Level
from forensics.rehearsal.trial import Outcome
from forensics.rehearsal.words import key_id, rfc3339, several, type_text
from forensics.validation.deniers import text
from forensics.vocabulary import REASON_CODE, REASONS

SCHEMA: Final = "dns-forensics/rehearse/1"
"""Told by rehearse.schema.json beside this file."""

RRSETS: Final = 20
"""RRsets listed for a finding; `rrsets_count` counts them all."""


def to_json(outcome: Outcome, zone_file: str, captures: Mapping[int, str]) -> dict[str, Any]:
    """Return what `rehearse --json` prints.

    Args:
        outcome: what came of it.
        zone_file: path of the zone file as the user named it.
        captures: path by number of the capture.
    """
    demand = outcome.demand
    return {
        "schema": SCHEMA,
        "zone": text(outcome.zone.apex),
        "zone_file": zone_file,
        "serial": outcome.zone.serial,
        "at": rfc3339(outcome.at),
        "verdict": verdict(outcome),
        "sentence": sentence(outcome),
        "captures": [captures[number] for number in sorted(captures)],
        "demand": {
            "queries": demand.queries,
            "questions": len(demand.numbers),
            "first": rfc3339(demand.first) if demand.first else None,
            "last": rfc3339(demand.last) if demand.last else None,
            "without_do": demand.plain,
            "beyond_limit": demand.left_out,
            "answers": dict(sorted(outcome.kinds.items())),
        },
        "bogus": _hit(outcome.hit, demand.queries, captures),
        "findings": [
            _finding(finding, hit, outcome, captures) for finding, hit in outcome.findings
        ],
        "unjudged": [
            {"what": one.what, "sentence": one.sentence, "needed": one.needed}
            for one in outcome.unjudged
        ],
        "held": {
            "serial": outcome.held.serial,
            "dnskey_rrsets": [
                {
                    "keys": [_key(key) for key in sorted(one.keys)],
                    "last": rfc3339(one.last),
                    "until": rfc3339(one.until),
                    "current": one.is_current,
                }
                for one in outcome.held.keys
                if one.is_fresh
            ],
            "ds_rrsets": [
                {
                    "tags": [record.tag for record in one.records],
                    "last": rfc3339(one.last),
                    "until": rfc3339(one.until),
                    "current": one.is_current,
                }
                for one in outcome.held.delegations
                if one.is_fresh or one.is_current
            ],
        },
    }


def verdict(outcome: Outcome) -> str:
    """Say `refuse`, `pass`, or `unjudged` where what would decide was not recorded."""
    if outcome.is_refused:
        return "refuse"
    return "pass" if outcome.is_judged else "unjudged"


def sentence(outcome: Outcome) -> str:
    """Say in plain words whether the zone may be published."""
    name, total = text(outcome.zone.apex), outcome.demand.queries
    head = f"{name} serial {outcome.zone.serial}"
    refusals = [finding for finding, _ in outcome.findings if finding.level is Level.REFUSE]
    if not refusals:
        open_ = ""
        if outcome.unjudged:
            open_ = f" Could not be judged: {', '.join(one.what for one in outcome.unjudged)}."
        if not outcome.is_judged:
            return (
                f"UNJUDGED: whether {head} may be published is not known: the recording lacks what "
                f"would tell.{open_}"
            )
        return (
            f"PASS: of {several(total, 'recorded query').replace('querys', 'queries')} none would "
            f"turn bogus if {head} were published.{open_}"
        )
    reasons = ", ".join(dict.fromkeys(finding.reason for finding in refusals))
    hit = outcome.hit
    said = f"{hit.queries:,} of {total:,} recorded queries would turn bogus"
    if not hit.queries:
        said = "no recorded query needs what is broken" if total else "no query was recorded"
    untils = [finding.until for finding in refusals]
    ends = [until for until in untils if until is not None]
    only_caches = all(
        finding.holders not in (Holders.EVERYONE, Holders.SECONDARIES) for finding in refusals
    )
    length = ""
    if only_caches and len(ends) == len(untils):
        length = f", for resolvers with older caches, until {rfc3339(max(ends))[:19]}Z"
    return f"REFUSE: {reasons}. If {head} were published, {said}{length}."


def _finding(
    finding: Finding, hit: Hit, outcome: Outcome, captures: Mapping[int, str]
) -> dict[str, Any]:
    known = REASON_CODE.get(finding.reason)
    until = finding.until
    places = sorted(finding.places)
    return {
        "reason": finding.reason,
        "level": str(finding.level),
        "holders": str(finding.holders),
        "ede": REASONS[known].ede if known is not None else None,
        "sentence": finding.sentence,
        "from": rfc3339(finding.start),
        "until": None if until is None else rfc3339(until),
        "seconds": None if until is None else max(0, until - finding.start) / SECOND,
        **_hit(hit, outcome.demand.queries, captures),
        "rrsets_count": len(places),
        "rrsets": [{"name": text(owner), "type": type_text(kind)} for owner, kind in places][
            :RRSETS
        ],
        "keys": [_key(key) for key in finding.keys],
    }


def _hit(hit: Hit, total: int, captures: Mapping[int, str]) -> dict[str, Any]:
    return {
        "queries": hit.queries,
        "share": round(hit.queries / total, 6) if total else 0.0,
        "questions": hit.questions,
        "clients": len(hit.clients),
        "clients_at_least": hit.is_more,
        "examples": [
            {
                "name": one["name"],
                "type": type_text(one["type"]),
                "capture": captures.get(one["capture"]),
                "frame": one["frame"] or None,
                "time": rfc3339(one["time"]),
                "client": one["client"],
            }
            for one in hit.examples
        ],
    }


def _key(rdata: bytes) -> dict[str, Any]:
    return {
        "tag": key_tag(rdata),
        "algorithm": rdata[3],
        "flags": int.from_bytes(rdata[:2], "big"),
        "key_id": key_id(rdata),
    }
