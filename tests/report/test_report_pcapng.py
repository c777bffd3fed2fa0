"""Our pcapng is read by scapy: packets, times and comments come back; hostile text is harmless."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from forensics.report.pcapng import Packet, render_pcapng

PACKETS = st.lists(
    st.builds(
        Packet,
        st.integers(0, 4 * 10**18),
        st.sampled_from([1, 101, 113]),
        st.binary(min_size=1, max_size=80),
        st.integers(0, 2000),
        st.text(max_size=40),
    ),
    max_size=8,
)


@given(PACKETS)
def test_scapy_reads_back_what_was_written(packets) -> None:
    file = io.BytesIO(render_pcapng(packets, "about it", "dns-forensics 1"))
    with RawPcapNgReader(file) as reader:
        found = list(reader)
    assert len(found) == len(packets)
    for packet, (octets, told) in zip(packets, found, strict=True):
        assert octets == packet.octets
        assert told.linktype == packet.link
        assert told.wirelen == max(packet.wire, len(packet.octets))
        assert told.tshigh << 32 | told.tslow == packet.time
        assert told.tsresol == 10**9


def test_a_comment_cannot_hold_terminal_escapes_or_outgrow_its_field() -> None:
    hostile = "\x1b]0;owned\x07" + "\u202e" + "x" * 100_000
    content = render_pcapng([Packet(0, 101, b"E", 1, hostile)], hostile)
    assert b"\x1b" not in content
    assert "\u202e".encode() not in content
    with RawPcapNgReader(io.BytesIO(content)) as reader:
        assert [octets for octets, _ in reader] == [b"E"]
