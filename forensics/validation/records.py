"""The NSEC and NSEC3 records, owners and alias targets that the signed data of signatures holds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.validation.deniers import Denier
from forensics.vocabulary import TYPE_NSEC, TYPE_NSEC3

_RRSIG_FIXED: Final = 18
_HEAD: Final = 10
_DENIALS: Final = frozenset({TYPE_NSEC, TYPE_NSEC3})


class SignedRecords:
    """What the rows of schemas.SIGNATURES say, by signature number; read when it is asked for."""

    def __init__(self, signatures: Any) -> None:
        self.row = {number: row for row, number in enumerate(signatures["signature"].to_pylist())}
        self.owner: list[str] = signatures["owner"].to_pylist()
        self.type: list[int] = signatures["type"].to_pylist()
        self.signer: list[str | None] = signatures["signer"].to_pylist()
        self.labels: list[int] = signatures["labels"].to_pylist()
        self.inception: list[int | None] = signatures["inception"].to_pylist()
        self.serial: list[int | None] = signatures["serial"].to_pylist()
        self.size: list[int] = signatures["records"].to_pylist()
        self._data = signatures["signed_data"]
        self._deniers: dict[int, Denier | None] = {}
        self._zones: dict[tuple[str | None, int], list[int]] = {}
        for number, kind, signer in zip(self.row, self.type, self.signer, strict=True):
            if kind in _DENIALS:
                self._zones.setdefault((signer, kind), []).append(number)

    def of_zone(self, zone: str, kind: int) -> list[int]:
        """Return the signatures of a zone over records of this type, NSEC or NSEC3."""
        return self._zones.get((zone, kind), [])

    def of_type(self, kind: int) -> NDArray[np.int64]:
        """Return the signatures over RRsets of a type, in order; int64."""
        found = [number for number, row in self.row.items() if self.type[row] == kind]
        return np.array(sorted(found), np.int64)

    def denier(self, number: int) -> Denier | None:
        """Return the NSEC or NSEC3 record that a signature covers; None: it covers another."""
        if number not in self._deniers:
            self._deniers[number] = self._read(number)
        return self._deniers[number]

    def target(self, number: int) -> str | None:
        """Return the name that a signed CNAME or DNAME points to; None: it cannot be read."""
        import dns.exception
        import dns.name

        held = self._single(self.row[number])
        if held is None:
            return None
        try:
            name, used = dns.name.from_wire(held[1], 0)
        except dns.exception.DNSException:
            return None
        return name.to_text().lower() if used == len(held[1]) else None

    def _read(self, number: int) -> Denier | None:
        row = self.row[number]
        # One record: two NSEC at one name contradict each other.
        held = self._single(row) if self.type[row] in _DENIALS else None
        return Denier(held[0], self.type[row], held[1]) if held else None

    def _single(self, row: int) -> tuple[bytes, bytes] | None:
        """Return owner and RDATA of an RRset of one record; None: it holds more."""
        data: bytes = self._data[row].as_py()
        start = _name_end(data, _RRSIG_FIXED)
        end = _name_end(data, start)
        size = int.from_bytes(data[end + 8 : end + _HEAD], "big")
        if start < 0 or end < 0 or end + _HEAD + size != len(data):
            return None
        return data[start:end], data[end + _HEAD : end + _HEAD + size]


def _name_end(data: bytes, at: int) -> int:
    """Return where the uncompressed name at `at` ends; -1: there is none."""
    while 0 <= at < len(data):
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    return -1
