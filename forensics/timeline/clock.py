"""A wrong clock is not an outage: many unrelated zones fail, only by time (DESIGN section 4)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.limits import CLOCK_SET_BACK, SECOND
from forensics.timeline.columns import integers, present, single
from forensics.timeline.evidence import Catalog, Evidence, Places
from forensics.timeline.impact import Claim
from forensics.timeline.judged import RESOLVER
from forensics.timeline.lineage import is_under, parent
from forensics.timeline.moments import rfc3339
from forensics.timeline.steps import ClockSteps
from forensics.timeline.survey import TIME_REASONS, Spell, Survey
from forensics.timeline.wording import counted

UNRELATED: Final = 3
"""Zones, none above another, that fail by time together: one operator's lapse has fewer."""

_EDE_OF: Final = {
    vocabulary.REASON_CODE["signature-expired"]: 7,
    vocabulary.REASON_CODE["signature-not-yet-valid"]: 8,
}
"""What a resolver says of a reason by its own clock (RFC 8914 4.8, 4.9)."""

CLOCK_EDES: Final = frozenset(_EDE_OF.values())

_TIMELESS: Final = frozenset(
    vocabulary.REASON_CODE[name]
    for name in (
        "signature-invalid",
        "signature-malformed",
        "signature-window-invalid",
        "labels-invalid",
        "denial-invalid",
    )
)
"""Reasons that lie in one response, or in a key and a signature that name each other."""


def leaves(zones: set[str]) -> set[str]:
    """Give the zones that have none of the others below them."""
    return {
        zone
        for zone in zones
        if not any(other != zone and is_under(other, zone) for other in zones)
    }


def _is_clock(outside: set[str], inside: set[str]) -> bool:
    """Whether the signers seen outside of their windows are too many for anything but a clock."""
    wrong = outside - inside
    if len(wrong) < len(inside):
        return False
    if "." in wrong:
        return len(wrong) >= 2
    return "." not in inside and len(leaves(wrong)) >= UNRELATED


def judge_clocks(
    found: Survey, catalog: Catalog, places: Places
) -> tuple[list[dict[str, Any]], list[Spell]]:
    """Take what a wrong clock explains out of the spells.

    Returns:
        Findings, at most one; and the spells that are left.
    """
    whole = np.stack([found.outside, found.inside], axis=1)
    findings, spells = _judged_over(whole, found, catalog, places)
    if not findings:
        # Over the time alone in which something was outside.
        findings, spells = _judged_over(found.failing, found, catalog, places)
        if any(row["kind"] == "clock-recorder" for row in findings):
            # At other times it was right: it was moved while it recorded, so that nobody knows
            # how long before a signature its keys were seen.
            spells = [spell for spell in spells if spell.reason in _TIMELESS]
    return findings, spells


def _judged_over(
    seen: NDArray[np.bool_], found: Survey, catalog: Catalog, places: Places
) -> tuple[list[dict[str, Any]], list[Spell]]:
    """Judge by bool (2 sides, outside and inside, S signers)."""
    named = [
        tuple(
            {catalog.signers[n] for n in one.nonzero()[0] if n < len(catalog.signers)} for one in of
        )
        for of in seen
    ]
    (authority_out, authority_in), (resolver_out, resolver_in) = named
    every_out, every_in = authority_out | resolver_out, authority_in | resolver_in
    if _is_clock(every_out, every_in) and (authority_out or not authority_in):
        finding = _recorder(found, every_out)
        return [finding], [spell for spell in found.spells if spell.reason not in TIME_REASONS]
    if not authority_out and _is_clock(resolver_out, resolver_in):
        at = sorted({places.server[place] for place in found.outside_at[RESOLVER]})
        finding = {
            "kind": "clock-resolver",
            "resolvers": at,
            "zones": len(resolver_out),
            "sentence": (
                f"Answers of {', '.join(at[:4])} carried signatures of "
                f"{counted(len(resolver_out), 'zone')} outside of their time, and no name server "
                "did: the clock or the data of that resolver is wrong. No zone is accused."
            ),
        }
        rest = [
            spell
            for spell in found.spells
            if spell.side != RESOLVER or spell.reason not in TIME_REASONS
        ]
        return [finding], rest
    return [], found.spells


