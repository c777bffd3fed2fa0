"""Pair again what lies on both sides of a border between files: rows in, changed rows out.

The rules are those of `transactions.match`, told once more over rows instead of messages: a row is
taken apart into its query and its response, and the halves of one session, from all files, are
paired in order of capture and frame. Messages of one session never change the rows of another, so
sessions that only one file knows are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from forensics import limits
from forensics.vocabulary import DNSTAP_KINDS, PAIRINGS, VANTAGES, Pairing, Vantage

OF_QUERY: Final = (
    "query_frame",
    "do",
    "edns_size",
    "query_size",
)
"""Columns that only a query fills."""

OF_RESPONSE: Final = (
    "response_capture",
    "response_frame",
    "rcode",
    "aa",
    "tc",
    "ra",
    "ad",
    "response_edns",
    "ede",
    "ede_text",
    "nsid",
    "answers",
    "authorities",
    "response_size",
)
"""Columns that only a response fills."""


class Half(NamedTuple):
    """A message, as far as its row tells it.

    Attributes:
        row: number of the row.
        response: which half of it.
        order: (capture, frame, transaction) in all, in which one run would have read it.
        time: ns since 1970.
        question: name, type and class; None: no question.
    """

    row: int
    response: bool
    order: tuple[int, int, int]
    time: int
    question: tuple[str, int, int] | None


@dataclass(slots=True)
class Exchange:
    """A row made anew: the rows that its halves come from.

    Attributes:
        query, response: numbers of rows, None: that half is missing.
        first: the half that opened it.
        pairing: vocabulary.Pairing.
        time: of the half that waits.
    """

    query: int | None
    response: int | None
    first: Half
    pairing: int
    time: int
    waits: int = 0

    @property
    def rows(self) -> list[int]:
        """Numbers of the rows that its halves come from."""
        return [row for row in (self.query, self.response) if row is not None]

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        """What tells it from another."""
        return self.query, self.response, self.pairing


def pair(halves: Iterable[Half]) -> list[Exchange]:
    """Pair the messages of one session, in the order in which they were read."""
    made: list[Exchange] = []
    waiting: list[Exchange] = []
    answered: dict[tuple[str, int, int] | None, int] = {}
    for half in halves:
        now = half.time
        waiting = [one for one in waiting if _still(one, now)]
        found, again, stale = _find(half, waiting)
        if not half.response and again is None and stale is not None:
            waiting.remove(stale)
        if found is not None and (half.response or again is None):
            answered[half.question] = now if half.response else found.time
            latency = now - found.time if half.response else found.time - now
            if half.response:
                found.response = half.row
            else:
                found.query = half.row
            late = latency > limits.QUERY_TIMEOUT
            found.pairing = int(Pairing.LATE if late else Pairing.ANSWERED)
            waiting.remove(found)
            continue
        pairing, waits = Pairing.UNANSWERED, 1
        if half.response:
            since = now - answered.get(half.question, now - 2 * limits.QUERY_TIMEOUT)
            if abs(since) <= limits.QUERY_TIMEOUT:
                pairing, waits = Pairing.DUPLICATE, 0
            else:
                pairing, waits = Pairing.UNSOLICITED, 2
        elif again is not None:
            pairing, waits = Pairing.RETRANSMITTED, 0
        query, response = (None, half.row) if half.response else (half.row, None)
        one = Exchange(query, response, half, int(pairing), now, waits)
        made.append(one)
        if waits:
            waiting.append(one)
    return made


def _still(one: Exchange, now: int) -> bool:
    """Whether an open row still waits at a time: `transactions.search.expire`."""
    waited = now - one.time
    if one.waits == 1:
        return -limits.LATE_TIMEOUT <= waited <= limits.LATE_TIMEOUT
    return -limits.QUERY_TIMEOUT <= waited <= limits.SKEW_TIMEOUT


def _find(
    half: Half, waiting: Sequence[Exchange]
) -> tuple[Exchange | None, Exchange | None, Exchange | None]:
    """The other half; the same query that still waits; one that waited too long: `find_row`."""
    found = again = stale = None
    for one in waiting:
        same = one.first.question == half.question
        waited = half.time - one.time
        if half.response:
            fits = same or half.question is None
            if one.waits == 1 and fits and waited >= -limits.QUERY_TIMEOUT and found is None:
                found = one
        elif one.waits == 2:
            if (same or one.first.question is None) and found is None:
                found = one
        elif same:
            if -limits.QUERY_TIMEOUT <= waited <= limits.QUERY_TIMEOUT:
                again = one
            else:
                stale = one
    return found, again, stale


class Change(NamedTuple):
    """What the borders change.

    Attributes:
        superseded: numbers of rows that are no more.
        exchanges: what takes their place.
        moved: of each response concerned (number of the old row, its new exchange).
    """

    superseded: list[int]
    exchanges: list[Exchange]
    moved: list[tuple[int, Exchange]]


def changes(rows: Sequence[Mapping[str, Any]]) -> Change:
    """Find what the borders change in rows of several parts.

    What counts is where the rows of all parts pair differently from those of each part alone: rows
    far from the borders may be missing here, and what they would have told stays as it was.

    Args:
        rows: of schemas.TRANSACTIONS with times as ns, captures numbered among all, `rank` the
            number of the part, and `query_capture`, the capture of the query.
    """
    change = Change([], [], [])
    for group in _groups(rows):
        made = _paired(group, rows)
        ranks = sorted({rows[number]["rank"] for number in group})
        alone = {
            one.shape
            for rank in ranks
            for one in _paired([n for n in group if rows[n]["rank"] == rank], rows)
        }
        gone: set[int] = set()
        new = [one for one in made if one.shape not in alone]
        # A row goes with both of its halves, and what these are in now comes with all of its own.
        while more := {number for one in new for number in one.rows} - gone:
            gone |= more
            new = [one for one in made if gone.intersection(one.rows)]
        same = {_shape(number, rows[number]) for number in gone}
        new = [one for one in new if one.shape not in same]
        kept = {one.shape for one in made}
        change.superseded.extend(n for n in sorted(gone) if _shape(n, rows[n]) not in kept)
        change.exchanges.extend(new)
        change.moved.extend((one.response, one) for one in new if one.response is not None)
    return change


def _paired(group: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> list[Exchange]:
    """Pair the halves of some rows."""
    halves = (half for number in group for half in _halves(number, rows[number]))
    return pair(sorted(halves, key=_read_order))


def _read_order(half: Half) -> tuple[int, int, int, bool]:
    return (*half.order, half.response)


def _groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[int]]:
    """Give the rows of each session that more than one part knows."""
    by_session: dict[tuple[Any, ...], list[int]] = {}
    for number, row in enumerate(rows):
        by_session.setdefault(_session(row), []).append(number)
    for group in by_session.values():
        if len({rows[number]["rank"] for number in group}) > 1:
            yield group


def _session(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The session itself: its hash may be that of another one too."""
    code = DNSTAP_KINDS.index(row["kind"])
    family = (code + 1) >> 1
    names = ("client", "server", "client_port", "server_port", "transport", "id", "identity")
    return (*(row[name] for name in names), 1 if family == 3 else family)


