"""The resolver view in the report: what each resolver would have concluded by what it held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forensics.limits import RESOLVER_RUNS, RESOLVER_VIEWS
from forensics.vocabulary import STATUSES, Status


def add_views(report: dict[str, Any], view: Any, paths: dict[int, str]) -> None:
    """Give the report `resolver_views`, and each incident those of its zone, in place.

    A row is one resolver, zone and class of records: `first_bad` and `last_bad` of what it would
    have refused, the last good before and the first good after, how many RRsets stood how, by
    which reasons, and the first of its `runs`, from the last good one on, with the key set held
    that decided. Nothing is there where no resolver's upstream questions were captured, nor where
    the recorder's clock is in doubt: what a resolver held is told by TTLs and signatures' times.

    Args:
        report: the contents of report.json.
        view: validation.heldview.ResolverView.
        paths: of the captures, by number.
    """
    if any(finding["kind"] == "clock-recorder" for finding in report["findings"]):
        return
    strata: dict[tuple[Any, str, str], list[Any]] = {}
    for run in view.runs:
        strata.setdefault((run.resolver, run.zone, run.records), []).append(run)
    rows = [_row(*what, runs, paths) for what, runs in strata.items()]
    rows = [row for row in rows if row["first_bad"] is not None]
    if not rows:
        return
    report["resolver_views"] = rows[:RESOLVER_VIEWS]
    for incident in report["incidents"]:
        own = [row["sentence"] for row in rows if row["zone"] == incident["zone"]]
        if own:
            incident["resolver_views"] = own
    if view.is_cut:
        sentence = "More was received by resolvers than is judged in their own view."
        report["findings"].append({"kind": "limit", "zone": ".", "sentence": sentence})


def _row(
    resolver: Any, zone: str, records: str, runs: Sequence[Any], paths: dict[int, str]
) -> dict[str, Any]:
    from forensics.timeline.moments import rfc3339

    bad = [run for run in runs if run.status == Status.BOGUS]
    good = [run for run in runs if run.status in {Status.VALID, Status.SECURE}]
    counts = dict.fromkeys(STATUSES, 0)
    reasons: dict[str, int] = {}
    for run in runs:
        counts[STATUSES[run.status]] += run.rrsets
    for run in bad:
        reasons[run.reason] = reasons.get(run.reason, 0) + run.rrsets
    first = bad[0].first.time if bad else None
    last = max(run.last.time for run in bad) if bad else None
    before = [run.last.time for run in good if first is not None and run.last.time < first]
    after = [run.first.time for run in good if last is not None and run.first.time > last]
    begin = max(runs.index(bad[0]) - 1, 0) if bad else 0
    told = runs[begin : begin + RESOLVER_RUNS]
    row: dict[str, Any] = {
        "resolver": resolver.name,
        "addresses": list(resolver.addresses),
        "zone": zone,
        "records": records,
        "last_good": rfc3339(max(before)) if before else None,
        "first_bad": rfc3339(first) if first is not None else None,
        "last_bad": rfc3339(last) if last is not None else None,
        "first_good": rfc3339(min(after)) if after else None,
        "counts": counts,
        "reasons": reasons,
        "runs": [_run(run, paths) for run in told],
        "runs_omitted": len(runs) - len(told),
    }
    row["sentence"] = _sentence(row, bad, rfc3339) if bad else ""
    return row


def _run(run: Any, paths: dict[int, str]) -> dict[str, Any]:
    from forensics.timeline.moments import rfc3339

    told = {
        "status": STATUSES[run.status],
        "reason": run.reason,
        "from": rfc3339(run.first.time),
        "to": rfc3339(run.last.time),
        "count": run.rrsets,
        "capture": paths.get(run.first.capture),
        "frame": run.first.frame,
        "held": None,
    }
    if run.by is not None:
        told["held"] = {
            "fetched": rfc3339(run.by.time),
            "until": rfc3339(run.by.until),
            "capture": paths.get(run.by.received.capture),
            "frame": run.by.received.frame,
            "keys": list(run.tags),
        }
    return told


def _sentence(row: dict[str, Any], bad: Sequence[Any], rfc3339: Any) -> str:
    """Say from when to when a resolver would have refused data, and by what it held."""
    what = {"dnskey": "the key set", "ds": "DS records", "denial": "denials", "data": "data"}
    zone = "the root" if row["zone"] == "." else row["zone"]
    said = f"By what {row['resolver']} held, {what[row['records']]} of {zone} "
    said += f"would be refused from {row['first_bad'][:23]}Z to {row['last_bad'][:23]}Z"
    by = next((run.by for run in bad if run.by is not None), None)
    if by is not None and by.time < bad[0].first.time:
        said += (
            f": its keys were those fetched at {rfc3339(by.time)[:23]}Z (frame"
            f" {by.received.frame}), good until {rfc3339(by.until)[:23]}Z"
        )
    if row["first_good"] is not None:
        said += f"; from {row['first_good'][:23]}Z on it is accepted"
    return said + "."
