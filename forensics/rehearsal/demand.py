"""What was asked of a zone in a recording: distinct questions with counts, then whom a fault hits.

Two passes over the transactions, so that memory grows with distinct questions and clients alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import is_subdomain, wire_name
from forensics.validation.deniers import Name, parse_name
from forensics.vocabulary import PAIRINGS, VANTAGES, Pairing, Vantage

QUESTIONS: Final = 2_000_000
"""Distinct questions that are answered, some 40 µs each; queries for further ones are counted."""

CLIENTS: Final = 1_000_000
"""Clients of one finding that are told apart; beyond, the count is a lower bound."""

EXAMPLES: Final = 5
"""Recorded queries named for a finding."""

_IN: Final = 1
_LEFT_OUT: Final = tuple(
    PAIRINGS[one] for one in (Pairing.UNSOLICITED, Pairing.DUPLICATE, Pairing.RETRANSMITTED)
)
"""Not queries, or a client's repetition of one."""

Question = tuple[str, int]
"""Name in lower-case presentation form, and type."""


@dataclass
class Demand:
    """The distinct questions for names at or below a zone, up to an instant.

    Attributes:
        numbers: number of each question.
        counts: int64, recorded queries by question.
        queries: recorded queries in all.
        plain: queries to authorities without DO besides: who sent them validates nothing.
        left_out: queries for questions beyond QUESTIONS.
        first, last: ns, of those counted; 0: none.
    """

    numbers: dict[Question, int] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    queries: int = 0
    plain: int = 0
    left_out: int = 0
    first: int = 0
    last: int = 0


@dataclass
class Hit:
    """Whom one finding hits.

    Attributes:
        queries, questions: recorded queries, and how many different ones.
        clients: addresses that asked.
        is_more: there were more clients than are told apart.
        examples: of the most asked questions, the first query each.
    """

    queries: int = 0
    questions: int = 0
    clients: set[str] = field(default_factory=set)
    is_more: bool = False
    examples: list[dict[str, Any]] = field(default_factory=list)


def gather(
    transactions: Callable[[], Iterator[Any]],
    zone: str,
    at: int,
    wanted: NDArray[np.int64],
) -> tuple[Demand, dict[int, set[int]]]:
    """Count the questions for names at or below a zone.

    Args:
        transactions: gives schemas.TRANSACTIONS as record batches.
        zone: lower case, presentation form.
        at: ns; later queries are left out.
        wanted: transactions whose questions are asked for, sorted.

    Returns:
        the demand, and by transaction of `wanted` the number of its question.
    """
    demand = Demand()
    counts: list[int] = []
    of: dict[int, set[int]] = {}
    for batch in transactions():
        for rows in _chosen(batch, zone, at, demand):
            numbers = _numbered(rows, demand, counts)
            time = _times(rows)
            known = numbers >= 0
            if known.any():
                demand.first = min(demand.first or int(time[known].min()), int(time[known].min()))
                demand.last = max(demand.last, int(time[known].max()))
            which = rows.column("transaction").to_numpy(zero_copy_only=False).astype(np.int64)
            asked = np.flatnonzero(np.isin(which, wanted) & known) if len(wanted) else ()
            for row in asked:
                of.setdefault(int(which[row]), set()).add(int(numbers[row]))
    demand.counts = np.array(counts, np.int64)
    return demand, of


def hits(
    transactions: Callable[[], Iterator[Any]],
    zone: str,
    at: int,
    demand: Demand,
    marks: Mapping[int, NDArray[np.bool_]],
) -> dict[int, Hit]:
    """Count whom findings hit.

    Args:
        transactions: as in `gather`, once more.
        zone: likewise.
        at: likewise.
        demand: what `gather` found.
        marks: bool by question, for each finding by its number.

    Returns:
        the hits by the number of the finding.
    """
    found = {number: Hit() for number in marks}
    chosen: dict[int, dict[int, dict[str, Any] | None]] = {}
    names = list(demand.numbers)
    for number, mark in marks.items():
        found[number].questions = int(mark.sum())
        found[number].queries = int(demand.counts[mark].sum())
        rows = np.flatnonzero(mark)
        order = np.lexsort((rows, -demand.counts[rows]))[:EXAMPLES]
        chosen[number] = dict.fromkeys(rows[order].tolist())
    left = Demand()
    for batch in transactions():
        for rows in _chosen(batch, zone, at, left):
            numbers = _numbered(rows, demand, None)
            for number, mark in marks.items():
                hit = (numbers >= 0) & mark[np.maximum(numbers, 0)] if len(mark) else numbers > 0
                if hit.any():
                    _take(found[number], chosen[number], rows, numbers, hit, names)
    for number, one in found.items():
        one.examples = [example for example in chosen[number].values() if example is not None]
    return found


