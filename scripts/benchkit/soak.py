"""Let `watch` run for long: rotating files under load, and a dnstap socket that comes and goes.

Recorded traffic is played again and again, its times moved on, faster than it was recorded. Two
watchers follow it, one a folder and one a socket. Printed is their memory over time, and in the end
whether each packet that was sent was read.
"""

import json
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

ROOT = Path(__file__).resolve().parents[2]
FOLDER_TRAFFIC = ROOT / "captures" / "healthy-zsk-roll"
SOCKET_TRAFFIC = ROOT / "captures" / "de-2026"
CONTENT = b"protobuf:dnstap.Dnstap"
ROTATE = 20.0
"""Seconds in one file; every second file is compressed when it is rotated, as rotation does it."""
KEPT = 30
"""Rotated files that stay: ten minutes, in which a watcher on a busy machine comes to them."""
FLAT = 1.1
"""Times the memory of the second third that the last third of the time may need."""
CONNECTED = 15.0
"""Seconds of one connection; every second one breaks off within a frame."""
APART = 2.0
"""Seconds until the sender comes again."""
TURN = 0.25
PASS_GAP = 5


@dataclass
class Sent:
    """What was handed over."""

    packets: int = 0
    files: int = 0
    connections: int = 0
    broken: int = 0
    failure: str = ""
    by_file: Counter[str] = field(default_factory=Counter)
    """Packets by name of the file, as it was first called."""


Feed = Callable[[Path, float, threading.Event, Sent], None]


def bench(minutes: float, speed: float, horizon: str, write: Path | None = None) -> int:
    """Run both watchers for so long; 0 when nothing was lost and memory stayed flat."""
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        folder = Path(made)
        (folder / "in").mkdir()
        stop = threading.Event()
        by_folder, by_socket = Sent(), Sent()
        path = folder / "socket"
        compile_kernels(folder)
        watchers = [
            start(folder, "folder", [str(folder / "in")], FOLDER_TRAFFIC, horizon),
            start(folder, "socket", ["--socket", f"unix:{path}"], SOCKET_TRAFFIC, horizon),
        ]
        feeds = [
            threading.Thread(target=guarded, args=(feed, target, speed, stop, sent))
            for feed, target, sent in (
                (feed_folder, folder / "in", by_folder),
                (feed_socket, path, by_socket),
            )
        ]
        for feed in feeds:
            feed.start()
        lines = ["minute    folder MiB    socket MiB    packets    frames"]
        print(lines[0], flush=True)
        began = time.monotonic()
        memory: list[tuple[int, int]] = []
        every = max(6, round(minutes / 20) * 6) if minutes >= 5 else 1
        while time.monotonic() - began < 60 * minutes:
            time.sleep(10)
            memory.append((resident(watchers[0]), resident(watchers[1])))
            if len(memory) % every == 0:
                lines.append(
                    f"{(time.monotonic() - began) / 60:6.1f}    {memory[-1][0] / 2**20:10.0f}    "
                    f"{memory[-1][1] / 2**20:10.0f}    {by_folder.packets:7,}    "
                    f"{by_socket.packets:6,}"
                )
                print(lines[-1], flush=True)
        stop.set()
        for feed in feeds:
            feed.join()
        catch_up(folder / "state-folder", by_folder.packets)
        good = is_flat(memory)
        for name, watcher, sent in zip(
            ("folder", "socket"), watchers, (by_folder, by_socket), strict=True
        ):
            whole, told = ended(folder, name, watcher, sent)
            good &= whole
            lines += told
        lines += flatness(memory)
        print("\n".join(lines[-12:]))
        if write is not None:
            write.write_text(page(minutes, speed, horizon, lines, good=good))
    return 0 if good else 1


