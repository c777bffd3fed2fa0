"""PowerDNS protobuf logs: real ones, and messages encoded by the protobuf library."""

from __future__ import annotations

import random
import struct
import sys
import warnings
from functools import cache
from pathlib import Path

import dns.message
import dns.name
import pytest
from capture_files import T0, losses, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.capture.readers import first_time
from forensics.errors import InputError
from forensics.vocabulary import DNSTAP_KINDS, MessageFlag, Transport

HERE = Path(__file__).resolve().parent / "powerdns_log"
sys.path.insert(0, str(HERE))
LOGS = ("dnsdist", "outgoing", "recursor")
QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SECONDS = T0 // 10**9
_UINT32, _UINT64, _BYTES, _MESSAGE = 13, 4, 12, 11


@cache
def _class():
    """The class of PBDNSMessage, built from the numbers and types of its fields."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="pb_test.proto", package="p", syntax="proto2")

    def add(name, fields):
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated = field == "rrs"
            made = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                made.type, made.type_name = _MESSAGE, f".p.{kind}"
            else:
                made.type = kind

    add("Question", [("name", 1, _BYTES), ("type", 2, _UINT32), ("class_", 3, _UINT32)])
    add("Record", [("name", 1, _BYTES), ("type", 2, _UINT32), ("ttl", 4, _UINT32)])
    add(
        "Response",
        [
            ("rcode", 1, _UINT32),
            ("rrs", 2, "Record"),
            ("query_seconds", 5, _UINT32),
            ("query_micros", 6, _UINT32),
            ("state", 11, _UINT32),
        ],
    )
    add(
        "PBDNSMessage",
        [
            ("type", 1, _UINT32),
            ("message_id", 2, _BYTES),
            ("server", 3, _BYTES),
            ("family", 4, _UINT32),
            ("protocol", 5, _UINT32),
            ("from_", 6, _BYTES),
            ("to", 7, _BYTES),
            ("size", 8, _UINT64),
            ("seconds", 9, _UINT32),
            ("micros", 10, _UINT32),
            ("id", 11, _UINT32),
            ("question", 12, "Question"),
            ("response", 13, "Response"),
            ("from_port", 20, _UINT32),
            ("to_port", 21, _UINT32),
        ],
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.PBDNSMessage"))


def message(kind=1, **values):
    fields = {
        "seconds": SECONDS,
        "from_": bytes([192, 0, 2, 1]),
        "to": bytes([198, 51, 100, 2]),
        "from_port": 40000,
        "to_port": 53,
        "id": 7,
        "question": {"name": b"www.example.", "type": 1, "class_": 1},
    }
    return _class()(type=kind, **{**fields, **values}).SerializeToString()


def log(*messages, width=2):
    return b"".join(len(one).to_bytes(width, "big") + one for one in messages)


def of(tmp_path, data, block=limits.BLOCK_OCTETS):
    path = tmp_path / "stream.pb"
    path.write_bytes(data)
    return read(path, block)


def decoded(data):
    """The messages of a stream, taken apart by the protobuf library."""
    found = []
    while data:
        (size,) = struct.unpack_from(">H", data)
        found.append(_class().FromString(data[2 : 2 + size]))
        data = data[2 + size :]
    return found


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 300])
def test_real_logs(name, block):
    path = HERE / f"{name}.pb"
    facts, rows = read(path, block)
    theirs = decoded(path.read_bytes())
    assert facts.packets == len(theirs)
    assert losses(facts) == {"exporter-omitted": len(rows)}
    assert len(rows) == len(theirs)
    for row, one in zip(rows, theirs, strict=True):
        made = dns.message.from_wire(row.octets)
        (asked,) = made.question
        assert made.id == one.id
        assert asked.name == dns.name.from_text(one.question.name.decode())
        assert (asked.rdtype, asked.rdclass) == (one.question.type, one.question.class_)
        assert row.time == one.seconds * 10**9 + one.micros * 1000
        assert row.length == one.size
        answers = one.type in (2, 4)
        assert (
            DNSTAP_KINDS[row.kind]
            == {
                1: "CLIENT_QUERY",
                2: "CLIENT_RESPONSE",
                3: "RESOLVER_QUERY",
                4: "RESOLVER_RESPONSE",
            }[one.type]
        )
        ends = (one.from_port, one.to_port)
        assert (row.source_port, row.destination_port) == (ends[::-1] if answers else ends)
        assert (row.source if answers else row.destination) == "127.0.0.1"
        assert row.identity == one.server.decode()
        assert row.flags == MessageFlag.PARTIAL | MessageFlag.CUT
        if answers:
            assert made.rcode() == one.response.rcode
            sent = one.response.query_seconds * 10**9 + one.response.query_micros * 1000
            assert row.other_time == sent


def test_real_log_tells_what_was_asked():
    """What the maker of the log asked, in that order, and what came of it."""
    from record import ASKED

    _, rows = read(HERE / "dnsdist.pb")
    made = [(row, dns.message.from_wire(row.octets)) for row in rows]
    outcome = [
        (one.question[0].name.to_text(), one.question[0].rdtype.name, int(one.rcode()))
        for row, one in made
        if row.octets[2] & 0x80
    ]
    assert outcome == [*ASKED, ("www.example.", "A", 0)]
    assert {row.transport for row, _ in made[-2:]} == {Transport.TCP}


LABEL = st.binary(min_size=1, max_size=20)


@QUIET
@given(
    st.lists(LABEL, max_size=8),
    st.integers(1, 4),
    st.integers(0, 4095),
    st.sampled_from([2, 4]),
    st.integers(0, 300),
)
def test_round_trip(tmp_path, labels, kind, rcode, width, records):
    name = dns.name.Name([*labels, b""])
    answer = {"rcode": rcode, "query_seconds": SECONDS - 1, "rrs": [{"name": b"x", "ttl": 5}]}
    answer["rrs"] *= records
    one = message(
        kind,
        question={"name": name.to_text().encode(), "type": 48, "class_": 1},
        **({"response": answer} if kind in (2, 4) else {}),
    )
    facts, rows = of(tmp_path, log(message(), one, width=width))
    made = dns.message.from_wire(rows[1].octets)
    assert made.question[0].name.labels == name.labels
    assert made.question[0].rdtype == 48
    assert made.rcode() == (rcode if kind in (2, 4) else 0)
    assert facts.packets == 2


def test_response_that_never_came_is_no_message(tmp_path):
    lost = message(4, response={"rcode": 65536})
    facts, rows = of(tmp_path, log(message(3), lost, message(2)))
    assert len(rows) == 1
    assert facts.other == 2
    assert facts.packets == 3


@pytest.mark.parametrize(
    "name",
    [b"", b"..", b".a", b"a..b", b"x" * 64, b"a." * 128, b"\\", b"\\1", b"\\25", b"\\256", b"a\\."],
)
def test_names_that_are_none(tmp_path, name):
    facts, rows = of(tmp_path, log(message(question={"name": name, "type": 1}), message()))
    (count,) = struct.unpack_from(">H", rows[0].octets, 4)
    if name == b"a\\.":
        assert rows[0].octets[12:16] == b"\x02a.\0"
    else:
        assert count == 0
    assert len(rows) == 2
    assert facts.packets == 2


def test_first_time(tmp_path):
    (tmp_path / "one.pb").write_bytes(log(message()))
    assert first_time(str(tmp_path / "one.pb")) == T0


STREAM = log(*(message(kind, id=kind, response={"rcode": 2}) for kind in (1, 2, 3, 4)))


def attempt(tmp_path, data, block=limits.BLOCK_OCTETS):
    try:
        return of(tmp_path, data, block)
    except InputError as error:
        assert error.reason  # noqa: PT017 - either end is right
        return None


def test_cut_at_every_offset_gives_a_prefix(tmp_path):
    whole = of(tmp_path, STREAM)[1]
    counts = []
    for size in range(len(STREAM)):
        result = attempt(tmp_path, STREAM[:size])
        if result is None:
            continue
        facts, rows = result
        assert rows == whole[: len(rows)]
        assert set(losses(facts)) <= {"file-cut", "exporter-omitted"}
        counts.append(len(rows))
    assert counts == sorted(counts)
    assert set(counts) == {1, 2, 3}


def test_flipped_octets_never_raise_and_windows_change_nothing(tmp_path):
    chance = random.Random(5)
    for _ in range(300):
        broken = bytearray(STREAM)
        for _ in range(chance.randint(1, 5)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        result = attempt(tmp_path, bytes(broken))
        small = attempt(tmp_path, bytes(broken), 97)
        assert (result is None) == (small is None)
        if result and small:
            assert result[1] == small[1]
            assert losses(result[0]) == losses(small[0])


def test_reading_goes_on_behind_damage(tmp_path):
    good = log(message(id=1), message(id=2))
    for rubbish in (b"\0\0\0\0", b"\xff\xff" * 30, b"\0\x05hello", bytes(range(256))):
        facts, rows = of(tmp_path, good + rubbish + good)
        assert [dns.message.from_wire(row.octets).id for row in rows] == [1, 2, 1, 2]
        assert losses(facts)["frame-length"] == 1
        (loss,) = [loss for loss in facts.losses.rows() if loss.reason.name == "FRAME_LENGTH"]
        assert (loss.offset, loss.octets) == (len(good), len(rubbish))