def _chosen(batch: Any, zone: str, at: int, demand: Demand) -> Iterator[Any]:
    """Give the rows that are queries for names of the zone by who may validate."""
    import pyarrow as pa
    import pyarrow.compute as pc

    below = batch.column("qname")
    if not pa.types.is_dictionary(below.type):
        below = below.dictionary_encode()
    within = pa.array([is_subdomain(n, zone) for n in below.dictionary.to_pylist()], pa.bool_())
    mask = within.take(below.indices).fill_null(False)
    mask = pc.and_(mask, pc.equal(batch.column("qclass"), _IN).fill_null(False))
    mask = pc.and_(mask, pc.equal(batch.column("opcode"), 0).fill_null(False))
    mask = pc.and_(mask, pc.less_equal(batch.column("time").cast(pa.int64()), at))
    pairing = batch.column("pairing").cast(pa.string())
    mask = pc.and_(mask, pc.invert(pc.is_in(pairing, value_set=pa.array(_LEFT_OUT))))
    upstream = pc.equal(batch.column("vantage").cast(pa.string()), VANTAGES[Vantage.UPSTREAM])
    plain = pc.and_(upstream, pc.invert(batch.column("do").fill_null(True)))
    demand.plain += pc.sum(pc.and_(mask, plain)).as_py() or 0
    rows = batch.filter(pc.and_(mask, pc.invert(plain)))
    if rows.num_rows:
        yield rows


def _times(rows: Any) -> NDArray[np.int64]:
    import pyarrow as pa

    times: NDArray[np.int64] = rows.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    return times


def _numbered(rows: Any, demand: Demand, counts: list[int] | None) -> NDArray[np.int64]:
    """Return the number of each row's question, -1: none; count them where `counts` is given."""
    import pyarrow as pa

    names = rows.column("qname")
    if not pa.types.is_dictionary(names.type):
        names = names.dictionary_encode()
    texts = names.dictionary.to_pylist()
    code = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    kind = rows.column("qtype").fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    distinct, inverse, size = np.unique(code << 16 | kind, return_inverse=True, return_counts=True)
    numbers = np.full(len(distinct), -1, np.int64)
    for index, (pair, often) in enumerate(zip(distinct.tolist(), size.tolist(), strict=True)):
        question = (texts[pair >> 16], pair & 0xFFFF)
        number = demand.numbers.get(question, -1)
        if counts is not None:
            demand.queries += often
            if number < 0 and len(counts) < QUESTIONS:
                number = demand.numbers[question] = len(counts)
                counts.append(0)
            if number < 0:
                demand.left_out += often
            else:
                counts[number] += often
        numbers[index] = number
    result: NDArray[np.int64] = numbers[inverse.reshape(-1)]
    return result


def _take(
    hit: Hit,
    chosen: dict[int, dict[str, Any] | None],
    rows: Any,
    numbers: NDArray[np.int64],
    mask: NDArray[np.bool_],
    names: list[Question],
) -> None:
    """Note the clients of the rows that are hit, and the first query of each example."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not hit.is_more:
        hit.clients |= set(pc.unique(rows.column("client").filter(pa.array(mask))).to_pylist())
        hit.is_more = len(hit.clients) > CLIENTS
    missing = np.array([n for n, example in chosen.items() if example is None], np.int64)
    for row in np.flatnonzero(np.isin(numbers, missing) & mask).tolist():
        number = int(numbers[row])
        if chosen[number] is not None:
            continue
        name, kind = names[number]
        frame = rows.column("query_frame")[row].as_py()
        capture = rows.column("capture")[row].as_py()
        if frame is None:
            frame = rows.column("response_frame")[row].as_py()
            capture = rows.column("response_capture")[row].as_py()
        chosen[number] = {
            "name": name,
            "type": kind,
            "capture": capture,
            "frame": frame,
            "time": rows.column("time").cast(pa.int64())[row].as_py(),
            "client": rows.column("client")[row].as_py(),
        }


def name_of(text: str) -> Name | None:
    """Read a name of the tables as the zone's names are; None: it is none."""
    return parse_name(wire_name(text).lower())
