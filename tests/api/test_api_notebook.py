"""The example notebook runs, and says of the bundled outage what its report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("default")  # those of Jupyter are not ours


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    """The cells of the notebook, run from its folder."""
    pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(FOLDER / "outage.ipynb", as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]  # committed without
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell: Any) -> dict[str, str]:
    """What Jupyter shows under a cell, by media type."""
    (output,) = cell.outputs
    assert output.output_type == "execute_result"
    return output.data


def test_the_notebook_runs_and_shows_the_outage(cells: list[Any]) -> None:
    first, incidents, minutes, verdicts, drawing, arrow = (_shown(cell) for cell in cells)
    assert "no key published by de. had made" in first["text/html"]
    assert "<svg" in first["text/html"]
    assert "<script" not in first["text/html"]
    assert "signature-invalid" in incidents["text/plain"]
    assert "2026-11-24 15:2" in incidents["text/plain"]
    assert "size" in minutes["text/plain"]
    assert "bogus" in verdicts["text/plain"]
    assert drawing["image/svg+xml"].lstrip().startswith("<svg")
    assert "pyarrow.Table" in arrow["text/plain"]
