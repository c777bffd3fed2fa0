"""Names, addresses and octets as text: kernels that write whole Arrow string columns.

Names are written as dnspython's `to_text` writes them (RFC 1035 5.1, RFC 4343 2.1), addresses as
RFC 5952 says, IPv4 (mapped into ::ffff:0:0/96) as dotted quad.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import lean_kernel
from forensics.wire.moves import SLACK, put64
from forensics.wire.words import le64

_DOTTED: Final = np.array(
    [
        int.from_bytes(f"{octet}.".encode().ljust(7, b"\0") + bytes([len(f"{octet}.")]), "little")
        for octet in range(256)
    ],
    np.uint64,
)
"""Each octet in decimal with a dot behind it, least octet first; how many octets in the highest."""

_MAPPED: Final = np.uint64(0xFFFF0000)
_HALF: Final = np.uint64(0xFFFFFFFF)


@lean_kernel
def _escaped(out: Any, to: Any, octet: Any) -> Any:
    r"""Write an octet as \DDD; give the offset behind."""
    out[to] = 92
    out[to + 1] = 48 + octet // 100
    out[to + 2] = 48 + octet // 10 % 10
    out[to + 3] = 48 + octet % 10
    return to + 4


@lean_kernel
def _names(octets: Any, starts: Any, ends: Any, out: Any, offsets: Any) -> None:
    """Write wire names, one after the other; what does not parse as a name ends there."""
    to = 0
    offsets[0] = 0
    for number in range(len(starts)):
        at = starts[number]
        end = ends[number]
        first = to
        while at < end:
            length = np.int64(octets[at])
            at += 1
            if length == 0 or length > 63 or at + length > end:
                break
            for place in range(at, at + length):
                octet = np.int64(octets[place])
                if (97 <= octet <= 122) or (47 < octet < 58) or octet == 45 or octet == 95:  # noqa: PLR1714
                    out[to] = octet
                    to += 1
                elif 65 <= octet <= 90:
                    out[to] = octet + 32
                    to += 1
                elif (
                    octet == 34  # noqa: PLR1714
                    or octet == 36
                    or octet == 40
                    or octet == 41
                    or octet == 46
                    or octet == 59
                    or octet == 64
                    or octet == 92
                ):
                    out[to] = 92
                    out[to + 1] = octet
                    to += 2
                elif 32 < octet < 127:
                    out[to] = octet
                    to += 1
                else:
                    to = _escaped(out, to, octet)
            out[to] = 46
            to += 1
            at += length
        if to == first:
            out[to] = 46
            to += 1
        offsets[number + 1] = to


@lean_kernel
def _printable(octets: Any, starts: Any, ends: Any, out: Any, offsets: Any) -> None:
    r"""Write octets: printable ASCII as it is, the backslash doubled, the rest as \DDD."""
    to = 0
    offsets[0] = 0
    for number in range(len(starts)):
        for at in range(starts[number], ends[number]):
            octet = np.int64(octets[at])
            if octet == 92:
                out[to] = 92
                out[to + 1] = 92
                to += 2
            elif 32 <= octet < 127:
                out[to] = octet
                to += 1
            else:
                to = _escaped(out, to, octet)
        offsets[number + 1] = to


@lean_kernel
def _addresses(octets: Any, starts: Any, groups: Any, out: Any, offsets: Any) -> None:
    """Write addresses of 16 octets each (RFC 5952 section 4); `out` has `SLACK` behind them."""
    to: Any = 0
    offsets[0] = 0
    for number in range(len(starts)):
        at = starts[number]
        low = le64(octets, at + 8)
        if le64(octets, at) == np.uint64(0) and (low & _HALF) == _MAPPED:
            for octet in range(12, 16):
                written = _DOTTED[octets[at + octet]]
                put64(out, to, written)
                to += np.int64(written >> np.uint64(56))
            to -= 1
            offsets[number + 1] = to
            continue
        for group in range(8):
            groups[group] = (np.int64(octets[at + 2 * group]) << 8) | np.int64(
                octets[at + 2 * group + 1]
            )
        # the first of the longest runs of at least two zero groups
        best = -1
        best_length = 1
        group = 0
        while group < 8:
            run = group
            while run < 8 and groups[run] == 0:
                run += 1
            if run - group > best_length:
                best = group
                best_length = run - group
            group = max(run, group + 1)
        group = 0
        while group < 8:
            if group == best:
                out[to] = 58
                out[to + 1] = 58
                to += 2
                group += best_length
                continue
            value = groups[group]
            if group > 0 and group != best + best_length:
                out[to] = 58
                to += 1
            started = False
            for shift in range(12, -4, -4):
                digit = (value >> shift) & 15
                if digit or started or shift == 0:
                    out[to] = 48 + digit if digit < 10 else 87 + digit
                    to += 1
                    started = True
            group += 1
        offsets[number + 1] = to


def _strings(out: NDArray[np.uint8], offsets: NDArray[np.int32], *, keep: bool = False) -> Any:
    """Wrap written text as an Arrow array of strings; `keep`: and all the room it was given."""
    import pyarrow as pa

    used = int(offsets[-1])
    text = pa.py_buffer(out[:used] if keep else out[:used].copy())
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), text)


def name_texts(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Any:
    """Write wire names (no compression) in lower-case presentation form, as `pa.StringArray`.

    Args:
        octets: uint8, writable and contiguous.
        starts: int64 (N), offset of each name.
        lengths: int64 (N), its octets on the wire; start + length stays within `octets`.
    """
    return _written(_names, octets, starts, lengths)


def octet_texts(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Any:
    r"""Write octets as printable ASCII with \DDD for the rest, as `pa.StringArray`."""
    return _written(_printable, octets, starts, lengths)


def _checked(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give starts and ends of strings that are sure to lie within their octets."""
    starts = np.ascontiguousarray(starts, np.int64)
    ends = starts + np.asarray(lengths, np.int64)
    if len(starts) and not (
        starts.min() >= 0 and (ends >= starts).all() and ends.max() <= len(octets)
    ):
        msg = "a string lies outside its octets"
        raise IndexError(msg)
    return starts, ends


