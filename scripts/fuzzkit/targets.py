"""What is fuzzed: how each target takes an input, and what must hold whatever the input is."""

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuzzkit import chains, seeds, streams, wires
from fuzzkit.laws import hold

FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


@dataclass(frozen=True)
class Target:
    """One thing to be fuzzed.

    Attributes:
        name: for the command line.
        seeds: makes the inputs to start from.
        run: takes one input; raises what is a fault.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes, random.Random], None]


def read_capture(data: bytes, dice: random.Random) -> None:
    """Read an input as a capture, to its end, in windows of random size."""
    from forensics.capture.readers import open_capture
    from forensics.errors import InputError

    path = FOLDER / f"dns-forensics-fuzz-{_own()}"
    path.write_bytes(data)
    try:
        capture = open_capture(str(path), 0, block_octets=dice.choice((512, 4096, 65_536, 1 << 20)))
    except InputError:
        return
    messages = 0
    try:
        for block in capture.blocks():
            check_block(block, rebuilt=capture.facts.format.startswith(("c-dns", "powerdns")))
            messages += len(block)
    except InputError:
        return
    finally:
        capture.close()
    facts = capture.facts
    hold(facts.octets == len(data), f"{facts.octets} octets read of {len(data)}")
    hold(len(facts.sha256) == 64, "no digest")
    for loss in facts.losses.rows():
        hold(loss.count >= 0 and loss.octets >= 0 and loss.count + loss.octets, f"loss {loss}")
    held = facts.ledger
    hold(held is not None, "no ledger")
    parts = (held.messages, held.other, held.framing, facts.losses.octets)
    hold(min(parts) >= 0 and held.content == sum(parts), f"{held} with {parts[-1]} lost")


def check_block(block: object, *, rebuilt: bool) -> None:
    """What `MessageBlock` promises."""
    start, captured = block.start, block.captured.astype(np.int64)
    hold((start >= 0).all(), "start below 0")
    hold((captured >= 12).all(), "shorter than a header")
    hold((start + captured <= len(block.octets)).all(), "beyond the buffer")
    # A message rebuilt from a log has the size that the log tells, names compressed or not.
    hold(rebuilt or (block.length >= block.captured).all(), "captured more than there was")
    hold((block.frame >= 1).all(), "frame below 1")
    number = len(block)
    for name in ("time", "source", "destination", "source_port", "transport", "kind", "flags"):
        hold(len(getattr(block, name)) == number, f"length of {name}")
    hold((block.identity < max(len(block.identities), 1)).all(), "identity unknown")


MESSAGES_AT_ONCE = 64


def is_compiled() -> bool:
    """Whether kernels are compiled; not so under `NUMBA_DISABLE_JIT=1`, for coverage."""
    import numba

    return not numba.config.DISABLE_JIT


def read_messages(data: bytes, dice: random.Random) -> None:
    """Take one input and damaged copies of it through parsing, pairing and evidence."""
    from forensics.evidence.collector import Evidence
    from forensics.transactions.match import Matcher
    from forensics.transactions.places import places
    from forensics.wire.blocks import MessageBlock
    from forensics.wire.jit import octets
    from forensics.wire.message import parse
    from fuzzkit.mutation import damaged

    if _held.get("left", 0) == 0:
        _held.update(evidence=Evidence(), matcher=Matcher(places(frozenset(), frozenset())))
        _held.update(left=400, time=0, ordinal=0)
    _held["left"] -= 1
    wires = [data.ljust(12, b"\0")]
    copies = MESSAGES_AT_ONCE if is_compiled() else 2
    wires += [damaged(dice, [wires[0], data]).ljust(12, b"\0") for _ in range(copies - 1)]
    number = len(wires)
    size = np.array([len(wire) for wire in wires], np.int32)
    start = np.zeros(number, np.int64)
    start[1:] = np.cumsum(size[:-1])
    pair = np.repeat(np.arange(number, dtype=np.uint8) // 2, 16).reshape(number, 16)
    other = 255 - pair
    odd = np.arange(number) % 2 == 1
    _held["time"] += 1_000_000
    block = MessageBlock(
        octets=octets(b"".join(wires)),
        start=start,
        captured=size,
        length=size.copy(),
        time=_held["time"] + np.arange(number, dtype=np.int64),
        frame=1 + np.arange(number, dtype=np.int64),
        source=np.where(odd[:, None], other, pair).astype(np.uint8),
        destination=np.where(odd[:, None], pair, other).astype(np.uint8),
        source_port=np.where(odd, 53, 4000).astype(np.uint16),
        destination_port=np.where(odd, 4000, 53).astype(np.uint16),
        transport=np.zeros(number, np.uint8),
        kind=np.zeros(number, np.uint8),
        identity=np.full(number, -1, np.int32),
        other_time=np.zeros(number, np.int64),
        flags=np.zeros(number, np.uint8),
        capture=0,
    )
    parsed = parse(block, _held["ordinal"])
    _held["ordinal"] += number
    if is_compiled():  # a row of a table has fields with names only in compiled kernels
        matcher = _held["matcher"]
        for batch in matcher.match(block, parsed):
            matcher.reuse(batch)
    found = _held["evidence"].collect(block, parsed)
    tables = found if isinstance(found, tuple) else (found,)
    for rows in tables:
        rows.validate(full=True)
    if _held["left"] == 0:
        _held["evidence"].signatures().validate(full=True)
        _held["evidence"].key_runs().validate(full=True)


_held: dict[str, object] = {}


def read_log_line(data: bytes, _: random.Random) -> None:
    """Read lines with every log format."""
    from forensics.testimony.logs.reading import FORMATS, read

    text = data.decode("utf-8", "backslashreplace")
    for one in FORMATS:
        one.sniff(text)
        one.parse(text)
    log = read("log", text.splitlines(), 1_780_000_000 * 10**9)
    hold(all(time is None or isinstance(time, int) for time, _ in log.entries), "time")


def read_records(data: bytes, _: random.Random) -> None:
    """Read a file of trust anchors, and of keys."""
    from forensics.errors import ForensicsError
    from forensics.keyring import anchors, archive

    path = FOLDER / f"dns-forensics-fuzz-{_own()}.txt"
    path.write_bytes(data)
    for read in (anchors.read, lambda where: archive.read([where])):
        try:
            read(path)
        except ForensicsError:
            continue


def receive_frames(data: bytes, dice: random.Random) -> None:
    """Take a Frame Streams writer's octets in pieces: the same frames come out of any pieces."""
    from forensics.capture.framestreams import Receiver

    whole, pieces = Receiver(), Receiver()
    frames, answer = whole.receive(data)
    held, said, at = b"", b"", 0
    while at < len(data):
        size = dice.choice((1, 3, 8, 100, 5000))
        more, told = pieces.receive(data[at : at + size])
        held, said, at = held + more, said + told, at + size
    hold((held, said, pieces.fault) == (frames, answer, whole.fault), "pieces differ")
    hold(len(frames) + whole.held <= len(data), "frames out of nothing")


