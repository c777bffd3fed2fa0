"""The EDNS option of RFC 8145 section 4, from the wire to the finding."""

from __future__ import annotations

import struct
from pathlib import Path

import dns.edns
import dns.message
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.archive.opening import tables_of
from forensics.archive.tables import iter_batches, read_table
from forensics.archive.view import has
from forensics.batch import ingest_batch
from forensics.cryptopan import read_key
from forensics.ingest import ingest
from forensics.options import Options
from forensics.pipeline import analyze
from forensics.testimony.keytags import claims_of

START = 1_780_315_200
COOKIE = dns.edns.GenericOption(10, bytes(8))


def option(*tags: int) -> dns.edns.GenericOption:
    return dns.edns.GenericOption(14, b"".join(struct.pack(">H", tag) for tag in tags))


def query(name: str, kind: str, *options: dns.edns.Option) -> bytes:
    made = dns.message.make_query(name, kind, want_dnssec=True, id=7)
    made.use_edns(0, 0x8000, 1232, options=list(options))
    return made.to_wire()


def pcap(path: Path, *messages: tuple[str, bytes]) -> str:
    """Write messages from these clients to a root server, one a second."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)]
    for number, (client, message) in enumerate(messages):
        source = bytes(map(int, client.split(".")))
        udp = struct.pack(">HHHH", 40_000, 53, 8 + len(message), 0) + message
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
        packet = head + source + bytes([192, 0, 2, 1]) + udp
        parts.append(struct.pack("<IIII", START + number, 0, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(parts))
    return str(path)


def claims(folder: Path, *messages: tuple[str, bytes]) -> list[dict]:
    folder.mkdir(exist_ok=True)
    assert not ingest([pcap(folder / "a.pcap", *messages)], folder / "tables").errors
    if not has(folder / "tables", "key_tags"):
        return []
    return claims_of(iter_batches(folder / "tables", "key_tags"))


def test_distinct_claims_are_counted_with_their_first_frame(tmp_path) -> None:
    found = claims(
        tmp_path,
        ("198.51.100.7", query(".", "DNSKEY", COOKIE, option(38696, 20326))),
        ("198.51.100.8", query("Example.", "DNSKEY", option(1))),
        ("198.51.100.7", query(".", "DNSKEY", option(20326, 38696))),
    )
    assert [(r["client"], r["zone"], r["tags"], r["count"], r["frame"]) for r in found] == [
        ("198.51.100.7", ".", [20326, 38696], 2, 1),
        ("198.51.100.8", "example.", [1], 1, 2),
    ]
    assert (found[0]["first"], found[0]["last"]) == (START * 10**9, (START + 2) * 10**9)


def test_what_is_no_claim_is_none(tmp_path) -> None:
    other_type = query(".", "NS", option(20326))
    odd = query(".", "DNSKEY", dns.edns.GenericOption(14, b"\x4f"))
    empty = query(".", "DNSKEY", dns.edns.GenericOption(14, b""))
    plain = query(".", "DNSKEY", COOKIE)
    response = bytearray(query(".", "DNSKEY", option(20326)))
    response[2] |= 0x80
    cut = query(".", "DNSKEY", option(20326))[:-1]
    messages = (other_type, odd, empty, plain, bytes(response), cut)
    assert claims(tmp_path, *(("198.51.100.7", message) for message in messages)) == []


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 40))
def test_no_octets_make_it_read_beyond_the_message(tmp_path_factory, noise, at) -> None:
    whole = query(".", "DNSKEY", option(20326, 38696))
    at = min(at, len(whole))
    claims(tmp_path_factory.mktemp("noise"), ("198.51.100.7", whole[:at] + noise + whole[at:]))


def test_the_report_says_it_and_hides_the_sender_when_asked(tmp_path) -> None:
    path = pcap(tmp_path / "a.pcap", ("198.51.100.7", query(".", "DNSKEY", option(20326))))
    report = analyze([path], tmp_path / "out", Options(), figures=False).report
    (found,) = [f for f in report["findings"] if f["kind"] == "trust-signals"]
    (signal,) = found["signals"]
    assert (signal["client"], signal["tags"], signal["by"]) == (
        "198.51.100.7", [20326], "edns-key-tag",
    )  # fmt: skip
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    assert read_key(str(key))
    hidden = Options(anonymize=str(key))
    again = analyze([path], tmp_path / "again", hidden, figures=False).report
    (found,) = [f for f in again["findings"] if f["kind"] == "trust-signals"]
    assert found["signals"][0]["client"] != "198.51.100.7"
    assert found["signals"][0]["tags"] == [20326]


def test_a_dataset_that_grows_keeps_what_one_run_finds(tmp_path) -> None:
    """Three files, in any order: the same claims, the first frame of the earliest of each."""
    sent = [
        [("198.51.100.7", query(".", "DNSKEY", option(20326)))],
        [("198.51.100.8", query(".", "NS")), ("198.51.100.7", query(".", "DNSKEY", option(20326)))],
        [
            ("198.51.100.9", query(".", "DNSKEY", option(38696, 20326))),
            ("198.51.100.7", query(".", "DNSKEY", option(38696))),
        ],
    ]
    files = [pcap(tmp_path / f"{at}.pcap", *messages) for at, messages in enumerate(sent)]
    whole = tmp_path / "whole"
    assert not ingest(files, whole).errors
    expected = list(claims_of(iter_batches(whole, "key_tags")))
    assert [row["count"] for row in expected] == [2, 1, 1]
    root = tmp_path / "dataset"
    for file in (files[2], files[0], files[1]):
        ingest_batch([file], str(root), Options())
    found = tables_of(root)
    assert has(found, "key_tags")
    names = {path: number for number, path in enumerate(files)}
    here = read_table(found, "captures")
    moved = {
        number: names[path]
        for number, path in zip(here["capture"].to_pylist(), here["path"].to_pylist(), strict=True)
    }
    told = [
        {**row, "capture": moved[row["capture"]]}
        for row in claims_of(iter_batches(found, "key_tags"))
    ]
    assert told == expected


def test_a_dataset_without_claims_has_no_such_table(tmp_path) -> None:
    file = pcap(tmp_path / "a.pcap", ("198.51.100.8", query(".", "NS")))
    ingest_batch([file], str(tmp_path / "dataset"), Options())
    assert not has(tables_of(tmp_path / "dataset"), "key_tags")
