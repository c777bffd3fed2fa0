"""Denials of existence of a run's responses: `denial-missing` and `denial-invalid`.

Only authorities' answers are judged, and only those of which every signature is good, in a zone
whose DS is known to be in force: there the proof itself is at fault, not what it is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from forensics.knowledge import is_subdomain, wire_name
from forensics.limits import PROOFS, PROOFS_MORE
from forensics.validation.aliases import follow
from forensics.validation.classify import Kind
from forensics.validation.exchanges import Exchange
from forensics.validation.proof import Claim, Denier, Proof, prove
from forensics.validation.records import SignedRecords
from forensics.vocabulary import NXDOMAIN, TYPE_DS, TYPE_NSEC, TYPE_NSEC3, TYPE_SOA, Section

_CLAIMS: Final = {
    Kind.NAME_ERROR: Claim.NAME_ERROR,
    Kind.NO_DATA: Claim.NO_DATA,
    Kind.WILDCARD: Claim.WILDCARD_ANSWER,
}


class Asked(NamedTuple):
    """A question and the records that are to prove the answer to it."""

    claim: Claim
    zone: str
    qname: str
    qtype: int
    labels: int
    deniers: frozenset[int]


@dataclass
class Denials:
    """Proofs judged once for each distinct question and set of records.

    Attributes:
        records: the signatures.
        limit: iterations of NSEC3 that are followed.
        left: proofs that may still be judged.
        skipped: distinct proofs that were not, by zone.
    """

    records: SignedRecords
    limit: int
    left: int = PROOFS
    skipped: dict[str, int] = field(default_factory=dict)
    _proofs: dict[Asked, Proof] = field(default_factory=dict)
    _open: dict[str, bool] = field(default_factory=dict)

    def ration(self) -> None:
        """Allow for the next row group of transactions; forget proofs rather than grow."""
        self.left = max(self.left, PROOFS_MORE)
        if len(self._proofs) > 4 * PROOFS:
            self._proofs.clear()

    def asked(self, one: Exchange, kind: Kind) -> list[Asked]:
        """Say what the response must prove; empty: nothing, or it is not certain what."""
        if not self._is_whole(one):
            return []
        is_alias = kind is Kind.ALIAS
        found = list(self._behind_aliases(one)) if is_alias else [self._direct(one, kind)]
        return [asked for asked in found if asked is not None]

    def _direct(self, one: Exchange, kind: Kind) -> Asked | None:
        """Say what an answer without aliases must prove."""
        claim = _CLAIMS.get(kind)
        if claim is None:
            return None
        zone, labels = self._signer(one, kind)
        return self._made(one, claim, zone, one.qname, one.qtype, labels)

    def _behind_aliases(self, one: Exchange) -> Iterator[Asked | None]:
        """Say what a chain of aliases must prove: its wildcards, and what its last name lacks."""
        followed = follow(one, self.records)
        if followed is None:
            return
        for name, signature in followed.expanded:
            row = self.records.row[signature]
            zone, labels = self.records.signer[row], self.records.labels[row]
            yield self._made(one, Claim.WILDCARD_ANSWER, zone, name, self.records.type[row], labels)
        if not followed.is_answered:
            claim = Claim.NAME_ERROR if one.rcode == NXDOMAIN else Claim.NO_DATA
            # Without an SOA the server has left the target to whoever knows it.
            zone, _ = self._signer(one, Kind.ALIAS)
            yield self._made(one, claim, zone, followed.target, one.qtype, 0)

    def _made(
        self, one: Exchange, claim: Claim, zone: str | None, name: str, kind: int, labels: int
    ) -> Asked | None:
        if zone is None or not is_subdomain(name, zone):
            return None
        if claim is Claim.NO_DATA and kind == TYPE_DS and name == zone != ".":
            return None  # the child was asked for what the parent has (RFC 4035 3.1.4.1)
        deniers = frozenset(
            shown.signature
            for shown in one.signed
            if shown.section == Section.AUTHORITY
            and self._type(shown.signature) in {TYPE_NSEC, TYPE_NSEC3}
            and self.records.signer[self.records.row[shown.signature]] == zone
        )
        if not deniers and any(bare.type in {TYPE_NSEC, TYPE_NSEC3} for bare in one.bare):
            return None  # what lacks there is the signature
        return Asked(claim, zone, name, kind, labels, deniers)

    def proof(self, asked: Asked) -> Proof | None:
        """Judge; None: the run's budget is spent, or the zone leaves it open."""
        known = self._proofs.get(asked)
        if known is not None:
            return known
        if not asked.deniers and self.is_open(asked.zone):
            return None
        if any(self.records.denier(number) is None for number in asked.deniers):
            return None
        if self.left <= 0:
            self.skipped[asked.zone] = self.skipped.get(asked.zone, 0) + 1
            return None
        self.left -= 1
        found = prove(
            asked.claim,
            wire_name(asked.qname),
            asked.qtype,
            wire_name(asked.zone),
            self._deniers(asked),
            labels=asked.labels if asked.claim is Claim.WILDCARD_ANSWER else None,
            iterations_limit=self.limit,
        )
        self._proofs[asked] = found
        return found

    def is_open(self, zone: str) -> bool:
        """Whether names of a zone may be unsigned by opt-out, or by too many iterations.

        A validator that gets no proof at all asks for the DS of the name, and then finds it
        insecure.
        """
        if zone not in self._open:
            self._open[zone] = any(
                denier is None
                or len(denier.rdata) < 4
                or denier.rdata[1] & 1
                or int.from_bytes(denier.rdata[2:4], "big") > self.limit
                for denier in map(self.records.denier, self.records.of_zone(zone, TYPE_NSEC3))
            )
        return self._open[zone]

    def denier_type(self, zone: str) -> int:
        """Return 47 or 50: what the zone denies with; NSEC if it was never seen to."""
        return TYPE_NSEC3 if self.records.of_zone(zone, TYPE_NSEC3) else TYPE_NSEC

    def _signer(self, one: Exchange, kind: Kind) -> tuple[str | None, int]:
        """Return the zone that answers: the signer of its SOA, or of the wildcard's RRset."""
        section = Section.ANSWER if kind is Kind.WILDCARD else Section.AUTHORITY
        found: set[str | None] = set()
        labels: set[int] = set()
        for shown in one.signed:
            row = self.records.row[shown.signature]
            if shown.section != section:
                continue
            if kind is Kind.WILDCARD or (
                self.records.type[row] == TYPE_SOA
                and self.records.owner[row] == self.records.signer[row]
            ):
                found.add(self.records.signer[row])
                labels.add(self.records.labels[row])
        if len(found) != 1 or len(labels) != 1:
            return None, 0
        return next(iter(found)), next(iter(labels))

    def _is_whole(self, one: Exchange) -> bool:
        """Whether the records known of the authority section are as many as it had.

        What found no room when the evidence was gathered must not seem to be missing.
        """
        here = Section.AUTHORITY
        rows = [self.records.row[s.signature] for s in one.signed if s.section == here]
        rrsets = {(self.records.owner[r], self.records.type[r]): self.records.size[r] for r in rows}
        bare = sum(rrset.records for rrset in one.bare if rrset.section == here)
        return len(rows) + sum(rrsets.values()) + bare == one.authorities

    def _deniers(self, asked: Asked) -> list[Denier]:
        """Return the records, each once, however often it is signed."""
        read = (self.records.denier(number) for number in sorted(asked.deniers))
        return list(dict.fromkeys(denier for denier in read if denier is not None))

    def _type(self, signature: int) -> int:
        return self.records.type[self.records.row[signature]]
