"""C-DNS whose exporter left records out: what lacks is not checkable, and never missing."""

from __future__ import annotations

import sys
from pathlib import Path

import dns.flags
import dns.message
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "capture"))

from cdns_files import ALL_TYPES, QR_HINTS, Exchange, Exporter
from test_explanation_checksums import KEY, NOW, signed

from forensics.explain import explain
from forensics.options import Options
from forensics.pipeline import analyze
from forensics.report.explained import render_explained

RRSIG, ANSWER = 46, 1 << 15
PARTIAL = {
    "RRSIG not kept": Exporter(types=[kind for kind in ALL_TYPES if kind != RRSIG]),
    "DNSKEY not kept": Exporter(types=[kind for kind in ALL_TYPES if kind != 48]),
    "A not kept": Exporter(types=[kind for kind in ALL_TYPES if kind != 1]),
    "no RDATA": Exporter(without_record=frozenset({3})),
    "no TTL": Exporter(without_record=frozenset({2})),
    "no answer section": Exporter(hints=QR_HINTS & ~ANSWER),
}


def exchange(owner: str, kind: str, answer: list, number: int) -> Exchange:
    query = dns.message.make_query(owner, kind, want_dnssec=True, id=number)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.answer = answer
    time = (NOW + number) * 10**9
    return Exchange(query.to_wire(), reply.to_wire(), time=time, client_port=40_000 + number)


def told_of(
    folder: Path, exporter: Exporter, *, keys: bool = True, good: bool = True
) -> tuple[dict, dict]:
    """What `explain` and `analyze` tell of two exchanges."""
    answer = signed("www.example.", "A", "192.0.2.80")
    if not good:
        answer[1] = signed("www.example.", "A", "192.0.2.81")[1]
    key_set = signed("example.", "DNSKEY", KEY.to_text()) if keys else []
    both = [exchange("example.", "DNSKEY", key_set, 1), exchange("www.example.", "A", answer, 2)]
    both.append(exchange("example.", "DNSKEY", key_set, 3))
    file, anchor = folder / "one.cdns", folder / "anchor"
    file.write_bytes(exporter.file(exporter.block(both)))
    anchor.write_text(f"example. IN DNSKEY {KEY.to_text()}\n")
    options = Options(trust_anchors=(str(anchor),))
    told, _ = explain([str(file)], "www.example", "A", (NOW + 60) * 10**9, options)
    report = analyze([str(file)], folder / "out", options, figures=False).report
    return told, report


@pytest.mark.parametrize("exporter", PARTIAL.values(), ids=PARTIAL)
def test_what_the_exporter_left_out_accuses_nobody(tmp_path, exporter):
    told, report = told_of(tmp_path, exporter)
    assert told["status"] in {"indeterminate", "valid"}, told["sentence"]
    assert report["incidents"] == []
    if told["status"] == "indeterminate":
        assert told["partial"][0]["frame"]
        text = " ".join(render_explained(told).split())
        assert "signatures there are not checkable, and none is missing" in text
    (finding,) = [one for one in report["findings"] if one["kind"] == "not-read"]
    assert "signatures there are not checkable, none is missing" in finding["sentence"]


def test_what_was_kept_whole_is_judged(tmp_path):
    told, report = told_of(tmp_path, Exporter())
    assert (told["status"], told["partial"]) == ("secure", [])
    assert report["incidents"] == []


@pytest.mark.parametrize(
    ("faults", "reason"),
    [({"good": False}, "signature-invalid"), ({"keys": False}, "dnskey-absent")],
)
def test_what_was_kept_whole_and_is_broken_is_accused(tmp_path, faults, reason):
    told, _ = told_of(tmp_path, Exporter(), **faults)
    assert (told["status"], told["reason"], told["partial"]) == ("bogus", reason, [])
