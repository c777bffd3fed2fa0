"""C-DNS against files that cbor2 encoded from messages that dnspython took apart."""

from __future__ import annotations

import random
import time
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from capture_files import T0, losses, query, read, response
from cdns_files import ALL_TYPES, CLIENT, QR_HINTS, SERVER, Exchange, Exporter, cbor2, indefinite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.capture.readers import first_time, open_capture
from forensics.errors import InputError, UnknownFormat
from forensics.vocabulary import DNSTAP_KINDS, TRANSPORTS, MessageFlag

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PAIR = Exchange(query(), response())
MS = 10**6
SHARED = Path(__file__).resolve().parents[3] / "shared" / "captures" / "dns-stats+compactor"


def of(tmp_path, data, block=limits.BLOCK_OCTETS):
    path = tmp_path / "capture.cdns"
    path.write_bytes(data)
    return read(path, block)


def parsed(octets):
    """What a message says, whatever its compression and the order of its RRsets."""
    message = dns.message.from_wire(octets, ignore_trailing=True)
    sections = [
        sorted(line for rrset in section for line in rrset.to_text().splitlines())
        for section in message.sections
    ]
    edns = message.edns, message.ednsflags, message.payload if message.edns >= 0 else 0
    options = [option.to_wire() for option in message.options]
    return message.id, int(message.flags), int(message.rcode()), sections, edns, options


NAMES = st.sampled_from(["example.", "www.example.", "Mixed.Example.", "a.b.c.example.net.", "."])
RRSETS = st.lists(
    st.tuples(
        NAMES,
        st.integers(0, 2**31 - 1),
        st.sampled_from(
            [
                ("A", "192.0.2.1"),
                ("AAAA", "2001:db8::1"),
                ("NS", "ns1.Example.net."),
                ("SOA", "ns.example. host.example. 5 1 2 3 4"),
                ("TXT", '"a" "b"'),
                ("DS", "33834 13 2 " + "ab" * 32),
                ("RRSIG", "A 13 2 300 20260601000000 20260501000000 5 example. AAAA"),
                ("NSEC", "b.example. A RRSIG NSEC"),
                ("TYPE65280", r"\# 3 010203"),
            ]
        ),
    ),
    max_size=4,
)
MESSAGES = st.fixed_dictionaries(
    {
        "name": NAMES,
        "qtype": st.sampled_from(["A", "DNSKEY", "NS", "ANY", "HTTPS"]),
        "id": st.integers(0, 65535),
        "flags": st.integers(0, 127).map(lambda bits: bits << 4),
        "rcode": st.integers(0, 23),
        "edns": st.booleans(),
        "sections": st.tuples(RRSETS, RRSETS, RRSETS),
        "delay": st.integers(-3 * MS, 5000 * MS),
        "six": st.booleans(),
        "transport": st.sampled_from([0, 1, 2, 4]),
        "kind": st.sampled_from([None, 0, 1, 2, 3, 4, 5, 6]),
        "sides": st.sampled_from([1, 2, 3]),
    }
)


def exchange(drawn, number):
    """An exchange of messages that were drawn."""
    asked = dns.message.make_query(drawn["name"], drawn["qtype"], want_dnssec=drawn["edns"])
    asked.id = drawn["id"]
    asked.flags = dns.flags.Flag(drawn["flags"])
    answer = dns.message.make_response(asked)
    answer.flags = dns.flags.Flag(drawn["flags"] ^ 0x0550 | 0x8000)
    answer.set_rcode(drawn["rcode"] if drawn["edns"] else drawn["rcode"] & 15)
    if drawn["edns"]:
        answer.use_edns(0, 0, 1232, options=[dns.edns.NSIDOption(b"node-7")])
        answer.set_rcode(drawn["rcode"])
    for section, rrsets in zip(
        (answer.answer, answer.authority, answer.additional), drawn["sections"], strict=True
    ):
        for name, ttl, (kind, text) in rrsets:
            if all(rrset.name.to_text() != name for rrset in section):
                section.append(dns.rrset.from_text(name, ttl, "IN", kind, text))
    return Exchange(
        asked.to_wire() if drawn["sides"] & 1 else None,
        answer.to_wire() if drawn["sides"] & 2 else None,
        T0 + number * MS,
        drawn["delay"],
        "2001:db8::1" if drawn["six"] else CLIENT,
        "2001:db8::2" if drawn["six"] else SERVER,
        transport=drawn["transport"],
        kind=drawn["kind"],
    )


