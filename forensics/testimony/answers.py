"""Responses to clients as arrays, for what resolvers say in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import is_subdomain
from forensics.testimony.columns import flags, ints, to_clients, words

Texts = tuple[NDArray[np.int64], list[str | None]]
"""Codes (-1: null) and values."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Responses to clients, N of them; `texts` are EXTRA-TEXTs."""

    time: NDArray[np.int64]
    where: NDArray[np.int64]
    server: Texts
    name: Texts
    client: Texts
    texts: Texts
    qtype: NDArray[np.int64]
    rcode: NDArray[np.int64]
    ede: NDArray[np.int64]
    ad: NDArray[np.bool_]
    cd: NDArray[np.bool_]


def read(batches: Iterator[Any]) -> Iterator[Rows]:
    """Read the responses to clients, batch by batch."""
    for batch in batches:
        rows = batch.filter(to_clients(batch)) if batch.num_rows else batch
        if not rows.num_rows:
            continue
        yield Rows(
            time=ints(rows["time"]) + np.maximum(ints(rows["latency"]), 0),
            where=ints(rows["response_capture"]) << 32 | ints(rows["response_frame"]),
            server=words(rows["server"]),
            name=words(rows["qname"]),
            client=words(rows["client"]),
            texts=words(rows["ede_text"]),
            qtype=ints(rows["qtype"]),
            rcode=ints(rows["rcode"]),
            ede=ints(rows["ede"], -1),
            ad=flags(rows["ad"]),
            cd=flags(rows["cd"]),
        )


def under(rows: Rows, zone: str) -> NDArray[np.bool_]:
    """Tell which rows ask for a name at or below a zone."""
    codes, names = rows.name
    table = [name is not None and is_subdomain(name, zone) for name in names]
    chosen: NDArray[np.bool_] = np.array([*table, False])[codes]
    return chosen


def text(column: Texts, row: int) -> str | None:
    """Give the text of a row."""
    code = int(column[0][row])
    return None if code < 0 else column[1][code]


def texts(column: Texts, at: NDArray[np.int64]) -> set[str]:
    """Give the distinct texts of some rows."""
    found = {column[1][code] for code in np.unique(column[0][at]).tolist() if code >= 0}
    return {word for word in found if word is not None}
