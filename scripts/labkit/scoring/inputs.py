"""The inputs that the analyzer gets of one recording: whole, or what one recorder would have."""

import ipaddress
import struct
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import zstandard

KINDS = ("pcap", "dnstap", "client", "upstream", "logs")
ETHERNET, RECORD, HEADER = 14, 16, 24
IPV4, IPV6 = 0x0800, 0x86DD

Wanted = Callable[[str, str], bool]


@dataclass(frozen=True)
class Recorded:
    """A folder of captures/ with its truth."""

    folder: Path

    @property
    def name(self) -> str:
        """The name of the recording."""
        return self.folder.name

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What the lab wrote."""
        return tomllib.loads((self.folder / "truth.toml").read_text())

    @property
    def anchor(self) -> Path:
        """The trust anchor of the recording's root."""
        return self.folder / "trust-anchor.ds"

    def unseen(self, kind: str) -> dict[str, Any] | None:
        """Why an input of this kind cannot show the cause, by captures/UNSEEN.toml."""
        entries = tomllib.loads((self.folder.parent / "UNSEEN.toml").read_text())["unseen"]
        return next(
            (one for one in entries if (one["capture"], one["input"]) == (self.name, kind)), None
        )

    @property
    def logs(self) -> list[Path]:
        """The resolvers' logs."""
        return sorted(self.folder.glob("*.log"))

    def inputs(self, kind: str, scratch: Path) -> list[Path]:
        """Return the files that the analyzer reads for a kind; `scratch` takes what is cut."""
        pcap = self.folder / self.truth["capture"]["file"]
        if kind == "dnstap":
            return [self.folder / self.truth["capture"]["dnstap_file"]]
        if kind in ("client", "upstream"):
            return [self._cut(pcap, kind, scratch)]
        return [pcap]

    def _cut(self, pcap: Path, kind: str, scratch: Path) -> Path:
        clients = {client["address"] for client in self.truth["clients"]}
        resolvers = {a for one in self.truth["resolvers"] for a in one["addresses"]}
        others = clients | resolvers | set(self.truth["capture"]["monitor"])

        def client_side(one: str, other: str) -> bool:
            return (one in clients) != (other in clients)

        def upstream_side(one: str, other: str) -> bool:
            ends = {one, other}
            return len(ends & resolvers) == 1 and not (ends - resolvers) & others

        target = scratch / f"{self.name}-{kind}.pcap"
        wanted = client_side if kind == "client" else upstream_side
        target.write_bytes(b"".join(_selected(decompressed(pcap), wanted)))
        return target


def decompressed(path: Path) -> bytes:
    """Return the octets of a file compressed with zstd."""
    with path.open("rb") as stream:
        return zstandard.ZstdDecompressor().stream_reader(stream).read()


def _selected(data: bytes, wanted: Wanted) -> Iterator[bytes]:
    """Yield the file header and the packets between addresses that are wanted."""
    yield data[:HEADER]
    for record in read_records(data):
        ends = ends_of(record[RECORD:])
        if all(ends) and wanted(*ends):
            yield record


def read_records(data: bytes) -> Iterator[bytes]:
    """Yield the packet records of a pcap file (little-endian), with their own headers."""
    at = HEADER
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        yield data[at : at + RECORD + length]
        at += RECORD + length


def ends_of(frame: bytes) -> tuple[str, str]:
    """Return the two addresses of an Ethernet frame; empty if it is no IP."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == IPV4:
        ends = frame[ETHERNET + 12 : ETHERNET + 16], frame[ETHERNET + 16 : ETHERNET + 20]
    elif kind == IPV6:
        ends = frame[ETHERNET + 8 : ETHERNET + 24], frame[ETHERNET + 24 : ETHERNET + 40]
    else:
        return "", ""
    return str(ipaddress.ip_address(ends[0])), str(ipaddress.ip_address(ends[1]))
