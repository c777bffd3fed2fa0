"""Against Unbound, BIND and Knot Resolver: all signers and algorithms, a mutant of each field.

The folders beside were made by `scripts/verdicts` (`--plan breadth`, `mutants`, `faults`); each has
the capture of one resolver's traffic and what it concluded of each question.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from forensics.explain import Asker, read_name, read_type
from forensics.ingest import ingest
from forensics.keyring import anchors
from forensics.options import Options

HERE = Path(__file__).resolve().parent
RECORDINGS = {
    "breadth-bind": "bind",
    "breadth-knot": "knot",
    "breadth-unbound": "unbound",
    "faults-knot": "knot",
    "mutants-bind": "bind",
    "mutants-knot": "knot",
    "mutants-unbound": "unbound",
}
"""Folders, and the policy of the resolver that was asked."""

DIFFERENCES = tomllib.loads((HERE / "resolver_differences.toml").read_text())["difference"]
CLIENT = "127.0.1.100"


def verdicts(recording: str) -> list[list]:
    found = json.loads((HERE / recording / "verdicts.json").read_text())
    return [one for one in found if one[3] != "none"]


def told_by(recording: str, capture: Path, folder: Path, one_in: int = 1) -> list[dict]:
    result = ingest([str(capture)], folder)
    assert not result.errors
    trusted = anchors.read(HERE / recording / "trust-anchor.ds")
    asker = Asker(folder, Options(policy=RECORDINGS[recording]), trusted)
    asked = verdicts(recording)[::one_in]
    return [asker.ask(read_name(name), read_type(kind), at) for name, kind, at, *_ in asked]


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request, tmp_path_factory) -> tuple[str, list[dict]]:
    name = request.param
    capture = HERE / name / "capture.pcap.zst"
    return name, told_by(name, capture, tmp_path_factory.mktemp(name))


def test_every_conclusion_is_the_resolvers_or_a_listed_difference(recording) -> None:
    name, told = recording
    found = Counter()
    for one, (asked, kind, _, status, rcode, _) in zip(told, verdicts(name), strict=True):
        same = one["status"] == status and (status == "bogus" or one["resolver_rcode"] == rcode)
        if same:
            continue
        listed = [
            number
            for number, row in enumerate(DIFFERENCES)
            if name == row["recording"]
            and kind == row.get("type", kind)
            and any(part in asked for part in row["names"])
            and (status, one["status"], one["reason"])
            == (row["resolver"], row["explain"], row["reason"])
        ]
        assert listed, (asked, kind, status, rcode, one["status"], one["reason"], one["sentence"])
        found.update(listed[:1])
    wanted = {number for number, row in enumerate(DIFFERENCES) if row["recording"] == name}
    assert set(found) == wanted, "a listed difference is none any more"


def test_questions_of_every_status_were_recorded() -> None:
    counts = Counter(one[3] for name in RECORDINGS for one in verdicts(name))
    assert min(counts[status] for status in ("secure", "insecure", "bogus")) > 100


def without_client(packed: bytes) -> bytes:
    """Leave the client's packets out of a pcap of loopback."""
    whole = zstandard.ZstdDecompressor().stream_reader(packed).read()
    address = bytes(map(int, CLIENT.split(".")))
    kept, at = [whole[:24]], 24
    while at < len(whole):
        size = int.from_bytes(whole[at + 8 : at + 12], "little")
        packet = whole[at + 16 : at + 16 + size]
        if address not in (packet[26:30], packet[30:34]):
            kept.append(whole[at : at + 16 + size])
        at += 16 + size
    return b"".join(kept)


def test_what_the_resolver_asked_upstream_is_enough(tmp_path) -> None:
    name = "mutants-unbound"
    capture = tmp_path / "upstream.pcap"
    capture.write_bytes(without_client((HERE / name / "capture.pcap.zst").read_bytes()))
    told = told_by(name, capture, tmp_path / "tables", one_in=5)
    for one, row in zip(told, verdicts(name)[::5], strict=True):
        assert one["status"] == row[3], row
