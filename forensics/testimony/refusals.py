"""What clients were told of the names of one zone while its validation failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.knowledge import ancestors
from forensics.testimony.answers import Rows, texts, under
from forensics.testimony.responses import VALIDATION_EDES, time_text
from forensics.vocabulary import NXDOMAIN, SERVFAIL

KIND: Final = "testimony"

_BRACKETED: Final = re.compile(r"<[^<>]*>")
"""Where a text names what was asked: the reason behind it is what counts."""

QUOTED: Final = 5
"""Texts of extended errors quoted, the most frequent ones."""

_Moment = tuple[int, int]
"""ns, and capture << 32 | frame."""


@dataclass(slots=True)
class Resolver:
    """What one resolver answered for names of the zone while validation failed.

    Attributes:
        claims: failures with an extended error of validation; failures: all SERVFAIL.
    """

    claims: int = 0
    failures: int = 0
    answered: int = 0
    ede: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Account:
    """What clients were answered for the names of one zone."""

    zone: str
    names: list[str]
    resolvers: dict[str, Resolver] = field(default_factory=dict)
    clients: set[str] = field(default_factory=set)
    texts: Counter[str] = field(default_factory=Counter)
    first_bad: _Moment = (2**62, 0)
    last_bad: _Moment = (-(2**62), 0)
    last_good: _Moment | None = None
    first_good: _Moment | None = None

    def outline(self, rows: Rows, servers: Collection[str]) -> None:
        """Find the first and last failure at resolvers that speak of validation."""
        at = self._at(rows, servers)
        at = at[rows.rcode[at] == SERVFAIL]
        if len(at):
            moments = _moments(rows, at)
            self.first_bad = min(self.first_bad, *moments)
            self.last_bad = max(self.last_bad, *moments)

    def surround(self, rows: Rows, servers: Collection[str]) -> None:
        """Find the answers around the failures, and count who said what between them."""
        at = self._at(rows, servers)
        answered = (rows.rcode == 0) | (rows.rcode == NXDOMAIN)
        at = at[answered[at]]
        before, behind = at[rows.time[at] < self.first_bad[0]], at[rows.time[at] > self.last_bad[0]]
        if len(before):
            moment = max(_moments(rows, before))
            self.last_good = moment if self.last_good is None else max(self.last_good, moment)
        if len(behind):
            moment = min(_moments(rows, behind))
            self.first_good = moment if self.first_good is None else min(self.first_good, moment)
        at = self._at(rows, None)
        at = at[(rows.time[at] >= self.first_bad[0]) & (rows.time[at] <= self.last_bad[0])]
        self.clients |= texts(rows.client, at[rows.rcode[at] == SERVFAIL])
        said = np.stack([rows.server[0][at], rows.rcode[at], rows.ede[at], rows.texts[0][at]])
        found, counts = np.unique(said, axis=1, return_counts=True)
        for (server, rcode, ede, words), count in zip(
            found.T.tolist(), counts.tolist(), strict=True
        ):
            name = rows.server[1][server] if server >= 0 else None
            held = self.resolvers.setdefault(name or "?", Resolver())
            if rcode in {0, NXDOMAIN}:
                held.answered += count
            if rcode != SERVFAIL:
                continue
            held.failures += count
            if ede >= 0:
                held.ede[ede] += count
            if ede in VALIDATION_EDES:
                held.claims += count
                quoted = rows.texts[1][words] if words >= 0 else None
                if quoted:
                    quoted = _BRACKETED.sub("<\N{HORIZONTAL ELLIPSIS}>", quoted)
                if quoted and (quoted in self.texts or len(self.texts) < limits.WITNESSED):
                    self.texts[quoted] += count

    def _at(self, rows: Rows, servers: Collection[str] | None) -> NDArray[np.int64]:
        """Give the rows of the zone's names, without those that asked for no checking."""
        chosen = under(rows, self.zone) & ~rows.cd
        if servers is not None:
            codes, values = rows.server
            chosen &= np.array([word in servers for word in values] + [False])[codes]
        return np.flatnonzero(chosen)

    def finding(self, cleared: str | None, paths: Mapping[int, str]) -> dict[str, Any]:
        """Give the finding.

        Args:
            cleared: the nearest zone above that cannot be at fault.
            paths: of the captures, by number.
        """
        above = next(ancestors(self.zone), None)
        alone = len(self.names) == 1 and self.names[0] == self.zone
        exact = (above is None or cleared == above) and not alone
        failing = {name: held for name, held in self.resolvers.items() if held.failures}
        claims = sum(held.claims for held in failing.values())
        edes = sum((held.ede for held in failing.values()), Counter[int]())
        moments = (
            (self.last_good, "last-good"), (self.first_bad, "first-bad"),
            (self.last_bad, "last-bad"), (self.first_good, "first-good"),
        )  # fmt: skip
        row: dict[str, Any] = {
            "kind": KIND,
            "zone": self.zone,
            "exact": exact,
            "cleared": cleared,
            "basis": "ede" if claims else "checking-disabled",
            "lookups": sum(held.failures for held in failing.values()),
            "claims": claims,
            "names": len(self.names),
            "clients": len(self.clients),
            "ede": {str(code): edes[code] for code in sorted(edes)},
            "texts": [
                {"text": text, "count": count}
                for text, count in sorted(self.texts.items(), key=lambda one: (-one[1], one[0]))
            ][:QUOTED],
            "resolvers": [
                {
                    "address": name,
                    "servfail": held.failures,
                    "answered": held.answered,
                    "ede": {str(code): held.ede[code] for code in sorted(held.ede)},
                }
                for name, held in sorted(self.resolvers.items())
            ],
            "onset": {
                "last_good": None if self.last_good is None else time_text(self.last_good[0]),
                "first_bad": time_text(self.first_bad[0]),
            },
            "recovery": {
                "last_bad": time_text(self.last_bad[0]),
                "first_good": None if self.first_good is None else time_text(self.first_good[0]),
            },
            "frames": [
                {
                    "capture": paths.get(moment[1] >> 32, "?"),
                    "frame": moment[1] & 0xFFFFFFFF,
                    "shows": shows,
                }
                for moment, shows in moments
                if moment is not None
            ],
        }
        row["sentence"] = _sentence(row, len(failing), edes)
        return row


