"""What the resolvers themselves said, held against the verdicts: RCODE, AD and EDE.

An extended error is a claim of whoever sent it (RFC 8914 6), and so is the AD bit. Each answer to
a client either agrees with what the captured signatures prove, disagrees, or says nothing of it.
Disagreements are gathered by resolver, zone and kind, with their likely cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.testimony.columns import flags, ints, to_clients, words

VALIDATION_EDES: Final = (1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 25, 27)
"""Extended errors by which a resolver says that validation failed (RFC 8914 4, RFC 9276 3.2)."""

STALE_EDES: Final = (3, 19)
"""Stale answer, stale NXDOMAIN answer (RFC 8914 4.4, 4.20)."""

POLICY_EDES: Final = (4, 15, 16, 17, 18)
"""Forged answer, blocked, censored, filtered, prohibited (RFC 8914 4)."""

NTA_EDE: Final = 33
"""Negative trust anchor: answered although validation would fail."""

WHOLE: Final = frozenset(
    {"ds-mismatch", "dnskey-absent", "dnskey-unobtainable", "dnskey-unsigned-by-ds-key"}
)
"""Reasons that break everything in a zone; under the others some of its data may be good."""

AFTERMATH: Final = 86_400 * limits.SECOND
"""Caches may refuse, or hold on to, what they fetched during an incident for a day after it."""

CASES: Final = 500
"""Cases listed; a case is one resolver, zone and kind, not one response."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to disagree."""

    name: str
    claim: str
    verdict: str
    cause: str


KINDS: Final = (
    Kind(
        "negative-trust-anchor", "answered, with extended error 33", "bogus",
        "a negative trust anchor: validation was switched off for the zone by hand",
    ),
    Kind(
        "stale", "answered, with an extended error for stale data", "bogus",
        "serve-stale: the answer came from an old cache",
    ),
    Kind(
        "policy", "failed by policy", "bogus",
        "a local policy (RPZ) answered before validation could",
    ),
    Kind(
        "authentic-in-outage", "answered with AD set", "bogus",
        "data fetched before the fault and still in the cache",
    ),
    Kind(
        "never-validates", "answered, never with AD in the whole capture", "bogus",
        "the resolver does not validate, or runs in permissive mode",
    ),
    Kind(
        "refused-outside", "SERVFAIL with a validation error", "no bad data captured",
        "the resolver alone: its clock, its limits, old data, or an old trust anchor",
    ),
    Kind(
        "wrong-words", "SERVFAIL with another extended error than the fault's", "bogus",
        "the resolver names the failure in its own way; its extended error is only its claim",
    ),
)  # fmt: skip
"""Every kind of disagreement, in the order in which they are tried."""

_NUMBER: Final = {kind.name: number for number, kind in enumerate(KINDS)}


@dataclass(slots=True)
class _Case:
    """Responses of one resolver that disagree in one way about one zone."""

    count: int
    first: int
    last: int
    edes: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Incident:
    """What is needed of an incident: times in ns; `whole`: nothing of the zone could hold."""

    zone: str
    begin: int
    end: int
    whole: bool
    resolvers: frozenset[str]


