"""The identities of name servers in one log: known to kernels as octets, to us as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from forensics import limits
from forensics.capture.integers import int64
from forensics.wire.jit import lean_kernel
from forensics.wire.words import octets_hash


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


@lean_kernel
def _is_same(octets: Any, at: int, size: int, row: int, spans: Any, kept: Any) -> bool:
    if spans[row, 1] != size:
        return False
    begin = spans[row, 0]
    same = True
    for i in range(size):
        same &= kept[begin + i] == octets[at + i]
    return same


@lean_kernel
def identify(
    octets: Any, at: int, size: int, last: int, known: Any, hashes: Any, spans: Any, kept: Any
) -> int:
    """Number of the identity in [at, at + size), `last` being tried first; -2: no room for it."""
    if last >= 0 and _is_same(octets, at, size, last, spans, kept):
        return int64(last)
    digest = int64(octets_hash(octets, at, size))
    for row in range(known[0]):
        if hashes[row] == digest and _is_same(octets, at, size, row, spans, kept):
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
