"""One lookup seen from two vantages: in the packets of a resolver and in its own dnstap.

`capture/sensors.py` drops the packets that two captures hold both. What dnstap, C-DNS or a
resolver's protobuf tell of a message stays a message of its own, for it bears what no packet does:
who wrote it. Yet a client asked once. So transactions of different vantages with the same
endpoints, transport, id and question are one where their times agree within `WINDOW`, the n-th of
one being the n-th of the other: a repetition is never taken for a copy. What a server records
bears that server's clock; how far it stands from that of the packets is measured by the
transactions that each holds exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.timeline.columns import coded, integers
from forensics.timeline.wording import counted

PACKETS: Final = ("pcap", "pcapng")
"""Formats whose copies `capture/sensors.py` has dropped: together they are one vantage."""

WINDOW: Final = 2 * limits.SECOND
"""Two sights of one transaction lie within this of each other, clocks set right: the time that a
loaded server takes to see a query, shorter than the time after which most clients ask again."""

SHARED: Final = 16
"""Transactions that both hold exactly once, on which an offset between their clocks must rest."""

SPREAD: Final = limits.SECOND // 2
"""Three quarters of them must agree within this, else no offset is known: id, ports and question
agree by chance too, years apart."""

AT_ONCE: Final = 2**22
"""Transactions held against each other at once, 40 octets each; more are parted by their hash, and
read as often as there are parts."""

Batches = Callable[[], Iterator[Any]]
_NONE: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Twins:
    """Which transactions are another sight of one that is counted already.

    Attributes:
        again: int64, sorted: transactions.transaction of those that are left out.
        named: int64, sorted: those that are kept, and that some other sight gave an identity.
        identity: int64, as long: index of that identity in `identities`.
        identities: texts.
        figures: by path of the capture, how many of its transactions are left out.
    """

    again: NDArray[np.int64] = field(default_factory=_NONE.copy)
    named: NDArray[np.int64] = field(default_factory=_NONE.copy)
    identity: NDArray[np.int64] = field(default_factory=_NONE.copy)
    identities: tuple[str, ...] = ()
    figures: dict[str, int] = field(default_factory=dict)

    def findings(self) -> list[dict[str, Any]]:
        """Tell how much was seen twice; nothing where nothing was."""
        return [
            {
                "kind": "seen-twice",
                "capture": path,
                "count": count,
                "sentence": (
                    f"{counted(count, 'transaction')} of {path} "
                    f"{'was' if count == 1 else 'were'} seen in another capture too, by packets or "
                    "by what another server recorded; each was counted once."
                ),
            }
            for path, count in self.figures.items()
        ]

    def once(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Leave out what is seen again; what is kept bears the identity that its twin showed."""
        for batch in batches:
            yield self._once(batch) if len(self.again) and batch.num_rows else batch

    def _once(self, batch: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = integers(batch["transaction"])
        at, told = _found(numbers, self.named)
        if told.any():
            column = batch.schema.get_field_index("identity")
            texts = pa.array(self.identities, pa.string())
            other = texts.take(pa.array(self.identity[at], mask=~told))
            own = pc.coalesce(batch["identity"].cast(pa.string()), other)
            kind = batch.schema.field(column)
            batch = batch.set_column(column, kind, own.dictionary_encode().cast(kind.type))
        _, again = _found(numbers, self.again)
        return batch.filter(pa.array(~again)) if again.any() else batch


def twins(batches: Batches, captures: Any) -> Twins:
    """Find the transactions that were seen from several vantages.

    Args:
        batches: gives those of schemas.TRANSACTIONS, as often as asked.
        captures: of schemas.CAPTURES.
    """
    vantages = _vantages(captures)
    if len(set(vantages.values())) < 2 and not _is_several(captures):
        return Twins()
    rows = sum(captures["messages"].to_pylist())
    parts = 1 + rows // AT_ONCE
    paths = dict(zip(*(captures[name].to_pylist() for name in ("capture", "path")), strict=True))
    offsets: dict[int, int] | None = None
    again, named, identity = [], [], []
    texts: dict[str, int] = {}
    figures: dict[str, int] = {}
    for part in range(parts):
        held = _Sights.read(batches(), vantages, texts, part, parts)
        if offsets is None:
            offsets = _offsets(held)
        for vantage, offset in offsets.items():
            held.time = held.time - offset * (held.vantage == vantage)
        first, second = _pairs(held)
        again.append(held.number[second])
        for capture, count in enumerate(np.bincount(held.capture[second]).tolist()):
            if count:
                figures[paths[capture]] = figures.get(paths[capture], 0) + count
        told = (held.identity[first] < 0) & (held.identity[second] >= 0)
        named.append(held.number[first[told]])
        identity.append(held.identity[second[told]])
    told_to, at = np.unique(np.concatenate(named), return_index=True)
    return Twins(
        again=np.sort(np.concatenate(again)),
        named=told_to,
        identity=np.concatenate(identity)[at],
        identities=tuple(texts),
        figures=dict(sorted(figures.items())),
    )


@dataclass(slots=True)
class _Sights:
    """N transactions; arrays of length N.

    Attributes:
        key: uint64, hash of endpoints, transport, id and question.
        time: int64, ns. number: int64, transactions.transaction.
        vantage: int64, the same for all packets, else for one kind and writer of messages.
        capture: int64. identity: int64, index of a text, -1 for none.
        answered: bool.
    """

    key: NDArray[np.uint64]
    time: NDArray[np.int64]
    number: NDArray[np.int64]
    vantage: NDArray[np.int64]
    capture: NDArray[np.int64]
    identity: NDArray[np.int64]
    answered: NDArray[np.bool_]

    @classmethod
    def read(
        cls,
        batches: Iterator[Any],
        vantages: dict[int, int],
        texts: dict[str, int],
        part: int,
        parts: int,
    ) -> _Sights:
        """Read those whose hash falls into one of some parts; `texts` numbers the identities."""
        found: list[tuple[NDArray[Any], ...]] = []
        table = np.zeros(max(vantages, default=0) + 1, np.int64)
        table[list(vantages)] = list(vantages.values())
        for batch in batches:
            if not batch.num_rows:
                continue
            key = _keys(batch)
            mine = (key % np.uint64(parts)) == part
            who = _identities(batch["identity"], texts)
            capture = integers(batch["capture"])
            # Packets are vantage 0; of a server's own record each writer is a vantage.
            base = table[capture]
            vantage = np.where(base > 0, base << 32 | (who + 1), 0)
            answered = np.asarray(batch["response_frame"].is_valid())
            rows = (key, integers(batch["time"]), integers(batch["transaction"]), vantage,
                    capture, who, answered)  # fmt: skip
            found.append(tuple(column[mine] for column in rows))
        if not found:
            none = np.zeros(0, np.uint64)
            return cls(none, _NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(0, np.bool_))
        return cls(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _pairs(held: _Sights) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the rows that are kept and left out, pair by pair.

    Rows of one key without a pause of more than `WINDOW` are a cluster; in it the n-th of each
    vantage are one transaction. The answered sight is kept, then the packets'.
    """
    if not len(held.key):
        return _NONE, _NONE
    order = np.lexsort((held.number, held.time, held.key))
    key, time = held.key[order], held.time[order]
    new = np.r_[True, (key[1:] != key[:-1]) | (np.diff(time) > WINDOW)]
    cluster = np.empty(len(order), np.int64)
    cluster[order] = np.cumsum(new)
    order = np.lexsort((held.number, held.time, held.vantage, cluster))
    same = (cluster[order][1:] == cluster[order][:-1]) & (
        held.vantage[order][1:] == held.vantage[order][:-1]
    )
    # A server's own record of one instant, read from two files, is a copy of it.
    copied = same & (held.time[order][1:] == held.time[order][:-1])
    copied &= (held.capture[order][1:] != held.capture[order][:-1]) & (held.vantage[order][1:] > 0)
    step = np.r_[True, ~copied]
    count = np.cumsum(step)
    starts = np.flatnonzero(np.r_[True, ~same])
    turn = np.empty(len(order), np.int64)
    turn[order] = count - np.repeat(count[starts], np.diff(np.r_[starts, len(order)]))
    order = np.lexsort((held.number, held.vantage, ~held.answered, turn, cluster))
    together = (cluster[order][1:] == cluster[order][:-1]) & (turn[order][1:] == turn[order][:-1])
    heads = np.flatnonzero(np.r_[True, ~together])
    first = np.repeat(order[heads], np.diff(np.r_[heads, len(order)]))
    left = np.r_[False, together]
    return first[left], order[left]


def _offsets(held: _Sights) -> dict[int, int]:
    """Measure by how much the clock of each further vantage is ahead of the packets', in ns."""
    found: dict[int, int] = {}
    keys, times = _single(held, held.vantage == 0)
    for vantage in np.unique(held.vantage[held.vantage > 0]).tolist():
        others, other_times = _single(held, held.vantage == vantage)
        _, left, right = np.intersect1d(keys, others, assume_unique=True, return_indices=True)
        ahead = other_times[right] - times[left]
        if len(ahead) < SHARED:
            continue
        offset = int(np.median(ahead))
        if np.quantile(np.abs(ahead - offset), 0.75) <= SPREAD and abs(offset) > WINDOW // 4:
            found[vantage] = offset
    return found


def _single(
    held: _Sights, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Give the keys that occur exactly once among the chosen, and their times."""
    keys, at, counts = np.unique(held.key[chosen], return_index=True, return_counts=True)
    return keys[counts == 1], held.time[chosen][at[counts == 1]]


def _vantages(captures: Any) -> dict[int, int]:
    """Give the vantage of each capture: 0 for packets, else one for each format."""
    formats = [text.split("+")[0] for text in captures["format"].to_pylist()]
    others = sorted({name for name in formats if name not in PACKETS})
    number = {name: 1 + others.index(name) for name in others}
    return {
        capture: number.get(name, 0)
        for capture, name in zip(captures["capture"].to_pylist(), formats, strict=True)
    }


def _is_several(captures: Any) -> bool:
    """Whether some capture that is no packets stands beside another one."""
    return captures.num_rows > 1 and any(_vantages(captures).values())


def _keys(batch: Any) -> NDArray[np.uint64]:
    """Hash endpoints, transport, id and question of N rows."""
    from forensics.timeline.sketch import hash_values, mix

    def texts(name: str) -> NDArray[np.uint64]:
        column = coded(batch[name])
        return column.lookup(hash_values(column.values), np.uint64(0)).astype(np.uint64)

    numbers = np.zeros(batch.num_rows, np.uint64)
    for name in ("client_port", "id", "qtype"):
        numbers = numbers << np.uint64(16) | integers(batch[name]).astype(np.uint64)
    return mix(texts("client"), texts("server"), texts("qname"), texts("transport"), numbers)


def _identities(column: Any, texts: dict[str, int]) -> NDArray[np.int64]:
    """Number the identities of N rows, -1 for none."""
    column = coded(column)
    names = [texts.setdefault(text, len(texts)) for text in column.values.to_pylist()]
    table: NDArray[np.int64] = np.array(names, np.int64)
    found: NDArray[np.int64] = column.lookup(table, -1).astype(np.int64)
    return found


def _found(
    numbers: NDArray[np.int64], known: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give where each number stands among the known ones, which are sorted, and whether it does."""
    if not len(known):
        return np.zeros(len(numbers), np.int64), np.zeros(len(numbers), bool)
    at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return at, known[at] == numbers
