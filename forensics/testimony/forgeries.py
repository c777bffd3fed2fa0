"""Forged responses: what somebody sent in a server's name, as the capture shows it.

Who forges from afar has to guess the id of a query, and to be faster than the server (RFC 5452 3).
Two marks of that do not occur by themselves:

- *Guesses*: responses with several ids to one port of a client, from the address of the server that
  it just asked this very question with yet another id.
- *Races*: two responses to one query, with different signatures, of which one validates and the
  other does not.

They say nothing of the zone, and accuse nobody: a source address proves no sender.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.vocabulary import PAIRINGS, Pairing, Status
from forensics.wire.verdicts import VerdictIndex

FEWEST: Final = 3
"""Ids that make a guess: one stray response may answer a query that was not recorded."""

NEAR: Final = 2 * limits.SECOND
"""A guess counts within this time of the query: behind it the server has answered long since."""

KEPT: Final = 2**16
"""Questions that are watched for guesses, and races that are told."""

_UNSOLICITED: Final = PAIRINGS[Pairing.UNSOLICITED]

_Batches = Callable[[], Iterator[Any]]
_Key = tuple[str, str, int, str, int]
"""client, server, client's port, qname, qtype"""

_COLUMNS: Final = (
    "client", "server", "client_port", "qname", "qtype", "id", "time", "query_frame",
    "response_capture", "response_frame", "pairing",
)  # fmt: skip


