"""DNS over TLS recorded from NSD, Unbound and Knot Resolver (tls/make.py), held against tshark."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from capture_files import losses, read

from forensics.capture.tls_secrets import read_keylogs
from forensics.vocabulary import MessageFlag, Transport

TLS = Path(__file__).resolve().parent / "tls"
NAMES = ("dot12", "dot13")


def _read(name):
    return read(TLS / f"{name}.pcap", secrets=read_keylogs([str(TLS / f"{name}.keys")]))


@pytest.fixture(scope="module")
def ours():
    return {name: _read(name) for name in NAMES}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_messages_are_those_of_tshark(ours, name):
    command = ["tshark", "-n", "-r", str(TLS / f"{name}.pcap"), "-Y", "dns", "-T", "fields"]
    command += ["-o", f"tls.keylog_file:{TLS / name}.keys", "-e", "frame.number", "-e", "dns.id"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    theirs = Counter()
    for line in told.splitlines():
        frame, numbers = line.split("\t")
        theirs.update((int(frame), int(number, 16)) for number in numbers.split(","))
    _, rows = ours[name]
    assert Counter((row.frame, int.from_bytes(row.octets[:2])) for row in rows) == theirs


@pytest.mark.parametrize("name", NAMES)
def test_every_message_can_be_read_and_every_query_has_its_response(ours, name):
    import dns.message

    facts, rows = ours[name]
    assert losses(facts) == {}
    assert {row.transport for row in rows} == {int(Transport.DOT)}
    asked, answered = Counter(), Counter()
    for row in rows:
        assert len(row.octets) == row.length
        if row.flags & MessageFlag.CONTINUED:
            continue
        message = dns.message.from_wire(row.octets)
        question = message.question[0]
        ends = (row.source, row.source_port, row.destination, row.destination_port)
        if message.flags & 0x8000:
            answered[(message.id, question.name, question.rdtype, ends[2:] + ends[:2])] += 1
        else:
            asked[(message.id, question.name, question.rdtype, ends)] += 1
    assert asked == answered
    assert sum(asked.values()) > 20


def test_a_large_key_set_and_a_transfer_are_there(ours):
    _, rows = ours["dot13"]
    # More than the 16,384 octets that one record holds.
    assert [row.length for row in rows if row.length > 2**14 and not row.flags] == [19_670]
    assert sum(bool(row.flags & MessageFlag.CONTINUED) for row in rows) == 1


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_secrets_that_editcap_puts_into_a_pcapng(ours, name, tmp_path):
    made = tmp_path / "with.pcapng"
    command = ["editcap", "--inject-secrets", f"tls,{TLS / name}.keys"]
    subprocess.run([*command, TLS / f"{name}.pcap", made], check=True, timeout=60)
    facts, rows = read(made)
    assert rows == ours[name][1]
    assert losses(facts) == {}
    assert facts.carriers == ours[name][0].carriers


def test_options_reach_the_transactions(tmp_path):
    from forensics.archive.tables import read_table
    from forensics.browse import opened
    from forensics.options import Options
    from forensics.pipeline import ingest_dataset

    options = Options(tls_keylogs=tuple(str(TLS / f"{name}.keys") for name in NAMES))
    assert Options.read(options.told()) == options
    paths = [str(TLS / f"{name}.pcap") for name in NAMES]
    outcome = ingest_dataset(paths, tmp_path / "data", options)
    assert not outcome.damaged
    rows = read_table(tmp_path / "data" / "tables", "transactions").to_pylist()
    assert {row["transport"] for row in rows} == {"dot"}
    assert {row["pairing"] for row in rows} == {"answered"}
    assert len(rows) == 50
    with opened(paths, "transactions", options) as told:
        assert sum(batch.num_rows for batch in told.batches) == len(rows)
    with opened(paths, "transactions", Options()) as told:
        assert sum(batch.num_rows for batch in told.batches) == 0


def test_evidence_holds_decrypted_messages_as_plain_dns(ours):
    from scapy.layers.dns import DNS
    from scapy.layers.inet import IP, UDP

    from forensics.capture.cutting import cut

    row = next(row for row in ours["dot12"][1] if row.source_port == 853)
    secrets = read_keylogs([str(TLS / "dot12.keys")])
    (packet,) = cut(str(TLS / "dot12.pcap"), [row.frame], secrets=secrets)
    assert packet.is_made
    plain = IP(packet.octets)
    assert (plain.src, plain[UDP].sport) == (row.source, 53)
    assert bytes(plain[UDP].payload) == row.octets
    assert DNS in plain
    (packet,) = cut(str(TLS / "dot12.pcap"), [row.frame])
    assert not packet.is_made