def page(minutes: float, speed: float, horizon: str, lines: list[str], *, good: bool) -> str:
    """Write the result, to be committed."""
    return "\n".join(
        [
            "# Soak",
            "",
            "`watch` under load, twice: a folder of rotating files (every second one compressed),",
            "and a dnstap socket whose sender disconnects and comes again, every second time in",
            "the middle of a frame. Made by",
            "",
            f"    scripts/bench soak --minutes {minutes:g} --speed {speed:g} --horizon {horizon}",
            "",
            f"which ended on {time.strftime('%Y-%m-%d', time.gmtime())}, beside other work on the",
            "machine. Memory is resident memory, and counts as flat if its peak in the last third",
            f"of the time is at most {FLAT:g} times that of the second third; in the first one the",
            "horizon fills. Nothing is lost if each packet and frame that was sent was read, or if",
            "the watcher named the file that was deleted before it came to it.",
            "",
            *(f"    {line}" for line in lines),
            "",
            f"It {'held' if good else 'did not hold'}.",
        ]
    ) + "\n"


def catch_up(state: Path, sent: int) -> None:
    """Wait until a watcher has read what was sent, or nothing new for five minutes."""
    since, known = time.monotonic(), -1
    while known < sent and time.monotonic() - since < 300:
        time.sleep(2)
        told = json.loads((state / "state.json").read_text())
        read = told["departed"] + sum(source["frames"] for source in told["sources"])
        if read > known:
            since, known = time.monotonic(), read


def compile_kernels(folder: Path) -> None:
    """Read both recordings once, so that no watcher spends its first minutes on compiling."""
    words = [sys.executable, "-m", "forensics.cli", "ingest", "-q", "--dataset", str(folder / "d")]
    inputs = [FOLDER_TRAFFIC / "capture.pcap.zst", SOCKET_TRAFFIC / "unbound.dnstap.zst"]
    subprocess.run([*words, *map(str, inputs)], cwd=ROOT, check=True)


