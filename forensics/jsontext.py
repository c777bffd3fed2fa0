"""JSON that others may have written: one kind of error for whatever is wrong with it."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: str | bytes) -> Any:
    """Give the value of a JSON text.

    Raises:
        ValueError: it is none, or nested deeper than it can be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
