"""Make a PNG smaller without touching a pixel: the renderer compresses for speed only."""

from __future__ import annotations

import struct
import zlib
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LEVEL: Final = 6
"""zlib's own middle: a quarter of the size for a tenth of the time that drawing takes."""


def denser(png: bytes) -> bytes:
    """Compress the image data of a PNG again (PNG, third edition, 5.3 and 11.2.3)."""
    chunks: list[tuple[bytes, bytes]] = []
    data = b""
    at = len(_SIGNATURE)
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12
        if kind == b"IDAT":
            data += content
        else:
            chunks.append((kind, content))
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), _LEVEL)))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
