"""Which names stand at or under which zones; names are lower case, presentation form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def ends_in_escape(text: str) -> bool:
    """Whether `text` ends in an odd number of backslashes: a dot behind it is data, no border."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def is_under(name: str, zone: str) -> bool:
    """Whether `name` is the zone's apex or below it."""
    if zone in {".", name}:
        return True
    return name.endswith("." + zone) and not ends_in_escape(name[: -len(zone) - 1])


def parent(name: str) -> str | None:
    """Give the name without its first label; None for the root."""
    if name in {".", ""}:
        return None
    start = 0
    while True:
        dot = name.find(".", start)
        if dot < 0 or dot == len(name) - 1:
            return "."
        if not ends_in_escape(name[:dot]):
            return name[dot + 1 :]
        start = dot + 1


def child_label(name: str, zone: str) -> str | None:
    """Give the name one label below `zone` on the way to `name`; None at or above the zone."""
    below = None
    while name != zone:
        above = parent(name)
        if above is None:
            return None
        below, name = name, above
    return below


class ZoneFinder:
    """Finds, for names, the closest of a few zones that they stand at or under."""

    def __init__(self, zones: Iterable[str]) -> None:
        """Number the zones in sorted order."""
        self.zones: Sequence[str] = sorted(set(zones))
        self._number = {zone: number for number, zone in enumerate(self.zones)}
        self.above = np.full(max(len(self.zones), 1), -1, dtype=np.int32)
        for zone, number in self._number.items():
            up = parent(zone)
            self.above[number] = self.closest(up) if up is not None else -1

    def number(self, zone: str) -> int:
        """Give the number of a zone, -1 where it is none of these."""
        return self._number.get(zone, -1)

    def closest(self, name: str) -> int:
        """Give the number of the closest zone at or above `name`, -1 where there is none."""
        above: str | None = name
        while above is not None:
            number = self._number.get(above)
            if number is not None:
                return number
            above = parent(above)
        return -1

    def closest_of(self, names: Any) -> NDArray[np.int32]:
        """Give `closest` of each of N names (an Arrow array of strings); -1 for null."""
        if not self._number:
            return np.full(len(names), -1, dtype=np.int32)
        found = [-1 if name is None else self.closest(name) for name in names.to_pylist()]
        return np.asarray(found, dtype=np.int32)

    def chain(self, number: int) -> list[int]:
        """Give the zone with this number and all of these zones above it, the closest first."""
        chain = []
        while number >= 0:
            chain.append(number)
            number = int(self.above[number])
        return chain
