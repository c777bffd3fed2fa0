"""What a run is restricted to: one zone with its chain, and a span of time.

`--zone NAME` keeps signatures made by NAME, by zones below it and by its ancestors (the chain of
trust), and transactions for names at or below NAME. Times cut a stored dataset the way that
reading with `--from` and `--to` cuts a capture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from forensics.errors import UsageError
from forensics.knowledge import is_subdomain
from forensics.vocabulary import SightingFlag


class Scope:
    """The restriction of a run; without zone and times it lets everything pass.

    Args:
        zone: presentation form, or None.
        start, end: ns since 1970; what lies outside [start, end) is left out. None: open.

    Raises:
        UsageError: the zone is no domain name, or the times are in the wrong order.
    """

    def __init__(self, zone: str | None, start: int | None, end: int | None) -> None:
        self.zone = None if zone is None else _name(zone)
        self._start = start
        self._end = end
        if start is not None and end is not None and start >= end:
            raise UsageError("--from is not before --to")

    @property
    def span(self) -> tuple[int | None, int | None]:
        """The times: [from, to), None: open."""
        return self._start, self._end

    def concerns(self, signer: str) -> bool:
        """Whether a signer is the zone, below it, or above it."""
        if self.zone is None:
            return True
        return is_subdomain(signer, self.zone) or is_subdomain(self.zone, signer)

    def signatures(self, table: Any) -> Any:
        """Keep the rows of schemas.SIGNATURES whose signer concerns the zone."""
        if self.zone is None:
            return table
        return table.filter(_mask(table["signer"], self.concerns))

    def keys(self, table: Any) -> Any:
        """Keep the rows of schemas.KEYS whose zone concerns the zone, seen within the times."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.zone is not None:
            table = table.filter(_mask(table["zone"], self.concerns))
        if self._end is not None:
            table = table.filter(pc.less(table["first"].cast(pa.int64()), self._end))
        if self._start is not None:
            table = table.filter(pc.greater_equal(table["last"].cast(pa.int64()), self._start))
        return table

    def sightings(self, batches: Iterator[Any], signatures: Any) -> Iterator[Any]:
        """Keep sightings within the times and of the signatures that were kept."""
        import pyarrow.compute as pc

        chosen = signatures["signature"].combine_chunks()
        for batch in batches:
            rows = self._within(batch)
            if self.zone is not None:
                rows = rows.filter(pc.is_in(rows.column("signature"), value_set=chosen))
            yield rows

    def answers(self, batches: Iterator[Any], signatures: Any) -> Iterator[Any]:
        """Do as `sightings`, without those in zone transfers, which are no answers."""
        return answered(self.sightings(batches, signatures))

    def unsigned(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Keep unsigned RRsets within the times; those of other names find no transaction."""
        for batch in batches:
            yield self._within(batch)

    def transactions(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Keep transactions within the times and for names at or below the zone."""
        for batch in batches:
            rows = self._within(batch)
            if self.zone is not None:
                rows = rows.filter(_mask(rows.column("qname"), self._holds))
            yield rows

    def _holds(self, name: str | None) -> bool:
        return name is not None and is_subdomain(name, self.zone or ".")

    def _within(self, batch: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._start is None and self._end is None:
            return batch
        time = batch.column("time").cast(pa.int64())
        low = pc.greater_equal(time, -(2**63) if self._start is None else self._start)
        high = pc.less(time, 2**63 - 1 if self._end is None else self._end)
        return batch.filter(pc.and_(low, high))


def answered(batches: Iterator[Any]) -> Iterator[Any]:
    """Leave out the sightings in zone transfers."""
    import pyarrow as pa

    for batch in batches:
        flags = batch.column("flags").to_numpy(zero_copy_only=False)
        transfer = (flags & int(SightingFlag.TRANSFER)) != 0
        yield batch.filter(pa.array(~transfer)) if transfer.any() else batch


def _name(text: str) -> str:
    """Read a name as the user wrote it, as lower-case absolute presentation form."""
    import dns.exception
    import dns.name

    try:
        return dns.name.from_text(text).to_text().lower()
    except dns.exception.DNSException:
        raise UsageError(f"--zone {text}: not a domain name") from None


def _mask(column: Any, wanted: Any) -> Any:
    """Ask `wanted` once for each distinct text of a column; null is not wanted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    answers = pa.array([wanted(text) for text in column.dictionary.to_pylist()], pa.bool_())
    return pc.fill_null(answers.take(column.indices), fill_value=False)