def _written(
    write: Any, octets: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Any:
    """Run a kernel that writes at most four octets of text an octet, and a dot."""
    starts, ends = _checked(octets, starts, lengths)
    out = np.empty(4 * int((ends - starts).sum()) + len(starts), np.uint8)
    offsets = np.empty(len(starts) + 1, np.int32)
    write(octets, starts, ends, out, offsets)
    return _strings(out, offsets)


def address_texts(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Any:
    """Write addresses of 16 octets each as `pa.StringArray` (RFC 5952).

    Args:
        octets: uint8, writable and contiguous.
        starts: int64 (N), offset of each address.
        lengths: int64 (N), 16 for each.
    """
    starts, _ = _checked(octets, starts, lengths)
    if (np.asarray(lengths) != 16).any():
        msg = "an address has 16 octets"
        raise ValueError(msg)
    return _addresses_text(octets, starts)


def side_by_side_texts(octets: NDArray[np.uint8], count: int) -> Any:
    """Write the first `count` addresses of 16 octets each, which lie side by side.

    The text stays where the kernel wrote it: for many addresses that are soon forgotten.
    """
    if 16 * count > len(octets):
        msg = "an address lies outside its octets"
        raise IndexError(msg)
    return _addresses_text(octets, np.arange(0, 16 * count, 16), keep=True)


def _addresses_text(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], *, keep: bool = False
) -> Any:
    """Run the kernel for addresses whose starts have been checked."""
    out = np.empty(40 * len(starts) + SLACK, np.uint8)
    offsets = np.empty(len(starts) + 1, np.int32)
    _addresses(octets, starts, np.zeros(8, np.int64), out, offsets)
    return _strings(out, offsets, keep=keep)
