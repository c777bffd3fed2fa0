"""Hold one report against the truth of its recording: one row of the score."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRAVE = frozenset({"outage", "partial"})
MOMENT = 10**8
"""How much later than the recorder the lab's clients note what they were told (ns)."""

SLACK = 15 * 10**9
"""How long after the operator's act a mitigation may first show (ns): clients have to ask."""


@dataclass(frozen=True)
class Row:
    """What the analyzer said of one input; each cell is words for the table.

    `right` is whether zone, reason and brackets stand and nothing was invented; `unseen`, where it
    is not, why this input cannot show the cause (captures/UNSEEN.toml), and nothing else is wrong.
    """

    capture: str
    kind: str
    right: bool
    said: str
    reason: str
    severity: str
    patterns: str
    servers: str
    onset: str
    recovery: str
    false: str
    mitigations: str
    unseen: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row for the table."""
        return (
            self.kind,
            self.verdict,
            self.said,
            self.reason,
            self.severity,
            self.patterns,
            self.servers,
            self.onset,
            self.recovery,
            self.false,
            self.mitigations,
        )


    @property
    def verdict(self) -> str:
        """Return the row's outcome in a word."""
        return "right" if self.right else "unseen" if self.unseen else "**no**"


COLUMNS = (
    "input", "right", "said", "reason", "severity", "patterns", "servers", "onset", "recovery",
    "false", "mitigations",
)  # fmt: skip


def judge(
    truth: dict[str, Any],
    kind: str,
    report: dict[str, Any],
    unseen: dict[str, Any] | None = None,
) -> Row:
    """Compare a report with the truth of its capture.

    Args:
        truth: what the lab wrote.
        kind: of the input.
        report: the contents of report.json.
        unseen: the entry of captures/UNSEEN.toml for this input: why it cannot show the cause, and
            whether it must be told that validation failed by the word of the resolvers
            (`testimony`), with the right zone and brackets. Without it a miss is a miss.
    """
    zones = _zones(truth) if _is_outage(truth) else set()
    misses = [f for f in report.get("findings", ()) if f["kind"] == "near-miss"]
    incidents = [*report["incidents"], *(_near_miss(finding) for finding in misses)]
    expected = [i for i in incidents if _counts(i, truth) and i["zone"] in zones]
    main = max(expected, key=lambda i: _worth(i, truth), default=None)
    others = [i for i in incidents if i not in expected]
    false = [i for i in others if i["severity"] in GRAVE]
    hints = [i for i in others if i["severity"] not in GRAVE]
    found = {
        "said": _said(incidents),
        "reason": _reason(truth, main),
        "severity": _severity(truth, main),
        "patterns": _patterns(truth, main),
        "servers": _servers(truth, main),
        "onset": _bracket(truth, main, "onset", "last_good", "first_bad", "change", "changed"),
        "recovery": _bracket(
            truth, main, "recovery", "last_bad", "first_good", "repair", "repaired"
        ),
        "mitigations": _mitigations(truth, incidents),
    }
    told = [f for f in report.get("findings", ()) if f["kind"] == "testimony"]
    hints += [f for f in told if not _is_outage(truth) or not _tells(f, zones)]
    stray = [*(f"{i['zone']} {i['reason']}" for i in false), *(f"({i['zone']})" for i in hints)]
    found["false"] = ", ".join(sorted(set(stray))) or "-"
    missed = {i for i in zones if i not in {e["zone"] for e in expected}}
    if len(zones) > 1 and missed and main:
        found["said"] += f"; {len(missed)} of {len(zones)} zones missed"
    if _is_outage(truth) and main is None:
        found["said"] += _hints(report)
    lacking = set(truth.get("findings", ())) - {f["kind"] for f in report.get("findings", ())}
    if lacking and kind != "upstream":
        found["said"] += f"; no finding {', '.join(sorted(lacking))}"
    right = (
        not false and not (lacking and kind != "upstream") and "false" not in found["mitigations"]
    )
    if _is_outage(truth):
        named = "yes" if truth.get("reason") else "-"
        whole = main is not None and found["reason"] == named and len(missed) == 0
        right = right and whole and "miss" not in (found["onset"] + found["recovery"])
    reason = ""
    if unseen and main is None and not false and found["false"] == "-":
        found |= _by_testimony(truth, told, zones)
        kept = not unseen["testimony"] or (
            all(any(_tells(f, {zone}) for f in told) for zone in zones)
            and "miss" not in found["onset"] + found["recovery"]
        )
        reason = str(unseen["because"]) if kept else ""
    return Row(truth["name"], kind, right, **found, unseen=reason)


