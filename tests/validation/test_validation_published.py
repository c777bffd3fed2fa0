"""Whether the key was published then: each rule in both directions."""

from __future__ import annotations

import pytest
from validation_world import Signer, World, said, verdict, with_one_tag

ZONE = "example."
OLD = Signer(ZONE)
NEW = Signer(ZONE)
KSK = Signer(ZONE, 257)

VALID = ("valid", "none")
MISSING = ("bogus", "dnskey-missing")
INVALID = ("bogus", "signature-invalid")
UNKNOWN = ("indeterminate", "dnskey-not-captured")


def test_a_steady_key_set_is_one_row_for_all_places() -> None:
    world = World()
    for place in range(3):
        world.serve(ZONE, [KSK, OLD], 0, 100, place=place)
    signature = world.sign(OLD)
    for place in range(4):
        world.see(signature, 0, 200, place=place)
    found = world.judge()
    assert found.verdicts.num_rows == 1
    row = verdict(found, signature, 50, 3)
    assert (row["status"], row["reason"], row["place"], row["later"]) == (
        "valid",
        "none",
        -1,
        False,
    )
    assert row["keys"] == [OLD.key_id]
    assert found.checks.to_pylist() == [
        {
            "signature": 0,
            "key_id": OLD.key_id,
            "key_tag": OLD.tag,
            "algorithm": 13,
            "verifies": True,
        }
    ]


def test_a_key_lacking_before_and_after_at_the_same_server_is_missing() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, 100)
    signature = world.see(world.sign(NEW), 50)
    found = world.judge()
    # The key was never seen at all, so nothing can have verified it.
    assert said(found, signature, 50) == MISSING
    assert verdict(found, signature, 50)["confidence"] == "strong"


def test_a_lack_on_two_different_servers_proves_nothing() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, place=0)
    world.serve(ZONE, [KSK, OLD], 100, place=1)
    signature = world.sign(NEW)
    for place in range(3):
        world.see(signature, 50, place=place)
    found = world.judge()
    assert [said(found, signature, 50, place) for place in range(3)] == [UNKNOWN] * 3


def test_the_key_set_of_the_same_burst_proves_its_lack() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 53)
    signature = world.sign(NEW)
    world.see(signature, 50)
    world.see(signature, 50, place=1)
    found = world.judge()
    assert said(found, signature, 50, 0) == MISSING
    assert said(found, signature, 50, 1) == UNKNOWN
    far = World()
    far.serve(ZONE, [KSK, OLD], 56)
    signature = far.see(far.sign(NEW), 50)
    assert said(far.judge(), signature, 50) == UNKNOWN


def test_a_prepublish_roll_within_a_gap_of_two_sightings_is_valid_later() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0)
    world.serve(ZONE, [KSK, OLD, NEW], 1000)
    early, late = world.see(world.sign(NEW), 500), world.see(world.sign(NEW, "b.example."), 1500)
    found = world.judge()
    assert said(found, early, 500) == VALID
    assert verdict(found, early, 500)["later"]
    assert said(found, late, 1500) == VALID
    assert not verdict(found, late, 1500)["later"]


def test_a_withdrawn_key_stays_good_in_the_gap_and_goes_missing_behind_it() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD, NEW], 0)
    world.serve(ZONE, [KSK, NEW], 1000, 2000)
    signature = world.see(world.sign(OLD), 500, 1500)
    found = world.judge()
    assert said(found, signature, 500) == VALID
    assert said(found, signature, 1500) == MISSING


def test_a_lagging_secondary_is_not_accused_while_another_server_shows_the_key() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, 1000, place=0)
    world.serve(ZONE, [KSK, OLD], 0, 100, place=1)
    world.serve(ZONE, [KSK, OLD, NEW], 400, 1000, place=1)
    signature = world.sign(NEW)
    for place in (0, 1, 2):
        world.see(signature, 500, place=place)
    found = world.judge()
    assert [said(found, signature, 500, place) for place in (0, 1, 2)] == [VALID] * 3
    assert verdict(found, signature, 500, 0)["confidence"] == "weak"


def test_a_server_that_lacks_the_key_before_any_shows_it_is_accused() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, 300, place=0)
    world.serve(ZONE, [KSK, OLD, NEW], 400, 1000, place=1)
    signature = world.see(world.sign(NEW), 200)
    assert said(world.judge(), signature, 200) == MISSING


