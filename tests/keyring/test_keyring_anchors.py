"""Trust anchors: the root's own, and files of every form, good and bad."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path
from time import process_time

import dns.dnssec
import dns.rdata
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.errors import UsageError
from forensics.keyring import anchors
from forensics.knowledge import FOREVER, Anchor, Key, key_tag, labels, wire_name

KSK_2017 = (
    "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN"
    "7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8"
    "efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLY"
    "A4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU="
)
"""The root's key signing key of 2017, public (IANA): its digest must come out."""

DS_2017 = "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"


def test_the_roots_anchor_is_the_digest_of_the_roots_key() -> None:
    rdata = b"\1\1\3\10" + base64.b64decode(KSK_2017)
    key = Key(".", rdata)
    assert key.tag == 20326
    found = [anchor for anchor in anchors.built_in() if key.matches(anchor)]
    assert [anchor.tag for anchor in found] == [20326]


@pytest.mark.parametrize(
    ("day", "tags"),
    [
        ("2009-01-01", []),
        ("2012-01-01", [19036]),
        ("2018-01-01", [19036, 20326]),
        ("2020-01-01", [20326]),
        ("2024-07-17", [20326]),
        ("2026-11-01", [20326, 38696]),
    ],
)
def test_anchors_have_dates(day: str, tags: list[int]) -> None:
    from datetime import datetime

    at = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 10**9
    assert [anchor.tag for anchor in anchors.built_in(at)] == tags


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "anchors"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_zone_file_form_reads_alike(tmp_path: Path) -> None:
    record = f". DS {DS_2017}"
    forms = (
        record,
        f". IN DS {DS_2017}",
        f". 172800 IN DS {DS_2017}",
        f". IN 172800 DS {DS_2017}",
        f".\t1d\tDS\t{DS_2017.lower()} ; the key of 2017",
        f"; a comment\n\n. IN DS ( 20326 8 2 ; in parts\n  {DS_2017[10:42]}\n  {DS_2017[42:]} )",
        f". IN DNSKEY 257 3 8 {KSK_2017}",
        f". IN DNSKEY 257 3 8 (\n{KSK_2017[:60]}\n{KSK_2017[60:]}\n)",
        f"$TTL 3600\n. CDS {DS_2017}",
    )
    read = [anchors.read(write(tmp_path, form)) for form in forms]
    assert all(found == read[0] for found in read)
    assert read[0] == [Anchor(".", 20326, 8, 2, bytes.fromhex(DS_2017[10:]), source="supplied")]


def test_several_zones_and_a_repeated_owner(tmp_path: Path) -> None:
    text = (
        f"Example.COM. IN DS 1 13 2 {'00' * 32}\n      IN DS 2 13 1 {'11' * 20}\n. DS {DS_2017}\n"
    )
    found = anchors.read(write(tmp_path, text))
    assert [(a.zone, a.tag) for a in found] == [
        (".", 20326),
        ("example.com.", 1),
        ("example.com.", 2),
    ]


XML = """<?xml version="1.0" encoding="UTF-8"?>
<TrustAnchor id="X" source="http://data.iana.org/root-anchors/root-anchors.xml">
<Zone>.</Zone>
<KeyDigest id="K" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
<KeyTag>19036</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
</KeyDigest>
<KeyDigest id="L" validFrom="2017-02-02T00:00:00+00:00">
<KeyTag>20326</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
<PublicKey>AwEAAQ==</PublicKey><Flags>257</Flags>
</KeyDigest>
</TrustAnchor>
"""


def test_ianas_file_gives_the_dates(tmp_path: Path) -> None:
    found = anchors.read(write(tmp_path, XML))
    built = anchors.built_in()[:2]
    assert [(a.tag, a.digest, a.start, a.end) for a in found] == [
        (a.tag, a.digest, a.start, a.end) for a in built
    ]
    assert found[1].end == FOREVER


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("; nothing\n", 1),
        (". DS 1 8 2 00", 1),
        (f"\n\n. DS 70000 8 2 {'00' * 32}", 3),
        (f". DS 1 8 9 {'00' * 32}", 1),
        (f". DS 1 8 2 {'zz' * 32}", 1),
        (". A 192.0.2.1", 1),
        (". IN", 1),
        (f"  DS {DS_2017}", 1),
        ("$INCLUDE other", 1),
        (". DNSKEY 257 3 8 !!!", 1),
        (". DNSKEY 0 3 8 AwEAAQ==", 1),
        (". DNSKEY 257 2 8 AwEAAQ==", 1),
        (". DNSKEY 257 3 8", 1),
        (f"a..b. DS {DS_2017}", 1),
        (f". DS ( {DS_2017}", 1),
        (f". DS {DS_2017} )", 1),
        (f". DS {DS_2017}\n\x00", 2),
        ("<a>", 1),
        (XML.replace("<KeyTag>19036</KeyTag>", ""), 7),
        (XML.replace("2019-01-11T00:00:00+00:00", "soon"), 7),
        ('<!DOCTYPE x [<!ENTITY e "x">]><TrustAnchor>&e;</TrustAnchor>', 1),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        anchors.read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none"):
        anchors.read(tmp_path / "none")
    path = tmp_path / "binary"
    path.write_bytes(b"\n\xff\xfe")
    with pytest.raises(UsageError, match=":2: not UTF-8"):
        anchors.read(path)


