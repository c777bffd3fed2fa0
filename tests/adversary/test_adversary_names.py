"""Zones with names that would like to run: from packets to every file that a report is made of."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import dns.name
import pytest
import world as worlds
from markdown_it import MarkdownIt
from scenes import now
from world import anchor, healthy, key, pcap

ROOT = Path(__file__).resolve().parents[2]

CONFUSING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Controls, and what turns or hides text; line breaks and tabs are our own."""

LABELS = (
    (b"<img src=x onerror=document.title='owned'>",),
    (b'=HYPERLINK("http://evil.example","x")',),
    (b"\x1b[31m\x07" + "\u202egpj.exe\u2066\u200b".encode() + b"|a`b`[l](http://evil.example)",),
    (bytes(range(33, 96)), bytes([*range(128, 190)]), bytes([*range(190, 252)])),
)
"""Of four zones. Case does not matter in names, so that the binary ones have no capitals twice."""

BELOW = ("de.", "de.", "nl.", "nl.")


def _text(labels: tuple[bytes, ...], below: str) -> str:
    return (dns.name.Name(labels) + dns.name.from_text(below)).canonicalize().to_text()


ZONES = tuple(_text(labels, below) for labels, below in zip(LABELS, BELOW, strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a report on four such zones that break, and what the terminal showed."""
    folder = tmp_path_factory.mktemp("names")
    held = worlds.ZONES
    worlds.ZONES = (*ZONES, "plain.de.")
    try:
        world = healthy(3, mixed_case=False)
    finally:
        worlds.ZONES = held
    for server in world.servers[-4:]:
        server.zones = tuple(
            zone for zone in (*ZONES, "plain.de.") if zone.endswith(world_below(server.address))
        )
    for zone in ZONES:
        world.at(200, now(world, zone).next(zsks=(key(f"never published {zone}"),)))
    world.run(500, 2)
    longest = dns.name.Name(
        (b"\xff" * 63, b"\x00" * 63, b"\x1b]0;x\x07" * 10, b"=" * 61, b"de", b"")
    )
    assert len(longest.to_wire()) == 255
    world.ask(499.0, "198.51.100.53", "de.", longest.to_text(), "A")
    capture = folder / "names.pcap"
    capture.write_bytes(pcap(sorted(world.packets, key=lambda packet: packet.time)))
    told = _command(
        "analyze", capture, "--trust-anchor", anchor(world, folder / "anchor.ds"),
        "--out", folder / "report", "--csv",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    told.stdout += _command("transactions", folder / "report", "--format", "table").stdout
    return folder / "report", told.stdout + told.stderr


def world_below(address: str) -> str:
    """Which top level domain's zones the servers of `healthy` have."""
    return "de." if address.startswith("192.0.2.3") else "nl."


def _command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics.cli", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "COLUMNS": "400", "TERM": "xterm"},
    )  # fmt: skip


def test_each_zone_is_an_incident_under_its_own_name(made: tuple[Path, str]) -> None:
    report = json.loads((made[0] / "report.json").read_text())
    assert {row["zone"] for row in report["incidents"]} == set(ZONES)
    assert all(len(row["course"]["states"]) > 1 for row in report["incidents"])


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_holds_them_as_text(made: tuple[Path, str]) -> None:
    page = (made[0] / "report.html").read_text(encoding="utf-8")
    assert CONFUSING.findall(page) == []
    found = _Elements()
    found.feed(page)
    assert found.tags.count("script") == 1
    assert not {"img", "iframe", "object"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not [
        v for name, v in found.attributes if name == "href" and not (v or "").startswith("#")
    ]


def test_a_browser_runs_nothing_of_it(made: tuple[Path, str]) -> None:
    chromium = Path("/usr/bin/chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not chromium.exists():
        pytest.skip("needs Debian's chromium")
    noise: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url))
        page.goto((made[0] / "report.html").as_uri())
        for button in page.locator(".course-on").all():
            if button.is_visible() and button.is_enabled():
                button.click()
        title = page.title()
        zones = set(page.locator(".course-chain .link-zone").all_text_contents())
        browser.close()
    assert title != "owned"
    assert noise == [(made[0] / "report.html").as_uri()]
    assert any("<img src=x onerror=" in zone.replace("\\032", " ") for zone in zones)


def test_markdown_makes_no_markup_of_it(made: tuple[Path, str]) -> None:
    text = (made[0] / "report.md").read_text(encoding="utf-8")
    assert CONFUSING.findall(text) == []
    flat: list[Any] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        flat += [token, *(token.children or [])]
    markup = {token.content for token in flat if token.type in {"html_inline", "html_block"}}
    assert markup <= {"<br>", "<!-- -->"}
    for token in flat:
        for name in ("href", "src"):
            target = str(token.attrs.get(name, "figures/"))
            assert target.startswith(("figures/", "#")), target


def test_no_cell_of_a_csv_is_a_formula(made: tuple[Path, str]) -> None:
    cells = 0
    for path in sorted((made[0] / "tables").glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        assert CONFUSING.findall(text) == [], path.name
        for row in csv.reader(text.splitlines()):
            cells += len(row)
            for cell in row:
                is_number = re.fullmatch(r"-?\d+(\.\d+)?", cell)
                assert is_number or not cell.startswith(("=", "+", "-", "@", "\t")), cell
    assert cells > 1_000
    held = (made[0] / "tables" / "transactions.csv").read_text(encoding="utf-8")
    assert "hyperlink" in held


def test_lines_for_timesketch_are_plain(made: tuple[Path, str]) -> None:
    lines = (made[0] / "timeline.jsonl").read_text(encoding="ascii").splitlines()
    told = [json.loads(line) for line in lines]
    assert len(told) > 8
    assert {"message", "datetime", "timestamp_desc"} <= set(told[0])
    assert CONFUSING.findall("".join(str(value) for row in told for value in row.values())) == []


def test_a_terminal_gets_no_escapes(made: tuple[Path, str]) -> None:
    assert CONFUSING.findall(made[1]) == []
    assert "hyperlink" in made[1]


def test_figures_are_drawings_alone(made: tuple[Path, str]) -> None:
    drawn = sorted((made[0] / "figures").glob("*.svg"))
    assert len(drawn) >= 4
    for path in drawn:
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        text = path.read_text(encoding="utf-8")
        assert CONFUSING.findall(text) == []
        for element in ET.fromstring(text).iter():
            assert element.tag.rsplit("}", 1)[1] not in {"script", "a", "image", "foreignObject"}
            assert not [name for name in element.attrib if name.startswith("on") or "href" in name]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_comments_of_packets_are_plain_words_and_the_packets_prove_the_same(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    report = json.loads((made[0] / "report.json").read_text())
    for number, incident in enumerate(report["incidents"]):
        evidence = made[0] / incident["evidence_file"]
        told = subprocess.run(
            ["tshark", "-r", str(evidence), "-T", "fields", "-e", "frame.comment"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert told.count("\n") == len([line for line in told.splitlines() if line])
        assert CONFUSING.findall(told) == []
        if number == 0:
            again = _command(
                "analyze", evidence, "--trust-anchor", made[0].parent / "anchor.ds",
                "--out", tmp_path / "again", "--no-figures", "--quiet",
            )  # fmt: skip
            assert again.returncode == 0, again.stderr
            found = json.loads((tmp_path / "again" / "report.json").read_text())["incidents"]
            assert [row["id"] for row in found] == [incident["id"]]
