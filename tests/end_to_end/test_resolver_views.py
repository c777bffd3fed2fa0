"""Each recording in the view of its resolvers, held against the lab's truth (`views.resolver`).

The lab says from which instant on a verdict can be bad (`bad_from`: the first server was told) and
by when no cache can hold anything bad any more (`good_everywhere_from`). What the resolvers' own
dnstap shows must lie in between, name the truth's reason, and blame nobody else.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from forensics.ingest import ingest
from forensics.judging import report_of
from forensics.keyring import anchors, archive
from forensics.options import Options

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
TRUTHS = {
    path.parent.name: truth
    for path in sorted(CAPTURES.glob("*/truth.toml"))
    if "resolver" in (truth := tomllib.loads(path.read_text())).get("views", {})
}

MORE_REASONS = {
    "algorithm-incomplete": {"ds-mismatch", "dnskey-missing"},
    "ds-mismatch": {"dnskey-absent", "dnskey-missing"},
    "rrsig-missing": {"dnskey-absent"},
}
"""What caches see of the truth's reason besides: the phases that follow it, and what the new keys
sign while the old ones are held; and where the chain breaks above the missing signatures."""

EARLIER = {"gov-2013": "signer-changed"}
"""Recordings in which caches fail before the act that breaks the published view: by this step. In
gov-2013 Unbound answered SERVFAIL with EDE 9 one second after it, for it held the old keys."""


def ns(text: str) -> int:
    whole, _, rest = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int(
        rest.ljust(9, "0")
    )


def views_of(name: str, folder: Path) -> list[dict[str, Any]]:
    truth, base = TRUTHS[name], CAPTURES / name
    file = truth["capture"].get("dnstap_file", "unbound.dnstap.zst")
    assert not ingest([str(base / file)], folder / "tables").errors
    report, _ = report_of(
        folder / "tables",
        (),
        anchors.chosen((str(base / "trust-anchor.ds"),)),
        archive.read(()),
        Options(trust_anchors=(str(base / "trust-anchor.ds"),)),
        in_brief=True,
    )
    found: list[dict[str, Any]] = report.get("resolver_views", [])
    return found


@pytest.mark.parametrize("name", TRUTHS)
def test_resolvers_fail_when_and_where_the_truth_says(name: str, tmp_path) -> None:
    truth = TRUTHS[name]
    view = truth["views"]["resolver"]
    earliest, latest = ns(view["bad_from"]), ns(view["good_everywhere_from"])
    if name in EARLIER:
        (step,) = [s for s in truth["steps"] if s["name"] == EARLIER[name]]
        earliest = min(ns(at) for _, at in step["told"])
    rows = views_of(name, tmp_path)
    zones = {truth["zone"], *truth["zones"]}
    reasons = {truth["reason"], *truth.get("also", ()), *MORE_REASONS.get(truth["reason"], ())}
    identities = {row["identity"] for row in truth["resolvers"]}
    assert rows, "no resolver was seen to refuse anything"
    for row in rows:
        where = (row["resolver"], row["zone"], row["records"], row["sentence"])
        assert row["zone"] in zones, where
        assert row["resolver"] in identities, where
        assert set(row["reasons"]) <= reasons, where
        assert earliest <= ns(row["first_bad"]), where
        assert ns(row["last_bad"]) <= latest, where
        if row["last_good"] is not None:
            assert ns(row["last_good"]) < ns(row["first_bad"])
        if row["first_good"] is not None:
            assert ns(row["last_bad"]) < ns(row["first_good"])
        for run in row["runs"]:
            held = run["held"]
            if held is not None and run["status"] == "bogus":
                # What decides was held then, or fetched for it at once.
                assert ns(held["fetched"]) - 5 * 10**9 <= ns(run["from"]), where
    # The earliest of them is not far from the earliest that can be.
    first = min(ns(row["first_bad"]) for row in rows)
    cached = ns(view["bad_for_cached_from"]) - ns(view["bad_from"])
    assert first <= earliest + cached + 5 * 10**9


def test_caches_that_fetched_before_refuse_and_those_after_accept(tmp_path) -> None:
    """nl-2012 is the case that the view exists for: the published data is right throughout."""
    rows = views_of("nl-2012", tmp_path)
    changed = ns(TRUTHS["nl-2012"]["views"]["resolver"]["bad_from"])
    for row in rows:
        bad = [run for run in row["runs"] if run["status"] == "bogus"]
        assert all(ns(run["held"]["fetched"]) < changed for run in bad)
        good = [
            run
            for run in row["runs"]
            if run["status"] in {"secure", "valid"} and ns(run["from"]) > ns(row["last_bad"])
        ]
        assert good, row["sentence"]
        assert all(ns(run["held"]["fetched"]) > changed for run in good)
    servfail = {
        row["identity"]
        for row in TRUTHS["nl-2012"]["resolvers"]
        if row["validating"]
    }  # fmt: skip
    assert {row["resolver"] for row in rows} == servfail