@given(st.text("0123456789sSmhdwWx.- ", max_size=8))
def test_a_ttl_is_read_as_a_row_of_numbers_with_and_without_units(text: str) -> None:
    parts = "".join(letter if letter.isdigit() else f"{letter} " for letter in text).split()
    numbers = [part[:-1] if part[-1] in "smhdwSMHDW" else part for part in parts]
    expected = " " not in text and bool(parts) and all(number.isdigit() for number in numbers)
    assert (anchors.TTL.fullmatch(text) is not None) == expected


def test_a_long_row_of_digits_is_refused_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, f". 3600 {'1' * 50_000}z")
    with pytest.raises(UsageError, match="neither DS nor DNSKEY"):
        anchors.read(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (". " + "IN " * 500_000, "no record type"),
        (". " + "3600 " * 500_000, "no record type"),
        ("a." * 200_000 + " DS 1 8 2 00", "longer than"),
        ("<TrustAnchor><Digest>" + "a\n" * 1_000_000 + "</Digest></TrustAnchor>", "longer than"),
    ],
)
def test_a_long_file_is_refused_at_once(tmp_path: Path, text: str, why: str) -> None:
    """Ten seconds are a hang, not a timing: these took minutes."""
    path = write(tmp_path, text)
    began = process_time()
    with pytest.raises(UsageError, match=why):
        anchors.read(path)
    assert process_time() - began < 10


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("a") / "anchors"
    path.write_text(text, encoding="utf-8", errors="ignore")
    try:
        found = anchors.read(path)
    except UsageError:
        found = []
    assert all(isinstance(anchor, Anchor) for anchor in found)


@given(st.binary(min_size=5, max_size=300))
def test_key_tags_agree_with_dnspython(rdata: bytes) -> None:
    rdata = rdata[:3] + bytes([rdata[3] or 2]) + rdata[4:]
    key = dns.rdata.from_wire("IN", "DNSKEY", rdata, 0, len(rdata))
    if rdata[3] != 1:
        assert key_tag(rdata) == dns.dnssec.key_id(key)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6))
def test_names_agree_with_dnspython(parts: list[bytes]) -> None:
    import dns.name

    name = dns.name.Name([*parts, b""]).canonicalize()
    assert wire_name(name.to_text()) == name.to_wire()
    assert len(labels(name.to_text())) == len(parts)


SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "captures"
ROOT_CAPTURE = SHARED / "dns-stats+compactor" / "test-scripts" / "knot-live.raw.pcap.xz"


@pytest.mark.skipif(not ROOT_CAPTURE.is_file(), reason="the shared captures are not here")
def test_the_key_of_2010_stands_in_a_real_capture_of_the_root() -> None:
    import lzma

    octets = lzma.decompress(ROOT_CAPTURE.read_bytes())
    anchor = anchors.built_in()[0]
    assert anchor.tag == 19036
    # Flags 257, protocol 3, algorithm 8, exponent 65537, and a modulus of 2048 bits.
    head = b"\1\1\3\10\3\1\0\1"
    at, matching = octets.find(head), 0
    while at >= 0:
        matching += Key(".", octets[at : at + 264]).matches(anchor)
        at = octets.find(head, at + 1)
    assert matching > 0


def test_a_pipe_is_read_until_its_writer_closes_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = f". IN DS {DS_2017}\n; {'x' * 100_000}\n"  # more than a pipe holds at once
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    found = anchors.read(pipe)
    writer.join()
    assert [anchor.tag for anchor in found] == [20326]


def test_a_pipe_without_a_writer_is_given_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(anchors, "PIPE_PATIENCE", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="nothing was written to it"):
        anchors.read(pipe)
