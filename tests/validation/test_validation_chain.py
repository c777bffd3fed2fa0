"""The chain of trust: each broken link, and the healthy traffic beside it."""

from __future__ import annotations

import random

import pytest
from validation_world import NOW, Signer, World, said, verdict

from forensics.keyring import anchors as built

ROOT_KSK, ROOT_ZSK = Signer(".", 257), Signer(".")
KSK, ZSK = Signer("example.", 257), Signer("example.")
OTHER_KSK = Signer("example.", 257)
SUB_KSK = Signer("sub.example.", 257)
ANCHORS = [ROOT_KSK.anchor()]
LIFE = {"inception": -(10**6), "expiration": 10**6}


def chained(ds=None, keys=(KSK, ZSK), ksk=KSK, key_life=None, ds_life=None) -> World:
    """A root at place 0 and example. at place 1, all seen from 0 to 1000."""
    world = World()
    world.serve(".", [ROOT_KSK, ROOT_ZSK], 0, 1000)
    world.see(world.sign_keys(ROOT_KSK, [ROOT_KSK, ROOT_ZSK], **LIFE), 0, 1000)
    records = [KSK.ds()] if ds is None else ds
    world.serve("example.", records, 0, 1000, kind=43)
    world.see(world.sign_ds(ROOT_ZSK, "example.", records, **(ds_life or LIFE)), 0, 1000)
    world.serve("example.", list(keys), 0, 1000, place=1)
    if ksk:
        world.see(world.sign_keys(ksk, list(keys), **(key_life or LIFE)), 0, 1000, place=1)
    return world


def data(world: World, signer: Signer = ZSK, **options) -> int:
    return world.see(world.sign(signer, **{**LIFE, **options}), 0, 1000, place=1)


def test_a_whole_chain_is_secure_at_every_link() -> None:
    world = chained()
    data(world)
    found = world.judge(ANCHORS)
    assert set(found.verdicts["status"].to_pylist()) == {"secure"}
    assert found.notes == []


def test_without_the_ds_it_is_valid() -> None:
    world = World()
    world.serve("example.", [KSK, ZSK], 0, 1000, place=1)
    signature = data(world)
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("valid", "none")


def test_without_the_key_sets_signature_it_is_valid() -> None:
    world = chained(ksk=None)
    signature = data(world)
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("valid", "none")


def test_without_any_anchor_it_is_valid() -> None:
    world = chained()
    signature = data(world)
    assert said(world.judge([]), signature, 5, 1) == ("valid", "none")


def test_a_private_root_is_said_first_and_accuses_nobody() -> None:
    world = chained()
    signature = data(world)
    found = world.judge(built.built_in())
    assert said(found, signature, 5, 1) == ("valid", "none")
    assert [(note.kind, note.zone) for note in found.notes] == [("private-root", ".")]
    assert found.notes[0].figures["tags"] == sorted([ROOT_KSK.tag, ROOT_ZSK.tag])


def test_an_anchor_out_of_its_dates_accuses_nobody() -> None:
    world = chained()
    signature = data(world)
    past = ROOT_KSK.anchor(end=(NOW - 10**7) * 10**9)
    now = Signer(".", 257).anchor()
    assert said(world.judge([past]), signature, 5, 1) == ("valid", "none")
    assert said(world.judge([past, now]), signature, 5, 1) == ("valid", "none")


def test_a_ds_that_matches_no_key() -> None:
    world = chained(ds=[OTHER_KSK.ds()])
    signature = data(world)
    found = world.judge(ANCHORS)
    assert said(found, signature, 5, 1) == ("bogus", "ds-mismatch")
    assert verdict(found, signature, 5, 1)["zone"] == "example."
    assert said(found, 1, 5, 0) == ("secure", "none")


