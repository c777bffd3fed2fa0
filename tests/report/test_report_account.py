"""What the report says: the account, its words for times and counts, and the drawings."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import report_sample as samples
from hypothesis import given
from hypothesis import strategies as st

from forensics.report import canvas, charts, times, words
from forensics.report.account import (
    NOBODY_BLAMED,
    NOTHING_FOUND,
    account,
    duration,
    gravest_first,
    window,
)
from forensics.report.html import matrix, render_html
from forensics.report.markdown import render_markdown
from forensics.report.summary import WIDTH, render_summary

NANOSECONDS = st.integers(min_value=0, max_value=4_000_000_000 * times.SECOND)


@given(NANOSECONDS)
def test_times_are_read_as_datetime_reads_them(time_: int) -> None:
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ // times.SECOND)
    text = f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ % times.SECOND:09}Z"
    assert times.parse(text) == time_
    assert times.parse(times.exact(time_) + "Z") == time_


@pytest.mark.parametrize(
    "text",
    [None, 5, "", "now", "2026-13-05T00:00:00Z", "2026-02-30T00:00:00Z", "2026-05-05T0:0:0Z"],
)
def test_what_is_no_time_is_a_dash(text: Any) -> None:
    assert times.parse(text) is None
    assert times.stamp(text) == times.NONE


@pytest.mark.parametrize(
    ("gap", "text"),
    [
        (0, "0 s"),
        (1_500, "1.5 µs"),
        (13_000_000, "13 ms"),
        (2_883_687_000, "2.9 s"),
        (2_000_000_000, "2 s"),
        (61 * times.SECOND, "1 min 1 s"),
        (3 * times.HOUR + 31 * times.MINUTE + 49 * times.SECOND, "3 h 31 min"),
        (2 * times.DAY, "2 d"),
    ],
)
def test_lengths(gap: int, text: str) -> None:
    assert times.length(gap) == text


def test_local_times_carry_their_offset() -> None:
    zone = times.zone_named("Europe/Berlin")
    if zone is None:
        pytest.skip("this machine has no time zone database")
    assert times.local(samples.at(19, 43, 15), zone) == "2026-05-05 21:43:15 CEST (+02:00)"
    assert times.zone_named("No/Such") is None
    assert times.zone_named("../../etc/passwd") is None


@given(NANOSECONDS, st.integers(min_value=1, max_value=400 * times.DAY))
def test_ticks_are_round_few_and_inside(start: int, length: int) -> None:
    marks = canvas.ticks(start, start + length)
    assert len(marks) <= 11
    assert all(start <= mark.time <= start + length for mark in marks)
    if marks:
        assert marks[0].date


def test_the_account_of_the_outage() -> None:
    told = account(samples.sample())
    assert told.severity == "outage"
    when, where, why, whom = told.facts
    assert when.answer == "19:43:15 → 22:19:54"
    # 22:17:30.5 - 19:43:15.004 and 22:19:54.5 - 19:43:12.120, by hand
    assert "Lasted at least 2 h 34 min, at most 2 h 36 min" in when.grounds
    assert any("last good 19:43:12.120, first bad 19:43:15.004" in text for text in when.grounds)
    assert where.answer == "de."
    assert "3 of 3 servers served bad data" in where.grounds
    assert why.answer == "signature invalid"
    assert any("EDE 6 (DNSSEC Bogus)" in text for text in why.grounds)
    assert whom.answer == "17,318 lookups failed"


def test_a_long_account_is_parted_after_its_first_sentence() -> None:
    report = samples.sample(1)
    first = "Answers of de. carried signatures that no key published by de. had made."
    rest = (
        "It began between 19:43:12 UTC (last good answer) and 19:43:15 UTC (first bad one). "
        "All 3 name servers seen served bad data."
    )
    report["incidents"][0]["sentence"] = f"{first} {rest}"
    told = account(report)
    assert told.headline == first
    assert told.deck[0] == rest
    report["incidents"][0]["sentence"] = first
    assert account(report).headline == first


def test_the_gravest_incident_comes_first() -> None:
    report = samples.many(9)
    report["incidents"].reverse()
    order = [
        (words.SEVERITIES.index(row["severity"]), row["confidence"])
        for row in gravest_first(report)
    ]
    assert order == sorted(order)
    assert account(report).incidents[0]["zone"] == "de."


def test_an_open_end_is_said() -> None:
    report = samples.still_open()
    told = account(report)
    assert told.facts[0].answer.endswith("no recovery seen")
    assert duration(report["incidents"][0]).startswith("at least ")
    for text in (render_html(report), render_markdown(report), render_summary(report)):
        assert "no recovery seen" in text
        assert "never seen good before" in text


def test_nothing_found_says_what_was_seen() -> None:
    report = samples.empty()
    for text in (render_html(report), render_markdown(report), render_summary(report)):
        assert NOTHING_FOUND in text
        assert "12 packets" in text
    report["counts"]["signatures"] = 0
    assert "nothing could be judged" in render_summary(report)


def test_lookups_that_failed_validation_are_not_called_no_failure() -> None:
    report = samples.empty()
    report["triage"] = {**report["triage"], "validation": 3}
    for text in (render_html(report), render_markdown(report), render_summary(report)):
        told = " ".join(text.split())
        assert NOTHING_FOUND not in told
        assert NOBODY_BLAMED in told


@pytest.mark.parametrize("kind", ["private-root", "clock"])
def test_what_changes_the_reading_comes_before_the_headline(kind: str) -> None:
    report = samples.sample(1)
    report["findings"] = [{"kind": kind}]  # without a sentence of its own
    name, sentence = words.finding(report["findings"][0])
    assert sentence
    page = render_html(report)
    assert page.index(f"<b>{name}</b>") < page.index("<h1")
    text = render_markdown(report)
    assert text.index(name) < text.index("# From")
    assert render_summary(report).startswith(f"! {name}")


def test_the_summary_is_short() -> None:
    lines = render_summary(samples.sample()).splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= WIDTH
    for question in ("When:", "Where:", "Why:", "Whom:"):
        assert any(line.startswith(question) for line in lines)
    assert "de. " in "\n".join(lines) or "de.;" in "\n".join(lines)


def test_optional_fields_may_all_be_absent() -> None:
    fixed = {"schema", "captures", "counts", "incidents", "triage", "agreement"}
    report = {name: value for name, value in samples.sample().items() if name in fixed}
    for name in ("notes", "quote", "chain"):
        del report["incidents"][0][name]
    for server in report["incidents"][0]["servers"]:
        del server["onset"], server["recovery"]
    assert "19:43:15" in render_html(report)
    assert "19:43:15" in render_markdown(report)
    assert "19:43:15" in render_summary(report)
    assert ET.fromstring(charts.timeline(report)).tag.endswith("svg")


@pytest.mark.parametrize("value", [{}, [], None])
@pytest.mark.parametrize("name", ["series", "findings", "losses", "events", "options", "window"])
def test_empty_optional_fields_are_fine(name: str, value: Any) -> None:
    report = {**samples.sample(2), name: value}
    assert "19:43:15" in render_html(report)
    assert "19:43:15" in render_markdown(report)
    assert render_summary(report)


def test_every_frame_has_a_filter_for_wireshark() -> None:
    report = samples.sample(25)
    page = render_html(report)
    frames = {row["frame"] for row in report["events"]}
    frames |= {row["frame"] for row in report["incidents"][0]["evidence"]}
    found = {
        int(n) for n in re.findall(r'<code class="filter">frame\.number == (\d+)</code>', page)
    }
    assert frames <= found


def test_every_time_column_says_utc() -> None:
    page = render_html(samples.sample(5))
    assert page.count("(UTC)") + page.count("in UTC") >= 6
    drawing = charts.timeline(samples.sample())
    assert "all times UTC" in drawing
    assert "5 May 2026, UTC" in drawing


def test_the_matrix_adds_up() -> None:
    report = samples.sample(1)
    for column, name in enumerate(("good", "bad")):
        drawn = sum(
            cell[column]
            for table in matrix(report)
            for line in table["lines"]
            for cell in line["cells"]
            if cell
        )
        assert drawn == sum(row[name] for row in report["series"]["matrix"])


def test_the_matrix_puts_bad_data_first_and_parts_zones() -> None:
    report = samples.sample(1)
    for row in report["series"]["matrix"]:
        row["zone"] = "de."
    report["series"]["matrix"].append({**report["series"]["matrix"][0], "zone": "org."})
    tables = matrix(report)
    assert {table["title"] for table in tables} == {
        "de. SOA",
        "de. NSEC3",
        "de. DNSKEY",
        "org. SOA",
    }
    assert tables[-1]["title"] == "de. DNSKEY"  # the only one without anything bad
    assert tables[0]["corner"] == "Serial"  # six serials, three servers
    assert "de. DNSKEY: all good" in render_html(report)
    assert "All good: de. DNSKEY." in render_markdown(report)


def test_drawings_stay_inside_their_sheet() -> None:
    for make in (samples.sample, samples.still_open, samples.many, samples.hostile):
        tree = ET.fromstring(charts.timeline(make()))
        width, height = (float(part) for part in tree.attrib["viewBox"].split()[2:])
        for element in tree.iter():
            if element.tag.endswith("}rect") and "x" in element.attrib:
                left, top = float(element.attrib["x"]), float(element.attrib["y"])
                assert left >= 0
                assert left + float(element.attrib["width"]) <= width + 0.2
                assert top + float(element.attrib["height"]) <= height + 0.2


def test_a_drawing_of_one_instant_has_a_width() -> None:
    report = samples.sample(1)
    report["window"] = {"from": samples.at(19, 43), "to": samples.at(19, 43)}
    assert window(report) is not None
    assert "NaN" not in charts.timeline(report)


def test_a_drawing_with_a_bin_for_each_second_stays_small() -> None:
    report = samples.sample(1)
    report["series"]["bin_seconds"] = 1
    row = report["series"]["lookups"][0]
    report["series"]["lookups"] = [
        {**row, "at": samples.at(18 + s // 3600, s // 60 % 60, s % 60)} for s in range(6 * 3600)
    ]
    assert len(charts.lookups(report)) < 120_000


def test_the_page_renders_fast() -> None:
    report = samples.sample(2_000)
    render_html(report)  # the template is compiled once
    start = time.process_time()
    page = render_html(report)
    assert time.process_time() - start < 1.5  # processor time: the load of the machine is not in it
    assert len(page) < 1_500_000
