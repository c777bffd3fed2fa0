"""Which of several captured responses tell what was served at an instant.

By default the latest of each server at or before it; an older one of another server counts beside
the latest of all only where something shows that both were served at once (DESIGN section 4: a
secondary that lags is a finding, a response from before a change is not).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forensics.explanation.records import Response
from forensics.limits import BURST


@dataclass(frozen=True)
class Current:
    """A response that counts for an instant.

    Attributes:
        response: the one.
        is_later: it came after the instant, and nothing earlier exists.
        is_superseded: another server has since shown something newer; told, never weighed.
        is_stale: a resolver held it, and its TTL had run out: what it would have fetched is not
            known.
    """

    response: Response
    is_later: bool = False
    is_superseded: bool = False
    is_stale: bool = False


def accuses(chosen: Current, at: int, reason: str) -> bool:
    """Whether a response may prove something broken at `at` (ns).

    One that came later does not: what it shows may have begun in between. It does within a burst
    of exchanges, and where it shows a signature that had run out by then.
    """
    if chosen.response.is_doubtful:
        return False
    is_near = chosen.response.time - at <= BURST
    return not chosen.is_later or is_near or reason == "signature-expired"


Content = Callable[[Response], object]
"""What a response says of the matter: equal where two say the same."""


def _whole(response: Response) -> object:
    return response.content


def current(responses: Sequence[Response], at: int, content: Content = _whole) -> list[Current]:
    """Choose the responses that count at `at` (ns), the latest first, the superseded ones last.

    Args:
        responses: comparable ones: answers to one question, or carriers of one RRset.
        at: the instant.
        content: what they are compared by.
    """
    earlier = [r for r in responses if r.time <= at]
    if not earlier:
        return _first_after(responses)
    by_place: dict[str, list[Response]] = {}
    for response in sorted(earlier, key=lambda r: (r.time, r.transaction)):
        by_place.setdefault(response.place, []).append(response)
    latest = max((own[-1] for own in by_place.values()), key=lambda r: (r.time, r.transaction))
    # Since when somebody has said without a break what the latest response says.
    agreeing = [own for own in by_place.values() if content(own[-1]) == content(latest)]
    since = min(_since(own, content) for own in agreeing)
    found = [Current(latest, is_stale=_is_stale(latest, responses, at, content))]
    rest = [own[-1] for place, own in sorted(by_place.items()) if place != latest.place]
    chosen = [(r, _is_beside(r, latest, since, content)) for r in rest]
    found += [Current(r) for r, beside in chosen if beside]
    return found + [Current(r, is_superseded=True) for r, beside in chosen if not beside]


def _first_after(responses: Sequence[Response]) -> list[Current]:
    """Choose the first responses seen at all, and those of other servers in the same burst."""
    if not responses:
        return []
    first = min(responses, key=lambda r: (r.time, r.transaction))
    found: dict[str, Response] = {}
    for response in sorted(responses, key=lambda r: (r.time, r.transaction)):
        if response.time - first.time <= BURST:
            found.setdefault(response.place, response)
    return [Current(r, is_later=True) for r in found.values()]


def _is_stale(latest: Response, responses: Sequence[Response], at: int, content: Content) -> bool:
    """Whether what a resolver held had run out, and the next fetch did not bring the same."""
    if latest.held_until is None or at < latest.held_until:
        return False
    after = min((r for r in responses if r.time > at), key=lambda r: r.time, default=None)
    return after is None or content(after) != content(latest)


def _since(own: Sequence[Response], content: Content) -> int:
    """Return since when a server has said what it said last."""
    since = own[-1].time
    for response in reversed(own):
        if content(response) != content(own[-1]):
            break
        since = response.time
    return since


def _is_beside(older: Response, latest: Response, since: int, content: Content) -> bool:
    """Whether an older response was served at the same time as what the latest one shows."""
    if since <= older.time or content(older) == content(latest):
        return True
    ahead = _is_ahead(latest, older)
    if ahead is not None:
        return not ahead
    return latest.time - older.time <= BURST


def _is_ahead(latest: Response, older: Response) -> bool | None:
    """Whether the latest response shows a newer state of the zone; None: they do not tell.

    By the SOA serial where both have one, else by when the same RRset was signed (RFC 1982). Of
    equal ones neither replaces the other: they differ for another reason, such as damage.
    """
    if older.serial and latest.serial:
        return _is_after(latest.serial, older.serial)
    before = _signed_at(older)
    after = _signed_at(latest)
    both = before.keys() & after.keys()
    if not both:
        return None
    return any(_is_after(after[what], before[what]) for what in both)


def _is_after(one: int, other: int) -> bool:
    return 0 < ((one - other) & 0xFFFFFFFF) < 2**31


def _signed_at(response: Response) -> dict[tuple[str, int], int]:
    """Return the latest inception over each RRset of a response."""
    found: dict[tuple[str, int], int] = {}
    for rrset in response.rrsets:
        for signature in rrset.signatures:
            what = (rrset.owner, rrset.type)
            if what not in found or _is_after(signature.inception, found[what]):
                found[what] = signature.inception
    return found