def test_below_a_broken_zone_everything_names_that_zone() -> None:
    world = chained(ds=[OTHER_KSK.ds()])
    world.serve("sub.example.", [SUB_KSK.ds()], 0, 1000, kind=43, place=1)
    world.see(world.sign_ds(ZSK, "sub.example.", [SUB_KSK.ds()], **LIFE), 0, 1000, place=1)
    world.serve("sub.example.", [SUB_KSK], 0, 1000, place=2)
    world.see(world.sign_keys(SUB_KSK, [SUB_KSK], **LIFE), 0, 1000, place=2)
    signature = world.see(world.sign(SUB_KSK, **LIFE), 0, 1000, place=2)
    found = world.judge(ANCHORS)
    row = verdict(found, signature, 5, 2)
    assert (row["status"], row["reason"], row["zone"]) == ("bogus", "ds-mismatch", "example.")


def test_one_matching_ds_of_several_suffices() -> None:
    for kinds in (("SHA1", "SHA256"), ("SHA256", "SHA384"), ("SHA384",)):
        records = [KSK.ds(kind) for kind in kinds] + [OTHER_KSK.ds()]
        world = chained(ds=records)
        signature = data(world)
        assert said(world.judge(ANCHORS), signature, 5, 1) == ("secure", "none")


def test_sha1_digests_count_alone_and_are_ignored_beside_others() -> None:
    """RFC 4509 3; RFC 9905 retires the SHA-1 signature algorithms, not the digest type."""
    signature = data(world := chained(ds=[KSK.ds("SHA1")]))
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("secure", "none")
    signature = data(world := chained(ds=[KSK.ds("SHA1"), OTHER_KSK.ds()]))
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("bogus", "ds-mismatch")
    assert said(world.judge(ANCHORS, "unbound"), signature, 5, 1) == ("secure", "none")


def test_a_double_ds_roll_is_secure_throughout() -> None:
    world = World()
    world.serve(".", [ROOT_KSK, ROOT_ZSK], 0, 9000)
    world.see(world.sign_keys(ROOT_KSK, [ROOT_KSK, ROOT_ZSK], **LIFE), 0, 9000)
    for records, times in (
        ([KSK.ds()], (0, 1000)),
        ([KSK.ds(), OTHER_KSK.ds()], (2000, 5000)),
        ([OTHER_KSK.ds()], (7000, 9000)),
    ):
        world.serve("example.", records, *times, kind=43)
        world.see(world.sign_ds(ROOT_ZSK, "example.", records, **LIFE), *times)
    for ksk, times in ((KSK, (0, 3000)), (OTHER_KSK, (4000, 9000))):
        world.serve("example.", [ksk, ZSK], *times, place=1)
        world.see(world.sign_keys(ksk, [ksk, ZSK], **LIFE), *times, place=1)
    signature = world.see(world.sign(ZSK, **LIFE), 0, 9000, place=1)
    found = world.judge(ANCHORS)
    statuses = {said(found, signature, t, 1)[0] for t in range(0, 9001, 250)}
    assert statuses <= {"secure", "valid"}
    assert "bogus" not in found.verdicts["status"].to_pylist()
    assert said(found, signature, 2500, 1) == said(found, signature, 8000, 1) == ("secure", "none")


def test_an_old_ds_sighting_does_not_accuse_a_roll_that_was_not_captured() -> None:
    world = chained()
    world.runs = [r for r in world.runs if r["type"] != 43]
    world.serve("example.", [OTHER_KSK.ds()], 0, kind=43, ttl=60)
    signature = data(world)
    found = world.judge(ANCHORS)
    assert said(found, signature, 30, 1) == ("bogus", "ds-mismatch")
    assert said(found, signature, 100, 1)[0] == "valid"


def test_a_ds_matched_key_that_does_not_sign_the_key_set() -> None:
    world = chained(ksk=ZSK)
    signature = data(world)
    found = world.judge(ANCHORS)
    assert said(found, signature, 5, 1) == ("bogus", "dnskey-unsigned-by-ds-key")
    both = chained(ksk=ZSK)
    both.see(both.sign_keys(KSK, [KSK, ZSK], **LIFE), 0, 1000, place=1)
    signature = data(both)
    assert said(both.judge(ANCHORS), signature, 5, 1) == ("secure", "none")