def without_witness(
    findings: list[dict[str, Any]], found: Survey, evidence: Evidence
) -> tuple[list[dict[str, Any]], list[Spell]]:
    """Accuse no zone by a clock that nothing in the capture vouches for.

    Where all signatures of a time are outside of their windows, their zones may have lapsed or the
    recorder's clock may be wrong: the packets look the same. What tells them apart is a signature
    seen inside its window at about that time, a resolver that says the same by its own clock (EDE
    7 of one that had expired, 8 of one not yet valid: the other way round two clocks differ),
    or the user's word (an input with a clock offset, be it 0).

    Args:
        findings: of `judge_clocks`; nothing is done if there are any.
        found: for the spells that `judge_clocks` left.
        evidence: for captures and transactions.

    Returns:
        Findings and spells as of `judge_clocks`.
    """
    doubted = [spell for spell in found.spells if spell.reason in TIME_REASONS]
    if findings or not doubted or found.witnessed:
        return findings, found.spells
    vouched = _vouched(evidence)
    doubted = [spell for spell in doubted if spell.reason not in vouched]
    if not doubted:
        return findings, found.spells
    zones = sorted({spell.zone for spell in doubted})
    finding = {
        "kind": "clock-recorder",
        "zones": len(zones),
        "sightings": sum(spell.bad for spell in doubted),
        "sentence": (
            f"Every signature seen at that time was outside of its own time "
            f"({', '.join(zones[:4])}{' and others' if len(zones) > 4 else ''}), and nothing else "
            "in the capture shows whether the clock of the machine that recorded was right. No "
            "zone is accused of signatures out of time. If you trust that clock, say so with "
            "--clock-offset CAPTURE=0."
        ),
    }
    sure = [spell for spell in found.spells if spell.reason not in TIME_REASONS - vouched]
    return [finding], sure


def without_order(
    findings: list[dict[str, Any]], spells: list[Spell], evidence: Evidence
) -> tuple[list[dict[str, Any]], list[Spell]]:
    """Accuse no zone by an order of events that the recorder's clock does not vouch for.

    Where a capture's times go back by limits.CLOCK_SET_BACK, nobody knows which keys were published
    when: a roll looks as if it had lost them. What fails whatever the time, still counts.

    Args:
        findings: what is known of clocks so far.
        spells: that are left.
        evidence: for captures and transactions.

    Returns:
        Findings and spells as of `judge_clocks`.
    """
    doubted = [spell for spell in spells if spell.reason not in _TIMELESS]
    if not doubted:
        return findings, spells
    clock_steps = ClockSteps()
    for _ in clock_steps.watched(evidence.transactions()):
        pass
    back = clock_steps.set_back(evidence.captures)
    if back < CLOCK_SET_BACK:
        return findings, spells
    zones = sorted({spell.zone for spell in doubted})
    named = ", ".join(zones[:4]) + (" and others" if len(zones) > 4 else "")
    finding = {
        "kind": "clock-recorder",
        "zones": len(zones),
        "sightings": sum(spell.bad for spell in doubted),
        "sentence": (
            f"The times of a capture go back by {back / SECOND:,.0f} s in the order of its frames, "
            "so that nobody knows what came before what. Signatures out of time and keys that do "
            f"not fit were seen of {named}; no zone is accused of them. If files were joined out "
            "of order, give them apart; if some packets bear wrong times, leave them out."
        ),
    }
    return [*findings, finding], [spell for spell in spells if spell.reason in _TIMELESS]


def _vouched(evidence: Evidence) -> frozenset[int]:
    """The reasons for which the user, or a resolver, vouches for the recorder's clock."""
    if evidence.captures["clock_offset"].null_count < len(evidence.captures):
        return frozenset(_EDE_OF)
    found: set[int] = set()
    for batch in evidence.transactions():
        said = integers(batch["ede"], -1)
        found.update(reason for reason, ede in _EDE_OF.items() if (said == ede).any())
    return frozenset(found)


