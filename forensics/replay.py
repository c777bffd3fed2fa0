"""A stream of a run's tables that many stages walk, read once where it is small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from forensics import limits


class Replay:
    """Record batches that are kept by the first whole walk, or read anew by each if they are many.

    Args:
        source: starts a walk over the stream, with some of its columns or, None, all; each gives
            the same rows.
        most: octets that may be kept.
    """

    def __init__(
        self,
        source: Callable[[list[str] | None], Iterator[Any]],
        most: int = limits.REPLAYED_OCTETS,
    ) -> None:
        self._source = source
        self._most = most
        self._kept: list[Any] | None = None

    def __call__(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Walk over the stream, or over some of its columns."""
        if self._kept is not None:
            return (one if columns is None else one.select(columns) for one in self._kept)
        return self._walk() if columns is None else self._source(list(columns))

    def _walk(self) -> Iterator[Any]:
        held: list[Any] = []
        room = self._most
        for batch in self._source(None):
            room -= batch.get_total_buffer_size()
            if room >= 0:
                held.append(batch)
            else:
                held.clear()
            yield batch
        if room >= 0:
            self._kept = held
