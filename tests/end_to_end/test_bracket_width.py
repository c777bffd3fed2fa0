"""No bracket is wider than the two sightings in the capture that surround what the lab did.

The bound is read from the packets with dnspython, and from the lab's truth: between which two
sightings a thing changed. Whatever lies between them nobody could tell apart. What has to be seen
on both sides depends on what was changed, and the table says it for each recording:

- `own`: the RRset that went bad. The server's last response before it was told to change and its
  first response from when it was seen changed on, both to one question at the zone's apex.
- `keys`: the DNSKEY RRset of that server, by which its data is judged: the last data up to the
  last old key set, and the first data from the first new one on.
- `delegation`: the DS at the parent's servers, likewise.
- `spoiled`: single RRsets among good ones. At the onset the last of their types before, and the
  first that does not verify by the lab's keys; at the end the last that does not, and the first of
  their types after.
"""

from __future__ import annotations

import base64
import struct
import sys
from bisect import bisect_left, bisect_right
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from labkit.scoring.inputs import (  # noqa: E402
    RECORD,
    Recorded,
    decompressed,
    ends_of,
    read_records,
)
from labkit.scoring.judge import nanoseconds  # noqa: E402
from labkit.scoring.mutations import message_of  # noqa: E402

OWN, KEYS, DELEGATION, SPOILED = "own", "keys", "delegation", "spoiled"

BOUNDS = {
    "1111-2023": (OWN, OWN),
    "al-2026": (DELEGATION, None),
    "apnic-2012": (KEYS, KEYS),
    "arin-2019": (OWN, OWN),
    "de-2026": (OWN, OWN),
    "de-2026-resolvers": (OWN, OWN),
    "dnskey-too-large": (OWN, OWN),
    "fj-2022": (DELEGATION, DELEGATION),
    "gov-2013": (KEYS, DELEGATION),
    "hbo-now-2015": (KEYS, DELEGATION),
    "mm-2016": (OWN, OWN),
    "nl-2012": (OWN, None),
    "nz-2023": (KEYS, None),
    "red-2014": (OWN, OWN),
    "ripe-2011": (KEYS, KEYS),
    "ru-2024": (OWN, OWN),
    "se-2022": (SPOILED, SPOILED),
    "shared-operator": (OWN, OWN),
    "slack-rollback-2021": (OWN, None),
}
"""What surrounds onset and recovery of each outage of the library; None: see LEFT_OUT."""

LEFT_OUT = {
    ("al-2026", "recovery"): "the DS was withdrawn: no server of the zone shows anything good "
    "after it; the bracket ends by the parent's answers",
    ("c-root-2024", "onset"): "a near-miss: nothing was done to the server that stood still",
    ("c-root-2024", "recovery"): "a near-miss: brackets of versions, not of bad data",
    ("nl-2012", "recovery"): "caches recover when a TTL has run out, each by itself: no act",
    ("nz-2023", "recovery"): "caches recover when a TTL has run out, each by itself: no act",
    ("slack-2021", "onset"): "a proof is wrong by what the server gives beside it: the first such "
    "pair may come long after the change",
    ("slack-2021", "recovery"): "likewise: the last such pair may come long before it",
    ("slack-rollback-2021", "recovery"): "caches recover when a TTL has run out: no act",
}
"""What the truth sets no bound for, and why."""

ACTS = {
    "onset": ("change", "changed", "last_good", "first_bad"),
    "recovery": ("repair", "repaired", "last_bad", "first_good"),
}
SLACK = 10**7
"""ns: a server answers with the old for a moment after it was told."""

Span = tuple[int, int]
"""Until when the old is sure, and from when on the new, ns."""


