"""The identities of name servers in one log: known to kernels as octets, to us as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from forensics import limits
from forensics.capture.integers import int64
from forensics.wire.jit import kernel


class Identities:
    """The identities of one file, as kernels know them and as text."""

    def __init__(self) -> None:
        self.known = np.zeros(1, np.int64)
        self.hashes = np.zeros(limits.IDENTITIES, np.int64)
        self.spans = np.zeros((limits.IDENTITIES, 2), np.int64)
        self.octets = np.zeros(limits.IDENTITY_OCTETS, np.uint8)
        self.texts: list[str] = []

    def decode(self) -> list[str]:
        """The texts of all identities so far; octets that are no UTF-8 are escaped."""
        for row in range(len(self.texts), int(self.known[0])):
            start, size = (int(value) for value in self.spans[row])
            raw = self.octets[start : start + size].tobytes()
            self.texts.append(raw.decode("utf-8", errors="backslashreplace"))
        return self.texts


@kernel
def identify(
    octets: Any, at: int, size: int, last: int, known: Any, hashes: Any, spans: Any, kept: Any
) -> int:
    """Number of the identity in [at, at + size), `last` being tried first; -2: no room for it."""
    digest = int64(size)
    for i in range(size):
        digest = (digest ^ int64(octets[at + i])) * 0x100000001B3
    for turn in range(-1, known[0]):
        row = last if turn < 0 else turn
        if row < 0 or hashes[row] != digest or spans[row, 1] != size:
            continue
        same = True
        for i in range(size):
            if kept[spans[row, 0] + i] != octets[at + i]:
                same = False
                break
        if same:
            return int64(row)
    row = int64(known[0])
    begin = spans[row - 1, 0] + spans[row - 1, 1] if row else 0
    if row >= len(hashes) or begin + size > len(kept):
        return -2
    for i in range(size):
        kept[begin + i] = octets[at + i]
    hashes[row] = digest
    spans[row, 0] = begin
    spans[row, 1] = size
    known[0] = row + 1
    return row