def weigh(batches: Iterator[Any], incidents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Hold the resolvers' words against the incidents.

    Args:
        batches: record batches of schemas.TRANSACTIONS.
        incidents: rows as in report.json (zone, reason, onset, recovery, view,
            resolvers).

    Returns:
        agree, disagree: counts of responses to clients that say something of validation; cases:
        rows with resolver, zone, kind, count, first, last, ede, claim, verdict, likely_cause.
    """
    known = [_incident(row) for row in incidents]
    agree = 0
    cases: dict[tuple[str, str, int], _Case] = {}
    silent: dict[tuple[str, str], _Case] = {}
    authentic: set[str] = set()
    for batch in batches:
        if batch.num_rows:
            agree += _batch(batch, known, cases, silent, authentic)
    for (resolver, zone), held in silent.items():
        if resolver not in authentic:
            cases[resolver, zone, _NUMBER["never-validates"]] = held
    ordered = sorted(cases.items(), key=lambda item: (-item[1].count, item[0]))
    return {
        "agree": agree,
        "disagree": sum(held.count for held in cases.values()),
        "cases": [_row(*key, held) for key, held in ordered[:CASES]],
        "cases_omitted": max(len(ordered) - CASES, 0),
    }


def _row(resolver: str, zone: str, number: int, held: _Case) -> dict[str, Any]:
    """Give a case as the report has it."""
    kind = KINDS[number]
    return {
        "resolver": resolver,
        "zone": zone or None,
        "kind": kind.name,
        "count": held.count,
        "first": time_text(held.first),
        "last": time_text(held.last),
        "ede": {str(code): held.edes[code] for code in sorted(held.edes)},
        "claim": kind.claim,
        "verdict": kind.verdict,
        "likely_cause": kind.cause,
    }


def time_text(time: int) -> str:
    """Give RFC 3339 text with nanoseconds."""
    seconds, rest = divmod(time, limits.SECOND)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def read_time(text: str | None, absent: int) -> int:
    """Read what `time_text` writes; `absent` for None."""
    if text is None:
        return absent
    whole = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC) - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * limits.SECOND + int(text[20:29])


def _incident(row: Mapping[str, Any]) -> _Incident:
    """Read an incident's zone and window."""
    local = row.get("view") == "resolver"
    return _Incident(
        zone=row["zone"],
        begin=read_time(row["onset"]["first_bad"], 0),
        end=read_time(row["recovery"]["first_good"], 2**62),
        whole=row["reason"] in WHOLE,
        resolvers=frozenset(held["address"] for held in row["resolvers"] if held.get("bad"))
        if local
        else frozenset(),
    )


def _batch(
    batch: Any,
    known: Sequence[_Incident],
    cases: dict[tuple[str, str, int], _Case],
    silent: dict[tuple[str, str], _Case],
    authentic: set[str],
) -> int:
    """Weigh one batch; gives how many responses agree."""
    chosen = batch.filter(_asked_to_validate(batch))
    if not chosen.num_rows:
        return 0
    server, names = words(chosen["server"]), words(chosen["qname"])
    time = ints(chosen["time"]) + np.maximum(ints(chosen["latency"]), 0)
    rcode, ede = ints(chosen["rcode"]), ints(chosen["ede"], -1)
    ad = flags(chosen["ad"])
    authentic.update(server[1][code] for code in np.unique(server[0][ad]).tolist() if code >= 0)
    servfail = rcode == vocabulary.SERVFAIL
    answered = (rcode == 0) | (rcode == vocabulary.NXDOMAIN)
    refuses = np.isin(ede, VALIDATION_EDES)
    open_rows = np.ones(len(time), dtype=bool)
    shadowed = np.zeros(len(time), dtype=bool)
    agree = 0
    for incident in known:
        under = np.array([_is_under(name, incident.zone) for name in names[1]] + [False])
        about = under[names[0]] & open_rows & (time >= incident.begin)
        if incident.resolvers:
            mine = np.array([word in incident.resolvers for word in server[1]] + [False])
            about &= mine[server[0]]
        # Until a day after the repair a cache may repeat the fault: no word against it counts.
        shadowed |= about & (time <= min(incident.end, 2**61) + AFTERMATH)
        inside = about & (time <= incident.end)
        open_rows &= ~inside
        for name, mask in (
            ("negative-trust-anchor", answered & (ede == NTA_EDE)),
            ("stale", answered & np.isin(ede, STALE_EDES)),
            ("policy", np.isin(ede, POLICY_EDES)),
            ("authentic-in-outage", answered & ad & incident.whole),
            ("wrong-words", servfail & (ede >= 0) & ~refuses),
        ):
            hit = inside & mask
            inside &= ~hit
            _note(cases, server, incident.zone, _NUMBER[name], np.flatnonzero(hit), time, ede)
        agree += int((inside & servfail).sum())
        quiet = np.flatnonzero(inside & answered & ~ad)
        _note_silent(silent, server, incident.zone, quiet, time, ede)
    outside = open_rows & ~shadowed
    _note(
        cases, server, "", _NUMBER["refused-outside"],
        np.flatnonzero(outside & servfail & refuses), time, ede,
    )  # fmt: skip
    return agree + int((outside & answered & ad).sum())


def _asked_to_validate(batch: Any) -> Any:
    """Choose responses to clients that asked for validation (CD clear, RFC 4035 3.2.2)."""
    import pyarrow.compute as pc

    return pc.and_(to_clients(batch), pc.invert(pc.fill_null(batch["cd"], fill_value=False)))


def _is_under(name: str | None, zone: str) -> bool:
    """Whether a name is the zone's apex or below it."""
    if name is None:
        return False
    if zone in {".", name}:
        return True
    head = name[: -len(zone) - 1]
    return name.endswith("." + zone) and (len(head) - len(head.rstrip("\\"))) % 2 == 0


def _note(
    cases: dict[tuple[str, str, int], _Case],
    server: tuple[NDArray[np.int64], list[str | None]],
    zone: str,
    number: int,
    at: NDArray[np.int64],
    time: NDArray[np.int64],
    ede: NDArray[np.int64],
) -> None:
    """Add the responses `at` to their cases."""
    for code in np.unique(server[0][at]).tolist():
        mine = at[server[0][at] == code]
        key = ((server[1][code] if code >= 0 else None) or "?", zone, number)
        cases[key] = _merged(cases.get(key), mine, time, ede)


def _note_silent(
    silent: dict[tuple[str, str], _Case],
    server: tuple[NDArray[np.int64], list[str | None]],
    zone: str,
    at: NDArray[np.int64],
    time: NDArray[np.int64],
    ede: NDArray[np.int64],
) -> None:
    """Keep answers without AD until it is known whether their resolver ever sets AD."""
    for code in np.unique(server[0][at]).tolist():
        mine = at[server[0][at] == code]
        key = ((server[1][code] if code >= 0 else None) or "?", zone)
        silent[key] = _merged(silent.get(key), mine, time, ede)


def _merged(
    held: _Case | None, at: NDArray[np.int64], time: NDArray[np.int64], ede: NDArray[np.int64]
) -> _Case:
    """Add responses to a case."""
    first, last = int(time[at].min()), int(time[at].max())
    if held is None:
        held = _Case(0, first, last, {})
    held.count += len(at)
    held.first, held.last = min(held.first, first), max(held.last, last)
    for code, count in zip(*np.unique(ede[at], return_counts=True), strict=True):
        if code >= 0:
            held.edes[int(code)] = held.edes.get(int(code), 0) + int(count)
    return held
