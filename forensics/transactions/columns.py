"""Closed rows as Arrow columns: one kernel turns rows into columns, bitmaps included."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.transactions.numbers import Numbers, number, numbers
from forensics.transactions.rows import CAPACITY, Batch
from forensics.vocabulary import DNSTAP_KINDS, PAIRINGS, ROLES, TRANSPORTS, VANTAGES, Role, Vantage
from forensics.wire.intern import COUNT, Interner, lengths
from forensics.wire.jit import lean_kernel
from forensics.wire.text import address_texts, name_texts, octet_texts, side_by_side_texts


class Out(NamedTuple):
    """Where the kernel writes: values by column, bits eight to an octet, least first."""

    transaction: NDArray[np.uint64]
    time: NDArray[np.int64]
    latency: NDArray[np.int64]
    capture: NDArray[np.uint16]
    query_frame: NDArray[np.uint32]
    response_capture: NDArray[np.uint16]
    response_frame: NDArray[np.uint32]
    client_port: NDArray[np.uint16]
    server_port: NDArray[np.uint16]
    transport: NDArray[np.int32]
    id: NDArray[np.uint16]
    qtype: NDArray[np.uint16]
    qclass: NDArray[np.uint16]
    opcode: NDArray[np.uint8]
    rcode: NDArray[np.uint16]
    edns_size: NDArray[np.uint16]
    ede: NDArray[np.uint16]
    ede_text: NDArray[np.int32]
    nsid: NDArray[np.int32]
    answers: NDArray[np.uint16]
    authorities: NDArray[np.uint16]
    query_size: NDArray[np.uint16]
    response_size: NDArray[np.uint16]
    pairing: NDArray[np.int32]
    vantage: NDArray[np.int32]
    kind: NDArray[np.int32]
    identity: NDArray[np.int32]
    scratch: NDArray[np.int64]
    bits: NDArray[np.uint8]
    nulls: NDArray[np.int64]
    pairings: NDArray[np.int64]


_KINDS: Final = {
    "transaction": np.uint64,
    "time": np.int64,
    "latency": np.int64,
    "query_frame": np.uint32,
    "response_frame": np.uint32,
    "opcode": np.uint8,
    **dict.fromkeys(
        (
            "transport",
            "ede_text",
            "nsid",
            "pairing",
            "vantage",
            "kind",
            "identity",
        ),
        np.int32,
    ),
}

# Rows of `Out.bits`: first what is known (validity), then the boolean columns.
_QUERY, _RESPONSE, _QUESTION, _EDNS, _EDE, _LATENCY, _TEXT, _NSID, _IDENTITY, _COUNTS = range(10)
_RD, _AA, _TC, _RA, _AD, _CD, _DO, _OPT = range(10, 18)
_BIT_ROWS: Final = 18


@lean_kernel
def _columns(rows: Any, status: Any, count: Any, servers: Any, roles: Any, out: Any) -> Any:
    """Write the closed rows among the first `count`; give how many.

    `servers`: int32 number of the server of each closed row; `roles`: uint8 vocabulary.Role of
    each server number that the user named, 0: not named.
    """
    to = 0
    bits = out.scratch
    for row in range(count):
        if status[row] != 0:
            continue
        entry = rows[row]
        has = np.int64(entry.has)
        session = entry.session
        flags = np.int64(entry.query_flags if has & 1 else entry.response_flags)
        response = np.int64(entry.response_flags)
        out.transaction[to] = entry.transaction
        out.time[to] = entry.time
        out.latency[to] = entry.latency
        out.capture[to] = entry.capture
        out.query_frame[to] = entry.query_frame
        out.response_capture[to] = entry.response_capture
        out.response_frame[to] = entry.response_frame
        out.client_port[to] = np.uint16(session & np.uint64(0xFFFF))
        out.server_port[to] = np.uint16((session >> np.uint64(16)) & np.uint64(0xFFFF))
        out.id[to] = np.uint16((session >> np.uint64(32)) & np.uint64(0xFFFF))
        out.transport[to] = np.int32((session >> np.uint64(48)) & np.uint64(0xFF))
        out.qtype[to] = entry.qtype
        out.qclass[to] = entry.qclass
        out.opcode[to] = (flags >> 11) & 15
        out.rcode[to] = entry.rcode
        out.edns_size[to] = entry.edns_size
        out.ede[to] = entry.ede
        out.ede_text[to] = entry.ede_text
        out.nsid[to] = entry.nsid
        out.answers[to] = entry.answers
        out.authorities[to] = entry.authorities
        out.query_size[to] = entry.query_size
        out.response_size[to] = entry.response_size
        out.pairing[to] = entry.pairing
        role = roles[servers[to]]
        vantage: Any = np.int64(entry.vantage)
        if role == 1:
            vantage = 2
        elif role == 2:
            vantage = 1
        out.vantage[to] = vantage
        out.kind[to] = entry.kind
        out.identity[to] = entry.identity
        out.pairings[entry.pairing] += 1
        place = to & 7
        bits[0] |= (has & 1) << place
        bits[1] |= ((has >> 1) & 1) << place
        bits[2] |= ((has >> 2) & 1) << place
        bits[3] |= ((has >> 3) & 1) << place
        bits[4] |= ((has >> 6) & 1) << place
        bits[5] |= ((has >> 7) & 1) << place
        bits[6] |= np.int64(entry.ede_text >= 0) << place
        bits[7] |= np.int64(entry.nsid >= 0) << place
        bits[8] |= np.int64(entry.identity >= 0) << place
        bits[9] |= ((has >> 8) & 1) << place
        bits[10] |= ((flags >> 8) & 1) << place
        bits[11] |= ((response >> 10) & 1) << place
        bits[12] |= ((response >> 9) & 1) << place
        bits[13] |= ((response >> 7) & 1) << place
        bits[14] |= ((response >> 5) & 1) << place
        bits[15] |= ((flags >> 4) & 1) << place
        bits[16] |= ((has >> 4) & 1) << place
        bits[17] |= ((has >> 5) & 1) << place
        to += 1
        if place == 7:
            for kind in range(18):
                out.bits[kind, (to >> 3) - 1] = bits[kind]
                bits[kind] = 0
    if to & 7:
        for kind in range(18):
            out.bits[kind, to >> 3] = bits[kind]
    for kind in range(10):
        known = 0
        for octet in range((to + 7) >> 3):
            value = np.int64(out.bits[kind, octet])
            while value:
                value &= value - 1
                known += 1
        out.nulls[kind] = to - known
    return to


_VALIDITY: Final = {
    "latency": _LATENCY,
    "query_frame": _QUERY,
    "response_capture": _RESPONSE,
    "response_frame": _RESPONSE,
    "qname": _QUESTION,
    "qtype": _QUESTION,
    "qclass": _QUESTION,
    "rcode": _RESPONSE,
    "aa": _RESPONSE,
    "tc": _RESPONSE,
    "ra": _RESPONSE,
    "ad": _RESPONSE,
    "do": _QUERY,
    "edns_size": _EDNS,
    "response_edns": _RESPONSE,
    "ede": _EDE,
    "ede_text": _TEXT,
    "nsid": _NSID,
    "answers": _COUNTS,
    "authorities": _COUNTS,
    "query_size": _QUERY,
    "response_size": _RESPONSE,
    "identity": _IDENTITY,
}

_BOOLEANS: Final = {
    "rd": _RD,
    "aa": _AA,
    "tc": _TC,
    "ra": _RA,
    "ad": _AD,
    "cd": _CD,
    "do": _DO,
    "response_edns": _OPT,
}


class Room(NamedTuple):
    """Where `to_arrow` works; to be used again, which saves the pages."""

    out: Out
    numbers: Numbers


def room() -> Room:
    """Make room for the largest batch. Memory is touched only as it is used."""
    bits = np.empty((_BIT_ROWS, (CAPACITY + 7) // 8 + 64), np.uint8)
    values: list[Any] = [
        np.empty(CAPACITY, _KINDS.get(name, np.uint16)) for name in Out._fields[:-4]
    ]
    scratch = np.zeros(_BIT_ROWS, np.int64)
    values += [scratch, bits, np.zeros(10, np.int64), np.zeros(len(PAIRINGS), np.int64)]
    return Room(Out(*values), numbers())


def _strings_of(interned: Interner, write: Any) -> Any:
    """Write the strings of an interner as text, in order of their numbers."""
    return write(interned.arena, interned.starts[: interned.state[COUNT]], lengths(interned))


def _named_roles(servers: Interner, named: dict[bytes, Role]) -> NDArray[np.uint8]:
    """Look up which of a batch's servers the user has named."""
    count = int(servers.state[COUNT])
    roles = np.zeros(count, np.uint8)
    if named:
        for server in range(count):
            start = int(servers.starts[server])
            address = servers.arena[start : start + 16].tobytes()
            roles[server] = named.get(address, Role.UNKNOWN)
    return roles


