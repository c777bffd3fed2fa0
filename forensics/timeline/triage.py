"""What became of every failed lookup: was it DNSSEC at all? (DESIGN section 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline.lookups import NO_RESPONSE, POLICY_EDES, VALIDATION_EDES, Lookups
from forensics.timeline.moments import rfc3339
from forensics.timeline.quote import type_name

KINDS: Final = ("validation", "timeout", "refused", "lame", "servfail-other", "policy")

NOTAUTH: Final = 9


@dataclass(slots=True)
class Example:
    """Failures of one kind that say the same, and the first of them.

    Attributes:
        count: how many.
        moment: of the first: ns, and capture << 32 | frame.
        told: its client, server, name and type.
    """

    count: int
    moment: tuple[int, int]
    told: tuple[str | None, str | None, str | None, int]


Cases = dict[str, dict[tuple[int, int], Example]]
"""Kind to (RCODE, extended error) to its example; -1 for none."""


def empty() -> dict[str, int]:
    """Give a count of nothing."""
    return dict.fromkeys(KINDS, 0)


def count(
    counts: dict[str, int],
    cases: Cases,
    rows: Lookups,
    chosen: NDArray[np.bool_],
    broken: NDArray[np.bool_],
    note: Callable[[str, Lookups, NDArray[np.int64]], None] | None = None,
) -> None:
    """Count the chosen transactions that failed, each under one kind.

    Args:
        counts: added to.
        cases: likewise.
        rows: N transactions.
        chosen: bool (N), which to count.
        broken: bool (N), the name stands under a zone in the time of its incident.
        note: called with each kind and its rows.
    """
    policy = np.isin(rows.ede, sorted(POLICY_EDES))
    servfail = rows.rcode == vocabulary.SERVFAIL
    validation = servfail & (broken | np.isin(rows.ede, sorted(VALIDATION_EDES))) & ~rows.cd
    refused = np.isin(rows.rcode, (vocabulary.REFUSED, NOTAUTH))
    # An authority that refuses, or answers with nothing at all, does not serve the zone that it
    # was asked about: a lame delegation (RFC 9499 7).
    empty_handed = (rows.rcode == 0) & ~rows.aa & ~rows.ra
    empty_handed &= (rows.answers == 0) & (rows.authorities == 0)
    upstream = ~rows.client_side
    lame = upstream & (refused | empty_handed)
    timeout = rows.query & (rows.rcode == NO_RESPONSE) & ~rows.response
    other = servfail | np.isin(rows.rcode, (1, 4))  # FORMERR, NOTIMP
    left = chosen.copy()
    for kind, mask in (
        ("policy", policy),
        ("validation", validation),
        ("lame", lame),
        ("refused", refused),
        ("timeout", timeout),
        ("servfail-other", other),
    ):
        hit = left & mask
        counts[kind] += int(hit.sum())
        _note(cases.setdefault(kind, {}), rows, np.flatnonzero(hit))
        if note is not None:
            note(kind, rows, np.flatnonzero(hit))
        left &= ~hit


def _note(held: dict[tuple[int, int], Example], rows: Lookups, at: NDArray[np.int64]) -> None:
    """Take in failures of one kind by what they say."""
    if not len(at):
        return
    at = at[np.lexsort((rows.where[at], rows.instant[at]))]
    said = np.stack([rows.rcode[at], rows.ede[at]])
    found, first, counts = np.unique(said, axis=1, return_index=True, return_counts=True)
    for (rcode, ede), row, number in zip(
        found.T.tolist(), at[first].tolist(), counts.tolist(), strict=True
    ):
        moment = (int(rows.instant[row]), int(rows.where[row]))
        own = held.get((rcode, ede))
        if own is None:
            held[rcode, ede] = Example(number, moment, _told(rows, row))
            continue
        own.count += number
        if moment < own.moment:
            own.moment, own.told = moment, _told(rows, row)


def _told(rows: Lookups, row: int) -> tuple[str | None, str | None, str | None, int]:
    """Give client, server, name and type of a row."""

    def text(column: Any) -> str | None:
        code = int(column.codes[row])
        return None if code < 0 else column.values[code].as_py()

    return text(rows.client), text(rows.server), text(rows.name), int(rows.qtype[row])


def typical(
    counts: dict[str, int],
    client: Cases,
    upstream: Cases,
    paths: dict[int, str],
    *,
    client_side: int,
) -> dict[str, dict[str, Any]]:
    """Give the typical case of each kind that was counted: the first of what most of them say.

    Args:
        counts: as `settle` gives them.
        client: of clients' lookups.
        upstream: of the others.
        paths: of the captures, by number.
        client_side: how many lookups were clients'.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        own = (client if client_side else upstream).get(kind) or {}
        if kind == "lame":
            own = own or upstream.get(kind) or {}
        if not counts[kind] or not own:
            continue
        (rcode, ede), case = max(own.items(), key=lambda item: (item[1].count, item[0]))
        asker, server, name, qtype = case.told
        time, where = case.moment
        found[kind] = {
            "count": case.count,
            "rcode": None if rcode < 0 else rcode,
            "ede": None if ede < 0 else ede,
            "client": asker,
            "server": server,
            "name": name,
            "type": type_name(qtype),
            "at": rfc3339(time),
            "capture": paths.get(where >> 32, "?"),
            "frame": where & 0xFFFFFFFF,
        }
    return found


def settle(
    client: dict[str, int], upstream: dict[str, int], client_side: int, responses: int
) -> dict[str, int]:
    """Choose what to report.

    Clients' lookups where the capture holds any, with lame delegations seen behind them; else
    what resolvers asked. Without a single response captured, silence says nothing.
    """
    chosen = {**client, "lame": client["lame"] + upstream["lame"]} if client_side else {**upstream}
    if not responses:
        chosen["timeout"] = 0
    return chosen
