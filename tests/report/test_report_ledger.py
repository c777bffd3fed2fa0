"""The report accounts for every octet of each input, and says so where it does not add up."""

from __future__ import annotations

import re

import pytest
import report_sample as samples

from forensics.assembly import _ledger
from forensics.report.html import render_html
from forensics.report.markdown import render_markdown

HELD = {"content": 1_000_100, "messages": 900_000, "other": 1_000, "framing": 99_000, "lost": 100}


def told(text):
    """The words of a rendering without its markup, one space between them."""
    return re.sub(r"[\s|]+", " ", re.sub(r"<[^>]*>", " ", text))


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_a_row_an_input_with_its_sum(render):
    report = samples.sample()
    report["captures"][0]["ledger"] = {**HELD, "complete": True}
    report["captures"][1]["ledger"] = {**HELD, "lost": 99, "complete": False}
    words = told(render(report))
    assert "Where every octet went" in words
    assert "anycast-fra.pcapng" in words
    assert re.search(r"1,000,100 900,000 1,000 99,000 100 adds up", words)
    assert re.search(r"1,000,100 900,000 1,000 99,000 99 does not add up", words)


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_reports_without_an_account_have_no_table(render):
    report = samples.sample()
    report["captures"][0]["ledger"] = None
    assert "Where every octet went" not in told(render(report))


def test_the_sum_is_checked_by_the_figures_alone():
    row = {
        f"{name}_octets": value
        for name, value in (
            ("content", 10),
            ("message", 4),
            ("other", 3),
            ("framing", 2),
            ("lost", 1),
        )
    }
    expected = {"content": 10, "messages": 4, "other": 3, "framing": 2, "lost": 1}
    assert _ledger(row) == {**expected, "complete": True}
    assert _ledger({**row, "lost_octets": 0})["complete"] is False
    assert _ledger({**row, "content_octets": None}) is None
