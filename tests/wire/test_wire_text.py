"""Names as dnspython writes them, addresses as ipaddress writes them."""

from __future__ import annotations

import ipaddress

import dns.name
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.wire.jit import octets
from forensics.wire.text import address_texts, name_texts, octet_texts, side_by_side_texts


def laid_out(strings: list[bytes]):
    lengths = np.array([len(one) for one in strings], np.int64)
    return octets(b"".join(strings)), np.cumsum(lengths) - lengths, lengths


@st.composite
def wire_names(draw):
    labels = draw(st.lists(st.binary(min_size=1, max_size=63), max_size=8))
    name = b""
    for label in labels:
        if len(name) + len(label) + 2 > 255:
            break
        name += bytes([len(label)]) + label
    return name + b"\0"


@settings(max_examples=100, deadline=None)
@given(st.lists(wire_names(), max_size=10))
def test_names_are_written_as_dnspython_writes_them_in_lower_case(names):
    expected = [dns.name.from_wire(name, 0)[0].canonicalize().to_text() for name in names]
    assert name_texts(*laid_out(names)).to_pylist() == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(min_size=16, max_size=16),
            st.lists(
                st.sampled_from([b"\0\0", b"\0\1", b"\xff\xff", b"\x0a\x0b"]),
                min_size=8,
                max_size=8,
            ).map(b"".join),
        ),
        max_size=20,
    )
)
def test_addresses_are_written_as_ipaddress_writes_them(addresses):
    expected = []
    for address in addresses:
        parsed = ipaddress.IPv6Address(address)
        expected.append(str(parsed.ipv4_mapped or parsed))
    octets, starts, lengths = laid_out(addresses)
    assert address_texts(octets, starts, lengths).to_pylist() == expected
    assert side_by_side_texts(octets, len(addresses)).to_pylist() == expected
    with pytest.raises(IndexError):
        side_by_side_texts(octets, len(octets) // 16 + 1)


def test_octets_keep_what_prints_and_escape_the_rest():
    written = octet_texts(*laid_out([b"gpdns-fra", b"a\\b", b"\x00\x7f\xff ", b""])).to_pylist()
    assert written == ["gpdns-fra", "a\\\\b", "\\000\\127\\255 ", ""]


def test_a_hostile_name_is_written_as_far_as_it_parses():
    # a label that runs past the end, a compression pointer, nothing at all
    written = name_texts(*laid_out([b"\x01a\x3fbc", b"\x01a\xc0\x0c", b""])).to_pylist()
    assert written == ["a.", "a.", "."]


@pytest.mark.parametrize(("start", "length"), [(0, 5), (-1, 2), (3, -1)])
def test_a_string_outside_its_octets_is_refused(start, length):
    with pytest.raises(IndexError):
        name_texts(octets(b"\1a\0"), np.array([start]), np.array([length]))