def test_the_key_sets_own_expired_signature_breaks_the_zone_with_its_reason() -> None:
    world = chained(key_life={"inception": -1000, "expiration": 500})
    signature = data(world)
    found = world.judge(ANCHORS)
    assert said(found, signature, 400, 1) == ("secure", "none")
    assert said(found, signature, 501, 1) == ("bogus", "signature-expired")
    assert verdict(found, signature, 501, 1)["zone"] == "example."


def test_a_wrong_signature_over_the_ds_names_the_parent() -> None:
    world = chained()
    world.rows[1]["octets"] = bytes(64)
    signature = data(world)
    found = world.judge(ANCHORS)
    row = verdict(found, signature, 5, 1)
    assert (row["status"], row["reason"], row["zone"]) == ("bogus", "signature-invalid", ".")


def test_only_one_server_serves_a_broken_key_set() -> None:
    world = chained()
    world.serve("example.", [OTHER_KSK, ZSK], 0, 1000, place=2)
    signature = data(world)
    world.see(signature, 0, 1000, place=2)
    world.see(signature, 0, 1000, place=3)
    found = world.judge(ANCHORS)
    assert said(found, signature, 5, 1) == ("secure", "none")
    assert said(found, signature, 5, 2) == ("bogus", "ds-mismatch")
    assert said(found, signature, 5, 3)[0] == "secure"


def test_ds_of_unsupported_kinds_only_are_insecure() -> None:
    gost = KSK.ds()[:3] + b"\3" + bytes(32)
    signature = data(world := chained(ds=[gost]))
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("insecure", "ds-digest-unsupported")
    dsa = KSK.ds()[:2] + b"\3\2" + bytes(32)
    signature = data(world := chained(ds=[dsa]))
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("insecure", "algorithm-unsupported")
    signature = data(world := chained(ds=[gost, dsa, KSK.ds()]))
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("secure", "none")


def test_an_algorithm_announced_beside_one_valid_path_is_a_warning() -> None:
    """RFC 6840 5.11: any valid path will do for a validator."""
    missing = Signer("example.", 257, 8)
    signature = data(world := chained(ds=[KSK.ds(), missing.ds()]))
    found = world.judge(ANCHORS)
    assert said(found, signature, 5, 1) == ("secure", "none")
    assert said(found, 2, 5, 1) == ("secure", "algorithm-incomplete")
    assert world.rows[2]["type"] == 48
    # The other way round nothing is amiss: a key of an algorithm that no DS announces yet.
    world = chained(keys=(KSK, ZSK, missing))
    assert said(world.judge(ANCHORS), 2, 5, 1) == ("secure", "none")


def test_an_algorithm_roll_that_withdraws_what_the_ds_announces() -> None:
    """The mechanism of .gov in 2013: the DS expects one algorithm, only the other is published."""
    old, new, new_zsk = Signer("example.", 257, 8), KSK, ZSK
    world = World()
    world.serve(".", [ROOT_KSK, ROOT_ZSK], 0, 9000)
    world.see(world.sign_keys(ROOT_KSK, [ROOT_KSK, ROOT_ZSK], **LIFE), 0, 9000)
    world.serve("example.", [old.ds()], 0, 9000, kind=43)
    world.see(world.sign_ds(ROOT_ZSK, "example.", [old.ds()], **LIFE), 0, 9000)
    world.serve("example.", [old, new, new_zsk], 0, 3000, place=1)
    world.see(world.sign_keys(old, [old, new, new_zsk], **LIFE), 0, 3000, place=1)
    world.serve("example.", [new, new_zsk], 4000, 9000, place=1)
    world.see(world.sign_keys(new, [new, new_zsk], **LIFE), 4000, 9000, place=1)
    signature = world.see(world.sign(new_zsk, **LIFE), 0, 9000, place=1)
    found = world.judge(ANCHORS)
    assert said(found, signature, 2000, 1) == ("secure", "none")
    assert said(found, signature, 5000, 1) == ("bogus", "algorithm-incomplete")
    # A change of operator leaves the old DS behind as well, and no two key sets overlap there.
    world.runs = [r for r in world.runs if len(r["rdatas"]) != 3 or r["type"] != 48]
    world.serve("example.", [old], 0, 3000, place=1)
    assert said(world.judge(ANCHORS), signature, 5000, 1) == ("bogus", "ds-mismatch")


