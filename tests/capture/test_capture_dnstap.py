"""dnstap against frames encoded by the protobuf library."""

from __future__ import annotations

import ipaddress
import struct
import warnings
from functools import cache
from pathlib import Path

import pytest
from capture_files import T0, control, losses, query, read, response, stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.vocabulary import DNSTAP_KINDS, TRANSPORTS

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_NUMBER = {"uint64": 4, "uint32": 13, "fixed32": 7, "bytes": 12}
_FIELDS = (
    ("type", 1, "uint32"),
    ("socket_family", 2, "uint32"),
    ("socket_protocol", 3, "uint32"),
    ("query_address", 4, "bytes"),
    ("response_address", 5, "bytes"),
    ("query_port", 6, "uint32"),
    ("response_port", 7, "uint32"),
    ("query_time_sec", 8, "uint64"),
    ("query_time_nsec", 9, "fixed32"),
    ("query_message", 10, "bytes"),
    ("query_zone", 11, "bytes"),
    ("response_time_sec", 12, "uint64"),
    ("response_time_nsec", 13, "fixed32"),
    ("response_message", 14, "bytes"),
)


@cache
def _classes():
    """The message classes of dnstap.proto, built from its field numbers and types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="dnstap_test.proto", package="t", syntax="proto2"
    )
    message = file.message_type.add(name="Message")
    for name, number, kind in _FIELDS:
        message.field.add(name=name, number=number, type=_NUMBER[kind], label=1)
    outer = file.message_type.add(name="Dnstap")
    for name, number in (("identity", 1), ("version", 2), ("extra", 3)):
        outer.field.add(name=name, number=number, type=12, label=1)
    outer.field.add(name="message", number=14, type=11, type_name=".t.Message", label=1)
    outer.field.add(name="type", number=15, type=13, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = (pool.FindMessageTypeByName("t.Dnstap"), pool.FindMessageTypeByName("t.Message"))
    return tuple(message_factory.GetMessageClass(one) for one in found)


def frame(identity=b"ns1", version=b"server 1.0", kind=1, **values):
    """A Dnstap frame with a message of these fields."""
    outer, inner = _classes()
    message = inner(**values)
    whole = outer(message=message, type=kind)
    if identity is not None:
        whole.identity = identity
        whole.version = version
    return whole.SerializeToString()


def of(tmp_path, data, block=limits.BLOCK_OCTETS):
    path = tmp_path / "capture.dnstap"
    path.write_bytes(data)
    return read(path, block)


def packed(address):
    return ipaddress.ip_address(address).packed


CLIENT = {
    "socket_family": 1,
    "socket_protocol": 1,
    "query_address": packed("192.0.2.1"),
    "response_address": packed("198.51.100.2"),
    "query_port": 40000,
    "response_port": 53,
    "query_time_sec": T0 // 10**9,
    "query_time_nsec": 5,
}


@pytest.mark.parametrize("kind", range(1, 15))
def test_every_message_type_and_direction(tmp_path, kind):
    is_response = kind % 2 == 0
    values = dict(CLIENT, type=kind)
    if is_response:
        values |= {
            "response_message": response(),
            "response_time_sec": T0 // 10**9 + 1,
            "response_time_nsec": 7,
        }
    else:
        values["query_message"] = query()
    facts, (row,) = of(tmp_path, stream([frame(**values)]))
    initiator, responder = ("192.0.2.1", 40000), ("198.51.100.2", 53)
    source, destination = (responder, initiator) if is_response else (initiator, responder)
    assert (row.source, row.source_port) == source
    assert (row.destination, row.destination_port) == destination
    assert row.kind == kind
    assert DNSTAP_KINDS[row.kind].endswith("RESPONSE" if is_response else "QUERY")
    assert row.octets == (response() if is_response else query())
    assert row.length == len(row.octets)
    assert row.time == (T0 + 10**9 + 7 if is_response else T0 + 5)
    assert row.other_time == (T0 + 5 if is_response else 0)
    assert row.identity == "ns1"
    assert row.frame == 1
    assert losses(facts) == {}
    assert (facts.format, facts.link_types, facts.packets) == ("dnstap", [], 1)


def test_query_and_response_in_one_frame_are_two_rows(tmp_path):
    values = dict(
        CLIENT,
        type=6,
        query_message=query(),
        response_message=response(),
        response_time_sec=T0 // 10**9,
        response_time_nsec=900,
    )
    facts, rows = of(tmp_path, stream([frame(**values)]))
    assert [(row.kind, row.time, row.source_port) for row in rows] == [
        (5, T0 + 5, 40000),
        (6, T0 + 900, 53),
    ]
    assert [row.octets for row in rows] == [query(), response()]
    assert (facts.packets, facts.messages) == (1, 2)


@pytest.mark.parametrize("protocol", range(1, 8))
def test_socket_protocols_are_transports(tmp_path, protocol):
    values = dict(CLIENT, type=5, query_message=query(), socket_protocol=protocol)
    _, (row,) = of(tmp_path, stream([frame(**values)]))
    names = {1: "udp", 2: "tcp", 3: "dot", 4: "doh", 5: "dnscrypt-udp", 6: "dnscrypt-tcp", 7: "doq"}
    assert TRANSPORTS[row.transport] == names[protocol]


def test_absent_fields_are_zero(tmp_path):
    _, (row,) = of(tmp_path, stream([frame(identity=None, type=5, query_message=query())]))
    assert (row.source, row.destination) == ("::", "::")
    assert (row.source_port, row.destination_port, row.time, row.identity) == (0, 0, 0, "")


def test_missing_response_time_falls_back_to_the_query_time(tmp_path):
    values = dict(CLIENT, type=6, response_message=response())
    _, (row,) = of(tmp_path, stream([frame(**values)]))
    assert (row.time, row.other_time) == (T0 + 5, 0)


def test_addresses_of_ipv6_and_of_no_sensible_length(tmp_path):
    six = dict(CLIENT, type=5, query_message=query(), query_address=packed("2001:db8::7"))
    odd = dict(CLIENT, type=5, query_message=query(), query_address=b"\1\2\3")
    _, rows = of(tmp_path, stream([frame(**six), frame(**odd)]))
    assert [row.source for row in rows] == ["2001:db8::7", "::"]


def test_identities_are_numbered_in_order_of_appearance(tmp_path):
    names = [b"a", b"b", b"a", b"\xff\xfe", b"c" * 300, b"b"]
    frames = [frame(identity=name, type=5, query_message=query(), **CLIENT) for name in names]
    _, rows = of(tmp_path, stream(frames))
    assert [row.identity for row in rows] == ["a", "b", "a", "\\xff\\xfe", "c" * 300, "b"]


def test_identities_beyond_the_limit_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "IDENTITIES", 3)
    frames = [
        frame(identity=f"ns{i}".encode(), type=5, query_message=query(), **CLIENT) for i in range(5)
    ]
    facts, rows = of(tmp_path, stream(frames))
    assert [row.identity for row in rows] == ["ns0", "ns1", "ns2", "", ""]
    assert losses(facts) == {"identity-limit": 2}


@QUIET
@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.integers(1, 14)},
            optional={
                "socket_family": st.integers(0, 3),
                "socket_protocol": st.integers(1, 7),
                "query_address": st.sampled_from([b"\1\2\3\4", bytes(range(16))]),
                "response_address": st.sampled_from([b"\5\2\3\4", bytes(range(1, 17))]),
                "query_port": st.integers(0, 65535),
                "response_port": st.integers(0, 65535),
                "query_time_sec": st.integers(1, 2**33),
                "query_time_nsec": st.integers(0, 10**9 - 1),
                "query_message": st.binary(min_size=12, max_size=200),
                "query_zone": st.binary(max_size=20),
                "response_time_sec": st.integers(1, 2**33),
                "response_time_nsec": st.integers(0, 10**9 - 1),
                "response_message": st.binary(min_size=12, max_size=200),
            },
        ),
        max_size=10,
    ),
    st.sampled_from([limits.BLOCK_OCTETS, 64]),
)
def test_round_trip(tmp_path, drawn, block):
    facts, rows = of(tmp_path, stream([frame(**values) for values in drawn]), block)
    expected = []
    for number, values in enumerate(drawn, 1):
        for name, other in (("query", "response"), ("response", "query")):
            if f"{name}_message" not in values:
                continue
            times = [
                values[f"{side}_time_sec"] * 10**9 + values.get(f"{side}_time_nsec", 0)
                for side in (name, other)
                if f"{side}_time_sec" in values
            ]
            expected.append(
                (
                    number,
                    values[f"{name}_message"],
                    times[0] if times else 0,
                    values.get(f"{name}_port", 0),
                    TRANSPORTS[values.get("socket_protocol", 1) - 1],
                )
            )
    found = [
        (row.frame, row.octets, row.time, row.source_port, TRANSPORTS[row.transport])
        for row in rows
    ]
    assert found == expected
    assert facts.packets == len(drawn)


def test_bidirectional_stream_and_stream_without_stop(tmp_path):
    one = frame(type=5, query_message=query(), **CLIENT)
    data = struct.pack(">I", len(one)) + one
    both = control(4) + control(1) + control(2) + data + control(3, b"") + control(5, b"")
    assert len(of(tmp_path, both)[1]) == 1
    facts, rows = of(tmp_path, stream([one], stop=False))
    assert (len(rows), losses(facts)) == (1, {})


def test_streams_one_after_another(tmp_path):
    one = stream([frame(type=5, query_message=query(), **CLIENT)])
    other = control(2, b"protobuf:something.Else") + control(3, b"")
    facts, rows = of(tmp_path, one + one + other)
    assert [row.frame for row in rows] == [1, 2]
    assert losses(facts) == {"content-type": 1}


def test_cut_final_frame(tmp_path):
    one = frame(type=5, query_message=query(), **CLIENT)
    data = stream([one, one], stop=False)
    for cut in range(1, len(one) + 4):
        facts, rows = of(tmp_path, data[:-cut])
        assert len(rows) == 1
        assert losses(facts) == {"file-cut": 1}


@pytest.mark.parametrize("size", [2**32 - 1, 2**31, limits.RECORD_OCTETS + 1])
def test_absurd_frame_length_is_a_loss_and_reading_goes_on(tmp_path, size):
    one = frame(type=5, query_message=query(), **CLIENT)
    good = struct.pack(">I", len(one)) + one
    data = stream([one], stop=False) + struct.pack(">I", size) + b"garbage" + good + good
    facts, rows = of(tmp_path, data)
    assert len(rows) == 3
    (loss,) = facts.losses.rows()
    assert losses(facts) == {"frame-length": 1}
    assert loss.octets == 4 + len(b"garbage")
    assert str(size) in loss.detail


def test_frames_that_are_no_dnstap_message(tmp_path):
    short = frame(type=5, query_message=b"\0" * 11)
    nothing = frame(type=5)
    wrong = frame(type=77, query_message=query())
    odd = frame(kind=2, type=5, query_message=query())
    good = frame(type=5, query_message=query())
    frames = [b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", short, nothing, wrong, odd, good]
    facts, rows = of(tmp_path, stream(frames))
    assert [row.frame for row in rows] == [7]
    assert losses(facts)["protobuf-malformed"] == 3
    assert losses(facts)["message-short"] == 1
    assert (facts.packets, facts.other) == (7, 2)


@QUIET
@given(st.binary(max_size=80))
def test_any_octets_as_a_frame(tmp_path, octets):
    good = frame(type=5, query_message=query())
    facts, rows = of(tmp_path, stream([octets, good] if octets else [good]))
    assert rows[-1].octets == query()
    assert facts.packets == (2 if octets else 1)


WHEN = ("query_time_sec", "query_time_nsec")
UNTIMED = {name: value for name, value in CLIENT.items() if name not in WHEN}
ANSWER = {"response_time_sec": T0 // 10**9, "response_time_nsec": 9_000_000}


@pytest.mark.parametrize(
    ("order", "asker"),
    [(1, CLIENT), (-1, CLIENT), (1, UNTIMED)],
    ids=["query first", "response first", "response without query time"],
)
def test_query_beside_its_response_and_in_its_own_frame_counts_once(tmp_path, order, asker):
    own = frame(type=5, query_message=query(), **CLIENT)
    both = frame(type=6, query_message=query(), response_message=response(), **asker, **ANSWER)
    facts, rows = of(tmp_path, stream([own, both][::order]))
    assert sorted(row.kind for row in rows) == [5, 6]
    assert (facts.packets, facts.messages, facts.duplicates, facts.other) == (2, 2, 1, 0)


def test_queries_sent_again_are_no_repeats(tmp_path):
    """Retransmissions, each with a response frame that names its own query time."""
    frames = []
    for second in (1, 2, 3):
        when = {**UNTIMED, "query_time_sec": second}
        frames.append(frame(type=5, query_message=query(), **when))
    for second in (1, 2, 3):
        when = {**UNTIMED, "query_time_sec": second, **ANSWER}
        frames.append(frame(type=6, query_message=query(), response_message=response(), **when))
    facts, rows = of(tmp_path, stream(frames), 400)
    assert [row.kind for row in rows] == [5, 5, 5, 6, 6, 6]
    assert facts.duplicates == 3
    # The same octets from another port are another query.
    other = frame(type=6, query_message=query(), **{**CLIENT, "query_port": 40001, **ANSWER})
    first = frame(type=5, query_message=query(), **CLIENT)
    assert len(of(tmp_path, stream([first, other]))[1]) == 2
    # And two frames of one kind are two queries, as the server says.
    assert len(of(tmp_path, stream([first, first]))[1]) == 2


SHARED = Path(__file__).resolve().parents[3] / "shared" / "captures"
SAMPLES = {
    # DNS-OARC dsc: dnsdist over UDP, DoT and DoH
    "DNS-OARC+dsc/src/test/dotdoh.dnstap": ([5, 6, 5, 6, 5, 6, 5], ["udp", "dot", "doh"]),
    "DNS-OARC+dsc/src/test/test.dnstap": ([11, 12], ["udp"]),
    "dmachard+go-dnscollector/tests/testsdata/dnstap/dnstap.fstrm": ([5, 6], ["udp"]),
    # BIND: a response alone, without the initiator's port
    "isc-projects+bind9/bin/tests/system/dnstap/large-answer.fstrm": ([2], ["udp"]),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared/captures beside the repository")
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_what_other_servers_and_collectors_write(name):
    """Kinds and transports as the catalogue of those files counts them."""
    kinds, transports = SAMPLES[name]
    facts, rows = read(SHARED / name)
    assert sorted(row.kind for row in rows) == sorted(kinds)
    assert {TRANSPORTS[row.transport] for row in rows} == set(transports)
    assert losses(facts) == {}
    assert facts.packets == len(kinds)