@QUIET
@given(st.lists(MESSAGES, max_size=8), st.sampled_from([limits.BLOCK_OCTETS, 97]), st.booleans())
def test_round_trip(tmp_path, drawn, block, endless):
    exchanges = [exchange(one, number) for number, one in enumerate(drawn)]
    exporter = Exporter(types=[*ALL_TYPES, 65280])
    half = len(exchanges) // 2
    groups = [group for group in (exchanges[:half], exchanges[half:]) if group]
    made = [exporter.block(group) for group in groups]
    data = exporter.file(*made)
    if endless:
        data = indefinite(["C-DNS", exporter.preamble(), made])
    facts, rows = of(tmp_path, data, block)
    expected = []
    for number, one in enumerate(exchanges, 1):
        kind = {None: 0, 0: 9, 1: 5, 2: 3, 3: 1, 4: 7, 5: 11, 6: 13}[one.kind]
        ends = (one.client, one.client_port), (one.server, one.server_port)
        late = one.time + one.delay if one.query else one.time
        for octets, instant, (source, target), side in (
            (one.query, one.time, ends, 0),
            (one.response, late, ends[::-1], 1),
        ):
            if octets is not None:
                expected.append(
                    (number, instant, *source, *target, kind and kind + side, parsed(octets))
                )
    found = [(*row[:6], row.kind, parsed(row.octets)) for row in rows]
    assert found == expected
    assert [row.transport for row in rows] == [
        {0: 0, 1: 1, 2: 2, 4: 3}[one.transport]
        for one in exchanges
        for octets in (one.query, one.response)
        if octets
    ]
    # An exporter of that time knows the type HTTPS; what it says it keeps is whole.
    assert {row.flags for row in rows} <= {0}
    assert losses(facts) == {}
    assert (facts.packets, facts.format) == (len(exchanges), "c-dns")


def test_sizes_are_those_of_the_wire(tmp_path):
    _, rows = of(tmp_path, Exporter().file(Exporter().block([PAIR])))
    assert [row.length for row in rows] == [len(query()), len(response())]


def test_names_of_kinds_and_transports():
    assert DNSTAP_KINDS[9] == "STUB_QUERY"
    assert TRANSPORTS[3] == "doh"


@pytest.mark.parametrize("bit", [15, 16, 17], ids=["answer", "authority", "additional"])
def test_sections_that_the_exporter_left_out_are_a_known_absence(tmp_path, bit):
    exporter = Exporter(hints=QR_HINTS & ~(1 << bit))
    facts, (asked, answered) = of(tmp_path, exporter.file(exporter.block([PAIR])))
    assert asked.flags == 0
    assert answered.flags == MessageFlag.PARTIAL | MessageFlag.CUT
    assert losses(facts) == {"exporter-omitted": 1}
    # OPT is announced even where its section is not kept.
    assert parsed(answered.octets)[4][0] == dns.message.from_wire(response()).edns


@pytest.mark.parametrize(
    "exporter",
    [
        Exporter(without_record=frozenset({2})),
        Exporter(without_record=frozenset({3})),
        Exporter(types=[kind for kind in ALL_TYPES if kind != dns.rdatatype.RRSIG]),
        Exporter(types=[kind for kind in ALL_TYPES if kind != dns.rdatatype.A]),
        Exporter(without_item=frozenset({7})),
    ],
    ids=["no TTL", "no RDATA", "RRSIG dropped", "type of the question dropped", "no name"],
)
def test_responses_of_which_records_are_missing_say_so(tmp_path, exporter):
    facts, rows = of(tmp_path, exporter.file(exporter.block([PAIR])))
    assert rows[1].flags == MessageFlag.PARTIAL | MessageFlag.CUT
    assert losses(facts)["exporter-omitted"] >= 1


