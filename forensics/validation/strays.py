"""Responses that prove nothing: answers to one query that differ, and answers to none.

Whoever can send packets to a resolver can race the server that it asked: the forged response is
the one that looks paired, the true one then looks like a duplicate. Where the responses to one
query carry different signatures, none of them accuses (DESIGN section 4).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.limits import CONTESTED, LATE_TIMEOUT, SKEW_TIMEOUT
from forensics.vocabulary import PAIRINGS, Pairing, SightingFlag

_DUPLICATE: Final = PAIRINGS[Pairing.DUPLICATE]
_PAIRED: Final = [PAIRINGS[Pairing.ANSWERED], PAIRINGS[Pairing.LATE], _DUPLICATE]

_Batches = Callable[[], Iterator[Any]]
_Exchange = tuple[str, str, int, int]
"""client, server, client's port, message id"""


def contested(transactions: _Batches, sightings: _Batches) -> NDArray[np.int64]:
    """Find the responses that another response to the same query contradicts.

    Args:
        transactions: schemas.TRANSACTIONS, walked twice.
        sightings: schemas.SIGHTINGS, walked once, and only where a query was answered again.

    Returns:
        int64, sorted: capture << 32 | frame of each such response.
    """
    keys = [_keys(rows) for rows in _chosen(transactions(), [_DUPLICATE])]
    wanted = np.unique(np.concatenate(keys)) if keys else np.empty(0, np.int64)
    if not len(wanted):
        return wanted
    found: dict[_Exchange, list[tuple[int, int, bool]]] = defaultdict(list)
    for rows in _chosen(transactions(), _PAIRED):
        _gather(found, rows.filter(_mask(np.isin(_keys(rows), wanted))))
    pairs = _pairs(found)
    shown: dict[int, set[int]] = {where: set() for pair in pairs for where in pair}
    ours = np.array(sorted(shown), np.int64)
    for batch in sightings():
        at = where_of(batch)
        mine = np.isin(at, ours)
        numbers = batch.column("signature").to_numpy(zero_copy_only=False)[mine]
        for where, signature in zip(at[mine].tolist(), numbers.tolist(), strict=True):
            shown[where].add(signature)
    differ = {where for one, other in pairs if shown[one] != shown[other] for where in (one, other)}
    return np.array(sorted(differ), np.int64)


def marked(batches: Iterator[Any], responses: NDArray[np.int64]) -> Iterator[Any]:
    """Give the sightings with those of `responses` flagged as unpaired."""
    import pyarrow as pa

    for batch in batches:
        hit = np.isin(where_of(batch), responses) if len(responses) else np.zeros(0, np.bool_)
        if not hit.any():
            yield batch
            continue
        flags = batch.column("flags").to_numpy(zero_copy_only=False).copy()
        flags[hit] |= int(SightingFlag.UNPAIRED)
        place = batch.schema.get_field_index("flags")
        yield batch.set_column(place, batch.schema.field(place), pa.array(flags, pa.uint16()))


def undisputed(keys: Any, responses: NDArray[np.int64]) -> Any:
    """Leave out the runs of key sets (schemas.KEYS) that begin and end in one of `responses`."""
    if not len(responses):
        return keys
    ends = [
        np.isin(_numbers(keys, f"{end}_capture") << 32 | _numbers(keys, f"{end}_frame"), responses)
        for end in ("first", "last")
    ]
    return keys.filter(_mask(~(ends[0] & ends[1])))


def where_of(batch: Any) -> NDArray[np.int64]:
    """Return capture << 32 | frame of each sighting."""
    return _numbers(batch, "capture") << 32 | _numbers(batch, "frame")


def _chosen(batches: Iterator[Any], pairings: list[str]) -> Iterator[Any]:
    """Give the transactions of these pairing states that have a response."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in batches:
        mask = pc.is_in(batch.column("pairing").cast(pa.string()), value_set=pa.array(pairings))
        rows = batch.filter(pc.and_(mask, pc.is_valid(batch.column("response_frame"))))
        if rows.num_rows:
            yield rows


def _gather(found: dict[_Exchange, list[tuple[int, int, bool]]], rows: Any) -> None:
    """Note when and where each exchange was answered, and whether again."""
    import pyarrow as pa

    names = ("client", "server", "client_port", "id", "time", "response_capture", "response_frame")
    values = [rows.column(name) for name in names]
    values[4] = values[4].cast(pa.int64())
    again = [text == _DUPLICATE for text in rows.column("pairing").to_pylist()]
    for client, server, port, number, time, capture, frame, twice in zip(
        *(value.to_pylist() for value in values), again, strict=True
    ):
        if len(found) < CONTESTED or (client, server, port, number) in found:
            held = found[client, server, port, number]
            if len(held) < CONTESTED:
                held.append((time, capture << 32 | frame, twice))


def _pairs(found: dict[_Exchange, list[tuple[int, int, bool]]]) -> list[tuple[int, int]]:
    """Give each repeated response with the one that it repeats: the last answer before it."""
    pairs = []
    for held in found.values():
        original: tuple[int, int] | None = None
        for time, where, twice in sorted(held, key=lambda row: row[0] + row[2] * SKEW_TIMEOUT):
            if not twice:
                original = time, where
            elif original is not None and time - original[0] <= LATE_TIMEOUT:
                pairs.append((original[1], where))
    return pairs


def _keys(rows: Any) -> NDArray[np.int64]:
    return _numbers(rows, "client_port") << 16 | _numbers(rows, "id")


def _numbers(batch: Any, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = (
        batch.column(name).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    return values


def _mask(keep: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(keep)
