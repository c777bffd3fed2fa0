"""From packets in a file to tables in a folder."""

from __future__ import annotations

import hashlib
import ipaddress
import struct

import pytest
from transaction_scene import START, Sent

from forensics.archive.tables import TableWriter, iter_batches, read_table, write_table
from forensics.errors import InputError
from forensics.ingest import ingest
from forensics.limits import SECOND
from forensics.schemas import TABLES


def packet(sent: Sent) -> bytes:
    wire = sent.wire()
    ends = [ipaddress.ip_address(sent.client).packed, ipaddress.ip_address(sent.server).packed]
    ports = [sent.port, 53]
    if sent.response:
        ends.reverse()
        ports.reverse()
    size = 28 + len(wire)
    header = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, 17, 0) + ends[0] + ends[1]
    return header + struct.pack("!HHHH", *ports, 8 + len(wire), 0) + wire


def write_pcap(path, stream: list[Sent]) -> str:
    data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    for sent in stream:
        octets = packet(sent)
        seconds, rest = divmod(START + sent.at, SECOND)
        data += struct.pack("<IIII", seconds, rest, len(octets), len(octets)) + octets
    path.write_bytes(data)
    return str(path)


def exchange(at: int, number: int) -> list[Sent]:
    query = Sent(at, id=number, name=f"n{number % 7}.example.")
    return [query, query.answer(SECOND // 100)]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def stream():
    return [one for number in range(50) for one in exchange(number * SECOND, number)]


def test_every_table_is_there_and_counts_agree(tmp_path, stream):
    path = write_pcap(tmp_path / "a.pcap", stream)
    result = ingest([path], tmp_path / "tables")
    made = {
        "captures",
        "losses",
        "transactions",
        "places",
        "signatures",
        "sightings",
        "unsigned",
        "keys",
    }
    assert set(digests(tmp_path / "tables")) == {f"{name}.parquet" for name in made}
    for name in made:
        table = read_table(tmp_path / "tables", name)
        assert table.schema.equals(dict(TABLES)[name])
        table.validate(full=True)
    rows = read_table(tmp_path / "tables", "transactions").to_pylist()
    assert len(rows) == 50
    assert (result.messages, result.transactions["answered"]) == (100, 50)
    assert [row["id"] for row in rows] == list(range(50))
    assert rows[9]["qname"] == "n2.example."
    assert read_table(tmp_path / "tables", "captures")["messages"].to_pylist() == [100]


def test_the_same_input_gives_the_same_octets(tmp_path, stream):
    path = write_pcap(tmp_path / "a.pcap", stream)
    ingest([path], tmp_path / "one")
    ingest([path], tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_rotated_files_in_any_order_give_the_transactions_of_the_whole(tmp_path, stream):
    whole = write_pcap(tmp_path / "whole.pcap", stream)
    # the cut falls between a query and its response
    parts = [
        write_pcap(tmp_path / "z.pcap", stream[:37]),
        write_pcap(tmp_path / "a.pcap", stream[37:]),
    ]
    ingest([whole], tmp_path / "whole")
    ingest(parts, tmp_path / "parts")
    ingest(parts[::-1], tmp_path / "turned")
    assert digests(tmp_path / "parts") == digests(tmp_path / "turned")
    left_out = ["capture", "response_capture", "query_frame", "response_frame"]
    kept = [name for name in dict(TABLES)["transactions"].names if name not in left_out]
    one = read_table(tmp_path / "whole", "transactions", kept)
    two = read_table(tmp_path / "parts", "transactions", kept)
    assert one.to_pylist() == two.to_pylist()


def test_messages_outside_the_asked_times_are_left_out_and_counted(tmp_path, stream):
    path = write_pcap(tmp_path / "a.pcap", stream)
    result = ingest([path], tmp_path / "tables", start=START + 10 * SECOND, end=START + 20 * SECOND)
    assert (result.messages, result.outside) == (20, 80)
    rows = read_table(tmp_path / "tables", "transactions").to_pylist()
    assert [row["id"] for row in rows] == list(range(10, 20))


def test_an_unreadable_input_is_reported_and_the_others_are_read(tmp_path, stream):
    path = write_pcap(tmp_path / "a.pcap", stream)
    (tmp_path / "noise").write_bytes(b"no capture at all")
    (tmp_path / "empty").write_bytes(b"")
    bad = [str(tmp_path / name) for name in ("missing", "noise", "empty")]
    result = ingest([*bad, path], tmp_path / "tables")
    assert [error.path for error in result.errors] == bad
    assert all(isinstance(error, InputError) for error in result.errors)
    assert result.messages == 100


def test_progress_is_told_for_each_block(tmp_path, stream):
    path = write_pcap(tmp_path / "a.pcap", stream)
    told = []
    ingest([path], tmp_path / "tables", progress=lambda *facts: told.append(facts))
    assert [one[0] for one in told] == [path]
    assert told[0][1] > 0


def test_a_failure_leaves_no_file_behind(tmp_path, stream):
    path = write_pcap(tmp_path / "a.pcap", stream)

    def fail(*_):
        msg = "stop"
        raise KeyboardInterrupt(msg)

    with pytest.raises(KeyboardInterrupt):
        ingest([path], tmp_path / "tables", progress=fail)
    assert list((tmp_path / "tables").iterdir()) == []


def test_sightings_are_read_with_their_folded_places(tmp_path):
    schemas = dict(TABLES)
    places = schemas["places"].empty_table().to_pylist()
    for number, fold in enumerate([0, 2, 2]):
        places.append({"place": number, "server": "s", "fold": fold})
    import pyarrow as pa

    write_table(tmp_path, "places", pa.Table.from_pylist(places, schemas["places"]))
    blank = dict.fromkeys(schemas["sightings"].names, 0)
    rows = [blank | {"signature": n, "place": n % 3} for n in range(6)]
    write_table(tmp_path, "sightings", pa.Table.from_pylist(rows, schemas["sightings"]))
    assert read_table(tmp_path, "sightings")["place"].to_pylist() == [0, 2, 2, 0, 2, 2]
    (batch,) = iter_batches(tmp_path, "sightings", ["signature"])
    assert batch.column(0).to_pylist() == list(range(6))


def test_a_writer_that_is_left_by_an_exception_names_no_file(tmp_path):
    writer = TableWriter(tmp_path, "places")
    writer.write(dict(TABLES)["places"].empty_table())
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert list(tmp_path.iterdir()) == []


def test_transactions_alone_are_the_transactions_of_all(tmp_path, stream):
    """The same rows, captures, losses and places; what responses prove is not there at all."""
    path = write_pcap(tmp_path / "a.pcap", stream)
    whole = ingest([path], tmp_path / "whole")
    less = ingest([path], tmp_path / "less", transactions_only=True)
    expected = digests(tmp_path / "whole")
    evidence = {f"{name}.parquet" for name in ("sightings", "unsigned", "signatures", "keys")}
    assert evidence <= expected.keys()
    for name in evidence:
        del expected[name]
    assert digests(tmp_path / "less") == expected
    assert less.transactions == whole.transactions
    assert less.messages == whole.messages == len(stream)
