"""What `parse` reads of messages, held against dnspython; and that no octets can hurt it."""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.wire.blocks import MessageBlock
from forensics.wire.message import parse

NAMES = ["example.", "www.Example.", "a.b.c.example.net.", ".", "xn--bcher-kva.example."]
RECORDS = [
    ("A", "192.0.2.1"),
    ("AAAA", "2001:db8::1"),
    ("SOA", "ns.example. mail.example. 2024010203 1 2 3 4"),
    ("DS", "1 13 2 " + "00" * 32),
    ("DNSKEY", "257 3 13 " + "AAAA" * 16),
    ("RRSIG", "A 13 2 300 20300101000000 20200101000000 7 example. " + "AAAA" * 16),
    ("TXT", '"text"'),
    ("CNAME", "other.example."),
]


def block_of(messages: list[bytes]) -> MessageBlock:
    count = len(messages)
    sizes = np.array([len(one) for one in messages], np.int32)
    zeros = np.zeros(count, np.int64)
    return MessageBlock(
        octets=np.frombuffer(bytearray(b"".join(messages) or b"\0"), np.uint8),
        start=np.cumsum(sizes.astype(np.int64)) - sizes,
        captured=sizes,
        length=sizes.copy(),
        time=zeros.copy(),
        frame=np.arange(1, count + 1),
        source=np.zeros((count, 16), np.uint8),
        destination=np.zeros((count, 16), np.uint8),
        source_port=np.zeros(count, np.uint16),
        destination_port=np.full(count, 53, np.uint16),
        transport=np.zeros(count, np.uint8),
        kind=np.zeros(count, np.uint8),
        identity=np.full(count, -1, np.int32),
        other_time=zeros.copy(),
        flags=np.zeros(count, np.uint8),
        capture=0,
    )


@st.composite
def messages(draw):
    query = dns.message.make_query(
        draw(st.sampled_from(NAMES)), draw(st.sampled_from(["A", "DS", "TYPE65280", "ANY"]))
    )
    query.id = draw(st.integers(0, 65535))
    if draw(st.booleans()):
        options = []
        if draw(st.booleans()):
            options.append(dns.edns.NSIDOption(draw(st.binary(max_size=20))))
        if draw(st.booleans()):
            text = draw(st.sampled_from([None, "signature expired", "x" * 300]))
            options.append(dns.edns.EDEOption(draw(st.integers(0, 65535)), text))
        query.use_edns(0, draw(st.sampled_from([0, dns.flags.DO])), 1232, options=options)
    if draw(st.booleans()):
        query.flags |= dns.flags.QR | draw(st.sampled_from([0, dns.flags.AA, dns.flags.TC]))
        # upper bits of the code need OPT (RFC 6891 6.1.3)
        codes = [0, 2, 3] + ([16, 23] if query.edns >= 0 else [])
        query.set_rcode(draw(st.sampled_from(codes)))
        for section in (query.answer, query.authority, query.additional):
            for kind, text in draw(st.lists(st.sampled_from(RECORDS), max_size=5, unique=True)):
                section.append(
                    dns.rrset.from_text(draw(st.sampled_from(NAMES)), 60, "IN", kind, text)
                )
    return query


