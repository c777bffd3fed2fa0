"""Real Dask workers write the octets that one process writes."""

from __future__ import annotations

import pytest
from test_archive_parts import dataset, files, octets_of  # noqa: F401

from forensics.batch import ingest_batch
from forensics.errors import UsageError
from forensics.options import Options

pytest.importorskip("distributed", reason="distributed is not installed")


@pytest.mark.filterwarnings("ignore")
def test_any_number_of_workers_gives_the_same_octets(files, dataset, tmp_path) -> None:  # noqa: F811
    root = tmp_path / "dataset"
    ingest_batch(files[::-1], str(root), Options(), workers=2)
    assert octets_of(root) == octets_of(dataset)


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_is_not_there_is_named(files, tmp_path) -> None:  # noqa: F811
    with pytest.raises(UsageError, match=r"--scheduler nowhere.*no answer"):
        ingest_batch(files, str(tmp_path / "d"), Options(), scheduler="nowhere://127.0.0.1:1")
