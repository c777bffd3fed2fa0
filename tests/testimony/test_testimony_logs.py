"""Resolvers' logs: real lines of four resolvers, times of every kind, and what is made of them."""

from __future__ import annotations

import copy
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.capture.containers import Stream
from forensics.capture.lines import text_lines
from forensics.testimony.logs.entry import FAILURE, NTA_ADDED, NTA_REMOVED, STALE
from forensics.testimony.logs.holding import hold
from forensics.testimony.logs.reading import FORMATS, read
from forensics.testimony.logs.stamps import Stamps

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
SECOND = 1_000_000_000
NEAR = int(datetime(2026, 11, 24, 19, 0, tzinfo=UTC).timestamp()) * SECOND


def log_of(*words: str):
    path = CAPTURES.joinpath(*words)
    return read(str(path), path.read_text().splitlines(), NEAR)


@pytest.mark.parametrize(
    ("name", "file", "kind", "pattern"),
    [
        ("de-2026", "unbound.log", "unbound", r"info: validation failure <"),
        ("ru-2024", "unbound.log", "unbound", r"info: validation failure <"),
        ("fj-2022", "recursor.log", "powerdns", r'msg="Validates as Bogus"'),
        ("apnic-2012", "kresd.log", "knot", r"^\[dnssec\] validation failure"),
    ],
)
def test_every_failure_that_grep_finds_is_read(name, file, kind, pattern) -> None:
    text = (CAPTURES / name / file).read_text()
    log = log_of(name, file)
    assert log.format == kind
    assert log.lines == len(text.splitlines())
    found = [entry for _, entry in log.entries if entry.kind == FAILURE]
    assert len(found) == len(re.findall(pattern, text, re.MULTILINE)) > 0
    assert all(entry.name.endswith(".") and entry.name == entry.name.lower() for entry in found)


def test_bind_tells_failures_in_two_categories() -> None:
    log = log_of("ru-2024", "bind.log")
    assert log.format == "bind"
    assert log.untimed == 0
    words = {entry.words for _, entry in log.entries}
    assert {"no valid signature found", "RRSIG failed to verify", "broken trust chain"} <= words
    first = (CAPTURES / "ru-2024" / "bind.log").read_text().splitlines()[0]
    stamp = datetime.fromisoformat(first.split(" ")[0])
    assert log.entries[0][0] == round(stamp.timestamp() * 1000) * 1_000_000


LINES = (
    ("unbound", ("[1795533768] unbound[1:0] info: validation failure <nx.de. AAAA IN>: signature "
     "crypto failed from 2001:db8::1 for <de. SOA IN>"),
     (FAILURE, "nx.de.", "AAAA", "signature crypto failed")),
    ("unbound", ("Nov 24 19:39:39 host unbound[17:0] info: validation failure <a.de. A IN>: key "
     "for validation de. is marked as invalid because of a previous validation failure <b.de. A "
     "IN>: no keys have a DS with algorithm ECDSAP256SHA256 from 192.0.2.1"),
     (FAILURE, "a.de.", "A", "no keys have a DS with algorithm ECDSAP256SHA256")),
    ("bind", ("24-Nov-2026 19:39:39.123 dnssec: info: validating www.example.org/A: no valid "
     "signature found"), (FAILURE, "www.example.org.", "A", "no valid signature found")),
    ("bind", ("2026-11-24T19:39:39.123Z dnssec: info:   validating nz/DNSKEY: no valid signature "
     "found (DS)"), (FAILURE, "nz.", "DNSKEY", "no valid signature found")),
    ("bind", ("Nov 24 19:39:39 host named[9]: no valid RRSIG resolving 'fichte.de/DS/IN': "
     "192.0.2.1#53"), (FAILURE, "fichte.de.", "DS", "no valid RRSIG")),
    ("bind", ("24-Nov-2026 19:39:39.123 general: info: received control channel command "
     "'nta -lifetime 3600 de'"), (NTA_ADDED, "de.", "", "rndc nta")),
    ("bind", ("24-Nov-2026 19:39:39.123 general: info: received control channel command "
     "'nta -remove de'"), (NTA_REMOVED, "de.", "", "rndc nta")),
    ("bind", ("24-Nov-2026 19:39:39.123 serve-stale: info: www.de resolver failure, stale answer "
     "used (broken trust chain)"), (STALE, "www.de.", "", "resolver failure")),
    ("bind", ("24-Nov-2026 19:39:39.123 serve-stale: info: www.de stale answer used, an attempt to "
     "refresh the RRset will still be made"), (STALE, "www.de.", "", "refreshed behind it")),
    ("powerdns", ("Nov 24 19:39:39 host pdns_recursor[7]: Answer to www.x.de|AAAA for "
     "192.0.2.7:4000 validates as BogusNoValidRRSIG"),
     (FAILURE, "www.x.de.", "AAAA", "validates as BogusNoValidRRSIG")),
    ("powerdns", ("Nov 24 19:43:41 Adding Negative Trust Anchor for fj with reason 'wrong DS', "
     "requested via control channel"), (NTA_ADDED, "fj.", "", "negative trust anchor")),
    ("knot", "2026-11-24T19:39:39+0100 host kresd[5]: [dnssec] validation failure: fj. DNSKEY",
     (FAILURE, "fj.", "DNSKEY", "validation failure")),
)  # fmt: skip


