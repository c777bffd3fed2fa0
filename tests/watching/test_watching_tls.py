"""`watch --tls-keylog`: what servers say over TLS is judged as what they say in the clear."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from test_watching_replay import MINUTE, Replay
from watching_files import SECOND, begins, records

from forensics.archive.tables import read_table
from forensics.report.times import parse

CAPTURE_TESTS = Path(__file__).resolve().parents[1] / "capture"
ASKER, ROOT_SERVER, DE_SERVER = (
    bytes(map(int, text.split("."))) for text in ("192.0.2.200", "198.51.100.1", "198.51.100.11")
)


@pytest.fixture(scope="module")
def tls():
    """The makers of TLS connections, which lie with the tests of the reader."""
    sys.path.insert(0, str(CAPTURE_TESTS))
    import tls_files

    sys.path.remove(str(CAPTURE_TESTS))
    return tls_files


def exchanges(name, server):
    """Give (ns, query, response) of what the lab's monitor asked a server over UDP."""
    asked, found = {}, []
    for time, record in records(name)[1]:
        packet = record[30:]
        if record[28:30] != b"\x08\x00" or packet[9] != 17:
            continue
        ends, message = {packet[12:16], packet[16:20]}, packet[28:]
        if ends != {ASKER, server}:
            continue
        if packet[16:20] == server:
            asked[message[:2], packet[20:22]] = message
        elif (query := asked.pop((message[:2], packet[22:24]), None)) is not None:
            found.append((time, query, message))
    return found


def in_the_clear(name, server):
    """Give (ns, packet without its link layer) between the monitor and a server."""
    return [
        (time, record[30:])
        for time, record in records(name)[1]
        if record[28:30] == b"\x08\x00" and {record[42:46], record[46:50]} == {ASKER, server}
    ]


def connection(tls, found):
    """Give (ns, packet) of one TLS connection in which all was asked, and its key log."""
    said = tls.asked(*((query, response) for _, query, response in found))
    talk = tls.talk(said)
    ends, begin = tls.Ends(), found[0][0] - SECOND
    packets = [(begin, packet) for packet in ends.opening()]
    shakes = len(talk.flights) - len(said)
    for number, flight in enumerate(talk.flights):
        time = begin if number < shakes else found[(number - shakes) // 2][0]
        packets += [(time, packet) for packet in ends.sends(flight.client, flight.octets)]
    return packets, talk.keylog


def pcap(packets):
    return b"".join(
        struct.pack("<IIII", *divmod(time, SECOND), len(packet), len(packet)) + packet
        for time, packet in packets
    )


HEAD = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 101)


def test_an_outage_behind_tls_is_told_within_a_minute_and_keys_outlive_the_horizon(tls, tmp_path):
    hidden, keylog = connection(tls, exchanges("de-2026", DE_SERVER))
    packets = sorted(hidden + in_the_clear("de-2026", ROOT_SERVER), key=lambda row: row[0])
    secrets = tmp_path / "keys"
    replay = Replay(tmp_path, "de-2026", tls_keylogs=(str(secrets),))
    begin = packets[0][0]
    for number in range(-(-(packets[-1][0] - begin + 1) // (20 * SECOND))):
        cut = [row for row in packets if (row[0] - begin) // (20 * SECOND) == number]
        # The program under watch opens its key log after the first packets.
        if number == 1:
            secrets.write_bytes(keylog)
        replay.drop("live.pcap", (b"" if number else HEAD) + pcap(cut), age=0)
        replay.step()
    kinds = replay.kinds()
    assert kinds[0] == ("began", "de.")
    told = replay.told()
    assert told[0]["reason"] == "signature-invalid"
    assert 0 <= parse(told[0]["noticed"]) - begins("de-2026") <= MINUTE
    assert kinds[-1] == ("recovered", "de.")
    assert len(replay.complaints) == 1
    assert str(secrets) in replay.complaints[0]
    replay.watcher.close()


def test_without_the_key_log_nothing_is_known_and_nobody_is_accused(tls, tmp_path):
    hidden, _ = connection(tls, exchanges("de-2026", DE_SERVER)[:60])
    replay = Replay(tmp_path, "de-2026")
    replay.drop("one.pcap", HEAD + pcap(hidden))
    replay.step()
    assert replay.kinds() == []
    losses = read_table(tmp_path / "state" / "tables", "losses")
    assert losses["reason"].to_pylist() == ["dns-over-tls"]
    replay.watcher.close()
