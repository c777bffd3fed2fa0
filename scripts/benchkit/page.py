"""Time how long a real Chromium takes to show report.html with very many events."""

import json
import tempfile
import time
from pathlib import Path
from statistics import median

from forensics.report.html import render_html

CHROMIUM = "/usr/bin/chromium"
SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "de-2026" / "report.json"


def bench(events: int, runs: int) -> None:
    """Print the seconds until the page is loaded and its script has run, and those of a sort.

    On a busy machine processor time tells more than the clock.
    """
    from playwright.sync_api import sync_playwright

    report = json.loads(SAMPLE.read_text())
    report["events"] = _many(report["events"], events)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        began = time.monotonic()
        path.write_text(render_html(report), encoding="utf-8")
        print(
            f"{events:,} events: {path.stat().st_size / 1e6:.1f} MB, written in "
            f"{time.monotonic() - began:.1f} s"
        )
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            loads, sorts, works = [], [], []
            for _ in range(runs):
                page = browser.new_page()
                began = time.monotonic()
                page.goto(path.as_uri())
                rows = page.locator("#event-table tbody tr").count()
                loads.append(time.monotonic() - began)
                told = page.context.new_cdp_session(page)
                told.send("Performance.enable")
                metrics = told.send("Performance.getMetrics")["metrics"]
                works += [row["value"] for row in metrics if row["name"] == "ProcessTime"]
                began = time.monotonic()
                page.locator("#event-table thead button").last.click()
                sorts.append(time.monotonic() - began)
                page.close()
            browser.close()
    print(f"loaded in {median(loads):.2f} s (median of {runs}; worst {max(loads):.2f} s)")
    print(f"processor time of the page's own process: {median(works):.2f} s")
    print(f"{rows} rows laid out; sorted in {median(sorts):.2f} s")


def _many(found: list[dict], number: int) -> list[dict]:
    """Repeat some events with a frame and text of their own each."""
    rows = []
    for at in range(number):
        row = dict(found[at * len(found) // number])
        row["frame"], row["text"] = at + 1, f"{row['text']} ({at})"
        rows.append(row)
    return rows