def test_a_revoked_key_that_the_ds_still_names() -> None:
    import dns.dnssec

    gone = Signer("example.", 257, 13, KSK.private)
    gone.dnskey = dns.dnssec.make_dnskey(KSK.private.public_key(), 13, flags=385)
    signature = data(world := chained(keys=(gone, ZSK), ksk=gone))
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("bogus", "key-revoked")
    # Revoked beside its successor: a roll done right (RFC 5011 6.3).
    world = chained(ds=[OTHER_KSK.ds()], keys=(gone, OTHER_KSK, ZSK), ksk=OTHER_KSK)
    signature = data(world)
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("secure", "none")


def test_a_revoked_trust_anchor_is_no_outage() -> None:
    """RFC 5011 4: the root revokes its old key; validators have taken the new one meanwhile."""
    import dns.dnssec

    gone, new = Signer(".", 257, 13, ROOT_KSK.private), Signer(".", 257)
    gone.dnskey = dns.dnssec.make_dnskey(ROOT_KSK.private.public_key(), 13, flags=385)
    world = World()
    for keys, makers, times in (
        ([ROOT_KSK, new, ROOT_ZSK], [ROOT_KSK], (0, 1000)),
        ([gone, new, ROOT_ZSK], [gone, new], (2000, 3000)),
        ([new, ROOT_ZSK], [new], (4000, 5000)),
    ):
        world.serve(".", keys, *times)
        for maker in makers:
            world.see(world.sign_keys(maker, keys, **LIFE), *times)
    signature = world.see(world.sign(ROOT_ZSK, **LIFE), 0, 5000)
    found = world.judge(ANCHORS)
    assert said(found, signature, 500)[0] == "secure"
    assert said(found, signature, 2500) == said(found, signature, 4500) == ("valid", "none")
    assert "bogus" not in found.verdicts["status"].to_pylist()
    (note,) = found.notes
    assert (note.kind, note.zone) == ("anchor-revoked", ".")
    assert note.figures["revoked"] == [ROOT_KSK.tag]
    assert [row["tag"] for row in note.figures["successors"]] == [new.tag]
    assert not note.figures["successors"][0]["hold_down_over"]


def anchor_gone(new: Signer, successor: Signer) -> tuple[list[str], list]:
    """The root's key gives way; status before and after, and the notes of it."""
    world = World()
    for keys, maker, times in (
        ([ROOT_KSK, new, ROOT_ZSK], ROOT_KSK, (0, 1000)),
        ([successor, ROOT_ZSK], successor, (4000, 5000)),
    ):
        world.serve(".", keys, *times)
        world.see(world.sign_keys(maker, keys, **LIFE), *times)
    signature = world.see(world.sign(ROOT_ZSK, **LIFE), 0, 5000)
    found = world.judge(ANCHORS)
    notes = [note.figures for note in found.notes if note.kind == "anchor-succeeded"]
    return [said(found, signature, time)[0] for time in (500, 4500)], notes


def test_an_anchor_whose_revocation_was_not_captured_is_no_outage() -> None:
    """The same roll, recorded in part: what stood beside the anchor's key may be trusted now."""
    new = Signer(".", 257)
    expected = [{"old": [ROOT_KSK.tag], "successors": [new.tag]}]
    assert anchor_gone(new, new) == (["secure", "valid"], expected)


