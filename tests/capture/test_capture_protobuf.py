"""The walk over protobuf fields against the unknown fields of the protobuf library."""

from __future__ import annotations

import struct
import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forensics import limits
from forensics.capture.protobuf import fields, put_address

ROOM = 18
VARINT, EIGHT, OCTETS, FOUR = 0, 1, 2, 5


def varint(number, padding=0):
    """A varint, perhaps longer than it need be."""
    low = [number >> 7 * place & 127 for place in range(max(1, -(-number.bit_length() // 7)))]
    low += [0] * min(padding, 10 - len(low))
    return bytes([*(octet | 128 for octet in low[:-1]), low[-1]])


@st.composite
def messages(draw):
    """Octets of fields of any number and wire type."""
    numbers = st.integers(1, ROOM + 2) | st.integers(1, 2**29 - 1)
    out = b""
    for _ in range(draw(st.integers(0, 12))):
        wire = draw(st.sampled_from((VARINT, EIGHT, OCTETS, FOUR)))
        # The library takes tags of at most five octets.
        out += varint(draw(numbers) << 3 | wire)
        if wire == VARINT:
            value = draw(st.integers(0, 300) | st.integers(0, 2**64 - 1))
            out += varint(value, draw(st.integers(0, 2)))
        elif wire == OCTETS:
            held = draw(st.binary(max_size=4) | st.binary(min_size=120, max_size=140))
            out += varint(len(held)) + held
        else:
            out += draw(st.binary(min_size=(size := 8 if wire == EIGHT else 4), max_size=size))
    return out


def by_the_library(octets):
    """The last value of each field below `ROOM`, by number; None: the library refuses them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google.protobuf import empty_pb2, message, unknown_fields

    held = empty_pb2.Empty()
    try:
        held.ParseFromString(octets)
    except message.DecodeError:
        return None
    found = {}
    for one in unknown_fields.UnknownFieldSet(held):
        if one.field_number < ROOM:
            low = one.data if one.wire_type in (VARINT, OCTETS) else one.data & 0xFFFFFFFF
            found[one.field_number] = low
    return found


def by_us(octets, before=b"\xff\xff", behind=b"\x01\x01"):
    """The same by the kernel, the message standing between other octets."""
    window = np.frombuffer(before + octets + behind, np.uint8)
    value, size = np.zeros(ROOM, np.int64), np.zeros(ROOM, np.int64)
    if not fields(window, len(before), len(before) + len(octets), value, size):
        return None
    found = {}
    for number in np.flatnonzero(size != -1):
        at, length = int(value[number]), int(size[number])
        is_number = length == -2
        found[int(number)] = at % 2**64 if is_number else window[at : at + length].tobytes()
    return found


@given(messages())
def test_well_formed_messages_are_read_as_the_library_reads_them(octets):
    expected = by_the_library(octets)
    assert expected is not None
    assert by_us(octets) == expected


@given(messages(), st.data())
def test_what_is_cut_off_is_refused_where_the_library_refuses_it(octets, data):
    cut = octets[: data.draw(st.integers(0, len(octets)))]
    assert by_us(cut) == by_the_library(cut)


def test_more_fields_than_the_limit_are_refused():
    most = limits.PROTOBUF_FIELDS
    assert by_us(b"\x08\x07" * (most - 1)) == {1: 7}
    assert by_us(b"\x08\x07" * (most + 1)) is None


def test_wire_types_and_numbers_that_do_not_exist_are_refused():
    for octets in (b"\x0b", b"\x0c", b"\x0e", b"\x0f", b"\x00\x01", b"\x02\x01a"):
        assert by_us(octets) is None
    assert by_us(b"\x08" + b"\x80" * 10 + b"\x01") is None


@given(st.binary(max_size=20), st.integers(0, 2))
def test_addresses_are_written_whole(octets, row):
    target = np.full(3 * 16, 0xAA, np.uint8)
    put_address(np.frombuffer(b"x" + octets, np.uint8), 1, len(octets), target, row)
    whole = {4: bytes(10) + b"\xff\xff" + octets, 16: octets}.get(len(octets), bytes(16))
    rows = target.reshape(3, 16)
    assert rows[row].tobytes() == whole
    assert (np.delete(rows, row, 0) == 0xAA).all()


def test_the_helper_writes_varints_as_the_format_has_them():
    assert varint(300) == struct.pack("BB", 0xAC, 0x02)
    assert varint(1, 2) == b"\x81\x80\x00"
