"""What the report says in words: losses told apart, and nobody accused by a sentence."""

from __future__ import annotations

import struct

import dns.name
import dns.rdata
from hypothesis import given
from hypothesis import strategies as st
from timeline_scene import Scene

from forensics import vocabulary
from forensics.capture.losses import REASONS
from forensics.evidence.collector import Evidence
from forensics.report import words
from forensics.timeline import chain, findings, quote
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
    behind = set(Evidence().skipped) | {"outside-times", "zone-transfer"}
    behind |= {"open-transactions", "open-truncated"}
    assert set(REASONS) | behind | {"unreadable"} == set(vocabulary.LOSSES)
    assert behind < vocabulary.NOT_READ
    assert set(vocabulary.LOSSES) > vocabulary.NOT_READ
    assert {"stream-limit", "fragment-limit", "link-type-unknown"} <= vocabulary.NOT_READ
    assert not {"file-cut", "packet-cut", "message-cut", "ip-malformed"} & vocabulary.NOT_READ


def test_what_is_not_read_is_no_damage() -> None:
    scene = Scene()
    scene.rows["losses"] += [_lost("stream-limit", 126), _lost("file-cut", 1)]
    rows = {row["kind"]: row for row in tell(scene.evidence()).findings}
    assert rows["not-read"]["reasons"] == {"stream-limit": 126}
    assert rows["losses"]["reasons"] == {"file-cut": 1}
    assert (
        "126 TCP segments out of order beyond what one stream may hold"
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


def test_keys_that_never_arrive_are_no_bad_data_and_a_sentence_ends_once() -> None:
    incident = {
        "view": "published",
        "zone": "lk.",
        "reason": "dnskey-unobtainable",
        "resolvers": [],
        "servers": [{"role": "zone", "bad": 1}, {"role": "zone", "bad": 0}],
        "impact": {"transactions": 0},
    }
    moment = Moment(1_000_000_000, 0, 1)
    told = sentence(incident, Brackets(None, moment, moment, None))
    assert "but nobody could fetch the keys of lk. It was already failing" in told
    assert told.endswith("1 of the 2 name servers seen did not give the keys.")
    told = sentence(incident | {"reason": "ds-mismatch"}, Brackets(None, moment, moment, None))
    assert told.endswith("1 of the 2 name servers seen served bad data.")


def test_each_reason_that_can_accuse_has_words_for_a_resolver() -> None:
    bogus = {
        reason.code for reason in vocabulary.REASONS if reason.status is vocabulary.Status.BOGUS
    }
    assert set(RESOLVER_CLAUSES) == bogus


def _signed(*texts: str) -> dict[str, object]:
    """Build what an RRSIG of www.de. A signs, by dnspython (RFC 4034 3.1.8.1)."""
    rrsig = dns.rdata.from_text(
        "IN", "RRSIG", "A 13 2 60 20260505193000 20260401000000 62973 de. AAAA"
    )
    data = rrsig.replace(signature=b"").to_digestable()
    for text in texts:
        rdata = dns.rdata.from_text("IN", "A", text).to_digestable()
        data += dns.name.from_text("www.de.").to_digestable()
        data += struct.pack("!HHIH", 1, 1, 60, len(rdata)) + rdata
    return {"signed_data": data, "octets": b"\0\0\0", "owner": "www.de."}


def test_a_bad_rrset_is_quoted_with_its_rrsig() -> None:
    assert quote.of_signature(_signed("192.0.2.1", "192.0.2.2")) == [
        "www.de.  60  IN  A  192.0.2.1",
        "www.de.  60  IN  A  192.0.2.2",
        "www.de.  60  IN  RRSIG  A 13 2 60 20260505193000 20260401000000 62973 de. AAAA",
    ]


@given(cut=st.integers(0, 80), junk=st.binary(max_size=40))
def test_a_quote_of_hostile_octets_never_fails(cut: int, junk: bytes) -> None:
    row = _signed("192.0.2.1")
    row["signed_data"] = row["signed_data"][:cut] + junk
    lines = quote.of_signature(row)
    assert all(len(line) <= quote.LINE for line in lines)


def test_chain_names_zones_from_the_root_down() -> None:
    assert chain.above("a.example.de.") == [".", "de.", "example.de.", "a.example.de."]
    assert chain.above(".") == ["."]


def test_chain_shows_where_it_breaks_and_leaves_out_what_was_not_captured() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    ds = scene.good("de.", 43, ".")
    dnskey = scene.good("de.", 48, "de.")
    good = scene.good("de.", 6, "de.")
    bad = scene.bad("de.", 6, "de.", tag=4711)
    scene.keys("de.", 48, place, 0, 9, [b"\x01\x01\x03\x0dkey"], [50485])
    for second in range(4):
        for signature in (ds, dnskey, good):
            scene.see(signature, second, place)
    for second in range(5, 9):
        scene.see(bad, second, place)
    (incident,) = tell(scene.evidence()).incidents
    told = [(row["zone"], row["link"], row["status"]) for row in incident["chain"]]
    assert told == [("de.", "dnskey", "secure"), ("de.", "rrset", "bogus")]
    assert incident["chain"][-1]["keys"][0]["tag"] == 4711
    assert incident["chain"][-1]["reason"] == "signature-invalid"
