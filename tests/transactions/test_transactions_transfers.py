"""Zone transfers over TCP: one transaction, content of the zone, and no answer to anything."""

from __future__ import annotations

import json
import struct

import dns.dnssec
import dns.message
import dns.name
import dns.rrset
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from forensics.archive.tables import read_table
from forensics.ingest import ingest
from forensics.limits import SECOND
from forensics.vocabulary import SightingFlag

START = 1_700_000_000
MS = SECOND // 1000
ZONE = dns.name.from_text("example.")
TRANSFER = int(SightingFlag.TRANSFER)
TEXT = """
@ 300 IN SOA ns hostmaster 7 3600 600 86400 300
@ 300 IN NS ns
@ 300 IN MX 10 mail
ns 300 IN A 192.0.2.53
mail 300 IN A 192.0.2.25
mail 300 IN A 192.0.2.26
mail 300 IN A 192.0.2.27
www 300 IN A 192.0.2.80
sub 300 IN NS ns.sub
ns.sub 300 IN A 192.0.2.99
"""


@pytest.fixture(scope="module")
def zone():
    """A zone signed by dnspython, with its key."""
    made = dns.zone.from_text(TEXT, ZONE, relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, 257)
    with made.writer() as writer:
        dns.dnssec.sign_zone(
            made, writer, keys=[(private, key)], inception=START - 3600, expiration=START + 86400
        )
    return made, key


def records(zone):
    """Every record of a zone as an RRset of its own, the SOA first and last."""
    soa = zone.get_rrset(ZONE, "SOA")
    rest = [
        dns.rrset.from_rdata(name, rdataset.ttl, rdata)
        for name, node in zone.items()
        for rdataset in node
        for rdata in rdataset
        if rdataset.rdtype != dns.rdatatype.SOA
    ]
    return [soa, *rest, soa]


def messages(asked, listed, sizes, *, bare=True):
    """A query for a transfer and its response, so many records a message, the last size again."""
    query = dns.message.make_query(ZONE, asked, id=77)
    made, at, sizes = [], 0, list(sizes)
    while at < len(listed):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        one = dns.message.make_response(query)
        one.flags |= dns.flags.AA
        if made and bare:
            one.question = []
        for record in listed[at : at + size]:
            held = dns.rrset.RRset(record.name, record.rdclass, record.rdtype, record.covers)
            held.update(record)
            one.answer.append(held)
        made.append(one.to_wire(max_size=65535))
        at += size
    return query.to_wire(), made


def segment(seq, data, *, server, flags=24):
    ends = [bytes([192, 0, 2, 7]), bytes([198, 51, 100, 53])]
    ports = [40000, 53]
    if server:
        ends, ports = ends[::-1], ports[::-1]
    body = struct.pack(">HHIIBBHHH", *ports, seq, 1, 0x50, flags, 65535, 0, 0) + data
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 6, 0) + b"".join(ends) + body


def framed(message):
    return len(message).to_bytes(2, "big") + message


def stream(path, query, responses):
    """A pcap file of a transfer whose stream is cut into segments of 400 octets."""
    octets = b"".join(framed(one) for one in responses)
    sent = [segment(100, framed(query), server=False)]
    sent += [
        segment(500 + at, octets[at : at + 400], server=True) for at in range(0, len(octets), 400)
    ]
    data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101)
    for at, packet in enumerate(sent):
        data += struct.pack("<IIII", START, at * MS, len(packet), len(packet)) + packet
    path.write_bytes(data)
    return str(path)


def tables(tmp_path, *paths):
    result = ingest(list(paths), tmp_path / "tables")
    names = ("transactions", "signatures", "sightings", "unsigned", "keys")
    return result, {name: read_table(tmp_path / "tables", name).to_pylist() for name in names}


