"""The table of distinct signatures, read back from what the kernel has gathered."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

from forensics import schemas
from forensics.evidence.arrays import PROBLEMS, RRSIG_FIXED, Gathering
from forensics.evidence.interning import Interned
from forensics.evidence.names import name_octets, name_text
from forensics.vocabulary import TYPE_SOA

_STRETCH: Final = 2**21
"""Words of the arena, 16 MiB, whose signatures become rows at once."""

_MOST: Final = 2**16
"""Signatures that become rows at once."""


def entry_parts(entries: Interned, number: int) -> tuple[bytes, bytes]:
    """Return the two octet strings of entry `number`."""
    start = int(entries.start[number])
    header = int(entries.arena[start])
    first = header & 0xFFFF_FFFF
    both = first + (header >> 32)
    octets = entries.arena[start + 1 : start + 1 + (both + 7) // 8].tobytes()
    return octets[:first], octets[first:both]


def signature_id(signed_data: bytes, signature: bytes) -> str:
    """Name a signature independently of the run: SHA-256, hex.

    The length of the signed data (4 octets, network order) goes first: without it, octets moved
    from one to the other would give two signatures one name.
    """
    digest = hashlib.sha256(len(signed_data).to_bytes(4, "big"))
    digest.update(signed_data)
    digest.update(signature)
    return digest.hexdigest()


def signature_table(held: Gathering) -> Any:
    """Return the SIGNATURES table of all signatures gathered so far.

    A malformed one has its RDATA as received, then its owner, as signed data; fixed fields that
    the RDATA does not reach read as zero, and the signer is null. The table is made in stretches:
    hostile signatures fill limits.SIGNED_ARENA_OCTETS, which is copied once and no more.
    """
    import pyarrow as pa

    count = int(held.signed.used[0])
    texts: dict[bytes, str] = {}
    made = []
    first = 0
    while first < count:
        room = int(held.signed.start[first]) + _STRETCH
        last = int(np.searchsorted(held.signed.start[:count], room))
        last = min(max(last, first + 1), first + _MOST)
        made.append(_rows(held, first, last, texts))
        first = last
    return pa.concat_tables(made) if made else schemas.SIGNATURES.empty_table()


def _rows(held: Gathering, first: int, last: int, texts: dict[bytes, str]) -> Any:
    """Make the rows of signatures [first, last); `texts` holds the names met so far."""
    import pyarrow as pa

    count = last - first
    fixed = np.zeros((count, RRSIG_FIXED), dtype=np.uint8)
    datas: list[bytes] = []
    signatures: list[bytes] = []
    ids: list[str] = []
    owners: list[str] = []
    signers: list[str | None] = []
    serials: list[int | None] = []

    def text(wire: bytes) -> str:
        known = texts.get(wire)
        if known is None:
            known = texts[wire] = name_text(wire)
        return known

    for row, number in enumerate(range(first, last)):
        data, signature = entry_parts(held.signed, number)
        owner = int(held.owner[number])
        malformed = PROBLEMS[held.problem[number]] == "signature-malformed"
        head = data[: min(RRSIG_FIXED, owner)]
        fixed[row, : len(head)] = np.frombuffer(head, dtype=np.uint8)
        soa = head[:2] == TYPE_SOA.to_bytes(2, "big") and held.records[number] == 1
        datas.append(data)
        signatures.append(signature)
        ids.append(signature_id(data, signature))
        owners.append(text(data[owner : owner + name_octets(data, owner)]))
        signers.append(None if malformed else text(data[RRSIG_FIXED:owner]))
        # RFC 1035 3.3.13: five 32-bit numbers end the RDATA, the serial first.
        serials.append(int.from_bytes(data[-20:-16], "big") if soa else None)

    def field(start: int, kind: str) -> Any:
        width = np.dtype(kind).itemsize
        column = np.ascontiguousarray(fixed[:, start : start + width]).view(kind).reshape(-1)
        return pa.array(column.astype(column.dtype.newbyteorder("=")))

    columns = {
        "signature": pa.array(np.arange(first, last, dtype=np.uint32)),
        "signature_id": pa.array(ids, pa.string()),
        "owner": pa.array(owners, pa.string()),
        "type": field(0, ">u2"),
        "signer": pa.array(signers, pa.string()),
        "key_tag": field(16, ">u2"),
        "algorithm": field(2, "u1"),
        "labels": field(3, "u1"),
        "original_ttl": field(4, ">u4"),
        "inception": field(12, ">u4"),
        "expiration": field(8, ">u4"),
        "records": pa.array(held.records[first:last].copy()),
        "serial": pa.array(serials, pa.uint32()),
        "signed_data": pa.array(datas, pa.binary()),
        "octets": pa.array(signatures, pa.binary()),
        "problem": pa.array([PROBLEMS[code] for code in held.problem[first:last]], pa.string()),
    }
    return pa.table(columns).select(schemas.SIGNATURES.names).cast(schemas.SIGNATURES)
