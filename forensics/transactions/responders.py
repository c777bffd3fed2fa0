"""Who answered, and from which side the capture saw it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.transactions.places import find_place, place_hash, place_of
from forensics.vocabulary import MessageFlag
from forensics.wire.jit import inlined_kernel
from forensics.wire.words import address_hash

_NSID: Final = limits.NSID_OCTETS
_PARTIAL: Final = int(MessageFlag.PARTIAL)


@inlined_kernel
def vantage_of(kind: Any, flags: Any) -> Any:
    """Tell the side of a response (vocabulary.Vantage): dnstap says it, else AA and RA.

    CLIENT_RESPONSE is also what BIND without recursion, and a front-end such as dnsdist, call the
    response of an authority: AA without RA tells it.
    """
    aa = (flags & 0x0400) != 0
    ra = (flags & 0x0080) != 0
    if 0 < kind <= 4 or (kind == 6 and aa and not ra):
        return 2
    if 4 < kind <= 10:
        return 1
    if aa and not ra:
        return 2
    if ra and not aa:
        return 1
    return 0


@inlined_kernel
def responder(columns: Any, at: Any, places: Any, serves: Any, serves_low: Any) -> Any:
    """Give the place of a response (its address as two words), and count what it shows of it.

    Returns:
        (number of the place, vantage)
    """
    octets = columns.octets
    start = columns.nsid_start[at]
    kept = min(np.int64(columns.nsid_length[at]), _NSID)
    hashed = address_hash(columns.source, 16 * at)
    place = find_place(
        places.slots,
        places.hashes,
        places.addresses,
        places.nsids,
        places.nsid_lengths,
        place_hash(hashed, octets, start, kept),
        serves,
        serves_low,
        octets,
        start,
        kept,
    )
    if place < 0:
        place = place_of(places, hashed, columns.source, 16 * at, octets, start, kept)
    flags = np.int64(columns.header_flags[at])
    vantage = vantage_of(np.int64(columns.kind[at]), flags)
    if vantage == 2:
        places.authority[place] += 1
    elif vantage == 1:
        places.recursive[place] += 1
    elif (
        (flags & 0x0480) == 0
        and (columns.message_flags[at] & _PARTIAL) == 0
        and columns.answers[at] == 0
        and columns.authorities[at] > 0
        and columns.rcode[at] == 0
    ):
        places.referrals[place] += 1
    return place, vantage
