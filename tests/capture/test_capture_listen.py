"""`listen`: Frame Streams from clients that behave, from those that do not, and from Unbound."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
import zstandard
from capture_files import T0, control, losses, query, read, response
from hypothesis import given
from hypothesis import strategies as st
from test_capture_dnstap import CLIENT, frame

from forensics import limits
from forensics.capture.framestreams import Receiver
from forensics.capture.listener import bound, listen
from forensics.capture.recording import Recording
from forensics.errors import UsageError
from forensics.record import rotation

TYPE = b"protobuf:dnstap.Dnstap"
ONE = frame(type=5, query_message=query(), **CLIENT)
READY, START, STOP = control(4), control(2), control(3, b"")
ACCEPT, FINISH = control(1), control(5, b"")


def data(*frames):
    return b"".join(struct.pack(">I", len(one)) + one for one in frames)


def test_handshake_both_ways():
    receiver = Receiver()
    assert receiver.receive(READY) == (b"", ACCEPT)
    assert receiver.receive(START + data(ONE, ONE)) == (data(ONE, ONE), b"")
    assert receiver.receive(STOP) == (b"", FINISH)
    assert (receiver.frames, receiver.finished, receiver.fault) == (2, True, "")


def test_one_way():
    receiver = Receiver()
    assert receiver.receive(START + data(ONE) + STOP) == (data(ONE), b"")
    assert receiver.finished


@given(st.lists(st.integers(1, 40), max_size=60))
def test_pieces_of_any_size_give_the_same(sizes):
    whole = READY + START + data(ONE, ONE[:20], ONE) + STOP + b"rest"
    receiver, got, said = Receiver(), b"", b""
    at = 0
    for size in [*sizes, len(whole)]:
        taken, answer = receiver.receive(whole[at : at + size])
        got, said, at = got + taken, said + answer, at + size
    assert (got, said) == (data(ONE, ONE[:20], ONE), ACCEPT + FINISH)
    assert receiver.frames == 3


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "claims"),
        (data(ONE), "before START"),
        (control(2, b"protobuf:else"), "protobuf:else"),
        (control(4, b"x"), "not dnstap: x"),
        (START + START, "START where"),
        (STOP, "STOP where"),
        (control(9), "9 where"),
        (struct.pack(">II", 0, 2**31), "control frame claims"),
        (struct.pack(">II", 0, 3) + b"abc", "control frame claims"),
        (struct.pack(">IIIII", 0, 12, 2, 1, 99), "not dnstap"),
        (struct.pack(">IIII", 0, 6, 2, 0)[:14], "not dnstap"),
        (START + struct.pack(">I", limits.RECORD_OCTETS + 1), "claims"),
    ],
)
def test_what_is_no_dnstap_is_a_fault_in_words(octets, words):
    receiver = Receiver()
    receiver.receive(octets)
    assert words in receiver.fault


def test_what_was_whole_before_a_fault_is_kept():
    receiver = Receiver()
    assert receiver.receive(START + data(ONE) + b"\xff" * 9)[0] == data(ONE)
    assert receiver.fault
    assert receiver.receive(data(ONE)) == (b"", b"")


class Clock:
    """A clock that only moves when it is told."""

    def __init__(self):
        self.now = T0

    def __call__(self):
        return self.now


def test_rotation_by_size_and_by_age(tmp_path):
    clock = Clock()
    recording = Recording(tmp_path, seconds=10, octets=1000, clock=clock)
    piece = data(ONE)
    while len(recording.files) < 2:
        recording.write(piece, 1)
    by_size = recording.frames
    assert by_size == 2 * -(-1000 // len(piece))
    recording.write(piece, 1)
    clock.now += 9 * limits.SECOND
    recording.tick()
    assert len(recording.files) == 2
    clock.now += limits.SECOND
    recording.tick()
    assert len(recording.files) == 3
    recording.finish()
    assert sorted(tmp_path.iterdir()) == recording.files
    found = [read(path) for path in recording.files]
    assert sum(len(rows) for _, rows in found) == recording.frames == by_size + 1
    assert [losses(facts) for facts, _ in found] == [{}] * 3
    assert {facts.format for facts, _ in found} == {"dnstap+zstd"}


def test_part_of_a_killed_recorder_is_found_again(tmp_path):
    clock = Clock()
    killed = Recording(tmp_path, seconds=0, octets=0, clock=clock)
    killed.write(data(ONE, ONE), 2)
    clock.now += limits.SECOND
    killed.tick()
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".")
    assert part.name.endswith(".part")
    again = Recording(tmp_path, seconds=0, octets=0, clock=clock)
    (path,) = again.files
    assert path.name.endswith("-cut.dnstap.zst")
    facts, rows = read(path)
    assert len(rows) == 2
    assert losses(facts) == {"decompression-failed": 1}
    killed._file.close()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        Recording(tmp_path / "file" / "below", seconds=0, octets=0, clock=Clock())


@pytest.mark.parametrize(
    ("texts", "expected"),
    [(["10m"], (600, 0)), (["1h", "256M"], (3600, 2**28)), ([], (0, 0)), (["5s"], (5, 0))],
)
def test_rotation_in_words(texts, expected):
    assert rotation(texts) == expected


@pytest.mark.parametrize("text", ["", "10", "0s", "-1h", "1d", "1.5h", "99999999999G"])
def test_rotation_that_is_none(text):
    with pytest.raises(UsageError, match="--rotate"):
        rotation([text])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp:0.0.0.0:0", "--public"),
        ("tcp:192.0.2.1:6000", "--public"),
        ("tcp:[::]:6000", "--public"),
        ("tcp:dns.example:6000", "write tcp"),
        ("tcp:127.0.0.1", "write tcp"),
        ("tcp:127.0.0.1:99999", "--socket"),
        ("udp:127.0.0.1:1", "write unix"),
        ("unix:", "write unix"),
        ("unix:/no/such/folder/socket", "no such file"),
    ],
)
def test_addresses_that_are_refused(address, words):
    with pytest.raises(UsageError, match="--socket") as caught:
        bound(address, public=False)
    assert words in str(caught.value)


def test_left_over_socket_goes_and_a_live_one_stays(tmp_path):
    path = tmp_path / "socket"
    bound(f"unix:{path}", public=False).close()
    with bound(f"unix:{path}", public=False), pytest.raises(UsageError, match="another program"):
        bound(f"unix:{path}", public=False)
    path.unlink()
    path.write_bytes(b"a file of somebody")
    with pytest.raises(UsageError, match="in use"):
        bound(f"unix:{path}", public=False)
    assert path.read_bytes() == b"a file of somebody"


@contextmanager
def listening(tmp_path, address="unix", **options):
    """A listener in a thread: where to connect to, and what came of it once the block is left."""
    where = f"unix:{tmp_path / 'socket'}" if address == "unix" else "tcp:127.0.0.1:0"
    stop = threading.Event()
    settings = {"seconds": 0, "octets": 0, "clock": time.monotonic_ns, **options}
    recording = Recording(tmp_path / "captures", **settings)
    result = {"recording": recording}
    with bound(where, public=False) as server:
        name = server.getsockname()

        def run():
            result["tally"] = listen(server, recording, stop.is_set)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield name, result
        finally:
            stop.set()
            thread.join(20)
            recording.finish()


def connected(name):
    family = socket.AF_UNIX if isinstance(name, str) else socket.AF_INET
    made = socket.socket(family)
    made.settimeout(10)
    made.connect(name)
    return made


def send(name, frames, *, pieces=None):
    """Do as libfstrm does: handshake, frames, and the handshake of the end."""
    with connected(name) as client:
        client.sendall(READY)
        assert client.recv(1000) == ACCEPT
        octets = START + data(*frames) + STOP
        for at in range(0, len(octets), pieces or len(octets)):
            client.sendall(octets[at : at + (pieces or len(octets))])
        assert client.recv(1000) == FINISH
        assert client.recv(1000) == b""


@pytest.mark.parametrize("address", ["unix", "tcp"])
def test_several_servers_at_once_that_come_again(tmp_path, address):
    chance = random.Random(7)
    with listening(tmp_path, address, octets=20_000) as (name, result):
        for turn in range(2):
            threads = [
                threading.Thread(
                    target=send,
                    args=(
                        name,
                        [
                            frame(
                                identity=f"ns{number}".encode(),
                                type=6,
                                response_message=response(qid=100 * turn + i),
                                **CLIENT,
                            )
                            for i in range(100)
                        ],
                    ),
                    kwargs={"pieces": chance.randrange(50, 5000)},
                )
                for number in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
    assert result["tally"].connections == 8
    assert result["tally"].broken == []
    files = result["recording"].files
    assert len(files) > 1
    rows = [row for path in files for row in read(path)[1]]
    assert len(rows) == 800
    for number in range(4):
        mine = [row for row in rows if row.identity == f"ns{number}"]
        assert [row.octets for row in mine] == [
            response(qid=100 * turn + i) for turn in range(2) for i in range(100)
        ]


def test_connections_that_break_are_all_counted(tmp_path, monkeypatch):
    """Reasons are kept for some; that there were more is said."""
    monkeypatch.setattr(limits, "LISTEN_FAULTS", 2)
    with listening(tmp_path) as (name, result):
        for _ in range(5):
            with connected(name) as client:
                client.sendall(START + data(ONE) + b"\0\0")
        time.sleep(0.5)
    assert result["tally"].sentences() == [
        "a connection was closed: ended within a frame",
        "a connection was closed: ended within a frame",
        "3 further connections were closed likewise",
    ]


def test_clients_that_misbehave_hurt_nobody_else(tmp_path):
    with (
        listening(tmp_path) as (name, result),
        connected(name) as slow,
        connected(name) as web,
        connected(name) as gone,
    ):
        slow.sendall(START + data(ONE)[:9])
        web.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert web.recv(10) == b""
        gone.sendall(START + data(ONE) + b"\0\0")
        gone.close()
        send(name, [ONE, ONE])
        time.sleep(0.3)
    broken = " | ".join(result["tally"].broken)
    assert "claims" in broken
    assert "ended within a frame" in broken
    (path,) = result["recording"].files
    assert len(read(path)[1]) == 3
    assert zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()).endswith(STOP)


def test_too_many_connections_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LISTEN_CONNECTIONS", 1)
    with listening(tmp_path) as (name, result), connected(name) as first:
        first.sendall(READY)
        assert first.recv(100) == ACCEPT
        with connected(name) as second:
            assert second.recv(100) == b""
    assert result["tally"].refused == 1


def command(*words):
    return [sys.executable, "-m", "forensics.cli", "listen", *map(str, words)]


def test_command_ends_with_whole_files_on_sigterm(tmp_path):
    path = tmp_path / "socket"
    words = ("--socket", f"unix:{path}", "--dataset", tmp_path / "out", "--rotate", "1h")
    with subprocess.Popen(command(*words), stdout=-1, stderr=-1, text=True) as program:
        assert "listening" in program.stderr.readline()
        send(str(path), [ONE] * 5)
        with connected(str(path)) as client:
            client.sendall(START + data(ONE))
            time.sleep(0.5)
            program.send_signal(signal.SIGTERM)
            told, _ = program.communicate(timeout=30)
    assert program.returncode == 0
    assert told.splitlines()[0] == "6 frames of 2 connections"
    (made,) = (tmp_path / "out" / "captures").iterdir()
    assert str(made) in told
    assert len(read(made)[1]) == 6
    assert not path.exists()


def test_command_refuses_a_public_address(tmp_path):
    words = ("--socket", "tcp:0.0.0.0:0", "--dataset", tmp_path / "out")
    ended = subprocess.run(command(*words), capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "--public" in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(shutil.which("unbound") is None, reason="unbound is not installed")
def test_unbound_is_recorded(tmp_path):
    """A real Unbound writes its client queries and responses to the socket."""
    import dns.message
    import dns.query

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with listening(tmp_path, clock=time.time_ns) as (name, result):
        (tmp_path / "unbound.conf").write_text(
            f"""server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{tmp_path}"
  pidfile: ""
  use-syslog: no
  num-threads: 2
  identity: "resolver-1"
  local-zone: "example." static
  local-data: "www.example. 60 A 192.0.2.1"
