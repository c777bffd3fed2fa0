"""What attackers put into packets: shown, but never live, in any of the media."""

from __future__ import annotations

import csv
import re
import unicodedata
from html import unescape
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import dns.name
import pyarrow as pa
import pytest
import report_sample as samples
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from forensics.api import Analysis
from forensics.report import charts
from forensics.report.escape import TEXT_LIMIT, code, markdown, visible, xml
from forensics.report.html import render_html
from forensics.report.json import text_of
from forensics.report.markdown import render_markdown
from forensics.report.summary import plain, render_summary
from forensics.report.tablewriter import text_of as table_text
from forensics.report.timesketch import render_timeline

CONFUSING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069]")
ANY_TEXT = st.text(alphabet=st.characters(), max_size=60) | st.sampled_from(samples.HOSTILE)


class Skeleton(HTMLParser):
    """Collects elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.values: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        for name, value in attrs:
            self.attributes.add((tag, name))
            self.values.append((tag, name, value or ""))


def _skeleton(page: str) -> Skeleton:
    parser = Skeleton()
    parser.feed(page)
    parser.close()
    return parser


def test_no_element_or_attribute_comes_from_data() -> None:
    honest, hostile = (
        _skeleton(render_html(samples.sample(60))),
        _skeleton(render_html(samples.hostile())),
    )
    assert hostile.elements <= honest.elements | {"br"}
    assert hostile.attributes <= honest.attributes
    assert not {"img", "iframe", "object", "link", "base"} & hostile.elements


def test_nothing_in_the_page_points_outside_or_runs() -> None:
    for make in (samples.sample, samples.hostile, samples.many):
        page = _skeleton(render_html(make()))
        for tag, name, value in page.values:
            assert not name.startswith("on"), (tag, name)
            assert name != "style"  # the policy would refuse it
            if name in {"href", "src", "action", "xlink:href"}:
                assert value.startswith("#"), (tag, name, value)


def test_the_policy_allows_only_our_own_octets() -> None:
    page = render_html(samples.hostile())
    (policy,) = [value for tag, name, value in _skeleton(page).values
                 if tag == "meta" and name == "content" and "default-src" in value]  # fmt: skip
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.count("<script") == 1
    assert page.count("<style") == 1


def test_templates_in_data_are_not_evaluated() -> None:
    page = render_html(samples.hostile())
    assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize("name", [name for name, *_ in charts.FIGURES])
def test_drawings_of_hostile_data_are_well_formed(name: str) -> None:
    draw = {figure: draw for figure, _, draw in charts.FIGURES}[name]
    honest = {
        element.tag for element in ET.fromstring(draw(samples.sample(), standalone=True)).iter()
    }
    for standalone in (False, True):
        tree = ET.fromstring(draw(samples.hostile(), standalone=standalone))
        assert {element.tag for element in tree.iter()} <= honest
        for element in tree.iter():
            assert not [key for key in element.attrib if key.startswith("on") or key == "style"]


@pytest.mark.parametrize("medium", ["html", "markdown", "summary"])
def test_hidden_characters_become_visible(medium: str) -> None:
    render = {
        "html": render_html,
        "markdown": render_markdown,
        "summary": render_summary,
    }[medium]
    text = render(samples.hostile())
    assert CONFUSING.findall(text) == []
    assert "\\u{202e}" in text
    text.encode()  # no lone surrogate is left


def test_the_only_escapes_in_a_summary_are_our_colours() -> None:
    text = render_summary(samples.hostile(), colour=True)
    left = re.sub("\x1b\\[(?:0|1|31|31;1|33|32)m", "", text)
    assert CONFUSING.findall(left) == []
    assert "\x1b" not in render_summary(samples.hostile())


def _walk(tokens: list[Token]) -> list[Token]:
    return [token for top in tokens for token in (top, *(_walk(top.children or [])))]


def _parse(text: str) -> list[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return _walk(parser.parse(text))


def test_markdown_of_hostile_data_holds_no_live_markup() -> None:
    tokens = _parse(render_markdown(samples.hostile(), ["timeline"]))
    targets = [token.attrGet("href") for token in tokens if token.type == "link_open"]
    assert targets == ["figures/timeline.svg"]
    assert [token.attrGet("src") for token in tokens if token.type == "image"] == [
        "figures/timeline.png"
    ]
    raw = {token.content for token in tokens if token.type in {"html_inline", "html_block"}}
    assert raw <= {"<br>", "<!-- -->"}
    assert not [token for token in tokens if token.type in {"fence", "code_block", "s_open"}]


def test_markdown_of_hostile_data_has_the_outline_of_the_honest_one() -> None:
    def outline(text: str) -> list[tuple[str, int]]:
        return [(token.tag, token.level) for token in _parse(text) if token.type == "heading_open"]

    report = samples.hostile()
    report["series"]["matrix"] = []  # one table for each record type, and these differ here
    honest = samples.sample(60)
    honest["series"]["matrix"] = []
    assert outline(render_markdown(report)) == outline(render_markdown(honest))


@pytest.mark.parametrize("make", [samples.sample, samples.hostile, samples.many, samples.empty])
def test_markdown_tables_are_well_formed(make: Any) -> None:
    text = render_markdown(make())
    rows = [line for line in text.splitlines() if line.startswith("|")]
    groups: list[list[str]] = []
    for number, line in enumerate(text.splitlines()):
        if line.startswith("|"):
            if number == 0 or not text.splitlines()[number - 1].startswith("|"):
                groups.append([])
            groups[-1].append(line)
    assert sum(map(len, groups)) == len(rows)
    for group in groups:
        # Pipes that part cells are those without a backslash before them (GFM 4.10).
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in group}
        assert len(cells) == 1, group[:3]
        assert set(group[1]) <= set("| -:")
    tables = [token for token in _parse(text) if token.type == "table_open"]
    assert len(tables) == len(groups)


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_escaped_markdown_reads_back_as_the_visible_text(text: str) -> None:
    tokens = _parse(f"x {markdown(text)}")
    assert [token.type for token in tokens if token.type.endswith("_open")] == ["paragraph_open"]
    read = "".join(token.content for token in tokens if token.type in {"text", "text_special"})
    assert read.split() == f"x {visible(text)}".split()


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_escaped_markdown_starts_no_block(text: str) -> None:
    tokens = _parse(markdown(text))
    assert {token.type for token in tokens if token.type.endswith("_open")} <= {"paragraph_open"}


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_code_spans_hold_the_visible_text_in_a_table_cell(text: str) -> None:
    tokens = _parse(f"| a | b |\n| --- | --- |\n| {code(text)} | c |\n")
    spans = [token.content for token in tokens if token.type == "code_inline"]
    assert spans == ([visible(text)] if visible(text).strip() else [])


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_svg_text_reads_back_as_the_visible_text(text: str) -> None:
    tree = ET.fromstring(f'<t a="{xml(text)}">{xml(text)}</t>')
    assert (tree.text or "") == visible(text)
    assert tree.get("a") == visible(text)


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_visible_text_has_no_controls_and_is_stable(text: str) -> None:
    once = visible(text)
    assert not [c for c in once if unicodedata.category(c) in {"Cc", "Cs"} or c in "\u202e\u2066"]
    assert visible(once) == once
    assert plain(text) == once


def test_a_very_long_text_is_cut_and_says_so() -> None:
    report = samples.sample(1)
    report["events"][0]["text"] = "A" * 65_000
    page = render_html(report)
    assert f"({65_000 - TEXT_LIMIT:d} more characters)" in page
    assert "A" * (TEXT_LIMIT + 1) not in page


def _binary_name() -> str:
    """A name of 255 octets whose labels hold every octet that is hard to print (RFC 1035 3.1)."""
    labels = bytes([*range(33), *b"\"'.\\;@$()<>&|`=+-", *range(127, 256), *range(71)])
    cut = [labels[at : at + 63] for at in (0, 63, 126)] + [labels[189:250]]
    name = dns.name.Name((*cut, b""))
    assert len(name.to_wire()) == 255
    return name.to_text()


@pytest.mark.parametrize(
    "render",
    [render_html, render_markdown, render_summary, render_timeline, text_of],
    ids=["html", "markdown", "summary", "timeline", "json"],
)
def test_a_name_of_255_binary_octets_is_shown_whole_and_is_harmless(render: Any) -> None:
    name = _binary_name()
    report = samples.sample(2)
    report["incidents"][0]["zone"] = name
    for event in report["events"]:
        event["zone"] = name
    text = render(report)
    assert CONFUSING.findall(text) == []
    bare = re.sub(r"\\u[0-9a-f]{4}|\\\\", "", unescape(text))
    assert "000" in bare
    # Its rarest part, the same in every medium but for the backslash, which each escapes its way.
    assert re.search(r"\\+254\\+255", text)


def test_csv_and_notebook_hold_a_binary_name_too() -> None:
    name = _binary_name()
    schema = pa.schema([("owner", pa.string())])
    batch = pa.record_batch([[name]], schema=schema)
    told = "".join(table_text("signatures", [batch], schema, "csv"))
    (row,) = csv.DictReader(told.splitlines())
    assert row["owner"] == name
    report = samples.hostile()
    report["incidents"][0]["zone"] = f"{name}{samples.HOSTILE[0]}"
    analysis = Analysis.__new__(Analysis)
    analysis.report = report
    shown = analysis._repr_html_()
    assert CONFUSING.findall(shown) == []
    elements = _skeleton(shown).elements
    assert {"pre", "svg"} <= elements
    assert not elements & {"script", "img", "a", "iframe", "b"}
    assert not [name for _, name in _skeleton(shown).attributes if name.startswith("on")]