def test_a_repair_that_publishes_the_culprit_clears_nothing() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, 100)
    world.serve(ZONE, [KSK, OLD, NEW], 1000, 2000)
    first = world.see(world.sign(NEW), 50)
    other = world.see(world.sign(NEW, "b.example."), 500, 1500)
    found = world.judge()
    assert said(found, first, 50) == MISSING
    # Proven at 50, so the same signer's signatures stay bogus until a key set holds the key.
    assert said(found, other, 500) == MISSING
    assert verdict(found, other, 500)["confidence"] == "weak"
    assert said(found, other, 999) == MISSING
    assert said(found, other, 1000) == VALID


def test_without_proof_before_the_repair_reads_as_a_roll() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, 100)
    world.serve(ZONE, [KSK, OLD, NEW], 1000, 2000)
    signature = world.see(world.sign(NEW), 500, 1500)
    found = world.judge()
    assert said(found, signature, 500) == VALID
    assert verdict(found, signature, 500)["later"]


def test_no_key_set_at_all_is_indeterminate() -> None:
    world = World()
    signature = world.see(world.sign(OLD), 0, 10)
    found = world.judge()
    assert said(found, signature, 5) == UNKNOWN
    assert found.checks.num_rows == 0


@pytest.mark.parametrize("seen", [-1000, 1000])
def test_one_far_sighting_that_lacks_the_key_is_indeterminate(seen: int) -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], seen)
    signature = world.see(world.sign(NEW), 0)
    assert said(world.judge(), signature, 0) == UNKNOWN


def test_a_signature_seen_only_before_or_only_after_its_key_set_is_valid() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD], 100)
    before, after = world.see(world.sign(OLD), 0), world.see(world.sign(OLD, "b.example."), 500)
    near = world.see(world.sign(OLD, "c.example."), 97)
    found = world.judge()
    assert [said(found, s, t) for s, t in ((before, 0), (after, 500), (near, 97))] == [VALID] * 3
    later = [verdict(found, s, t)["later"] for s, t in ((before, 0), (after, 500), (near, 97))]
    assert later == [True, False, False]


def test_three_keys_with_one_tag_and_one_published() -> None:
    one, two, three = with_one_tag(ZONE)
    assert one.tag == two.tag == three.tag == 4050
    world = World()
    world.serve(ZONE, [KSK, one], 0, 100)
    signatures = [
        world.see(world.sign(key, f"{n}.example."), 50) for n, key in enumerate((one, two, three))
    ]
    found = world.judge()
    assert [said(found, s, 50) for s in signatures] == [VALID, INVALID, INVALID]
    assert verdict(found, signatures[1], 50)["keys"] == [one.key_id]
    assert verdict(found, signatures[1], 50)["confidence"] == "strong"
    assert found.checks["verifies"].to_pylist() == [True, False, False]
    # All three published: each signature names the key that verifies it.
    world.runs.clear()
    world.serve(ZONE, [KSK, one, two, three], 0, 100)
    found = world.judge()
    assert [said(found, s, 50) for s in signatures] == [VALID] * 3
    assert [verdict(found, s, 50)["keys"] for s in signatures] == [
        [one.key_id],
        [two.key_id],
        [three.key_id],
    ]


def test_a_colliding_key_published_later_makes_it_missing_not_invalid() -> None:
    one, two, _ = with_one_tag(ZONE)
    world = World()
    world.serve(ZONE, [KSK, one], 0, 100)
    world.serve(ZONE, [KSK, one, two], 1000)
    signature = world.see(world.sign(two), 50)
    assert said(world.judge(), signature, 50) == MISSING


def test_an_invalid_signature_needs_a_key_set_of_its_time() -> None:
    """Once the TTL is out, a key with the same tag that was never captured may have come."""
    world = World()
    world.serve(ZONE, [KSK, OLD], 0, ttl=60)
    signature = world.sign(OLD, spoil=True)
    world.see(signature, 30, 90)
    world.see(signature, 30, place=1)
    found = world.judge()
    assert said(found, signature, 30) == INVALID
    assert verdict(found, signature, 30)["confidence"] == "strong"
    assert said(found, signature, 90) == UNKNOWN
    assert said(found, signature, 30, 1) == INVALID
    assert verdict(found, signature, 30, 1)["confidence"] == "weak"


