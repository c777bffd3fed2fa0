"""What the report says in words: losses told apart, and nobody accused by a sentence."""

from __future__ import annotations

from timeline_scene import Scene

from forensics import vocabulary
from forensics.capture.losses import REASONS
from forensics.report import words
from forensics.timeline import findings
from forensics.timeline.moments import Moment
from forensics.timeline.onset import Brackets
from forensics.timeline.story import tell
from forensics.timeline.wording import RESOLVER_CLAUSES, sentence


def _lost(reason: str, count: int) -> dict[str, object]:
    return {
        "capture": 0, "reason": reason, "count": count, "octets": 9, "offset": 1, "frame": 1,
        "detail": "first",
    }  # fmt: skip


def test_every_loss_is_known_in_words() -> None:
    assert set(REASONS) | {"unreadable"} == set(vocabulary.LOSSES)
    assert set(vocabulary.LOSSES) > vocabulary.NOT_READ
    assert {"tcp-not-reassembled", "ip-fragment", "link-type-unknown"} <= vocabulary.NOT_READ
    assert not {"file-cut", "packet-cut", "message-cut", "ip-malformed"} & vocabulary.NOT_READ


def test_what_is_not_read_is_no_damage() -> None:
    scene = Scene()
    scene.rows["losses"] += [_lost("tcp-not-reassembled", 126), _lost("file-cut", 1)]
    rows = {row["kind"]: row for row in tell(scene.evidence()).findings}
    assert rows["not-read"]["reasons"] == {"tcp-not-reassembled": 126}
    assert rows["losses"]["reasons"] == {"file-cut": 1}
    assert (
        "126 TCP segments (this version does not put TCP streams together)"
        in rows["not-read"]["sentence"]
    )
    assert "1 file that ends within a record" in rows["losses"]["sentence"]


def test_the_report_has_a_name_for_each_finding() -> None:
    assert set(findings.ORDER) <= set(words.FINDINGS)
    assert set(words.FINDINGS) >= words.URGENT


def test_a_sentence_about_resolvers_alone_does_not_accuse_the_zone() -> None:
    incident = {
        "view": "resolver",
        "zone": "de.",
        "reason": "signature-expired",
        "resolvers": [
            {"address": "192.0.2.53", "bad": 2},
            {"address": "192.0.2.54", "bad": 0},
        ],
        "servers": [],
        "impact": {"transactions": 0},
    }
    moment = Moment(1_000_000_000, 0, 1)
    told = sentence(incident, Brackets(None, moment, moment, None))
    assert told.startswith(
        "A resolver (192.0.2.53) gave answers for de. that carried signatures that had run out. "
    )
    assert "192.0.2.54" not in told
    incident["resolvers"] += [{"address": f"192.0.2.{n}", "bad": 1} for n in (55, 56)]
    told = sentence(incident, Brackets(None, moment, moment, None))
    assert told.startswith("Resolvers (192.0.2.53, 192.0.2.55, and 1 more) gave answers for de. ")


def test_each_reason_that_can_accuse_has_words_for_a_resolver() -> None:
    bogus = {
        reason.code for reason in vocabulary.REASONS if reason.status is vocabulary.Status.BOGUS
    }
    assert set(RESOLVER_CLAUSES) == bogus
