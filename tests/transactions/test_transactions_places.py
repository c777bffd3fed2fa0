"""Who answered: places, their roles, and the bare places that an NSID stands for."""

from __future__ import annotations

import dns.flags
import pytest
from transaction_scene import Sent, block_of, run

from forensics import limits
from forensics.transactions.places import packed, places_table

AA, RA = dns.flags.AA, dns.flags.RA


def table_of(*sent: Sent, **words):
    _, (parsed,), matcher = run([block_of(list(sent))], **words)
    rows = {row["place"]: row for row in places_table(matcher.places).to_pylist()}
    return rows, parsed.place.tolist()


@pytest.mark.parametrize(
    ("flags", "role"),
    [((AA,), "server"), ((RA,), "resolver"), ((AA, AA, RA), "server"), ((AA | RA,), "unknown")],
)
def test_a_role_is_what_the_flags_say(flags, role):
    sent = [Sent(0, id=n).answer(n, flags=flag) for n, flag in enumerate(flags)]
    rows, numbers = table_of(*sent)
    assert {rows[number]["role"] for number in numbers} == {role}


def test_dnstap_and_the_users_word_stand_above_the_flags():
    rows, (number,) = table_of(Sent(0, True, flags=RA, kind=4))
    assert (rows[number]["role"], rows[number]["authority"]) == ("server", 1)
    rows, (number,) = table_of(Sent(0, True, flags=RA), servers=["198.51.100.53"])
    assert rows[number]["role"] == "server"


def test_instances_of_one_address_are_places_of_their_own():
    sent = [Sent(0, True, nsid=b"fra"), Sent(1, True, nsid=b"ams"), Sent(2, True)]
    rows, numbers = table_of(*sent)
    assert len(set(numbers)) == 3
    assert [rows[number]["nsid"] for number in numbers] == ["fra", "ams", None]
    # with two instances nothing tells which one the third response came from
    assert [rows[number]["fold"] for number in numbers] == numbers


def test_a_bare_place_folds_into_the_one_instance_of_its_address():
    sent = [Sent(0, True), Sent(1, True, nsid=b"fra"), Sent(2, True, server="192.0.2.99")]
    rows, (bare, named, other) = table_of(*sent)
    assert [rows[number]["fold"] for number in (bare, named, other)] == [named, named, other]


def test_places_beyond_the_limit_are_other():
    count = limits.PLACES + 10
    import numpy as np
    from transaction_scene import sliced

    block = sliced(block_of([Sent(0, True)]), 0, 1)
    for name in type(block).__slots__:
        if name not in ("octets", "capture", "identities"):
            setattr(block, name, np.repeat(getattr(block, name), count, axis=0))
    numbers = np.arange(count)
    block.source[:, 13] = numbers >> 16
    block.source[:, 14] = numbers >> 8 & 255
    block.source[:, 15] = numbers & 255
    _, (parsed,), matcher = run([block])
    assert int((parsed.place == 0).sum()) == 10
    assert places_table(matcher.places).num_rows == limits.PLACES + 1


def test_addresses_pack_into_sixteen_octets():
    assert packed("192.0.2.1") == bytes(10) + b"\xff\xff\xc0\x00\x02\x01"
    assert packed("2001:db8::1").hex() == "20010db8" + "0" * 23 + "1"
    with pytest.raises(ValueError, match="nonsense"):
        packed("nonsense")
