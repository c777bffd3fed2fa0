"""Signatures that are still served shortly before they end: what an operator would want to know.

Of each zone and type the newest signature counts, as it was last seen at an authority: a resolver's
cache, or an older copy beside a newer one, wakes nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from forensics import limits
from forensics.watching import bounds
from forensics.watching.events import SCHEMA, Notice, notice_id

_HALF: Final = 2**31
_RECENT: Final = 600 * limits.SECOND
"""A signature not seen for so long is not said to be served still."""


class Served(NamedTuple):
    """A signature as last seen at an authority.

    Attributes:
        zone, owner, type, tag: its signer, owner, type covered and key tag.
        inception, expiration: seconds, of 32 bits (RFC 4034 3.1.5).
        last: ns; last seen.
        capture, frame: where.
    """

    zone: str
    owner: str
    type: int
    tag: int
    inception: int
    expiration: int
    last: int
    capture: str
    frame: int


def _ends(expiration: int, now: int) -> int:
    """Give the end of a signature, ns since 1970: the one of serial arithmetic nearest to now."""
    seconds = now // limits.SECOND
    return (seconds + (expiration - seconds + _HALF) % 2**32 - _HALF) * limits.SECOND


def expiring(
    served: Iterable[Served], told: dict[str, int], now: int, hours: float
) -> tuple[dict[str, int], list[Notice]]:
    """Tell of signatures that end soon; give what was told, and the notices.

    Told is by zone and type: of a zone whose every RRset runs out one notice is enough.

    Args:
        served: signatures.
        told: expirations told, by `zone|type`.
        now: time of the capture, ns.
        hours: before the end from which on it is told.
    """
    from forensics.timeline.moments import rfc3339
    from forensics.timeline.quote import type_name

    newest: dict[tuple[str, str, int], Served] = {}
    for one in served:
        key = (one.zone, one.owner, one.type)
        held = newest.get(key)
        if held is None or _ends(one.expiration, now) > _ends(held.expiration, now):
            newest[key] = one
    first: dict[str, Served] = {}
    for one in newest.values():
        left = _ends(one.expiration, now) - now
        life = max((one.expiration - one.inception) % 2**32, 1) * limits.SECOND
        if (
            0 < left <= hours * 3600 * limits.SECOND
            and left * 100 <= life * bounds.EXPIRY_SHARE
            and now - one.last <= _RECENT
        ):
            name = f"{one.zone}|{one.type}"
            other = first.get(name)
            if other is None or (one.expiration, one.owner) < (other.expiration, other.owner):
                first[name] = one
    after = {key: end for key, end in told.items() if _ends(end, now) > now}
    notices = []
    for name, one in sorted(first.items()):
        if name in after:
            continue
        after[name] = one.expiration
        end = _ends(one.expiration, now)
        minutes = (end - now) // (60 * limits.SECOND)
        notices.append(
            {
                "schema": SCHEMA,
                "id": notice_id("expiring", name, one.expiration),
                "event": "signatures-expire-soon",
                "noticed": rfc3339(now),
                "zone": one.zone,
                "reason": "signature-expired",
                "severity": "near-miss",
                "confidence": "strong",
                "expires": rfc3339(end),
                "tags": [one.tag],
                "types": [type_name(one.type)],
                "owner": one.owner,
                "first_bad": None,
                "seen": {"capture": one.capture, "frame": one.frame, "time": rfc3339(one.last)},
                "sentence": (
                    f"The signature over {one.owner} {type_name(one.type)} ends in {minutes} "
                    f"minutes, at {rfc3339(end)[:19]}Z, and the servers of {one.zone} still give "
                    "it, with no newer one beside it."
                ),
            }
        )
    return after, notices


def served_of(tables: Path, verified: set[int] | None = None) -> list[Served]:
    """Give the signatures of the tables as authorities served them last.

    Args:
        tables: of a look.
        verified: numbers of signatures that a key verifies; None: all count.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches, read_table

    places = read_table(tables, "places", ["place", "role"])
    servers = places.filter(pc.equal(places["role"], "server"))["place"].combine_chunks()
    captures = read_table(tables, "captures", ["capture", "path"])
    paths = dict(zip(captures["capture"].to_pylist(), captures["path"].to_pylist(), strict=True))
    last: dict[int, tuple[int, int, int]] = {}
    columns = ["signature", "time", "capture", "frame", "place"]
    for batch in iter_batches(tables, "sightings", columns):
        rows = batch.filter(pc.is_in(batch.column("place"), value_set=servers))
        table = pa.table(
            {
                "signature": rows.column("signature"),
                "time": rows.column("time").cast(pa.int64()),
                "capture": rows.column("capture"),
                "frame": rows.column("frame"),
            }
        ).sort_by("time")
        latest = table.group_by("signature", use_threads=False).aggregate(
            [("time", "last"), ("capture", "last"), ("frame", "last")]
        )
        for row in latest.to_pylist():
            sighted = (row["time_last"], row["capture_last"], row["frame_last"])
            number = row["signature"]
            last[number] = max(last.get(number, sighted), sighted)
    names = ["signature", "signer", "owner", "type", "key_tag", "inception", "expiration"]
    found = []
    for row in read_table(tables, "signatures", names).to_pylist():
        number = row["signature"]
        if number in last and (verified is None or number in verified):
            time, capture, frame = last[number]
            found.append(
                Served(
                    row["signer"], row["owner"], row["type"], row["key_tag"], row["inception"],
                    row["expiration"], time, paths[capture], frame,
                )
            )  # fmt: skip
    return found
