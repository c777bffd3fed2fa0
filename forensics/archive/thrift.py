"""Thrift's compact protocol, as far as the headers and the footer of a Parquet file need it.

A value is its type with its octets; a struct is made of values by field number. Source: the Apache
Thrift compact protocol specification.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

_TRUE: Final = 1
_FALSE: Final = 2
_BYTE: Final = 3
_I16: Final = 4
_I32: Final = 5
_I64: Final = 6
_BINARY: Final = 8
_LIST: Final = 9
_STRUCT: Final = 12
_SHORT_LIST: Final = 15
_SHORT_STEP: Final = 15


class Value(NamedTuple):
    """A value: its type in the compact protocol and its octets."""

    kind: int
    octets: bytes


def varint(number: int) -> bytes:
    """Write a number of at least 0, seven bits an octet, least first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> bytes:
    """Write a signed number so that small ones are short."""
    return varint(2 * number if number >= 0 else -2 * number - 1)


def flag(value: bool) -> Value:
    """Make a boolean; in a field it is all in the type."""
    return Value(_TRUE if value else _FALSE, b"")


def byte(value: int) -> Value:
    """Make an integer of 8 bits."""
    return Value(_BYTE, value.to_bytes(1, "little", signed=True))


def i16(value: int) -> Value:
    """Make an integer of 16 bits."""
    return Value(_I16, _zigzag(value))


def i32(value: int) -> Value:
    """Make an integer of 32 bits."""
    return Value(_I32, _zigzag(value))


def i64(value: int) -> Value:
    """Make an integer of 64 bits."""
    return Value(_I64, _zigzag(value))


def binary(value: bytes | str) -> Value:
    """Make a string of octets, or of text in UTF-8."""
    octets = value.encode() if isinstance(value, str) else value
    return Value(_BINARY, varint(len(octets)) + octets)


def listed(values: Iterable[Value]) -> Value:
    """Make a list of values of one type, of integers if it is empty."""
    held = list(values)
    kind = held[0].kind if held else _I32
    head = bytes([min(len(held), _SHORT_LIST) << 4 | kind])
    if len(held) >= _SHORT_LIST:
        head += varint(len(held))
    return Value(_LIST, head + b"".join(value.octets for value in held))


def struct(fields: dict[int, Value | None]) -> Value:
    """Make a struct of its fields by number, in ascending order; None: left out."""
    out = bytearray()
    last = 0
    for number, value in fields.items():
        if value is None:
            continue
        step = number - last
        if 0 < step <= _SHORT_STEP:
            out.append(step << 4 | value.kind)
        else:
            out.append(value.kind)
            out += _zigzag(number)
        out += value.octets
        last = number
    out.append(0)
    return Value(_STRUCT, bytes(out))
