"""One table of a dataset, or of captures that are read for it, row group by row group."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from forensics.errors import InputError, NoInputError, UsageError
from forensics.options import Options
from forensics.output import distinct
from forensics.scope import Scope

NAMES: Final = ("transactions", "keys", "signatures")
"""Tables that can be asked for."""


class Rows(NamedTuple):
    """A table to be read once: its schema, its record batches, and the inputs that were no use."""

    schema: Any
    batches: Iterator[Any]
    errors: tuple[InputError, ...] = ()


@contextmanager
def opened(sources: Sequence[str], name: str, options: Options) -> Iterator[Rows]:
    """Open a table of `NAMES`; valid within the block.

    Args:
        sources: the folder of a dataset or report, or capture files.
        name: of the table. `keys` gets `server` and `nsid` in the place's stead.
        options: zone, times and what reading captures needs.

    Raises:
        UsageError: an option is wrong, or a folder holds no such table.
        NoInputError: not one capture could be read.
    """
    options.check()
    scope = Scope(options.zone, options.start, options.end)
    if len(sources) == 1 and Path(sources[0]).is_dir():
        from forensics.archive.opening import tables_of
        from forensics.archive.view import has

        folder = tables_of(Path(sources[0]), transactions_only=name == "transactions")
        if not has(folder, name):
            raise UsageError(
                f"{sources[0]}: no dataset with that table; make one with: dns-forensics ingest"
            )
        yield _rows(folder, name, scope, ())
        return
    from forensics.ingest import ingest

    with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
        result = ingest(
            distinct(sources),
            Path(made),
            ports=options.ports,
            servers=options.servers,
            resolvers=options.resolvers,
            start=options.start,
            end=options.end,
            tls_keylogs=options.tls_keylogs,
            transactions_only=name == "transactions",
        )
        errors = tuple(result.errors)
        if not result.captures:
            raise NoInputError(errors)
        yield _rows(Path(made), name, scope, errors)


def _rows(folder: Path, name: str, scope: Scope, errors: tuple[InputError, ...]) -> Rows:
    """Give the rows in scope of a stored table."""
    from forensics import schemas
    from forensics.archive.tables import iter_batches, read_table

    schema = dict(schemas.TABLES)[name]
    stored = iter_batches(folder, name, span=scope.span)
    if name == "transactions":
        return Rows(schema, scope.transactions(stored), errors)
    if name == "signatures":
        return Rows(schema, (scope.signatures(batch) for batch in stored), errors)
    places = read_table(folder, "places", ["place", "server", "nsid"])
    named = (_placed(scope.keys(batch), places) for batch in stored)
    return Rows(_placed(schema.empty_table(), places).schema, named, errors)


def _placed(keys: Any, places: Any) -> Any:
    """Put the address and the NSID of a place in its number's stead."""
    import pyarrow.compute as pc

    at = keys.schema.get_field_index("place")
    row = pc.index_in(keys.column("place"), value_set=places["place"].combine_chunks())
    columns, names = list(keys.columns), list(keys.schema.names)
    columns[at : at + 1] = [places[name].combine_chunks().take(row) for name in ("server", "nsid")]
    names[at : at + 1] = ["server", "nsid"]
    return type(keys).from_arrays(columns, names=names)
