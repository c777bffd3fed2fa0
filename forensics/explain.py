"""`explain`: from captures or a dataset to what a resolver would have concluded of one question.

Beside `pipeline.py`, as `browse.py` is: it reads captures into tables where they are none yet, and
asks them.
"""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from forensics.errors import InputError, NoInputError, UsageError
from forensics.options import Options
from forensics.output import distinct, size_of

VIEWS: Final = ("published", "resolver")

_NEAR: Final = 5
"""Captured questions named where the one asked for was not captured."""

_QUESTIONS: Final = 20_000
"""Distinct questions, the most asked first, among which near ones are looked for."""

_DAMAGED: Final = 4
"""How often a question is asked anew without the responses that proved to be damaged."""

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
        name: that was asked for, as the user wrote it.
        kind: the type, likewise.
        at: ns since 1970.
        options: trust anchors, policy, and the roles of addresses. In the resolver view
            `resolvers` names the addresses of one resolver; `servers`: only their answers count.
        view: published or resolver.
        progress: called while captures are read.

    Raises:
        UsageError: an option is wrong, or the question was never captured.
        NoInputError: not one capture could be read.
    """
    from forensics.keyring import anchors as trust

    options.check()
    wanted, number = read_name(name), read_type(kind)
    if view not in VIEWS:
        raise UsageError(f"--view {view}: no such view; there are {', '.join(VIEWS)}")
    if view == "resolver" and not options.resolvers:
        raise UsageError("--view resolver needs the resolver's addresses: --resolver ADDRESS")
    anchors = trust.chosen(options.trust_anchors)
    supplied = _supplied(options)
    with tables_of(sources, options, progress) as (tables, errors):
        asker = Asker(tables, options, anchors, view, supplied)
        return asker.ask_of_sound_packets(wanted, number, at), errors


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


def read_instant(text: str) -> int:
    """Read `--at` as ns since 1970; digits of a second that are not given may be any.

    So an answer of 12:00:00.123456789 was there by 12:00:00.123456, as other tools print it.

    Raises:
        UsageError: it is no time.
    """
    from forensics.arguments import time_of

    parts = re.fullmatch(r"(.{,40}:\d\d)[.,](\d+)(.{,40})", text.strip())
    whole = time_of(parts[1] + parts[3] if parts else text, "--at")
    assert whole is not None
    return whole + int(parts[2][:9].ljust(9, "9")) if parts else whole


def _supplied(options: Options) -> Any:
    from forensics.keyring import archive

    return archive.read(options.keys) if options.keys else None


@contextmanager
def tables_of(
    sources: Sequence[str], options: Options, progress: Progress | None
) -> Iterator[tuple[Path, Errors]]:
    """Give the folder of tables of a dataset, or of captures read for it."""
    if len(sources) == 1 and Path(sources[0]).is_dir():
        from forensics.archive.opening import tables_of
        from forensics.archive.view import has

        folder = tables_of(Path(sources[0]))
        if not has(folder, "sightings"):
            raise UsageError(f"{sources[0]}: no dataset; make one with: dns-forensics ingest")
        yield folder, ()
        return
    from forensics.ingest import ingest

    paths = distinct(sources)
    total = sum(size_of(path) for path in paths)
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
            tls_keylogs=options.tls_keylogs,
            progress=told if progress else None,
        )
        errors = tuple(result.errors)
        if not result.captures:
            raise NoInputError(errors)
        yield Path(made), errors


class Asker:
    """The tables of one ingest, to be asked many questions: `explain` asks one.

    Args:
        folder: with the Parquet tables.
        options: policy, and the roles of addresses.
        anchors: trust anchors.
        view: one of VIEWS.
        supplied: schemas.KEYS of keys from elsewhere; None: none.
    """

    def __init__(
        self,
        folder: Path,
        options: Options,
        anchors: Sequence[Any],
        view: str = "published",
        supplied: Any = None,
    ) -> None:
        from forensics.archive.tables import iter_batches
        from forensics.archive.view import has
        from forensics.explanation.store import Store
        from forensics.scope import answered
        from forensics.validation.strays import contested

        def tables(table: str) -> Iterator[Any]:
            if not has(folder, table):
                return iter(())  # a dataset of an earlier version
            rows = iter_batches(folder, table)
            return answered(rows) if table == "sightings" else rows

        disputed = contested(lambda: tables("transactions"), lambda: tables("sightings"))
        clients = frozenset(map(_address, options.resolvers)) if view == "resolver" else frozenset()
        self._resolvers = sorted(clients)
        self._store = Store(tables, disputed, clients)
        self._options = options
        self._anchors = anchors
        self._view = view
        self._supplied = supplied
        self._tried: dict[tuple[int, bytes], bool] = {}
        self._captures = {
            number: path
            for batch in tables("captures")
            for number, path in zip(
                batch.column("capture").to_pylist(), batch.column("path").to_pylist(), strict=True
            )
        }

    def expect(self, name: str, kind: int, instants: Sequence[int]) -> None:
        """Read in one go what `ask` will need of a question at each of several instants (ns)."""
        self._store.read_ahead(name, kind, instants)

    def ask(self, name: str, kind: int, at: int) -> dict[str, Any]:
        """Explain one question; return what `--json` prints.

        Args:
            name: lower case, presentation form, with the final dot.
            kind: the type's number.
            at: ns since 1970.

        Raises:
            UsageError: nothing of the name was captured; with captured names that are near.
        """
        from forensics.explanation.inquiry import Inquiry
        from forensics.explanation.json import partial, rfc3339, to_json
        from forensics.explanation.nearmiss import warnings
        from forensics.explanation.signing import Checker
        from forensics.explanation.walk import Walk
        from forensics.validation.policy import POLICIES

        policy = POLICIES[self._options.policy]
        given = _in_force(self._supplied, at)
        checker = Checker(policy, known=self._tried)
        servers = self._options.servers
        walk = Walk(self._store, self._anchors, checker, at, given, servers)
        conclusion = Inquiry(walk, at, servers).ask(name, kind)
        if conclusion.response is None and not self._store.is_named(name):
            raise UsageError(_never_asked(self._store, name))
        told = to_json(
            conclusion,
            at,
            view=self._view,
            policy=self._options.policy,
            resolvers=self._resolvers,
            captures=self._captures,
        )
        told["partial"] = partial(conclusion.judged.links, walk.captured.partial, self._captures)
        told["warnings"] = warnings(conclusion.judged.links, at, walk.captured.all_of, rfc3339)
        return told

    def ask_of_sound_packets(self, name: str, kind: int, at: int) -> dict[str, Any]:
        """Explain one question as `ask` does; what was damaged on the way accuses nobody.

        Where the answer is bogus, the packets that it rests on are read again, as far as the
        captures are still where they were. Each that has a wrong UDP checksum is told of in
        `damaged`, with `capture` and `frame`.
        """
        from forensics.capture.checksums import damaged

        seen: list[dict[str, Any]] = []
        told = self.ask(name, kind, at)
        for _ in range(_DAMAGED):
            if told["status"] != "bogus":
                break
            wanted: dict[int, set[int]] = {}
            numbers = {path: number for number, path in self._captures.items()}
            for link in told["chain"]:
                if link["status"] == "bogus":
                    for one in (*link["sightings"], *link["servers"]):
                        if one["capture"] in numbers and one["frame"]:
                            wanted.setdefault(numbers[one["capture"]], set()).add(one["frame"])
            wrong = [
                (number, frame)
                for number, frames in sorted(wanted.items())
                for frame in sorted(
                    damaged(self._captures[number], frames, frozenset(self._options.ports))
                )
            ]
            if not wrong:
                break
            self._store.distrust([number << 32 | frame for number, frame in wrong])
            seen += [{"capture": self._captures[n], "frame": frame} for n, frame in wrong]
            told = self.ask(name, kind, at)
        return {**told, "damaged": seen}


def _in_force(supplied: Any, at: int) -> dict[tuple[str, int], list[bytes]]:
    """Return the supplied records that were in force at an instant, by (zone, type)."""
    import pyarrow as pa

    found: dict[tuple[str, int], list[bytes]] = {}
    if supplied is None:
        return found
    times = [supplied[name].cast(pa.int64()).to_pylist() for name in ("first", "last")]
    columns = [supplied[name].to_pylist() for name in ("zone", "type", "rdatas")]
    for first, last, zone, kind, rdatas in zip(*times, *columns, strict=True):
        if (first is None or first <= at) and (last is None or at <= last):
            found.setdefault((zone, kind), []).extend(rdatas)
    return found


def _address(text: str) -> str:
    """Write an address as the tables do."""
    import ipaddress

    return str(ipaddress.ip_address(text))


def _never_asked(store: Any, name: str) -> str:
    """Say that a name is not in the capture, and what is that looks like it."""
    from forensics.explanation.words import type_text

    known: dict[str, list[int]] = {}
    for other, kind, _ in store.questions(_QUESTIONS):
        known.setdefault(other, []).append(kind)
    near = difflib.get_close_matches(name, known, _NEAR, 0.5) or list(known)[:_NEAR]
    said = ", ".join(f"{other} {type_text(known[other][0])}" for other in near)
    hint = f"; captured were, for example: {said}" if said else "; it holds no question at all"
    return f"{name} was never asked for in this capture{hint}"
