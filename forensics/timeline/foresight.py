"""What must be known of all transactions before one that came behind an incident can be judged.

The walk that counts (`impact.py`) takes each transaction once, in any order. Whether a resolver
answers from its memory of an incident (`lingering.py`), and which answer was its first behind the
last failure (`healing.py`), can be told only when all are known, so they are walked over before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.timeline import lookups
from forensics.timeline.healing import Healing
from forensics.timeline.lineage import ZoneFinder
from forensics.timeline.lingering import Lingering
from forensics.timeline.moments import FAR

if TYPE_CHECKING:
    from forensics.timeline.impact import Window


@dataclass(slots=True)
class Foresight:
    """Of one incident: what resolvers remember of it, and when they had last failed.

    Of one that did not end nothing is known.
    """

    lingering: Lingering
    healing: Healing = field(default_factory=Healing)


def look_ahead(batches: Iterator[Any], windows: Sequence[Window]) -> list[Foresight]:
    """Walk over the transactions for those incidents that ended; one a window, in their order.

    Args:
        batches: of schemas.TRANSACTIONS.
        windows: of the incidents.
    """
    found = [Foresight(Lingering(window)) for window in windows]
    ended = [(one, window) for one, window in zip(found, windows, strict=True) if window.end < FAR]
    if not ended:
        return found
    finder = ZoneFinder(window.zone for _, window in ended)
    chains = [frozenset(finder.chain(number)) for number in range(len(finder.zones))]
    for batch in batches:
        if not batch.num_rows:
            continue
        rows = lookups.read(batch)
        zone = lookups.zone_numbers(finder, rows.name)
        for one, window in ended:
            number = finder.number(window.zone)
            inside = np.array([*(number in chain for chain in chains), False], dtype=bool)[zone]
            one.lingering.note(rows, inside)
            since = inside & rows.client_side & (rows.instant >= window.begin)
            one.healing.note_failures(rows, since)
    return found
