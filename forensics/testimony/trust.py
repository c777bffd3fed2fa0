"""What resolvers say of the keys that they trust: RFC 8145 queries and RFC 8509 sentinels.

Both are claims. Whoever sends a query can name any tag, a forwarder passes on those of others, and
a sentinel tells of the resolver only where that resolver knows sentinels at all. Nothing here
accuses. The EDNS option of RFC 8145 4 has a table of its own (`keytags`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from forensics import vocabulary
from forensics.limits import SECOND, TRUST_SIGNALS, TRUST_SIGNALS_LISTED

COLUMNS: Final = (
    "time", "capture", "query_frame", "client", "server", "qname", "qtype", "qclass", "rcode", "cd",
    "answers",
)  # fmt: skip
"""What is read of the transactions."""

_QUERY: Final = re.compile(r"_ta-([0-9a-f]{4}(?:-[0-9a-f]{4})*)\.(.*)", re.ASCII)
"""RFC 8145 5.1: the tags of one zone's trust anchors, four hexadecimal digits each."""

_SENTINEL: Final = re.compile(r"root-key-sentinel-(is|not)-ta-([0-9]{5})\..*", re.ASCII)
"""RFC 8509 2: one tag of the root's, in five decimal digits, the leftmost label."""

_BEGINNINGS: Final = ("_ta-", "root-key-sentinel-")
"""What sorts out nearly all names before they are looked at one by one."""

_SIGNALS: Final = ("query", "option")
"""Both forms of RFC 8145: a query's name (section 5), and an EDNS option (section 4)."""

_ADDRESSES: Final = (1, 28)
"""Types that a sentinel works for (RFC 8509 3.1): A and AAAA."""

Key = tuple[str, str, str, tuple[int, ...]]
"""Kind, who speaks, the zone, the tags."""


@dataclass(slots=True)
class _Signal:
    """One claim, and how often it was made."""

    first: int
    last: int
    capture: int
    frame: int
    count: int = 0
    answers: dict[str, int] = field(default_factory=dict)