def start(
    folder: Path, name: str, source: list[str], traffic: Path, horizon: str
) -> subprocess.Popen[str]:
    """Start a watcher, and wait until it watches."""
    words = [
        sys.executable, "-m", "forensics.cli", "watch", *source,
        "--state", str(folder / f"state-{name}"), "--notices", str(folder / f"{name}.jsonl"),
        "--trust-anchor", str(traffic / "trust-anchor.ds"), "--horizon", horizon,
    ]  # fmt: skip
    watcher = subprocess.Popen(
        words, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert watcher.stderr is not None
    while "watching" not in (line := watcher.stderr.readline()):
        if not line:
            raise SystemExit(f"soak: the watcher of the {name} did not start")
    return watcher


def ended(
    folder: Path, name: str, watcher: subprocess.Popen[str], sent: Sent
) -> tuple[bool, list[str]]:
    """Stop a watcher, and tell what it read of what was sent."""
    watcher.send_signal(signal.SIGTERM)
    _, said = watcher.communicate(timeout=600)
    counted = [line for line in said.splitlines() if line.endswith("packets were read")]
    read = int(counted[0].split()[1].replace(",", "")) if counted else -1
    notices = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    kinds: dict[str, int] = {}
    for notice in notices:
        kinds[notice["event"]] = kinds.get(notice["event"], 0) + 1
    cut = sum("ended within a frame" in line for line in said.splitlines())
    cut += sum(map(int, re.findall(r"(\d+) further connections were closed", said)))
    named = sum(unread(notice, sent) for notice in notices if notice.get("reason") == "deleted")
    lost = sent.packets - read - named
    lines = [
        f"{name}: {sent.packets:,} sent, {read:,} read, {named:,} named as deleted unread,",
        f"  {lost:,} unaccounted for;",
        f"  {sent.files} files, {sent.connections} connections, {sent.broken} broken off within",
        f"  a frame ({cut} named); notices: {kinds or 'none'}; exit status {watcher.returncode}",
    ]
    if sent.failure:
        lines.append(f"{name}: the feed failed: {sent.failure}")
    return not lost and not sent.failure and not watcher.returncode, lines


def unread(notice: dict[str, Any], sent: Sent) -> int:
    """How many packets a file held that the watcher says it did not come to."""
    name = Path(notice["capture"]).name.removesuffix(".zst")
    return sent.by_file[name] - max(notice["frame"] - 1, 0)


def peaks(memory: list[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
    """Give each watcher's name and its peak memory in the second and the last third of the time."""
    third = max(1, len(memory) // 3)
    for at, name in enumerate(("folder", "socket")):
        middle = max(row[at] for row in memory[third : 2 * third] or memory)
        yield name, middle, max(row[at] for row in memory[-third:])


def is_flat(memory: list[tuple[int, int]]) -> bool:
    """Whether no watcher needed more in the end than in the middle."""
    return all(last <= FLAT * middle for _, middle, last in peaks(memory))


def flatness(memory: list[tuple[int, int]]) -> list[str]:
    """Tell the peaks."""
    return [
        f"{name}: peak {middle / 2**20:,.0f} MiB in the second third of the time, "
        f"{last / 2**20:,.0f} MiB in the last ({last / middle:.2f})"
        for name, middle, last in peaks(memory)
    ]


def resident(process: subprocess.Popen[str]) -> int:
    """Octets of resident memory."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def guarded(feed: Feed, target: Path, speed: float, stop: threading.Event, sent: Sent) -> None:
    """Run a feed; keep why it failed."""
    try:
        feed(target, speed, stop, sent)
    except Exception as error:  # noqa: BLE001  told at the end
        sent.failure = f"{type(error).__name__}: {error}"


def paced(
    pieces: list[tuple[int, bytes]], speed: float, stop: threading.Event
) -> Iterator[list[tuple[int, int]]]:
    """Give what is due at each turn: (seconds to move it on by, number), for ever."""
    first, last = pieces[0][0], max(time for time, _ in pieces)
    length = (last - first) // 10**9 + PASS_GAP
    began = time.monotonic()
    at = passed = 0
    while not stop.is_set():
        due = (time.monotonic() - began) * speed
        found = []
        while (pieces[at][0] - first) / 1e9 + passed * length <= due:
            found.append((passed * length, at))
            at += 1
            if at == len(pieces):
                at, passed = 0, passed + 1
        yield found
        stop.wait(TURN)


def feed_folder(folder: Path, speed: float, stop: threading.Event, sent: Sent) -> None:
    """Write rotating pcap files: one grows, the ones before it are compressed or not."""
    octets = zstandard.ZstdDecompressor().decompressobj().decompress(
        (FOLDER_TRAFFIC / "capture.pcap.zst").read_bytes()
    )
    unit = {b"\xd4\xc3\xb2\xa1": 1000, b"\x4d\x3c\xb2\xa1": 1}[octets[:4]]
    pieces, at = [], 24
    while at < len(octets):
        seconds, fraction, size = struct.unpack_from("<III", octets, at)
        pieces.append((seconds * 10**9 + fraction * unit, octets[at : at + 16 + size]))
        at += 16 + size
    file, opened, path = None, 0.0, folder
    kept: list[Path] = []
    for due in paced(pieces, speed, stop):
        if file is None or time.monotonic() - opened > ROTATE:
            if file is not None:
                file.close()
                kept.append(rotated(path, packed=sent.files % 2 == 0))
            for old in kept[:-KEPT]:
                old.unlink()
            del kept[:-KEPT]
            sent.files += 1
            path = folder / f"{sent.files:06}.pcap"
            file, opened = path.open("wb"), time.monotonic()
            file.write(octets[:24])
        for shift, number in due:
            record = pieces[number][1]
            (seconds,) = struct.unpack_from("<I", record)
            file.write(struct.pack("<I", seconds + shift) + record[4:])
            sent.packets += 1
            sent.by_file[path.name] += 1
        file.flush()
    if file is not None:
        file.close()


def rotated(path: Path, *, packed: bool) -> Path:
    """Compress a file as rotation does: beside it, then the file goes."""
    if not packed:
        return path
    part = path.with_name(f"{path.name}.zst.part")
    part.write_bytes(zstandard.compress(path.read_bytes()))
    whole = path.with_name(f"{path.name}.zst")
    part.rename(whole)
    path.unlink()
    return whole


def control(kind: int) -> bytes:
    """A control frame of Frame Streams with the content type."""
    body = struct.pack(">III", kind, 1, len(CONTENT)) + CONTENT
    return struct.pack(">II", 0, len(body)) + body


def feed_socket(path: Path, speed: float, stop: threading.Event, sent: Sent) -> None:
    """Send dnstap frames over connections that end well and badly by turns."""
    pieces = dnstap_frames(SOCKET_TRAFFIC / "unbound.dnstap.zst")
    client, opened = None, 0.0
    waiting: list[tuple[int, int]] = []
    for due in paced(pieces, speed, stop):
        waiting += due
        now = time.monotonic()
        if client is not None and now - opened > CONNECTED:
            hang_up(client, sent)
            client, opened = None, now
        if client is None and now - opened > APART:
            client, opened = connect(path, sent), now
        if client is not None:
            for shift, number in waiting:
                frame = moved_on(pieces[number][1], shift)
                client.sendall(struct.pack(">I", len(frame)) + frame)
                sent.packets += 1
            waiting = []
    if client is not None:
        sent.connections += sent.connections % 2  # the last one ends well
        hang_up(client, sent)


def connect(path: Path, sent: Sent) -> socket.socket:
    """Begin a connection: READY, ACCEPT, START."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(str(path))
    client.sendall(control(4))
    if not client.recv(1000):
        raise RuntimeError("no ACCEPT")
    client.sendall(control(2))
    sent.connections += 1
    return client


def hang_up(client: socket.socket, sent: Sent) -> None:
    """End a connection; every second one within a frame, which is not counted as sent."""
    if sent.connections % 2:
        client.sendall(struct.pack(">I", 100) + b"half of a frame")
        sent.broken += 1
    else:
        client.sendall(control(3))
        client.recv(1000)
    client.close()


def dnstap_frames(path: Path) -> list[tuple[int, bytes]]:
    """Give (ns, frame) of a recording, in order of time."""
    octets = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    at, found = 0, []
    while at < len(octets):
        (size,) = struct.unpack_from(">I", octets, at)
        if size:
            frame = octets[at + 4 : at + 4 + size]
            seconds = [value for _, _, value in times(frame)]
            found.append((max(seconds, default=0) * 10**9, frame))
            at += 4 + size
        else:
            at += 8 + struct.unpack_from(">I", octets, at + 4)[0]
    return sorted(found, key=lambda row: row[0])


def moved_on(frame: bytes, shift: int) -> bytes:
    """Move the times of a dnstap frame on: varints of seconds, whose length stays the same."""
    changed = bytearray(frame)
    for at, size, value in times(frame):
        for octet in range(size):
            seven = (value + shift) >> 7 * octet & 127
            changed[at + octet] = seven | (128 if octet < size - 1 else 0)
    return bytes(changed)


def times(frame: bytes) -> list[tuple[int, int, int]]:
    """Give (offset, octets, value) of query_time_sec and response_time_sec (fields 8 and 12)."""
    found = []
    for number, at, size, _ in fields(frame, 0, len(frame)):
        if number == 14:
            for inner, begin, length, value in fields(frame, at, at + size):
                if inner in (8, 12) and value is not None:
                    found.append((begin, length, value))
    return found


def fields(octets: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int | None]]:
    """Walk the fields of a protobuf message: number, offset, octets, value of a varint."""
    while at < end:
        tag, at = varint(octets, at)
        begin, value = at, None
        if tag & 7 == 0:
            value, at = varint(octets, at)
        elif tag & 7 == 2:
            size, begin = varint(octets, at)
            at = begin + size
        else:
            at += 4 if tag & 7 == 5 else 8
        yield tag >> 3, begin, at - begin, value


def varint(octets: bytes, at: int) -> tuple[int, int]:
    """Read a varint; give it, and where it ends."""
    value = shift = 0
    while True:
        value |= (octets[at] & 127) << shift
        shift += 7
        at += 1
        if not octets[at - 1] & 128:
            return value, at
