"""Make, cache, cut and describe the synthetic captures.

Beside `NAME.pcap` lie `NAME.json` (what is in it) and `NAME.trust-anchor` (the DS of the
lab's root). A capture is whole when its description is there and names its size.
"""

import json
import random
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from benchkit.scenes import Lab

VERSION = 1
"""Of the contents: raise it when the generator changes, so that nothing old is reused."""
SNAPLEN = 65_535
ETHERNET = 1
EMPTY_CAPTURE = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, ETHERNET)
"""A classic little-endian pcap with microseconds and no packet: 24 octets."""
RECORD = struct.Struct("<IIII")
RATE = 50_000
"""Packets a second."""
BLOCK_OCTETS = 32 << 20
"""Octets written at once."""
COPY_OCTETS = 1 << 20


@dataclass(frozen=True)
class Description:
    """What a capture holds; all counts are exact."""

    version: int
    seed: int
    packets: int
    octets: int
    """Size of the file."""
    queries: int
    """First queries, without the retransmitted ones."""
    responses: int
    retransmissions: int
    names: int
    """Distinct question names."""
    clients: int
    """Distinct client addresses."""
    signatures: int
    """Distinct signatures (of canonical signed data) in a capture that shows all scenes."""
    complete: bool
    """All scenes are shown, each with its response."""
    seconds: float
    """Wall time of stamping and writing, without making the templates."""
    template_seconds: float
    """Wall time of making the templates."""
    blocks: list[tuple[int, int]]
    """Packet number (from 0) and file offset of some record borders."""


def ensure(
    folder: Path, packets: int, seed: int, rate: int = RATE
) -> tuple[Path, Description]:
    """Return the capture of that many packets, made now unless the folder has it whole.

    `rate`: packets a second, about.
    """
    path = capture_path(folder, packets, seed, rate)
    known = describe(path)
    if known is not None and known.version == VERSION:
        return path, known
    folder.mkdir(parents=True, exist_ok=True)
    description = make(path, packets, seed, rate)
    path.with_suffix(".json").write_text(json.dumps(asdict(description)) + "\n")
    return path, description


def capture_path(folder: Path, packets: int, seed: int, rate: int = RATE) -> Path:
    """Name the capture of that many packets."""
    slow = "" if rate == RATE else f"-{rate}"
    return folder / f"bench-{packets}-{seed}{slow}.pcap"


def describe(path: Path) -> Description | None:
    """Read a capture's description; None when there is no whole capture."""
    try:
        description = Description(**json.loads(path.with_suffix(".json").read_text()))
        whole = path.stat().st_size == description.octets
    except (OSError, ValueError, TypeError):
        return None
    return description if whole else None


def make(path: Path, packets: int, seed: int, rate: int = RATE) -> Description:
    """Write the capture and its trust anchor; memory is constant whatever the length."""
    from benchkit.scenes import Lab

    began = time.perf_counter()
    random.seed(seed)  # dnspython shuffles each RRset that it renders
    lab = Lab(seed)
    path.with_suffix(".trust-anchor").write_text(lab.anchor())
    with path.open("wb") as file:
        return write(file, lab, packets, seed, began, rate)


def stream(file: BinaryIO, packets: int, seed: int) -> None:
    """Write the capture to a pipe, for what is too long to be kept."""
    from benchkit.scenes import Lab

    random.seed(seed)
    write(file, Lab(seed), packets, seed, time.perf_counter())


def write(
    file: BinaryIO, lab: "Lab", packets: int, seed: int, began: float, rate: int = RATE
) -> Description:
    """Write the packets of the lab's scenes; memory is constant whatever their number."""
    import numpy as np

    from benchkit import stamp
    from benchkit.templates import pack

    templates = pack(lab.scenes(), seed)
    # Two packets a slot: a query and about one response.
    progress = stamp.begin(templates, seed, 2_000_000 // rate)
    halves = np.zeros((2, BLOCK_OCTETS), dtype=np.uint8)
    stamp.fill(halves[0], stamp.begin(templates, seed), templates, 1)
    ready = time.perf_counter()
    blocks: list[tuple[int, int]] = []
    octets = len(EMPTY_CAPTURE)
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(file.write, EMPTY_CAPTURE)
        while progress.state[stamp.PACKETS] < packets:
            half = halves[len(blocks) % 2]
            blocks.append((int(progress.state[stamp.PACKETS]), octets))
            filled = stamp.fill(half, progress, templates, packets)
            octets += filled
            written.result()
            written = writer.submit(file.write, half[:filled].data)
        written.result()
    state = progress.state
    return Description(
        version=VERSION,
        seed=seed,
        packets=int(state[stamp.PACKETS]),
        octets=octets,
        queries=int(state[stamp.QUERIES]),
        responses=int(state[stamp.RESPONSES]),
        retransmissions=int(state[stamp.RETRANSMISSIONS]),
        names=int(progress.names.sum()),
        clients=int(progress.clients.sum()),
        signatures=lab.signatures(),
        complete=bool(progress.shown.all()),
        seconds=time.perf_counter() - ready,
        template_seconds=ready - began,
        blocks=blocks,
    )


def cut(path: Path, description: Description, packets: int) -> tuple[Path, int]:
    """Copy a run of packets from the middle into a capture of its own, beside the whole one.

    The first packets show each scene once; the middle has the common mix. Returns the
    path and the number of packets in it, fewer than asked where the capture is short.
    """
    middle = max(0, (description.packets - packets) // 2)
    first, offset = max(block for block in description.blocks if block[0] <= middle)
    first, offset = max((first, offset), tuple(description.blocks[0]))
    count = min(packets, description.packets - first)
    target = path.with_name(f"{path.stem}-slice-{count}.pcap")
    with path.open("rb") as source, target.open("wb") as copy:
        source.seek(offset)
        copy.write(EMPTY_CAPTURE)
        copy_records(source, copy, count)
    return target, count


def copy_records(source: BinaryIO, target: BinaryIO, count: int) -> None:
    """Copy that many pcap records."""
    for _ in range(count):
        header = source.read(RECORD.size)
        target.write(header)
        target.write(source.read(RECORD.unpack(header)[2]))


def warm(path: Path) -> None:
    """Read a file once, so that each program finds it in the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(COPY_OCTETS):
            pass