def test_supplied_keys_decide_only_what_no_key_set_does() -> None:
    world = World()
    world.supply([NEW])
    signature = world.see(world.sign(NEW), 50)
    spoiled = world.see(world.sign(NEW, spoil=True), 50)
    found = world.judge()
    assert said(found, signature, 50) == VALID
    assert said(found, spoiled, 50) == INVALID
    world.serve(ZONE, [KSK, OLD], 0, 100)
    found = world.judge()
    assert said(found, signature, 50) == MISSING
    assert found.checks["verifies"].to_pylist() == [True, False]


def test_supplied_keys_count_only_within_their_times() -> None:
    world = World()
    world.supply([NEW], 40, 60)
    signature = world.see(world.sign(NEW), 0, 100)
    found = world.judge()
    assert [said(found, signature, t) for t in (39, 40, 60, 61)] == [
        UNKNOWN, VALID, VALID, UNKNOWN,
    ]  # fmt: skip
    assert verdict(found, signature, 50)["confidence"] == "weak"
    (note,) = found.notes
    assert (note.kind, note.zone) == ("supplied-keys", ZONE)
    assert note.figures == {"signatures": 1, "tags": [NEW.tag]}
    # Seen published as well, nothing rests on the user's word.
    world.serve(ZONE, [KSK, NEW], 0, 100)
    assert world.judge().notes == []


def test_resolvers_are_judged_by_the_servers_keys() -> None:
    world = World(places=["server", "resolver"])
    world.serve(ZONE, [KSK, OLD], 0, 100, place=0)
    world.serve(ZONE, [KSK, NEW], 0, 100, place=1)
    good, stale = world.sign(OLD), world.sign(NEW)
    world.see(good, 50, place=1)
    world.see(stale, 50, place=1)
    found = world.judge()
    assert said(found, good, 50, 1) == VALID
    assert said(found, stale, 50, 1) == UNKNOWN


def test_a_resolvers_key_set_stands_in_where_no_server_was_seen() -> None:
    world = World(places=["server", "resolver"])
    world.serve(ZONE, [KSK, OLD], 0, 100, place=1)
    signature = world.see(world.sign(OLD), 50, place=1)
    assert said(world.judge(), signature, 50, 1) == VALID


def test_a_revoked_key_signs_only_the_key_set() -> None:
    revoked = Signer(ZONE, 257 | 128)
    world = World()
    world.serve(ZONE, [KSK, revoked], 0, 100)
    data = world.see(world.sign(revoked), 50)
    keys = world.see(world.sign_keys(revoked, [KSK, revoked]), 50)
    found = world.judge()
    assert said(found, data, 50) == ("bogus", "key-revoked")
    assert said(found, keys, 50) == VALID


def test_a_key_without_the_zone_bit_signs_nothing() -> None:
    host = Signer(ZONE, 0)
    world = World()
    world.serve(ZONE, [KSK, host], 0, 100)
    signature = world.see(world.sign(host), 50)
    assert said(world.judge(), signature, 50) == ("bogus", "zone-key-bit-unset")


def test_a_key_that_came_within_a_burst_of_the_old_set_accuses_nobody() -> None:
    """A zone that is loaded anew gets its keys and the signatures they make at once."""
    world = World()
    world.serve(ZONE, [KSK, OLD], 48)
    world.serve(ZONE, [KSK, OLD, NEW], 60)
    signature = world.see(world.sign(NEW), 51)
    assert said(world.judge(), signature, 51) == VALID
    elsewhere = World()
    elsewhere.serve(ZONE, [KSK, OLD], 48)
    elsewhere.serve(ZONE, [KSK, OLD, NEW], 60, place=1)
    signature = elsewhere.see(elsewhere.sign(NEW), 51)
    assert said(elsewhere.judge(), signature, 51) != MISSING
    lacking = World()
    lacking.serve(ZONE, [KSK, OLD], 48)
    lacking.serve(ZONE, [KSK, OLD], 60, place=1)
    signature = lacking.see(lacking.sign(NEW), 51)
    assert said(lacking.judge(), signature, 51) == MISSING


def test_a_key_withdrawn_within_a_burst_of_the_new_set_accuses_nobody() -> None:
    world = World()
    world.serve(ZONE, [KSK, OLD, NEW], 40)
    world.serve(ZONE, [KSK, NEW], 53)
    signature = world.see(world.sign(OLD), 50)
    assert said(world.judge(), signature, 50) == VALID