def _halves(number: int, row: Mapping[str, Any]) -> Iterator[Half]:
    question = None
    if row["qname"] is not None:
        question = (row["qname"], row["qtype"], row["qclass"])
    if row["query_frame"] is not None:
        order = (row["query_capture"], row["query_frame"], row["transaction"])
        yield Half(number, False, order, row["time"], question)
    if row["response_frame"] is not None:
        order = (row["response_capture"], row["response_frame"], row["transaction"])
        alone = row["query_frame"] is None
        time = row["time"] + (0 if alone else row["latency"])
        yield Half(number, True, order, time, question)


def _shape(number: int, row: Mapping[str, Any]) -> tuple[int | None, int | None, int]:
    query = number if row["query_frame"] is not None else None
    response = number if row["response_frame"] is not None else None
    return query, response, PAIRINGS.index(row["pairing"])


def made_row(
    one: Exchange,
    rows: Sequence[Mapping[str, Any]],
    numbers: Sequence[int],
    named: Mapping[str, Vantage],
) -> dict[str, Any]:
    """Write an exchange as a row of schemas.TRANSACTIONS, with the `rank` of its part.

    Times stay ns.

    Args:
        one: the exchange.
        rows: as of `changes`.
        numbers: of each row the number of its transaction among all parts.
        named: the side by server address, where the user gave its role.
    """
    first = rows[one.first.row]
    query = None if one.query is None else rows[one.query]
    response = None if one.response is None else rows[one.response]
    said = query or response
    assert said is not None
    row = {**first, **{name: said[name] for name in ("rd", "cd", "opcode")}}
    row["transaction"] = numbers[one.first.row]
    if first.get("continues") is not None:
        base = numbers[one.first.row] - first["transaction"]
        row["continues"] = first["continues"] + base
    row["capture"] = first["response_capture" if one.first.response else "query_capture"]
    row["pairing"] = PAIRINGS[one.pairing]
    row["rank"] = first["rank"]
    for name in OF_QUERY:
        row[name] = None if query is None else query[name]
    for name in OF_RESPONSE:
        row[name] = None if response is None else response[name]
    row["latency"] = None
    if response is not None:
        row["response_capture"] = response["response_capture"]
        alone = response["query_frame"] is None
        at = response["time"] + (0 if alone else response["latency"])
        row["vantage"] = response["vantage"]
        row["time"] = at
        row["latency"] = response["latency"] if alone else None
        if query is not None:
            row["time"] = query["time"]
            row["latency"] = at - query["time"]
    elif query is not None:
        row["time"] = query["time"]
        side = DNSTAP_KINDS.index(query["kind"])
        told = Vantage.UNKNOWN if not side else Vantage.UPSTREAM if side <= 4 else Vantage.CLIENT
        row["vantage"] = VANTAGES[named.get(query["server"], told)]
    return row
