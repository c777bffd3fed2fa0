"""Registrable domains by the public suffix list: what somebody registered, whatever names it has.

The list (https://publicsuffix.org) is that of the package `publicsuffixlist`; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

_VERSION: Final = re.compile(rb"// VERSION: (\d{4}-\d\d-\d\d)_(\d\d-\d\d-\d\d)_UTC")
_HEAD: Final = 4_096
"""Octets of the list in which its version stands."""


def version() -> str:
    """Give the date of the list in use, UTC: `2026-10-22 08:36:41`, or `unknown`."""
    from publicsuffixlist import PSLFILE

    with Path(PSLFILE).open("rb") as file:
        found = _VERSION.search(file.read(_HEAD))
    if found is None:
        return "unknown"
    return f"{found[1].decode()} {found[2].decode().replace('-', ':')}"


@cache
def _rules() -> dict[str, list[str]]:
    """Group the list's rules by their last label, as the list writes it."""
    from publicsuffixlist import PSLFILE

    found: dict[str, list[str]] = {}
    for line in Path(PSLFILE).read_text(encoding="utf-8").lower().splitlines():
        rule = line.partition(" ")[0].rstrip()
        if rule and not rule.startswith("//"):
            found.setdefault(rule.rpartition(".")[2], []).append(rule)
    return found


@cache
def _suffixes(top: str | None) -> Callable[[str], str | None]:
    """Give what finds registrable domains below a top-level domain; None: below any.

    No rule of another top-level domain says anything of its names, and to encode all of them
    takes a tenth of a second.
    """
    from publicsuffixlist import PublicSuffixList

    rules = PublicSuffixList() if top is None else PublicSuffixList(_rules().get(top, []))
    found: Callable[[str], str | None] = rules.privatesuffix
    return found


def domain(name: str) -> str | None:
    """Give the registrable domain that a name stands at or below; None at or above a suffix.

    Args:
        name: lower case, presentation form, with the final dot.
    """
    if "\\" in name:  # an escaped dot is no border of labels for the list
        return None
    bare = name.rstrip(".")
    top = bare.rpartition(".")[2].lower()
    # Names write as `xn--` what the list writes in letters: there any rule may be meant.
    listed = top if top in _rules() else ""
    found = _suffixes(None if top.startswith("xn--") else listed)(bare)
    return None if found is None else f"{found}."
