"""A whole report with anonymous clients: the same answer, and nobody's address in any file."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from forensics.archive.tables import read_table
from forensics.pipeline import Options, analyze

OUTAGE = Path(__file__).resolve().parents[2] / "captures" / "de-2026"
KEY = bytes(range(32))


def test_no_client_address_is_left_and_the_answer_is_the_same(run, tmp_path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY.hex() + "\n")
    plain = run(OUTAGE / "capture.pcap.zst", anchor=OUTAGE / "trust-anchor.ds")
    out = tmp_path / "out"
    options = Options(trust_anchors=(str(OUTAGE / "trust-anchor.ds"),), anonymize=str(key))
    analyze([str(OUTAGE / "capture.pcap.zst")], out, options, figures=False)
    report = json.loads((out / "report.json").read_text())
    for field in ("onset", "recovery", "servers", "impact", "sentence", "signers"):
        assert report["incidents"][0][field] == plain["incidents"][0][field]
    assert report["counts"] == plain["counts"]
    before = read_table(plain["folder"] / "tables", "transactions")
    after = read_table(out / "tables", "transactions")
    answered = set(read_table(out / "tables", "places")["server"].to_pylist())
    clients = set(before["client"].to_pylist()) - answered
    assert len(clients) > 5
    assert not clients & {*after["client"].to_pylist(), *after["server"].to_pylist()}
    assert after.drop(["client", "server"]).equals(before.drop(["client", "server"]))
    secrets = [text.encode() for text in clients]
    secrets += [ipaddress.ip_address(text).packed for text in clients]
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret in content], path
    again = tmp_path / "again"
    evidence = out / report["incidents"][0]["evidence_file"]
    anchors = Options(trust_anchors=options.trust_anchors)
    analyze([str(evidence)], again, anchors, figures=False)
    found = json.loads((again / "report.json").read_text())["incidents"]
    assert [one["id"] for one in found] == [one["id"] for one in plain["incidents"]]