dnstap:
  dnstap-enable: yes
  dnstap-socket-path: "{name}"
  dnstap-send-identity: yes
  dnstap-identity: "resolver-1"
  dnstap-log-client-query-messages: yes
  dnstap-log-client-response-messages: yes
remote-control:
  control-enable: no
"""
        )
        words = ["unbound", "-d", "-c", str(tmp_path / "unbound.conf")]
        with subprocess.Popen(words, stdout=-3, stderr=-3) as unbound:
            try:
                deadline = time.monotonic() + 20
                asked = 0
                while asked < 20:
                    message = dns.message.make_query("www.example.", "A")
                    try:
                        dns.query.udp(message, "127.0.0.1", port=port, timeout=1)
                    except (dns.exception.Timeout, OSError):
                        assert time.monotonic() < deadline
                        continue
                    asked += 1
                # Unbound hands over what it has after a second at the latest.
                while result["recording"].frames < 40 and time.monotonic() < deadline:
                    time.sleep(0.1)
            finally:
                unbound.terminate()
                unbound.wait(20)
    (path,) = result["recording"].files
    facts, rows = read(path)
    assert losses(facts) == {}
    assert {row.identity for row in rows} == {"resolver-1"}
    kinds = [row.kind for row in rows]
    assert (kinds.count(5), kinds.count(6)) == (20, 20)
    assert {dns.message.from_wire(row.octets).question[0].name.to_text() for row in rows} == {
        "www.example."
    }
