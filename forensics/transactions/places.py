"""Places: who answered. A place is a responder's address with the NSID that it gave.

The roles come from what an address was seen to do: a name server answers with AA and without RA,
a resolver with RA and without AA (RFC 1035 4.1.1); dnstap says it outright; the user's word is
above both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.vocabulary import ROLES, Role
from forensics.wire.intern import same
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.words import finished, le64, mixed, octets_hash

_SLOTS: Final = 4 * limits.PLACES
_NSID: Final = limits.NSID_OCTETS


class Places(NamedTuple):
    """The run's table of places. Number 0 is *other*: responders beyond `limits.PLACES`.

    Attributes:
        slots: int32, number in each hash slot, -1: free.
        hashes: uint64, by number.
        addresses: uint8, 16 octets by number.
        nsids: uint8, `limits.NSID_OCTETS` by number; nsid_lengths: int32.
        authority, recursive, referrals: int64 counts of responses by number. A referral has
            neither AA nor RA, no answers and something in authority (RFC 1034 4.3.2).
        word: uint8, vocabulary.Role that the user gave the address, 0: none.
        given: uint8 (N, 16), addresses that the user named; given_roles: uint8 (N).
        state: int64: count of places.
    """

    slots: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    addresses: NDArray[np.uint8]
    nsids: NDArray[np.uint8]
    nsid_lengths: NDArray[np.int32]
    authority: NDArray[np.int64]
    recursive: NDArray[np.int64]
    referrals: NDArray[np.int64]
    word: NDArray[np.uint8]
    given: NDArray[np.uint8]
    given_roles: NDArray[np.uint8]
    state: NDArray[np.int64]


def packed(address: str) -> bytes:
    """Pack an address into 16 octets, IPv4 mapped into ::ffff:0:0/96.

    Raises:
        ValueError: the text is no address.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return b"\0" * 10 + b"\xff\xff" + parsed.packed
    return parsed.packed


def places(servers: Iterable[str] = (), resolvers: Iterable[str] = ()) -> Places:
    """Make an empty table of places, with the roles that the user gives to addresses."""
    words = {packed(address): Role.SERVER for address in servers}
    words |= {packed(address): Role.RESOLVER for address in resolvers}
    most = limits.PLACES + 1
    return Places(
        np.full(_SLOTS, -1, np.int32),
        np.zeros(most, np.uint64),
        np.zeros(16 * most, np.uint8),
        np.zeros(limits.NSID_OCTETS * most + 8, np.uint8),
        np.zeros(most, np.int32),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
        np.zeros(most, np.uint8),
        np.frombuffer(bytearray(b"".join(words)), np.uint8),
        np.fromiter(words.values(), np.uint8, len(words)),
        np.array([1], np.int64),
    )


@lean_kernel
def place_hash(hashed: Any, octets: Any, nsid: Any, kept: Any) -> Any:
    """Hash a place: `address_hash` of the address, with the NSID's `kept` octets if any."""
    if kept > 0:
        return finished(mixed(hashed, octets_hash(octets, nsid, kept)))
    return hashed


@inlined_kernel
def find_place(
    slots: Any,
    hashes: Any,
    addresses: Any,
    nsids: Any,
    lengths: Any,
    hashed: Any,
    high: Any,
    low: Any,
    octets: Any,
    nsid: Any,
    kept: Any,
) -> Any:
    """Give the number of the place with this address (two words) and NSID; -1: new."""
    mask = np.uint64(len(slots) - 1)
    slot = hashed & mask
    for _ in range(128):
        number = np.int64(slots[slot])
        if number < 0:
            break
        if (
            hashes[number] == hashed
            and lengths[number] == kept
            and le64(addresses, 16 * number) == high
            and le64(addresses, 16 * number + 8) == low
            and (kept == 0 or same(nsids, _NSID * number, octets, nsid, kept, False))
        ):
            return number
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@lean_kernel
def place_of(
    table: Any, hashed: Any, sources: Any, at: Any, octets: Any, nsid: Any, length: Any
) -> Any:
    """Give the number of the place of a response, a new one if it is new; 0: too many.

    Args:
        table: the places.
        hashed: `address_hash` of the address.
        sources: uint8 array with the address at `at`, checked.
        at: see sources.
        octets: uint8 array with the NSID at `nsid`, `length` octets, checked.
        nsid: see octets.
        length: 0: no NSID; what is longer than `limits.NSID_OCTETS` is cut.
    """
    slots, hashes, addresses, nsids, nsid_lengths = table[:5]
    word, given, given_roles, state = table[8:]
    kept = min(length, _NSID)
    hashed = place_hash(hashed, octets, nsid, kept)
    high = le64(sources, at)
    low = le64(sources, at + 8)
    mask = len(slots) - 1
    slot = np.int64(hashed & np.uint64(mask))
    free = np.int64(-1)
    for _ in range(128):
        number = np.int64(slots[slot])
        if number < 0:
            free = slot
            break
        if (
            hashes[number] == hashed
            and nsid_lengths[number] == kept
            and le64(addresses, 16 * number) == high
            and le64(addresses, 16 * number + 8) == low
            and (kept == 0 or same(nsids, _NSID * number, octets, nsid, kept, False))
        ):
            return number
        slot = (slot + 1) & mask
    number = state[0]
    if free < 0 or number >= len(hashes):
        return np.int64(0)
    state[0] = number + 1
    slots[free] = number
    hashes[number] = hashed
    for octet in range(16):
        addresses[16 * number + octet] = sources[at + octet]
    for octet in range(kept):
        nsids[_NSID * number + octet] = octets[nsid + octet]
    nsid_lengths[number] = kept
    for entry in range(len(given_roles)):
        if le64(given, 16 * entry) == high and le64(given, 16 * entry + 8) == low:
            word[number] = given_roles[entry]
    return number


