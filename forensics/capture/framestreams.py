"""The receiving end of Frame Streams, octets in and octets out: no socket is known here.

Source: the Frame Streams specification (fstrm). A frame is a length of 32 bits in network order and
the octets; length 0 escapes to a control frame. A bidirectional writer begins with READY and waits
for ACCEPT, and ends with STOP and waits for FINISH; a unidirectional one begins with START.
"""

from __future__ import annotations

import struct
from typing import Final

from forensics import limits

CONTENT: Final = b"protobuf:dnstap.Dnstap"
ACCEPT: Final = 1
START: Final = 2
STOP: Final = 3
READY: Final = 4
FINISH: Final = 5
_FIELD_CONTENT: Final = 1
_NAMES: Final = {ACCEPT: "ACCEPT", START: "START", STOP: "STOP", READY: "READY", FINISH: "FINISH"}


def control(kind: int, content: bytes = b"") -> bytes:
    """A control frame, with a content type if one is given."""
    body = struct.pack(">I", kind)
    if content:
        body += struct.pack(">II", _FIELD_CONTENT, len(content)) + content
    return struct.pack(">II", 0, len(body)) + body


def _is_dnstap(body: bytes) -> bool:
    """Whether a control frame is whole and allows dnstap: it names it, or no content at all."""
    found = []
    at = 4
    while at < len(body):
        if len(body) - at < 8:
            return False
        kind, size = struct.unpack_from(">II", body, at)
        at += 8
        if size > len(body) - at:
            return False
        if kind == _FIELD_CONTENT:
            found.append(body[at : at + size])
        at += size
    return not found or CONTENT in found


class Receiver:
    """One connection of a writer, from its handshake to its end.

    Attributes:
        frames: data frames received so far.
        finished: the writer has said STOP.
        fault: what the writer did that no writer of dnstap does; empty: nothing so far.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.finished = False
        self.fault = ""
        self._held = bytearray()
        self._started = False
        self._both_ways = False

    @property
    def held(self) -> int:
        """Octets of a frame that is not whole yet."""
        return len(self._held)

    def receive(self, octets: bytes) -> tuple[bytes, bytes]:
        """Take what came; return (whole data frames with their lengths, octets to send back).

        Behind a fault nothing is taken any more; what was whole before it is returned.
        """
        self._held += octets
        held = self._held
        data = bytearray()
        answer = bytearray()
        at = begun = 0
        while len(held) - at >= 4 and not self.finished and not self.fault:
            (size,) = struct.unpack_from(">I", held, at)
            if size:
                if size > limits.RECORD_OCTETS:
                    self.fault = f"a frame claims {size} octets"
                elif not self._started:
                    self.fault = "data before START"
                if self.fault or len(held) - at - 4 < size:
                    break
                at += 4 + size
                self.frames += 1
                continue
            if len(held) - at < 8:
                break
            (size,) = struct.unpack_from(">I", held, at + 4)
            if not 4 <= size <= limits.CONTROL_OCTETS:
                self.fault = f"a control frame claims {size} octets"
            if self.fault or len(held) - at - 8 < size:
                break
            data += held[begun:at]
            answer += self._control(bytes(held[at + 8 : at + 8 + size]))
            at += 8 + size
            begun = at
        data += held[begun:at]
        del held[:at]
        return bytes(data), bytes(answer)

    def _control(self, body: bytes) -> bytes:
        """Obey a control frame; return the answer to it."""
        (kind,) = struct.unpack_from(">I", body)
        if kind in (READY, START) and not self._started:
            if not _is_dnstap(body):
                self.fault = f"content that is not dnstap: {body[12:76].decode(errors='replace')}"
                return b""
            self._started = kind == START
            self._both_ways = self._both_ways or kind == READY
            return control(ACCEPT, CONTENT) if kind == READY else b""
        if kind == STOP and self._started:
            self.finished = True
            return control(FINISH) if self._both_ways else b""
        self.fault = f"{_NAMES.get(kind, kind)} where it has no place"
        return b""
