"""The sightings with their verdicts, batch by batch: who said it, and was it good or bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.timeline.columns import integers
from forensics.timeline.evidence import Catalog, Evidence, Judge, Places
from forensics.timeline.kernels import BAD, GOOD, NEITHER
from forensics.vocabulary import SightingFlag, Status

AUTHORITY: Final = 0
RESOLVER: Final = 1

NEVER_ACCUSE: Final = int(SightingFlag.TC | SightingFlag.CUT | SightingFlag.TRANSFER)
_STRAY: Final = int(SightingFlag.UNPAIRED | SightingFlag.TRANSFER)
"""UNPAIRED alone: a zone transfer is one too, but nobody is mistaken about who sent it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """N sightings with what they say; arrays of length N.

    Attributes:
        signature, serial: int64. ttl: int64, seconds, as received.
        place: int64, `Places.same` of the responder.
        time, where: int64, ns, and capture << 32 | frame.
        side: int64, AUTHORITY or RESOLVER: the part that the responder played.
        status: uint8, vocabulary.Status as the verdict says.
        outcome: uint8, GOOD, BAD or NEITHER after the rules on what may accuse.
        reason: uint8, index into vocabulary.REASONS.
        weak: bool, the verdict's confidence; always for strays, which anyone may have sent.
        zone: int32, index into the judge's zones, of the broken link.
        paired: bool, the query of the response is in the capture.
        stray: bool, flagged UNPAIRED, and in no zone transfer.
    """

    signature: NDArray[np.int64]
    place: NDArray[np.int64]
    serial: NDArray[np.int64]
    ttl: NDArray[np.int64]
    time: NDArray[np.int64]
    where: NDArray[np.int64]
    side: NDArray[np.int64]
    status: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    weak: NDArray[np.bool_]
    zone: NDArray[np.int32]
    paired: NDArray[np.bool_]
    stray: NDArray[np.bool_]


def judge_of(evidence: Evidence) -> Judge:
    """Give the index over the verdicts, built where the caller gave none."""
    if evidence.judge is not None:
        return evidence.judge
    from forensics.wire.verdicts import VerdictIndex

    judge: Judge = VerdictIndex(evidence.verdicts)
    return judge


def judged(
    evidence: Evidence,
    judge: Judge,
    catalog: Catalog,
    places: Places,
    asked: NDArray[np.bool_] | None = None,
) -> Iterator[Judged]:
    """Give every sighting with its verdict.

    Args:
        evidence: for the sightings.
        judge: for their verdicts.
        catalog: the signatures as arrays.
        places: the responders.
        asked: bool (P), places whose queries the capture holds: a stray response of theirs never
            accuses. None: not known yet, strays keep their outcome.
    """
    unsure = bool(judge.later.any())
    for batch in evidence.sightings():
        if not batch.num_rows:
            continue
        signature, place = integers(batch["signature"]), integers(batch["place"])
        time, flags = integers(batch["time"]), integers(batch["flags"])
        known = (signature < len(catalog.signer)) & (place < len(places.server))
        if not known.all():
            batch = batch.filter(_mask(known))  # noqa: PLW2901 - a row of no table says nothing
            signature, place, time, flags = (
                signature[known],
                place[known],
                time[known],
                flags[known],
            )
        status, reason, weak, zone = judge.codes(signature, place, time)
        judged_at, place = place, places.same[place]
        outcome = np.full(len(status), NEITHER, dtype=np.uint8)
        outcome[(status == Status.SECURE) | (status == Status.VALID)] = GOOD
        if unsure:
            # A key set seen only later holds the key (DESIGN section 4): not called good.
            row = judge.find(signature, judged_at, time)
            outcome[(row >= 0) & judge.later[row] & (outcome == GOOD)] = NEITHER
        stray = (flags & _STRAY) == int(SightingFlag.UNPAIRED)
        accuses = (status == Status.BOGUS) & ((flags & NEVER_ACCUSE) == 0)
        if asked is not None:
            accuses &= ~(stray & asked[place])
        outcome[accuses] = BAD
        where = integers(batch["capture"]) << 32 | integers(batch["frame"])
        if accuses.any():
            section = integers(batch["section"])
            rescue(outcome, status, where, catalog.family[signature] << 2 | section)
        acts = (flags & int(SightingFlag.AUTHORITY)) != 0
        forwards = (flags & int(SightingFlag.RA | SightingFlag.AA)) == int(SightingFlag.RA)
        yield Judged(
            signature=signature,
            place=place,
            serial=integers(batch["serial"]),
            ttl=integers(batch["ttl"]),
            time=time,
            where=where,
            side=np.where(~acts & (forwards | places.resolver[place]), RESOLVER, AUTHORITY),
            status=status,
            outcome=outcome,
            reason=reason,
            weak=weak | stray,
            zone=zone,
            paired=(flags & int(SightingFlag.DO_KNOWN)) != 0,
            stray=stray,
        )


def rescue(
    outcome: NDArray[np.uint8],
    status: NDArray[np.uint8],
    where: NDArray[np.int64],
    rrset: NDArray[np.int64],
) -> None:
    """Take back accusations of RRsets that have another signature which is not bogus, in place.

    An RRset is as good as the best of its RRSIGs (RFC 4035 5.3.3): in a double-signature roll one
    of them may well be made by a key that is gone. Only when each of its signatures in a response
    is bogus is the RRset so. A response's sightings never lie in two batches.

    Args:
        outcome: (N) GOOD, BAD or NEITHER; BAD becomes NEITHER where it is taken back.
        status: (N) vocabulary.Status; takes that of the best signature there.
        where: (N) the response.
        rrset: (N) the RRset within its response.
    """
    concerned = np.flatnonzero(np.isin(where, np.unique(where[outcome == BAD])))
    order = concerned[np.lexsort((rrset[concerned], where[concerned]))]
    new = (np.diff(where[order]) != 0) | (np.diff(rrset[order]) != 0)
    starts = np.flatnonzero(np.concatenate(([True], new)))
    group = np.cumsum(np.concatenate(([False], new)))
    # The order of the codes is SECURE, VALID, INSECURE, BOGUS, INDETERMINATE: the least is best,
    # but for the last, which clears an accusation as well and is no more than "not known".
    rank = np.where(status[order] == Status.INDETERMINATE, Status.INSECURE, status[order])
    best = np.minimum.reduceat(rank, starts)[group]
    known = np.minimum.reduceat(status[order], starts)[group]
    saved = (outcome[order] == BAD) & (best != Status.BOGUS)
    at = order[saved]
    outcome[at] = NEITHER
    status[at] = np.where(
        known[saved] == Status.BOGUS, np.uint8(Status.INDETERMINATE), known[saved]
    ).astype(np.uint8)


def _mask(keep: NDArray[np.bool_]) -> Any:
    """Give an Arrow mask."""
    import pyarrow as pa

    return pa.array(keep)