def roles(table: Places) -> NDArray[np.uint8]:
    """Judge the role of every place: uint8 vocabulary.Role by number.

    The address is judged, not the instance: all NSIDs of one address count together. An address
    that both serves and recurses is what it mostly does; referrals alone make a server.
    """
    count = int(table.state[0])
    keys = table.addresses[: 16 * count].reshape(count, 16)
    _, of = np.unique(keys, axis=0, return_inverse=True)
    of = of.reshape(-1)
    size = int(of.max()) + 1 if count else 0
    sums = [
        np.bincount(of, weights=column[:count], minlength=size)[of]
        for column in (table.authority, table.recursive, table.referrals)
    ]
    authority, recursive, referrals = sums
    judged = np.full(count, Role.UNKNOWN, np.uint8)
    judged[(authority == 0) & (recursive == 0) & (referrals > 0)] = Role.SERVER
    judged[authority > recursive] = Role.SERVER
    judged[(recursive > 0) & (recursive >= authority)] = Role.RESOLVER
    word = table.word[:count]
    judged[word > 0] = word[word > 0]
    judged[0] = Role.UNKNOWN
    return judged


def folds(table: Places) -> NDArray[np.uint32]:
    """Map each place to the one whose number stands for it.

    Some queries ask for the NSID and some do not. Where an address gave exactly one NSID in the
    whole run, its responses without NSID came from that instance too; where it gave several,
    nothing tells, and they stay a place of their own.
    """
    count = int(table.state[0])
    stands = np.arange(count, dtype=np.uint32)
    bare: dict[bytes, int] = {}
    named: dict[bytes, list[int]] = {}
    for number in range(1, count):
        address = table.addresses[16 * number : 16 * number + 16].tobytes()
        if table.nsid_lengths[number]:
            named.setdefault(address, []).append(number)
        else:
            bare[address] = number
    for address, number in bare.items():
        if len(named.get(address, ())) == 1:
            stands[number] = named[address][0]
    return stands


def places_table(table: Places) -> Any:
    """Build the table `schemas.PLACES`, one row a place in order of number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from forensics.schemas import PLACES
    from forensics.wire.text import address_texts, octet_texts

    count = int(table.state[0])
    lengths = table.nsid_lengths[:count].astype(np.int64)
    starts = np.arange(count, dtype=np.int64) * limits.NSID_OCTETS
    nsids = octet_texts(table.nsids, starts, lengths)
    given = pa.array(lengths > 0)
    sixteens = np.arange(count, dtype=np.int64) * 16
    names = np.array(ROLES, dtype=object)[roles(table)]
    servers = address_texts(table.addresses, sixteens, np.full(count, 16)).to_pylist()
    servers[0] = "other"
    return pa.table(
        [
            pa.array(np.arange(count, dtype=np.uint32)),
            pa.array(servers, pa.string()),
            pc.if_else(given, nsids, pa.scalar(None, pa.string())),
            pa.array(names, pa.string()),
            pa.array(table.authority[:count].astype(np.uint64)),
            pa.array(table.recursive[:count].astype(np.uint64)),
            pa.array(folds(table)),
        ],
        schema=PLACES,
    )
