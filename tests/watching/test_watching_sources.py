"""Files that grow, rotate, move and go: every frame is read once, under its own number."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watching_files import SECOND, frames, records

from forensics.capture.framestreams import CONTENT, START, STOP, control
from forensics.capture.readers import open_capture
from forensics.report.pcapng import Packet, render_pcapng
from forensics.watching import bounds
from forensics.watching.growth import walker
from forensics.watching.sources import Follower

NOW = 10**18
HOUR = 3600 * SECOND
QUIET = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def pcap(count=400):
    head, found = records("first-signed")
    return head + b"".join(record for _, record in found[:count])


def pcapng(count=400):
    _, found = records("first-signed")
    return render_pcapng(
        [Packet(time, 1, record[16:], len(record) - 16) for time, record in found[:count]]
    )


def dnstap(count=400):
    middle = b"".join(frames("de-2026")[:count])
    return control(START, CONTENT) + middle + control(STOP)


FORMATS = {"pcap": pcap, "pcapng": pcapng, "dnstap": dnstap}


def rows_of(path):
    """Give (frame, time, message) of a capture, and what of it was lost."""
    capture = open_capture(str(path), 0)
    found = []
    for block in capture.blocks():
        for row in range(len(block)):
            start = int(block.start[row])
            message = block.octets[start : start + int(block.captured[row])].tobytes()
            found.append((int(block.frame[row]), int(block.time[row]), message))
    return found, capture.facts.losses.as_dict(), capture.facts.packets


def rows_in(follower):
    """Give the rows of all inputs, frames numbered as in the file."""
    found = []
    for one in follower.inputs():
        rows, lost, _ = rows_of(one.path)
        assert not lost
        found += [(frame + one.frames, time, message) for frame, time, message in rows]
    return found


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "pieces").mkdir()
    return tmp_path / "in"


def follow(folder, **options):
    return Follower(folder, folder.parent / "pieces", **options)


def judged(follower):
    """Do what a look does to the follower."""
    facts = {}
    for one in follower.inputs():
        rows, _, packets = rows_of(one.path)
        times = [time for _, time, _ in rows]
        facts[one.path] = (min(times, default=None), max(times, default=None), packets)
    follower.read_up_to(facts)


@pytest.mark.parametrize("kind", FORMATS)
@QUIET
@given(data=st.data())
def test_a_growing_file_gives_each_frame_once(kind, data, tmp_path_factory):
    octets = FORMATS[kind](120)
    cuts = sorted(data.draw(st.lists(st.integers(1, len(octets)), max_size=8)))
    folder = tmp_path_factory.mktemp("growing") / "in"
    folder.mkdir()
    (folder.parent / "pieces").mkdir()
    path, whole = folder / "a", folder.parent / "whole"
    whole.write_bytes(octets)
    follower = follow(folder)
    full = data.draw(st.sampled_from([10_000, bounds.PIECE_OCTETS]))
    patch = pytest.MonkeyPatch()
    patch.setattr(bounds, "PIECE_OCTETS", full)
    try:
        for cut in [*cuts, len(octets)]:
            path.write_bytes(octets[:cut]) if not path.exists() else _append(path, octets[:cut])
            os.utime(path, ns=(NOW, NOW))
            follower.scan(NOW, HOUR)
            judged(follower)
    finally:
        patch.undo()
    assert rows_in(follower) == rows_of(whole)[0]
    (source,) = follower.sources.values()
    assert source.frames == rows_of(whole)[2]


def _append(path, octets):
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(octets[file.tell() :])


def test_a_file_at_rest_is_read_where_it_lies(folder):
    path = folder / "a.pcap"
    path.write_bytes(pcap())
    os.utime(path, ns=(0, NOW - bounds.AGED))
    follower = follow(folder)
    assert follower.scan(NOW, HOUR)
    (one,) = follower.inputs()
    assert Path(one.path).samefile(path)
    assert one.shown == str(path)
    judged(follower)
    assert not follower.scan(NOW, HOUR)
    path.unlink()
    assert not follower.scan(NOW, HOUR)
    assert rows_in(follower) == rows_in(follow(folder, sources=list(follower.sources.values())))


def test_a_file_that_is_compressed_is_read_when_it_has_come_to_rest(folder):
    path = folder / "a.pcap.gz"
    path.write_bytes(gzip.compress(pcap()))
    os.utime(path, ns=(0, NOW))
    follower = follow(folder)
    assert not follower.scan(NOW + SECOND, HOUR)
    assert follower.scan(NOW + bounds.SETTLED, HOUR)
    assert len(rows_in(follower)) == len(rows_of(path)[0])


def test_rotation_that_moves_and_compresses(folder):
    """What came between the last look and the rotation is in the compressed file alone."""
    octets = pcap()
    path = folder / "a.pcap"
    path.write_bytes(octets[: len(octets) // 2])
    os.utime(path, ns=(NOW, NOW))
    follower = follow(folder)
    follower.scan(NOW, HOUR)
    judged(follower)
    _append(path, octets)
    moved = folder / "a.pcap.1"
    path.rename(moved)
    follower.scan(NOW, HOUR)
    judged(follower)
    assert list(follower.sources) == [str(moved)]
    packed = folder / "a.pcap.1.gz"
    packed.write_bytes(gzip.compress(octets))
    os.utime(packed, ns=(NOW, NOW))
    assert not follower.scan(NOW, HOUR)
    moved.unlink()
    assert not follower.scan(NOW + SECOND, HOUR)
    assert follower.inputs()  # nothing is let go of before the other can be read
    assert follower.scan(NOW + bounds.SETTLED, HOUR)
    (one,) = follower.inputs()
    assert one.shown == str(packed)
    assert rows_in(follower) == rows_of(packed)[0]


def test_what_is_not_finished_or_hidden_is_left_alone(folder):
    for name in (".hidden.pcap", "a.pcap.part", "b.tmp"):
        (folder / name).write_bytes(pcap(3))
    (folder / "below").mkdir()
    assert not follow(folder).scan(NOW, HOUR)


def test_a_broken_length_is_left_to_the_reader(folder):
    head, found = records("first-signed")
    broken = head + found[0][1] + b"\xff" * 64 + b"".join(record for _, record in found[1:300])
    path = folder / "a.pcap"
    path.write_bytes(broken)
    os.utime(path, ns=(NOW, NOW))
    follower = follow(folder)
    assert follower.scan(NOW, HOUR)
    (one,) = follower.inputs()
    rows, lost, _ = rows_of(one.path)
    assert "record-length" in lost
    assert len(rows) > 200


def test_a_file_that_begins_anew_is_read_anew(folder):
    path = folder / "a.pcap"
    path.write_bytes(pcap(100))
    os.utime(path, ns=(NOW, NOW))
    follower = follow(folder)
    follower.scan(NOW, HOUR)
    judged(follower)
    path.write_bytes(pcap(50))
    os.utime(path, ns=(NOW, NOW))
    follower.scan(NOW, HOUR)
    assert rows_in(follower) == rows_of(path)[0]


def test_a_piece_that_was_being_written_when_we_were_killed(folder):
    octets = pcap()
    path = folder / "a.pcap"
    path.write_bytes(octets[:30_000])
    os.utime(path, ns=(NOW, NOW))
    follower = follow(folder)
    follower.scan(NOW, HOUR)
    judged(follower)
    saved = [source.row() for source in follower.sources.values()]
    _append(path, octets)
    follower.scan(NOW, HOUR)
    (folder.parent / "pieces" / "00000099.piece").write_bytes(b"nobody knows it")
    from forensics.watching.sources import Source

    again = follow(folder, sources=[Source.read(row) for row in saved], number=follower.number)
    assert sorted(path.name for path in again.pieces.iterdir()) == ["00000001.piece"]
    again.scan(NOW, HOUR)
    judged(again)
    assert rows_in(again) == rows_of(path)[0]


def test_of_an_old_archive_only_the_horizon_is_read(folder):
    head, found = records("first-signed")
    for number in range(6):
        record = bytearray(found[0][1])
        record[:4] = struct.pack("<I", 1_800_000_000 + 3600 * number)
        path = folder / f"{number}.pcap"
        path.write_bytes(head + bytes(record))
        os.utime(path, ns=(0, 0))
    follower = follow(folder)
    while follower.scan(NOW, 2 * HOUR):
        judged(follower)
    # Two hours, and the file before them, which may reach into them.
    assert [Path(one.shown).stem for one in follower.inputs()] == list("2345")


def test_octets_of_no_format_are_walked_by_nobody():
    assert walker(b"hello world, this is text") is None
    assert walker(b"") is None


