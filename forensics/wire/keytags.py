"""The EDNS option edns-key-tag of a query for keys (RFC 8145 4): which keys its sender trusts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import lean_kernel

OPTION = 14
_HEADER = 12
_OPT, _DNSKEY = 41, 48


@lean_kernel
def key_tag_options(
    octets: NDArray[np.uint8],
    start: NDArray[np.int64],
    captured: NDArray[np.int64],
    header_flags: NDArray[Any],
    qtype: NDArray[Any],
    additionals: NDArray[Any],
    found: NDArray[np.int64],
) -> int:
    """Find the option in queries for DNSKEY RRsets; return how many rows of `found` were written.

    Args:
        octets: the block's.
        start: int64 (N), where each message lies.
        captured: int64 (N), how much of it was captured.
        header_flags: (N), as parsed.
        qtype: (N), likewise.
        additionals: (N), likewise.
        found: int64 (M, 3), message, offset of the option's value and its length; what does not
            fit is left out.
    """
    count = 0
    for row in range(len(start)):
        if qtype[row] != _DNSKEY or header_flags[row] & 0xF800 or additionals[row] == 0:
            continue
        end = start[row] + captured[row]
        if end > len(octets):
            continue
        at = start[row] + _HEADER
        while at < end and 0 < octets[at] < 64:
            at += 1 + octets[at]
        at += 5
        # The OPT record comes first among what a query carries: the root, type, class, TTL.
        if at + 11 > end or octets[at - 5] or octets[at]:
            continue
        if (octets[at + 1] << 8 | octets[at + 2]) != _OPT:
            continue
        stop = at + 11 + (np.int64(octets[at + 9]) << 8 | octets[at + 10])
        at += 11
        if stop > end:
            continue
        while at + 4 <= stop:
            code = np.int64(octets[at]) << 8 | octets[at + 1]
            length = np.int64(octets[at + 2]) << 8 | octets[at + 3]
            at += 4
            if at + length > stop:
                break
            if code == OPTION and length > 0 and length & 1 == 0 and count < len(found):
                found[count, 0] = row
                found[count, 1] = at
                found[count, 2] = length
                count += 1
            at += length
    return count
