"""Read the resolvers' logs that were given, and hold them against the incidents."""

from __future__ import annotations

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
