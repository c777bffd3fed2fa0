"""Key RRsets: tags, distinct RRsets and sighting runs."""

import struct

import dns.dnssec
import dns.rdata
import pytest
from evidence_blocks import START, Sent, make_block
from evidence_wires import ANSWER, AUTHORITY, QNAME, QNAME_POINTER, RRSIG, message, rrsig_rdata
from hypothesis import given
from hypothesis import strategies as st

from forensics import limits
from forensics.evidence.collector import Evidence
from forensics.evidence.keysets import key_fields, key_tag
from forensics.vocabulary import Pairing

DNSKEY, DS, CDS, CDNSKEY = 48, 43, 59, 60


def key(number: int, flags: int = 256) -> bytes:
    return struct.pack("!HBB", flags, 3, 13) + bytes([number]) * 64


def key_message(numbers, kind=DNSKEY, *, section=ANSWER, flags=0x8400, ttl=60) -> bytes:
    rdatas = [key(number) for number in numbers]
    return message(
        [(section, QNAME_POINTER, kind, ttl, rdata) for rdata in rdatas], flags=flags, qtype=kind
    )


def runs_of(*sent, evidence=None, capture=0):
    evidence = evidence or Evidence()
    sent = [item if isinstance(item, Sent) else Sent(item) for item in sent]
    evidence.collect(*make_block(sent, capture))
    return evidence.key_runs().to_pylist()


@given(st.binary(min_size=4, max_size=300))
def test_key_tags_are_those_of_dnspython(rdata: bytes) -> None:
    parsed = dns.rdata.from_wire(1, DNSKEY, rdata, 0, len(rdata))
    if rdata[3] == 1 and len(rdata) < 7:
        assert key_tag(rdata) == 0
    else:
        assert key_tag(rdata) == dns.dnssec.key_id(parsed)


def test_known_key_tags() -> None:
    # The root's key signing key of 2017, tag 20326 (IANA, root-anchors.xml).
    text = (
        "257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlEx"
        "OLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjy"
        "BxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7"
        "LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn"
        "6UwNR1AkUTV74bU="
    )
    rdata = dns.rdata.from_text("IN", "DNSKEY", text).to_wire()
    assert key_fields(DNSKEY, rdata) == (20326, 8, 257)
    ds = dns.rdata.from_text(
        "IN", "DS", "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
    )
    assert key_fields(DS, ds.to_wire()) == (20326, 8, 2)
    assert key_fields(DS, b"\x01") == (256, 0, 0)


@pytest.mark.parametrize("section", [ANSWER, AUTHORITY])
@pytest.mark.parametrize("kind", [DNSKEY, DS, CDS, CDNSKEY])
def test_a_key_rrset_is_read_signed_or_not(kind, section) -> None:
    rows = runs_of(key_message([2, 1, 2], kind, section=section, ttl=77))
    assert len(rows) == 1
    row = rows[0]
    assert (row["zone"], row["type"], row["source"]) == ("www.example.test.", kind, "observed")
    assert row["rdatas"] == [key(1), key(2)]
    assert [(row["tags"][n], row["algorithms"][n], row["detail"][n]) for n in (0, 1)] == [
        key_fields(kind, key(1)),
        key_fields(kind, key(2)),
    ]
    assert (row["count"], row["ttl"], row["authoritative"], row["place"]) == (1, 77, True, 1)
    assert (row["first_frame"], row["last_frame"]) == (1, 1)


def test_order_case_and_signatures_do_not_make_another_rrset() -> None:
    signed = message(
        [
            (ANSWER, QNAME.upper().replace(b"\x03WWW", b"\x03www"), DNSKEY, 60, key(2)),
            (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(DNSKEY)),
            (ANSWER, QNAME_POINTER, DNSKEY, 60, key(1)),
        ]
    )
    rows = runs_of(key_message([1, 2]), signed, key_message([2, 1]))
    assert [(row["count"], row["rrset"]) for row in rows] == [(3, 0)]


@pytest.mark.parametrize(
    "sent",
    [
        Sent(key_message([1], flags=0x8600)),
        Sent(key_message([1]) + b"more", cut=4),
        Sent(key_message([1]), state=Pairing.DUPLICATE),
        Sent(key_message([1])[:-1]),
        Sent(message([(3, QNAME_POINTER, DNSKEY, 60, key(1))])),
    ],
    ids=["truncated", "cut", "duplicate", "broken", "additional"],
)
def test_what_is_no_evidence_makes_no_run(sent) -> None:
    assert runs_of(sent) == []


