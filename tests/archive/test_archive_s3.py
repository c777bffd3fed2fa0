"""A dataset in S3: against moto's server on loopback, where that is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_archive_parts import files, rows_of  # noqa: F401

from forensics.archive.opening import opened, tables_of
from forensics.batch import ingest_batch
from forensics.options import Options
from forensics.pipeline import report_dataset

moto = pytest.importorskip("moto.server", reason="moto is not installed")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")


@pytest.fixture
def bucket(monkeypatch):
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fs = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}", key="test", secret="test")
    fs.mkdir("captures")
    yield fs
    server.stop()


def test_s3_holds_the_same_dataset(bucket, files, tmp_path) -> None:  # noqa: F811
    inputs = []
    for path in files[:4]:
        bucket.put_file(path, f"captures/in/{Path(path).name}")
        inputs.append(f"s3://captures/in/{Path(path).name}")
    ingest_batch(inputs, "s3://captures/set", Options(), sensor="f")
    ingest_batch(files[:4], str(tmp_path / "local"), Options())
    with opened("s3://captures/set") as tables:
        for name in ("transactions", "sightings", "keys"):
            assert rows_of(tables, name) == rows_of(tables_of(tmp_path / "local"), name)
    near = report_dataset(tmp_path / "local", tmp_path / "near", Options(), figures=False).report
    far = report_dataset("s3://captures/set", tmp_path / "far", Options(), figures=False).report
    assert [row["path"] for row in far["captures"]] == inputs
    for name in ("counts", "triage", "agreement", "series"):
        assert far[name] == near[name]
    assert far["counts"]["transactions"] > 0
