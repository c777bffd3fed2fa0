"""timeline.jsonl: every line an event that Timesketch takes, in order, with nothing that runs."""

from __future__ import annotations

import json
from datetime import datetime

from report_sample import empty, hostile, sample

from forensics.report.timesketch import render_timeline


def lines(report) -> list[dict]:
    return [json.loads(line) for line in render_timeline(report).splitlines()]


def test_each_line_has_what_timesketch_asks_for_and_they_are_in_order() -> None:
    told = lines(sample())
    for line in told:
        assert line["message"]
        assert line["timestamp_desc"]
        when = datetime.fromisoformat(line["datetime"])
        assert int(when.timestamp()) == line["timestamp"] // 1_000_000
    assert [line["timestamp_ns"] for line in told] == sorted(line["timestamp_ns"] for line in told)


def test_every_event_and_both_ends_of_each_bracket_are_there() -> None:
    report = sample()
    told = lines(report)
    stamps = {line["datetime"] for line in told}
    assert {event["at"] for event in report["events"]} <= stamps
    for incident in report["incidents"]:
        for bracket in ("onset", "recovery"):
            assert {at for at in incident[bracket].values() if at} <= stamps
        assert any(line.get("incident") == incident["id"] for line in told)
    frames = {event["frame"] for event in report["events"] if event.get("frame")}
    assert frames == {line["frame"] for line in told if "frame" in line}


def test_a_report_without_events_gives_an_empty_file() -> None:
    assert render_timeline(empty()) == ""


def test_hostile_texts_stay_ascii_on_one_line_and_visible() -> None:
    text = render_timeline(hostile())
    assert text.isascii()
    assert "\x1b" not in text
    for line in text.splitlines():
        for value in json.loads(line).values():
            if isinstance(value, str):
                assert value.isprintable() or "\\" in value
                assert not any(ord(sign) < 32 or 0x202A <= ord(sign) <= 0x202E for sign in value)