def test_type_of_the_question_that_is_not_kept(tmp_path):
    exporter = Exporter(types=[kind for kind in ALL_TYPES if kind != 65])
    asked = query(qtype="HTTPS")
    answer = dns.message.make_response(dns.message.from_wire(asked)).to_wire()
    _, rows = of(tmp_path, exporter.file(exporter.block([Exchange(asked, answer), PAIR])))
    assert [row.flags & MessageFlag.PARTIAL > 0 for row in rows] == [True, True, False, False]


@pytest.mark.parametrize(
    "exporter",
    [
        Exporter(without_item=frozenset({4})),
        Exporter(without_signature=frozenset({4})),
        Exporter(without_signature=frozenset({6})),
        Exporter(without_signature=frozenset({16})),
    ],
    ids=["no signature", "no flags of the item", "no DNS flags", "no RCODE"],
)
def test_items_that_would_say_something_false_are_losses(tmp_path, exporter):
    """A response without RCODE would look like NOERROR, its query alone like a timeout."""
    facts, rows = of(tmp_path, exporter.file(exporter.block([PAIR, PAIR])))
    assert rows == []
    assert losses(facts) == {"item-incomplete": 2}
    assert facts.packets == 2


def test_anonymous_items_are_messages_still(tmp_path):
    exporter = Exporter(
        without_item=frozenset({1, 2, 3, 5, 8, 9}), without_signature=frozenset({0, 1, 2, 3})
    )
    facts, rows = of(tmp_path, exporter.file(exporter.block([PAIR])))
    assert [(row.source, row.destination) for row in rows] == [("::", "::")] * 2
    assert [row.source_port for row in rows] == [0, 0]
    assert [dns.message.from_wire(row.octets).id for row in rows] == [0, 0]
    assert losses(facts) == {}


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        (CLIENT, SERVER, ("192.0.0.0", "198.51.0.0")),
        ("2001:db8::1", "2001:db8:1::2", ("2001:db8::", "2001:db8::")),
    ],
)
def test_shortened_addresses(tmp_path, client, server, expected):
    exporter = Exporter(prefixes={4: 2, 16: 4})
    one = Exchange(query(), response(), client=client, server=server)
    _, rows = of(tmp_path, exporter.file(exporter.block([one])))
    assert (rows[0].source, rows[0].destination) == expected
    assert (rows[1].source, rows[1].destination) == expected[::-1]


@pytest.mark.parametrize("ticks", [1, 1000, 10**6, 10**9])
def test_ticks_of_any_length(tmp_path, ticks):
    exporter = Exporter(ticks=ticks)
    one = Exchange(query(), response(), T0 + 1_234_567_891, -200_000_000)
    facts, rows = of(tmp_path, exporter.file(exporter.block([one])))
    unit = 10**9 // ticks
    assert abs(rows[0].time - one.time) < unit
    assert abs(rows[1].time - one.time - one.delay) < 2 * unit
    assert facts.first == min(row.time for row in rows)


def test_item_without_time_has_the_one_of_its_block(tmp_path):
    exporter = Exporter(without_item=frozenset({0}))
    facts, rows = of(tmp_path, exporter.file(exporter.block([PAIR])))
    assert {row.time for row in rows} == {T0}
    assert losses(facts) == {"no-timestamp": 1}


