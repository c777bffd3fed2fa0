"""report.md as a forge shows it: in a comment of a pull request, and as a page of a wiki."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_sample as samples
from markdown_it import MarkdownIt

from forensics.report.citations import Citations
from forensics.report.markdown import render_markdown

REPORTS = Path(__file__).resolve().parents[2] / "reports"
TEXTS = [
    *(
        pytest.param(path.read_text("utf-8"), id=path.parent.name)
        for path in sorted(REPORTS.glob("*/report.md"))
    ),
    pytest.param(render_markdown(samples.sample(30), ("timeline", "lookups")), id="sample"),
    pytest.param(render_markdown(samples.many()), id="many"),
    pytest.param(render_markdown(samples.hostile()), id="hostile"),
]  # fmt: skip


class _Shown(HTMLParser):
    """Counts cells by row, and keeps what else a reader is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[int]] = []
        self.tags: set[str] = set()
        self.headings: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append(0)
        elif tag in {"td", "th"}:
            self.tables[-1][-1] += 1
        elif tag == "img":
            self.images.append(dict(attrs).get("src") or "")


@pytest.mark.parametrize("text", TEXTS)
def test_every_table_is_whole_and_nothing_else_is_markup(text: str) -> None:
    # GitHub lets <br> and comments through and shows all other HTML as text or drops it.
    shown = _Shown()
    shown.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))
    lines = text.split("\n")
    delimiters = [line for line in lines if re.fullmatch(r"\|( :?-+:? \|)+", line)]
    assert len(shown.tables) == len(delimiters) > 3
    for counts, delimiter in zip(shown.tables, delimiters, strict=True):
        assert set(counts) == {delimiter.count("|") - 1}
    rows = [line for line in lines if line.startswith("|")]
    assert sum(map(len, shown.tables)) == len(rows) - len(delimiters)
    # Each line that begins a table or heading stands apart, so that none is taken for a paragraph.
    for at, line in enumerate(lines):
        if line.startswith("#"):
            assert lines[at - 1] == "" or at == 0
    assert shown.tags <= {
        "h1", "h2", "h3", "p", "em", "strong", "table", "thead", "tbody", "tr", "th", "td",
        "code", "ul", "li", "blockquote", "br", "img", "a",
    }  # fmt: skip
    assert all(image.startswith("figures/") for image in shown.images)


def test_what_is_claimed_of_a_time_carries_its_frame() -> None:
    """Of the committed outage: each end of each bracket and each act of the operator."""
    report = json.loads((REPORTS / "de-2026" / "report.json").read_text())
    incident = report["incidents"][0]
    text = (REPORTS / "de-2026" / "report.md").read_text("utf-8")
    frames = {row["time"]: row["frame"] for row in incident["evidence"]}
    brackets = {"onset": ("last_good", "first_bad"), "recovery": ("last_bad", "first_good")}
    for side, names in brackets.items():
        for name in names:
            words = name.replace("_", " ")
            assert f"{words}: frame {frames[incident[side][name]]}" in text
    for row in incident["history"]:
        line = next(
            line for line in text.split("\n") if row["detail"] in line and "operator" in line
        )
        assert f"`frame.number == {row['frame']}`" in line
    for stratum in incident["strata"]:
        for name in ("last_good", "first_bad", "last_bad", "first_good"):
            held = stratum[name]
            if held is not None:
                cited = Citations(report, incident).frame(held["time"])
                assert re.fullmatch(r" \(frame \d+\)", cited)


def test_with_several_captures_the_frame_names_its_own() -> None:
    report = samples.sample(1)
    cited = Citations(report, report["incidents"][0])
    last_good = report["incidents"][0]["onset"]["last_good"]
    assert cited.frame(last_good) == " (frame 1012 of `captures/anycast-fra.pcapng`)"
    assert cited.frame("2026-05-05T00:00:00.000000000Z") == ""
