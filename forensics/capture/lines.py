"""The lines of a text file, compressed or not, each of bounded length."""

from __future__ import annotations

from collections.abc import Iterator

from forensics import limits
from forensics.capture.containers import Stream


def text_lines(stream: Stream) -> Iterator[str]:
    """Yield the lines of a stream, without their ends; what is no UTF-8 stays visible as such.

    A line longer than limits.LOG_LINE is cut there: its rest is passed over.
    """
    held = b""
    passing = False
    while True:
        *whole, held = (held + stream.octets.tobytes()).split(b"\n")
        for line in whole:
            if not passing:
                yield _text(line)
            passing = False
        if len(held) > limits.LOG_LINE:
            if not passing:
                yield _text(held)
            held, passing = b"", True
        if stream.final:
            break
        stream.advance(len(stream.octets))
    if held and not passing:
        yield _text(held)


def _text(line: bytes) -> str:
    return line[: limits.LOG_LINE].decode("utf-8", "backslashreplace").rstrip("\r")
