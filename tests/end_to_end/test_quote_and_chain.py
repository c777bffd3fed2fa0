"""What an incident quotes and the chain it draws, held against tshark and the lab's truth."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "captures" / "de-2026"


@pytest.fixture(scope="module")
def incident(run):
    report = run(FOLDER / "capture.pcap.zst", anchor=FOLDER / "trust-anchor.ds")
    return report["incidents"][0]


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    import zstandard

    path = tmp_path_factory.mktemp("capture") / "capture.pcap"
    with (FOLDER / "capture.pcap.zst").open("rb") as packed, path.open("wb") as plain:
        zstandard.ZstdDecompressor().copy_stream(packed, plain)
    return path


def fields(capture: Path, frames: list[int], *names: str) -> list[list[str]]:
    """Ask tshark for fields of some frames."""
    chosen = " or ".join(f"frame.number == {frame}" for frame in frames)
    words = ["tshark", "-r", str(capture), "-Y", chosen, "-T", "fields"]
    for name in names:
        words += ["-e", name]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in told.splitlines()]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_the_quoted_answer_is_the_one_in_the_frame(incident, capture) -> None:
    quote = incident["quote"]
    ((number, rcode, name, code, text),) = fields(
        capture,
        [quote["frame"]],
        "dns.id",
        "dns.flags.rcode",
        "dns.qry.name",
        "dns.opt.ext_error.info_code",
        "dns.opt.ext_error.extra_text",
    )
    told = "\n".join(quote["lines"])
    assert rcode == "2"
    assert f"status: SERVFAIL, id: {int(number, 16)}," in told
    assert f";{name}.  IN" in told
    assert f"EDE: {code} (" in told
    assert text in told


def test_the_chain_is_secure_down_to_the_bad_rrset(incident, truth) -> None:
    known = truth("de-2026")
    ksk = next(key["tag"] for key in known["keys"] if key["label"] == "de-ksk")
    links = [(row["zone"], row["link"], row["status"]) for row in incident["chain"]]
    assert links == [
        (".", "dnskey", "secure"),
        ("de.", "ds", "secure"),
        ("de.", "dnskey", "secure"),
        ("de.", "rrset", "bogus"),
    ]
    tags = [[key["tag"] for key in row["keys"]] for row in incident["chain"]]
    assert tags[1:] == [[ksk], [ksk], [known["key_tag"]]]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_each_frame_of_the_chain_holds_what_it_is_cited_for(incident, capture) -> None:
    for link, kind in zip(incident["chain"], ("48", "43", "48", "6"), strict=True):
        ((owner, types),) = fields(capture, link["frames"], "dns.resp.name", "dns.resp.type")
        assert (link["zone"].rstrip(".") or "<Root>", kind) in set(
            zip(owner.split(","), types.split(","), strict=False)
        )


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_each_frame_of_the_evidence_shows_what_it_says(incident, capture) -> None:
    key_tag = str(incident["signers"][0]["tag"])
    for row in incident["evidence"]:
        ((kinds, tags, rcode),) = fields(
            capture, [row["frame"]], "dns.resp.type", "dns.rrsig.key_tag", "dns.flags.rcode"
        )
        if row["shows"].startswith(("first-bad", "last-bad")):
            assert key_tag in tags.split(","), row
        elif row["shows"] == "key-set":
            assert "48" in kinds.split(",")
        elif row["shows"] == "ds":
            assert "43" in kinds.split(",")
        elif row["shows"] == "client-failure":
            assert rcode == "2"
        else:
            assert "46" in kinds.split(","), row
