"""What the page's brush rests on: counts by bin add up, and chains of trust hold at any instant."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from forensics.archive.tables import read_table
from forensics.explain import Asker
from forensics.keyring import anchors as trust
from forensics.options import Options
from forensics.report.times import parse

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@pytest.fixture(scope="module", params=["de-2026", "slack-2021"])
def report(request: pytest.FixtureRequest, run) -> dict:
    folder = CAPTURES / request.param
    return run(folder / "capture.pcap.zst", anchor=folder / "trust-anchor.ds")


def test_counts_by_bin_add_up_to_what_the_report_says(report: dict) -> None:
    series, over = report["series"], report["series"]["over"]
    for status, total in report["counts"]["verdicts"].items():
        assert sum(row[status] for row in series["verdicts"]) == total
    for kind, total in report["triage"].items():
        assert sum(over["triage"][kind][1::2]) == total
    for row in series["matrix"]:
        assert (sum(row["good_over"][1::2]), sum(row["bad_over"][1::2])) == (
            row["good"],
            row["bad"],
        )
    by_id = {row["incident"]: row for row in over["impact"]}
    for incident in report["incidents"]:
        told = by_id[incident["id"]]
        for name in ("transactions", "servfail", "signed", "unsigned", "repeats", "retries"):
            assert sum(told[name][1::2]) == incident["impact"][name], name
        for name in ("names", "clients"):
            assert len(set(told[name][1::2])) == incident["impact"][name], name
        for resolver in incident["resolvers"]:
            (own,) = (
                row
                for row in over["resolvers"]
                if (row["incident"], row["address"], row["identity"])
                == (incident["id"], resolver["address"], resolver["identity"])
            )
            for name in ("servfail", "answered"):
                assert sum(own[name][1::2]) == resolver[name]
            assert {code: sum(n[1::2]) for code, n in own["ede"].items()} == resolver["ede"]


def test_bins_tell_when_lookups_failed(report: dict) -> None:
    """Counted anew from the table of transactions, by the clock alone."""
    over = report["series"]["over"]
    start, step = parse(report["series"]["start"]), int(over["seconds"] * 10**9)
    table = read_table(report["folder"] / "tables", "transactions")
    times = table["time"].cast("int64").to_pylist()
    servfails = {
        (time - start) // step
        for time, rcode in zip(times, table["rcode"].to_pylist(), strict=True)
        if rcode == 2
    }
    for row in over["impact"]:
        assert set(row["servfail"][::2]) <= servfails
    first, last = (parse(report["window"][name]) for name in ("from", "to"))
    every = [n for row in over["impact"] for n in row["transactions"][::2]]
    assert every
    assert min(every) >= (first - start) // step - 1
    assert max(every) <= (last - start) // step


def test_a_key_s_signatures_are_those_that_it_verifies(report: dict) -> None:
    tables = report["folder"] / "tables"
    made: dict[str, set[int]] = {}
    for row in read_table(tables, "checks").to_pylist():
        if row["verifies"]:
            made.setdefault(row["key_id"], set()).add(row["signature"])
    sightings = read_table(tables, "sightings")
    seen = list(
        zip(
            sightings["signature"].to_pylist(),
            sightings["time"].cast("int64").to_pylist(),
            strict=True,
        )
    )
    signing = [row for row in report["series"]["keys"] if row.get("signed_first")]
    assert signing
    for row in signing:
        times = [time for signature, time in seen if signature in made[row["key_id"]]]
        assert (parse(row["signed_first"]), parse(row["signed_last"])) == (min(times), max(times))


def test_the_chain_of_trust_holds_at_any_instant(report: dict) -> None:
    """What the page draws at an instant is what `explain` says of it, wherever it is exact."""
    name = Path(report["captures"][0]["path"]).parent.name
    options = Options(trust_anchors=(str(CAPTURES / name / "trust-anchor.ds"),))
    anchors = trust.chosen(options.trust_anchors)
    asker = Asker(report["folder"] / "tables", options, anchors)
    first, last = (parse(report["window"][side]) for side in ("from", "to"))
    draw = random.Random(name)
    fields = ("zone", "link", "status", "reason", "keys")
    tried = 0
    for incident in report["incidents"]:
        course = incident["course"]
        changes = [parse(state["at"]) for state in course["states"]]
        assert changes == sorted(changes)
        instants = [at + by for at in changes for by in (0, -1) if first <= at + by <= last]
        if course["exact"]:
            instants += [draw.randrange(first, last) for _ in range(12)]
        else:
            instants = changes
        for at in instants[:40]:
            state = [s for s in course["states"] if parse(s["at"]) <= at][-1]
            drawn = [course["links"][number] for number in state["links"]]
            told = asker.ask(course["name"], 6 if course["type"] == "SOA" else 1, at)
            assert told["status"] == state["status"], at
            assert [[link[f] for f in fields] for link in told["chain"]] == [
                [link[f] for f in fields] for link in drawn
            ], at
            tried += 1
    assert tried > 8


def test_the_series_say_nothing_that_report_json_could_not_hold(report: dict) -> None:
    text = json.dumps(report["series"]["over"])
    assert len(text) < 700_000  # 2^16 pairs at most
