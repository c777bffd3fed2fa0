"""The page in a browser: it works, it loads nothing, and nothing from data runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import report_sample as samples

from forensics.report.comparison import compare
from forensics.report.html import render_html

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium"),
    # The browser's pipes are closed by its own loop after the test that asks.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


class Visit:
    """One visit: what the page complained of, and what it asked the network for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.noise: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(**options)
        self.page.on("console", lambda message: self.noise.append(message.text))
        self.page.on("pageerror", lambda error: self.noise.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def go(report: dict[str, Any], **options: Any) -> Visit:
        path = tmp_path / f"report-{len(visits)}.html"
        path.write_text(render_html(report), encoding="utf-8")
        visits.append(Visit(browser, path, **options))
        return visits[-1]

    yield go
    for one in visits:
        one.page.close()


@pytest.mark.parametrize("make", [samples.sample, samples.hostile, samples.empty, samples.many])
def test_no_errors_no_requests_nothing_runs(visit: Any, make: Any) -> None:
    seen = visit(make())
    title = seen.page.title()
    seen.page.mouse.wheel(0, 4_000)
    seen.page.wait_for_timeout(120)
    assert seen.noise == []
    assert [url for url in seen.requests if not url.startswith("file:")] == []
    assert len(seen.requests) == 1
    assert seen.page.title() == title != "owned"
    assert seen.page.locator("script").count() == 1


def test_the_filter_narrows_the_events(visit: Any) -> None:
    report = samples.sample(80)
    page = visit(report).page
    rows = page.locator("#event-table tbody tr:visible")
    assert rows.count() == 80
    page.fill("#event-search", "fra.example servfail")
    expected = sum(
        "fra.example" in row["place"] and row["kind"] == "servfail" for row in report["events"]
    )
    page.wait_for_function(
        "wanted => document.getElementById('event-tally').textContent.startsWith(wanted)",
        arg=f"{expected} of 80",
    )
    assert rows.count() == expected
    page.fill("#event-search", "")
    page.select_option("#event-kind", "dnskey")
    page.wait_for_timeout(150)
    assert rows.count() == sum(row["kind"] == "dnskey" for row in report["events"])


def test_columns_sort_both_ways_and_say_so(visit: Any) -> None:
    report = samples.sample(40)
    page = visit(report).page
    head = page.locator("#event-table thead th").last
    frames = sorted(row["frame"] for row in report["events"])

    def shown() -> list[int]:
        texts = page.locator("#event-table tbody code").all_text_contents()
        return [int(text.rsplit(" ", 1)[1]) for text in texts]

    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert shown() == frames
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert shown() == frames[::-1]


def test_a_hostile_kind_can_be_chosen(visit: Any) -> None:
    seen = visit(samples.hostile())
    seen.page.select_option("#event-kind", index=1)
    seen.page.wait_for_timeout(120)
    assert seen.page.locator("#event-table tbody tr:visible").count() > 0
    assert seen.noise == []


def test_a_click_selects_the_display_filter(visit: Any) -> None:
    page = visit(samples.sample(3)).page
    code = page.locator("#event-table code.filter").first
    code.click()
    assert page.evaluate("getSelection().toString()") == code.text_content()


def test_without_scripts_everything_is_there(visit: Any) -> None:
    page = visit(samples.sample(12), java_script_enabled=False).page
    assert page.locator("#event-table tbody tr:visible").count() == 12
    assert not page.locator("#event-controls").is_visible()
    assert page.locator("svg.chart").is_visible()


@pytest.mark.parametrize("width", [320, 400, 1280])
@pytest.mark.parametrize("make", [samples.sample, samples.many])
def test_the_page_never_scrolls_sideways(visit: Any, make: Any, width: int) -> None:
    page = visit(make(), viewport={"width": width, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_folds_open_for_links_and_print(visit: Any) -> None:
    page = visit(samples.many()).page
    fold = page.locator("article details").last
    assert fold.get_attribute("open") is None
    page.locator("#incidents ~ .scroll a").last.click()
    page.wait_for_function("document.querySelectorAll('details[open]').length === 1")
    assert fold.get_attribute("open") is not None
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit: Any, scheme: str) -> None:
    """WCAG 2.2 1.4.3: 4.5 to 1 for text on the paper, from the colours the browser computed."""
    page = visit(samples.sample(3), color_scheme=scheme).page
    pairs = page.evaluate(
        """() => {
        const of = (name) => {
          const probe = document.createElement('i');
          probe.className = 'probe';
          document.body.append(probe);
          const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
          probe.remove();
          return value;
        };
        return ['ink', 'muted', 'good', 'bad', 'key', 'ds', 'mark'].map(
          (name) => [name, of('--' + name), of('--paper')]);
        }"""
    )

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for name, colour, paper in pairs:
        bright, dark = sorted((light(colour), light(paper)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (name, scheme)


def test_headings_and_tables_are_accessible(visit: Any) -> None:
    page = visit(samples.sample(5)).page
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == page.locator("header").count() == 1
    levels = page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(h => +h.tagName[1])")
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("svg[role=img] > title").count() == 1
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    named = page.eval_on_selector_all(
        "[aria-labelledby]", "all => all.flatMap(e => e.getAttribute('aria-labelledby').split(' '))"
    )
    assert set(named) <= set(ids)


def _drag(page: Any, low: float, high: float) -> tuple[float, float]:
    """Drag the brush over a part of the drawing; the times that it chose, ms."""
    drawing = page.locator("svg.chart").first
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    left, right = (float(drawing.get_attribute(name)) for name in ("data-left", "data-right"))
    wide = float(drawing.get_attribute("viewBox").split()[2])
    first, last = (int(drawing.get_attribute(name)) for name in ("data-from", "data-to"))

    def x(share: float) -> float:
        return box["x"] + (left + (right - left) * share) / wide * box["width"]

    page.mouse.move(x(low), box["y"] + 60)
    page.mouse.down()
    page.mouse.move(x((low + high) / 2), box["y"] + 60)
    page.mouse.move(x(high), box["y"] + 60)
    page.mouse.up()
    shares = [
        int(page.eval_on_selector(name, "slider => slider.value")) / 1000
        for name in ("#brush-from", "#brush-to")
    ]
    return first + (last - first) * shares[0], first + (last - first) * shares[1]


def _within(pairs: list[int], low: float, high: float) -> list[tuple[int, int]]:
    """The pairs of the sample whose minute touches a time, ms: worked out here once more."""
    start = int(datetime(2026, 5, 5, 18, tzinfo=UTC).timestamp()) * 1000
    every = zip(pairs[::2], pairs[1::2], strict=True)
    return [
        (bin_, n)
        for bin_, n in every
        if start + bin_ * 60_000 < high and start + (bin_ + 1) * 60_000 > low
    ]


def test_the_time_brush_narrows_the_events(visit: Any) -> None:
    seen = visit(samples.sample(200), viewport={"width": 1280, "height": 900})
    page = seen.page
    rows = page.locator("#event-table tbody tr")
    whole = rows.count()
    low, high = _drag(page, 0.3, 0.5)
    shown = [int(rows.nth(at).get_attribute("data-at")) for at in range(rows.count())]
    assert 0 < len(shown) < whole
    assert all(low <= time <= high for time in shown)
    assert "lookups answered" in page.text_content("#brush-tally")
    page.click("#brush-clear")
    page.locator("#brush-tally:empty").wait_for(state="attached")
    assert rows.count() == whole
    assert seen.noise == []


def test_every_table_follows_the_time_brush_and_comes_back(visit: Any) -> None:
    report = samples.sample(10)
    page = visit(report, viewport={"width": 1280, "height": 900}).page
    over = report["series"]["over"]
    before = page.locator("main").inner_text()
    low, high = _drag(page, 0.31, 0.37)

    def total(pairs: list[int]) -> str:
        return f"{sum(count for _, count in _within(pairs, low, high)):,}"

    def cell(caption: str, head: str, column: int) -> str:
        row = page.locator(f"table:has(caption:text('{caption}')) tr", has_text=head).first
        return row.locator("td").nth(column).inner_text()

    triage = "Every failed lookup by its kind"
    assert cell(triage, "timeout", 1) == total(over["triage"]["timeout"]) != "1,204"
    verdict = "Every judged signature"
    pairs = [n for at, row in enumerate(report["series"]["verdicts"]) for n in (at, row["secure"])]
    assert cell(verdict, "secure", 1) == total(pairs) != "7,204"
    told = "What resolvers told their clients"
    first = over["resolvers"][0]
    assert cell(told, "203.0.113.9", 0) == total(first["servfail"]) != "9,204"
    assert cell(told, "203.0.113.9", 1) == total(first["answered"])
    assert total(first["ede"]["6"]) in cell(told, "203.0.113.9", 2)
    hurt = over["impact"][0]
    impact = page.locator("h4:text('Whom it hurt') ~ dl dd").all_inner_texts()
    assert impact[:3] == [
        total(hurt["transactions"]),
        total(hurt["servfail"]),
        total(hurt["signed"]),
    ]
    clients = {client for _, client in _within(hurt["clients"], low, high)}
    assert f"{len(clients):,}" in impact
    assert "4,117 in the whole time" in impact  # zones: not to be told of a part of the time
    row = next(row for row in report["series"]["matrix"] if row["type"] == "SOA" and row["bad"])
    good, bad = total(row["good_over"]), total(row["bad_over"])
    place = f"{row['server']} · {row['nsid']}"
    shown = page.evaluate(
        """([title, place, serial]) => {
        const table = [...document.querySelectorAll('table.cells')].find(
          (one) => one.caption.textContent === title);
        const column = [...table.tHead.rows[0].cells].findIndex((one) => one.textContent === place);
        const line = [...table.tBodies[0].rows].find((one) => one.cells[0].textContent === serial);
        return [line.cells[column].textContent, line.cells[column].className]; }""",
        ["SOA", place, str(row["serial"])],
    )
    assert (good, shown) == ("0", [f"✕ {bad}", "cell-bad"])
    lines = page.locator("table.cells tbody tr:visible").all_inner_texts()
    assert lines
    assert all(re.search(r"[●✕◐]", line) for line in lines)  # what was not seen then is hidden
    assert page.locator(".follows:visible").count() >= 5
    page.click("#brush-clear")
    page.locator("#brush-tally:empty").wait_for(state="attached")
    assert page.locator("main").inner_text() == before


def test_a_cell_whose_counts_do_not_add_up_does_not_follow() -> None:
    report = samples.sample(1)
    report["triage"]["timeout"] += 1
    report["series"]["over"]["impact"][0]["transactions"][1] += 1
    page = render_html(report)
    assert re.search(r"<td class=\"num\">1,205</td>", page)
    assert re.search(r"<dd>48,695<span class=\"follows\" hidden> in the whole time", page)
    assert re.search(r"<td class=\"num\" data-over=\"[\d,]+\">88</td>", page)


def test_the_chain_of_trust_is_drawn_at_any_instant(visit: Any) -> None:
    seen = visit(samples.sample(5), viewport={"width": 1280, "height": 900})
    page = seen.page
    chain, told = page.locator(".course-chain li"), page.locator("form.course output")
    links = [link.replace("\n", " ") for link in chain.all_inner_texts()]
    assert len(links) == 3
    assert "bogus: signature invalid" in links[2]  # at first it stands at the onset
    assert "19:43:15" in told.inner_text()
    assert "key 20326 (8 RSASHA256)" in links[2]
    assert "frame.number == 143" in links[2]
    assert page.locator(".instants").is_visible() is False

    def status_at(hour: int, minute: int, second: float) -> str:
        page.eval_on_selector(
            "form.course .course-at",
            """(slider, at) => {
            const sheet = document.querySelector('svg.chart').dataset;
            slider.step = 'any';
            slider.value = (1000 * (at - sheet.from)) / (sheet.to - sheet.from);
            slider.dispatchEvent(new Event('input')); }""",
            int(datetime(2026, 5, 5, hour, minute, tzinfo=UTC).timestamp() * 1000 + second * 1000),
        )
        return chain.nth(2).get_attribute("class")

    for hour, minute, second, status in (
        (18, 30, 0, "secure"), (19, 43, 14, "secure"), (19, 43, 16, "bogus"), (20, 9, 58, "bogus"),
        (20, 12, 0, "secure"), (20, 16, 0, "bogus"), (22, 19, 53, "bogus"), (22, 20, 0, "secure"),
    ):  # fmt: skip
        assert status_at(hour, minute, second) == status, (hour, minute, second)
    page.click("form.course .course-back")
    assert chain.nth(2).get_attribute("class") == "bogus"
    assert "20:15:00" in told.inner_text()
    page.click("form.course .course-back")
    assert chain.nth(2).get_attribute("class") == "secure"
    page.click("form.course .course-on")
    assert chain.nth(2).get_attribute("class") == "bogus"
    # It moves with the brush: to the end of the chosen time.
    _, high = _drag(page, 0.05, 0.2)
    assert chain.nth(2).get_attribute("class") == "secure"
    moment = datetime.fromtimestamp(high / 1000, UTC)
    assert f"At {moment:%Y-%m-%d %H:%M:%S}" in told.inner_text()
    assert seen.noise == []


def test_the_time_brush_works_from_the_keyboard_and_says_what_it_chose(visit: Any) -> None:
    page = visit(samples.sample(20)).page
    page.focus("#brush-to")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    told = page.get_attribute("#brush-to", "aria-valuetext")
    assert told.endswith("UTC")
    assert "secure" in page.locator("form.course output").text_content()
    assert "secure" in page.get_attribute("form.course .course-at", "aria-valuetext")


def test_on_paper_and_without_scripts_the_chain_stands_at_the_instants_of_the_story(
    visit: Any,
) -> None:
    page = visit(samples.sample(2)).page
    page.emulate_media(media="print")
    assert page.locator(".instants > .instant:visible").count() == 3
    assert not page.locator("form.course").is_visible()
    page = visit(samples.sample(2), java_script_enabled=False).page
    assert page.locator(".instants > .instant:visible").count() == 3
    assert not page.locator("form.course").is_visible()


def test_the_counts_of_the_brush_are_the_report_s_own(visit: Any) -> None:
    report = samples.sample(200)
    page = visit(report).page
    page.focus("#brush-from")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.focus("#brush-to")
    page.keyboard.press("ArrowLeft")
    # All but the last thousandth of the time: every bin that begins before it.
    series = report["series"]["lookups"]
    answered = sum(row["noerror"] + row["nxdomain"] for row in series)
    told = page.text_content("#brush-tally")
    assert f"{answered} lookups answered" in told


def test_a_hundred_thousand_events_are_all_within_reach(visit: Any) -> None:
    report = samples.sample(0)
    report["events"] = samples.long_story(100_000)
    seen = visit(report)
    page = seen.page
    rows = page.locator("#event-table tbody tr")
    assert page.text_content("#event-tally") == "100000 of 100000 events shown, rows 1 to 500 here"
    assert rows.count() == 500
    page.click("#event-on")
    assert rows.first.locator("code").text_content() == "frame.number == 501"
    page.fill("#event-search", "event 98765,")
    page.wait_for_function("() => document.querySelectorAll('#event-table tr').length === 2")
    cells = rows.first.locator("td").all_text_contents()
    wanted = report["events"][98_764]
    assert cells[4] == wanted["text"]
    assert cells[5] == f"frame.number == {wanted['frame']}{wanted['capture']}"
    assert rows.first.locator("td").nth(0).text_content().startswith("2026-05-05 ")
    page.fill("#event-search", "")
    page.wait_for_function("() => document.querySelectorAll('#event-table tr').length === 501")
    page.locator("#event-table thead button").last.click()
    page.locator("#event-table thead button").last.click()
    assert rows.first.locator("code").text_content() == "frame.number == 100000"
    page.select_option("#event-kind", "servfail")
    servfails = sum(row["kind"] == "servfail" for row in report["events"])
    page.wait_for_function(
        "wanted => document.getElementById('event-tally').textContent.startsWith(wanted)",
        arg=f"{servfails} of 100000",
    )
    # The time brush reaches them too.
    page.focus("#brush-to")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelectorAll('#event-table tr').length < 500")
    assert "rows" not in page.text_content("#event-tally")
    assert seen.noise == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visit: Any, scheme: str) -> None:
    """The rules of axe-core (WCAG 2.2 A and AA, and best practice), by a tool that is not ours."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python not installed")
    source = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    report = samples.sample(200)
    report["incidents"] += samples.many()["incidents"][1:4]
    report["events"] = report["events"][:9]
    for name in ("lookups", "sightings"):
        report["series"][name] = report["series"][name][:60]
    report["baseline"] = compare(report, samples.sample(1), "before")
    page = visit(report, color_scheme=scheme).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # what is folded is looked at too
    page.evaluate(source)
    # What differs in the dark is the colours.
    rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
    found = page.evaluate("rules => axe.run(document, rules)", rules)
    assert [
        (one["id"], one["nodes"][0]["html"])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ] == []
    (contrast,) = (one for one in found["passes"] if one["id"] == "color-contrast")
    assert len(contrast["nodes"]) > 100  # it did look


def test_print_has_the_sentence_the_table_and_the_drawing(visit: Any, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    report = samples.sample(40)
    report["incidents"] += samples.many()["incidents"][1:5]
    seen = visit(report, color_scheme="dark")
    path = tmp_path / "report.pdf"
    seen.page.pdf(path=str(path), prefer_css_page_size=True)
    made = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], check=True, capture_output=True, text=True
    )
    text = " ".join(made.stdout.split())
    first = report["incidents"][0]
    assert " ".join(first["sentence"].split()[:9]) in text
    assert "Signatures seen from each server" in text
    assert report["incidents"][-1]["sentence"] in text  # a fold on the page
    assert "all times UTC" in text  # the drawing's own words
    assert "Whole time" not in text  # what only works on a screen
    assert "frame.number == 1019" in text
