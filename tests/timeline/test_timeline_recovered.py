"""Recovery by what is provably gone: it closes what ended, and never what may go on."""

from __future__ import annotations

from timeline_scene import DS, SOA, A, Scene, ns

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell


def played(*, heals: tuple[bool, bool] = (True, True), elsewhere: bool = True, again: bool = True):
    """A zone of two servers is badly signed under serial 2 (t=100), repaired with serial 3 (t=200).

    At the first server its DS record for a child is asked for in the outage, and not again.

    Args:
        heals: whether each server goes over to serial 3.
        elsewhere: the other server shows the DS record in the outage and after.
        again: SOA and address go on being asked for after the repair.
    """
    scene = Scene()
    places = [scene.place("192.0.2.1"), scene.place("192.0.2.2")]
    soas = [scene.good("ru.", SOA, "ru.", serial=1), scene.bad("ru.", SOA, "ru.", serial=2),
            scene.good("ru.", SOA, "ru.", serial=3, inception=200)]  # fmt: skip
    hosts = [scene.good("ru.", A, "ru."), scene.bad("ru.", A, "ru."),
             scene.good("ru.", A, "ru.", inception=200)]  # fmt: skip
    child = [scene.bad("c.ru.", DS, "ru."), scene.good("c.ru.", DS, "ru.", inception=200)]
    for number, place in enumerate(places):
        for at in range(0, 300, 10):
            version = 0 if at < 100 else 1 if at < 200 or not heals[number] else 2
            if at >= 200 and not again:
                continue
            scene.see(soas[version], at + number, place, serial=version + 1)
            scene.see(hosts[version], at + number + 2, place, serial=version + 1)
    scene.see(child[0], 150, places[0])
    if elsewhere:
        scene.see(child[0], 151, places[1])
        scene.see(child[1], 251, places[1])
    (incident,) = tell(scene.evidence()).incidents
    return incident


def at_first(incident: dict, record_class: str) -> dict:
    (row,) = [
        row
        for row in incident["strata"]
        if (row["server"], row["class"]) == ("192.0.2.1", record_class)
    ]
    return row


def test_a_class_not_asked_again_is_closed_by_the_server_s_newer_version() -> None:
    incident = played()
    row = at_first(incident, "ds")
    assert row["recovered_by"] == "other records"
    assert rfc3339(ns(192)) < row["first_good"]["time"] <= rfc3339(ns(212))
    assert incident["recovery"]["last_bad"] < incident["recovery"]["first_good"]
    assert "recovered_by" not in at_first(incident, "data")


def test_a_server_that_stays_with_the_bad_version_is_not_closed() -> None:
    incident = played(heals=(False, True))
    assert at_first(incident, "ds")["first_good"] is None
    assert incident["recovery"]["first_good"] is None
    # Nor does one server's recovery close what another goes on serving.
    assert played(heals=(True, False))["recovery"]["first_good"] is None


def test_a_class_that_nobody_showed_good_again_is_not_closed() -> None:
    incident = played(elsewhere=False)
    assert at_first(incident, "ds")["first_good"] is None
    assert incident["recovery"]["first_good"] is None


def test_nothing_is_closed_where_nothing_was_asked_again() -> None:
    incident = played(again=False)
    assert at_first(incident, "ds")["first_good"] is None
    assert incident["recovery"]["first_good"] is None


def link(*, heals: bool):
    """A DS that matches no key of the zone (t=100), repaired at t=200; the DNSKEY is not asked for
    again, the SOA is."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    keys, soa = scene.sign("fj.", 48, "fj."), scene.sign("fj.", SOA, "fj.", serial=1)
    for signature in (keys, soa):
        scene.judge(signature, "secure", end=100)
        scene.judge(signature, "bogus", "ds-mismatch", start=100, end=200 if heals else 1000)
        scene.judge(signature, "secure", start=200 if heals else 1000)
    for at in range(0, 300, 10):
        scene.see(soa, at, place, serial=1)
        if at < 150:
            scene.see(keys, at + 1, place)
    (incident,) = tell(scene.evidence()).incidents
    return incident


def test_a_whole_chain_closes_all_that_hung_on_it() -> None:
    incident = link(heals=True)
    assert at_first(incident, "dnskey")["first_good"]["time"] == rfc3339(ns(200))
    assert incident["recovery"]["first_good"] == rfc3339(ns(200))
    assert link(heals=False)["recovery"]["first_good"] is None