def _tells(finding: dict[str, Any], zones: set[str]) -> bool:
    """Whether a testimony fits one of some zones: its own, or one above that it does not clear."""
    if finding["zone"] in zones:
        return True
    if finding["exact"]:
        return False
    return any(
        finding["zone"].endswith("." + zone)
        and (finding["cleared"] is None or zone.endswith("." + finding["cleared"].lstrip(".")))
        for zone in zones - {"."}
    )


def _by_testimony(
    truth: dict[str, Any], told: list[dict[str, Any]], zones: set[str]
) -> dict[str, str]:
    """Hold the brackets of a testimony against what clients could see: the truth and its caches."""
    mine = [finding for finding in told if _tells(finding, zones)]
    one = next((f for f in mine if f["zone"] == truth["zone"]), mine[0] if mine else None)
    if one is None:
        return {}
    views, words = truth["views"], {}
    # Some validators may refuse what others accept, so that clients fail before the zone is bad.
    published = views.get("published", views["resolver"])
    first = min(published["bad_from"], truth["observed"]["first_servfail"])
    last = views["resolver"]["bad_for_cached_from"]
    low, high = one["onset"]["last_good"], one["onset"]["first_bad"]
    words["onset"] = _overlap(low, high, first, last)
    first = published.get("good_from", views["resolver"]["good_from"])
    if truth.get("view") == "resolver":  # caches fail, and recover, one by one
        first = views["resolver"]["bad_from"]
    low, high = one["recovery"]["last_bad"], one["recovery"]["first_good"]
    words["recovery"] = _overlap(low, high, first, views["resolver"]["good_everywhere_from"])
    return {part: f"{text} (clients)" for part, text in words.items()}


def _overlap(low: str | None, high: str | None, first: str, last: str) -> str:
    """Say whether a bracket overlaps an interval, as `_bracket` does."""
    if low is not None and nanoseconds(low) > nanoseconds(last) + MOMENT:
        return f"miss (+{(nanoseconds(low) - nanoseconds(last)) / 1e9:.1f} s)"
    if high is not None and nanoseconds(high) < nanoseconds(first) - MOMENT:
        return f"miss (-{(nanoseconds(first) - nanoseconds(high)) / 1e9:.1f} s)"
    return "open" if low is None or high is None else "yes"


def _hints(report: dict[str, Any]) -> str:
    """Say what a report tells that names no incident: what resolvers claim, or why it can't."""
    found = report.get("findings", ())
    claims = {f["resolver"] for f in found if f["kind"] == "resolver-local" and "resolver" in f}
    zones = sorted(f["zone"] for f in found if f["kind"] == "testimony")
    more = f" and {len(zones) - 3} more" if len(zones) > 3 else ""
    words = [f"{', '.join(zones[:3])}{more} by testimony"] if zones else []
    if claims:
        words.append(f"{len(claims)} resolvers claim failed validation (EDE)")
    if any(f["kind"] == "no-dnssec" for f in found):
        words.append("no signature captured")
    return "".join(f"; {text}" for text in words)


def _near_miss(finding: dict[str, Any]) -> dict[str, Any]:
    """Give a finding of a near-miss the form of an incident; what it does not tell is empty."""
    told = {
        "zone": finding["zone"],
        "reason": finding.get("reason", ""),
        "severity": "near-miss",
        "patterns": finding.get("patterns", []),
        "servers": [{**row, "bad": 1} for row in finding.get("servers", ())],
        "impact": {"servfail": 0},
    }
    return {part: finding.get(part, {}) for part in ("onset", "recovery")} | told


def _zones(truth: dict[str, Any]) -> set[str]:
    """Return the broken zones: those of the plan if the truth's zone is one of them."""
    zones = truth.get("zones", ())
    planned = set(zones) if isinstance(zones, list) else set()
    return planned if truth["zone"] in planned else {str(truth["zone"])}


