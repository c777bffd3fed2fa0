"""The registry of de.: bumps the serial every few seconds and signs as its signer decides."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import dns.rdatatype

from labkit.keys import SigningKey
from labkit.publication import Publication, Version
from labkit.signing import RRKey

Signer = Callable[[RRKey, int], SigningKey]
SECOND = 1_000_000_000
ROTATION = 6  # a sixth of the refreshed RRsets is signed anew at each serial


@dataclass
class Registry:
    """A zone under way: who signs what is new, and which RRsets are signed anew in turn."""

    publication: Publication
    signer: Signer
    phase: str
    rotating: bool = False
    turn: int = 0

    def bump(self, *, refresh: list[RRKey] | None = None) -> Version:
        """Publish the next serial: a new SOA, `refresh` signed anew, and the turn's rotation."""
        zone = self.publication.zone
        serial = max(zone.serial + 1, time.time_ns() // SECOND)
        due = [zone.set_soa(serial), *(refresh or [])]
        if self.rotating and refresh is None:
            refreshed = refreshed_in_roll(zone.signable())
            due += refreshed[self.turn % ROTATION :: ROTATION]
            self.turn += 1
        for key in due:
            zone.sign(key, self.signer(key, serial))
        return self.publication.publish(self.phase)


def one_key(key: SigningKey) -> Signer:
    """Sign everything with one key."""
    return lambda _rrset, _serial: key


def one_of(keys: list[SigningKey]) -> Signer:
    """Sign each RRset with one of several keys, by a hash of owner, type and serial.

    So does a signer that spreads its work over modules that should hold the same key.
    """

    def choose(rrset: RRKey, serial: int) -> SigningKey:
        return keys[_hash(rrset, str(serial)) % len(keys)]

    return choose


def refreshed_in_roll(signable: list[RRKey]) -> list[RRKey]:
    """Pick the RRsets that the roll signs anew: most NSEC3, half of the DS.

    The others keep signatures of the previous key that are not due yet.
    """
    share = {dns.rdatatype.NSEC3: 85, dns.rdatatype.DS: 50}
    return [key for key in signable if _hash(key, "due") % 100 < share.get(key[1], 0)]


def _hash(rrset: RRKey, salt: str) -> int:
    owner, rdtype = rrset
    digest = hashlib.sha256(f"{owner} {rdtype.name} {salt}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
