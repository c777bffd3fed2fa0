"""`rehearse` as a pipeline meets it: exit status, JSON, one-line errors, captures or dataset."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from forensics import cli
from forensics.errors import UsageError

RECORDED = Path(__file__).resolve().parent / "recorded"
CAPTURE = str(RECORDED / "captures" / "old.pcap.zst")
AT = ("--at", "2026-11-28T15:00:00Z")


def run(*words: str, zone: str = "zsk-published"):
    path = zone if "/" in zone else str(RECORDED / "zones" / f"{zone}.zone")
    return CliRunner().invoke(cli.app, ["rehearse", *words, "--zone", path])


def soon(stage) -> tuple[str, str]:
    """An instant just after the recording."""
    from forensics.rehearsal.words import rfc3339

    return ("--at", rfc3339(stage.end(("old",)) + 10**10)[:19] + "Z")


def test_pass_is_0_and_refuse_is_10(stage):
    result = run(CAPTURE, *soon(stage))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("PASS: ")
    result = run(CAPTURE, *soon(stage), zone="zsk-signs")
    assert result.exit_code == 10
    assert result.stdout.startswith("REFUSE: dnskey-missing.")
    assert "resolvers that hold older keys, for 1 h 0 min" in result.stdout
    assert "www.reg.test. A: frame " in result.stdout


def test_quiet_says_nothing_but_by_exit_status(stage):
    result = run(CAPTURE, *soon(stage), "--quiet", zone="zsk-signs")
    assert (result.exit_code, result.stdout) == (10, "")


def test_json_is_the_contract_and_the_same_from_a_dataset(stage):
    told = [
        run(source, *soon(stage), "--json", zone="zsk-signs").stdout
        for source in (CAPTURE, CAPTURE, str(stage.dataset(("old",))))
    ]
    assert told[0] == told[1] == told[2]
    value = json.loads(told[0])
    assert value["schema"] == "dns-forensics/rehearse/1"
    assert (value["verdict"], value["zone"], value["serial"]) == ("refuse", "reg.test.", 102)
    (finding,) = value["findings"]
    assert finding["ede"] == 9
    assert finding["from"] < finding["until"]
    assert finding["queries"] == value["bogus"]["queries"] > 0
    assert sum(value["demand"]["answers"].values()) == value["demand"]["queries"]


@pytest.fixture(scope="module")
def contract():
    import forensics.rehearsal.json as module

    text = Path(module.__file__).with_name("rehearse.schema.json").read_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


@pytest.mark.parametrize(
    ("zone", "verdict", "status"), [("zsk-published", "pass", 0), ("zsk-signs", "refuse", 10)]
)
def test_json_follows_its_schema(stage, contract, zone, verdict, status):
    result = run(CAPTURE, *soon(stage), "--json", zone=zone)
    told = json.loads(result.stdout)
    assert (told["verdict"], result.exit_code) == (verdict, status)
    assert [error.message for error in contract.iter_errors(told)] == []
    for name in told:
        assert not contract.is_valid({key: told[key] for key in told if key != name}), name
    assert not contract.is_valid({**told, "verdict": "maybe"})


def test_the_clock_is_read_where_no_time_is_given(stage):
    import typer

    from forensics.rehearsing import register

    app = typer.Typer()
    app.callback()(lambda: None)
    register(app, lambda: stage.end(("old",)) + 10**10)
    path = str(RECORDED / "zones" / "zsk-signs.zone")
    result = CliRunner().invoke(app, ["rehearse", CAPTURE, "--zone", path, "--json"])
    assert result.exit_code == 10
    assert json.loads(result.stdout)["findings"][0]["seconds"] == 3600


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("www IN A 192.0.2.1\n", (), "no SOA record"),
        ("x. 5 IN SOA a. b. 1 2 3 4 5\nx. 5 IN A 999.0.2.1\n", (), "malformed"),
        ("x. IN SOA a. b. 1 2 3 4 5\n", ("--origin", "y."), "has 0 for y."),
        ("x. IN SOA a. b. 1 2 3 4 5\n", ("--valid-for", "soon"), "--valid-for soon"),
        ("\x00\xff", (), "no SOA record"),
        ("$INCLUDE /etc/passwd\nx. IN SOA a. b. 1 2 3 4 5\n", (), "INCLUDE"),
    ],
)
def test_a_zone_file_or_option_that_cannot_be_used_is_named_in_one_line(
    tmp_path, content, words, said
):
    path = tmp_path / "bad.zone"
    path.write_text(content)
    result = run(CAPTURE, *AT, *words, zone=str(path))
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_ds_file_of_another_zone_is_refused_and_an_empty_one_means_none(tmp_path, stage):
    ds = tmp_path / "ds"
    ds.write_text("other.test. IN DS 1 13 2 " + "00" * 32 + "\n")
    result = run(CAPTURE, *AT, "--ds", str(ds))
    assert isinstance(result.exception, UsageError)
    assert "reg.test." in str(result.exception)
    ds.write_text("")
    # Nothing in force, but caches hold the DS that was recorded: its TTL is 3600 s.
    result = run(
        CAPTURE, *soon(stage), "--ds", str(ds), "--origin", "reg.test.", "--json", zone="unsigned"
    )
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["reason"], finding["holders"]) == ("dnskey-absent", "cached-ds")


def test_a_recording_of_other_zones_refuses_nothing_and_says_what_to_record(tmp_path, stage):
    text = (RECORDED / "zones" / "unsigned.zone").read_text().replace("reg.test.", "else.test.")
    path = tmp_path / "else.zone"
    path.write_text(text)
    result = run(CAPTURE, *soon(stage), "--origin", "else.test.", "--json", zone=str(path))
    # A signing pipeline must not take what nobody could judge for a pass.
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["verdict"] == "unjudged"
    assert told["sentence"].startswith("UNJUDGED: ")
    assert {one["what"] for one in told["unjudged"]} == {
        "cached-keys",
        "delegation",
        "demand",
        "serial",
    }
    assert all(one["needed"] for one in told["unjudged"])


def test_no_input_is_told_apart_from_usage():
    from forensics.errors import NoInputError

    assert isinstance(run("/nonexistent.pcap", *AT).exception, NoInputError)