def trust_signals(
    batches: Iterable[Any], paths: dict[int, str], options: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Find who signalled trust in which keys.

    Args:
        batches: of schemas.TRANSACTIONS, at least `COLUMNS`.
        paths: of the captures, by number.
        options: rows of schemas.KEY_TAGS, times in ns.

    Returns:
        findings `trust-signals`, one a zone, and `trust-sentinels`, with rows of `signals`: who,
        tags, count, first and last time and the first frame; those heard most often first.
    """
    found: dict[Key, _Signal] = {}
    omitted = 0
    for batch in batches:
        omitted += _read(batch, found)
    for row in options:
        key = ("option", row["client"], row["zone"], tuple(row["tags"]))
        found[key] = _Signal(
            row["first"], row["last"], row["capture"], row["frame"], row["count"]
        )  # fmt: skip
    return _findings(found, omitted, paths)


def _read(batch: Any, found: dict[Key, _Signal]) -> int:
    """Note the signals of a batch; return how many found no room."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = batch.column("qname")
    begins = [pc.starts_with(names.dictionary, word) for word in _BEGINNINGS]
    likely = pc.indices_nonzero(pc.fill_null(pc.or_(*begins), fill_value=False)).to_pylist()
    codes = {
        code: told for code in likely if (told := _told(names.dictionary[code].as_py())) is not None
    }
    if not codes:
        return 0
    hit = np.isin(names.indices.fill_null(-1).to_numpy(zero_copy_only=False), list(codes))
    rows = batch.filter(pa.array(hit))
    times = rows.column("time").cast(pa.int64()).to_pylist()
    index = rows.column("qname").indices.to_pylist()
    columns = [rows.column(name).to_pylist() for name in COLUMNS if name not in {"time", "qname"}]
    omitted = 0
    for time, code, (capture, frame, client, server, qtype, qclass, rcode, cd, answers) in zip(
        times, index, zip(*columns, strict=True), strict=True
    ):
        kind, zone, tags = codes[code]
        is_query = kind == "query"
        if frame is None or qclass != 1 or not (is_query or (qtype in _ADDRESSES and not cd)):
            continue
        key = (kind, (client if is_query else server) or "?", zone, tags)
        signal = found.get(key)
        if signal is None:
            if len(found) >= TRUST_SIGNALS:
                omitted += 1
                continue
            signal = found[key] = _Signal(time, time, capture, frame)
        signal.first, signal.capture, signal.frame = min(
            (signal.first, signal.capture, signal.frame), (time, capture, frame)
        )
        signal.last = max(signal.last, time)
        signal.count += 1
        if not is_query:
            word = _word(rcode, answers)
            signal.answers[word] = signal.answers.get(word, 0) + 1
    return omitted


def _told(name: str) -> tuple[str, str, tuple[int, ...]] | None:
    """Read a name: kind, zone and tags."""
    if query := _QUERY.fullmatch(name):
        return (
            "query",
            query[2] or ".",
            tuple(sorted({int(tag, 16) for tag in query[1].split("-")})),
        )
    if (sentinel := _SENTINEL.fullmatch(name)) and int(sentinel[2]) <= 0xFFFF:
        return sentinel[1], ".", (int(sentinel[2]),)
    return None


def _word(rcode: int | None, answers: int | None) -> str:
    """Say what came back to a sentinel query."""
    if rcode is None:
        return "unanswered"
    if rcode == vocabulary.SERVFAIL:
        return "servfail"
    return "answered" if rcode == 0 and answers else "other"


def _findings(
    found: dict[Key, _Signal], omitted: int, paths: dict[int, str]
) -> list[dict[str, Any]]:
    """Write the findings."""
    told: list[dict[str, Any]] = []
    zones = sorted({zone for kind, _, zone, _ in found if kind in _SIGNALS})
    for zone in zones:
        mine = {key: found[key] for key in found if key[0] in _SIGNALS and key[2] == zone}
        told.append(_finding("trust-signals", zone, mine, omitted, paths))
    sentinels = {key: found[key] for key in found if key[0] not in _SIGNALS}
    if sentinels:
        told.append(_finding("trust-sentinels", ".", sentinels, omitted, paths))
    return told


def _finding(
    kind: str, zone: str, found: dict[Key, _Signal], omitted: int, paths: dict[int, str]
) -> dict[str, Any]:
    """Write one finding with its rows."""
    ordered = sorted(found.items(), key=lambda item: (-item[1].count, item[0]))
    rows = []
    for (word, who, _, tags), signal in ordered[:TRUST_SIGNALS_LISTED]:
        row: dict[str, Any] = {
            "client" if word in _SIGNALS else "resolver": who,
            "tags": list(tags),
            "count": signal.count,
            "first": _rfc3339(signal.first),
            "last": _rfc3339(signal.last),
            "capture": paths.get(signal.capture, "?"),
            "frame": signal.frame,
        }
        if word == "option":
            row["by"] = "edns-key-tag"
        elif word not in _SIGNALS:
            row["asks"] = f"{word}-ta"
            row["answers"] = dict(sorted(signal.answers.items()))
        rows.append(row)
    said = _said_by_queries if kind == "trust-signals" else _said_by_sentinels
    return {
        "kind": kind,
        "zone": zone,
        "signals": rows,
        "unlisted": len(ordered) - len(rows),
        "omitted": omitted,
        "sentence": said(zone, ordered),
    }


def _said_by_queries(zone: str, found: Sequence[tuple[Key, _Signal]]) -> str:
    """Say which tags how many clients named."""
    clients: dict[tuple[int, ...], list[str]] = {}
    for (_, who, _, tags), _ in found:
        clients.setdefault(tags, []).append(who)
    groups = sorted(clients.items(), key=lambda item: (-len(item[1]), item[0]))
    texts = [f"{_tags(tags)} by {_some(who)}" for tags, who in groups[:4]]
    more = f", and {len(groups) - 4} more sets" if len(groups) > 4 else ""
    first, last = min(s.first for _, s in found), max(s.last for _, s in found)
    name = "the root" if zone == "." else zone
    return (
        f"Trust in keys of {name} was signalled in queries (RFC 8145) from {_clock(first)} to "
        f"{_clock(last)}: {'; '.join(texts)}{more}. These are claims of their senders."
    )


def _said_by_sentinels(_: str, found: Sequence[tuple[Key, _Signal]]) -> str:
    """Say what resolvers answered to sentinel names."""
    texts = []
    for (word, who, _, tags), signal in found[:4]:
        answers = ", ".join(f"{count} {name}" for name, count in sorted(signal.answers.items()))
        texts.append(f"{who} to {word}-ta {tags[0]}: {answers}")
    more = f", and {len(found) - 4} more" if len(found) > 4 else ""
    return (
        f"Root key sentinels (RFC 8509) were asked of resolvers: {'; '.join(texts)}{more}. A "
        "resolver that knows sentinels fails is-ta for a key that it does not trust, and not-ta "
        "for one that it trusts; one that does not know them answers both."
    )


def _tags(tags: Sequence[int]) -> str:
    """Name key tags."""
    return f"key tag{'' if len(tags) == 1 else 's'} {' and '.join(map(str, tags))}"


def _some(names: Sequence[str]) -> str:
    """Name up to three, and count the others."""
    shown = ", ".join(sorted(names)[:3])
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown


def _rfc3339(time: int) -> str:
    """Give RFC 3339 text in UTC with all nine digits; `time` is ns since 1970."""
    seconds, rest = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _clock(time: int) -> str:
    """Give a time for a sentence."""
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"
