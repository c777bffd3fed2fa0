"""Names below private zones replaced by pseudonyms: in texts, tables, the report and packets.

Each label below such a zone becomes one of the same length, by a keyed digest (HMAC-SHA-256) of the
label in lower case: the same label is the same everywhere, offsets and compression pointers of a
message stay as they are, and a name keeps its depth. `*` stays. Two labels of one to three octets
may become the same. What was signed over such a name no longer verifies.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_LETTER: Final = r"[^\x00-\x20\x7f-\uffff.\\\"'`()<>,;:|]|\\\d{3}|\\\D"
_LABEL: Final = re.compile(rf"(?:{_LETTER}){{1,63}}")
_RUN: Final = re.compile(rf"(?:{_LETTER}|\.)+")
"""No text matches in two ways, and each octet is gone over once: hostile text costs no more than
other text."""

_ESCAPE: Final = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_POINTER: Final = 0xC0

_NAMES_AT: Final = {
    2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1), 17: (0, 2), 18: (2, 1), 33: (6, 1),
    36: (2, 1), 39: (0, 1), 46: (18, 1), 47: (0, 1), 64: (2, 1), 65: (2, 1),
}  # fmt: skip
"""Record types whose RDATA holds names: offset of the first one, and how many (RFC 1035 3.3,
RFC 1183, RFC 2782, RFC 4034, RFC 6672, RFC 9460)."""

_TEXT, _OPT, _EXTENDED_ERROR = 16, 41, 15
_TEXTS: Final = (_TEXT, _OPT)
"""Record types whose RDATA holds texts in which names are replaced."""


class PrivateNames:
    """The pseudonyms of one key.

    Args:
        zones: the private zones; what is below them is replaced, they themselves are not.
        key: any octets.
    """

    def __init__(self, zones: Iterable[str], key: bytes) -> None:
        self._key = key
        named = sorted({zone.lower().strip(".") for zone in zones} - {""})
        self._zones = [tuple(label.encode() for label in zone.split(".")) for zone in named]
        self._wires = [
            b"".join(bytes([len(label)]) + label for label in zone) + b"\0" for zone in self._zones
        ]
        self._plain = named
        either = "|".join(map(re.escape, named))
        self._zone_starts = re.compile(rf"(?<=\.)(?=(?i:{either})(?![\w-])(?!\.[\w-]))")

    def label(self, label: bytes) -> bytes:
        """Give the pseudonym of a label, of its length."""
        if label == b"*":
            return label
        found = b""
        while len(found) < len(label):
            told = bytes([len(found)]) + label.lower()
            found += hmac.digest(self._key, told, "sha256")
        return bytes(_LETTERS[octet % len(_LETTERS)] for octet in found[: len(label)])

    def text(self, text: str) -> str:
        """Replace each private name in a text, in presentation form (RFC 1035 5.1)."""
        lowered = text.lower()
        if not any(zone in lowered for zone in self._plain):
            return text
        places = [
            at for found in self._zone_starts.finditer(text) if _stops(text, at := found.start())
        ]
        pieces = []
        done = place = 0
        for run in _RUN.finditer(text):
            begin, end = run.span()
            zone = begin
            while place < len(places) and places[place] < end:
                zone = max(begin, places[place])
                place += 1
            # Everything before the last zone of the run is below it, however long it is.
            pieces += [text[done:begin], _LABEL.sub(self._replaced, text[begin:zone])]
            done = zone
        return "".join([*pieces, text[done:]])

    def _replaced(self, match: re.Match[str]) -> str:
        """Replace a label in presentation form."""
        return self.label(_octets(match[0])).decode()

    def holds(self, octets: bytes) -> bool:
        """Whether octets hold one of the zones, in wire form or as text."""
        lowered = octets.lower()
        return any(wire in lowered for wire in self._wires) or any(
            zone.encode() in lowered for zone in self._plain
        )

    def value(self, value: Any) -> Any:
        """Replace the private names in every text of a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value

    def message(self, message: bytes) -> bytes | None:
        """Replace the private names of a DNS message, in place.

        Returns:
            None: it cannot be walked to its end, or holds such a name where none can be replaced.
        """
        if len(message) < 12:
            return None
        octets = bytearray(message)
        counts = [int.from_bytes(message[at : at + 2], "big") for at in (4, 6, 8, 10)]
        at = 12
        for record in range(sum(counts)):
            end = self._name(message, octets, at)
            if record < counts[0]:
                at = end + 4 if end else len(message) + 1
            elif end and end + 10 <= len(message):
                begin = end + 10
                at = begin + int.from_bytes(message[end + 8 : begin], "big")
                kind = int.from_bytes(message[end : end + 2], "big")
                if at > len(message) or not self._rdata(message, octets, kind, begin, at):
                    return None
            else:
                return None
            if at > len(message):
                return None
        return bytes(octets[:at])

    def _rdata(self, message: bytes, octets: bytearray, kind: int, begin: int, end: int) -> bool:
        """Replace the names in [begin, end); False: one cannot be."""
        if kind in _NAMES_AT:
            skip, number = _NAMES_AT[kind]
            at = begin + skip
            for _ in range(number):
                at = self._name(message, octets, at)
                if not at or at > end:
                    return False
        elif self.holds(message[begin:end]):
            # Text, such as that of an extended error: it stays as long as it is, or goes.
            for first, last in _strings(message, kind, begin, end):
                told = self.text(message[first:last].decode("latin-1")).encode("latin-1")
                if len(told) != last - first:
                    return False
                octets[first:last] = told
            whole = bytes(octets[begin:end])
            return kind in _TEXTS and not any(wire in whole.lower() for wire in self._wires)
        return True

    def _name(self, message: bytes, octets: bytearray, at: int) -> int:
        """Replace the labels of the name at an offset; gives the offset behind it, 0: no name."""
        behind, spots, labels = 0, [], []
        for _ in range(255):
            if at >= len(message):
                return 0
            size = message[at]
            if size >= _POINTER:
                behind = behind or at + 2
                target = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
                if target >= at:  # a pointer leads back (RFC 1035 4.1.4)
                    return 0
                at = target
            elif size > 63:
                return 0
            elif size:
                spots.append(at + 1)
                labels.append(message[at + 1 : at + 1 + size].lower())
                at += 1 + size
            else:
                below = self._below(labels)
                for spot, label in zip(spots[:below], labels, strict=False):
                    octets[spot : spot + len(label)] = self.label(label)
                return behind or at + 1
        return 0

    def _below(self, labels: Sequence[bytes]) -> int:
        """How many labels stand below a private zone."""
        for zone in self._zones:
            if len(labels) > len(zone) and tuple(labels[-len(zone) :]) == zone:
                return len(labels) - len(zone)
        return 0

    def tables(self, folder: Path) -> None:
        """Write the tables of a run anew; signed data that holds such a name becomes empty."""
        from forensics import schemas
        from forensics.archive.tables import TableWriter, iter_batches

        for name, _ in schemas.TABLES:
            if (folder / f"{name}.parquet").exists():
                with TableWriter(folder, name) as writer:
                    for batch in iter_batches(folder, name):
                        writer.write(self._batch(batch))

    def _batch(self, batch: Any) -> Any:
        import pyarrow as pa

        columns = []
        for column in batch.columns:
            kind = column.type
            if pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
                texts = [self.value(text) for text in column.dictionary.to_pylist()]
                made = pa.array(texts, kind.value_type)
                columns.append(pa.DictionaryArray.from_arrays(column.indices, made))
            elif pa.types.is_string(kind):
                columns.append(pa.array([self.value(text) for text in column.to_pylist()], kind))
            elif pa.types.is_binary(kind):
                cells = [b"" if cell and self.holds(cell) else cell for cell in column.to_pylist()]
                columns.append(pa.array(cells, kind))
            else:
                columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _stops(text: str, at: int) -> bool:
    """Whether the full stop before `at` ends a label: it is not escaped itself."""
    before = at - 1
    while before and text[before - 1] == "\\":
        before -= 1
    return (at - 1 - before) % 2 == 0


def _octets(label: str) -> bytes:
    """The octets of a label in presentation form."""
    text = _ESCAPE.sub(
        lambda match: chr(int(match[1]) & 0xFF) if match[1].isdigit() else match[1], label
    )
    return text.encode("latin-1", "replace")


def _strings(message: bytes, kind: int, begin: int, end: int) -> list[tuple[int, int]]:
    """Where the texts lie in the RDATA of TXT (RFC 1035 3.3.14) or OPT (RFC 6891 6.1.2)."""
    found, at = [], begin
    head = {_TEXT: 1, _OPT: 4}.get(kind, 0)
    while head and at + head <= end:
        size = int.from_bytes(message[at + head - min(head, 2) : at + head], "big")
        # The text of an extended error stands behind its code (RFC 8914 2).
        skip = 2 if head == 4 and message[at : at + 2] == bytes([0, _EXTENDED_ERROR]) else 0
        found.append((at + head + skip, min(at + head + size, end)))
        at += head + size
    return [(first, last) for first, last in found if first < last]
