"""Pictures of figures: the same whoever draws them, and drawn whatever becomes of the helper."""

import subprocess
import sys
from pathlib import Path

import pytest

from forensics.report import pictures
from forensics.report.pictures import draw, draw_all

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="40">'
    '<text x="4" y="20" font-family="sans-serif">{1}</text></svg>'
)


@pytest.fixture
def figures(tmp_path: Path) -> list[Path]:
    made = []
    for number in range(5):
        made.append(tmp_path / f"{number}.svg")
        made[-1].write_text(_SVG.format(100 + number, "de. " * (7 - number)), encoding="utf-8")
    return made


def drawn(figures: list[Path]) -> list[bytes]:
    found = [figure.with_suffix(".png") for figure in figures]
    octets = [path.read_bytes() for path in found]
    for path in found:
        path.unlink()
    return octets


@pytest.fixture
def alone(figures: list[Path]) -> list[bytes]:
    for figure in figures:
        draw(figure)
    return drawn(figures)


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.os, "cpu_count", lambda: 2)


def test_a_process_beside_draws_the_same(figures: list[Path], alone: list[bytes]) -> None:
    started = []
    popen = subprocess.Popen

    def start(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures.subprocess, "Popen", start)
        draw_all(figures)
    assert [one.returncode for one in started] == [0]
    assert drawn(figures) == alone


@pytest.mark.parametrize("code", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"])
def test_what_the_process_beside_leaves_is_drawn_here(
    figures: list[Path], alone: list[bytes], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(pictures, "_CODE", code)
    draw_all(figures)
    assert drawn(figures) == alone


def test_without_a_process_beside_all_is_drawn_here(
    figures: list[Path], alone: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    draw_all(figures)
    assert drawn(figures) == alone


def test_a_figure_that_cannot_be_drawn_is_told_and_leaves_no_process(
    figures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    popen = subprocess.Popen

    def start(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(pictures.subprocess, "Popen", start)
    for figure in figures:
        figure.write_text("no drawing", encoding="utf-8")
    with pytest.raises(RuntimeError):
        draw_all(figures)
    assert [one.poll() is not None for one in started] == [True]
