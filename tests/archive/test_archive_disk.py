"""A disk that is really full: a small file system of its own, in a namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_archive_parts import CAPTURES, cut, octets_of

from forensics.batch import ingest_batch
from forensics.options import Options

SCRIPT = """
set -e
mount -t tmpfs -o size={size} tmpfs {place}
if {command} 2>{said}; then echo 0 >{status}; else echo $? >{status}; fi
(cd {place} && find . -type f -not -path './.work/*' -exec cp --parents {{}} {before} \\;)
mount -o remount,size=500m {place}
{command}
cp -r {place}/. {after}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    return cut(tmp_path_factory.mktemp("d") / "f", CAPTURES / "de-2026/capture.pcap.zst", 4, 9)


@pytest.fixture(scope="module")
def dataset(files, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("calm") / "dataset"
    ingest_batch(files, str(root), Options())
    return root


def in_namespace(script: str) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_full_disk_leaves_no_half_file(files, dataset, tmp_path, share) -> None:
    place = tmp_path / "place"
    place.mkdir()
    allowed = in_namespace(f"mount -t tmpfs -o size=1m tmpfs {place}")
    if allowed.returncode:
        pytest.skip(f"no file system may be mounted here: {allowed.stderr.strip()}")
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    command = " ".join([sys.executable, "-m", "forensics.cli", "ingest", *files, "-q"])
    script = SCRIPT.format(
        size=int(share * sum(map(len, octets_of(dataset).values()))),
        place=place,
        command=f"{command} --sensor f --dataset {place}",
        said=tmp_path / "said",
        status=tmp_path / "status",
        before=before,
        after=after,
    )
    done = in_namespace(script)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "status").read_text().strip() != "0"
    said = (tmp_path / "said").read_text().strip()
    assert "No space left on device; the same command goes on from here" in said
    assert len(said.splitlines()) == 1
    whole = octets_of(dataset)
    assert octets_of(after) == whole
    # What had its name was whole; only the manifest says less.
    for name, octets in octets_of(before).items():
        assert name == "manifest.json" or octets == whole[name], name


def test_files_end_where_the_system_says_so(files, dataset, tmp_path) -> None:
    """RLIMIT_FSIZE: the write itself fails, wherever in a file."""
    root = tmp_path / "dataset"
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from forensics.cli import main\n"
        "sys.argv[0] = 'dns-forensics'\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "ingest", *files, "-q", "--sensor", "f"]
    done = subprocess.run(
        [*command, "--dataset", str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "File too large; the same command goes on from here" in done.stderr
    whole = octets_of(dataset)
    for name, octets in octets_of(root).items():
        assert Path(name).parts[0] == ".work" or name == "manifest.json" or octets == whole[name]