def read_secrets(data: bytes, _: random.Random) -> None:
    """Read a log of TLS secrets."""
    from forensics.capture.tls_secrets import Secrets

    secrets = Secrets()
    secrets.add(data)
    hold(len(secrets) <= data.count(b"\n") + data.count(b"\r") + data.count(b"\x0b") + data.count(
        b"\x0c") + 1, "secrets out of nothing")  # fmt: skip


def prove_absence(data: bytes, dice: random.Random) -> None:
    """Prove claims with damaged NSEC and NSEC3 records."""
    from forensics.validation.proof import Claim, Denier, prove

    def name() -> bytes:
        labels = [
            dice.randbytes(dice.choice((1, 2, 5, 32))).lower() for _ in range(dice.randrange(4))
        ]
        return b"".join(bytes([len(label)]) + label for label in labels) + b"\x02de\0"

    deniers = [
        Denier(name() if dice.random() < 0.9 else data[:40], dice.choice((47, 50, 50, 1)), piece)
        for piece in (data, data[dice.randrange(len(data) + 1) :], bytes([1, 0, 0, 1, 0]) + data)
    ]
    found = prove(
        dice.choice(list(Claim)), name() if dice.random() < 0.9 else data, dice.randrange(300),
        b"\x02de\0", deniers, labels=dice.choice((None, 0, 1, 2)),
    )  # fmt: skip
    hold(not found.holds or found.reason in {"", "nsec3-iterations"}, "reason")
    hold(all(0 <= at < len(deniers) for at in found.used), "used")


def _own() -> int:
    import os

    return os.getpid()


TARGETS = (
    Target("pcap", seeds.pcap, read_capture),
    Target("pcapng", seeds.pcapng, read_capture),
    Target("tls", seeds.tls, read_capture),
    Target("dnstap", seeds.dnstap, read_capture),
    Target("cdns", seeds.cdns, read_capture),
    Target("powerdns", seeds.powerdns, read_capture),
    Target("compressed", seeds.compressed, read_capture),
    Target("reassembly", lambda: streams.seeds(seeds.messages()), streams.reader(read_capture)),
    Target("frames", seeds.dnstap, receive_frames),
    Target("secrets", seeds.keylogs, read_secrets),
    Target("names", seeds.messages, wires.read_names),
    Target("walk", seeds.messages, wires.walk),
    Target("canonical", seeds.rdata, wires.write_canonical),
    Target("messages", seeds.messages, read_messages),
    Target("logs", seeds.log_lines, read_log_line),
    Target("records", seeds.records, read_records),
    Target("proof", seeds.messages, prove_absence),
    Target("verify", seeds.messages, chains.verify),
    Target("chain", seeds.rdata, chains.walk),
)
"""Everything that is fuzzed."""
