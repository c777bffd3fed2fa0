"""Which NSEC or NSEC3 records the zone's servers would send to deny a name, and what they prove."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Final

from forensics.rehearsal.contents import TYPE_NSEC3PARAM, Contents, Place, RRset
from forensics.validation.deniers import Claim, Denier, Name, Nsec3, Proof, read, wire_form
from forensics.validation.nsec3 import nsec3_hash
from forensics.validation.proof import prove
from forensics.vocabulary import TYPE_NSEC, TYPE_NSEC3

HASHES: Final = 5_000
"""NSEC3 iterations beyond which nothing is hashed: no validator follows (RFC 9276 3.2)."""


class Denials:
    """The denial chain of a zone, asked by name."""

    def __init__(self, zone: Contents) -> None:
        self.zone = zone
        self.hashes: dict[bytes, RRset] = {}
        self.salt, self.iterations = b"", 0
        self.parameters: list[tuple[bytes, int]] = []
        self.is_hashed = False
        self._read_hashed()
        nsecs = [] if self.is_hashed else [o for o in zone.data if TYPE_NSEC in zone.data[o]]
        self._owners = sorted(owner for owner in nsecs if zone.is_signable(owner, TYPE_NSEC))
        self._order = sorted(self.hashes)

    def _read_hashed(self) -> None:
        """Take the chain that NSEC3PARAM names, else the one most records are of (RFC 5155 7.1)."""
        records: list[tuple[RRset, Nsec3]] = []
        for rrset in self.zone.hashed.values():
            deniers = [Denier(wire_form(rrset.owner), TYPE_NSEC3, rrset.rdatas[0])]
            records += [(rrset, found) for found in read(deniers, self.zone.apex)[1]]
        counts = Counter((found.salt, found.iterations) for _, found in records)
        named = self.zone.get(self.zone.apex, TYPE_NSEC3PARAM)
        wanted = [_parameters(rdata) for rdata in named.rdatas] if named else []
        plain = any(TYPE_NSEC in types for types in self.zone.data.values())
        chosen = [one for one in wanted if one in counts] or (
            [one for one, _ in counts.most_common(1)] if counts and not plain else []
        )
        self.parameters = [one for one in wanted if one is not None]
        if not chosen or chosen[0] is None:
            return
        self.is_hashed = True
        self.salt, self.iterations = chosen[0]
        for rrset, found in records:
            if (found.salt, found.iterations) == chosen[0]:
                self.hashes[found.hashed] = rrset

    @property
    def exists(self) -> bool:
        """Whether the zone has any denial chain."""
        return bool(self._owners or self.hashes)

    @property
    def owners(self) -> list[Name]:
        """Owners of the NSEC records in canonical order; empty in a zone with NSEC3."""
        return self._owners

    @property
    def order(self) -> list[bytes]:
        """The hashes of the NSEC3 records in their order."""
        return self._order

    def hash(self, name: Name) -> bytes:
        """Hash a name as the zone does."""
        return nsec3_hash(wire_form(name), self.salt, min(self.iterations, HASHES))

    def prove(self, claim: Claim, name: Name, qtype: int) -> tuple[Proof, tuple[Place, ...]]:
        """Let the zone deny something; return what that proves, and the records it takes.

        Args:
            claim: what must be proven.
            name: the asked name, or the delegation of an unsigned referral.
            qtype: the asked type.
        """
        sent = self._hashed(claim, name) if self.is_hashed else self._plain(claim, name)
        places: dict[Place, None] = dict.fromkeys((rrset.owner, rrset.type) for rrset in sent)
        deniers = [
            Denier(wire_form(owner), kind, rrset.rdatas[0])
            for owner, kind in places
            if (rrset := self.zone.get(owner, kind)) is not None
        ]
        labels = len(self.zone.encloser(name)) if claim is Claim.WILDCARD_ANSWER else None
        proof = prove(
            claim, wire_form(name), qtype, wire_form(self.zone.apex), deniers, labels=labels
        )
        # A server sends what it chose, used or not: each of them must stand.
        return proof, tuple(places)

    def _plain(self, claim: Claim, name: Name) -> list[RRset]:
        """Choose NSEC records (RFC 4035 3.1.3)."""
        at = self.zone.get(name, TYPE_NSEC)
        if at is not None and claim is not Claim.NAME_ERROR:
            return [at]
        found = [self._over(name)]
        if claim in (Claim.NAME_ERROR, Claim.NO_DATA) and name not in self.zone.nodes:
            wildcard = (*self.zone.encloser(name), b"*")
            found.append(self.zone.get(wildcard, TYPE_NSEC) or self._over(wildcard))
        return [rrset for rrset in found if rrset is not None]

    def _over(self, name: Name) -> RRset | None:
        index = bisect_right(self._owners, name) - 1
        return self.zone.get(self._owners[index], TYPE_NSEC) if self._owners else None

    def _hashed(self, claim: Claim, name: Name) -> list[RRset]:
        """Choose NSEC3 records (RFC 5155 7.2)."""
        at = self.hashes.get(self.hash(name))
        if at is not None and claim in (Claim.NO_DATA, Claim.UNSIGNED_REFERRAL):
            return [at]
        encloser = self.zone.encloser(name)
        if claim is Claim.WILDCARD_ANSWER:  # the signature's labels tell the closest encloser
            over = self._covering(name[: len(encloser) + 1])
            return [] if over is None else [over]
        if encloser == name:
            encloser = name[:-1]
        found: list[RRset | None] = []
        # Opt-out leaves names out: the closest encloser that can be proven is then further up.
        for length in range(len(encloser), len(self.zone.apex) - 1, -1):
            match = self.hashes.get(self.hash(name[:length]))
            if match is not None or length == len(self.zone.apex):
                found += [match, self._covering(name[: length + 1])]
                encloser = name[:length]
                break
        if claim in (Claim.NAME_ERROR, Claim.NO_DATA) and name not in self.zone.nodes:
            wildcard = (*encloser, b"*")
            found.append(self.hashes.get(self.hash(wildcard)) or self._covering(wildcard))
        return [rrset for rrset in found if rrset is not None]

    def covering(self, name: Name) -> bytes | None:
        """Return the hash of the NSEC3 record whose gap a name's hash lies in, or matches."""
        if not self._order:
            return None
        return self._order[bisect_right(self._order, self.hash(name)) - 1]

    def _covering(self, name: Name) -> RRset | None:
        hashed = self.covering(name)
        return None if hashed is None else self.hashes[hashed]


def _parameters(rdata: bytes) -> tuple[bytes, int] | None:
    """Read an NSEC3PARAM (RFC 5155 4.2); None: it is malformed or of another hash."""
    if len(rdata) < 5 or rdata[0] != 1 or len(rdata) != 5 + rdata[4]:
        return None
    return rdata[5:], int.from_bytes(rdata[2:4], "big")