def _sentence(row: Mapping[str, Any], failing: int, edes: Counter[int]) -> str:
    """Say what is known by testimony, and what is not."""
    zone = "the root zone" if row["zone"] == "." else row["zone"]
    seen = len(row["resolvers"])
    onset, recovery = row["onset"], row["recovery"]
    who = f"{failing} of {seen} resolvers" if seen > 1 else "The resolver"
    lookups = "1 lookup" if row["lookups"] == 1 else f"{row['lookups']:,} lookups"
    said = (
        f"{who} refused {lookups} at or below {zone} for a failed validation, "
        f"from {_clock(onset['first_bad'])} to {_clock(recovery['last_bad'])}"
    )
    parts = [said]
    if onset["last_good"]:
        parts.append(f"; the last good answer before it came at {_clock(onset['last_good'])}")
    if recovery["first_good"]:
        parts.append(f", the first one behind it at {_clock(recovery['first_good'])}")
    if row["basis"] == "ede":
        told = ", ".join(str(code) for code in sorted(edes) if code in VALIDATION_EDES)
        parts.append(f". That is their own word (extended errors {told})")
    else:
        parts.append(". They answered the same questions with checking disabled")
    cleared = "the root zone" if row["cleared"] == "." else row["cleared"]
    if row["exact"] and row["cleared"]:
        parts.append(f", while they vouched for other names below {cleared}: the fault lies at ")
        parts.append(zone)
    elif row["cleared"]:
        parts.append(f"; the fault lies at {zone} or between it and {cleared}")
    elif row["zone"] != ".":
        parts.append(f"; the fault lies at {zone} or at a zone above it")
    said = "".join(parts)
    stop = "" if said.endswith(".") else "."
    return f"{said}{stop} No signature in this capture shows its cause."


def _clock(text: str) -> str:
    """Give RFC 3339 text as it stands in sentences."""
    return f"{text[:10]} {text[11:19]} UTC"


def _moments(rows: Rows, at: NDArray[np.int64]) -> list[_Moment]:
    """Give the moments of some rows."""
    return list(zip(rows.time[at].tolist(), rows.where[at].tolist(), strict=True))
