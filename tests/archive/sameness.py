"""What the tables of a dataset say, without the numbers that only tell their rows apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forensics import schemas
from forensics.archive.tables import iter_batches, read_table

LONG = ("transactions", "sightings", "unsigned")


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [row for batch in iter_batches(folder, name) for row in batch.to_pylist()]


def content(folder: Path) -> dict[str, list[tuple]]:
    """By table its rows in an order of their own, numbers of rows replaced by what they name."""
    transactions = rows(folder, "transactions")
    named = {
        row["transaction"]: (
            *(row["capture"], row["query_frame"], row["response_capture"], row["response_frame"]),
            *(row["id"], row["qname"], row["qtype"]),
        )
        for row in transactions
    }
    assert len(named) == len(transactions)
    signatures = {row["signature"]: row["signature_id"] for row in rows(folder, "signatures")}
    places = {row["place"]: (row["server"], row["nsid"]) for row in rows(folder, "places")}
    places[None] = None
    found = {}
    for name in dict(schemas.TABLES):
        if not (folder / f"{name}.parquet").exists() and name not in LONG:
            continue
        # A dataset that grows does not keep the claims of key tags.
        if name in ("checks", "verdicts", "key_tags"):
            continue
        made = []
        for found_row in transactions if name == "transactions" else rows(folder, name):
            row = dict(found_row)
            if "transaction" in row:
                row["transaction"] = named[row["transaction"]]
            if row.get("continues") is not None:
                row["continues"] = named[row["continues"]]
            if "signature" in row:
                row["signature"] = signatures[row["signature"]]
            for column in ("place", "fold"):
                if column in row:
                    row[column] = places[row[column]]
            row.pop("run", None)
            row.pop("rrset", None)
            made.append(tuple(str(row[column]) for column in sorted(row)))
        found[name] = sorted(made)
    return found


def difference(one: Path, other: Path) -> list[str]:
    """The tables in which two folders say something else, with the first rows of either."""
    left, right = content(one), content(other)
    said = []
    for name in sorted(left.keys() | right.keys()):
        mine, theirs = left.get(name, []), right.get(name, [])
        if mine != theirs:
            lacks = sorted(set(theirs) - set(mine))[:3]
            more = sorted(set(mine) - set(theirs))[:3]
            said.append(f"{name}: {len(mine)} and {len(theirs)} rows; more {more}; lacks {lacks}")
    return said


def captures(folder: Path) -> list[str]:
    return [str(path) for path in read_table(folder, "captures")["path"].to_pylist()]
