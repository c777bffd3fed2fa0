"""Validation that failed by the word of resolvers alone: in which zone, from when to when.

Where a capture holds clients' traffic only, no signature need be in it that shows a cause. Still it
can prove that validation failed, and narrow the place down:

- *By extended errors* (RFC 8914): SERVFAIL with one of those that speak of validation. A claim of
  the resolver, shown as such.
- *By checking disabled* (RFC 4035 3.2.2): a resolver refuses a question, answers the same one with
  CD set, and refuses it again. No claim is needed: only validation lies between both.

The zone is the lowest one that all the names which failed have in common. A zone above it is
cleared if the same resolvers vouched (AD) for other names below it meanwhile. No zone is accused:
the reason is not known, and the fault may be the resolvers' own.

The brackets are those of the clients: what they were answered before and behind may come from a
cache, so the zone itself may have changed up to a TTL earlier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.knowledge import ancestors
from forensics.testimony.answers import Rows, read, text, texts, under
from forensics.testimony.lowest import cleared, zones_of
from forensics.testimony.refusals import Account
from forensics.testimony.responses import AFTERMATH, VALIDATION_EDES, read_time
from forensics.vocabulary import NXDOMAIN, SERVFAIL

NEAR: Final = 60 * limits.SECOND
"""A refusal and an answer with CD within this time of each other are of one state of the zone."""

FEWEST_PROVEN: Final = 2
"""Names that must be refused without CD and answered with it: one may be an accident."""

_Batches = Callable[[], Iterator[Any]]
_Question = tuple[str, str, int]
"""Resolver, name and type."""


@dataclass(slots=True)
class _Witnesses:
    """What the passes find: the names that failed, who said so, and which names were vouched for.

    Attributes:
        failed: names that failed validation, with how often.
        servers: the resolvers that said so. first, last: ns, of the failures.
        disabled: (resolver, name, type) to the times of answers with CD, ns.
        vouched: zone above failed names to the labels below it with how often AD was seen.
    """

    failed: Counter[str] = field(default_factory=Counter)
    servers: set[str] = field(default_factory=set)
    first: int = 2**62
    last: int = -(2**62)
    disabled: dict[_Question, list[int]] = field(default_factory=dict)
    vouched: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Plain:
    """When one question without CD was refused, and when it was answered, ns."""

    failed: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)


def witnessed(
    batches: _Batches,
    incidents: Sequence[Mapping[str, Any]],
    explained: Collection[str],
    paths: Mapping[int, str],
) -> list[dict[str, Any]]:
    """Tell of zones for which validation failed by the word of resolvers alone.

    Args:
        batches: gives schemas.TRANSACTIONS as record batches, from the start each time.
        incidents: rows of report.json: what they explain is not told again.
        explained: resolvers that another finding speaks of.
        paths: of the captures, by number.

    Returns:
        findings of kind `testimony`, one a zone, in order of zone.
    """
    found = _Witnesses()
    known = [
        (
            str(row["zone"]),
            read_time(row["onset"]["last_good"], read_time(row["onset"]["first_bad"], 0)),
            read_time(row["recovery"]["first_good"], 2**62 - AFTERMATH) + AFTERMATH,
        )
        for row in incidents
    ]
    for rows in read(batches()):
        claims = (rows.rcode == SERVFAIL) & ~rows.cd & np.isin(rows.ede, VALIDATION_EDES)
        _note_failed(found, rows, claims & ~_told(rows, known, explained))
        _note_disabled(found, rows)
    if found.disabled:
        plain: dict[_Question, _Plain] = {}
        for rows in read(batches()):
            _note_plain(found, rows, plain, ~_told(rows, known, explained))
        _take_proven(found, plain)
    if not found.failed:
        return []
    for name in found.failed:
        for above in ancestors(name):
            found.vouched.setdefault(above, Counter())
    for rows in read(batches()):
        _note_vouched(found, rows)
    zones = zones_of(found.failed, found.vouched)
    accounts = {zone: Account(zone, names) for zone, names in zones.items()}
    for rows in read(batches()):
        for account in accounts.values():
            account.outline(rows, found.servers)
    for rows in read(batches()):
        for account in accounts.values():
            account.surround(rows, found.servers)
    return [
        account.finding(cleared(account.zone, found.vouched), paths)
        for _, account in sorted(accounts.items())
    ]


def _told(
    rows: Rows, known: Sequence[tuple[str, int, int]], explained: Collection[str]
) -> NDArray[np.bool_]:
    """Tell which rows an incident or another finding speaks of."""
    codes, servers = rows.server
    told = np.array([word in explained for word in servers] + [False])[codes]
    for zone, begin, end in known:
        inside = (rows.time >= begin) & (rows.time <= end)
        if inside.any():
            told |= under(rows, zone) & inside
    return told


def _note_failed(found: _Witnesses, rows: Rows, chosen: NDArray[np.bool_]) -> None:
    """Note the chosen rows as failures of validation."""
    at = np.flatnonzero(chosen & (rows.name[0] >= 0) & (rows.server[0] >= 0))
    if not len(at):
        return
    codes, counts = np.unique(rows.name[0][at], return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        name = rows.name[1][code]
        if name is not None and (name in found.failed or len(found.failed) < limits.WITNESSED):
            found.failed[name] += count
    found.servers |= texts(rows.server, at)
    found.first = min(found.first, int(rows.time[at].min()))
    found.last = max(found.last, int(rows.time[at].max()))


def _note_disabled(found: _Witnesses, rows: Rows) -> None:
    """Note what was answered with checking disabled."""
    answered = (rows.rcode == 0) | (rows.rcode == NXDOMAIN)
    for row in np.flatnonzero(rows.cd & answered).tolist():
        key = _question(rows, row)
        if key is not None and (key in found.disabled or len(found.disabled) < limits.WITNESSED):
            held = found.disabled.setdefault(key, [])
            if len(held) < limits.WITNESSED:
                held.append(int(rows.time[row]))


def _note_plain(
    found: _Witnesses, rows: Rows, plain: dict[_Question, _Plain], mine: NDArray[np.bool_]
) -> None:
    """Note how the questions were answered without CD that were also asked with it."""
    answered = (rows.rcode == 0) | (rows.rcode == NXDOMAIN)
    failed = (rows.rcode == SERVFAIL) & ~np.isin(rows.ede, VALIDATION_EDES)
    for row in np.flatnonzero(mine & ~rows.cd & (answered | failed)).tolist():
        key = _question(rows, row)
        if key is not None and key in found.disabled:
            held = plain.setdefault(key, _Plain())
            times = held.failed if failed[row] else held.answered
            if len(times) < limits.WITNESSED:
                times.append(int(rows.time[row]))


def _take_proven(found: _Witnesses, plain: Mapping[_Question, _Plain]) -> None:
    """Take in the questions that only validation can have refused.

    One that was refused, answered with CD, and refused again, all within a minute and without an
    answer between them. A server that cannot be reached makes SERVFAIL, too, so two such names are
    asked for.
    """
    proven: dict[_Question, list[int]] = {}
    for key, held in plain.items():
        for time in found.disabled[key]:
            before = [one for one in held.failed if time - NEAR <= one < time]
            behind = [one for one in held.failed if time < one <= time + NEAR]
            if before and behind:
                first, last = max(before), min(behind)
                if not any(first < one < last for one in held.answered):
                    proven.setdefault(key, []).extend((first, last))
    if len({name for _, name, _ in proven}) < FEWEST_PROVEN:
        return
    for (server, name, _), times in proven.items():
        found.failed[name] += len(set(times))
        found.servers.add(server)
        found.first, found.last = min(found.first, *times), max(found.last, *times)


def _question(rows: Rows, row: int) -> _Question | None:
    """Give resolver, name and type of a row."""
    server, name = text(rows.server, row), text(rows.name, row)
    return None if server is None or name is None else (server, name, int(rows.qtype[row]))


def _note_vouched(found: _Witnesses, rows: Rows) -> None:
    """Count answers with AD, meanwhile and by the same resolvers, below each zone concerned."""
    codes, servers = rows.server
    mine = np.array([word in found.servers for word in servers] + [False])[codes]
    inside = (rows.time >= found.first) & (rows.time <= found.last)
    at = np.flatnonzero(mine & inside & rows.ad & (rows.name[0] >= 0))
    names, counts = np.unique(rows.name[0][at], return_counts=True)
    for code, count in zip(names.tolist(), counts.tolist(), strict=True):
        below = rows.name[1][code] or "."
        for above in ancestors(below):
            if above in found.vouched:
                found.vouched[above][below] += count
            below = above