def _is_outage(truth: dict[str, Any]) -> bool:
    return bool(truth["expected"] != "no incident")


def _counts(incident: dict[str, Any], truth: dict[str, Any]) -> bool:
    return incident["severity"] in GRAVE or truth["expected"] == "near-miss"


def _worth(incident: dict[str, Any], truth: dict[str, Any]) -> tuple[bool, bool, int]:
    in_zone = incident["zone"] == truth["zone"]
    return in_zone, incident["reason"] == truth.get("reason"), incident["impact"]["servfail"]


def _said(incidents: list[dict[str, Any]]) -> str:
    found: dict[tuple[str, str], int] = {}
    for incident in incidents:
        grave = incident["severity"] in GRAVE
        key = (incident["zone"], incident["reason"] if grave else "near-miss")
        found[key] = found.get(key, 0) + 1
    if len(found) > 3:
        return f"{len(found)} incidents"
    return ", ".join(f"{zone} {reason}" for zone, reason in sorted(found)) or "nothing"


def _reason(truth: dict[str, Any], main: dict[str, Any] | None) -> str:
    if not truth.get("reason"):
        return "-"
    if main is None:
        return "none"
    reasons = {phase["reason"] for phase in main.get("phases", ())} | {main["reason"]}
    if truth["reason"] in reasons:
        return "yes"
    return "yes" if reasons & set(truth.get("also", ())) else f"no: {main['reason']}"


def _severity(truth: dict[str, Any], main: dict[str, Any] | None) -> str:
    wanted = truth.get("severity", "outage" if truth["expected"] == "incident" else "")
    if not wanted or main is None:
        return "-"
    severity = str(main["severity"])
    return "yes" if severity == wanted else f"{severity}, is {wanted}"


def _patterns(truth: dict[str, Any], main: dict[str, Any] | None) -> str:
    wanted = set(truth.get("patterns", ()))
    if main is None or not wanted:
        return "-"
    found = {str(pattern["kind"]) for pattern in main["patterns"]}
    words = [f"lacks {kind}" for kind in sorted(wanted - found)]
    words += [f"adds {kind}" for kind in sorted(found - wanted)]
    return "; ".join(words) or "yes"


def _servers(truth: dict[str, Any], main: dict[str, Any] | None) -> str:
    if main is None or truth.get("view") == "resolver":
        return "-"
    zone = truth["zone"]
    # Of a near-miss the others were told to change; those at fault, to catch up.
    act = "told_to_repair" if truth["expected"] == "near-miss" else "told_to_change"
    told = {
        s["address"] for s in truth.get("servers", ()) if act in s and s.get("zone", zone) == zone
    }
    if not told:  # the act was the parent's: every server of the zone is bad by it
        told = {a for one in truth["authorities"] if zone in one["zones"] for a in one["addresses"]}
    bad = {s["address"] for s in main["servers"] if s["bad"]}
    extra = bad - told
    words = f"{len(told & bad)}/{len(told)}"
    return words + (f" +{len(extra)}" if extra else "")


def _bracket(
    truth: dict[str, Any],
    main: dict[str, Any] | None,
    part: str,
    before: str,
    after: str,
    act: str,
    seen: str,
) -> str:
    """Say whether a bracket overlaps what the lab did: `yes`, `open` on its outer side, `miss`.

    `caches`: the last bad is of a cache that still held the old, within the TTL after the repair.
    """
    if main is None:
        return "-"
    told = [
        nanoseconds(s[f"told_to_{act}"]) for s in truth.get("servers", ()) if f"told_to_{act}" in s
    ]
    shown = [
        nanoseconds(s[f"first_seen_{seen}"]) for s in truth.get("servers", ()) if _has(s, seen)
    ]
    if not told:
        told = shown = _from_phases(truth, act)
    if not told:
        return "-"
    latest = max(shown or told)
    bracket = main[part]
    low, high = bracket.get(before), bracket.get(after)
    if low is not None and nanoseconds(low) > latest + _late(truth, act):
        return f"miss (+{(nanoseconds(low) - latest) / 1e9:.1f} s)"
    earliest = _earliest(truth, told, act)
    if high is not None and nanoseconds(high) < earliest:
        return f"miss (-{(earliest - nanoseconds(high)) / 1e9:.1f} s)"
    if low is None or high is None:
        return "open"
    return "caches" if act == "repair" and nanoseconds(low) > latest else "yes"


