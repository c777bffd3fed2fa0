"""Write TOML: the few kinds of value that a truth holds."""

import datetime as dt
import json
from collections.abc import Sequence

SECOND = 1_000_000_000
Plain = str | int | bool | Sequence["Plain"]
Table = dict[str, Plain]


def table_text(name: str, table: Table) -> str:
    """Return one table (or, without a name, bare pairs)."""
    head = [f"[{name}]"] if name else []
    return "\n".join([*head, *(f"{key} = {value_text(value)}" for key, value in table.items()), ""])


def value_text(value: Plain) -> str:
    """Return a value in TOML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return "[" + ", ".join(value_text(item) for item in value) + "]"


def time_text(at: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 in UTC."""
    whole = dt.datetime.fromtimestamp(at // SECOND, dt.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % SECOND:09d}Z"
