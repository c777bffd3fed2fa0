"""Validation that failed by the word of resolvers alone: which zone, and what must not be said."""

from __future__ import annotations

import sys
from pathlib import Path

from forensics.testimony.lowest import cleared, zones_of
from forensics.testimony.witnesses import witnessed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "timeline"))
from timeline_scene import Scene, _table

from forensics import schemas

OUTAGE = (("www.example.al.", 20), ("mail.example.al.", 22), ("nx1.al.", 25), ("al.", 30))


def told(scene: Scene, incidents=(), explained=()) -> list[dict]:
    table = _table(scene.rows["transactions"], schemas.TRANSACTIONS)
    return witnessed(lambda: iter(table.to_batches()), incidents, set(explained), {0: "a.pcap"})


def outage(*, ede: int | None = 9) -> Scene:
    scene = Scene()
    scene.ask("www.example.al.", 10, ad=True)
    for at in (12, 21, 23, 28):
        scene.ask(f"n{at}.nl.", at, ad=True)
    for name, at in OUTAGE:
        scene.ask(name, at, 2, ede=ede)
    scene.ask("example.al.", 40, ad=True)
    return scene


def test_zone_and_brackets_are_those_of_what_clients_were_told() -> None:
    (row,) = told(outage())
    assert (row["zone"], row["exact"], row["cleared"], row["basis"]) == ("al.", True, ".", "ede")
    assert (row["lookups"], row["claims"], row["names"], row["clients"]) == (4, 4, 4, 1)
    times = {**row["onset"], **row["recovery"]}
    seen = {name: text[17:19] for name, text in times.items()}
    base = 40  # the scene begins at 03:06:40
    assert seen == {
        name: f"{(base + at) % 60:02}"
        for name, at in
        (("last_good", 10), ("first_bad", 20), ("last_bad", 30), ("first_good", 40))
    }  # fmt: skip
    assert [one["shows"] for one in row["frames"]] == [
        "last-good", "first-bad", "last-bad", "first-good",
    ]  # fmt: skip
    assert "the fault lies at al." in row["sentence"]
    assert "vouched for other names below the root zone" in row["sentence"]


def test_what_an_incident_or_a_clock_explains_is_not_told_again() -> None:
    incident = {
        "zone": "al.",
        "onset": {"last_good": None, "first_bad": "2026-04-24T03:06:59.000000000Z"},
        "recovery": {"first_good": None},
    }
    assert told(outage(), [incident]) == []
    assert len(told(outage(), [incident | {"zone": "nl."}])) == 1
    assert told(outage(), explained=["198.51.100.1"]) == []


def test_failures_without_any_word_of_validation_say_nothing() -> None:
    """Unreachable servers make SERVFAIL, too; and extended errors of the network prove nothing."""
    assert told(outage(ede=None)) == []
    assert told(outage(ede=22)) == []


def test_refused_and_answered_with_checking_disabled_is_validation() -> None:
    scene = outage(ede=None)
    for name, at in OUTAGE[:2]:
        scene.ask(name, at + 1, cd=True)
        scene.ask(name, at + 2, 2)
    (row,) = told(scene)
    assert (row["zone"], row["basis"], row["claims"]) == ("example.al.", "checking-disabled", 0)
    assert "with checking disabled" in row["sentence"]


def test_one_name_or_an_answer_between_proves_nothing_by_checking_disabled() -> None:
    scene = outage(ede=None)
    scene.ask("www.example.al.", 21, cd=True)
    scene.ask("www.example.al.", 22, 2)
    assert told(scene) == []  # one name
    scene.ask("mail.example.al.", 23, cd=True)
    scene.ask("mail.example.al.", 24)  # the server is back
    scene.ask("mail.example.al.", 25, 2)
    assert told(scene) == []


def test_several_zones_under_a_cleared_one_stay_apart() -> None:
    failed = {f"{host}.{zone}": 1 for zone in ("gold.", "cafe.") for host in ("a", "b")}
    assert set(zones_of(failed, {".": {"nl.": 9}})) == {"gold.", "cafe."}
    # Without a name that was vouched for nothing clears the root.
    assert set(zones_of(failed, {".": {"gold.": 9}})) == {"."}


def test_random_names_below_one_zone_are_its_own_fault() -> None:
    failed = {f"nx{number}.de.": 1 for number in range(9)} | {"www.a.de.": 1, "mail.a.de.": 1}
    assert set(zones_of(failed, {"de.": {"good.de.": 99}, ".": {"nl.": 9}})) == {"de."}


def test_a_zone_above_is_cleared_by_others_than_the_one_that_failed() -> None:
    assert cleared("slack.com.", {"com.": {"slack.com.": 50, "other.com.": 3}}) == "com."
    assert cleared("slack.com.", {"com.": {"slack.com.": 50}, ".": {"nl.": 3}}) == "."
    assert cleared("slack.com.", {"com.": {"other.com.": 2}}) is None
