"""A zone as the signer of what lies in it, with its keys through time.

An RRset that was last seen some time ago must not be held against what the zone does now: where
the zone has rolled its keys or signed again since, and the RRset was not seen again, it is judged
by its own time. And a key that the next sighting of the key set holds may have been there already
(DESIGN section 4: a healthy pre-publish roll looks the same).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from forensics.explanation.current import current
from forensics.explanation.keys import key_rrset, keys_of, tells
from forensics.explanation.records import Response, RRset
from forensics.explanation.signing import Checker, Tried
from forensics.knowledge import Key
from forensics.limits import BURST


class Sightings(Protocol):
    """What a signer asks of the tables."""

    def is_seen_from(self, number: int, since: int) -> bool:
        """Whether a signature was seen at `since` (ns) or after."""

    def is_signed_again(self, zone: str, inception: int, since: int) -> bool:
        """Whether the zone showed a later signature than `inception` at `since` or after."""


@dataclass
class Signer:
    """A zone with its keys.

    Attributes:
        zone: its name.
        keys: trusted at the instant; empty: not captured.
        checker: tries the keys.
        at: ns, the instant.
        responses: that tell of the DNSKEY RRset, in order of time.
        sightings: the tables.
        is_supplied: the keys come from the user: which others there were is not known.
    """

    zone: str
    keys: Sequence[Key]
    checker: Checker
    at: int
    responses: Sequence[Response] = ()
    sightings: Sightings | None = None
    is_supplied: bool = False

    def best(self, rrset: RRset, seen: int) -> Tried | None:
        """Return the signature that speaks for an RRset seen at `seen` (ns); None: none there."""
        tried = self.checker.best(rrset, self.zone, self.keys, self.at)
        if tried is None or tried.is_good:
            return tried
        if tried.reason == "signature-not-yet-valid" and seen > self.at:
            # Seen only later, and perhaps made later: it is judged by its own time.
            then = self.checker.best(rrset, self.zone, self.keys, seen)
            tried = replace(then, is_later=True, is_weak=True) if then else tried
        if self.is_supplied and tried.reason == "dnskey-missing":
            return replace(tried, reason="dnskey-not-captured")
        if tried.reason in {"dnskey-missing", "signature-invalid"} and seen < self.at:
            then = self.checker.best(rrset, self.zone, self._keys_at(seen), self.at)
            if then is not None and then.reason not in {"dnskey-missing", "signature-invalid"}:
                tried = replace(then, is_aged=True)
        if tried.reason == "dnskey-missing" and not self._is_held():
            tried = self._with_later_key(rrset, seen, tried)
        if tried.reason == "signature-expired" and seen < tried.end <= self.at:
            tried = self._if_not_signed_again(tried)
        if not tried.is_good and self.at - seen > BURST and self._has_gone_on(tried, seen):
            return replace(tried, is_weak=True)
        return tried

    def _has_gone_on(self, tried: Tried, seen: int) -> bool:
        """Whether the zone has signed again since an RRset was seen, which was not seen again."""
        return self.sightings is not None and self.sightings.is_signed_again(
            self.zone, tried.signature.inception, seen + 1
        )

    def _is_held(self) -> bool:
        """Whether a resolver held a key set within its TTL: then what that lacks is missing."""
        return any(
            r.time <= self.at < (r.held_until or 0) and key_rrset(r, self.zone)
            for r in self.responses
        )

    def _keys_at(self, time: int) -> tuple[Key, ...]:
        """Return the keys of the sets that were served at another time."""
        chosen = current(tells(self.responses, self.zone), time)
        return tuple(
            {
                key.rdata: key
                for c in chosen
                if not c.is_superseded and not c.is_later
                for key in self._keys_of(c.response)
            }.values()
        )

    def _keys_of(self, response: Response) -> tuple[Key, ...]:
        """Return the keys in a response; none unless one of them signs the set."""
        rrset = key_rrset(response, self.zone)
        if rrset is None:
            return ()
        keys = keys_of(self.zone, rrset.rdatas)
        signed = any(
            self.checker.attempt(s, self.zone, keys, response.time).is_good
            for s in rrset.signatures
        )
        return keys if signed else ()

    def _with_later_key(self, rrset: RRset, seen: int, missing: Tried) -> Tried:
        """Look for the key in the next key set seen after the RRset, if it is the next one."""
        lacking = 0
        for response in tells(self.responses, self.zone):
            if response.time <= seen:
                continue
            keys = self._keys_of(response)
            tried = self.checker.best(rrset, self.zone, keys, self.at) if keys else None
            if tried is not None and tried.is_good:
                if lacking:
                    break
                is_near = response.time - seen <= BURST
                return replace(tried, is_later=True, is_weak=not is_near)
            if key_rrset(response, self.zone) is not None:
                lacking += 1
        return missing

    def _if_not_signed_again(self, tried: Tried) -> Tried:
        """Clear a signature that ran out unseen while the zone went on signing."""
        if self.sightings is None or self.sightings.is_seen_from(tried.signature.number, tried.end):
            return tried
        if self.sightings.is_signed_again(self.zone, tried.signature.inception, tried.end):
            return replace(tried, reason="none", is_aged=True)
        return replace(tried, is_weak=True)