class Packets:
    """The responses of some servers: when each told of which RRset, and was asked what."""

    def __init__(self, recorded: Recorded, servers: set[str], keys: dict) -> None:
        """Read the capture. With a zone's keys, RRsets that none of them signed are `failing`."""
        self.asked: dict[tuple[str, str, int], list[int]] = {}
        self.sightings: dict[tuple[str, str, int], list[int]] = {}
        self.failing: dict[tuple[str, str, int], list[int]] = {}
        for record in read_records(decompressed(recorded.inputs("pcap", Path())[0])):
            frame = record[RECORD:]
            server, octets = ends_of(frame)[0], message_of(frame)
            if server not in servers or len(octets) < 12 or not octets[2] & 0x80:
                continue
            try:
                message = dns.message.from_wire(octets, ignore_trailing=True)
            except dns.exception.DNSException:
                continue  # a segment that holds a part of a message
            seconds, fraction = struct.unpack_from("<II", record)
            time = seconds * 10**9 + fraction
            for question in message.question:
                _note(self.asked, server, question, time)
            rrsets = [*message.answer, *message.authority]
            signed = {
                (rrset.name, rrset.covers): rrset
                for rrset in rrsets
                if rrset.rdtype == dns.rdatatype.RRSIG
            }
            for rrset in rrsets:
                made = signed.get((rrset.name, rrset.rdtype))
                if made is not None:
                    _note(self.sightings, server, rrset, time)
                    if made[0].signer in keys and not verifies(rrset, made, keys, seconds):
                        _note(self.failing, server, rrset, time)

    def of_types(
        self, server: str, zone: str, types: list[str], *, failing: bool = False
    ) -> list[int]:
        """Give when a server showed signed RRsets of some types at or below a zone, in order."""
        wanted = {dns.rdatatype.from_text(kind) for kind in types}
        below = "." + zone if zone != "." else "."
        return sorted(
            time
            for (at, name, kind), times in (self.failing if failing else self.sightings).items()
            if at == server and kind in wanted and (name == zone or name.endswith(below))
            for time in times
        )


def _note(held: dict, server: str, rrset: dns.rrset.RRset, time: int) -> None:
    held.setdefault((server, rrset.name.to_text().lower(), rrset.rdtype), []).append(time)


def verifies(rrset: dns.rrset.RRset, made: dns.rrset.RRset, keys: dict, seconds: int) -> bool:
    try:
        dns.dnssec.validate(rrset, made, keys, now=seconds)
    except dns.dnssec.ValidationFailure:
        return False
    return True


