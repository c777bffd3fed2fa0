"""Where the tables of a dataset are, whichever way it was written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from forensics.archive.layout import MANIFEST, migrated
from forensics.archive.store import Store, is_url
from forensics.archive.view import ROOT
from forensics.errors import UsageError
from forensics.jsontext import parsed

_PLAIN: Final = "tables"

TRANSACTIONS_ONLY: Final = "transactions_only"
"""In the manifest of a dataset without evidence: true."""


def tables_of(dataset: Path, *, transactions_only: bool = False) -> Path:
    """The folder of tables of a dataset or report in a folder.

    Args:
        dataset: the folder.
        transactions_only: a dataset that holds no more than these will do.

    Raises:
        UsageError: its first batch has not been finished, it is of a version that is not read, or
            it holds transactions alone.
    """
    try:
        manifest = parsed((dataset / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = None
    tables = dataset / _state_of(manifest, str(dataset))
    if isinstance(manifest, dict) and manifest.get(TRANSACTIONS_ONLY) and not transactions_only:
        raise UsageError(
            f"{dataset}: holds transactions alone, and nothing to validate; to have that too, "
            "ingest the captures without --transactions-only"
        )
    return tables


def _state_of(manifest: Any, where: str) -> str:
    if not isinstance(manifest, dict) or "layout" not in manifest:
        return _PLAIN
    state = migrated(manifest, where).get("tables")
    if state is None:
        raise UsageError(f"{where}: no batch was finished yet; give the same ingest command again")
    return str(state)


@contextmanager
def opened(dataset: str) -> Iterator[Path]:
    """Give the folder of tables of a dataset, a path or a URL; of a URL a copy of its state.

    Raises:
        UsageError: see `tables_of`; or there is no dataset.
    """
    if not is_url(dataset):
        yield tables_of(Path(dataset))
        return
    store = Store(dataset)
    try:
        manifest = parsed(store.read(MANIFEST))
    except FileNotFoundError:
        raise UsageError(f"{dataset}: no dataset; make one with: dns-forensics ingest") from None
    except ValueError:
        raise UsageError(f"{dataset}: its {MANIFEST} is damaged; ingest anew") from None
    with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
        state = _state_of(manifest, dataset)
        for name in store.names(state):
            (Path(made) / name.rsplit("/", 1)[-1]).write_bytes(store.read(name))
        (Path(made) / ROOT).write_text(store.root, encoding="utf-8")
        yield Path(made)
