"""A signature that was seen before is recognised only where building it would give the same."""

import random
import struct

import pytest
from evidence_blocks import Sent, make_block
from evidence_wires import (
    ANSWER,
    AUTHORITY,
    OWNER,
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

from forensics.evidence.collector import Evidence

ADDRESSES = [bytes([192, 0, 2, n]) for n in range(1, 5)]
SOA = b"\x02ns" + ZONE_POINTER + b"\x0ahostmaster" + ZONE_POINTER + bytes(range(20))
DS = [struct.pack("!HBB", tag, 13, 2) + bytes([tag] * 32) for tag in (7, 8)]
NSEC = b"\x01Z" + ZONE_POINTER + b"\x00\x01\x40"


def signature(seed: int) -> bytes:
    return random.Random(seed).randbytes(64)


RECORDS = [
    *[(ANSWER, QNAME_POINTER, 1, 300 + n, address) for n, address in enumerate(ADDRESSES)],
    (ANSWER, QNAME_POINTER, RRSIG, 300, rrsig_rdata(1, signature=signature(1))),
    (ANSWER, QNAME_POINTER, 15, 300, b"\x00\x0a\x04mail" + ZONE_POINTER),
    (ANSWER, QNAME_POINTER, RRSIG, 300, rrsig_rdata(15, labels=2, signature=signature(5))),
    (AUTHORITY, ZONE_POINTER, 6, 60, SOA),
    (AUTHORITY, ZONE_POINTER, RRSIG, 60, rrsig_rdata(6, labels=2, signature=signature(2))),
    (AUTHORITY, b"\x01a" + ZONE_POINTER, 47, 60, NSEC),
    (AUTHORITY, b"\x01a" + ZONE_POINTER, RRSIG, 60, rrsig_rdata(47, signature=signature(3))),
    (AUTHORITY, b"\x01b" + ZONE_POINTER, 47, 60, NSEC),
    (AUTHORITY, b"\x01b" + ZONE_POINTER, RRSIG, 60, rrsig_rdata(47, signature=signature(4))),
    *[(AUTHORITY, ZONE_POINTER, 43, 3600 + n, rdata) for n, rdata in enumerate(DS)],
    (
        AUTHORITY,
        ZONE_POINTER,
        RRSIG,
        3600,
        rrsig_rdata(43, labels=2, signer=b"\x04test\x00", signature=signature(6)),
    ),
]
PLAIN = message(RECORDS[:5] + RECORDS[7:13])
WILDCARD = message(RECORDS[5:7])
KEYS = message(RECORDS[13:])
SEEDS = [PLAIN, WILDCARD, KEYS]


def told(evidence: Evidence, wire: bytes, place: int) -> tuple[object, object, object]:
    """What a message at a new place says, named so that numbers and the past do not matter."""
    before = evidence.skipped
    block, parsed = make_block([Sent(wire, place=place, source=f"192.0.2.{place % 250}")])
    rows = evidence.collect(block, parsed)[0].to_pylist()
    table = evidence.signatures()
    names = table["signature_id"].to_pylist()
    sightings = [
        (names[row["signature"]], row["section"], row["ttl"], row["flags"]) for row in rows
    ]
    runs = [
        (run["zone"], run["type"], run["rdatas"], run["ttl"], run["count"])
        for run in evidence.key_runs().to_pylist()
        if run["place"] == place
    ]
    skipped = {name: count - before[name] for name, count in evidence.skipped.items()}
    return sightings, runs, skipped


@pytest.mark.parametrize("seed", SEEDS, ids=["plain", "wildcard", "keys"])
def test_what_is_seen_again_is_told_again(seed: bytes) -> None:
    evidence = Evidence()
    first = told(evidence, seed, 1)
    count = evidence.signatures().num_rows
    assert told(evidence, seed, 2) == first
    assert evidence.signatures().num_rows == count > 0


@pytest.mark.parametrize("seed", SEEDS, ids=["plain", "wildcard", "keys"])
def test_a_changed_octet_is_told_alike_with_and_without_a_past(seed: bytes) -> None:
    evidence = Evidence()
    told(evidence, seed, 1)
    for at in range(12, len(seed), 1 + len(seed) // 400):
        wire = seed[:at] + bytes([seed[at] ^ (1 << at % 8)]) + seed[at + 1 :]
        assert told(evidence, wire, at) == told(Evidence(), wire, at), at


@given(st.randoms(use_true_random=False))
def test_any_choice_of_records_is_told_alike_with_and_without_a_past(choice: random.Random) -> None:
    evidence = Evidence()
    for place in range(1, 4):
        records = list(RECORDS)
        choice.shuffle(records)
        records = records[: choice.randrange(4, len(records) + 1)]
        records += choice.choices(records, k=choice.randrange(3))
        for n, (section, owner, kind, ttl, rdata) in enumerate(records):
            if choice.random() < 0.1:
                records[n] = (3 - section, owner, kind, ttl, rdata)
            elif owner == QNAME_POINTER and choice.random() < 0.3:
                records[n] = (section, mix_case(OWNER, choice), kind, ttl, rdata)
            elif kind == 6 and choice.random() < 0.5:
                mail = b"\x0aHOSTmaster" + mix_case(ZONE, choice)
                records[n] = (section, owner, kind, ttl, SOA[:5] + mail + bytes(range(20)))
        wire = message(records)
        assert told(evidence, wire, place) == told(Evidence(), wire, place)