def _earliest(truth: dict[str, Any], told: list[int], act: str) -> int:
    """Return the earliest instant of a change: caches that fail alone recover one by one."""
    if act == "repair" and truth.get("view") == "resolver":
        return nanoseconds(truth["views"]["resolver"]["bad_from"])
    return min(told)


def _late(truth: dict[str, Any], act: str) -> int:
    """Return what a cache may add to the acts, in ns: to a repair, or where caches alone fail."""
    if truth.get("view") != "resolver" and act != "repair":
        return 0
    view = truth.get("views", {}).get("resolver", {})
    if "bad_for_cached_from" not in view:
        return 0
    return nanoseconds(view["bad_for_cached_from"]) - nanoseconds(view["bad_from"])


def _from_phases(truth: dict[str, Any], act: str) -> list[int]:
    wrong = [(nanoseconds(at), reason) for at, reason in truth.get("phases", ())]
    return [at for at, reason in wrong if bool(reason) == (act == "change")][:1]


def _has(server: dict[str, Any], seen: str) -> bool:
    return f"first_seen_{seen}" in server


def _mitigations(truth: dict[str, Any], incidents: list[dict[str, Any]]) -> str:
    """Say how many of the operators' acts were found, and how many were invented.

    A repair is the end of a resolver's trouble, and an old cache its luck: no operator's acts, so
    that they are not counted among those found; but outside of the time in which the lab's acts
    allow them they are invented (`stray_relief`).
    """
    kinds = ("negative-trust-anchor", "serve-stale")
    addresses = {r["name"]: set(r["addresses"]) for r in truth.get("resolvers", ())}
    told: dict[tuple[str, str], int] = {}
    for one in truth.get("mitigations", ()):
        if one["kind"] in kinds:
            told.setdefault((one["kind"], one["name"]), nanoseconds(one["at"]))
    said = [
        m
        for incident in incidents
        for m in incident.get("mitigations", ())
        if m["kind"] in kinds and m.get("resolver")
    ]
    found, invented = set(), len(stray_relief(truth, incidents))
    for one in said:
        matches = [
            key
            for key, at in told.items()
            if key[0] == one["kind"]
            and (one["resolver"] in addresses[key[1]] or Path(one["resolver"]).stem == key[1])
            and -(10**9) <= nanoseconds(one["at"]) - at <= SLACK
        ]
        found.update(matches)
        invented += not matches
    if not told and not invented:
        return "-"
    words = f"{len(found)}/{len(told)}"
    return words + (f", {invented} false" if invented else "")


def stray_relief(truth: dict[str, Any], incidents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the repairs and old caches that the lab's acts do not allow.

    Good again, for a resolver or for all, can be nothing before the first server was repaired
    (where caches alone failed, before they began to), nor long after the last cache may have run
    out. A cache can only hold the good data from when the first server went bad, until what was
    fetched just before the last one did has run out.
    """
    views = truth.get("views", {})
    held = views.get("resolver")
    rows = [m for incident in incidents for m in incident.get("mitigations", ())]
    rows = [m for m in rows if m["kind"] in {"repair", "old-cache"}]
    if not held:
        return rows
    own = truth.get("view") == "resolver"
    begin = nanoseconds(views.get("published", held)["bad_from"])
    repaired = begin if own else nanoseconds(views.get("published", held)["good_from"])
    allowed = {
        "repair": (repaired - MOMENT, nanoseconds(held["good_everywhere_from"]) + SLACK),
        "old-cache": (begin - MOMENT, nanoseconds(held["bad_for_cached_from"]) + 10**9),
    }
    return [
        row
        for row in rows
        if not allowed[row["kind"]][0] <= nanoseconds(row["at"])
        or not nanoseconds(row.get("until", row["at"])) <= allowed[row["kind"]][1]
    ]


def nanoseconds(text: str) -> int:
    """Read RFC 3339 in UTC with up to nine decimals."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = dt.datetime.fromisoformat(whole).replace(tzinfo=dt.UTC)
    return int(moment.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))
