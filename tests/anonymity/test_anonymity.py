"""Anonymous clients: the published vectors, prefixes kept, and nothing of a client left behind."""

from __future__ import annotations

import ipaddress

import dns.edns
import dns.message
import dns.rdatatype
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.anonymity import _subnets_mapped, mapping
from forensics.cryptopan import CryptoPan, read_key
from forensics.errors import UsageError

KEY = bytes(
    [21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
     216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2]
)  # fmt: skip
"""The key of the sample that the authors published with their program."""
PAN = CryptoPan(KEY)


def test_the_authors_own_vectors() -> None:
    assert mapping(["128.11.68.132", "129.118.74.4", "130.132.252.244", "141.223.7.43"], PAN) == {
        "128.11.68.132": "135.242.180.132",
        "129.118.74.4": "134.136.186.123",
        "130.132.252.244": "133.68.164.234",
        "141.223.7.43": "141.167.8.160",
    }


def _common(first: bytes, second: bytes) -> int:
    bits = [np.unpackbits(np.frombuffer(octets, np.uint8)) for octets in (first, second)]
    return int(np.argmax(np.append(bits[0] != bits[1], True)))


@given(
    st.sampled_from([4, 16]).flatmap(lambda w: st.tuples(*[st.binary(min_size=w, max_size=w)] * 2))
)
def test_two_addresses_share_as_long_a_prefix_as_before(pair) -> None:
    rows = np.frombuffer(b"".join(pair), np.uint8).reshape(2, -1)
    first, second = (row.tobytes() for row in PAN.addresses(rows))
    assert _common(first, second) == _common(*pair)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 128))
def test_a_mapped_subnet_holds_the_mapped_address(address, bits) -> None:
    subnet = np.unpackbits(np.frombuffer(PAN.prefix(address, bits), np.uint8))
    whole = np.unpackbits(PAN.addresses(np.frombuffer(address, np.uint8)[None])[0])
    assert (subnet[:bits] == whole[:bits]).all()
    assert not subnet[bits:].any()


@pytest.mark.parametrize(
    ("address", "bits"), [("192.0.2.77", 24), ("2001:db8:1:2::", 56), ("198.51.100.0", 0)]
)
def test_a_client_subnet_is_mapped_and_the_rest_of_the_message_stays(address, bits) -> None:
    query = dns.message.make_query("www.example.", "A", want_dnssec=True, payload=1232)
    query.use_edns(options=[dns.edns.GenericOption(3, b""), dns.edns.ECSOption(address, bits)])
    was = dns.message.from_wire(query.to_wire())
    now = dns.message.from_wire(_subnets_mapped(query.to_wire(), PAN) or b"")
    assert now.question == was.question
    (_, old), (_, new) = was.options, now.options
    assert (new.srclen, new.family) == (old.srclen, old.family)
    packed = ipaddress.ip_address(old.address).packed
    assert ipaddress.ip_address(new.address).packed == PAN.prefix(packed, bits)


@given(st.binary(max_size=200))
def test_no_message_breaks_the_mapping_of_subnets(message) -> None:
    found = _subnets_mapped(bytes(12) + message, PAN)
    assert found is None or len(found) == len(message) + 12


@pytest.mark.parametrize("content", [b"", b"short", b"z" * 64, bytes(33)])
def test_a_bad_key_is_refused_before_any_work(tmp_path, content) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="head -c 32"):
        read_key(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_key(tmp_path / "missing")
