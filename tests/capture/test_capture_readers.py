"""Opening inputs: formats by content, compression, errors in one line, facts and tables."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import struct
import subprocess
import sys

import lz4.frame
import pytest
import zstandard
from capture_files import T0, losses, pcap, query, read, response, stream, udp4

from forensics import limits
from forensics.capture.facts import captures_table, losses_table
from forensics.capture.losses import NOTICES, REASONS, SENTENCES, Reason
from forensics.capture.readers import READERS, first_time, open_capture
from forensics.errors import EmptyInput, InputError, UnknownFormat, Unreadable
from forensics.schemas import CAPTURES, LOSSES

PACKETS = [
    (T0 + i * 10**6, udp4(query(qid=i) if i % 2 == 0 else response(qid=i), ipid=i + 2))
    for i in range(300)
]
PLAIN = pcap(PACKETS, link=101)


def _zstd(data):
    return zstandard.ZstdCompressor().compress(data)


COMPRESSORS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _zstd,
    "lz4": lz4.frame.compress,
}


@pytest.fixture
def written(tmp_path):
    def write(data, name="capture"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("name", sorted(COMPRESSORS))
@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 1000])
def test_compressed_file_reads_like_plain_one(written, name, block):
    data = COMPRESSORS[name](PLAIN)
    facts, rows = read(written(data), block)
    _, expected = read(written(PLAIN, "plain"))
    assert rows == expected
    assert len(rows) == 300
    assert facts.format == f"pcap+{name}"
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert facts.octets == len(data)
    assert losses(facts) == {}


@pytest.mark.parametrize("name", sorted(COMPRESSORS))
def test_members_one_after_another_are_one_stream(written, name):
    compress = COMPRESSORS[name]
    middle = len(PLAIN) // 2
    facts, rows = read(written(compress(PLAIN[:middle]) + compress(PLAIN[middle:])))
    assert len(rows) == 300
    assert losses(facts) == {}


@pytest.mark.parametrize("name", sorted(COMPRESSORS))
def test_cut_compressed_file_gives_what_came_before(written, name):
    data = COMPRESSORS[name](PLAIN)
    whole = read(written(PLAIN, "plain"))[1]
    cut = data[: len(data) * 3 // 4]
    try:
        facts, rows = read(written(cut))
    except EmptyInput as error:
        # bzip2 and small xz files are a single block: nothing comes out of a part of it.
        assert name in {"bzip2", "xz", "zstd", "lz4"}
        assert "too early" in error.reason  # noqa: PT017
        return
    assert rows == whole[: len(rows)]
    assert losses(facts)["decompression-failed"] == 1
    assert facts.sha256 == hashlib.sha256(cut).hexdigest()


def test_cut_gzip_loses_nothing_that_can_be_decompressed(written):
    data = gzip.compress(PLAIN)
    cut = data[:-8]  # the checksum and length alone are missing
    facts, rows = read(written(cut))
    assert len(rows) == 300
    assert losses(facts) == {"decompression-failed": 1}


def test_flipped_octets_in_compressed_files_never_raise(written):
    for name, compress in COMPRESSORS.items():
        data = bytearray(compress(PLAIN))
        for at in range(8, len(data), max(1, len(data) // 40)):
            data[at] ^= 0x55
            try:
                facts, _ = read(written(bytes(data)))
                assert facts.packets <= 400, name
            except InputError as error:
                assert error.reason  # noqa: PT017 - either end is right
            data[at] ^= 0x55


def _skippable(content, low=0):
    return bytes([0x50 + low]) + b"\x2a\x4d\x18" + struct.pack("<I", len(content)) + content


@pytest.mark.parametrize("name", ["zstd", "lz4"])
@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 1000])
def test_frames_without_data_are_passed_over(written, name, block):
    """At the start, between frames and at the end, as pzstd and zstd --patch tools write them."""
    compress = COMPRESSORS[name]
    middle = len(PLAIN) // 2
    first, second = compress(PLAIN[:middle]), compress(PLAIN[middle:])
    parts = (_skippable(b""), _skippable(b"1234", 15), first)
    parts += (_skippable(b"x" * 70_000, 7), second, _skippable(b"end"))
    facts, rows = read(written(b"".join(parts)), block)
    assert len(rows) == 300
    assert losses(facts) == {}
    assert facts.format == f"pcap+{name}"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
@pytest.mark.parametrize("options", [["-19"], ["--long=27"], ["-T2"], ["--no-check"], ["--fast"]])
def test_what_the_zstd_tool_writes(written, options):
    squeezed = subprocess.run(
        ["zstd", "-q", "-c", *options], input=PLAIN, capture_output=True, check=True
    ).stdout
    facts, rows = read(written(squeezed + squeezed[:0]))
    assert len(rows) == 300
    assert losses(facts) == {}


LARGE = pcap(
    [(T0 + i, udp4(query(qid=i % 65536), ipid=i % 65535)) for i in range(20_000)], link=101
)


CHECKED = {
    **COMPRESSORS,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": lambda data: lz4.frame.compress(data, block_checksum=True),
}


@pytest.mark.parametrize("name", sorted(CHECKED))
def test_what_comes_before_damage_is_read(written, name):
    """Damage in the last fifth costs about that fifth (bzip2 loses the block that it is in)."""
    data = bytearray(CHECKED[name](LARGE))
    at = len(data) * 4 // 5
    data[at : at + 4] = bytes(255 - octet for octet in data[at : at + 4])
    facts, rows = read(written(bytes(data)))
    assert losses(facts).keys() & {"decompression-failed", "record-length", "file-cut"}
    least = {"bzip2": 0.25}.get(name, 0.7)
    assert len(rows) > least * 20_000


@pytest.mark.parametrize("name", sorted(COMPRESSORS))
def test_bomb_is_named_with_file_and_offset(written, monkeypatch, name):
    monkeypatch.setattr(limits, "DECOMPRESSION_FREE_OCTETS", 100_000)
    monkeypatch.setattr(limits, "DECOMPRESSION_RATIO", 100)
    path = written(COMPRESSORS[name](PLAIN + bytes(20_000_000)))
    facts, _ = read(path, 2**20)
    (loss,) = [one for one in facts.losses.rows() if one.reason is Reason.DECOMPRESSION_LIMIT]
    assert "100 times: a decompression bomb" in loss.detail
    # A step of zstd may give 64 MiB, and is looked at afterwards.
    assert 100_000 < loss.offset <= len(PLAIN) + 20_000_000
    assert facts.path == str(path)


def test_octets_behind_compressed_data_are_a_loss(written):
    facts, rows = read(written(gzip.compress(PLAIN) + b"something else"))
    assert len(rows) == 300
    assert losses(facts) == {"decompression-failed": 1}


def test_decompression_bomb_stops_at_the_limit(written, monkeypatch):
    monkeypatch.setattr(limits, "DECOMPRESSION_FREE_OCTETS", 100_000)
    bomb = PLAIN + bytes(50_000_000)
    for name, compress in COMPRESSORS.items():
        if name == "lz4":
            continue  # at most 255 to 1
        facts, rows = read(written(compress(bomb)), 2**20)
        assert losses(facts)["decompression-limit"] == 1, name
        # The zeros are records of no octets: none of them is a message.
        assert len(rows) <= 300


def test_facts_tell_what_the_file_is(written):
    facts, _ = read(written(PLAIN))
    assert (facts.path.endswith("capture"), facts.number, facts.format) == (True, 7, "pcap")
    assert facts.sha256 == hashlib.sha256(PLAIN).hexdigest()
    assert facts.octets == len(PLAIN)
    assert facts.link_types == ["RAW"]
    assert (facts.packets, facts.messages, facts.other, facts.duplicates) == (300, 300, 0, 0)
    assert (facts.first, facts.last) == (T0, T0 + 299 * 10**6)


def test_tables_have_the_schemas_of_the_contract(written):
    good, _ = read(written(PLAIN))
    damaged, _ = read(written(PLAIN[:-5], "damaged"))
    empty, _ = read(written(pcap([]), "none"))
    captures = captures_table([good, damaged, empty])
    lost = losses_table([good, damaged, empty], {})
    assert captures.schema.equals(CAPTURES)
    assert lost.schema.equals(LOSSES)
    assert captures["messages"].to_pylist() == [300, 299, 0]
    assert captures["first"][2].as_py() is None
    assert captures["first"].cast("int64").to_pylist()[0] == T0
    (row,) = lost.to_pylist()
    assert row["reason"] == "file-cut"
    assert row["frame"] == 300
    size = len(PACKETS[-1][1])
    assert row["octets"] == 16 + size - 5
    assert row["offset"] == len(PLAIN) - size - 16


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", EmptyInput, "empty"),
        (b"\n", UnknownFormat, "unknown format"),
        (b"\0" * 4096, UnknownFormat, "unknown format"),
        (b"snoop\0\0\0\0\0\0\2", UnknownFormat, "snoop"),
        (b"\x0a\x05sheep\x12\x04BIND\x72\x10" + bytes(16), UnknownFormat, "Frame Streams"),
        (b"\0\0\0\0\0\0\0\x16\0\0\0\2\0\0\0\1\0\0\0\x0awharrgarbl", UnknownFormat, "content"),
        (gzip.compress(b""), EmptyInput, "holds no octets"),
        (gzip.compress(PLAIN)[:5], EmptyInput, "too early"),
        (gzip.compress(b"text"), UnknownFormat, "unknown format"),
    ],
)
def test_input_that_cannot_be_read_is_named_in_one_line(written, data, kind, words):
    path = written(data)
    with pytest.raises(kind) as caught:
        open_capture(str(path), 0)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_directory_and_odd_name(tmp_path):
    for path, words in (
        (tmp_path / "none.pcap", "no such file"),
        (tmp_path, "directory"),
        (tmp_path / "none.pcap" / "below", "no such file"),
        ("a\0b", "cannot be opened"),
    ):
        with pytest.raises(Unreadable, match=words):
            open_capture(str(path), 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_permission(written):
    path = written(PLAIN)
    path.chmod(0)
    with pytest.raises(Unreadable, match="permission"):
        open_capture(str(path), 0)


@pytest.mark.parametrize("data", [PLAIN, gzip.compress(PLAIN)], ids=["plain", "gzip"])
def test_standard_input_is_streamed(data):
    code = (
        "from forensics.capture.readers import open_capture\n"
        "capture = open_capture('-', 0)\n"
        "print(sum(len(block) for block in capture.blocks()), capture.facts.sha256)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True, timeout=120
    )
    assert ended.stdout.split() == [b"300", hashlib.sha256(data).hexdigest().encode()]


def test_named_pipe_is_streamed(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", f"cat > '{path}'"], stdin=subprocess.PIPE) as writer:
        writer.stdin.write(PLAIN)
        writer.stdin.close()
        facts, rows = read(path, 1000)
    assert len(rows) == 300
    assert facts.octets == len(PLAIN)


def test_first_time_looks_only_at_the_start(written):
    assert first_time(str(written(PLAIN))) == T0
    assert first_time(str(written(gzip.compress(PLAIN)))) == T0
    assert first_time(str(written(pcap([])))) is None
    assert first_time("-") is None
    assert first_time(str(written(stream([])))) is None
    with pytest.raises(EmptyInput):
        first_time(str(written(b"")))


def test_capture_given_up_midway_lets_go_of_its_file(written):
    capture = open_capture(str(written(PLAIN)), 0, block_octets=1000)
    blocks = capture.blocks()
    assert len(next(blocks)) > 0
    blocks.close()
    with pytest.raises(ValueError, match="closed"):
        capture._stream._stored._raw.read(1)


def test_input_that_fails_midway_is_a_counted_loss(written, monkeypatch):
    capture = open_capture(str(written(PLAIN)), 0, block_octets=1000)

    class Failing(io.RawIOBase):
        def readinto(self, _target):
            raise OSError(5, "Input/output error")

    capture._stream._stored._raw.close()
    monkeypatch.setattr(capture._stream._stored, "_raw", Failing())
    found = sum(len(block) for block in capture.blocks())
    assert 0 < found < 300
    assert losses(capture.facts)["read-failed"] == 1


def test_reasons_are_closed_and_each_has_a_sentence():
    assert list(SENTENCES) == list(Reason)
    assert len(set(REASONS)) == len(REASONS) == len(Reason)
    assert set(Reason) >= NOTICES


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.NAME)
def test_readers_have_a_name_and_tell_formats_apart(reader):
    heads = {"pcap": PLAIN[:64], "pcapng": None, "dnstap": stream([]), "c-dns": b"\x83eC-DNS\xa4"}
    heads["powerdns-protobuf"] = b"\0\x0a\x08\x01\x48\x80\x94\xeb\xdc\x03\x58\x07"
    from capture_files import ng_section

    heads["pcapng"] = ng_section()
    assert [name for name, head in heads.items() if reader.sniff(head)] == [reader.NAME]
    assert not reader.sniff(b"")
    assert reader.__doc__
