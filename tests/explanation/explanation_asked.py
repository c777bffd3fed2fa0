"""The miniature signed worlds of the adversary's tests, asked one question at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "adversary"))

from world import START, World, anchor, pcap

from forensics.explain import Asker, read_type
from forensics.ingest import ingest
from forensics.keyring import anchors, archive
from forensics.options import Options

SECOND = 10**9


class Asked:
    """A world whose packets were captured, perhaps in part.

    Args:
        folder: to work in.
        world: that has run.
        keep: of the packets, which were captured.
        trusted: the world's own anchor is given; else the public root's.
        keys: files of keys from elsewhere.
        more: of `Options`.
    """

    def __init__(
        self,
        folder: Path,
        world: World,
        *,
        keep: Callable = lambda _: True,
        trusted: bool = True,
        view: str = "published",
        keys: tuple[str, ...] = (),
        **more: object,
    ) -> None:
        file = folder / "world.pcap"
        file.write_bytes(pcap([p for p in world.packets if keep(p)]))
        result = ingest([str(file)], folder / "tables")
        assert not result.errors
        held = anchors.read(anchor(world, folder / "anchor")) if trusted else anchors.built_in()
        supplied = archive.read(keys) if keys else None
        self.asker = Asker(folder / "tables", Options(**more), held, view, supplied)

    def __call__(self, name: str, kind: str, seconds: float) -> dict:
        """Ask about an instant, in seconds of the world."""
        return self.asker.ask(name, read_type(kind), int((START + seconds) * SECOND))


@pytest.fixture
def asked(tmp_path) -> Callable[..., Asked]:
    """Capture a world and ask it."""

    def make(world: World, **options: object) -> Asked:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Asked(folder, world, **options)

    return make


def outcome(told: dict) -> tuple[str, str]:
    """Status and reason."""
    return told["status"], told["reason"]