def test_an_unsolicited_response_counts_only_where_no_query_is_seen() -> None:
    stray = [Sent(key_message([1]), state=Pairing.UNSOLICITED)] * 3
    evidence = Evidence()
    assert [row["count"] for row in runs_of(*stray, evidence=evidence)] == [3]
    assert evidence.skipped["unsolicited"] == 0
    assert evidence.response_only_places().tolist() == [1]
    # The same address answers a query elsewhere in the capture, as another place.
    rows = runs_of(Sent(key_message([2]), place=2), evidence=evidence)
    assert [(row["count"], row["rdatas"]) for row in rows] == [(1, [key(2)])]
    assert evidence.skipped["unsolicited"] == 3
    assert evidence.response_only_places().tolist() == []


def test_an_unsolicited_response_does_not_break_a_run() -> None:
    rows = runs_of(
        key_message([1]), Sent(key_message([9]), state=Pairing.UNSOLICITED), key_message([1])
    )
    assert [(row["count"], row["rdatas"]) for row in rows] == [(2, [key(1)])]


def expected_runs(events):
    """Runs by the definition in schemas.KEYS, over (place, key set) in order."""
    runs = {}
    for frame, (place, number) in enumerate(events, 1):
        mine = runs.setdefault(place, [])
        if mine and mine[-1][0] == number:
            mine[-1][2] = frame
            mine[-1][3] += 1
        else:
            mine.append([number, frame, frame, 1])
    return [(place, *run) for place in sorted(runs) for run in runs[place]]


events = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=40)


@given(events, st.data())
def test_runs_partition_the_sightings(sequence, data) -> None:
    sent = [Sent(key_message([number]), place=place) for place, number in sequence]
    whole = Evidence()
    whole.collect(*make_block(sent))
    rows = whole.key_runs().to_pylist()
    found = [
        (row["place"], row["rdatas"][0][4], row["first_frame"], row["last_frame"], row["count"])
        for row in rows
    ]
    assert found == expected_runs(sequence)
    assert sum(row["count"] for row in rows) == len(sequence)
    assert [row["run"] for row in rows] == list(range(len(rows)))
    assert all(row["first"] <= row["last"] for row in rows)

    cut = data.draw(st.integers(0, len(sent)))
    parts, captures = Evidence(), Evidence()
    for number, (first, part) in enumerate(((0, sent[:cut]), (cut, sent[cut:]))):
        if part:
            parts.collect(*make_block(part, first=first))
            captures.collect(*make_block(part, number, first))
    assert parts.key_runs().equals(whole.key_runs())
    joined = [
        (row["place"], row["rdatas"][0][4], row["first_frame"], row["last_frame"], row["count"])
        for row in captures.key_runs().to_pylist()
    ]
    assert joined == found


def test_captures_of_the_same_hours_interleave() -> None:
    evidence = Evidence()
    for capture in (0, 1):
        sent = [Sent(key_message([1 + n // 3]), time=START + n * 1000 + capture) for n in range(6)]
        evidence.collect(*make_block(sent, capture))
    rows = evidence.key_runs().to_pylist()
    assert [(row["rdatas"], row["count"]) for row in rows] == [([key(1)], 6), ([key(2)], 6)]
    assert [(row["first_capture"], row["last_capture"]) for row in rows] == [(0, 1), (0, 1)]
    assert [(row["first_frame"], row["last_frame"]) for row in rows] == [(1, 3), (4, 6)]


def test_a_run_keeps_its_extremes() -> None:
    rows = runs_of(
        Sent(key_message([1], ttl=10), time=START + 5),
        Sent(key_message([1], ttl=90), time=START + 3),
        Sent(key_message([1], ttl=2**31, flags=0x8180), time=START + 4),
    )
    assert [(row["first_frame"], row["last_frame"], row["ttl"]) for row in rows] == [(2, 1, 90)]
    assert rows[0]["authoritative"] is False


def test_key_rrsets_and_runs_beyond_the_limits_are_counted(monkeypatch) -> None:
    monkeypatch.setattr(limits, "KEY_RRSETS", 3)
    evidence = Evidence()
    assert len(runs_of(*[key_message([n]) for n in range(5)], evidence=evidence)) == 3
    assert evidence.skipped["limit-reached"] == 2
    monkeypatch.setattr(limits, "KEY_RRSETS", 100)
    monkeypatch.setattr(limits, "KEY_RUNS", 4)
    evidence = Evidence()
    assert len(runs_of(*[key_message([n % 2]) for n in range(9)], evidence=evidence)) == 4
    assert evidence.skipped["limit-reached"] == 5
    monkeypatch.setattr(limits, "KEY_ARENA_OCTETS", 400)
    evidence = Evidence()
    assert 0 < len(runs_of(*[key_message([n]) for n in range(9)], evidence=evidence)) < 5


def test_key_rrsets_with_one_hash_stay_apart() -> None:
    rows = runs_of(*[key_message([n]) for n in range(20)], evidence=Evidence(hash_mask=0))
    assert [row["rdatas"] for row in rows] == [[key(n)] for n in range(20)]
