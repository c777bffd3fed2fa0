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

_SETS: Final = limits.REPEATED_QUERIES // 8
_TIMEOUT: Final = limits.QUERY_TIMEOUT


@dataclass(slots=True)
class Repeats:
    """The queries of one file seen so far, as the kernel keeps them; eight share a place."""

    keys: NDArray[np.uint64] = field(
        default_factory=lambda: np.zeros(limits.REPEATED_QUERIES, np.uint64)
    )
    times: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(limits.REPEATED_QUERIES, np.int64)
    )


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
    keys: Any,
    times: Any,
) -> bool:
    """Whether the query message at `start` was seen before in the other kind of frame.

    The two are one query if initiator, octets and query time agree; servers that give no query
    time beside the response mean the latest query of these octets.

    Give the window and, checked, where in it the message and the initiator's address are;
    `context`: what else must agree (type, port, transport, identity), as one number; `beside`: it
    stands in a *_RESPONSE frame; `asked`: query time, ns, 0: unknown; `now`: response time, ns.
    State is `Repeats`: keys with `beside` as their lowest bit, and query times.
    """
    digest = mixed(octets_hash(octets, start, length), np.uint64(context))
    if address_length > 0:
        digest = mixed(digest, octets_hash(octets, address, address_length))
    key = finished(digest) | np.uint64(2)
    mine = (key & ~np.uint64(1)) | np.uint64(1 if beside else 0)
    other = mine ^ np.uint64(1)
    first = int64((key >> np.uint64(40)) % np.uint64(_SETS)) * 8
    oldest = first
    match = int64(-1)
    for place in range(first, first + 8):
        if times[place] < times[oldest]:
            oldest = place
        if keys[place] != other:
            continue
        waited = now - times[place]
        if asked == times[place]:
            match = place
            break
        if asked == 0 and 0 <= waited <= _TIMEOUT and (match < 0 or times[place] > times[match]):
            match = place
    if match >= 0:
        keys[match] = 0
        times[match] = 0
        return True
    if asked != 0:
        keys[oldest] = mine
        times[oldest] = asked
    return False
