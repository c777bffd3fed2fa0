"""Captures cut by time into what a recorder would have written so far."""

from __future__ import annotations

import struct
import tomllib
from functools import cache
from pathlib import Path

import zstandard

from forensics.report.times import parse

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "captures"
SECOND = 10**9


def unpacked(path):
    return zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())


@cache
def records(name):
    """Give the file header of a recording, and (ns, record) of each packet."""
    octets = unpacked(CAPTURES / name / "capture.pcap.zst")
    magic, unit = octets[:4], {b"\xd4\xc3\xb2\xa1": 1000, b"\x4d\x3c\xb2\xa1": 1}
    at, found = 24, []
    while at < len(octets):
        seconds, fraction, size = struct.unpack_from("<III", octets, at)
        found.append((seconds * SECOND + fraction * unit[magic], octets[at : at + 16 + size]))
        at += 16 + size
    return octets[:24], found


def parts(name, seconds):
    """Give the header, and the records of each stretch of so many seconds."""
    head, found = records(name)
    begin = found[0][0]
    cut = [[] for _ in range(int((found[-1][0] - begin) / SECOND / seconds) + 1)]
    for time, record in found:
        cut[int((time - begin) / SECOND / seconds)].append(record)
    return head, [b"".join(one) for one in cut]


@cache
def frames(name):
    """Give the frames of a recording's dnstap, with their lengths, START and STOP left out."""
    octets = unpacked(CAPTURES / name / "unbound.dnstap.zst")
    at, found = 0, []
    while at < len(octets):
        (size,) = struct.unpack_from(">I", octets, at)
        if size:
            found.append(octets[at : at + 4 + size])
            at += 4 + size
        else:
            at += 8 + struct.unpack_from(">I", octets, at + 4)[0]
    return found


@cache
def truth(name):
    return tomllib.loads((CAPTURES / name / "truth.toml").read_text())


def begins(name):
    """Time at which the recording's truth says that it began, ns."""
    return parse(truth(name)["views"]["published"]["bad_from"])


def anchor(name):
    return CAPTURES / name / "trust-anchor.ds"