@pytest.mark.parametrize(("name", "line", "want"), LINES)
def test_a_line_of_each_kind(name, line, want) -> None:
    log = read("log", [line], NEAR)
    assert log.format == name
    ((_, entry),) = log.entries
    assert tuple(entry) == want


def test_stale_data_that_there_was_none_of_is_no_mitigation() -> None:
    line = (
        "24-Nov-2026 19:39:39.123 serve-stale: info: www.de resolver failure, stale answer "
        "unavailable (broken trust chain)"
    )
    assert read("log", [line], NEAR).entries == []


AT = int(datetime(2026, 11, 24, 19, 39, 39, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("line", "zone", "want"),
    [
        ("[1795549179] unbound", UTC, 1795549179 * SECOND),
        ("2026-11-24T19:39:39.123456789Z x", UTC, AT + 123456789),
        ("2026-11-24T20:39:39+0100 host x", UTC, AT),
        ("2026-11-24T20:39:39+01:00 host x", UTC, AT),
        ("2026-11-24 20:39:39 x", ZoneInfo("Europe/Berlin"), AT),
        ("24-Nov-2026 19:39:39.500 x", UTC, AT + SECOND // 2),
        ("Nov 24 19:39:39 host x", UTC, AT),
        ("<30>Nov 24 20:39:39.25 host x", ZoneInfo("Europe/Berlin"), AT + SECOND // 4),
        ("2026-11-24T19:39:39-00:30 x", UTC, AT + 1800 * SECOND),
        ("2026-11-24T19:39:39+24:00 x", UTC, None),
        ("2026-11-24T19:39:39+9900 x", UTC, None),
        ("2026-11-24T19:39:39+\u0661\u0661:\u0661\u0661 x", UTC, AT - (11 * 60 + 11) * 60 * SECOND),
        ("9999-11-24T19:39:39Z x", UTC, None),
        ("0001-01-01T00:00:00Z x", UTC, None),
        ("[9999999999] x", UTC, None),
        ("Nov 31 19:39:39 host x", UTC, None),
        ("no stamp at all", UTC, None),
    ],
)
def test_every_stamp_of_the_same_instant(line, zone, want) -> None:
    time, rest = Stamps(NEAR, zone).read(line)
    assert time == want
    assert rest.endswith(("x", "unbound")) or want is None


def test_a_year_that_is_not_said_is_the_one_next_to_the_capture() -> None:
    new_year = int(datetime(2027, 1, 1, 0, 5, tzinfo=UTC).timestamp()) * SECOND
    before, _ = Stamps(new_year).read("Dec 31 23:59:00 host x")
    after, _ = Stamps(new_year).read("Jan  1 00:01:00 host x")
    assert before == new_year - 360 * SECOND
    assert after == new_year - 240 * SECOND


@given(st.lists(st.text(max_size=120), max_size=5))
def test_no_text_breaks_a_reader(lines) -> None:
    for line in lines:
        for one in FORMATS:
            one.sniff(line)
            one.parse(line)
    assert read("log", lines, NEAR).lines == len(lines)


BEGINNINGS = (
    "", "[dnssec] validation failure: ", "unbound: info: validation failure <a A IN>: ",
    "failed to prime trust anchor -- ", "validating a/A: no valid ", "validating A",
    "control channel command 'nta ", "no valid RRSIG resolving 'a", "Answer to ",
    'msg="Validates as Bogus" ', 'qname="',
)  # fmt: skip
REPEATED = (
    " ", "\t", "(", " (", "a ", "/A", "a|", "/A/", '"', "RRSIG a ", 'msg="a" ', " from", "<",
    "failed to prime trust anchor -- ", "validating a/A/", " resolving 'A/A/",
)  # fmt: skip


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_no_text_makes_a_reader_go_over_it_again_and_again(beginning) -> None:
    """The square of a line's length would be minutes: ten seconds are a hang, not a timing."""
    for repeated in REPEATED:
        line = beginning + repeated * (200_000 // len(repeated)) + "x"
        for one in FORMATS:
            began = process_time()
            one.sniff(line)
            one.parse(line)
            assert process_time() - began < 10, (one.NAME, repeated)


def test_lines_are_bounded_and_compressed_logs_are_read(tmp_path) -> None:
    import gzip

    content = b"short\r\n" + b"x" * 100_000 + b"\nlast \xff"
    plain, packed = tmp_path / "log", tmp_path / "log.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    for path in (plain, packed):
        stream = Stream(str(path), 65_536)
        lines = list(text_lines(stream))
        stream.finish()
        assert lines[0] == "short"
        assert len(lines[1]) == 16_384
        assert lines[2:] == ["last \\xff"]


def _incident(zone: str, bad: str, good: str | None) -> dict:
    return {
        "id": zone,
        "zone": zone,
        "onset": {"last_good": None, "first_bad": bad},
        "recovery": {"last_bad": bad, "first_good": good},
        "mitigations": [],
    }


def test_entries_go_to_the_deepest_incident_of_their_time_and_the_rest_disagrees() -> None:
    start = "2026-11-24T19:39:39.000000000Z"
    incidents = [_incident("de.", start, start), _incident("x.de.", start, start)]
    lines = [
        "[1795549200] unbound[1:0] info: validation failure <a.x.de. A IN>: no signatures from ::1",
        "[1795549201] unbound[1:0] info: validation failure <a.de. A IN>: no signatures from ::1",
        "[1795549202] unbound[1:0] info: validation failure <xde. A IN>: no signatures from ::1",
        "[1795449202] unbound[1:0] info: validation failure <a.de. A IN>: no signatures from ::1",
        "[1795749202] unbound[1:0] info: validation failure <a.de. A IN>: no signatures from ::1",
    ]
    told = hold([read("u.log", lines, NEAR)], incidents)
    assert (told["agree"], told["disagree"]) == (2, 3)
    assert [row["testimony"][0]["failures"] for row in incidents] == [1, 1]
    assert incidents[0]["testimony"][0]["words"] == [{"text": "no signatures", "count": 1}]
    (case,) = told["cases"]
    assert case["count"] == 3
    assert "a.de." in case["claim"]


def test_a_negative_trust_anchor_that_the_lab_set_is_found_at_its_time() -> None:
    truth = tomllib.loads((CAPTURES / "fj-2022" / "truth.toml").read_text())
    (set_,) = [one for one in truth["mitigations"] if one["kind"] == "negative-trust-anchor"]
    incident = _incident("fj.", "2026-11-24T19:30:00.000000000Z", None)
    hold([log_of("fj-2022", "recursor.log")], [incident])
    (found,) = incident["mitigations"]
    assert (found["kind"], found["basis"]) == ("negative-trust-anchor", "log")
    gap = datetime.fromisoformat(found["at"]) - datetime.fromisoformat(str(set_["at"]))
    assert abs(gap.total_seconds()) <= 2


@pytest.mark.parametrize(
    ("when", "told"),
    [("19:39:45", ["serve-stale"]), ("19:38:00", []), ("19:50:00", [])],
)
def test_stale_data_served_in_the_incident_is_a_mitigation(when: str, told: list[str]) -> None:
    start, end = "2026-11-24T19:39:39.000000000Z", "2026-11-24T19:40:39.000000000Z"
    incident = _incident("de.", start, end)
    line = f"2026-11-24T{when}.000Z serve-stale: info: www.de {{}}, stale answer used (failure)"
    lines = [line.format("resolver failure"), line.format("query within stale refresh time")]
    hold([read("b.log", lines, NEAR)], [incident])
    assert [row["kind"] for row in incident["mitigations"]] == told
    assert all((row["basis"], row["resolver"]) == ("log", "b.log")
               for row in incident["mitigations"])  # fmt: skip


def test_without_incidents_nothing_is_explained() -> None:
    log = log_of("ru-2024", "unbound.log")
    told = hold([log], [])
    assert told["agree"] == 0
    assert told["disagree"] == sum(entry.kind == FAILURE for _, entry in log.entries)
    assert copy.deepcopy(told) == hold([log], [])
