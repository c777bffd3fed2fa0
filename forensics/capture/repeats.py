"""Queries that a dnstap file holds twice: in a frame of their own, and beside their response.

A *_RESPONSE frame may hold the query message too (Knot DNS and dnsdist write it so on demand). Of
a query that also has a *_QUERY frame only the first is handed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.integers import int64
from forensics.wire.jit import lean_kernel
from forensics.wire.words import finished, mixed, octets_hash

_WAYS: Final = 8
_SETS: Final = limits.REPEATED_QUERIES // _WAYS
_TIMEOUT: Final = limits.QUERY_TIMEOUT


@dataclass(slots=True)
class Repeats:
    """The queries of one file seen so far, as the kernel keeps them.

    Attributes:
        sets: int64 (sets, 16), eight keys and then their times, so that a search waits for memory
            once.
    """

    sets: NDArray[np.int64] = field(default_factory=lambda: np.zeros((_SETS, 2 * _WAYS), np.int64))


@lean_kernel
def is_repeat(
    octets: Any,
    start: int,
    length: int,
    context: int,
    address: int,
    address_length: int,
    beside: bool,
    asked: int,
    now: int,
    sets: Any,
) -> bool:
    """Whether the query message at `start` was seen before in the other kind of frame.

    The two are one query if initiator, octets and query time agree; servers that give no query
    time beside the response mean the latest query of these octets.

    Give the window and, checked, where in it the message and the initiator's address are;
    `context`: what else must agree (type, port, transport, identity), as one number; `beside`: it
    stands in a *_RESPONSE frame; `asked`: query time, ns, 0: unknown; `now`: response time, ns.
    State is `Repeats.sets`: keys with `beside` as their lowest bit, and query times.
    """
    digest = mixed(octets_hash(octets, start, length), np.uint64(context))
    if address_length > 0:
        digest = mixed(digest, octets_hash(octets, address, address_length))
    key = finished(digest) | np.uint64(2)
    mine = int64((key & ~np.uint64(1)) | np.uint64(1 if beside else 0))
    other = mine ^ 1
    held = int64((key >> np.uint64(40)) % np.uint64(_SETS))
    oldest = 0
    match = -1
    for place in range(_WAYS):
        kept = sets[held, _WAYS + place]
        if kept < sets[held, _WAYS + oldest]:
            oldest = place
        if sets[held, place] != other:
            continue
        waited = now - kept
        if asked == kept:
            match = place
            break
        if (
            asked == 0
            and 0 <= waited <= _TIMEOUT
            and (match < 0 or kept > sets[held, _WAYS + match])
        ):
            match = place
    if match >= 0:
        sets[held, match] = 0
        sets[held, _WAYS + match] = 0
        return True
    if asked != 0:
        sets[held, oldest] = mine
        sets[held, _WAYS + oldest] = asked
    return False