def test_malformed_messages(tmp_path):
    exporter = Exporter()
    bad = [
        (T0 + 5, CLIENT, 40001, SERVER, query()[:20]),
        (T0 + 6, CLIENT, 40001, SERVER, response()[:20]),
        (T0 + 7, CLIENT, 40001, SERVER, b"short"),
    ]
    facts, rows = of(tmp_path, exporter.file(exporter.block([PAIR], bad)))
    assert [(row.octets, row.source) for row in rows[2:]] == [
        (query()[:20], CLIENT),
        (response()[:20], SERVER),
    ]
    assert [row.time - T0 for row in rows[2:]] == [5, 6]
    assert losses(facts) == {"message-short": 1}
    assert facts.packets == 4


def test_files_one_after_another(tmp_path):
    data = Exporter().file(Exporter().block([PAIR]))
    other = indefinite(["C-DNS", Exporter().preamble(), [Exporter().block([PAIR])]])
    for first, second in ((data, other), (other, data)):
        for block in (limits.BLOCK_OCTETS, 64):
            facts, rows = of(tmp_path, first + second, block)
            assert [row.frame for row in rows] == [1, 1, 2, 2]
            assert losses(facts) == {}
    facts, rows = of(tmp_path, data + b"something else")
    assert (len(rows), losses(facts)) == (2, {"cbor-malformed": 1})


def test_first_time(tmp_path):
    path = tmp_path / "one.cdns"
    path.write_bytes(Exporter().file(Exporter().block([PAIR])))
    assert first_time(str(path)) == T0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Exporter(version=0).file(), "version 0"),
        (Exporter(version=2).file(), "version 2"),
        (cbor2.dumps(["C-DNS", {0: 1, 1: 0, 3: []}, []]), "parameters"),
        (cbor2.dumps(["C-DNS", {0: 1, 1: 0, 3: [{0: {0: 1}}]}, 5]), "array"),
        (Exporter().file()[:20], "preamble"),
        (b"\x83hDNS-STAT\xbf", "draft"),
    ],
)
def test_other_versions_are_named(tmp_path, data, words):
    path = tmp_path / "one.cdns"
    path.write_bytes(data)
    with pytest.raises(UnknownFormat, match=words):
        list(open_capture(str(path), 0).blocks())


MANY = [Exchange(query(qid=i), response(qid=i), T0 + i * MS) for i in range(6)]
TWO_BLOCKS = Exporter().file(Exporter().block(MANY[:3]), Exporter().block(MANY[3:]))


def attempt(tmp_path, data, block=limits.BLOCK_OCTETS):
    try:
        return of(tmp_path, data, block)
    except InputError as error:
        assert error.reason  # noqa: PT017 - either end is right
        return None


def test_cut_at_every_offset_gives_a_prefix(tmp_path):
    whole = of(tmp_path, TWO_BLOCKS)[1]
    counts = []
    for size in range(7, len(TWO_BLOCKS)):
        result = attempt(tmp_path, TWO_BLOCKS[:size])
        if result is None:
            continue
        facts, rows = result
        assert rows == whole[: len(rows)]
        assert set(losses(facts)) <= {"file-cut"}
        counts.append(len(rows))
    assert counts == sorted(counts)
    # Whole items of a block that is cut are read: its tables come first.
    assert set(counts) == set(range(0, 13, 2))


def test_damage_within_a_block_does_not_cost_the_next(tmp_path):
    whole = of(tmp_path, TWO_BLOCKS)[1]
    start = TWO_BLOCKS.index(b"\x00\xa2\x00\x82\x1a") - 1
    broken = TWO_BLOCKS[: start + 40] + b"\xff" * 9 + TWO_BLOCKS[start + 49 :]
    facts, rows = of(tmp_path, broken)
    assert [row.octets for row in rows[-6:]] == [row.octets for row in whole[-6:]]
    assert losses(facts)["cbor-malformed"] == 1


def test_flipped_octets_never_raise(tmp_path):
    chance = random.Random(8618)
    for _ in range(300):
        broken = bytearray(TWO_BLOCKS)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        result = attempt(tmp_path, bytes(broken))
        small = attempt(tmp_path, bytes(broken), 97)
        if result is None or small is None:
            assert result is small
            continue
        assert small[1] == result[1]
        assert losses(small[0]) == losses(result[0])


