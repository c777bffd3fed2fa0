"""Signatures tried in other processes: the same answers, whatever becomes of the processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.validation import checks, helpers
from forensics.validation.signature import verify_many

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RDATA = b"\1\0\3\x0f" + PRIVATE.public_key().public_bytes_raw()


def job(datas: list[bytes], broken: set[int]) -> helpers.Job:
    """A job whose signatures are good but for some."""
    fields = [PRIVATE.sign(data) for data in datas]
    for at in broken:
        fields[at] = fields[at][::-1]
    return made(RDATA, datas, fields)


def made(rdata: bytes, datas: list[bytes], fields: list[bytes]) -> helpers.Job:
    """A job of lists."""
    return rdata, pa.array(datas, pa.binary()), pa.array(fields, pa.binary())


@given(st.lists(st.lists(st.binary(max_size=80), max_size=6), min_size=1, max_size=4), st.data())
@settings(max_examples=8, deadline=None)
def test_helpers_answer_as_this_process_does(parts: list[list[bytes]], data: st.DataObject) -> None:
    """Job by job, in order, good and bad signatures apart."""
    jobs = [
        job(part, data.draw(st.sets(st.sampled_from(range(len(part))))) if part else set())
        for part in parts
    ]
    expected = [
        bytes(verify_many(rdata, list(zip(datas.to_pylist(), fields.to_pylist(), strict=True))))
        for rdata, datas, fields in jobs
    ]
    assert helpers.verify_all(jobs, lambda one: one, 2) == expected


def test_a_key_that_is_none_and_fields_of_any_length() -> None:
    """What hostile captures hold goes through the pipe like all else."""
    jobs = [
        made(b"\1\0\3\x0d", [b"x"], [b"y"]),
        made(RDATA, [b"", b"a" * 70_000], [b"", b"b" * 65_535]),
        made(RDATA, [], []),
    ]
    assert helpers.verify_all(jobs, lambda one: one, 1) == [b"\0", b"\0\0", b""]


def test_a_slice_of_an_array_is_its_own_octets() -> None:
    """What lies before and behind it in the same buffers is not sent."""
    rdata, datas, fields = job([b"a", b"bb", b"ccc", b"d"], {1})
    helper = helpers.Helper()
    assert helper.verify((rdata, datas[1:3], fields[1:3])) == b"\0\1"
    helper.end()


def test_a_helper_that_dies_costs_nothing_but_time() -> None:
    """Its jobs are done here."""
    helper = helpers.Helper()
    os.kill(helper._process.pid, signal.SIGKILL)
    helper._process.wait()
    one = job([b"a", b"b", b"c"], {1})
    assert helper.verify(one) == b"\1\0\1"
    assert helper.verify(one) == b"\1\0\1"
    helper.end()


def test_helpers_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """`checks` then does the work itself."""

    def refuse() -> helpers.Helper:
        raise OSError(11, "no processes left")

    monkeypatch.setattr(helpers, "Helper", refuse)
    assert helpers.verify_all([job([b"a"], set())], lambda one: one, 2) is None
    monkeypatch.setattr(helpers, "FEWEST", 1)
    assert found(["good", "bad"] * 2) == [True, False] * 2


def test_the_checks_of_many_signatures_are_those_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same trials, answered here and by helpers."""
    kinds = ["good", "bad", "good"] * 400
    here = found(kinds)
    assert here == [kind == "good" for kind in kinds]
    asked: list[int] = []
    real = helpers.verify_all

    def counted(jobs: list[checks.Trial], made: object, processes: int) -> object:
        asked.append(sum(len(one.rows) for one in jobs))
        return real(jobs, made, processes)

    monkeypatch.setattr(helpers, "verify_all", counted)
    monkeypatch.setattr(helpers, "FEWEST", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert found(kinds) == here
    assert asked == [1200]


def found(kinds: list[str]) -> list[bool]:
    """What `checks` answers to signatures of these kinds, in batches."""
    datas = [b"%d" % number for number in range(len(kinds))]
    fields = job(datas, {at for at, kind in enumerate(kinds) if kind == "bad"})[2].to_pylist()
    table = pa.table({"signed_data": datas, "octets": fields})
    half = len(kinds) // 2
    rows = np.arange(len(kinds))
    trials = [checks.Trial(RDATA, rows[:half], 0), checks.Trial(RDATA, rows[half:], 0)]
    return [bool(one) for part in checks._answers(table, trials) for one in part]


def test_nothing_is_imported_from_the_working_folder(tmp_path: Path) -> None:
    """The folder where somebody analyses evidence may hold a file of any name."""
    for name in ("cryptography", "struct", "forensics", "subprocess"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from evidence')\n")
    root = Path(helpers.__file__).parents[2]
    field = job([b"a"], set())[2].to_pylist()[0]
    code = (
        "import pyarrow as pa\n"
        "from forensics.validation import helpers\n"
        f"job = ({RDATA!r}, pa.array([b'a']), pa.array([{field!r}]))\n"
        "print(helpers.Helper().verify(job))\n"
        "helpers.verify_many = None\n"
        "print(helpers.verify_all([job], lambda one: one, 1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [repr(b"\1"), repr([b"\1"])], done.stderr


def test_an_interrupted_helper_ends_with_its_pipe() -> None:
    """SIGINT goes to the whole group; the helper waits for the end of its input, and ends."""
    helper = helpers.Helper()
    assert helper.verify(job([b"a"], set())) == b"\1"
    os.kill(helper._process.pid, signal.SIGINT)
    assert helper.verify(job([b"a", b"b"], {0})) == b"\0\1"
    helper.end()
    assert helper._process.returncode == 0
