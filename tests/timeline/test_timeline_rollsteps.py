"""Rolls: the four steps that can come too early, by how much, and what must not be accused."""

from __future__ import annotations

from timeline_scene import ns

from forensics.timeline.keysets import Key
from forensics.timeline.moments import Moment
from forensics.timeline.rollover import recognise
from forensics.timeline.rollsteps import Set, Signed, early_steps

SECOND = 10**9
KSK1, KSK2 = Key(1, 13, 257, b"a"), Key(2, 13, 257, b"b")
ZSK1, ZSK2 = Key(11, 13, 256, b"c"), Key(12, 13, 256, b"d")
DS1, DS2 = Key(1, 13, 2, b"x"), Key(2, 13, 2, b"y")


def at(second: float) -> Moment:
    return Moment(ns(second), 0, 1)


def held(first: float, last: float, ttl: int, *keys: Key) -> Set:
    return Set(frozenset(keys), at(first), at(last), ttl)


def alone(key: Key, first: float, last: float, ttl: int = 20, *, over_keys: bool = False) -> Signed:
    return Signed(key, over_keys, at(first), (at(first), at(last)), False, ttl)


def steps(*parts) -> list[tuple[str, int, int]]:
    return [(step.kind, step.tag, step.early // SECOND) for step in early_steps(*parts)]


ROLLED = (
    held(0, 20, 30, KSK1, ZSK1),
    held(21, 90, 30, KSK1, ZSK1, ZSK2),
    held(91, 99, 30, KSK1, ZSK2),
)


def test_pre_publication_that_waits_for_each_ttl_is_safe() -> None:
    signed = [alone(ZSK1, 0, 60), alone(ZSK2, 61, 99)]
    assert steps(ROLLED, [held(0, 99, 30, DS1)], signed) == []


def test_a_key_that_signs_before_caches_let_go_of_the_old_key_set() -> None:
    # The set without it was last seen at 20, and is held for 30 s; it signs at 25.
    signed = [alone(ZSK1, 0, 24), alone(ZSK2, 25, 99)]
    assert steps(ROLLED, [], signed) == [("sign", 12, 25)]


def test_double_signatures_need_no_wait() -> None:
    signed = [
        alone(ZSK1, 0, 24),
        Signed(ZSK2, False, at(25), (at(60), at(99)), True, 20),  # until 60 with the old one's
    ]
    assert steps(ROLLED, [], signed) == []


def test_a_key_that_goes_while_caches_hold_its_signatures() -> None:
    signed = [alone(ZSK1, 0, 85), alone(ZSK2, 61, 99)]
    assert steps(ROLLED, [], signed) == [("withdraw-zsk", 11, 14)]


def test_a_key_signing_key_that_goes_while_caches_hold_its_ds() -> None:
    """The .nz outage: the DS is exchanged, and the old key leaves before its TTL is over."""
    dnskeys = [
        held(0, 10, 8, KSK1, ZSK1),
        held(11, 40, 8, KSK1, KSK2, ZSK1),
        held(44, 99, 8, KSK2, ZSK1),
    ]
    delegations = [held(0, 38, 30, DS1), held(39, 99, 30, DS2)]
    assert steps(dnskeys, delegations, []) == [("withdraw-ksk", 1, 24)]
    later = [*dnskeys[:1], held(11, 70, 8, KSK1, KSK2, ZSK1), held(71, 99, 8, KSK2, ZSK1)]
    assert steps(later, delegations, []) == []


def test_a_ds_that_goes_over_to_a_key_that_caches_do_not_know_yet() -> None:
    dnskeys = [held(0, 10, 60, KSK1), held(11, 99, 60, KSK1, KSK2)]
    delegations = [held(0, 15, 30, DS1), held(20, 99, 30, DS2)]
    assert steps(dnskeys, delegations, []) == [("change-ds", 2, 50)]
    assert steps(dnskeys, [held(0, 15, 30, DS1), held(20, 99, 30, DS1, DS2)], []) == []


def test_keys_that_go_while_the_ds_is_cached() -> None:
    dnskeys = [held(0, 17, 8, KSK1, ZSK1), held(20, 20, 0)]
    assert steps(dnskeys, [held(0, 16, 30, DS1)], []) == [("withdraw-ksk", 1, 26)]


def test_servers_that_take_a_key_set_one_after_the_other_are_no_withdrawal() -> None:
    """One server shows the set without a key while another still has it: it is on its way in."""
    dnskeys = [held(0, 30, 60, KSK1, ZSK1), held(25, 99, 60, KSK1, ZSK1, ZSK2)]
    assert steps(dnskeys, [], [alone(ZSK1, 0, 99)]) == []


def test_a_signer_that_was_never_published_is_no_roll() -> None:
    assert steps([held(0, 99, 60, KSK1, ZSK1)], [], [alone(ZSK2, 50, 99)]) == []


def method(dnskeys, delegations=(), signed=()) -> tuple[str, str | None]:
    roll = recognise([], dnskeys, delegations, signed)
    assert roll is not None
    return roll.kind, roll.method


def test_rolls_are_named_by_rfc_7583() -> None:
    ds = [held(0, 99, 8, DS1)]
    assert method(ROLLED, ds) == ("zsk", "Pre-Publication")
    double = [Signed(ZSK2, False, at(25), None, True, 20)]
    assert method(ROLLED, ds, double) == ("zsk", "Double-Signature")
    both = [held(0, 10, 8, KSK1, ZSK1), held(11, 99, 8, KSK1, KSK2, ZSK1)]
    late = [held(0, 40, 8, DS1), held(41, 99, 8, DS2)]
    assert method(both, late) == ("ksk", "Double-KSK")
    assert method(both, [held(0, 10, 8, DS1), held(11, 99, 8, DS1, DS2)]) == ("ksk", "Double-RRset")
    swapped = [held(0, 60, 8, KSK1, ZSK1), held(61, 99, 8, KSK2, ZSK1)]
    early = [held(0, 20, 8, DS1), held(21, 90, 8, DS1, DS2), held(91, 99, 8, DS2)]
    assert method(swapped, early) == ("ksk", "Double-DS")
    assert method([held(0, 9, 8, KSK1, ZSK1), held(10, 99, 8, KSK2, ZSK2)], ds) == ("all", None)
    assert recognise([], [held(0, 99, 8, KSK1)], [], []) is None


def test_a_flood_of_key_sets_costs_no_more_than_pairs_of_them() -> None:
    keys = [Key(number, 13, 257, bytes([number % 256, number // 256])) for number in range(600)]
    flood = [held(number, number + 1, 30, key) for number, key in enumerate(keys)]
    delegations = [held(number, number + 1, 30, key) for number, key in enumerate(keys)]
    calls = 0

    class Counted(frozenset[Key]):
        def __iter__(self):
            nonlocal calls
            calls += 1
            return super().__iter__()

    counted = [one._replace(keys=Counted(one.keys)) for one in flood]
    assert early_steps(counted, [one._replace(keys=Counted(one.keys)) for one in delegations], [])
    assert calls < 4 * len(flood) * len(delegations)
