"""RRsets without signatures: what the kernel lists against what dnspython reads."""

from __future__ import annotations

import random
import struct
import time

import dns.flags
import dns.message
import dns.rdataclass
import dns.rdatatype
import pytest
from evidence_blocks import Sent, make_block
from evidence_wires import (
    ADDITIONAL,
    ANSWER,
    AUTHORITY,
    QNAME,
    QNAME_POINTER,
    RRSIG,
    ZONE,
    ZONE_POINTER,
    message,
    mix_case,
    rrsig_rdata,
)
from hypothesis import given
from hypothesis import strategies as st

from forensics import schemas
from forensics.evidence.collector import Evidence
from forensics.vocabulary import SightingFlag

SOA = b"\x02ns" + ZONE_POINTER + b"\x0ahostmaster" + ZONE_POINTER + bytes(range(20))
NSEC = b"\x01z" + ZONE + b"\x00\x01\x40"
OWNERS = (
    QNAME_POINTER,
    ZONE_POINTER,
    QNAME,
    b"\x03wWw" + ZONE_POINTER,
    b"\x03sub" + ZONE_POINTER,
    b"\x00",
)
DATA = {
    1: [bytes([192, 0, 2, n]) for n in range(1, 4)],
    2: [b"\x02n1" + ZONE_POINTER, b"\x02N2" + ZONE_POINTER],
    5: [b"\x03sub" + ZONE_POINTER],
    6: [SOA],
    39: [b"\x05Other\x04test\x00"],
    47: [NSEC],
}
EVIDENCE = Evidence()


def unsigned(wire: bytes, **sent: object) -> list[dict]:
    return EVIDENCE.collect(*make_block([Sent(wire, **sent)]))[1].to_pylist()


def expected(wire: bytes) -> list[tuple]:
    """What dnspython reads: (section, type, owner or None, target, records, TTL)."""
    read = dns.message.from_wire(wire, one_rr_per_rrset=True, continue_on_error=False)
    asked = read.question[0].name
    found: dict[tuple, list] = {}
    for section, rrsets in ((1, read.answer), (2, read.authority)):
        covered = {
            (rrset.name, rrset.covers) for rrset in rrsets if rrset.rdtype == dns.rdatatype.RRSIG
        }
        for rrset in rrsets:
            if rrset.rdtype == dns.rdatatype.RRSIG or rrset.rdclass != dns.rdataclass.IN:
                continue
            if (rrset.name, rrset.rdtype) not in covered:
                key = (section, int(rrset.rdtype), rrset.name.canonicalize().to_text())
                found.setdefault(key, []).append(rrset)
    return [
        (
            section,
            kind,
            None if owner == asked.canonicalize().to_text() else owner,
            rrsets[0][0].target.canonicalize().to_text() if kind in (2, 5, 39) else None,
            len(rrsets),
            rrsets[0].ttl,
        )
        for (section, kind, owner), rrsets in found.items()
    ]


def told(rows: list[dict]) -> list[tuple]:
    return [
        tuple(row[name] for name in ("section", "type", "owner", "target", "records", "ttl"))
        for row in rows
    ]


RECORD = st.tuples(
    st.sampled_from([ANSWER, AUTHORITY, ADDITIONAL]),
    st.sampled_from(OWNERS),
    st.sampled_from(sorted(DATA)),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2),
    st.booleans(),
)


@given(st.lists(RECORD, max_size=14), st.randoms(use_true_random=False))
def test_rows_are_what_dnspython_reads(drawn, choice) -> None:
    records = []
    for section, owner, kind, ttl, which, signed in drawn:
        other = mix_case(owner, choice) if owner[0] < 64 else owner
        records.append((section, owner, kind, ttl, DATA[kind][which % len(DATA[kind])]))
        if signed:
            records.append((section, other, RRSIG, ttl, rrsig_rdata(kind)))
    choice.shuffle(records)
    wire = message(records)
    rows = unsigned(wire)
    assert told(rows) == expected(wire)


@given(st.lists(RECORD, max_size=10))
def test_signatures_behind_their_rrsets_hide_nothing(drawn) -> None:
    """In the order in which servers write them."""
    records = []
    for section, owner, kind, ttl, _, signed in drawn:
        records += [(section, owner, kind, ttl, rdata) for rdata in DATA[kind]]
        if signed:
            records.append((section, owner, RRSIG, ttl, rrsig_rdata(kind)))
    wire = message(records)
    assert told(unsigned(wire)) == expected(wire)


PLAIN = message([(ANSWER, QNAME_POINTER, 1, 60, DATA[1][0])])
OPT = b"\x00" + struct.pack("!HHIH", 41, 1232, 0x8000, 0)


def test_only_where_signatures_were_asked_for() -> None:
    assert len(unsigned(PLAIN, do=True)) == 1
    assert unsigned(PLAIN, do=False) == []
    assert unsigned(PLAIN, do=None) == []
    block, parsed = make_block([Sent(PLAIN, do=None)])
    parsed.dnssec_ok[:] = True
    assert EVIDENCE.collect(block, parsed)[1].num_rows == 1


