"""Names below private zones: gone from texts and messages, all else as it was."""

from __future__ import annotations

import itertools
import re
from time import process_time

import dns.edns
import dns.message
import dns.name
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import UsageError
from forensics.options import Options
from forensics.privatenames import PrivateNames

NAMES = PrivateNames(["corp.example.", "lan"], b"key")
LETTERS = "abcdefghijklmnopqrstuvwxyzABC0123456789-_"
LABEL = st.text(st.sampled_from(LETTERS), min_size=4, max_size=9)


def _now(name: str) -> str:
    return NAMES.text(name)


@given(LABEL, LABEL)
def test_labels_below_are_replaced_alike_and_those_of_the_zone_stay(host: str, part: str) -> None:
    now = _now(f"{host}.{part}.corp.example.")
    first, second, *rest = now.split(".")
    assert rest == ["corp", "example", ""]
    assert (len(first), len(second)) == (len(host), len(part))
    assert second == _now(f"x.{part.upper()}.lan.").split(".")[1]
    assert (first, second) != (host, part)


@pytest.mark.parametrize(
    "name",
    ["corp.example.", "corp.example", "a.notcorp.example.", "a.corp.example.org.", "example.",
     "*.corp.example.", "a.plan.", "lan.", "host.land."],
)  # fmt: skip
def test_other_names_and_the_zone_itself_stay(name: str) -> None:
    assert _now(name) == name


def test_names_within_sentences_are_found() -> None:
    told = _now("validation failure <secret1.corp.example. A IN>: (secret2.lan) and secret3.lan.")
    assert "secret" not in told
    assert told.startswith("validation failure <")
    assert ".corp.example. A IN>: (" in told
    assert _now(r"a\.b\032secret.corp.example.").endswith(".corp.example.")
    assert "secret" not in _now(r"a\.b\032secret.corp.example.")


@pytest.mark.parametrize("text", ["\\000" * 16_000, "a" * 64_000, "a." * 32_000, "\\." * 32_000])
def test_hostile_text_is_no_labour(text: str) -> None:
    assert len(NAMES.text(f"{text} x.lan {text}")) == 2 * len(text) + 7


@pytest.mark.parametrize(
    "below",
    [("a" * 63 + ".") * 3_000, ("\\097" * 63 + ".") * 800, "a." * 100_000, "b" * 200_000 + "."],
)
def test_hostile_text_before_a_zone_is_no_labour_and_goes(below: str) -> None:
    """Ten seconds are a hang, not a timing: with the square of the length these took minutes."""
    began = process_time()
    now = NAMES.text(f"{below}lan and {below} lan")
    assert process_time() - began < 10
    assert now.endswith(f"lan and {below} lan")
    hidden = now[: -len(f"lan and {below} lan")]
    assert "aaaa" not in hidden
    assert "bbbb" not in hidden
    assert hidden.count(".") == below.count(".")


@given(st.text("ab.\\1,*-", max_size=12), st.sampled_from(["lan", "LAN.", "lan.x", "lann"]))
def test_text_before_a_zone_is_read_label_by_label(before: str, zone: str) -> None:
    """Against a walk over the letters, one by one, from the zone to the left."""
    is_below = zone.lower().rstrip(".") == "lan"
    units = re.findall(r"\\\d{3}|\\\D|\\|[^\\]", before)
    at = len(units)
    while at and units[at - 1] not in {",", "\\"}:
        at -= 1
    kept, labels = "".join(units[:at]), units[at:]
    told = before
    if is_below and labels and labels[-1] == ".":
        told = kept + "".join(
            "." if stop else NAMES.text("".join(group) + ".lan")[:-4]
            for stop, group in itertools.groupby(labels, lambda unit: unit == ".")
            for group in ([list(group)] if not stop else [[one] for one in group])
        )
    assert NAMES.text(before + zone) == told + zone


def _message() -> dns.message.Message:
    query = dns.message.make_query("Secret-host.corp.example.", "SRV", want_dnssec=True)
    answer = dns.message.make_response(query)
    alias = dns.rrset.from_text("secret-host.corp.example.", 5, "IN", "CNAME", "www.example.org.")
    answer.answer = [
        alias,
        dns.rrset.from_text("www.example.org.", 5, "IN", "SRV", "1 2 3 secret-srv.lan."),
        dns.rrset.from_text("x.example.org.", 5, "IN", "MX", "7 secret-mail.corp.example."),
        dns.rrset.from_text("t.example.org.", 5, "IN", "TXT", '"see secret-text.lan. for it"'),
    ]
    answer.authority = [
        dns.rrset.from_text("corp.example.", 5, "IN", "SOA", "secret-ns.lan. h.example. 1 2 3 4 5"),
        dns.rrset.from_text("corp.example.", 5, "IN", "NSEC", "secret-next.corp.example. A RRSIG"),
    ]
    nsid = dns.edns.GenericOption(3, b"0secret-instance.lan".ljust(0x30, b"."))
    error = dns.edns.EDEOption(6, "failure at secret-ede.corp.example. today")
    answer.use_edns(options=[nsid, error])
    return answer


def test_a_message_keeps_its_shape_and_loses_the_names() -> None:
    before = _message()
    wire = before.to_wire()
    assert wire.count(b"\xc0") > 2  # it is compressed
    after_wire = NAMES.message(wire)
    assert after_wire is not None
    assert len(after_wire) == len(wire)
    assert b"secret" not in after_wire.lower()
    after = dns.message.from_wire(after_wire)
    assert [option.otype for option in after.options] == [3, 15]
    assert [len(option.to_wire()) for option in after.options] == [
        len(option.to_wire()) for option in before.options
    ]
    assert after.options[1].code == 6
    assert [rrset.rdtype for rrset in after.answer] == [rrset.rdtype for rrset in before.answer]
    assert after.answer[0][0] == before.answer[0][0]
    new = after.answer[0].name
    assert new == after.question[0].name
    assert new.is_subdomain(dns.name.from_text("corp.example."))
    assert new.to_text() == NAMES.text("secret-host.corp.example.")
    assert after.authority[1][0].next.to_text() == NAMES.text("secret-next.corp.example.")


def test_a_message_without_such_names_stays_as_it_is() -> None:
    wire = dns.message.make_query("www.example.org.", "A", want_dnssec=True).to_wire()
    assert NAMES.message(wire) == wire


@given(st.binary(max_size=80))
def test_no_message_breaks_it(tail: bytes) -> None:
    for head in (b"\0" * 12, b"\0" * 5 + b"\1\0\1\0\1\0\1"):
        found = NAMES.message(head + tail)
        assert found is None or len(found) <= 12 + len(tail)


def test_a_name_where_none_can_be_replaced_drops_the_message() -> None:
    message = dns.message.make_response(dns.message.make_query("x.example.org.", "NAPTR"))
    data = '1 2 "U" "a" "" secret.corp.example.'
    message.answer = [dns.rrset.from_text("x.example.org.", 5, "IN", "NAPTR", data)]
    assert NAMES.message(message.to_wire()) is None


def test_it_needs_a_key_and_a_zone() -> None:
    with pytest.raises(UsageError, match="needs the key"):
        Options(anonymize_names=("lan",)).check()
    with pytest.raises(UsageError, match="not the root"):
        Options(anonymize="k", anonymize_names=(".",)).check()
