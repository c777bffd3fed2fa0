"""Take the README's pictures of a page: its first screen at 1280 and at 390 pixels.

Usage: pictures.py PAGE FOLDER
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
PICTURES = (("report", 1280, 1180), ("report-narrow", 390, 1500))
"""Name, width and height of each, in CSS pixels."""


def main() -> None:
    """Take the pictures."""
    page_file, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, width, height in PICTURES:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(page_file.as_uri())
            page.screenshot(path=folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
