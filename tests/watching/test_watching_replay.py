"""Recordings replayed as a recorder would have written them: the whole of `watch`, end to end."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import zstandard
from watching_files import ROOT, SECOND, anchor, begins, frames, parts, records

from forensics.capture.framestreams import CONTENT, READY, START, STOP, control
from forensics.keyring import anchors, archive
from forensics.options import Options
from forensics.report.times import parse
from forensics.watching.delivery import Delivery
from forensics.watching.sources import Follower
from forensics.watching.store import Store
from forensics.watching.watcher import Settings, Watcher

MINUTE = 60 * SECOND
WALL = 1_900_000_000 * SECOND


class Replay:
    """A watcher of a folder that the test writes to, on a clock that the test moves."""

    def __init__(self, tmp_path, name, *, tls_keylogs=(), **settings):
        self.folder = tmp_path / "in"
        self.folder.mkdir(exist_ok=True)
        self.notices = tmp_path / "notices.jsonl"
        self.now = WALL
        options = Options(trust_anchors=(str(anchor(name)),), tls_keylogs=tls_keylogs)
        self.complaints = []
        store = Store(tmp_path / "state")
        known = store.load("test")
        follower = Follower(
            self.folder, store.pieces, sources=known.sources, number=known.number
        )
        self.watcher = Watcher(
            store, follower, known, Settings(options, **settings),
            Delivery(self.notices, "", self.complaints.append if tls_keylogs else pytest.fail),
            anchors.chosen(options.trust_anchors), archive.read(()),
        )  # fmt: skip

    def step(self, seconds=5):
        self.now += seconds * SECOND
        return self.watcher.step(self.now)

    def drop(self, name, octets, *, age=100):
        """Let a file appear, or grow, that was last written `age` seconds ago."""
        with (self.folder / name).open("ab") as file:
            file.write(octets)
        moment = self.now + (5 - age) * SECOND
        os.utime(self.folder / name, ns=(moment, moment))

    def told(self):
        return [json.loads(line) for line in self.notices.read_text().splitlines()]

    def kinds(self):
        return [(one["event"], one.get("zone")) for one in self.told()]


def test_an_outage_in_a_growing_file_is_told_within_a_minute(tmp_path):
    head, cut = parts("de-2026", 35)
    replay = Replay(tmp_path, "de-2026")
    for number, octets in enumerate(cut):
        replay.drop("live.pcap", (head if not number else b"") + octets, age=0)
        replay.step()
    assert replay.kinds()[0] == ("began", "de.")
    assert replay.kinds()[-1] == ("recovered", "de.")
    assert {kind for kind, _ in replay.kinds()[1:-1]} == {"changed"}
    told = replay.told()
    assert told[0]["reason"] == "signature-invalid"
    assert 62973 in told[0]["tags"]
    onset = begins("de-2026")
    assert parse(told[0]["noticed"]) - onset <= MINUTE
    # The frame is that of the whole recording, which analyze names too.
    assert told[0]["first_bad"] == {
        "capture": str(replay.folder / "live.pcap"),
        "frame": 3787,
        "time": "2026-11-24T15:22:06.194237499Z",
    }
    assert told[-1]["severity"] == "outage"
    assert len(told[-1]["servers"]) == 6
    assert len({one["incident"] for one in told}) == 1
    replay.watcher.close()


def test_an_outage_in_rotated_and_compressed_files_past_a_short_horizon(tmp_path):
    """Keys seen before the horizon are known behind it."""
    head, cut = parts("al-2026", 15)
    replay = Replay(tmp_path, "al-2026", horizon=20 * SECOND)
    for number, octets in enumerate(cut):
        replay.drop(f"{number:03}.pcap.zst", zstandard.compress(head + octets))
        replay.step()
    assert replay.kinds()[0] == ("began", "al.")
    assert parse(replay.told()[0]["noticed"]) - begins("al-2026") <= MINUTE
    assert {zone for _, zone in replay.kinds()} == {"al."}
    assert "withdrawn" not in {kind for kind, _ in replay.kinds()}
    assert len([kind for kind, _ in replay.kinds() if kind == "began"]) == 1
    assert (tmp_path / "state" / "keepsake.pcapng").exists()
    assert len(replay.watcher._follower.inputs()) < len(cut)
    replay.watcher.close()


@pytest.mark.parametrize(
    ("name", "horizon"), [("healthy-zsk-roll", 40), ("algorithm-roll", 3600), ("packet-loss", 20)]
)
def test_healthy_rolls_are_let_sleep(tmp_path, name, horizon):
    head, cut = parts(name, 25)
    replay = Replay(tmp_path, name, horizon=horizon * SECOND)
    for number, octets in enumerate(cut):
        replay.drop(f"{number:03}.pcap", head + octets)
        replay.step()
    assert replay.kinds() == []
    replay.watcher.close()


def test_a_new_file_on_the_inode_of_a_deleted_one_is_another_file(tmp_path, monkeypatch):
    """File systems give a number again at once: rotation deletes the oldest and begins the next."""
    monkeypatch.setattr("forensics.watching.sources._inode", lambda _: "1:7")
    head, cut = parts("first-signed", 10)
    replay = Replay(tmp_path, "first-signed")
    replay.drop("a.pcap", head + cut[0])
    replay.step()
    (replay.folder / "a.pcap").unlink()
    replay.drop("b.pcap", head + cut[1] + cut[2])
    replay.step()
    replay.step()
    whole = [time for time, _ in records("first-signed")[1]]
    begin = whole[0]
    assert replay.watcher.frames() == sum(time - begin < 30 * SECOND for time in whole)
    replay.watcher.close()


def test_a_damaged_file_is_told_once_and_the_rest_is_judged(tmp_path):
    head, cut = parts("first-signed", 20)
    replay = Replay(tmp_path, "first-signed")
    replay.drop("a.pcap", head + cut[0] + b"\xff" * 50 + cut[1])
    replay.drop("b.pcap.gz", gzip.compress(head + cut[2])[:-30])
    replay.drop("c.txt", b"These are no packets.")
    for _ in range(3):
        replay.step()
    told = replay.told()
    assert [one["event"] for one in told] == ["input-damaged"] * 3
    reasons = {
        one["capture"].rsplit("/", 1)[1]: {row["reason"] for row in one["losses"]} for one in told
    }
    assert reasons == {
        "a.pcap": {"record-length"},
        "b.pcap.gz": {"decompression-failed", "file-cut"},
        "c.txt": {"unreadable"},
    }
    replay.watcher.close()


def test_a_file_that_is_deleted_before_its_turn_is_told_of(tmp_path):
    """A watcher that is behind takes a backlog in parts; rotation may be faster."""
    head, cut = parts("first-signed", 10)
    replay = Replay(tmp_path, "first-signed", horizon=20 * SECOND)
    for name, octets in zip("abc", cut, strict=False):
        replay.drop(f"{name}.pcap", head + octets)
    replay.drop("empty.pcap", b"")
    replay.step()
    read = replay.watcher.frames()
    assert 0 < read < len(records("first-signed")[1])
    for name in ("a", "b", "c", "empty"):
        (replay.folder / f"{name}.pcap").unlink()
    for _ in range(3):
        replay.step()
    lost = [one for one in replay.told() if one["event"] == "input-damaged"]
    assert [one["capture"].rsplit("/", 1)[1] for one in lost] == ["b.pcap", "c.pcap"]
    assert {one["reason"] for one in lost} == {"deleted"}
    assert "deleted before it was read" in lost[0]["sentence"]
    assert replay.watcher.frames() == read
    replay.watcher.close()


def test_silence_is_told_once_and_a_cut_end_when_nothing_follows(tmp_path):
    head, cut = parts("first-signed", 30)
    replay = Replay(tmp_path, "first-signed", silence=120 * SECOND)
    replay.drop("live.pcap", head + cut[0] + cut[1][:100], age=0)
    replay.step()
    replay.step(30)
    assert replay.kinds() == []
    for _ in range(4):
        replay.step(60)
    assert sorted(one["event"] for one in replay.told()) == ["input-damaged", "input-silent"]
    replay.drop("live.pcap", cut[1][100:], age=0)
    assert replay.step()
    for _ in range(4):
        replay.step(60)
    assert [one["event"] for one in replay.told()].count("input-silent") == 2
    replay.watcher.close()


def command(*words):
    return [sys.executable, "-m", "forensics.cli", "watch", *map(str, words)]


@contextmanager
def started(*words):
    with subprocess.Popen(command(*words), cwd=ROOT, stderr=-1, text=True) as program:
        try:
            while "watching" not in (line := program.stderr.readline()):
                assert line, program.wait()
            yield program
        finally:
            program.kill()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def await_(condition, seconds=400):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_killed_in_the_middle_it_goes_on_and_repeats_nothing(tmp_path):
    head, cut = parts("de-2026", 80)
    folder, notices = tmp_path / "in", tmp_path / "n.jsonl"
    folder.mkdir()
    live = folder / "live.pcap"
    words = (folder, "--state", tmp_path / "state", "--notices", notices,
             "--trust-anchor", anchor("de-2026"))  # fmt: skip
    live.write_bytes(head + cut[0])
    with started(*words) as program:
        await_(lambda: lines(notices))
        # It is killed as soon as the line is there, perhaps before the state says so.
        program.send_signal(signal.SIGKILL)
        program.wait()
    with live.open("ab") as file:
        file.write(b"".join(cut[1:]))
    with started(*words) as program:
        await_(lambda: lines(notices)[-1]["event"] == "recovered")
        program.send_signal(signal.SIGTERM)
        _, said = program.communicate(timeout=60)
    assert program.returncode == 0
    assert f"{len(records('de-2026')[1]):,} packets were read" in said
    told = lines(notices)
    assert len({one["id"] for one in told}) == len(told)
    assert [one["number"] for one in told] == list(range(1, len(told) + 1))
    assert told[0]["event"] == "began"
    assert json.loads((tmp_path / "state" / "state.json").read_text())["outbox"] == []


@pytest.mark.skipif(shutil.which("false") is None, reason="false is not installed")
def test_dnstap_from_a_sender_that_goes_and_comes_again(tmp_path):
    path, notices = tmp_path / "socket", tmp_path / "n.jsonl"
    words = ("--socket", f"unix:{path}", "--state", tmp_path / "state", "--notices", notices,
             "--trust-anchor", anchor("de-2026"), "--hook", "false")  # fmt: skip
    sent = frames("de-2026")
    with started(*words) as program:
        begun = 0
        for end in (len(sent) // 3, len(sent)):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(30)
                client.connect(str(path))
                client.sendall(control(READY, CONTENT))
                assert client.recv(1000)
                client.sendall(control(START, CONTENT) + b"".join(sent[begun:end]))
                if end == len(sent):
                    client.sendall(control(STOP))
                    assert client.recv(1000)
                else:
                    client.sendall(struct.pack(">I", 99) + b"half a frame")
            begun = end
        await_(lambda: any(one["event"] == "began" for one in lines(notices)))
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=60)
    assert program.returncode == 0
    assert "a connection was closed: ended within a frame" in said
    assert f"{len(sent):,} packets were read" in said
    assert "hook for began de.: ended with status 1" in said
    assert not path.exists()
    (began,) = [one for one in lines(notices) if one["event"] == "began"]
    assert began["zone"] == "de."
    recorded = list((tmp_path / "state" / "captures").iterdir())
    assert began["first_bad"]["capture"] in {str(one) for one in recorded}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "a folder or a --socket"),
        (("/no/such/folder",), "no folder"),
        ((".", "--horizon", "soon"), "--horizon soon: write a time like"),
        (("--socket", "tcp:192.0.2.1:6000"), "--public"),
    ],
)
def test_slips_of_the_pen(tmp_path, words, told):
    result = subprocess.run(
        command(*words, "--state", tmp_path / "state"),
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
