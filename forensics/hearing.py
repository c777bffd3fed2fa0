"""Hear the resolvers: their logs, and their word where it is all there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forensics.errors import InputError
from forensics.options import Options
from forensics.output import distinct


def hear(
    options: Options, captures: Any, incidents: list[dict[str, Any]]
) -> tuple[dict[str, Any] | None, list[InputError]]:
    """Read the resolvers' logs and hold them against the incidents; also those not to be read."""
    if not options.resolver_logs:
        return None, []
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from forensics.capture.containers import Stream
    from forensics.capture.lines import text_lines
    from forensics.testimony.logs.holding import hold
    from forensics.testimony.logs.reading import read

    times = [time for time in captures["first"].cast("int64").to_pylist() if time is not None]
    zone = ZoneInfo(options.log_timezone) if options.log_timezone else UTC
    logs, digests, unread = [], {}, []
    for path in distinct(options.resolver_logs):
        try:
            stream = Stream(path)
        except InputError as error:
            unread.append(error)
            continue
        try:
            logs.append(read(path, text_lines(stream), min(times, default=0), zone))
        finally:
            digests[path] = stream.finish()
        if stream.problem is not None:
            unread.append(InputError(path, stream.problem.offset, stream.problem.detail))
    held = hold(logs, incidents)
    for row in held["logs"]:
        row["sha256"] = digests[row["path"]]
    return held, unread


def of_clocks(findings: Sequence[dict[str, Any]]) -> set[str]:
    """Give the resolvers that a finding about a clock speaks of."""
    return {
        resolver
        for row in findings
        if row["kind"].startswith("clock")
        for resolver in row.get("resolvers", ())
    }


def with_testimony(
    findings: Sequence[dict[str, Any]], testimony: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add what is known by testimony; what a resolver claims of those zones is told there."""
    from forensics.knowledge import is_subdomain
    from forensics.timeline.findings import sort

    def told(row: dict[str, Any]) -> bool:
        if row["kind"] != "resolver-local" or not row.get("names"):
            return False
        zones = [
            one["zone"]
            for one in testimony
            if any(
                held["address"] == row["resolver"] and held["servfail"] for held in one["resolvers"]
            )
        ]
        return all(any(is_subdomain(name, zone) for zone in zones) for name in row["names"])

    return sort([*(row for row in findings if not told(row)), *testimony])
