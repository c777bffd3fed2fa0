"""An outage of expired signatures says when they became invalid, and who would refuse them when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dns.message
import dns.rdatatype
import pytest

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@pytest.fixture(scope="module")
def report(run):
    folder = CAPTURES / "arin-2019"
    return run(folder / "capture.pcap.zst", anchor=folder / "trust-anchor.ds")


def test_period_is_that_of_the_packet(report) -> None:
    from scapy.utils import RawPcapReader

    (incident,) = [row for row in report["incidents"] if row["reason"] == "signature-expired"]
    told = incident["validity"]
    cited = next(row for row in incident["evidence"] if row["shows"] == "first-bad")
    import zstandard

    path = report["folder"].parent / "arin.pcap"
    with (CAPTURES / "arin-2019/capture.pcap.zst").open("rb") as packed, path.open("wb") as plain:
        zstandard.ZstdDecompressor().copy_stream(packed, plain)
    with RawPcapReader(str(path)) as packets:
        for _ in range(cited["frame"]):
            octets, _ = next(packets)
    at = octets.index(b"\x00\x35") + 8  # the payload of a datagram from port 53
    message = dns.message.from_wire(octets[at:])
    ends = {
        f"{datetime.fromtimestamp(rdata.expiration + 1, UTC):%Y-%m-%dT%H:%M:%S}.000000000Z"
        for rrset in (*message.answer, *message.authority)
        if rrset.rdtype == dns.rdatatype.RRSIG
        for rdata in rrset
        if rdata.key_tag == told["tag"]
    }
    assert told["became_invalid"] in ends
    assert told["seen"] == cited["time"]
    policies = {row["policy"]: row for row in told["policies"]}
    assert policies["strict"]["would_refuse_from"] == told["became_invalid"]
    assert policies["strict"]["refused_when_seen"]
    assert policies["unbound"]["would_refuse_from"] > told["became_invalid"]


def test_page_and_markdown_show_the_table(report) -> None:
    for name in ("report.html", "report.md"):
        text = (report["folder"] / name).read_text(encoding="utf-8")
        assert "Who would refuse it, and when" in text
        assert "powerdns" in text


def test_an_outage_of_keys_says_nothing_of_time(run) -> None:
    folder = CAPTURES / "de-2026"
    other = run(folder / "capture.pcap.zst", anchor=folder / "trust-anchor.ds")
    assert other["incidents"]
    assert all("validity" not in row for row in other["incidents"])