@pytest.mark.parametrize(
    "sizes", [[1000], [5], [1, 7]], ids=["one", "five each", "one, then seven"]
)
@pytest.mark.parametrize("bare", [True, False])
def test_a_transfer_is_one_transaction_and_evidence_of_content(tmp_path, zone, sizes, bare):
    made, _ = zone
    query, responses = messages("AXFR", records(made), sizes, bare=bare)
    result, found = tables(tmp_path, stream(tmp_path / "a.pcap", query, responses))
    (transaction,) = found["transactions"]
    assert (transaction["qtype"], transaction["pairing"]) == (252, "answered")
    assert found["sightings"]
    for row in found["sightings"]:
        assert row["flags"] & TRANSFER
        assert row["transaction"] == transaction["transaction"]
    # Neither glue nor a delegation is an RRset without its due, and no part of a key set is one.
    assert (found["unsigned"], found["keys"]) == ([], [])
    assert result.transferred == 0
    if sizes == [1000]:
        # Where a signature is not in one message with its RRset, it is not seen.
        assert {row["type"] for row in found["signatures"]} >= {1, 2, 6, 15, 47}


def test_a_transfer_accuses_nobody(tmp_path, zone):
    from forensics.pipeline import Options, analyze

    made, key = zone
    anchor = tmp_path / "anchor"
    anchor.write_text(f"example. IN DS {dns.dnssec.make_ds(ZONE, key, 'SHA256')}\n")
    # Every message ends within an RRset, or between it and its signature.
    query, responses = messages("AXFR", records(made), [3, 2])
    path = stream(tmp_path / "a.pcap", query, responses)
    analyze([path], tmp_path / "out", Options(trust_anchors=(str(anchor),)), figures=False)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["incidents"] == []
    assert report["counts"]["verdicts"]["bogus"] == 0
    # There is something that could have been judged: signatures over parts of their RRsets.
    assert read_table(tmp_path / "out" / "tables", "sightings").num_rows > 0


def test_differences_are_no_content(tmp_path, zone):
    made, _ = zone
    listed = records(made)
    query, responses = messages("IXFR", [listed[0], listed[0], *listed[1:], listed[0]], [6])
    result, found = tables(tmp_path, stream(tmp_path / "a.pcap", query, responses))
    (transaction,) = found["transactions"]
    assert (transaction["qtype"], transaction["pairing"]) == (251, "answered")
    assert (found["sightings"], found["signatures"], found["unsigned"]) == ([], [], [])
    assert result.transferred == len(responses) - 1
    assert result.left_out["zone-transfer"] == len(responses) - 1


def test_a_whole_zone_in_answer_to_ixfr_is_content(tmp_path, zone):
    query, responses = messages("IXFR", records(zone[0]), [6])
    result, found = tables(tmp_path, stream(tmp_path / "a.pcap", query, responses))
    assert len(found["transactions"]) == 1
    assert found["sightings"]
    assert result.transferred == 0


def test_it_goes_on_in_the_next_file(tmp_path, zone):
    query, responses = messages("AXFR", records(zone[0]), [5])
    whole = stream(tmp_path / "whole.pcap", query, responses)
    _, expected = tables(tmp_path / "one", whole)
    octets = (tmp_path / "whole.pcap").read_bytes()
    head, at, cuts = octets[:24], 24, []
    while at < len(octets):
        cuts.append(at)
        at += 16 + int.from_bytes(octets[at + 8 : at + 12], "little")
    middle = cuts[len(cuts) // 2]
    paths = [tmp_path / "first.pcap", tmp_path / "second.pcap"]
    paths[0].write_bytes(octets[:middle])
    paths[1].write_bytes(head + octets[middle:])
    _, found = tables(tmp_path / "two", *map(str, paths))
    assert len(found["transactions"]) == 1
    assert {row["transaction"] for row in found["sightings"]} == {0}

    def shown(tables):
        names = {row["signature"]: row["signature_id"] for row in tables["signatures"]}
        return sorted((names[row["signature"]], row["time"]) for row in tables["sightings"])

    assert shown(found) == shown(expected)
