"""Notices reach a file once and a hook with a time limit, and no shell reads them."""

from __future__ import annotations

import json
import sys
import time

import pytest

from forensics.errors import UsageError
from forensics.watching.delivery import Delivery
from forensics.watching.events import Event
from forensics.watching.store import Known, Store

NASTY = "$(touch pwned); `id` \x1b[2J\u202e.example."


def rows(*numbers):
    return [
        {
            "notice": {"id": f"n{number}", "event": "began", "zone": NASTY, "sentence": "x"},
            "written": False,
            "hooked": False,
        }
        for number in numbers
    ]


def settle(delivery, outbox, seconds=20):
    deadline = time.monotonic() + seconds
    while outbox and time.monotonic() < deadline:
        delivery.pump(outbox)
        time.sleep(0.02)
    assert outbox == []


def test_lines_are_whole_and_safe_and_none_comes_twice(tmp_path):
    path = tmp_path / "n.jsonl"
    delivery = Delivery(path, "", pytest.fail)
    outbox = rows(1, 2)
    assert delivery.pump(outbox)
    assert outbox == []
    assert not delivery.pump(outbox)
    delivery.close([])
    # Killed within a line, and before the state said that the second was written.
    with path.open("ab") as file:
        file.write(b'{"id":"n3","ev')
    delivery = Delivery(path, "", pytest.fail)
    delivery.pump(rows(2, 3))
    delivery.close([])
    text = path.read_bytes()
    assert text.isascii()
    assert b"\x1b" not in text
    assert [json.loads(line)["id"] for line in text.splitlines()] == ["n1", "n2", "n3"]
    assert json.loads(text.splitlines()[0])["zone"] == NASTY


def hook(tmp_path, code):
    script = tmp_path / "hook.py"
    script.write_text(code)
    return f"{sys.executable} {script}"


def test_a_hook_gets_the_notice_and_its_facts(tmp_path):
    out = tmp_path / "out.json"
    command = hook(
        tmp_path,
        "import json, os, sys\n"
        f"json.dump([json.load(sys.stdin), os.environ['DNS_FORENSICS_ZONE'], sys.argv[1:]],"
        f" open({str(out)!r}, 'w'))\n",
    )
    delivery = Delivery(tmp_path / "n", f"{command} 'two words' $HOME", pytest.fail)
    outbox = rows(1)
    settle(delivery, outbox)
    delivery.close([])
    notice, zone, words = json.loads(out.read_text())
    assert notice["id"] == "n1"
    assert zone == NASTY
    assert words == ["two words", "$HOME"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hook.py", "n", "out.json"]


def test_a_hook_that_hangs_is_killed_with_its_children_and_holds_up_nobody(tmp_path):
    mark = tmp_path / "mark"
    command = hook(
        tmp_path,
        "import subprocess, sys, json, time\n"
        "if json.load(sys.stdin)['id'] == 'n1':\n"
        f"    subprocess.run(['sh', '-c', 'sleep 3; touch {mark}'])\n"
        f"open({str(tmp_path / 'done')!r}, 'a').write('x')\n",
    )
    said = []
    delivery = Delivery(tmp_path / "n", command, said.append, seconds=1)
    outbox = rows(1, 2)
    settle(delivery, outbox)
    delivery.close([])
    assert len(said) == 1
    assert "killed after 1 seconds" in said[0]
    assert (tmp_path / "done").read_text() == "x"
    time.sleep(3)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("command", "words"), [("false", "ended with status 1"), ("/no/such/hook", "no such file")]
)
def test_a_hook_that_fails_is_told_and_the_notice_stands(tmp_path, command, words):
    said = []
    delivery = Delivery(tmp_path / "n", command, said.append)
    settle(delivery, rows_ := rows(1))
    delivery.close(rows_)
    assert words in said[0]
    assert len((tmp_path / "n").read_text().splitlines()) == 1


def test_what_no_hook_took_when_we_end_stays(tmp_path):
    delivery = Delivery(tmp_path / "n", "sleep 1", pytest.fail)
    outbox = rows(*range(8))
    delivery.pump(outbox)
    delivery.close(outbox)
    assert 0 < len(outbox) < 8
    assert all(row["written"] and not row["hooked"] for row in outbox)


def test_command_lines_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="--hook"):
        Delivery(None, "'open", pytest.fail)
    with pytest.raises(UsageError, match="--notices"):
        Delivery(tmp_path / "no" / "n", "", pytest.fail)


def test_the_state_comes_back_and_belongs_to_one_watcher(tmp_path):
    store = Store(tmp_path / "state")
    event = Event("a", "de.", "signature-invalid", "published", "outage", "strong", 1, 2, 0, "open",
                  ("192.0.2.1",), 1, 3)  # fmt: skip
    known = Known("here", (event,), outbox=rows(1), gone=5, expiring={"de.|6": 7})
    store.save(known)
    with pytest.raises(UsageError, match="another watcher"):
        Store(tmp_path / "state")
    assert store.load("here") == known
    with pytest.raises(UsageError, match="belongs to here"):
        store.load("there")
    (tmp_path / "state" / "state.json").write_text("{")
    with pytest.raises(UsageError, match="begin anew"):
        store.load("here")
