"""Responses put together again: each transaction with what its response showed, signed and not.

The three long tables are walked side by side. All are all but in order of transactions, so that
what waits for its other part stays small; it is bounded by limits.WAITING_ROWS all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.limits import DENIALS, WAITING_ROWS
from forensics.vocabulary import NXDOMAIN, PAIRINGS, Pairing, Section, SightingFlag

_ANSWERED: Final = (PAIRINGS[Pairing.ANSWERED], PAIRINGS[Pairing.LATE])
_MUST: Final = int(SightingFlag.AA | SightingFlag.AUTHORITY)
_MUST_NOT: Final = int(SightingFlag.TC | SightingFlag.CUT | SightingFlag.UNPAIRED)


@dataclass(frozen=True)
class Streams:
    """The long tables; each gives a fresh iterator of record batches at each call.

    Attributes:
        transactions, sightings, unsigned: of the schemas of these names.
        disputed: int64, capture << 32 | frame of responses that prove nothing, sorted.
        parties: transactions again, of the columns that resolvers.COLUMNS names; None: no
            resolver is looked for.
    """

    transactions: Callable[[], Iterator[Any]]
    sightings: Callable[[], Iterator[Any]]
    unsigned: Callable[[], Iterator[Any]]
    disputed: NDArray[np.int64]
    parties: Callable[[], Iterator[Any]] | None = None


class Shown(NamedTuple):
    """One signature in a response."""

    signature: int
    section: int
    is_wildcard: bool


class Bare(NamedTuple):
    """One RRset without signature in a response."""

    section: int
    type: int
    owner: str
    records: int


@dataclass(slots=True)
class Exchange:
    """A query with DO and an authority's whole response with OPT, NOERROR or NXDOMAIN.

    Attributes:
        transaction: its number; time, capture, frame: of the response, place: of its sender.
        qname: lower case, presentation form.
        serial: SOA serial in the response, 0: none.
        signed: in order of the response; bare: likewise.
    """

    transaction: int
    time: int
    capture: int
    frame: int
    place: int
    qname: str
    qtype: int
    rcode: int
    answers: int
    authorities: int
    serial: int = 0
    signed: list[Shown] = field(default_factory=list)
    bare: list[Bare] = field(default_factory=list)


def exchanges(
    streams: Streams, names: frozenset[str], soas: NDArray[np.int64], skipped: Counter[str]
) -> Iterator[list[Exchange]]:
    """Give those exchanges that absence can be judged by, batch by batch.

    That is: nothing was answered, or nothing for the target of an alias (one of the signatures
    `soas` stands in the authority section); or the name does not exist; or a wildcard answered; or
    an RRset came without signature whose owner is one of `names`. Answers that must prove
    something, beyond limits.DENIALS of a batch, are counted in `skipped`.
    """
    signed, bare = _Waiting(streams.sightings()), _Waiting(streams.unsigned())
    for batch in streams.transactions():
        if not batch.num_rows:
            continue
        numbers = _ints(batch, "transaction")
        signed.reach(int(numbers.max()))
        bare.reach(int(numbers.max()))
        seen, lone = signed.take(numbers), bare.take(numbers)
        rows = _whole(batch)
        if rows.any():
            yield _joined(batch, numbers, rows, seen, lone, streams.disputed, names, soas, skipped)


def _whole(batch: Any) -> NDArray[np.bool_]:
    """Choose the transactions that may be judged at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keep = pc.is_in(batch.column("pairing").cast(pa.string()), value_set=pa.array(_ANSWERED))
    keep = pc.and_(keep, pc.is_valid(batch.column("response_frame")))
    keep = pc.and_(keep, pc.is_valid(batch.column("qname")))
    for name, wanted in (("do", True), ("response_edns", True), ("tc", False), ("aa", True)):
        keep = pc.and_(keep, pc.equal(batch.column(name), wanted))
    keep = pc.and_(keep, pc.equal(batch.column("opcode"), 0))
    keep = pc.and_(keep, pc.equal(batch.column("qclass"), 1))
    keep = pc.and_(
        keep, pc.is_in(batch.column("rcode"), value_set=pa.array([0, NXDOMAIN], pa.uint16()))
    )
    found: NDArray[np.bool_] = pc.fill_null(keep, False).to_numpy(zero_copy_only=False)
    return found


def _joined(
    batch: Any,
    numbers: NDArray[np.int64],
    rows: NDArray[np.bool_],
    seen: Any,
    lone: Any,
    disputed: NDArray[np.int64],
    names: frozenset[str],
    soas: NDArray[np.int64],
    skipped: Counter[str],
) -> list[Exchange]:
    rcode, answers = _ints(batch, "rcode"), _ints(batch, "answers")
    # Without a count the exporter of a log has left records out: what lacks tells nothing.
    rows = rows & batch.column("answers").is_valid().to_numpy(zero_copy_only=False)
    denied = rows & ((answers == 0) | (rcode == NXDOMAIN))
    if seen is not None:
        proves = (_ints(seen, "flags") & int(SightingFlag.WILDCARD)) != 0
        beside = _ints(seen, "section") == Section.AUTHORITY
        proves |= beside & np.isin(_ints(seen, "signature"), soas)
        denied |= rows & np.isin(numbers, _ints(seen, "transaction")[proves])
    wanted = _spread(denied, _ints(batch, "authorities"))
    skipped["denials"] += int(denied.sum() - wanted.sum())
    if lone is not None:
        owned = _owned(batch, numbers, lone, names)
        wanted |= rows & np.isin(numbers, owned)
    where = _ints(batch, "response_capture") << 32 | _ints(batch, "response_frame")
    wanted &= ~np.isin(where, disputed)
    chosen = np.flatnonzero(wanted)
    if not len(chosen):
        return []
    import pyarrow as pa

    columns = batch.take(pa.array(chosen)).select(
        ["transaction", "qname", "qtype", "rcode", "answers", "authorities"]
    )
    found = {
        row["transaction"]: Exchange(
            row["transaction"], 0, 0, 0, -1, row["qname"], row["qtype"], row["rcode"],
            row["answers"], row["authorities"],
        )
        for row in columns.to_pylist()
    }  # fmt: skip
    for rows_of, is_signed in ((seen, True), (lone, False)):
        if rows_of is not None:
            _fill(found, rows_of, is_signed=is_signed)
    known = [one for one in found.values() if one.place >= 0]
    return sorted(known, key=lambda one: (one.authorities > _BARE, one.time, one.transaction))


