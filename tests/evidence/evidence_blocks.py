"""Blocks of messages for the tests of the evidence stage, parsed by plain Python."""

import struct
from dataclasses import dataclass

import numpy as np

from forensics.vocabulary import Pairing
from forensics.wire.blocks import MessageBlock, Parsed

START = 1_767_225_600_000_000_000
KEY_TYPES = (43, 48, 59, 60)


@dataclass
class Sent:
    """One message and what the stages before evidence/ would know of it."""

    wire: bytes
    time: int | None = None
    place: int = 1
    source: str = "192.0.2.1"
    state: int = Pairing.ANSWERED
    kind: int = 0
    flags: int = 0
    cut: int = 0
    """Octets missing at the end."""
    do: bool | None = True


def skip(wire: bytes, position: int) -> int:
    while True:
        length = wire[position]
        if length >= 192:
            return position + 2
        position += 1 + length
        if length == 0:
            return position


def count_records(wire: bytes) -> tuple[int, int, int]:
    """Count RRSIGs and key records of answer and authority; find the first SOA serial."""
    signatures = keys = serial = 0
    try:
        questions, answers, authorities, _ = struct.unpack_from("!4H", wire, 4)
        position = 12
        for _ in range(questions):
            position = skip(wire, position) + 4
        for _ in range(answers + authorities):
            position = skip(wire, position)
            kind, _, _, length = struct.unpack_from("!HHIH", wire, position)
            position += 10 + length
            if position > len(wire):
                break
            signatures += kind == 46
            keys += kind in KEY_TYPES
            if kind == 6 and serial == 0 and length >= 20:
                serial = int.from_bytes(wire[position - 20 : position - 16], "big")
    except (IndexError, struct.error):
        pass
    return signatures, keys, serial


def mapped(address: str) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(int(part) for part in address.split("."))


def make_block(sent: list[Sent], capture: int = 0, first: int = 0) -> tuple[MessageBlock, Parsed]:
    """Lay messages out as one block; `first` numbers its first message in the run."""
    count = len(sent)
    wires = [item.wire[: len(item.wire) - item.cut] for item in sent]
    lengths = np.array([len(wire) for wire in wires], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    heads = [struct.unpack("!6H", wire[:12]) for wire in wires]
    questions = []
    for wire, head in zip(wires, heads, strict=True):
        try:
            after = skip(wire, 12) if head[2] else 0
            questions.append(struct.unpack_from("!2H", wire, after) if head[2] else (0, 0))
        except (IndexError, struct.error):
            questions.append((0, 0))
    counted = [count_records(wire) for wire in wires]

    def column(values: object, kind: str) -> np.ndarray:
        return np.array(list(values), dtype=kind).reshape(count)

    zeros = {name: np.zeros(count, dtype=name) for name in ("i8", "i4", "u8", "u2", "u1", "?")}
    block = MessageBlock(
        octets=np.frombuffer(bytearray(b"".join(wires)), dtype=np.uint8),
        start=start,
        captured=lengths.astype(np.int32),
        length=column((len(item.wire) for item in sent), "i4"),
        time=column(
            (
                START + (first + n) * 1_000_000 if item.time is None else item.time
                for n, item in enumerate(sent)
            ),
            "i8",
        ),
        frame=np.arange(first + 1, first + count + 1, dtype=np.int64),
        source=np.frombuffer(
            bytearray(b"".join(mapped(item.source) for item in sent)), dtype=np.uint8
        ).reshape(count, 16),
        destination=np.zeros((count, 16), dtype=np.uint8),
        source_port=np.full(count, 53, dtype=np.uint16),
        destination_port=zeros["u2"],
        transport=zeros["u1"],
        kind=column((item.kind for item in sent), "u1"),
        identity=zeros["i4"] - np.int32(1),
        other_time=zeros["i8"],
        flags=column((item.flags | (1 if item.cut else 0) for item in sent), "u1"),
        capture=capture,
    )
    parsed = Parsed(
        ordinal=np.arange(first, first + count, dtype=np.int64),
        id=column((head[0] for head in heads), "u2"),
        header_flags=column((head[1] for head in heads), "u2"),
        questions=column((head[2] for head in heads), "u2"),
        answers=column((head[3] for head in heads), "u2"),
        authorities=column((head[4] for head in heads), "u2"),
        additionals=column((head[5] for head in heads), "u2"),
        name_start=zeros["i8"],
        name_length=zeros["i4"],
        qtype=column((question[0] for question in questions), "u2"),
        qclass=column((question[1] for question in questions), "u2"),
        name_hash=zeros["u8"],
        rcode=zeros["u2"],
        edns_size=zeros["i4"],
        dnssec_ok=zeros["?"],
        ede=zeros["i4"],
        ede_start=zeros["i8"],
        ede_length=zeros["i4"],
        nsid_start=zeros["i8"],
        nsid_length=zeros["i4"],
        signatures=column((item[0] for item in counted), "u2"),
        keys=column((item[1] for item in counted), "u2"),
        serial=column((item[2] for item in counted), "u4"),
        whole=~zeros["?"],
        place=column((item.place for item in sent), "u4"),
        transaction=np.arange(first, first + count, dtype=np.int64),
        state=column((item.state for item in sent), "u1"),
        do_known=column((item.do is not None for item in sent), "?"),
        do_asked=column((bool(item.do) for item in sent), "?"),
    )
    return block, parsed
