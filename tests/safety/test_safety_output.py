"""Output goes through no symbolic link, over nothing that others wrote, whole or not at all."""

from __future__ import annotations

import pytest

from forensics.errors import UsageError
from forensics.output import MARK, replacing, replacing_file


def test_a_link_in_the_place_of_the_folder_is_neither_followed_nor_replaced(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / MARK).write_text("{}")
    (tmp_path / "out").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="no folder"), replacing(tmp_path / "out"):
        pytest.fail("it gave a folder")
    assert (elsewhere / MARK).read_text() == "{}"
    assert (tmp_path / "out").is_symlink()


def test_a_dangling_link_is_refused_too(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no folder"), replacing(tmp_path / "out"):
        pytest.fail("it gave a folder")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_takes_the_place_of_a_link_and_not_of_what_it_points_to(tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    link = tmp_path / "proof.pcapng"
    link.symlink_to(target)
    with replacing_file(link) as part:
        part.write_text("proof")
    assert target.read_text() == "precious"
    assert link.read_text() == "proof"
    assert not link.is_symlink()


def test_folders_of_others_stay(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="did not write"), replacing(tmp_path / "out"):
        pytest.fail("it gave a folder")
    assert (tmp_path / "out" / "thesis.tex").exists()


def test_a_run_that_fails_leaves_the_former_output(tmp_path):
    with replacing(tmp_path / "out") as folder:
        (folder / MARK).write_text("first")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out") as folder:
        (folder / MARK).write_text((folder / "not there").read_text())
    assert (tmp_path / "out" / MARK).read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