def self_recorded(
    findings: list[dict[str, Any]], spells: list[Spell], evidence: Evidence
) -> list[dict[str, Any]]:
    """Name the resolvers whose clock is wrong where they recorded themselves: dnstap.

    A frame of dnstap bears the time of the server that wrote it, and its identity. So the clock of
    the recorder is the clock that this server validates by.

    Args:
        findings: of `judge_clocks`.
        spells: as they were before it.
        evidence: for the transactions; only dnstap gives them an identity.

    Returns:
        The findings, `clock-recorder` replaced where every frame in question has an identity.
    """
    moments = [
        moment
        for spell in spells
        if spell.reason in TIME_REASONS
        for moment in (spell.first, spell.last)
    ]
    wanted = {moment.capture << 32 | moment.frame for moment in moments}
    if not wanted or not any(row["kind"] == "clock-recorder" for row in findings):
        return findings
    frames = np.array(sorted(wanted), dtype=np.int64)
    writers: set[str] = set()
    named: set[int] = set()
    for batch in evidence.transactions():
        where = integers(batch["response_capture"], -1) << 32 | integers(batch["response_frame"])
        at = np.flatnonzero(np.isin(where, frames) & present(batch["identity"]))
        writers.update(single(batch["identity"]).take(at).to_pylist())
        named.update(where[at].tolist())
    if named != wanted:
        return findings
    return [
        _own(row, sorted(writers)) if row["kind"] == "clock-recorder" else row for row in findings
    ]


def _own(row: dict[str, Any], writers: list[str]) -> dict[str, Any]:
    """Say of a recorder's clock whose it is."""
    return {
        **row,
        "kind": "clock-resolver",
        "resolvers": writers,
        "pattern": "resolver-local",
        "sentence": (
            f"The signatures of {counted(row['zones'], 'zone')}, related or not, were all outside "
            f"of their time by the clock of {', '.join(writers[:4])}, which recorded itself "
            "(dnstap): that clock is wrong. No zone is accused of signatures out of time."
        ),
    }


def _recorder(found: Survey, zones: set[str]) -> dict[str, Any]:
    """Say that the recorder's clock is wrong."""
    dropped = [spell for spell in found.spells if spell.reason in TIME_REASONS]
    return {
        "kind": "clock-recorder",
        "zones": len(zones),
        "sightings": sum(spell.bad for spell in dropped),
        "sentence": (
            f"The signatures of {counted(len(zones), 'zone')}, related or not, were all seen "
            "outside of their time: the clock of the machine that recorded is wrong, not the "
            "zones. No zone is accused of signatures out of time."
        ),
    }


def claimed_clocks(claims: dict[tuple[str, int], Claim]) -> list[dict[str, Any]]:
    """Find resolvers that call many unrelated zones expired or not yet valid, all by themselves."""
    found = []
    for server in sorted({server for server, _ in claims}):
        mine = [claims[server, ede] for ede in sorted(CLOCK_EDES) if (server, ede) in claims]
        names = {_operator(name) for claim in mine for name in claim.names}
        if len(names) < UNRELATED and "." not in names:
            continue
        first = min(claim.first for claim in mine)
        last = max(claim.last for claim in mine)
        count = sum(claim.count for claim in mine)
        found.append(
            {
                "kind": "clock-resolver",
                "resolvers": [server],
                "pattern": "resolver-local",
                "lookups": count,
                "from": rfc3339(first.time),
                "to": rfc3339(last.time),
                "sentence": (
                    f"The resolver {server} refused {counted(count, 'lookup')} under "
                    f"{counted(len(names), 'unrelated name')} as out of time, while no bad "
                    "signature was seen from any name server: its clock is wrong, or its copy of "
                    "the root zone is old. No zone is accused."
                ),
            }
        )
    return found


def _operator(name: str) -> str:
    """Give the last two labels of a name: names that share them may share an operator."""
    above = name
    while (up := parent(above)) is not None and parent(up) not in (None, "."):
        above = up
    up = parent(above)
    return above if up is None or up == "." or parent(up) == "." else up