def test_what_the_key_of_an_anchor_signed_stood_beside_it() -> None:
    """The key sets of the roll were not read; a signature over one says what it held."""
    new, stranger = Signer(".", 257), Signer(".", 257)
    for signer, expected in ((ROOT_KSK, "valid"), (stranger, "bogus")):
        world = World()
        for maker, times in ((ROOT_KSK, (0, 1000)), (new, (4000, 5000))):
            keys = [maker, ROOT_ZSK]
            world.serve(".", keys, *times)
            world.see(world.sign_keys(maker, keys, **LIFE), *times)
        world.sign_keys(signer, [ROOT_KSK, new, ROOT_ZSK], **LIFE)
        signature = world.see(world.sign(ROOT_ZSK, **LIFE), 0, 5000)
        assert said(world.judge(ANCHORS), signature, 4500)[0] == expected


def test_an_anchor_that_gives_way_to_a_key_that_nobody_knew_is_one() -> None:
    """No validator can trust what never stood beside the anchor's key."""
    assert anchor_gone(Signer(".", 257), Signer(".", 257)) == (["secure", "bogus"], [])


def test_an_unsupported_algorithm_alone_is_not_called_insecure() -> None:
    world = chained()
    signature = data(world)
    world.rows[signature]["algorithm"] = 12
    found = world.judge(ANCHORS)
    assert said(found, signature, 5, 1) == ("indeterminate", "algorithm-unsupported")


def test_sha1_keys_are_insecure_since_rfc_9905_and_secure_before() -> None:
    ksk, zsk = Signer("example.", 257, 5), Signer("example.", 256, 5)
    world = chained(ds=[ksk.ds()], keys=(ksk, zsk), ksk=ksk)
    signature = data(world, zsk)
    assert said(world.judge(ANCHORS), signature, 5, 1) == ("insecure", "algorithm-unsupported")
    assert said(world.judge(ANCHORS, "bind"), signature, 5, 1) == ("secure", "none")
    shift = 3 * 10**8
    for run in world.runs:
        run["first"] -= shift * 10**9
        run["last"] -= shift * 10**9
    world.pairs = [(s, p, a - shift * 10**9, b - shift * 10**9) for s, p, a, b in world.pairs]
    for row in world.rows:
        row["inception"] -= 4 * 10**8  # the header in the signed data still tells the truth
    assert said(world.judge(ANCHORS), signature, 5 - shift, 1) == ("secure", "none")


@pytest.mark.parametrize(
    ("when", "reason"),
    [(-1001, "signature-not-yet-valid"), (-1000, None), (500, None), (501, "signature-expired")],
)
def test_both_ends_of_validity_belong_to_it(when: int, reason: str | None) -> None:
    world = World()
    world.serve("example.", [ZSK], -5000, 5000)
    signature = world.see(world.sign(ZSK, inception=-1000, expiration=500), -2000, 2000)
    expected = ("bogus", reason) if reason else ("valid", "none")
    assert said(world.judge(), signature, when) == expected


def test_a_period_that_ends_before_it_begins() -> None:
    world = World()
    world.serve("example.", [ZSK], 0, 100)
    signature = world.see(world.sign(ZSK, inception=500, expiration=-500), 0, 100)
    assert said(world.judge(), signature, 5) == ("bogus", "signature-window-invalid")


def test_serial_numbers_wrap() -> None:
    world = World()
    world.serve("example.", [ZSK], 0, 100)
    signature = world.see(world.sign(ZSK), 0, 100)
    # The same period, 2^32 seconds later: RFC 4034 3.1.5 cannot tell them apart.
    world.runs[0]["first"] += 2**32 * 10**9
    world.runs[0]["last"] += 2**32 * 10**9
    world.pairs = [(s, p, a + 2**32 * 10**9, b + 2**32 * 10**9) for s, p, a, b in world.pairs]
    assert said(world.judge(), signature, 5 + 2**32) == ("valid", "none")


def test_unbounds_skew_is_a_tenth_within_an_hour_and_a_day() -> None:
    world = World()
    world.serve("example.", [ZSK], 0, 10**6)
    signature = world.see(world.sign(ZSK, inception=-36_000, expiration=36_000), 0, 10**5)
    for policy, last in (("strict", 36_000), ("bind", 36_000), ("unbound", 36_000 + 7_200)):
        found = world.judge(policy=policy)
        assert said(found, signature, last) == ("valid", "none")
        assert said(found, signature, last + 1) == ("bogus", "signature-expired")


