"""What the servers of a zone served right while other records of it were bad.

`partial` rests on it: a server that stayed good, or a zone of which single RRsets alone were badly
signed. Packets that show only what was bad would prove an outage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from forensics.vocabulary import SightingFlag, Status

_KINDS: Final = (6, 43, 48, 47, 50)
"""SOA, DS, DNSKEY, NSEC and NSEC3: told apart; every other type is data."""

_PARTS: Final = 16
"""So many stretches of the incident, of each of which one good answer is shown."""


def unharmed(incident: dict[str, Any], tables: Path) -> Iterator[tuple[int, int, str]]:
    """Give good answers from each server of a partial incident, spread over the time it was bad.

    One a server, kind of record (SOA, DS, DNSKEY, denial, data) and sixteenth of the time at most.

    Yields (capture number, frame, what it shows).
    """
    from forensics.archive.tables import iter_batches, read_table
    from forensics.report.times import parse
    from forensics.wire.verdicts import VerdictIndex

    begin = parse(incident["onset"]["first_bad"])
    end = parse(incident["recovery"]["last_bad"])
    if incident["severity"] != "partial" or begin is None or end is None:
        return
    zone = str(incident["zone"])
    addresses = {row["address"] for row in incident["servers"]}
    places = read_table(tables, "places", ["place", "server"])
    servers = dict(zip(places["place"].to_pylist(), places["server"].to_pylist(), strict=True))
    wanted = np.array([place for place, at in servers.items() if at in addresses], np.int64)
    signatures = read_table(tables, "signatures", ["signature", "signer", "type"])
    numbers = signatures["signature"].to_numpy()
    size = int(numbers.max(initial=0)) + 1
    mine, kinds = np.zeros(size, bool), np.zeros(size, np.int64)
    mine[numbers] = [signer == zone for signer in signatures["signer"].to_pylist()]
    types = signatures["type"].to_numpy()
    for number, kind in enumerate(_KINDS, start=1):
        kinds[numbers[types == kind]] = number
    judge = VerdictIndex(read_table(tables, "verdicts"))
    found: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    columns = ["signature", "time", "capture", "frame", "place", "flags"]
    for batch in iter_batches(tables, "sightings", columns):
        signature, time, capture, frame, place, flags = (
            batch.column(name).cast("int64").to_numpy().astype(np.int64) for name in columns
        )
        at = np.flatnonzero(
            mine[signature]
            & np.isin(place, wanted)
            & (time >= begin)
            & (time <= end)
            & ((flags & int(SightingFlag.UNPAIRED)) == 0)
        )
        status = judge.codes(signature[at], place[at], time[at])[0]
        at = at[(status == Status.SECURE) | (status == Status.VALID)]
        part = (time[at] - begin) * _PARTS // (end - begin + 1)
        order = np.lexsort((frame[at], capture[at], time[at]))
        for row, stretch in zip(at[order].tolist(), part[order].tolist(), strict=True):
            key = (int(place[row]), int(kinds[signature[row]]), stretch)
            seen = (int(time[row]), int(capture[row]), int(frame[row]))
            found[key] = min(found.get(key, seen), seen)
    for (place, _, _), (_, capture, frame) in sorted(found.items()):
        what = f"an answer of {zone} that validates while others do not, at {servers[place]}"
        yield capture, frame, what