@settings(max_examples=150, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=8))
def test_every_field_is_what_dnspython_reads(parsed_by_peer):
    wires = [one.to_wire() for one in parsed_by_peer]
    block = block_of(wires)
    parsed = parse(block, 40)
    for row, (wire, ignored) in enumerate(zip(wires, parsed_by_peer, strict=True)):
        del ignored
        peer = dns.message.from_wire(wire)
        judged = list(peer.answer) + list(peer.authority)
        counts = {
            kind: sum(len(rrset) for rrset in judged if rrset.rdtype == kind)
            for kind in (46, 43, 48, 59, 60)
        }
        assert parsed.ordinal[row] == 40 + row
        assert parsed.id[row] == peer.id
        assert parsed.header_flags[row] == int.from_bytes(wire[2:4], "big")
        assert parsed.rcode[row] == peer.rcode()
        assert parsed.answers[row] == peer.section_count(dns.message.MessageSection.ANSWER)
        start, length = parsed.name_start[row], parsed.name_length[row]
        name = bytes(block.octets[start : start + length])
        assert name == peer.question[0].name.to_wire()
        assert parsed.qtype[row] == peer.question[0].rdtype
        assert parsed.qclass[row] == peer.question[0].rdclass
        assert parsed.edns_size[row] == (peer.payload if peer.edns >= 0 else -1)
        assert parsed.dnssec_ok[row] == bool(peer.ednsflags & dns.flags.DO)
        assert parsed.signatures[row] == counts.pop(46)
        assert parsed.keys[row] == sum(counts.values())
        serials = [rrset[0].serial for rrset in judged if rrset.rdtype == dns.rdatatype.SOA]
        assert parsed.serial[row] == (serials[0] if serials else 0)
        nsids = [one.nsid for one in peer.options if one.otype == 3 and one.nsid]
        start, length = parsed.nsid_start[row], parsed.nsid_length[row]
        assert bytes(block.octets[start : start + length]) == (nsids[0] if nsids else b"")
        edes = [one for one in peer.options if one.otype == 15]
        assert parsed.ede[row] == (edes[0].code if edes else -1)
        if edes:
            start, length = parsed.ede_start[row], parsed.ede_length[row]
            text = bytes(block.octets[start : start + length]).decode()
            assert text == (edes[0].text or "")
        assert parsed.whole[row]


@settings(max_examples=100, deadline=None)
@given(messages(), st.integers(0, 600))
def test_a_cut_message_is_never_whole(message, keep):
    wire = message.to_wire()
    cut = wire[: max(12, min(keep, len(wire) - 1))]
    parsed = parse(block_of([cut]), 0)
    assert not parsed.whole[0] or cut == wire


@settings(max_examples=300, deadline=None)
@given(
    messages(),
    st.lists(st.tuples(st.integers(2, 500), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_mutated_messages_stay_within_their_octets(message, changes):
    wire = bytearray(message.to_wire())
    for at, octet in changes:
        wire[at % len(wire)] = octet
    before = message.to_wire()
    # neighbours on both sides: what is read must lie in the message itself
    block = block_of([before, bytes(wire), before])
    parsed = parse(block, 0)
    low, high = block.start[1], block.start[1] + block.captured[1]
    for start, length in (
        (parsed.name_start[1], parsed.name_length[1]),
        (parsed.nsid_start[1], parsed.nsid_length[1]),
        (parsed.ede_start[1], parsed.ede_length[1]),
    ):
        assert length == 0 or low <= start <= start + length <= high
    try:
        peer = dns.message.from_wire(bytes(wire), ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return
    if len(peer.question) == 1 and parsed.name_length[1]:
        assert parsed.qtype[1] == peer.question[0].rdtype


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=12, max_size=200), min_size=1, max_size=20))
def test_random_octets_are_read_without_harm(wires):
    parsed = parse(block_of(wires), 0)
    assert (parsed.id == [int.from_bytes(wire[:2], "big") for wire in wires]).all()


def test_a_pointer_loop_in_the_question_is_no_name():
    wire = bytes.fromhex("0001 0100 0001 0000 0000 0000 c00c 0001 0001")
    parsed = parse(block_of([wire]), 0)
    assert (parsed.name_start[0], parsed.name_length[0], parsed.whole[0]) == (-1, 0, False)


def test_counts_beyond_the_octets_end_at_the_octets():
    wire = bytes.fromhex("0001 8180 0001 ffff ffff ffff 00 0001 0001")
    parsed = parse(block_of([wire]), 0)
    assert parsed.answers[0] == 65535
    assert not parsed.whole[0]


def test_columns_used_again_hold_the_same_as_new_ones():
    first = dns.message.make_query("one.example.", "A", want_dnssec=True).to_wire()
    second = dns.message.make_query("two.example.", "DS").to_wire()
    reused = parse(block_of([first, first]), 0)
    again = parse(block_of([second]), 2, reused)
    fresh = parse(block_of([second]), 2)
    for name in ("ordinal", "id", "name_hash", "qtype", "edns_size", "dnssec_ok", "whole"):
        assert getattr(again, name).tolist() == getattr(fresh, name).tolist()
