"""Read the lab's recordings with nothing of the program under test: struct, zstd and dnspython."""

from __future__ import annotations

import hashlib
import ipaddress
import struct
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dns.message
import dns.rdatatype
import zstandard
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rrset import RRset

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
FOLDERS = sorted(path for path in CAPTURES.iterdir() if path.is_dir())
NAMES = [  # of the large world, whose truth lists the zones below de. apart
    path.name
    for path in FOLDERS
    if isinstance(tomllib.loads((path / "truth.toml").read_text())["zones"], dict)
]
SMALL = [path.name for path in FOLDERS if path.name not in NAMES]
MAGIC_NANOSECONDS = 0xA1B23C4D
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Response:
    """A DNS response over UDP: when (ns), from whom to whom, and its octets."""

    time: int
    source: str
    target: str
    wire: bytes


@dataclass(frozen=True)
class Signed:
    """An RRset with one of its signatures, and when it was first captured (ns)."""

    time: int
    rrset: RRset
    rrsig: RRSIG

    @property
    def digest(self) -> str:
        """The name that the truth gives the signature."""
        return hashlib.sha256(self.rrsig.signature).hexdigest()[:16]


@cache
def truth(name: str) -> dict[str, Any]:
    return tomllib.loads((CAPTURES / name / "truth.toml").read_text())


def decompressed(name: str, file: str) -> bytes:
    with (CAPTURES / name / file).open("rb") as stream:
        return zstandard.ZstdDecompressor().stream_reader(stream).read()


def packets(name: str) -> Iterator[tuple[int, bytes]]:
    """Yield time (ns) and octets of each packet."""
    data = decompressed(name, "capture.pcap.zst")
    assert struct.unpack_from("<I", data)[0] == MAGIC_NANOSECONDS
    assert struct.unpack_from("<I", data, 20)[0] == 1  # Ethernet
    at = 24
    while at < len(data):
        seconds, fraction, length, original = struct.unpack_from("<IIII", data, at)
        assert length == original
        yield seconds * SECOND + fraction, data[at + 16 : at + 16 + length]
        at += 16 + length


@cache
def responses(name: str) -> tuple[Response, ...]:
    """Return every DNS response over UDP."""
    found = []
    for time, frame in packets(name):
        kind = struct.unpack_from("!H", frame, 12)[0]
        if kind == 0x0800:
            size, protocol = (frame[14] & 15) * 4, frame[23]
            source, target = frame[26:30], frame[30:34]
        else:
            size, protocol = 40, frame[20]
            source, target = frame[22:38], frame[38:54]
        at = 14 + size
        if protocol == 17 and struct.unpack_from("!H", frame, at)[0] == 53:
            texts = (str(ipaddress.ip_address(octets)) for octets in (source, target))
            found.append(Response(time, *texts, frame[at + 8 :]))
    return tuple(found)


@cache
def signed(name: str, sources: tuple[str, ...]) -> dict[str, Signed]:
    """Return each distinct signature in responses from these servers, by its digest."""
    found: dict[str, Signed] = {}
    for response in responses(name):
        if response.source not in sources:
            continue
        message = dns.message.from_wire(response.wire)
        sections = [*message.answer, *message.authority]
        by_key: dict[tuple[Name, RdataType], RRset] = {
            (rrset.name, rrset.rdtype): rrset for rrset in sections
        }
        for rrset in sections:
            if rrset.rdtype != dns.rdatatype.RRSIG:
                continue
            for rrsig in rrset:
                one = Signed(response.time, by_key[rrset.name, rrsig.type_covered], rrsig)
                found.setdefault(one.digest, one)
    return found


def dnstap_frames(name: str) -> Iterator[bytes]:
    """Yield the data frames of a Frame Streams file; its control frames must be in order."""
    data = decompressed(name, truth(name)["capture"]["dnstap_file"])
    at, controls = 0, []
    while at < len(data):
        (length,) = struct.unpack_from("!I", data, at)
        at += 4
        if length:
            yield data[at : at + length]
            at += length
            continue
        (length,) = struct.unpack_from("!I", data, at)
        controls.append(struct.unpack_from("!I", data, at + 4)[0])
        at += 4 + length
    assert at == len(data)
    assert controls == [2, 3]  # START, STOP


def nanoseconds(text: str) -> int:
    """Read RFC 3339 in UTC with nine decimals."""
    import datetime as dt

    whole, fraction = text.rstrip("Z").split(".")
    moment = dt.datetime.fromisoformat(whole).replace(tzinfo=dt.UTC)
    return int(moment.timestamp()) * SECOND + int(fraction)
