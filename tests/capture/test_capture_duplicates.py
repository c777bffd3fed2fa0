"""The same packet captured twice is one message; a repetition by the sender is two."""

from __future__ import annotations

import pytest
from capture_files import T0, ethernet, pcap, query, read, response, udp4, udp6

from forensics import limits

MS = 10**6


def found(tmp_path, timed, block=limits.BLOCK_OCTETS, link=1):
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(timed, link=link))
    _, rows = read(path, block)
    return [row.frame for row in rows]


def changed(packet, at, octets):
    return packet[:at] + octets + packet[at + len(octets) :]


ONE = udp4(query(), ipid=4242)


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
@pytest.mark.parametrize(
    "copy",
    [
        ethernet(ONE),
        ethernet(ONE, (0x8100,)),
        ethernet(changed(ONE, 8, b"\x3f")),
        ethernet(changed(ONE, 10, b"\xab\xcd")),
        ethernet(changed(ONE, 26, b"\0\0")),
        ethernet(ONE, padding=bytes(10)),
    ],
    ids=["same", "vlan", "ttl", "ip-checksum", "udp-checksum", "padding"],
)
def test_copy_within_the_window_is_left_out(tmp_path, copy, block):
    assert found(tmp_path, [(T0, ethernet(ONE)), (T0 + 19 * MS, copy)], block) == [1]
    # Capture threads may write the copy first.
    assert found(tmp_path, [(T0, ethernet(ONE)), (T0 - 5 * MS, copy)], block) == [1]


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
@pytest.mark.parametrize(
    ("other", "gap"),
    [
        (ONE, 21 * MS),
        (udp4(query(), ipid=4243), 0),
        (udp4(query(), sport=40001), 0),
        (udp4(query(qid=1)), 0),
        (udp4(query("www.exbmple.")), 0),
        (udp4(query(), source="192.0.2.9"), 0),
        (udp4(query(), target="198.51.100.3"), 0),
        (changed(ONE, 1, b"\x20"), 0),
    ],
    ids=["late", "ip-id", "port", "id", "name", "source", "target", "dscp"],
)
def test_repetition_is_kept(tmp_path, other, gap, block):
    timed = [(T0, ethernet(ONE)), (T0 + gap, ethernet(other))]
    assert found(tmp_path, timed, block) == [1, 2]


@pytest.mark.parametrize(
    "packet",
    [
        udp4(query(), ipid=0, flags="DF"),
        udp4(query(), ipid=1),
        udp6(query()),
    ],
    ids=["df-zero", "crafted", "ipv6"],
)
def test_packets_without_a_number_of_their_own_are_held_to_a_shorter_window(tmp_path, packet):
    frame = ethernet(packet)
    assert found(tmp_path, [(T0, frame), (T0 + MS, frame)]) == [1]
    assert found(tmp_path, [(T0, frame), (T0 + 3 * MS, frame)]) == [1, 2]
    hops = changed(packet, 8 if packet[0] >> 4 == 4 else 7, b"\x05")
    assert found(tmp_path, [(T0, frame), (T0 + MS, ethernet(hops))]) == [1]


def test_three_copies_are_one_message(tmp_path):
    frame = ethernet(ONE)
    assert found(tmp_path, [(T0, frame), (T0, frame), (T0 + 1000, frame)]) == [1]


def test_every_packet_mirrored_twice_with_traffic_between(tmp_path):
    timed = []
    for i in range(500):
        pair = (
            ethernet(udp4(query(qid=i), ipid=2 + i % 50)),
            ethernet(udp4(response(qid=i), ipid=9, sport=53, dport=40000)),
        )
        for j, frame in enumerate(pair):
            timed.append((T0 + i * MS + j * 1000, frame))
            timed.append((T0 + i * MS + j * 1000 + 500_000, frame))
    timed.sort(key=lambda one: one[0])
    expected = []
    seen = set()
    for number, (_, frame) in enumerate(timed, 1):
        if frame not in seen:
            seen.add(frame)
            expected.append(number)
    for block in (limits.BLOCK_OCTETS, 5000, 300):
        assert found(tmp_path, timed, block) == expected


def test_equal_key_with_other_octets_is_never_a_duplicate(tmp_path):
    # Only the question differs, beyond what the hash looks at.
    packets = [udp4(query(f"{letter}.example."), ipid=77) for letter in "abcdefgh"]
    timed = [(T0, ethernet(packet)) for packet in packets]
    assert found(tmp_path, timed) == list(range(1, 9))


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 50_000])
def test_copy_far_behind_in_the_file_is_kept_wherever_blocks_end(tmp_path, block):
    other = ethernet(bytes(1400))  # no IP packet of ours
    record = 16 + len(other)
    first = (T0, ethernet(ONE))
    fit = (limits.DUPLICATE_OCTETS - 16 - len(first[1])) // record
    near = [first, *[(T0, other)] * fit, first]
    assert found(tmp_path, near, block) == [1]
    far = [first, *[(T0, other)] * (fit + 1), first]
    assert found(tmp_path, far, block) == [1, fit + 3]


def test_flood_beyond_the_slots_keeps_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "DUPLICATE_SLOTS", 8)
    timed = [(T0, ethernet(udp4(query(qid=i), ipid=i + 2))) for i in range(200)]
    assert found(tmp_path, timed, 500) == list(range(1, 201))
