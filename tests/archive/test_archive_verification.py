"""verify: what was written is known again, and what was changed since is named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from forensics.archive.manifest import write_manifest
from forensics.archive.verification import verify
from forensics.errors import UsageError
from forensics.pipeline import reproduce


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small finished folder, and the input that it was made from."""
    source = tmp_path / "in.pcap"
    source.write_bytes(b"packets")
    made = tmp_path / "report"
    (made / "tables").mkdir(parents=True)
    (made / "report.json").write_text("{}")
    (made / "tables" / "keys.parquet").write_bytes(b"PAR1")
    digest = hashlib.sha256(b"packets").hexdigest()
    write_manifest(made, kind="report", more={"inputs": {str(source): digest, "-": "00"}})
    return made


def states(folder: Path, inputs: Path | None = None) -> dict[str, str]:
    return {f"{one.role} {Path(one.name).name}": one.state for one in verify(folder, inputs)}


def test_an_untouched_folder_is_the_same(folder) -> None:
    assert states(folder) == {
        "output report.json": "same",
        "output keys.parquet": "same",
        "input in.pcap": "same",
        "input -": "unchecked",
    }


def test_what_changed_went_or_came_is_named(folder) -> None:
    (folder / "report.json").write_text("{ }")
    (folder / "tables" / "keys.parquet").unlink()
    (folder / "new.txt").write_text("added")
    (folder.parent / "in.pcap").write_bytes(b"others")
    assert states(folder) == {
        "output report.json": "changed",
        "output keys.parquet": "missing",
        "output new.txt": "added",
        "input in.pcap": "changed",
        "input -": "unchecked",
    }


def test_inputs_may_have_moved(folder) -> None:
    moved = folder.parent / "elsewhere"
    moved.mkdir()
    (folder.parent / "in.pcap").rename(moved / "in.pcap")
    assert states(folder)["input in.pcap"] == "missing"
    assert states(folder, moved)["input in.pcap"] == "same"


def test_a_manifest_leads_nowhere_outside_its_folder(folder) -> None:
    (folder.parent / "secret").write_text("secret")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in ("../secret", str(folder.parent / "secret")):
        manifest["files"][name] = {"sha256": hashlib.sha256(b"secret").hexdigest()}
    path.write_text(json.dumps(manifest))
    found = {one.name: one for one in verify(folder)}
    assert found["../secret"].state == "missing"
    assert found["../secret"].found == ""
    assert found[str(folder.parent / "secret")].state == "missing"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": 3}', b"\xff"])
def test_what_is_no_manifest_is_refused_in_one_line(folder, content) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"manifest\.json"):
        list(verify(folder))


def test_a_folder_without_manifest_says_what_to_name(tmp_path) -> None:
    with pytest.raises(UsageError, match="name the folder that analyze or ingest wrote"):
        list(verify(tmp_path))


def test_a_report_of_piped_input_says_why_it_cannot_be_made_again(folder) -> None:
    with pytest.raises(UsageError, match="standard input, which nobody can read again"):
        reproduce(folder)