def test_malformed_signer_and_labels_problems_keep_their_reason() -> None:
    world = World()
    world.serve("example.", [KSK, ZSK], 0, 100)
    short = world.sign(ZSK)
    world.rows[short]["octets"] = b"\1" * 63
    labels = world.sign(ZSK, problem="labels-invalid")
    signer = world.sign(ZSK, problem="signer-invalid")
    at_apex = world.sign_ds(KSK, "example.", [KSK.ds()])
    soa = world.sign(ZSK, "a.example.", "SOA", ("a. b. 1 2 3 4 5",))
    for number in (short, labels, signer, at_apex, soa):
        world.see(number, 50)
    found = world.judge()
    assert [said(found, n, 50)[1] for n in (short, labels, signer, at_apex, soa)] == [
        "signature-malformed",
        "labels-invalid",
        "signer-invalid",
        "signer-invalid",
        "signer-invalid",
    ]


def test_a_stopped_clock_is_noted_and_one_expired_zone_is_not() -> None:
    world = World()
    zones = [Signer(f"zone{n}.") for n in range(4)]
    for zone in zones:
        world.serve(zone.zone, [zone], 0, 100)
        world.see(world.sign(zone, inception=3600, expiration=86_400), 0, 100)
    notes = [n for n in world.judge().notes if n.kind == "clock"]
    assert len(notes) == 1
    assert notes[0].place == -1
    assert notes[0].figures["common_shift"] is True
    assert notes[0].figures["least_shift"] == 3600
    assert [z["zone"] for z in notes[0].figures["zones"]] == [z.zone for z in zones]
    single = World()
    for index, zone in enumerate(zones):
        single.serve(zone.zone, [zone], 0, 100)
        single.see(single.sign(zone, expiration=-10 if index == 0 else 86_400), 0, 100)
    assert single.judge().notes == []


def test_a_clock_wrong_at_one_resolver_is_that_resolvers() -> None:
    world = World(places=["server", "resolver", "resolver"])
    zones = [Signer(f"zone{n}.") for n in range(4)]
    for zone in zones:
        world.serve(zone.zone, [zone], 0, 100)
        good = world.sign(zone)
        world.see(good, 0, 100)
        world.see(good, 0, 100, place=2)
        world.see(world.sign(zone, expiration=-10), 0, 100, place=1)
    notes = [n for n in world.judge().notes if n.kind == "clock"]
    assert [note.place for note in notes] == [1]


@pytest.mark.parametrize("seed", range(20))
def test_the_shortcuts_for_steady_zones_change_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics.validation.chain import Chain
    from forensics.validation.published import Publication
    from forensics.validation.trust import Trust

    chance = random.Random(seed)
    ends = [300, 10**6, 10**6]
    world = chained(
        ds=chance.choice([None, [OTHER_KSK.ds()], [KSK.ds("SHA1"), KSK.ds()]]),
        key_life={"inception": -(10**6), "expiration": chance.choice(ends)},
        ds_life={"inception": chance.choice([-(10**6), 200]), "expiration": chance.choice(ends)},
    )
    if chance.random() < 0.5:
        world.serve("example.", [KSK, ZSK], 100, 400, place=2)
    signature = data(world)
    for place in (2, 3):
        world.see(signature, 0, 1000, place=place)
    anchors = [ROOT_KSK.anchor(end=(NOW + chance.choice([500, 5000])) * 10**9)]

    def outcomes() -> list[tuple[str, str]]:
        found = world.judge(anchors)
        return [said(found, signature, t, p) for t in range(0, 1001, 50) for p in (1, 2, 3)]

    short = outcomes()
    monkeypatch.setattr(Chain, "_is_plain", lambda *_: False)
    monkeypatch.setattr(Trust, "is_uniform", lambda *_: False)
    monkeypatch.setattr(Publication, "is_steady", False)
    assert outcomes() == short
