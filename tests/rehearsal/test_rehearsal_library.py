"""Rolls and outages of the incident library, rehearsed: traffic before a step, the zone after it.

The library has no zone files: the zone is put together from what its servers answered after the
step (`rebuilt`). What nobody asked for is missing, so the holes of the denial chain are the
rebuild's; keys, signatures and DS are those of the incident.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest
from rebuilt import LIBRARY, nanoseconds, rebuild

from forensics.options import Options
from forensics.rehearse import rehearse

HOLES = {"chain-broken", "denial-missing", "denial-invalid", "denial-contradicted"}

CASES = [
    ("healthy-zsk-roll", "key-published", set()),
    ("healthy-zsk-roll", "signer-changed", set()),
    ("healthy-zsk-roll", "key-withdrawn", set()),
    ("nz-2023", "key-published", set()),
    ("nz-2023", "key-withdrawn", {("ds-mismatch", "cached-ds")}),
    ("ru-2024", "key-published", set()),
    ("ru-2024", "signer-changed", {("signature-invalid", "everyone")}),
    ("ripe-2011", "signer-changed", {("dnskey-unsigned-by-ds-key", "everyone")}),
    ("hbo-now-2015", "ksk-swapped", {("ds-mismatch", "everyone")}),
    ("healthy-ksk-roll", "ksk-swapped", set()),
    ("ksk-double-signature", "key-published", set()),
    ("ksk-double-signature", "key-withdrawn", set()),
    ("algorithm-roll", "signer-added", set()),
    ("algorithm-roll", "key-published", set()),
    ("algorithm-roll", "key-withdrawn", set()),
    ("algorithm-roll", "signer-withdrawn", set()),
    ("root-ksk-roll", "key-published", set()),
    ("root-ksk-roll", "signer-changed", set()),
    ("de-2026", "key-published", set()),
    ("de-2026", "signer-changed", {("signature-invalid", "everyone")}),
    ("nl-2012", "signer-changed", {("dnskey-missing", "cached-keys")}),
    # The whole key set at once: caches fail too, with either set and the answers of the other.
    (
        "apnic-2012",
        "signer-changed",
        {
            ("ds-mismatch", "everyone"),
            ("dnskey-missing", "cached-keys"),
            ("dnskey-withdrawn", "cached-data"),
        },
    ),
    # Signed by a key that is not published: no cache is needed for that to fail.
    ("shared-operator", "signer-changed", {("dnskey-missing", "everyone")}),
    ("se-2022", "signatures-spoiled", {("signature-invalid", "everyone")}),
]


@cache
def truth(name: str) -> dict:
    return tomllib.loads((LIBRARY / name / "truth.toml").read_text())


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Datasets of the captures, each made once."""
    from forensics.pipeline import ingest_dataset

    @cache
    def made(name: str) -> Path:
        target = tmp_path_factory.mktemp(name) / "dataset"
        ingest_dataset([str(LIBRARY / name / "capture.pcap.zst")], target, Options())
        return target

    return made


@pytest.mark.parametrize(("name", "step", "expected"), CASES)
def test_the_step_of_the_outage_is_refused_and_healthy_ones_pass(
    name, step, expected, library, tmp_path
):
    steps = truth(name)["steps"]
    index = next(i for i, one in enumerate(steps) if one["name"] == step)
    this = steps[index]
    start, server = min((nanoseconds(time), address) for address, time in this["first_seen"])
    end = min(
        (
            nanoseconds(time)
            for one in steps[index + 1 :]
            if one["zone"] == this["zone"] and one["serial"]
            for _, time in one.get("told", ())  # before the monitor saw it
        ),
        default=2**63,
    )
    text = rebuild(LIBRARY / name / "capture.pcap.zst", this["zone"], {server}, start, end)
    assert text is not None
    path = tmp_path / "zone"
    path.write_text(text)
    # Of the root no parent serves a DS: resolvers' trust anchors stand for it.
    anchors = LIBRARY / name / "trust-anchor.ds" if this["zone"] == "." else None
    told, _ = rehearse([str(library(name))], path, start - 10**6, Options(), delegation=anchors)
    found = {
        (one["reason"], one["holders"])
        for one in told["findings"]
        if one["level"] == "refuse" and one["reason"] not in HOLES
    }
    assert found == expected, told["sentence"]
    assert told["demand"]["queries"] > 0
    assert "cached-keys" not in {one["what"] for one in told["unjudged"]}
    if expected:
        assert told["verdict"] == "refuse"
