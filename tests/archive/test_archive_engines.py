"""A dataset that grows, read by other programs: its files are plain Parquet in Hive's layout."""

from __future__ import annotations

import json

import pyarrow.dataset as ds
import pytest
from test_archive_parts import at_once, dataset, files  # noqa: F401

from forensics.archive.layout import LAYOUT, migrated
from forensics.archive.opening import tables_of
from forensics.archive.tables import iter_batches
from forensics.errors import UsageError


def expected(dataset) -> int:  # noqa: F811
    return sum(batch.num_rows for batch in iter_batches(tables_of(dataset), "transactions"))


def test_pyarrow_reads_the_days_sensors_and_parts(dataset, files) -> None:  # noqa: F811
    read = ds.dataset(dataset / "transactions", partitioning="hive")
    table = read.to_table(columns=["qname", "day", "sensor", "part"])
    assert table["sensor"].unique().to_pylist() == ["f"]
    # Each file's, and those of the seam between them.
    assert len(table["part"].unique()) == len(files) + 1
    assert all(str(day)[:4] == "2026" for day in table["day"].unique().to_pylist())
    assert table.num_rows >= expected(dataset)


def test_pandas_reads_one_sensor(dataset) -> None:  # noqa: F811
    import pandas as pd

    frame = pd.read_parquet(
        dataset / "transactions", filters=[("sensor", "==", "f")], columns=["qname", "rcode"]
    )
    none = pd.read_parquet(
        dataset / "transactions", filters=[("sensor", "==", "other")], columns=["qname"]
    )
    assert len(frame) >= expected(dataset)
    assert len(none) == 0


def test_duckdb_joins_the_stitches(dataset) -> None:  # noqa: F811
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    state = tables_of(dataset)
    count = duckdb.sql(
        f"""
        SELECT count(*) FROM (
          SELECT qname FROM read_parquet('{dataset}/transactions/**/*.parquet',
                                         hive_partitioning = true) AS raw
          ANTI JOIN read_parquet('{state}/superseded.parquet') AS gone
            ON raw.part = gone.part AND raw.transaction = gone.transaction
          UNION ALL SELECT qname FROM read_parquet('{state}/stitched.parquet'))
        """
    ).fetchall()
    assert count == [(expected(dataset),)]


def test_polars_reads_the_same_rows(dataset) -> None:  # noqa: F811
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.scan_parquet(f"{dataset}/sightings/**/*.parquet", hive_partitioning=True)
    count = frame.select(polars.len()).collect().item()
    assert count == sum(b.num_rows for b in iter_batches(tables_of(dataset), "sightings"))


def test_a_manifest_of_an_older_layout_is_read() -> None:
    old = {"layout": 0, "parts": {"ab": {"path": "a.pcap"}}, "tables": "states/1"}
    new = migrated(old, "archive")
    assert new["layout"] == LAYOUT
    assert new["parts"] == {"ab": {"path": "a.pcap", "sensor": "sensor"}}


@pytest.mark.parametrize(
    ("layout", "said"), [(LAYOUT + 1, "later version"), (-1, "ingest the captures again")]
)
def test_other_layouts_are_refused_with_what_to_do(tmp_path, layout, said) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"layout": layout, "tables": "states/1"}))
    with pytest.raises(UsageError, match=said):
        tables_of(tmp_path)
