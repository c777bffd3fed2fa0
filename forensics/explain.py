"""`explain`: from captures or a dataset to what a resolver would have concluded of one question.

Beside `pipeline.py`, as `browse.py` is: it reads captures into tables where they are none yet, and
asks them.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from forensics.errors import InputError, NoInputError, UsageError
from forensics.options import Options
from forensics.output import distinct

VIEWS: Final = ("published", "resolver")

_NEAR: Final = 5
"""Captured questions named where the one asked for was not captured."""

_QUESTIONS: Final = 20_000
"""Distinct questions, the most asked first, among which near ones are looked for."""

Progress = Callable[[str, int, int], None]
Errors = tuple[InputError, ...]


def explain(
    sources: Sequence[str],
    name: str,
    kind: str,
    at: int,
    options: Options,
    *,
    view: str = "published",
    progress: Progress | None = None,
) -> tuple[dict[str, Any], Errors]:
    """Explain one question; return what `--json` prints, and the inputs that were no use.

    Args:
        sources: a dataset, a report's folder, or captures.
        name, kind: the question, as the user wrote it.
        at: ns since 1970.
        options: trust anchors, policy, and the roles of addresses. In the resolver view
            `resolvers` names the resolver; `servers` restricts the answers to those servers.
        view: published or resolver.
        progress: called while captures are read.

    Raises:
        UsageError: an option is wrong, or the question was never captured.
        NoInputError: not one capture could be read.
    """
    options.check()
    wanted, number = read_name(name), read_type(kind)
    if view not in VIEWS:
        raise UsageError(f"--view {view}: no such view; there are {', '.join(VIEWS)}")
    if view == "resolver" and len(options.resolvers) != 1:
        raise UsageError("--view resolver needs the address of one resolver: --resolver ADDRESS")
    anchors = _anchors(options)
    with _tables(sources, options, progress) as (tables, errors):
        return _asked(tables, wanted, number, at, options, anchors, view), errors


def read_name(text: str) -> str:
    """Read a name as the tables write it: lower case, presentation form, final dot."""
    import dns.exception
    import dns.name

    try:
        return dns.name.from_text(text).canonicalize().to_text()
    except (dns.exception.DNSException, UnicodeError, ValueError):
        raise UsageError(f"{text}: not a domain name") from None


def read_type(text: str) -> int:
    """Read a type: a mnemonic, `TYPE123`, or a number."""
    import dns.exception
    import dns.rdatatype

    try:
        number = int(text) if text.isdigit() else int(dns.rdatatype.from_text(text))
    except (dns.exception.DNSException, ValueError):
        number = -1
    if not 0 < number < 2**16:
        raise UsageError(f"{text}: not a record type; write it like A, DNSKEY or TYPE65")
    return number


def _anchors(options: Options) -> list[Any]:
    from forensics.keyring import anchors

    if not options.trust_anchors:
        return anchors.built_in()
    return [anchor for path in options.trust_anchors for anchor in anchors.read(path)]


@contextmanager
def _tables(
    sources: Sequence[str], options: Options, progress: Progress | None
) -> Iterator[tuple[Path, Errors]]:
    """Give the folder of tables of a dataset, or of captures read for it."""
    if len(sources) == 1 and Path(sources[0]).is_dir():
        folder = Path(sources[0]) / "tables"
        if not (folder / "sightings.parquet").is_file():
            raise UsageError(
                f"{sources[0]}: no dataset; make one with: dns-forensics ingest"
            )
        yield folder, ()
        return
    from forensics.ingest import ingest

    paths = distinct(sources)
    total = sum(_size(path) for path in paths)
    done: dict[str, int] = {}

    def told(path: str, octets: int) -> None:
        assert progress is not None
        done[path] = octets
        progress("reading", sum(done.values()), total)

    with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
        result = ingest(
            paths,
            Path(made),
            ports=options.ports,
            servers=options.servers,
            resolvers=options.resolvers,
            progress=told if progress else None,
        )
        errors = tuple(result.errors)
        if not result.captures:
            raise NoInputError(errors)
        yield Path(made), errors


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _asked(
    folder: Path,
    name: str,
    kind: int,
    at: int,
    options: Options,
    anchors: list[Any],
    view: str,
) -> dict[str, Any]:
    from forensics.archive.tables import iter_batches, read_table
    from forensics.explanation.inquiry import Inquiry
    from forensics.explanation.json import to_json
    from forensics.explanation.signing import Checker
    from forensics.explanation.store import Store
    from forensics.explanation.walk import Walk
    from forensics.validation.policy import POLICIES
    from forensics.validation.strays import contested

    def tables(table: str) -> Iterator[Any]:
        if not (folder / f"{table}.parquet").is_file():
            return iter(())  # a dataset of an earlier version
        return iter_batches(folder, table)

    disputed = contested(lambda: tables("transactions"), lambda: tables("sightings"))
    resolver = next(iter(options.resolvers)) if view == "resolver" else None
    store = Store(tables, disputed, _address(resolver))
    policy = POLICIES[options.policy]
    inquiry = Inquiry(Walk(store, anchors, Checker(policy), at), at, options.servers)
    conclusion = inquiry.ask(name, kind)
    if conclusion.response is None and not store.is_named(name):
        raise UsageError(_never_asked(store, name, folder))
    listed = read_table(folder, "captures", ["capture", "path"]).to_pylist()
    return to_json(
        conclusion,
        at,
        view=view,
        policy=options.policy,
        resolver=resolver,
        captures={row["capture"]: row["path"] for row in listed},
    )


def _address(text: str | None) -> str | None:
    """Write an address as the tables do."""
    import ipaddress

    return None if text is None else str(ipaddress.ip_address(text))


def _never_asked(store: Any, name: str, folder: Path) -> str:
    """Say that a name is not in the capture, and what is that looks like it."""
    from forensics.explanation.words import type_text

    del folder
    known: dict[str, list[int]] = {}
    for other, kind, _ in store.questions(_QUESTIONS):
        known.setdefault(other, []).append(kind)
    near = difflib.get_close_matches(name, known, _NEAR, 0.5) or list(known)[:_NEAR]
    said = ", ".join(f"{other} {type_text(known[other][0])}" for other in near)
    hint = f"; captured were, for example: {said}" if said else "; it holds no question at all"
    return f"{name} was never asked for in this capture{hint}"
