"""Record: tcpdump for the packets, a Frame Streams collector for dnstap."""

import asyncio
import re
import signal
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5
FIELD_CONTENT_TYPE = 1
FILTER = "port 53 or icmp or icmp6"


def compress(source: Path, target: Path) -> int:
    """Compress a file with zstd and return the octets written."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        19, window_log=23, enable_ldm=True, write_checksum=True
    )
    octets = zstandard.ZstdCompressor(compression_params=parameters).compress(source.read_bytes())
    target.write_bytes(octets)
    return len(octets)


@dataclass
class PacketRecorder:
    """A running tcpdump."""

    path: Path
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, path: Path) -> "PacketRecorder":
        """Start tcpdump on `lo`, whole packets, nanoseconds, and wait until it listens."""
        command = ["tcpdump", "-i", "lo", "-s", "0", "-n", "-U", "-B", "16384", "-Z", "root"]
        command += ["--time-stamp-precision=nano", "-w", str(path), FILTER]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if "listening on" in line:
                return cls(path, process)
        raise RuntimeError("tcpdump did not start")

    def stop(self) -> tuple[int, int]:
        """Stop tcpdump; return packets captured and packets dropped by the kernel."""
        self.process.send_signal(signal.SIGINT)
        _, text = self.process.communicate(timeout=20)
        captured = re.search(r"(\d+) packets? captured", text)
        dropped = re.search(r"(\d+) packets? dropped by kernel", text)
        return int(captured[1]) if captured else 0, int(dropped[1]) if dropped else 0


class DnstapCollector:
    """A Frame Streams server on a unix socket that joins all its clients' frames in one file."""

    def __init__(self, path: Path, socket: Path) -> None:
        """Open the file and write the START frame; `frames` counts the data frames since."""
        self.socket = socket
        self.frames = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(_control(START, CONTENT_TYPE))
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, self.socket)

    async def stop(self) -> None:
        """Close the socket and end the file with a STOP frame."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        self._file.write(_control(STOP))
        self._file.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = await _read_length(reader)
                if length:
                    frame = await reader.readexactly(length)
                    self._file.write(struct.pack("!I", length) + frame)
                    self.frames += 1
                    continue
                control = await reader.readexactly(await _read_length(reader))
                (kind,) = struct.unpack_from("!I", control)
                if kind == READY:
                    writer.write(_control(ACCEPT, CONTENT_TYPE))
                elif kind == STOP:
                    writer.write(_control(FINISH))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _read_length(reader: asyncio.StreamReader) -> int:
    return int.from_bytes(await reader.readexactly(4), "big")


def _control(kind: int, content_type: bytes = b"") -> bytes:
    body = struct.pack("!I", kind)
    if content_type:
        body += struct.pack("!II", FIELD_CONTENT_TYPE, len(content_type)) + content_type
    return struct.pack("!II", 0, len(body)) + body
