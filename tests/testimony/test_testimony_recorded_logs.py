"""Each resolver's log of each recording: its format, every failure that it tells, and their times.

Failures are counted here by plain words of the lines, as a person would with grep.
"""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from forensics.testimony.logs.entry import FAILURE, NTA_ADDED
from forensics.testimony.logs.reading import Log, read

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
LOGS = sorted(CAPTURES.glob("*/*.log"))
FORMATS = {
    "unbound": "unbound", "mitigated": "unbound", "unbound-2": "unbound", "plain": "unbound",
    "bind": "bind", "recursor": "powerdns", "kresd": "knot",
}  # fmt: skip
SECOND = 10**9


def grep(kind: str, lines: list[str]) -> int:
    """Count the lines that tell of a failed validation."""
    if kind == "unbound":
        told = ("validation failure <", "failed to prime trust anchor")
        return sum(any(word in line for word in told) for line in lines)
    if kind == "powerdns":
        return sum('msg="Validates as Bogus"' in line for line in lines)
    if kind == "knot":
        return sum("[dnssec] validation failure" in line for line in lines)
    faults = ("no valid signature", "verify failed", "got insecure response", "bad cache hit")
    asked = ("broken trust chain", "no valid RRSIG", "RRSIG has", "RRSIG failed", "insecurity")
    return sum(
        (" validating " in line and any(word in line for word in faults))
        or (" resolving '" in line and any(f"info: {word}" in line for word in asked))
        for line in lines
    )


def near(path: Path) -> int:
    """Give a time of the recording, ns."""
    steps = tomllib.loads((path.parent / "truth.toml").read_text()).get("steps", [])
    text = steps[0]["at"][:19] if steps else "2026-11-24T20:00:00"
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def whole(path: Path) -> Log:
    return read(str(path), path.read_text(encoding="utf-8").splitlines(), near(path))


def test_there_are_logs_of_every_format() -> None:
    assert {FORMATS[path.stem] for path in LOGS} == {"unbound", "bind", "powerdns", "knot"}
    assert len(LOGS) > 80


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_failure_of_a_recorded_log_is_read(path: Path) -> None:
    kind = FORMATS[path.stem]
    log = whole(path)
    failures = [(time, entry) for time, entry in log.entries if entry.kind == FAILURE]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert (log.format, log.lines, len(failures)) == (kind, len(lines), grep(kind, lines))
    assert all(entry.name.endswith(".") and entry.words for _, entry in failures)
    times = [time for time, _ in failures if time is not None]
    assert len(times) == (0 if kind == "knot" else len(failures))  # kresd writes no time itself
    # The lab's clock ran from a day before to a day after; a wrong year or zone would show.
    assert all(abs(time - near(path)) < 3 * 86_400 * SECOND for time in times)


def _syslog(host: str, zone: timezone):
    def stamp(time: datetime) -> str:
        local = time.astimezone(zone)
        return f"{local:%b} {local.day:2} {local:%H:%M:%S} {host} "

    return stamp


CEST = timezone(timedelta(hours=2))
STAMPS = {
    "syslog in local time": (_syslog("ns1", CEST), CEST),
    "journal, short-iso": (
        lambda time: f"{time.astimezone(CEST):%Y-%m-%dT%H:%M:%S%z} ns1 ", UTC
    ),
    "RFC 3339 with a zone": (
        lambda time: time.astimezone(CEST).isoformat(timespec="microseconds") + " ns1 ", UTC
    ),
    "plain UTC": (lambda time: f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03} ", UTC),
}  # fmt: skip


@pytest.mark.parametrize("style", STAMPS)
@pytest.mark.parametrize(
    "name", ["ru-2024/unbound.log", "fj-2022/recursor.log", "ru-2024/bind.log"]
)
def test_the_same_log_with_other_stamps_tells_the_same_at_the_same_times(
    name: str, style: str
) -> None:
    path = CAPTURES / name
    mine = whole(path)
    stamp, zone = STAMPS[style]
    program = {"unbound": "unbound[1:0] ", "powerdns": "pdns_recursor[1]: ", "bind": "named[1]: "}
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        ((time, _),) = [
            (t, e) for t, e in read("", [line], near(path)).entries
        ] or [(None, None)]  # fmt: skip
        if time is None:
            continue
        moment = datetime.fromtimestamp(time / SECOND, UTC)
        bare = re.sub(r"^(\[\d+\] |\w{3} \d\d \S+ |\S+Z )", "", line)
        tag = "" if bare.startswith("unbound[") else program[FORMATS[path.stem]]
        lines.append(stamp(moment) + tag + bare)
    again = read("again", lines, near(path), zone)
    told = [(entry.name, entry.type, entry.words) for _, entry in mine.entries]
    assert again.format == mine.format
    assert [(entry.name, entry.type, entry.words) for _, entry in again.entries] == told
    for (one, _), (other, _) in zip(mine.entries, again.entries, strict=True):
        assert one is not None
        assert other is not None
        assert abs(one - other) < SECOND


def test_an_anchor_set_by_hand_is_read_where_a_log_tells_of_it() -> None:
    """In ru-2024 the lab set one in BIND too, whose log there leaves its control channel out."""
    assert "nta" not in (CAPTURES / "ru-2024" / "bind.log").read_text()
    anchors = {
        f"{path.parent.name}/{path.name}": entry.name
        for path in LOGS
        for _, entry in whole(path).entries
        if entry.kind == NTA_ADDED
    }
    assert anchors == {"de-2026-resolvers/recursor.log": "de.", "fj-2022/recursor.log": "fj."}
