"""Each distinct signature is tried with each key once: by the workers, for all reports to come."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_archive_parts import CAPTURES, cut

from forensics.archive.opening import tables_of
from forensics.archive.tables import read_table
from forensics.batch import ingest_batch
from forensics.options import Options
from forensics.pipeline import ingest_dataset, report_dataset
from forensics.validation import checks

ANCHORS = (str(CAPTURES / "de-2026/trust-anchor.ds"),)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    return cut(tmp_path_factory.mktemp("v") / "f", CAPTURES / "de-2026/capture.pcap.zst", 3, 11)


@pytest.fixture
def trials(monkeypatch) -> list[tuple[bytes, bytes, bytes]]:
    """What was tried: key, signed data, signature."""
    made: list[tuple[bytes, bytes, bytes]] = []
    verify_many = checks.verify_many

    def counted(rdata, pairs):
        made.extend((rdata, data, signature) for data, signature in pairs)
        return verify_many(rdata, pairs)

    monkeypatch.setattr(checks, "verify_many", counted)
    return made


def checked(out: Path) -> list[dict]:
    return read_table(out / "tables", "checks").to_pylist()


def test_no_signature_is_tried_twice(files, tmp_path, trials) -> None:
    root = tmp_path / "dataset"
    ingest_batch(files[:2], str(root), Options())
    first = set(trials)
    assert len(trials) == len(first) > 0
    ingest_batch(files, str(root), Options())
    assert len(trials) == len(set(trials)) > len(first)
    kept = pq.read_table(tables_of(root) / "verified.parquet")
    assert kept.num_rows == len(trials)
    trials.clear()
    for name in ("report", "again"):
        report_dataset(root, tmp_path / name, Options(trust_anchors=ANCHORS), figures=False)
    assert trials == []
    ingest_dataset(files, tmp_path / "plain", Options())
    plain = report_dataset(
        tmp_path / "plain", tmp_path / "out", Options(trust_anchors=ANCHORS), figures=False
    )
    assert len(trials) == kept.num_rows
    assert plain.report["incidents"] != []

    def told(out: Path) -> set[tuple]:
        ids = {
            row["signature"]: row["signature_id"]
            for row in read_table(
                tables_of(root) if out.name != "out" else tmp_path / "plain/tables", "signatures"
            ).to_pylist()
        }
        return {(ids[row["signature"]], row["key_id"], row["verifies"]) for row in checked(out)}

    assert told(tmp_path / "report") == told(tmp_path / "out")


def test_a_key_that_the_user_adds_is_all_that_is_tried(files, tmp_path, trials) -> None:
    root = tmp_path / "dataset"
    ingest_batch(files[:1], str(root), Options())
    key, data, _ = trials[0]
    rows = read_table(tables_of(root), "signatures").to_pylist()
    zone = next(row["signer"] for row in rows if row["signed_data"] == data)
    trials.clear()
    # A key of the same tag: that is a sum of words, whatever their order is (RFC 4034, B).
    words = [key[at : at + 2] for at in range(4, len(key), 2)]
    other = key[:4] + b"".join([words[1], words[0], *words[2:]])
    assert other != key
    supplied = tmp_path / "keys.zone"
    flags = int.from_bytes(other[:2], "big")
    text = base64.b64encode(other[4:]).decode()
    supplied.write_text(f"{zone} 3600 IN DNSKEY {flags} 3 {other[3]} {text}\n")
    report_dataset(root, tmp_path / "out", Options(keys=(str(supplied),)), figures=False)
    assert {rdata for rdata, _, _ in trials} == {other}
