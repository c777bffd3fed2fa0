"""Keys from elsewhere: every form in, labelled, and never stronger than what was seen."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

import dns.dnssec
import dns.rdata
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import schemas
from forensics.errors import UsageError
from forensics.keyring import archive
from forensics.keyring.archive import Supplied

KEY = (
    "256 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeq"
    "CYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA=="
)
RDATA = dns.rdata.from_text("IN", "DNSKEY", KEY).to_wire()
TAG = dns.dnssec.key_id(dns.rdata.from_text("IN", "DNSKEY", KEY))
DS = f"{TAG} 13 2 " + "ab" * 32
SECOND = 10**9


def records(tmp_path, text: str) -> list[dict]:
    path = tmp_path / "keys.txt"
    path.write_text(text)
    return archive.read([path]).to_pylist()


def test_a_list_with_times(tmp_path) -> None:
    found = records(
        tmp_path,
        f"DE. 3600 IN DNSKEY {KEY} ; first=2026-05-02T00:00:00Z last=2026-05-05T22:08:00+02:00\n"
        f"de. IN DS {DS}\n",
    )
    assert [(row["zone"], row["type"], row["source"]) for row in found] == [
        ("de.", 43, "supplied"), ("de.", 48, "supplied"),
    ]  # fmt: skip
    key = found[1]
    assert (key["rdatas"], key["tags"], key["algorithms"], key["detail"]) == (
        [RDATA], [TAG], [13], [256],
    )  # fmt: skip
    assert (key["first"].isoformat(), key["last"].isoformat()) == (
        "2026-05-02T00:00:00+00:00", "2026-05-05T20:08:00+00:00",
    )  # fmt: skip
    assert (found[0]["first"], found[0]["tags"], found[0]["detail"]) == (None, [TAG], [2])
    assert all(row["place"] is None for row in found)


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ("first=1600-01-01 last=9999-12-31", None, None),
        ("first=2026-05-02 last=2300-01-01", 2026, None),
        ("first=0001-01-01 last=2026-05-02", None, 2026),
    ],
)
def test_times_that_no_table_holds_are_always_and_for_ever(tmp_path, said, first, last) -> None:
    (row,) = records(tmp_path, f"de. IN DS {DS} ; {said}\n")
    years = [None if row[end] is None else row[end].year for end in ("first", "last")]
    assert years == [first, last]


def test_keygens_times_that_no_table_holds_are_always_and_for_ever(tmp_path) -> None:
    said = "; Publish: 00010101000000 (x)\n; Delete: 99991231235959 (x)\n"
    (row,) = records(tmp_path, f"{said}de. IN DNSKEY {KEY}\n")
    assert (row["first"], row["last"]) == (None, None)


def test_a_zone_file_with_all_its_habits(tmp_path) -> None:
    found = records(
        tmp_path,
        "$TTL 1d\n$ORIGIN example.\n"
        "@ IN SOA ns host ( 1 ; serial\n 2 3 4 5 )\n"
        f"  3600 DNSKEY {KEY[:40]} (\n {KEY[40:]} ) ; a blank owner is the last one's\n"
        'txt TXT "a ; in a text" "( and a parenthesis"\n'
        f"sub 86400 IN DS {DS}\n"
        f"sub CDS 0 0 0 00\n"
        f"low\\.er.sub\tDNSKEY\t{KEY}\n",
    )
    assert [(row["zone"], row["type"]) for row in found] == [
        ("example.", 48), ("low\\.er.sub.example.", 48), ("sub.example.", 43),
    ]  # fmt: skip
    assert found[0]["rdatas"] == [RDATA]
    assert found[0]["ttl"] == 3600


@pytest.mark.skipif(not shutil.which("dnssec-keygen"), reason="dnssec-keygen is not installed")
def test_a_key_directory_of_bind(tmp_path) -> None:
    made = subprocess.run(
        [shutil.which("dnssec-keygen"), "-K", str(tmp_path), "-a", "13", "-P", "20260101000000",
         "-A", "20260102000000", "-I", "20260201000000", "-D", "20260301000000", "example.org"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    name = made.stdout.strip()
    text = (tmp_path / f"{name}.key").read_text()
    (row,) = archive.read([tmp_path]).to_pylist()
    assert row["zone"] == "example.org."
    assert row["tags"] == [int(name.rsplit("+", 1)[1])]
    assert row["first"].isoformat() == "2026-01-01T00:00:00+00:00"
    assert row["last"].isoformat() == "2026-03-01T00:00:00+00:00"
    assert text.count("DNSKEY") == 1


def test_the_keys_table_of_a_former_run(tmp_path) -> None:
    row = archive.table([Supplied("de.", 48, RDATA, 60, 5 * SECOND, 9 * SECOND)]).to_pylist()[0]
    row |= {"place": 3, "source": "observed", "count": 7}
    (tmp_path / "tables").mkdir()
    pq.write_table(
        pa.Table.from_pylist([row], schema=schemas.KEYS), tmp_path / "tables/keys.parquet"
    )
    for path in (tmp_path, tmp_path / "tables", tmp_path / "tables/keys.parquet"):
        (found,) = archive.read([path]).to_pylist()
        assert (found["zone"], found["source"], found["place"]) == ("de.", "supplied", None)
        assert (found["first"].timestamp(), found["last"].timestamp()) == (5, 9)
        assert found["rdatas"] == [RDATA]


def test_the_order_and_repetition_of_files_change_nothing(tmp_path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"de. IN DNSKEY {KEY}\nnl. IN DNSKEY {KEY}\n")
    other.write_text(f"nl. IN DNSKEY {KEY}\nat. IN DS {DS}\n")
    assert archive.read([one, other, one]).equals(archive.read([other, one]))
    assert archive.read([one, other]).num_rows == 3
    assert archive.read([]).num_rows == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no DNSKEY or DS record"),
        ("www IN A 192.0.2.1\n", "no DNSKEY or DS record"),
        (f"de IN DNSKEY {KEY}\n", ":1: 'de' is relative"),
        (f"\nde. IN DNSKEY ({KEY}\n", ":2: a parenthesis is never closed"),
        ("de. IN DNSKEY 256 3 13 ***\n", ":1: DNSKEY: the public key is not base 64"),
        ("de. IN DNSKEY 70000 3 13 AAAA\n", "'70000' is no number up to 65535"),
        ("de. IN DS 1 13 2 xyz\n", "not hexadecimal"),
        ("de. IN DS 1\n", "needs four fields"),
        (f"de. IN DNSKEY {KEY} ; first=yesterday\n", "'yesterday' is no time"),
        ("PAR1 is how a Parquet file begins", "no keys table of a run"),
        ("x" * 1_100_000, "a line without end"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        records(tmp_path, text)
    assert says in str(caught.value)
    assert str(tmp_path / "keys.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_and_files_that_are_not_there(tmp_path) -> None:
    (tmp_path / "Kde.+013+00001.private").write_text("Private-key-format: v1.3\n")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match="--keys"):
            archive.read([path])


@given(st.binary(max_size=400))
def test_no_octets_raise_anything_else(tmp_path_factory, octets: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile"
    path.write_bytes(octets)
    with contextlib.suppress(UsageError):
        assert archive.read([path]).schema == schemas.KEYS


def test_a_pipe_of_keys_is_refused_at_once(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        archive.read([tmp_path / "pipe"])
