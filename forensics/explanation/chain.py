"""The links of a chain of trust, as they are told: what was judged, on which evidence, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from forensics.explanation.records import Response
from forensics.vocabulary import REASON_CODE, REASONS, Status

_ORDER: Final = (
    Status.SECURE,
    Status.VALID,
    Status.INSECURE,
    Status.INDETERMINATE,
    Status.BOGUS,
)
"""From best to worst: of a whole answer the worst part counts (RFC 4035 5)."""


def status_of(reason: str) -> Status:
    """Return the status that a reason gives by the catalogue."""
    return REASONS[REASON_CODE[reason]].status


def rank(status: Status) -> int:
    """Return how bad a status is, 0 the best."""
    return _ORDER.index(status)


@dataclass(frozen=True)
class Cited:
    """One sighting that a link rests on.

    Attributes:
        response: the captured response.
        is_later: it came after the instant asked for.
    """

    response: Response
    is_later: bool = False


@dataclass(frozen=True)
class ServerView:
    """What one server's own response leads to.

    Attributes:
        response: the captured response.
        status, reason: of what it served.
        is_later: it came after the instant asked for.
        is_superseded: another server has since shown something newer; not weighed.
    """

    response: Response
    status: Status
    reason: str
    is_later: bool = False
    is_superseded: bool = False


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    Attributes:
        zone: whose link it is.
        kind: anchor, ds, dnskey, rrset, denial or alias.
        status, reason: of this link alone, given that those above it stand.
        name, type: of the RRset that the link is about.
        keys: (tag, algorithm) that made the link, or that it names.
        cited: the sightings.
        sentence: plain words.
        until: ns, when the signature that carries it runs out; None: not told.
        servers: what each server showed, where several were seen.
        is_weak: the confidence is weak.
        is_supplied: it rests on keys from elsewhere (`--keys`), not on the capture.
        signer: the zone whose signatures these are, where it is another: the parent, of a DS
            RRset and of its denial.
    """

    zone: str
    kind: str
    status: Status
    reason: str = "none"
    name: str = ""
    type: int = 0
    keys: tuple[tuple[int, int], ...] = ()
    cited: tuple[Cited, ...] = ()
    sentence: str = ""
    until: int | None = None
    servers: tuple[ServerView, ...] = field(default=())
    is_weak: bool = False
    is_supplied: bool = False
    signer: str | None = None


@dataclass(frozen=True)
class Judged:
    """A conclusion with the links that led to it."""

    status: Status
    reason: str
    links: tuple[Link, ...] = ()

    def and_(self, other: Judged) -> Judged:
        """Join with what comes below or beside: the worse counts, the earlier where both are."""
        worse = other if rank(other.status) > rank(self.status) else self
        return Judged(worse.status, worse.reason, self.links + other.links)


def worst(found: list[Judged]) -> Judged:
    """Return the worst of several conclusions; of equal ones the highest broken link, the first."""
    return max(
        enumerate(found),
        key=lambda item: (
            rank(item[1].status),
            -(REASON_CODE[item[1].reason] or len(REASON_CODE)),
            -item[0],
        ),
    )[1]
