"""Transactions as arrays: whose lookups they are, when they were answered, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline.columns import Coded, coded, integers, present, truths
from forensics.timeline.lineage import ZoneFinder
from forensics.vocabulary import Pairing, Vantage

NO_RESPONSE: Final = -1
UNKNOWN: Final = -1
"""A count that the capture does not tell."""

VALIDATION_EDES: Final = frozenset({1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 25, 27})
"""Extended errors by which a resolver says that validation failed (RFC 8914 4, RFC 9276 3.2)."""

POLICY_EDES: Final = frozenset({4, 15, 16, 17, 18})
"""Forged answer, blocked, censored, filtered, prohibited (RFC 8914 4)."""

FEW_ZONES: Final = 8
"""With more zones than this, names are looked up one by one instead of zone by zone."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """N transactions; arrays of length N.

    Attributes:
        client_side: bool, asked of a resolver, or with RD where that is not known.
        query, response: bool, captured. again: bool, a retransmission or duplicate, no new lookup.
        instant: int64, ns, of the response, of the query where there is none.
        where: int64, capture << 32 | frame, of the response, else of the query.
        begin: int64, ns, of the query.
        rcode, ede: int64, -1 for none. qtype: int64.
        aa, ra, cd, ad, do: bool. answers, authorities: int64.
        client, server, name, identity: codes and values.
    """

    client_side: NDArray[np.bool_]
    query: NDArray[np.bool_]
    response: NDArray[np.bool_]
    again: NDArray[np.bool_]
    instant: NDArray[np.int64]
    where: NDArray[np.int64]
    begin: NDArray[np.int64]
    rcode: NDArray[np.int64]
    ede: NDArray[np.int64]
    qtype: NDArray[np.int64]
    aa: NDArray[np.bool_]
    ra: NDArray[np.bool_]
    cd: NDArray[np.bool_]
    ad: NDArray[np.bool_]
    do: NDArray[np.bool_]
    answers: NDArray[np.int64]
    authorities: NDArray[np.int64]
    client: Coded
    server: Coded
    name: Coded
    identity: Coded


def read(batch: Any) -> Lookups:
    """Read a batch of schemas.TRANSACTIONS."""
    response = present(batch["response_frame"])
    vantage, pairing = coded(batch["vantage"]), coded(batch["pairing"])
    client = _is(vantage, vocabulary.VANTAGES[Vantage.CLIENT])
    unknown = _is(vantage, vocabulary.VANTAGES[Vantage.UNKNOWN])
    again = _is(pairing, vocabulary.PAIRINGS[Pairing.RETRANSMITTED])
    again |= _is(pairing, vocabulary.PAIRINGS[Pairing.DUPLICATE])
    begin = integers(batch["time"])
    capture = np.where(response, integers(batch["response_capture"]), integers(batch["capture"]))
    frame = np.where(response, integers(batch["response_frame"]), integers(batch["query_frame"]))
    return Lookups(
        client_side=client | (unknown & truths(batch["rd"])),
        query=present(batch["query_frame"]),
        response=response,
        again=again,
        instant=begin + np.maximum(integers(batch["latency"]), 0),
        where=capture << 32 | frame,
        begin=begin,
        rcode=integers(batch["rcode"], NO_RESPONSE),
        ede=integers(batch["ede"], -1),
        qtype=integers(batch["qtype"]),
        aa=truths(batch["aa"]),
        ra=truths(batch["ra"]),
        cd=truths(batch["cd"]),
        ad=truths(batch["ad"]),
        do=truths(batch["do"]),
        answers=integers(batch["answers"], UNKNOWN),
        authorities=integers(batch["authorities"], UNKNOWN),
        client=coded(batch["client"]),
        server=coded(batch["server"]),
        name=coded(batch["qname"]),
        identity=coded(batch["identity"]),
    )


def _is(column: Coded, word: str) -> NDArray[np.bool_]:
    """Tell which rows hold a word."""
    table = np.array([value == word for value in column.values.to_pylist()], dtype=bool)
    return column.lookup(table, absent=False).astype(bool)


def zone_numbers(finder: ZoneFinder, names: Coded) -> NDArray[np.int64]:
    """Give the number of the closest of some zones for the question of each of N rows; -1: none."""
    if not finder.zones:
        return np.full(len(names.codes), -1, dtype=np.int64)
    if len(finder.zones) > FEW_ZONES:
        table: NDArray[Any] = finder.closest_of(names.values)
    else:
        table = _by_suffix(finder, names.values)
    return names.lookup(table, absent=-1).astype(np.int64)


def _by_suffix(finder: ZoneFinder, values: Any) -> NDArray[np.int64]:
    """Do what `closest_of` does for few zones at once in Arrow."""
    import pyarrow.compute as pc

    table = np.full(len(values), -1, dtype=np.int64)
    for zone in sorted(finder.zones, key=lambda zone: (zone != ".", zone.count("."), zone)):
        if zone == ".":
            mask = pc.is_valid(values)
        else:
            below = pc.and_not(
                pc.ends_with(values, "." + zone), pc.match_substring_regex(values, _escaped(zone))
            )
            mask = pc.or_(pc.equal(values, zone), below)
        chosen = np.asarray(pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False))
        table[chosen.astype(bool)] = finder.number(zone)
    return table


def _escaped(zone: str) -> str:
    """Give a pattern for names whose dot before `zone` is escaped, and so is no border."""
    import re

    return rf"(^|[^\\])(\\\\)*\\\.{re.escape(zone)}$"
