"""Which transactions tell of a name: those that asked, those that hold it, referrals to it.

Columns in, transaction numbers out; no Python object is made for a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.explanation.columns import Kept, Ordered, is_in_text, masked, numbers
from forensics.explanation.records import TYPE_CNAME, TYPE_DNAME
from forensics.vocabulary import (
    TYPE_DNSKEY,
    TYPE_DS,
    TYPE_NS,
    Section,
    SightingFlag,
)

Class = tuple[str, str, int]
"""What a response tells of: (asked | holds | refers, name, type)."""

_WILDCARD: Final = int(SightingFlag.WILDCARD)


@dataclass(frozen=True)
class _Rows:
    """Rows that tell of one thing: server, ns, transaction."""

    where: NDArray[np.int64]
    time: NDArray[np.int64]
    number: NDArray[np.int64]

    def those(self, mask: NDArray[np.bool_]) -> _Rows:
        return _Rows(self.where[mask], self.time[mask], self.number[mask])


_Found = dict[Class, list[_Rows]]


@dataclass
class Picker:
    """Finds transactions by what they tell of.

    Attributes:
        kept: the tables.
        signatures: number, owner and type of all signatures; None: there are none.
        servers: gives a number to an address with its NSID.
        server_of: int64, that number for each place.
        clients: addresses of the resolver whose view is asked for; empty: all.
    """

    kept: Kept
    signatures: Any
    servers: Callable[[str, str | None], int]
    server_of: NDArray[np.int64]
    clients: frozenset[str] = frozenset()
    _last: tuple[list[str], int, dict[Class, Ordered]] = ([], 0, {})
    _picked: dict[int, dict[Class, NDArray[np.int64]]] = field(default_factory=dict)

    def pick(self, names: list[str], kind: int, at: int) -> dict[Class, NDArray[np.int64]]:
        """Choose the transactions that tell of a question and of the zones above it.

        Args:
            names: the asked name, then its ancestors.
            kind: the asked type.
            at: ns; those nearest to it are taken.
        """
        if self._last[:2] != (names, kind):
            self._last = (names, kind, self._telling(names, kind))
            self._picked.clear()
        if at not in self._picked:
            self._picked[at] = {what: rows.nearest(at) for what, rows in self._last[2].items()}
        return self._picked[at]

    def _telling(self, names: list[str], kind: int) -> dict[Class, Ordered]:
        """Find the transactions that tell of a question at any time."""
        found: _Found = defaultdict(list)
        self._asking(names, found)
        self._holding(names, kind, found)
        self._referring(names, found)
        wanted = {
            what: rows
            for what, rows in found.items()
            if what[0] != "asked" or what[1] == names[0] or what[2] in {TYPE_DS, TYPE_DNSKEY}
        }
        own = self._received(wanted) if self.clients else None
        told = {}
        for what, parts in wanted.items():
            rows = _concatenated(parts)
            if own is not None:
                rows = rows.those(np.isin(rows.number, own))
            told[what] = Ordered.of(rows.where, rows.time, rows.number)
        return told

    def _asking(self, names: list[str], found: _Found) -> None:
        for batch in self.kept("transactions"):
            rows = masked(batch, is_in_text(batch.column("qname"), names))
            if not rows.num_rows:
                continue
            time = numbers(rows, "time") + numbers(rows, "latency")
            number = numbers(rows, "transaction")
            where = self._servers_of(rows)
            texts, codes = _coded(rows.column("qname"))
            kinds = numbers(rows, "qtype")
            packed = codes << 16 | kinds
            for value in np.unique(packed).tolist():
                mine = packed == value
                what = ("asked", texts[value >> 16] or ".", value & 0xFFFF)
                found[what].append(_Rows(where[mine], time[mine], number[mine]))

    def _servers_of(self, rows: Any) -> NDArray[np.int64]:
        """Return the number of each row's server; each distinct pair of texts is looked at once."""
        addresses, first = _coded(rows.column("server"))
        instances, second = _coded(rows.column("nsid"))
        pairs, inverse = np.unique(first << 32 | second, return_inverse=True)
        known = [
            self.servers(addresses[pair >> 32] or "", instances[pair & 0xFFFFFFFF])
            for pair in pairs.tolist()
        ]
        return np.array(known, np.int64)[inverse]

    def _holding(self, names: list[str], kind: int, found: _Found) -> None:
        if self.signatures is None:
            return
        import pyarrow as pa
        import pyarrow.compute as pc

        owners, types = self.signatures["owner"], self.signatures["type"]

        def of(kinds: list[int]) -> Any:
            return pc.is_in(types, value_set=pa.array(kinds, pa.uint16()))

        above = pc.is_in(owners, value_set=pa.array(names, pa.string()))
        own = pc.equal(owners, names[0])
        mask = pc.or_(
            pc.and_(above, of([TYPE_DS, TYPE_DNSKEY, TYPE_DNAME])),
            pc.and_(own, of([kind, TYPE_CNAME])),
        )
        rows = self.signatures.filter(mask)
        if not rows.num_rows:
            return
        order = np.argsort(numbers(rows, "signature"))
        ranked = numbers(rows, "signature")[order]
        what = list(zip(rows["owner"].to_pylist(), rows["type"].to_pylist(), strict=True))
        classes = sorted(set(what))
        code = np.array([classes.index(w) for w in what], np.int64)[order]
        for batch in self.kept("sightings"):
            seen = numbers(batch, "signature")
            at = np.minimum(np.searchsorted(ranked, seen), len(ranked) - 1)
            hit = (ranked[at] == seen) & (numbers(batch, "section") != Section.ADDITIONAL)
            hit &= (numbers(batch, "flags") & _WILDCARD) == 0
            if not hit.any():
                continue
            rows_of = self._placed(batch, hit)
            mine = code[at[hit]]
            for value in np.unique(mine).tolist():
                owner, covered = classes[value]
                found["holds", owner, covered].append(rows_of.those(mine == value))

    def _placed(self, batch: Any, mask: NDArray[np.bool_]) -> _Rows:
        place = numbers(batch, "place")[mask]
        inside = np.minimum(place, max(len(self.server_of) - 1, 0))
        where = self.server_of[inside] if len(self.server_of) else place
        return _Rows(where, numbers(batch, "time")[mask], numbers(batch, "transaction")[mask])

    def _referring(self, names: list[str], found: _Found) -> None:
        """Find referrals: NS RRsets of the names in the authority section.

        Where the table leaves the owner out, it is the question's name.
        """
        asked: dict[str, list[NDArray[np.int64]]] = defaultdict(list)
        for (how, name, _), parts in found.items():
            if how == "asked":
                asked[name] += [part.number for part in parts]
        for batch in self.kept("unsigned"):
            delegates = (numbers(batch, "type") == TYPE_NS) & (
                numbers(batch, "section") == Section.AUTHORITY
            )
            owner = batch.column("owner")
            unnamed = delegates & owner.is_null().to_numpy(zero_copy_only=False)
            for name in names:
                mask = delegates & is_in_text(owner, [name])
                if unnamed.any() and name in asked:
                    own = np.concatenate(asked[name])
                    mask |= unnamed & np.isin(numbers(batch, "transaction"), own)
                if mask.any():
                    found["refers", name, TYPE_NS].append(self._placed(batch, mask))

    def _received(self, found: Mapping[Class, list[_Rows]]) -> NDArray[np.int64]:
        """Return those of the transactions in which the resolver asked about was the client."""
        parts = [rows.number for held in found.values() for rows in held]
        wanted = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        own = []
        for batch in self.kept("transactions"):
            mine = is_in_text(batch.column("client"), self.clients)
            held = numbers(batch, "transaction")[mine]
            own.append(held[np.isin(held, wanted)])
        return np.concatenate(own) if own else np.empty(0, np.int64)


def _concatenated(parts: list[_Rows]) -> _Rows:
    return _Rows(
        np.concatenate([part.where for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.number for part in parts]),
    )


def _coded(column: Any) -> tuple[list[str | None], NDArray[np.int64]]:
    """Return the distinct texts of a column, and each row's index among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    texts = [*column.dictionary.to_pylist(), None]
    codes = column.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return texts, codes.astype(np.int64)
