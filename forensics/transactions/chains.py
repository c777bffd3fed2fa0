"""Truncated responses and the queries that repeat them over TCP: one lookup each.

A response over UDP with TC=1 (RFC 2181 9) sends the client to TCP (RFC 7766 5). Both exchanges are
transactions of their own; what joins them is client, server and question, and little time. The pass
goes over finished rows, batch by batch: a truncated response has ended its row before the query
over TCP begins one, so that where batches, blocks and files end changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.schemas import TRANSACTIONS
from forensics.vocabulary import TRANSPORTS, Transport

_KEPT: Final = limits.TCP_RETRY_WINDOW + limits.LATE_TIMEOUT
"""A query over TCP is written when its row closes, unanswered ones only after `LATE_TIMEOUT`."""
_NAMES: Final = ("client", "server", "qtype", "qclass", "qname")
_KINDS: Final = (Transport.UDP, Transport.TCP)
_NEVER: Final = -(2**63)


class Chains:
    """Finds the query over TCP that each truncated response led to.

    Attributes:
        dropped: truncated responses forgotten early because `limits.OPEN_TRUNCATED` was reached.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._keys: Any = None
        self._times = np.empty(0, np.int64)
        self._numbers = np.empty(0, np.uint64)

    def link(self, rows: Any) -> Any:
        """Add the column `continues` to a record batch of `schemas.MATCHED`."""
        import pyarrow as pa

        truncated, repeating = _events(rows)
        if len(truncated):
            self._hold(rows, truncated)
        column = pa.nulls(rows.num_rows, pa.uint64())
        if len(repeating) and len(self._times):
            column = self._continued(rows, repeating)
        if len(self._times) and rows.num_rows:
            newest = int(_integers(rows.column("time")).max())
            self._keep(self._times >= newest - _KEPT)
        return pa.RecordBatch.from_arrays([*rows.columns, column], schema=TRANSACTIONS)

    def _hold(self, rows: Any, at: NDArray[np.int64]) -> None:
        """Remember truncated responses."""
        import pyarrow as pa

        keys, asked = _keys(rows, at)
        at = at[asked]
        times = _integers(rows.column("time"))[at]
        times += np.maximum(_integers(rows.column("latency"))[at], 0)
        numbers = rows.column("transaction").to_numpy()[at]
        held = keys if self._keys is None else pa.concat_arrays([self._keys, keys])
        times = np.concatenate((self._times, times))
        order = np.argsort(times, kind="stable")
        excess = max(len(order) - limits.OPEN_TRUNCATED, 0)
        self.dropped += excess
        order = order[excess:]
        self._keys = held.take(pa.array(order))
        self._times = times[order]
        self._numbers = np.concatenate((self._numbers, numbers))[order]

    def _keep(self, wanted: NDArray[np.bool_]) -> None:
        """Forget what no row can continue any more."""
        import pyarrow as pa

        if wanted.all():
            return
        self._keys = self._keys.filter(pa.array(wanted))
        self._times = self._times[wanted]
        self._numbers = self._numbers[wanted]

    def _continued(self, rows: Any, at: NDArray[np.int64]) -> Any:
        """Give the column `continues`: of each query, the last truncated response before it."""
        import pyarrow as pa

        keys, asked = _keys(rows, at)
        at = at[asked]
        held = len(self._times)
        codes = pa.concat_arrays([self._keys, keys]).dictionary_encode().indices.to_numpy()
        times = np.concatenate((self._times, _integers(rows.column("time"))[at]))
        late = np.arange(len(times)) >= held
        order = np.lexsort((late, times, codes))
        # The place, in that order, of the last truncated response up to each.
        place = np.maximum.accumulate(np.where(late[order], -1, np.arange(len(order))))
        before = np.full(len(order), -1, np.int64)
        before[order] = np.where(place >= 0, order[np.maximum(place, 0)], -1)
        mine = before[held:]
        fits = mine >= 0
        fits &= codes[mine] == codes[held:]
        fits &= times[held:] - times[mine] <= limits.TCP_RETRY_WINDOW
        numbers = np.zeros(rows.num_rows, np.uint64)
        empty = np.ones(rows.num_rows, np.bool_)
        numbers[at[fits]] = self._numbers[mine[fits]]
        empty[at[fits]] = False
        return pa.array(numbers, pa.uint64(), mask=empty)