def _spread(denied: NDArray[np.bool_], records: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose at most limits.DENIALS of these answers: the barest, then evenly spread ones."""
    at = np.flatnonzero(denied)
    if len(at) <= DENIALS:
        return denied.copy()
    bare = at[records[at] <= _BARE][: DENIALS // 2]
    rest = np.setdiff1d(at, bare)
    step = np.linspace(0, len(rest) - 1, DENIALS - len(bare)).astype(np.int64)
    chosen = np.zeros(len(denied), np.bool_)
    chosen[bare] = True
    chosen[rest[step]] = True
    return chosen


_BARE: Final = 2
"""Authority records of a negative answer without any proof: the SOA and its signature."""


def _fill(found: dict[int, Exchange], rows: Any, *, is_signed: bool) -> None:
    """Give each exchange its rows; one row of another kind of response drops the exchange."""
    import pyarrow as pa

    chosen = np.isin(_ints(rows, "transaction"), np.fromiter(found, np.int64, len(found)))
    rows = rows.filter(pa.array(chosen))
    times = rows.column("time").cast(pa.int64()).to_pylist()
    names = ("transaction", "capture", "frame", "place", "section", "flags", "serial")
    common = [rows.column(name).to_pylist() for name in names]
    own = ("signature",) if is_signed else ("type", "owner", "records")
    special = [rows.column(name).to_pylist() for name in own]
    for time, number, capture, frame, place, section, flags, serial, *rest in zip(
        times, *common, *special, strict=True
    ):
        one = found.get(number)
        if one is None:
            continue
        if flags & _MUST != _MUST or flags & _MUST_NOT:
            del found[number]
            continue
        one.time, one.capture, one.frame, one.place, one.serial = (
            time,
            capture,
            frame,
            place,
            serial,
        )
        if is_signed:
            one.signed.append(Shown(rest[0], section, bool(flags & int(SightingFlag.WILDCARD))))
        else:
            kind, owner, count = rest
            one.bare.append(Bare(section, kind, one.qname if owner is None else owner, count))


def _owned(
    batch: Any, numbers: NDArray[np.int64], lone: Any, names: frozenset[str]
) -> NDArray[np.int64]:
    """Give the transactions with an unsigned RRset whose owner is one of `names`."""
    flags = _ints(lone, "flags")
    usable = ((flags & _MUST) == _MUST) & ((flags & _MUST_NOT) == 0)
    asked = _known(batch.column("qname"), names)
    order = np.argsort(numbers, kind="stable")
    of = _ints(lone, "transaction")
    at = order[np.minimum(np.searchsorted(numbers[order], of), len(numbers) - 1)]
    owner = lone.column("owner")
    mine = np.where(owner.is_null().to_numpy(zero_copy_only=False), asked[at], _known(owner, names))
    found: NDArray[np.int64] = of[mine & usable]
    return found


def _known(column: Any, names: frozenset[str]) -> NDArray[np.bool_]:
    """Tell of each text of a dictionary column whether it is one of `names`; null is not."""
    table = np.array([text in names for text in column.dictionary.to_pylist()] + [False], np.bool_)
    codes = column.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
    found: NDArray[np.bool_] = table[codes]
    return found


class _Waiting:
    """A stream of rows of which some wait for their transaction."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self._held: list[Any] = []
        self._is_behind = True

    def reach(self, number: int) -> None:
        """Read on until a whole batch lies behind a transaction."""
        import pyarrow as pa

        while self._is_behind and not (
            self._held and int(_ints(self._held[-1], "transaction").min()) > number
        ):
            batch = next(self._batches, None)
            if batch is None:
                self._is_behind = False
            elif batch.num_rows:
                self._held.append(pa.Table.from_batches([batch]))

    def take(self, numbers: NDArray[np.int64]) -> Any:
        """Take the rows of these transactions out; None: there are none."""
        import pyarrow as pa

        if not self._held:
            return None
        low, high = int(numbers.min()), int(numbers.max())
        found, kept, waiting = [], [], 0
        for table in self._held:
            of = _ints(table, "transaction")
            if len(of) and of.min() <= high and of.max() >= low:
                mine = np.isin(of, numbers)
                found.append(table.filter(pa.array(mine)))
                table = table.filter(pa.array(~mine))  # noqa: PLW2901
            if table.num_rows:
                kept.append(table)
                waiting += table.num_rows
        while waiting > WAITING_ROWS and len(kept) > 1:
            waiting -= kept.pop(0).num_rows
        self._held = kept
        if not found:
            return None
        whole = pa.concat_tables(found).unify_dictionaries().combine_chunks()
        batches = whole.to_batches()
        return batches[0] if batches else None


def _ints(rows: Any, name: str) -> NDArray[np.int64]:
    """Give a column of a table or a batch; 0 for null."""
    import pyarrow as pa

    column = rows.column(name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        column = column.fill_null(0)
    values: NDArray[np.int64] = column.to_numpy(zero_copy_only=False).astype(np.int64)
    return values
