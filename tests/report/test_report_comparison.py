"""Two reports held against each other: what is new, gone and changed, in every output."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from time import process_time
from typing import Any

import jsonschema
import pytest
import report_sample as samples

from forensics.errors import UsageError
from forensics.report.comparison import _paired, compare, read_report, render_comparison
from forensics.report.html import render_html
from forensics.report.json import SCHEMA, text_of
from forensics.report.markdown import render_markdown
from forensics.report.summary import render_summary


def _pair() -> tuple[dict[str, Any], dict[str, Any]]:
    """A report after an act, and one before: one incident in both, one new, one gone."""
    before, after = samples.sample(3), samples.sample(3)
    gone = copy.deepcopy(before["incidents"][0])
    gone |= {"id": "gone", "zone": "gone.example.", "reason": "ds-mismatch"}
    new = copy.deepcopy(gone) | {"id": "new", "zone": "new.example."}
    before["incidents"].append(gone)
    after["incidents"].insert(0, new)
    same = after["incidents"][1]
    same["onset"]["first_bad"] = samples.at(19, 50)
    same["impact"]["servfail"] = 18
    same["servers"][0]["bad"] = 0
    for row in after["series"]["lookups"]:
        row["servfail"] = 0
    return before, after


def test_a_report_differs_from_itself_in_nothing() -> None:
    told = compare(samples.many(), samples.many(), "same")
    assert told["new"] == told["gone"] == []
    assert len(told["both"]) == len(samples.many()["incidents"])
    assert [row["differences"] for row in told["both"]] == [[]] * len(told["both"])


def test_many_alike_are_paired_in_order_without_labour() -> None:
    """Ten seconds are a hang, not a timing: with the square of their number these took minutes."""
    report = samples.sample(1)
    one = report["incidents"][0]
    report["incidents"] = [copy.copy(one) | {"id": str(number)} for number in range(20_000)]
    began = process_time()
    pairs, new, gone = _paired(report["incidents"], report["incidents"][:-1])
    assert process_time() - began < 10
    assert [(here["id"], there["id"]) for here, there in pairs] == [
        (str(number), str(number)) for number in range(19_999)
    ]
    assert [row["id"] for row in new] == ["19999"]
    assert gone == []


def test_new_gone_and_changed_are_told_apart() -> None:
    before, after = _pair()
    told = compare(after, before, "before")
    assert [row["id"] for row in told["new"]] == ["new"]
    assert [row["id"] for row in told["gone"]] == ["gone"]
    (both,) = told["both"]
    found = {row["what"]: (row["there"], row["here"]) for row in both["differences"]}
    assert found["first bad"] == (samples.at(19, 43, 15.004118), samples.at(19, 50))
    assert found["failed lookups"] == (17_318, 18)
    (there, here) = found["bad servers"]
    assert set(there) - set(here) == {"192.0.2.53 · ns1.fra.example"}
    assert set(found) == {"first bad", "lasted", "failed lookups", "bad servers"}
    assert told["rates"]["here"]["servfail"] == 0
    series = before["series"]["lookups"]
    failed = sum(row["servfail"] for row in series)
    asked = failed + sum(row["noerror"] + row["nxdomain"] + row["other"] for row in series)
    assert told["rates"]["there"]["share"] == round(failed / asked, 6)
    assert told["rates"]["there"]["lookups"] == asked
    assert told["sentence"].startswith(
        "1 incident is here alone; 1 incident is in the baseline alone; 1 incident is in both."
    )


def test_one_with_another_reason_is_still_the_same_zone_s() -> None:
    before, after = samples.sample(1), samples.sample(1)
    after["incidents"][0]["reason"] = "dnskey-missing"
    told = compare(after, before, "b")
    assert told["new"] == told["gone"] == []
    assert told["both"][0]["differences"] == [
        {"what": "reason", "kind": "words", "there": "signature-invalid", "here": "dnskey-missing"}
    ]


def test_of_two_incidents_of_a_zone_the_second_is_held_against_the_second() -> None:
    def twice() -> dict[str, Any]:
        report = samples.sample(1)
        later = copy.deepcopy(report["incidents"][0]) | {"id": "later"}
        later["onset"] = {"last_good": samples.at(23, 1), "first_bad": samples.at(23, 2)}
        report["incidents"].insert(0, later)
        return report

    told = compare(twice(), twice(), "b")
    assert [(row["id"], row["baseline_id"]) for row in told["both"]] == [
        ("later", "later"),
        (samples.sample(1)["incidents"][0]["id"],) * 2,
    ]
    one_gone = compare(samples.sample(1), twice(), "b")
    assert len(one_gone["both"]) == len(one_gone["gone"]) == 1


def test_it_stands_in_every_output_and_keeps_the_contract() -> None:
    before, after = _pair()
    after["baseline"] = compare(after, before, "before", "00")
    jsonschema.validate(json.loads(text_of(after)), json.loads(SCHEMA.read_text()))
    for text in (render_html(after), render_markdown(after)):
        assert "Against the baseline" in text
        assert "gone.example." in text
        assert "17,318" in text
    assert "Against the baseline: 1 incident is here alone" in render_summary(after)
    plain = render_comparison(after["baseline"])
    assert "In the baseline alone: gone.example., DS mismatch" in plain
    assert "  failed lookups: 17,318 -> 18" in plain


def test_hostile_names_stay_text_in_a_comparison() -> None:
    told = compare(samples.hostile(), samples.sample(1), samples.HOSTILE[0])
    report = {**samples.sample(1), "baseline": told}
    for text in (render_html(report), render_markdown(report), render_comparison(told)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    for text in (render_html(report), render_markdown(report)):
        assert "<script>document" not in text.replace("`" + samples.HOSTILE[0] + "`", "")


def test_a_report_is_read_from_its_folder_or_file_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text_of(samples.sample(1)))
    found, digest = read_report(tmp_path)
    assert found == read_report(path)[0] == json.loads(path.read_text())
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    for content, why in (("{", "no JSON"), ("{}", "not a report of schema"), ("[" * 99_999, "no")):
        path.write_text(content)
        with pytest.raises(UsageError, match=why):
            read_report(path)
    with pytest.raises(UsageError, match="no such file"):
        read_report(tmp_path / "missing")