def _events(rows: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where truncated responses over UDP stand in a batch, and where queries over TCP do."""
    import pyarrow.compute as pc

    transport = rows.column("transport")
    codes = transport.indices.to_numpy()
    udp, tcp = (transport.dictionary.index(TRANSPORTS[kind]).as_py() for kind in _KINDS)
    tc = pc.fill_null(rows.column("tc"), fill_value=False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(tc & (codes == udp)), np.flatnonzero(codes == tcp)


def _keys(rows: Any, at: NDArray[np.int64]) -> tuple[Any, NDArray[np.bool_]]:
    """Client, server and question of some rows as one text; and which of them have a question."""
    import pyarrow as pa
    import pyarrow.compute as pc

    indices = pa.array(at)
    # A name is written last, as it alone may hold whatever separates the others.
    parts = [rows.column(name).take(indices).cast(pa.string()) for name in _NAMES]
    keys = pc.binary_join_element_wise(*parts, " ").cast(pa.large_string())
    asked = keys.is_valid()
    return keys.filter(asked), np.asarray(asked.to_numpy(zero_copy_only=False), np.bool_)


def _integers(column: Any) -> NDArray[np.int64]:
    import pyarrow as pa

    values: NDArray[np.int64] = column.cast(pa.int64()).fill_null(_NEVER).to_numpy()
    return values


CHAINED: Final = ("transaction", "latency", "continues")
"""The columns that `continued` reads."""


def continued(batches: Iterator[Any]) -> NDArray[np.uint64]:
    """The transactions that another one stands for, sorted.

    These are the truncated exchanges that were repeated over TCP, and of several attempts over TCP
    those without an answer: another one had it, or they all had none and the first speaks for them.

    Args:
        batches: schemas.TRANSACTIONS, at least the columns `CHAINED`; datasets of versions that
            wrote no `continues` say nothing.
    """
    attempts: list[tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]] = []
    for batch in batches:
        if "continues" not in batch.schema.names:
            continue
        column = batch.column("continues")
        if column.null_count == len(column):
            continue
        rows = batch.filter(column.is_valid())
        attempts.append(
            (
                rows.column("continues").to_numpy(),
                rows.column("transaction").to_numpy(),
                rows.column("latency").is_valid().to_numpy(zero_copy_only=False),
            )
        )
    if not attempts:
        return np.empty(0, np.uint64)
    truncated, number, answered = (np.concatenate(parts) for parts in zip(*attempts, strict=True))
    order = np.lexsort((number, ~answered, truncated))
    truncated, number, answered = truncated[order], number[order], answered[order]
    follows = np.zeros(len(order), np.bool_)
    follows[1:] = truncated[1:] == truncated[:-1]
    return np.unique(np.concatenate((truncated, number[follows & ~answered])))


def lookups(batches: Iterator[Any], continued: NDArray[np.uint64]) -> Iterator[Any]:
    """Give transactions without those that another one of the same lookup stands for (`continued`).

    What is left is one row a lookup, with the outcome that the client got.
    """
    import pyarrow as pa

    for batch in batches:
        if not len(continued):
            yield batch
            continue
        gone = np.isin(batch.column("transaction").to_numpy(), continued)
        yield batch.filter(pa.array(~gone)) if gone.any() else batch


def candidates(rows: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], Any]:
    """What a batch has of chains, to join it with what other batches have.

    Args:
        rows: schemas.TRANSACTIONS or MATCHED.

    Returns:
        (positions, whether it is over TCP, the time that counts, what both ends share as a text)
        of truncated responses over UDP and of exchanges over TCP.
    """
    import pyarrow as pa

    truncated, repeating = _events(rows)
    at = np.concatenate((truncated, repeating)).astype(np.int64)
    keys, asked = _keys(rows, at)
    at, over_tcp = at[asked], (np.arange(len(at)) >= len(truncated))[asked]
    times = _integers(rows.column("time"))[at]
    waited = np.maximum(_integers(rows.column("latency"))[at], 0)
    return at, over_tcp, times + np.where(over_tcp, 0, waited), keys.cast(pa.large_string())
