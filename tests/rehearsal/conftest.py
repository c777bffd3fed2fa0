"""Recorded steps of rolls: datasets of their captures, made once, and their zones."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics.options import Options
from forensics.rehearse import rehearse

RECORDED = Path(__file__).resolve().parent / "recorded"
SECOND = 1_000_000_000
HOUR = 3600 * SECOND


class Stage:
    """Rehearses a recorded zone after some recorded captures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._datasets: dict[tuple[str, ...], Path] = {}

    def dataset(self, captures: tuple[str, ...]) -> Path:
        from forensics.pipeline import ingest_dataset

        if captures not in self._datasets:
            target = self._folder / "-".join(captures)
            paths = [str(RECORDED / "captures" / f"{name}.pcap.zst") for name in captures]
            ingest_dataset(paths, target, Options())
            self._datasets[captures] = target
        return self._datasets[captures]

    def end(self, captures: tuple[str, ...]) -> int:
        """ns of the last packet."""
        import pyarrow as pa

        from forensics.archive.opening import tables_of
        from forensics.archive.tables import read_table

        last = read_table(tables_of(self.dataset(captures)), "captures", ["last"])["last"]
        return max(last.cast(pa.int64()).to_pylist())

    def __call__(self, captures: str, zone: str | Path, after: float = 10, **options) -> dict:
        names = tuple(captures.split())
        path = zone if isinstance(zone, Path) else RECORDED / "zones" / f"{zone}.zone"
        if isinstance(ds := options.pop("ds", None), str):
            options["delegation"] = RECORDED / "captures" / f"{ds}.ds"
        told, errors = rehearse(
            [str(self.dataset(names))],
            path,
            self.end(names) + int(after * SECOND),
            Options(),
            origin="reg.test.",
            **options,
        )
        assert not errors
        return told


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    return Stage(tmp_path_factory.mktemp("rehearsal"))
