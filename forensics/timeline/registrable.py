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
def _suffixes() -> Callable[[str], str | None]:
    from publicsuffixlist import PublicSuffixList

    found: Callable[[str], str | None] = PublicSuffixList().privatesuffix
    return found


def domain(name: str) -> str | None:
    """Give the registrable domain that a name stands at or below; None at or above a suffix.

    Args:
        name: lower case, presentation form, with the final dot.
    """
    if "\\" in name:  # an escaped dot is no border of labels for the list
        return None
    found = _suffixes()(name.rstrip("."))
    return None if found is None else f"{found}."