def published_keys(truth: dict) -> dict:
    """Give the zone's keys as the lab's truth has them."""
    zone = dns.name.from_text(truth["zone"])
    keys = dns.rrset.RRset(zone, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for row in truth["keys"]:
        if row["published"] and row.get("zone", truth["zone"]) == truth["zone"]:
            flags = 257 if row["role"] == "ksk" else 256
            public = base64.b64decode(row["public_key"])
            wire = struct.pack("!HBB", flags, 3, row["algorithm"]) + public
            keys.add(dns.rdata.from_wire("IN", "DNSKEY", wire, 0, len(wire)))
    return {zone: keys}


def gap(times: list[int], begin: int, end: int) -> Span | None:
    """Give the last of some times up to `begin` and the first from `end` on; None: one lacks."""
    low, high = bisect_right(times, begin), bisect_left(times, end)
    return (times[low - 1], times[high]) if low and high < len(times) else None


def acts(truth: dict, part: str) -> dict[str, tuple[str, Span]]:
    """Give by address: which zone it serves, and between when the lab changed it there."""
    act, seen, _, _ = ACTS[part]
    if truth.get("view") == "resolver" and "expiration" in truth:  # a resolver's own copy ran out
        instant = truth["expiration"] * 10**9
        if part == "recovery":
            instant = nanoseconds(truth["steps"][-1]["at"])
        return {
            address: (truth["zone"], (instant, instant))
            for row in truth["resolvers"]
            for address in row["addresses"]
        }
    # Where one address serves many zones, the one that the recording is about comes last.
    rows = sorted(
        truth.get("servers", ()), key=lambda row: row.get("zone", truth["zone"]) == truth["zone"]
    )
    return {
        row["address"]: (
            row.get("zone", truth["zone"]),
            (nanoseconds(row[f"told_to_{act}"]), nanoseconds(row[f"first_seen_{seen}"]) - SLACK),
        )
        for row in rows
        if f"told_to_{act}" in row and f"first_seen_{seen}" in row
    }


def bound(packets: Packets, truth: dict, stratum: dict, part: str, kind: str) -> Span | None:
    """Give the two sightings that surround the change; None where the capture lacks one."""
    zone, server, types = truth["zone"], stratum["server"], stratum["types"]
    done = acts(truth, part)
    if kind == DELEGATION:
        parents = {address: span for address, (of, span) in done.items() if of != zone}
        told = sorted(
            time
            for address in parents
            for held in (packets.sightings, packets.asked)
            for time in held.get((address, zone, dns.rdatatype.DS), [])
        )
        begins, ends = zip(*parents.values(), strict=True)
        around = gap(told, min(begins), min(ends))
        return around and gap(packets.of_types(server, zone, types), *around)
    if done.get(server, (None,))[0] != zone:
        return None
    begin, end = done[server][1]
    if kind == OWN:
        found = [
            gap(packets.asked.get((server, zone, dns.rdatatype.from_text(one)), []), begin, end)
            for one in types
        ]
        return min((one for one in found if one), key=lambda one: one[1] - one[0], default=None)
    data = packets.of_types(server, zone, types)
    if kind == KEYS:
        around = gap(packets.sightings.get((server, zone, dns.rdatatype.DNSKEY), []), begin, end)
        return around and gap(data, *around)
    spoiled = packets.of_types(server, zone, types, failing=True)
    if part == "onset":
        low, high = gap(data, begin, begin), gap([0, *spoiled], 0, begin)
    else:
        low, high = gap([*spoiled, 2**63], end, 2**63), gap(data, end, end)
    return (low[0], high[1]) if low and high else None


def held_against(recorded: Recorded, report: dict) -> list[tuple[str, str, str, int, int]]:
    """Give server, class, part, width and bound (ns) of each bracket that has a bound."""
    truth = recorded.truth
    (incident,) = [one for one in report["incidents"] if one["zone"] == truth["zone"]]
    kinds = dict(zip(ACTS, BOUNDS[recorded.name], strict=True))
    servers = {stratum["server"] for stratum in incident["strata"]}
    servers |= {row["address"] for row in truth.get("servers", ())}
    keys = published_keys(truth) if SPOILED in kinds.values() else {}
    packets = Packets(recorded, servers, keys)
    found = []
    for stratum in incident["strata"]:
        for part, (_, _, low, high) in ACTS.items():
            kind = kinds[part]
            if not kind or not stratum[low] or not stratum[high] or "recovered_by" in stratum:
                continue
            span = bound(packets, truth, stratum, part, kind)
            if span is not None:
                width = nanoseconds(stratum[high]["time"]) - nanoseconds(stratum[low]["time"])
                allowed = span[1] - span[0] + SLACK
                found.append((stratum["server"], stratum["class"], part, width, allowed))
    return found


def test_every_outage_has_its_bound_or_a_reason_why_there_is_none() -> None:
    truths = [Recorded(path.parent) for path in (ROOT / "captures").glob("*/truth.toml")]
    outages = {one.name for one in truths if one.truth["expected"] != "no incident"}
    bounded = {
        (name, part)
        for name, kinds in BOUNDS.items()
        for part, kind in zip(ACTS, kinds, strict=True)
        if kind
    }
    assert bounded.isdisjoint(LEFT_OUT)
    assert bounded | LEFT_OUT.keys() == {(name, part) for name in outages for part in ACTS}


@pytest.mark.parametrize("name", BOUNDS)
def test_no_bracket_is_wider_than_what_surrounds_the_change(name: str, run) -> None:
    recorded = Recorded(ROOT / "captures" / name)
    report = run(*recorded.inputs("pcap", Path()), anchor=recorded.anchor)
    found = held_against(recorded, report)
    for part, kind in zip(ACTS, BOUNDS[name], strict=True):
        assert not kind or any(row[2] == part for row in found), f"nothing of the {part} was held"
    assert [row for row in found if row[3] > row[4]] == []


@pytest.mark.parametrize("name", BOUNDS)
def test_the_incident_is_no_wider_than_what_went_bad_first(name: str, run) -> None:
    recorded = Recorded(ROOT / "captures" / name)
    report = run(*recorded.inputs("pcap", Path()), anchor=recorded.anchor)
    (incident,) = [one for one in report["incidents"] if one["zone"] == recorded.truth["zone"]]
    first = min(one["first_bad"]["time"] for one in incident["strata"])
    goods = [
        one["last_good"]["time"]
        for one in incident["strata"]
        if one["first_bad"]["time"] == first and one["last_good"]
    ]
    assert incident["onset"]["first_bad"] == first
    assert incident["onset"]["last_good"] >= max(goods)