@dataclass(slots=True)
class _Guesses:
    """Responses to one question that fit no query: (time, id, capture, frame) of each."""

    seen: list[tuple[int, int, int, int]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def counted(self) -> list[tuple[int, int, int, int]]:
        """Give those near a query of another id, none where they are too few."""
        near = [row for row in self.seen if any(abs(row[0] - t) <= NEAR for t in self.asked)]
        return sorted(near) if len({row[1] for row in near}) >= FEWEST else []


def forgeries(
    transactions: _Batches,
    disputed: NDArray[np.int64],
    validated: Collection[int],
    paths: dict[int, str],
) -> list[dict[str, Any]]:
    """Tell of forged responses: at most one finding.

    Args:
        transactions: gives schemas.TRANSACTIONS as record batches, from the start each time.
        disputed: capture << 32 | frame of the responses that another one to the same query
            contradicts, sorted.
        validated: those of them with a signature that holds.
        paths: of the captures, by number.
    """
    guesses = _guesses(transactions)
    races = _races(transactions, disputed, set(validated))
    marks = [row for held in guesses.values() for row in held]
    if not marks and not races:
        return []
    servers = sorted({key[1] for key in guesses} | {server for _, server, _, _ in races})
    frames = sorted([row[0], row[2], row[3]] for row in marks)[:1]
    frames += sorted([time, where >> 32, where & 0xFFFFFFFF] for time, _, _, where in races)[:1]
    parts = []
    if marks:
        number = f"{len(marks):,} responses"
        parts.append(f"{number} with guessed ids reached clients that had just asked")
    if races:
        held = "1 query drew" if len(races) == 1 else f"{len(races):,} queries drew"
        parts.append(f"{held} a response that validates and one that does not")
    sentence = (
        f"Somebody forged responses in the name of {', '.join(servers[:4])}"
        f"{' and others' if len(servers) > 4 else ''}: {', and '.join(parts)}. They are held "
        "against no zone and no server: a source address proves no sender."
    )
    return [
        {
            "kind": "forgery",
            "guesses": len(marks),
            "races": len(races),
            "servers": servers,
            "frames": [
                {"capture": paths.get(capture, "?"), "frame": frame} for _, capture, frame in frames
            ],
            "sentence": sentence,
        }
    ]


def holding(sightings: _Batches, verdicts: Any, disputed: NDArray[np.int64]) -> set[int]:
    """Give the disputed responses that show a signature which holds.

    Args:
        sightings: gives schemas.SIGHTINGS as record batches.
        verdicts: of schemas.VERDICTS.
        disputed: capture << 32 | frame, sorted.
    """
    found: set[int] = set()
    if not len(disputed):
        return found
    index = VerdictIndex(verdicts)
    for batch in sightings():
        where = _places(batch, "capture", "frame")
        mine = np.isin(where, disputed)
        if not mine.any():
            continue
        rows = batch.filter(_mask(mine))
        signature, place, time = (
            rows[name].cast("int64").to_numpy(zero_copy_only=False)
            for name in ("signature", "place", "time")
        )
        status, *_ = index.codes(signature, place, time)
        holds = (status == Status.SECURE) | (status == Status.VALID)
        found.update(where[mine][holds].tolist())
    return found


def _guesses(transactions: _Batches) -> dict[_Key, list[tuple[int, int, int, int]]]:
    """Give the guesses by question, where there are enough of them."""
    found: dict[_Key, _Guesses] = {}
    for key, row in _rows(transactions(), lambda batch: _is(batch, _UNSOLICITED)):
        if None in key:
            continue  # without a question, or with one that cannot be read, it answers none
        if key in found or len(found) < KEPT:
            held = found.setdefault(key, _Guesses()).seen
            if len(held) < KEPT and row["response_frame"] is not None:
                held.append(
                    (row["time"], row["id"], row["response_capture"], row["response_frame"])
                )
    found = {key: held for key, held in found.items() if len({r[1] for r in held.seen}) >= FEWEST}
    if not found:
        return {}
    ports = np.array(sorted({key[2] for key in found}), np.int64)

    def asked(batch: Any) -> NDArray[np.bool_]:
        port = batch["client_port"].to_numpy(zero_copy_only=False)
        held = np.asarray(batch["query_frame"].is_valid(), dtype=np.bool_)
        chosen: NDArray[np.bool_] = np.isin(port, ports) & held
        return chosen

    for key, row in _rows(transactions(), asked):
        if key in found:
            found[key].asked.append(row["time"])
    counted = {key: held.counted() for key, held in sorted(found.items())}
    return {key: held for key, held in counted.items() if held}


def _races(
    transactions: _Batches, disputed: NDArray[np.int64], validated: set[int]
) -> list[tuple[int, str, str, int]]:
    """Give the queries that drew a true response and another one.

    Returns:
        time, server and client, and the place (capture << 32 | frame) of the other response.
    """
    if not len(disputed):
        return []

    def chosen(batch: Any) -> NDArray[np.bool_]:
        return np.isin(_places(batch, "response_capture", "response_frame"), disputed)

    found: dict[tuple[str, str, int, int], list[tuple[int, int]]] = {}
    for key, row in _rows(transactions(), chosen):
        exchange = (*key[:3], row["id"])
        if exchange in found or len(found) < KEPT:
            where = row["response_capture"] << 32 | row["response_frame"]
            found.setdefault(exchange, []).append((row["time"], where))
    races = []
    for (client, server, _, _), held in sorted(found.items()):
        true = [row for row in held if row[1] in validated]
        other = [row for row in held if row[1] not in validated]
        if true and other:
            time, where = min(other)
            races.append((time, server, client, where))
    return races


def _rows(
    batches: Iterator[Any], chosen: Callable[[Any], NDArray[np.bool_]]
) -> Iterator[tuple[_Key, dict[str, Any]]]:
    """Give the chosen transactions with their question; times in ns."""
    import pyarrow as pa

    for batch in batches:
        mask = chosen(batch) if batch.num_rows else np.zeros(0, bool)
        if not mask.any():
            continue
        rows = batch.select(_COLUMNS).filter(_mask(mask))
        times = rows["time"].cast(pa.int64()).to_pylist()
        for row, time in zip(rows.drop_columns(["time"]).to_pylist(), times, strict=True):
            row["time"] = time
            key = (row["client"], row["server"], row["client_port"], row["qname"], row["qtype"])
            yield key, row


def _places(batch: Any, capture: str, frame: str) -> NDArray[np.int64]:
    """Give capture << 32 | frame of each row."""
    first, second = (
        batch[name].fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        for name in (capture, frame)
    )
    found: NDArray[np.int64] = first << 32 | second
    return found


def _mask(chosen: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(chosen)


def _is(batch: Any, pairing: str) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    equal = pc.equal(batch["pairing"].cast(pa.string()), pairing)
    return np.asarray(pc.fill_null(equal, fill_value=False), dtype=bool)
