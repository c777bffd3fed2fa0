"""Which zone names that failed have in common, and which one above it is cleared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from forensics.knowledge import ancestors, labels

FEWEST_NAMES: Final = 2
"""Names that fail below a child of a zone before the child is taken for a broken zone itself."""

FEWEST_VOUCHED: Final = 3
"""Answers with AD for other names that clear a zone: one may be left from long before."""


def zones_of(
    failed: Mapping[str, int], vouched: Mapping[str, Mapping[str, int]]
) -> dict[str, list[str]]:
    """Give the lowest zones that explain which names failed, with their names.

    Args:
        failed: the names.
        vouched: by zone, the names one label below it to the answers with AD at or below those.
    """
    return dict(sorted(_split(sorted(failed), vouched)))


def _split(
    names: list[str], vouched: Mapping[str, Mapping[str, int]]
) -> list[tuple[str, list[str]]]:
    """Divide names that have a cleared zone in common, for then its children are broken apart."""
    zone = _common(names)
    children: dict[str | None, list[str]] = {}
    for name in names:
        children.setdefault(_below(name, zone), []).append(name)
    others = sum(count for child, count in vouched.get(zone, {}).items() if child not in children)
    deep = sum(1 for held in children.values() if len(held) >= FEWEST_NAMES)
    if (
        len(children) < 2
        or None in children
        or others < FEWEST_VOUCHED
        or 2 * deep < len(children)  # single names, as of random subdomains: the zone's own fault
    ):
        return [(zone, names)]
    return [one for held in children.values() for one in _split(held, vouched)]


def _common(names: Sequence[str]) -> str:
    """Give the lowest name that all of some names stand at or below."""
    shared = labels(names[0])[::-1]
    for name in names[1:]:
        other = labels(name)[::-1]
        same = next(
            (at for at, (one, two) in enumerate(zip(shared, other, strict=False)) if one != two),
            min(len(shared), len(other)),
        )
        shared = shared[:same]
    return ".".join(shared[::-1]) + "."


def _below(name: str, zone: str) -> str | None:
    """Give the name one label below a zone on the way to `name`; None for the zone itself."""
    own, above = labels(name), labels(zone)
    cut = len(own) - len(above) - 1
    return None if cut < 0 else ".".join(own[cut:]) + "."


def cleared(zone: str, vouched: Mapping[str, Mapping[str, int]]) -> str | None:
    """Give the nearest zone above that other names below it were vouched for; None: none was."""
    below = zone
    for above in ancestors(zone):
        others = sum(n for child, n in vouched.get(above, {}).items() if child != below)
        if others >= FEWEST_VOUCHED:
            return above
        below = above
    return None
