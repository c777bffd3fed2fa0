"""Evidence of one file that others may continue: what their rows could change is left open.

A response whose query stands in the file before looks unsolicited here. So for the first
`limits.LATE_TIMEOUT` of a file the sightings of key RRsets in such responses are runs of their own,
and their unsigned RRsets are kept aside, until `stitching` knows what was asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.evidence.collector import Evidence
from forensics.evidence.keysets import raw_runs
from forensics.vocabulary import Pairing, SightingFlag

_NUMBERS: Final = 2**16 - 2
_ASKED: Final = int(SightingFlag.DO | SightingFlag.DO_KNOWN)


class OpenEvidence:
    """`evidence.collector.Evidence` of one file whose beginning is open; same methods.

    Args:
        servers, resolvers: as of `Evidence`.
        is_seam: the query of each response may stand elsewhere, not only of the first ones.

    Attributes:
        aside: record batches of schemas UNSIGNED: RRsets of which it is not known whether they
            were asked for with DO.
        begins: by number of a place, the frame of its first response.
    """

    def __init__(
        self, servers: frozenset[str], resolvers: frozenset[str], *, is_seam: bool = False
    ) -> None:
        self._is_seam = is_seam
        self.aside: list[Any] = []
        self.begins: list[int] = [0]
        self._evidence = Evidence(servers, resolvers)
        self._begin: int | None = None
        self._met = 0

    def collect(self, block: Any, parsed: Any) -> tuple[Any, Any]:
        """Take in one block, as `Evidence.collect`."""
        if len(block) and self._begin is None:
            self._begin = int(block.time.min())
        begin = self._begin or 0
        count = len(block)
        self._note_places(parsed.place[:count], block.frame)
        lone = (
            (parsed.state[:count] == Pairing.UNSOLICITED)
            & (parsed.header_flags[:count] & 0x8000 != 0)
            & (self._is_seam | (block.time <= begin + limits.LATE_TIMEOUT))
        )
        if not lone.any():
            sightings, unsigned = self._evidence.collect(block, parsed)
            return sightings, unsigned
        captures = np.zeros(count, np.uint16)
        numbers = self._met + np.arange(int(lone.sum()))
        captures[lone] = 1 + numbers % _NUMBERS
        self._met += len(numbers)
        silent = lone & ~parsed.dnssec_ok[:count]
        # As if they had been asked for with DO; what comes of it is kept aside.
        parsed.do_known[:count] |= silent
        parsed.do_asked[:count] |= silent
        sightings, unsigned = self._evidence.collect(replace(block, captures=captures), parsed)
        parsed.do_known[:count] &= ~silent
        supposed = parsed.transaction[:count][silent]
        unsigned = _restored(unsigned, supposed)
        maybe = np.isin(_numbers(unsigned, "transaction"), supposed)
        if maybe.any():
            self.aside.append(unsigned.filter(_mask(maybe)))
            unsigned = unsigned.filter(_mask(~maybe))
        return _restored(sightings, supposed), unsigned

    def _note_places(self, places: NDArray[np.uint32], frames: NDArray[np.int64]) -> None:
        """Note where places are first seen: they are numbered in that order, and few are new."""
        for number in range(len(self.begins), int(places.max(initial=0)) + 1):
            at = np.flatnonzero(places == number)
            self.begins.append(int(frames[at[0]]) if len(at) else 0)

    def signatures(self) -> Any:
        """As `Evidence.signatures`."""
        return self._evidence.signatures()

    def key_runs(self) -> Any:
        """As `Evidence.key_runs`: this file alone, decided."""
        return self._evidence.key_runs()

    def raw_runs(self) -> Any:
        """The undecided runs: see `evidence.keysets.raw_runs`."""
        return raw_runs(self._evidence.held)

    @property
    def paired(self) -> NDArray[np.int64]:
        """Responses that were paired, by number of the place."""
        return self._evidence.held.paired

    @property
    def skipped(self) -> dict[str, int]:
        """As `Evidence.skipped`, without `unsolicited`, which is not decided."""
        return {
            name: count for name, count in self._evidence.skipped.items() if name != "unsolicited"
        }


def _restored(rows: Any, supposed: NDArray[np.int64]) -> Any:
    """Take the supposed DO out of the flags again, and the numbers out of `capture`."""
    import pyarrow as pa

    flags = rows.column("flags").to_numpy(zero_copy_only=False).copy()
    flags[np.isin(_numbers(rows, "transaction"), supposed)] &= 0xFFFF ^ _ASKED
    for name, values in (("flags", flags), ("capture", np.zeros(rows.num_rows, np.uint16))):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, pa.uint16()))
    return rows


def _numbers(rows: Any, name: str) -> NDArray[np.int64]:
    return rows.column(name).to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _mask(chosen: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(chosen)