def test_flags_and_serial_are_those_of_the_response() -> None:
    wire = message(
        [(ANSWER, QNAME_POINTER, 1, 60, DATA[1][0]), (AUTHORITY, ZONE_POINTER, 6, 5, SOA)]
    )
    rows = unsigned(wire, place=3)
    assert [row["type"] for row in rows] == [1, 6]
    for row in rows:
        assert row["serial"] == int.from_bytes(bytes(range(4)), "big")
        assert row["place"] == 3
        assert row["flags"] & SightingFlag.AUTHORITY
        assert row["flags"] & SightingFlag.DO
    assert rows[1]["owner"] == "example.test."


def test_a_section_that_is_cut_says_nothing() -> None:
    wire = message(
        [(ANSWER, QNAME_POINTER, 1, 60, DATA[1][0]), (AUTHORITY, ZONE_POINTER, 6, 5, SOA)]
    )
    rows = unsigned(wire, cut=4)
    assert [row["type"] for row in rows] == [1]
    assert rows[0]["flags"] & SightingFlag.CUT


def test_queries_transfers_and_other_classes_say_nothing() -> None:
    assert unsigned(message([(ANSWER, QNAME_POINTER, 1, 60, DATA[1][0])], flags=0)) == []
    assert unsigned(message([(ANSWER, QNAME_POINTER, 1, 60, DATA[1][0])], qtype=252)) == []
    assert unsigned(message([(ANSWER, QNAME_POINTER, 1, 60, DATA[1][0])], qclass=3)) == []


def test_many_names_are_counted_when_there_is_no_room() -> None:
    count = 300
    block, parsed = make_block(
        [
            Sent(message([(AUTHORITY, b"\x04%04d" % n + ZONE, 1, 1, DATA[1][0])]))
            for n in range(count)
        ]
    )
    evidence = Evidence()
    evidence._names.state[3] = 100  # the most strings
    rows = evidence.collect(block, parsed)[1]
    assert rows.num_rows == 100
    assert evidence.skipped["limit-reached"] == count - 100
    assert len(set(rows.column("owner").to_pylist())) == 100


def test_the_table_has_its_schema_and_blocks_join() -> None:
    import pyarrow as pa

    evidence = Evidence()
    wires = [
        message([(AUTHORITY, b"\x01" + letter + ZONE, 2, 9, b"\x01" + letter + b"\x00")])
        for letter in (b"a", b"b", b"a")
    ]
    batches = [evidence.collect(*make_block([Sent(wire)]))[1] for wire in wires]
    assert all(batch.schema.equals(schemas.UNSIGNED) for batch in batches)
    joined = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    assert joined["owner"].to_pylist() == ["a.example.test.", "b.example.test.", "a.example.test."]
    assert joined["target"].to_pylist() == ["a.", "b.", "a."]


@pytest.mark.parametrize("kinds", [1, 20_000])
def test_hostile_messages_cost_bounded_time(kinds: int) -> None:
    """Thousands of RRsets in one message, and as many RRSIGs that cover none of them."""
    records = []
    size = 12 + len(QNAME) + 4
    number = 0
    while size < 64_000:
        kind = 256 + number % kinds
        owner = b"\x03" + struct.pack("!I", number)[1:] + ZONE_POINTER
        pair = [(ANSWER, owner, kind, 1, b""), (ANSWER, b"\x00", RRSIG, 1, struct.pack("!H", kind))]
        records += pair
        size += 16 + 13
        number += 1
    wire = message(records)
    sent = [Sent(wire)] * 20
    evidence = Evidence()
    evidence.collect(*make_block(sent[:1]))
    begin = time.process_time()
    rows = evidence.collect(*make_block(sent))[1]
    assert time.process_time() - begin < 2.0
    assert rows.num_rows
    assert evidence.skipped["limit-reached"] > 0


@given(st.integers(0, 2**32))
def test_mutated_messages_end(seed: int) -> None:
    choice = random.Random(seed)
    base = message(
        [
            (ANSWER, QNAME_POINTER, 5, 60, DATA[5][0]),
            (ANSWER, b"\x03sub" + ZONE_POINTER, 1, 60, DATA[1][0]),
            (AUTHORITY, ZONE_POINTER, 2, 60, DATA[2][0]),
            (AUTHORITY, ZONE_POINTER, RRSIG, 60, rrsig_rdata(2)),
            (AUTHORITY, b"\x01d" + ZONE_POINTER, 39, 60, DATA[39][0]),
        ]
    )
    wires = []
    for _ in range(20):
        wired = bytearray(base)
        for _ in range(choice.randrange(1, 6)):
            wired[choice.randrange(12, len(wired))] = choice.choice(
                [0, 1, 11, 12, 63, 64, 192, 193, 255, choice.randrange(256)]
            )
        wires.append(
            Sent(bytes(wired[: choice.choice([len(wired), choice.randrange(12, len(wired))])]))
        )
    block, parsed = make_block(wires)
    parsed.signatures[:] = 65_535
    rows = EVIDENCE.collect(block, parsed)[1]
    assert rows.num_rows <= 20 * len(base) // 11
