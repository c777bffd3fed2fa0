"""The text form of names, as dnspython writes it, for the many names that need no escapes."""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(rb"[-_*a-z0-9/]*")


def name_text(wire: bytes) -> str:
    """Return the presentation form (RFC 1035 5.1) of a whole, uncompressed wire name."""
    labels = []
    position = 0
    while wire[position]:
        label = wire[position + 1 : position + 1 + wire[position]]
        if not _PLAIN.fullmatch(label):
            return _escaped(wire)
        labels.append(label)
        position += 1 + len(label)
    return b".".join(labels).decode() + "."


def _escaped(wire: bytes) -> str:
    """Let dnspython write a name with unusual octets."""
    import dns.name

    return dns.name.from_wire(wire, 0)[0].to_text()


def name_octets(buffer: bytes, start: int) -> int:
    """Return the octets of the uncompressed name at `buffer[start]`, root label included."""
    position = start
    while buffer[position]:
        position += 1 + buffer[position]
    return position + 1 - start
