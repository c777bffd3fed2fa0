"""Client addresses replaced everywhere behind the reading: in the tables, and in evidence packets.

A client is an address that asks and was never seen to answer; servers and resolvers keep theirs,
for a post-mortem is about them. Ports, ids, times and all that is signed stay as they are.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from forensics.cryptopan import CryptoPan

_OPT: Final = 41
_CLIENT_SUBNET: Final = 8
_FAMILIES: Final = {1: 4, 2: 16}
"""Octets of an address by the family number of RFC 7871 section 6."""


def mapping(addresses: Iterable[str], pan: CryptoPan) -> dict[str, str]:
    """Map addresses in text form; what is no address maps to itself."""
    groups: dict[int, dict[str, bytes]] = {4: {}, 16: {}}
    for text in addresses:
        if packed := _packed(text):
            groups[len(packed)][text] = packed
    found = {}
    for width, group in groups.items():
        if group:
            rows = np.frombuffer(b"".join(group.values()), np.uint8).reshape(-1, width)
            for text, row in zip(group, pan.addresses(rows), strict=True):
                found[text] = str(ipaddress.ip_address(row.tobytes()))
    return found


def _packed(text: str) -> bytes:
    """The octets of an address; none where it is no address."""
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return b""


def anonymize_tables(tables: Path, key: bytes, keep: Iterable[str] = ()) -> None:
    """Write the transactions of a run anew, with the clients' addresses replaced.

    Args:
        tables: the run's folder of tables.
        key: of CryptoPan.
        keep: addresses that stay besides those that answered.
    """
    from forensics.archive.tables import TableWriter, iter_batches, read_table, write_table

    pan = CryptoPan(key)
    places = read_table(tables, "places", ["place", "server", "fold"])
    kept = {*keep, *places["server"].to_pylist()}
    clients: set[str] = set()
    for batch in iter_batches(tables, "transactions", ["client"]):
        clients.update(_values(batch.column("client")))
    replaced = mapping(sorted(clients - kept), pan)
    with TableWriter(tables, "transactions") as writer:
        for batch in iter_batches(tables, "transactions"):
            writer.write(_replaced(batch, replaced))
    if (tables / "key_tags.parquet").exists():
        claims = read_table(tables, "key_tags")
        senders = claims["client"].to_pylist()
        strange = mapping(sorted({*senders} - kept - replaced.keys()), pan)
        write_table(
            tables,
            "key_tags",
            _with_clients(claims, [{**replaced, **strange}.get(text, text) for text in senders]),
        )


def _with_clients(claims: Any, clients: list[str]) -> Any:
    """Put other senders into the claims of trust."""
    import pyarrow as pa

    at = claims.schema.get_field_index("client")
    return claims.set_column(at, claims.schema.field(at), pa.array(clients, pa.string()))


def _values(column: Any) -> list[str]:
    """The texts of a dictionary column that some row has."""
    return [text for text in column.unique().to_pylist() if text is not None]


def _replaced(batch: Any, found: dict[str, str]) -> Any:
    """Replace addresses in the columns of both ends."""
    import pyarrow as pa

    columns = list(batch.columns)
    for name in ("client", "server"):
        at = batch.schema.get_field_index(name)
        column = columns[at]
        texts = [found.get(text, text) for text in column.dictionary.to_pylist()]
        columns[at] = pa.DictionaryArray.from_arrays(
            column.indices, pa.array(texts, column.dictionary.type)
        )
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def packet_mapper(key: bytes, kept: Iterable[str]) -> Callable[[bytes, bytes], bytes | None]:
    """Give what maps an address and a message of an evidence packet: see `forensics.extract`.

    Returns:
        called with (16 octets of an address, b"") it gives the 16 octets to use; called with
        (b"", message) the message with its client subnets mapped, None if it cannot be read far
        enough to be sure.
    """
    pan = CryptoPan(key)
    stay = {packed for text in kept if (packed := _packed(text))}
    mapped4 = bytes(10) + b"\xff\xff"

    def apply(address: bytes, message: bytes) -> bytes | None:
        if message:
            return _subnets_mapped(message, pan)
        bare = address[12:] if address.startswith(mapped4) else address
        if bare in stay:
            return address
        new: bytes = pan.addresses(np.frombuffer(bare, np.uint8)[None])[0].tobytes()
        return mapped4 + new if len(new) == 4 else new

    return apply


def _subnets_mapped(message: bytes, pan: CryptoPan) -> bytes | None:
    """Map the client subnet options (RFC 7871) of a message; None: it cannot be walked."""
    octets = bytearray(message)
    counts = [int.from_bytes(octets[at : at + 2], "big") for at in (4, 6, 8, 10)]
    at = 12
    for record in range(sum(counts)):
        at = _name_end(octets, at)
        if record < counts[0]:
            at += 4
            if at > len(octets):
                return None
            continue
        if at < 0 or at + 10 > len(octets):
            return None
        kind = int.from_bytes(octets[at : at + 2], "big")
        end = at + 10 + int.from_bytes(octets[at + 8 : at + 10], "big")
        if end > len(octets):
            return None
        if kind == _OPT and not _map_options(octets, at + 10, end, pan):
            return None
        at = end
    return bytes(octets) if at <= len(octets) else None


def _name_end(octets: bytearray, at: int) -> int:
    """Offset behind a name; beyond the message where it does not end in it."""
    while at < len(octets):
        size = octets[at]
        if size >= 0xC0:
            return at + 2
        at += 1 + size
        if not size:
            return at
    return len(octets) + 1


def _map_options(octets: bytearray, at: int, end: int, pan: CryptoPan) -> bool:
    """Map the subnets among the options in [at, end); False: one is not well-formed."""
    while at + 4 <= end:
        code = int.from_bytes(octets[at : at + 2], "big")
        begin, at = at + 4, at + 4 + int.from_bytes(octets[at + 2 : at + 4], "big")
        if at > end:
            return False
        if code != _CLIENT_SUBNET:
            continue
        width = _FAMILIES.get(int.from_bytes(octets[begin : begin + 2], "big"))
        bits = octets[begin + 2] if begin + 4 <= at else 0
        given = bytes(octets[begin + 4 : at])
        if width is None or begin + 4 > at or len(given) > width or bits > 8 * width:
            return False
        new = pan.prefix(given.ljust(width, b"\0"), bits)
        octets[begin + 4 : at] = new[: len(given)]
    return at == end
