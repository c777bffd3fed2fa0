"""The resolvers' words against the verdicts, in both directions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "timeline"))

from timeline_scene import Scene, ns, outage

from forensics.testimony.responses import weigh
from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell

INCIDENT = {
    "zone": "de.", "reason": "ds-mismatch", "view": "published", "resolvers": [],
    "onset": {"last_good": None, "first_bad": rfc3339(ns(100))},
    "recovery": {"last_bad": rfc3339(ns(190)), "first_good": rfc3339(ns(200))},
}  # fmt: skip


def told(scene: Scene, incidents=(INCIDENT,), **options) -> dict:
    return weigh(scene.evidence(**options).transactions(), incidents)


def one(*args, incidents=(INCIDENT,), **options) -> dict:
    scene = Scene()
    scene.ask(*args, **options)
    return told(scene, incidents)


def test_servfail_in_the_outage_agrees() -> None:
    found = one("www.de.", 150, 2, ede=6)
    assert (found["agree"], found["disagree"], found["cases"]) == (1, 0, [])


def test_authentic_answer_outside_agrees() -> None:
    assert one("www.nl.", 150, 0, ad=True)["agree"] == 1
    assert one("www.de.", 50, 0, ad=True)["agree"] == 1


def test_answer_without_a_word_says_nothing() -> None:
    found = one("www.nl.", 150, 0)
    assert (found["agree"], found["disagree"]) == (0, 0)


@pytest.mark.parametrize(
    ("rcode", "ede", "ad", "kind"),
    [
        (0, 33, False, "negative-trust-anchor"),
        (0, 3, False, "stale"),
        (3, 19, False, "stale"),
        (3, 15, False, "policy"),
        (0, None, True, "authentic-in-outage"),
        (0, None, False, "never-validates"),
        (2, 22, False, "wrong-words"),
    ],
)
def test_ways_to_disagree_in_the_outage(rcode, ede, ad, kind) -> None:
    found = one("www.de.", 150, rcode, ede=ede, ad=ad)
    assert found["disagree"] == 1
    (case,) = found["cases"]
    assert (case["kind"], case["resolver"], case["zone"]) == (kind, "198.51.100.1", "de.")
    assert case["first"] == case["last"] == rfc3339(ns(150))
    assert case["ede"] == ({} if ede is None else {str(ede): 1})
    assert case["likely_cause"]
    # The same words about another zone are no disagreement.
    assert one("www.nl.", 150, rcode, ede=ede, ad=ad)["disagree"] == 0


def test_a_resolver_that_validates_elsewhere_is_not_said_never_to() -> None:
    scene = Scene()
    scene.ask("www.de.", 150, 0)
    scene.ask("www.nl.", 10, 0, ad=True)
    assert told(scene)["cases"] == []


def test_refusal_without_bad_data_is_the_resolvers_own() -> None:
    (case,) = one("www.nl.", 150, 2, ede=7)["cases"]
    assert (case["kind"], case["zone"]) == ("refused-outside", None)
    # A cache that still refuses after the repair repeats the fault.
    assert one("www.de.", 250, 2, ede=7)["cases"] == []


def test_checking_disabled_and_upstream_say_nothing_of_validation() -> None:
    assert one("www.de.", 150, 0, cd=True)["disagree"] == 0
    assert one("www.de.", 150, 0, vantage="upstream", ra=False)["disagree"] == 0


def test_resolver_local_incident_speaks_of_that_resolver_only() -> None:
    local = {**INCIDENT, "view": "resolver", "resolvers": [{"address": "10.0.0.1", "bad": 3}]}
    assert one("www.de.", 150, 2, ede=6, server="10.0.0.1", incidents=(local,))["agree"] == 1
    found = one("www.de.", 150, 2, ede=6, server="10.0.0.2", incidents=(local,))
    assert [case["kind"] for case in found["cases"]] == ["refused-outside"]


def test_order_and_cut_change_nothing() -> None:
    scene = Scene()
    random = np.random.default_rng(7)
    for step in range(300):
        scene.ask(
            random.choice(["a.de.", "b.nl.", "de."]), float(random.integers(0, 300)),
            int(random.choice([0, 2, 3])), ede=random.choice([None, 3, 6, 22, 33]),
            ad=bool(random.integers(0, 2)), server=f"10.0.0.{step % 3}",
        )  # fmt: skip
    plain = told(scene)
    assert plain["agree"]
    assert plain["disagree"] == sum(case["count"] for case in plain["cases"])
    for seed in range(3):
        assert told(scene, seed=seed, cut=7 + seed) == plain


def test_the_story_takes_its_agreement_from_here() -> None:
    scene = outage()
    scene.ask("www.de.", 150, 2, ede=6)
    scene.ask("www.de.", 151, 0, ede=33)
    story = tell(scene.evidence(weigh=weigh))
    assert (story.agreement["agree"], story.agreement["disagree"]) == (1, 1)


def test_authentic_answer_may_be_of_the_part_that_was_good() -> None:
    partial = {**INCIDENT, "reason": "signature-invalid"}
    found = one("www.de.", 150, 0, ad=True, incidents=(partial,))
    assert (found["agree"], found["disagree"]) == (0, 0)