def to_arrow(
    batch: Batch, named: dict[bytes, Role], used: Room | None = None
) -> tuple[Any, NDArray[np.int64]]:
    """Turn the closed rows of a batch into a record batch of `schemas.MATCHED`.

    Args:
        batch: rows and strings; nothing in it is kept.
        named: roles that the user gave, by packed address (`places.packed`).
        used: where to work; the record batch lives there, until the next call.

    Returns:
        The record batch, in which each row's client has a code of its own, and how many rows have
        each pairing state (int64, by number).
    """
    import pyarrow as pa

    from forensics.schemas import MATCHED

    assert (Vantage.CLIENT, Vantage.UPSTREAM) == (1, 2)
    assert (Role.SERVER, Role.RESOLVER) == (1, 2)
    assert len(VANTAGES) == len(ROLES)
    out, ids = room() if used is None else used
    number(batch, ids)
    out.scratch.fill(0)
    out.pairings.fill(0)
    roles = _named_roles(ids.servers, named)
    count = _columns(batch.rows, batch.status, batch.count, ids.server, roles, out)
    texts = _strings_of(batch.texts, octet_texts)
    dictionaries = {
        "client": side_by_side_texts(ids.clients, count),
        "server": _strings_of(ids.servers, address_texts),
        "transport": pa.array(TRANSPORTS, pa.string()),
        "qname": _strings_of(ids.names, name_texts),
        "ede_text": texts,
        "nsid": texts,
        "pairing": pa.array(PAIRINGS, pa.string()),
        "vantage": pa.array(VANTAGES, pa.string()),
        "kind": pa.array(DNSTAP_KINDS, pa.string()),
        "identity": pa.array(batch.identities, pa.string()),
    }
    numbered = {
        "client": np.arange(count, dtype=np.int32),
        "server": ids.server,
        "qname": ids.name,
    }
    arrays = []
    for field in MATCHED:
        known = _VALIDITY.get(field.name)
        nulls = 0 if known is None else int(out.nulls[known])
        validity = pa.py_buffer(out.bits[known]) if known is not None and nulls else None
        if field.name in _BOOLEANS:
            data = pa.py_buffer(out.bits[_BOOLEANS[field.name]])
        elif field.name in numbered:
            data = pa.py_buffer(numbered[field.name])
        else:
            data = pa.py_buffer(getattr(out, field.name))
        if field.name in dictionaries:
            array = pa.DictionaryArray.from_buffers(
                field.type, count, [validity, data], dictionaries[field.name], nulls
            )
        else:
            array = pa.Array.from_buffers(field.type, count, [validity, data], nulls)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=MATCHED), out.pairings.copy()