def hostile_block(**parts):
    """A block whose parts are CBOR, by their keys."""
    inside = b"".join(bytes([int(key[1:])]) + value for key, value in sorted(parts.items()))
    return bytes([0xA0 + len(parts)]) + inside


HEAD = Exporter().file()[:-1]
TIMED = cbor2.dumps({0: [T0 // 10**9, 0], 1: 0})
HUGE = b"\x9b" + b"\x7f" + b"\xff" * 7


@pytest.mark.parametrize(
    "block",
    [
        b"\x81" * 100_000,
        b"\x9f" * 100_000,
        b"\xa1\x00" * 100_000,
        b"\xbf\x00" * 100_000,
        b"\xc1" * 100_000,
        b"\x5f" * 1000,
        HUGE,
        b"\xbb" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8 + b"x",
        hostile_block(_0=TIMED, _2=HUGE),
        hostile_block(_0=TIMED, _3=HUGE),
        hostile_block(_0=TIMED, _3=b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        hostile_block(_0=TIMED, _2=b"\xa1\x02\x81\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        hostile_block(_0=cbor2.dumps({0: [2**64 - 1, 2**64 - 1], 1: 2**63}), _3=b"\x81\xa0"),
        hostile_block(_0=cbor2.dumps({0: [2**62, 2**62]}), _3=b"\x81\xa1\x00\x00"),
    ],
)
def test_hostile_blocks_are_losses_at_once(tmp_path, block):
    begun = time.perf_counter()
    for array in (b"\x81", b"\x9f"):
        facts, rows = of(tmp_path, HEAD + array + block)
        assert rows == []
        assert sum(losses(facts).values()) >= 1 or facts.packets == 0
    assert time.perf_counter() - begun < 20


def test_items_that_blow_up_stop_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CDNS_FREE_OCTETS", 10**6)
    exporter = Exporter()
    block = exporter.block([PAIR])
    large = len(block[2][2])
    block[2][2].append(b"x" * 60_000)
    block[2][7][0] = {**block[2][7][0], 3: large}
    block[3] *= 20_000
    facts, rows = of(tmp_path, exporter.file(block))
    size = (tmp_path / "capture.cdns").stat().st_size
    assert losses(facts)["cbor-limit"] == facts.packets - len(rows) // 2
    assert facts.packets == 20_000
    assert sum(len(row.octets) for row in rows) <= limits.CDNS_RATIO * size + 200_000


def test_more_entries_than_are_read_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CDNS_ENTRIES", 4)
    facts, rows = of(tmp_path, Exporter().file(Exporter().block(MANY)))
    assert losses(facts)["cbor-limit"] >= 1
    assert len(rows) < 12


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared/captures beside the repository")
def test_real_traffic_gives_the_same_messages_as_its_pcap(tmp_path):
    """A capture of a root server: what the pcap holds, written as C-DNS, reads the same."""
    path = SHARED / "test-scripts" / "gold.pcap.xz"
    _, packets = read(path)
    waiting, exchanges = {}, []
    for row in packets:
        ends = row.source, row.source_port, row.destination, row.destination_port
        key = row.octets[:2], row.transport
        if row.octets[2] & 0x80:
            one = waiting.pop((*key, *ends[2:], *ends[:2]))
            one.response, one.delay = row.octets, row.time - one.time
        else:
            one = Exchange(row.octets, None, row.time, 0, ends[0], ends[2], ends[1], ends[3])
            waiting[(*key, *ends)] = one
            exchanges.append(one)
    exporter = Exporter()
    blocks = [exporter.block(exchanges[first : first + 100]) for first in range(0, 999, 100)]
    facts, rows = of(tmp_path, exporter.file(*blocks))
    assert losses(facts) == {}

    def known(row):
        return (*row[1:6], row.length, *map(repr, parsed(row.octets)))

    assert sorted(map(known, rows)) == sorted(map(known, packets))
    assert len(rows) == 1998
