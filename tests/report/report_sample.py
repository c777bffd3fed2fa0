"""Reports to render in tests: one modelled on the .de outage of 5 May 2026, and its variants.

Addresses are documentation addresses (RFC 5737, RFC 3849); the numbers are made here.
"""

from __future__ import annotations

import copy
import random
from typing import Any

SECOND = 1_000_000_000
ONSET = (19, 43)


def at(hour: int, minute: int, second: float = 0.0, day: int = 5) -> str:
    """A time of May 2026 as the contract writes it."""
    whole = int(second)
    nanos = round((second - whole) * SECOND)
    return f"2026-05-{day:02}T{hour:02}:{minute:02}:{whole:02}.{nanos:09}Z"


def _minute(number: int) -> str:
    """Minutes counted from 18:00 on 5 May, past midnight."""
    hours, minute = divmod(number, 60)
    day, hour = divmod(18 + hours, 24)
    return at(hour, minute, 0, 5 + day)


SERVERS = (
    ("192.0.2.53", "ns1.fra.example", (19, 43, 12.120431), (19, 43, 15.004118), (22, 11, 40.25)),
    ("198.51.100.53", "ns2.ams.example", (19, 44, 2.5), (19, 47, 31.75), (22, 14, 2.0)),
    ("2001:db8:5:3::53", "ns3.sin.example", (19, 51, 0.25), (19, 57, 8.125), (22, 19, 54.5)),
)


def _servers() -> list[dict[str, Any]]:
    rows = []
    for number, (address, nsid, good, bad, again) in enumerate(SERVERS):
        rows.append(
            {
                "address": address,
                "nsid": nsid,
                "role": "zone",
                "good": 1_214 - 200 * number,
                "bad": 812 - 90 * number,
                "first_bad": at(*bad),
                "onset": {"last_good": at(*good), "first_bad": at(*bad)},
                "recovery": {
                    "last_bad": at(again[0], again[1] - 2, 30.5),
                    "first_good": at(*again),
                },
            }
        )
    return rows


def _series() -> dict[str, Any]:
    chance = random.Random(33_834)
    lookups, sightings = [], []
    for minute in range(360):
        since, until = minute - 103, 260 - minute
        failing = 0.0
        if since >= 0 and until > 0:
            failing = min(0.62, 0.1 + since / 180) * min(1.0, until / 40 if until < 40 else 1.0)
        asked = 240 + chance.randrange(40) + int(90 * failing)
        failed = int(asked * failing)
        lookups.append(
            {
                "at": _minute(minute),
                "noerror": int((asked - failed) * 0.82),
                "nxdomain": int((asked - failed) * 0.18),
                "servfail": failed,
                "other": chance.randrange(4),
                "retries": int(failed * 1.6),
            }
        )
        for number, (address, nsid, _, bad, again) in enumerate(SERVERS):
            start = (bad[0] - 18) * 60 + bad[1]
            end = (again[0] - 18) * 60 + again[1] - 1
            bad_now = start <= minute < end and chance.random() < 0.7
            sightings.append(
                {
                    "at": _minute(minute),
                    "zone": "de.",
                    "server": address,
                    "nsid": nsid,
                    "good": chance.randrange(2, 9 - number),
                    "bad": chance.randrange(1, 6) if bad_now else 0,
                    "indeterminate": int(chance.random() < 0.02),
                }
            )
        if minute % 3 == 0:
            sightings.append(
                {"at": _minute(minute), "zone": ".", "good": 2, "bad": 0, "indeterminate": 0}
            )
    keys = [
        {
            "zone": zone, "type": kind, "tag": tag, "algorithm": algorithm,
            "first": at(18, 0, 4), "last": at(23, 58, 41),
        }
        for zone, kind, tag, algorithm in (
            (".", "DNSKEY", 20326, 8), ("de.", "DS", 26755, 8), ("de.", "DNSKEY", 26755, 8),
        )
    ]  # fmt: skip
    for tag, first, last in ((32_911, at(18, 0, 4), at(22, 8)), (33_834, at(18, 0, 4), at(22, 8))):
        keys.append(
            {"zone": "de.", "type": "DNSKEY", "tag": tag, "algorithm": 13,
             "first": first, "last": last}
        )  # fmt: skip
    keys.append(
        {"zone": "de.", "type": "DNSKEY", "tag": 61_022, "algorithm": 13,
         "first": at(22, 8, 10), "last": at(23, 58, 41)}
    )  # fmt: skip
    matrix = []
    for number, (address, nsid, *_) in enumerate(SERVERS):
        for serial in range(1_778_009_000, 1_778_009_006):
            wrong = (serial + number) % 3 != 0
            for kind, count in (("SOA", 14), ("NSEC3", 61)):
                matrix.append(
                    {
                        "server": address, "nsid": nsid, "type": kind, "serial": serial,
                        "good": 0 if wrong and kind == "SOA" else count,
                        "bad": count if wrong else 0,
                    }
                )  # fmt: skip
        matrix.append(
            {"server": address, "nsid": nsid, "type": "DNSKEY", "serial": None,
             "good": 41, "bad": 0}
        )  # fmt: skip
    return {
        "bin_seconds": 60,
        "start": at(18, 0),
        "lookups": lookups,
        "sightings": sightings,
        "keys": keys,
        "matrix": matrix,
    }


def spread(total: int, first: int = 103, last: int = 259) -> list[int]:
    """A count as pairs of bin and count, over the minutes from `first` to `last`."""
    bins = range(first, last + 1)
    share, rest = divmod(total, len(bins))
    counts = [share + (at < rest) for at in range(len(bins))]
    return [n for bin_, count in zip(bins, counts, strict=True) if count for n in (bin_, count)]


def _over_time(report: dict[str, Any]) -> None:
    """Add what lets tables follow the time brush, adding up to what they say."""
    series, incident = report["series"], report["incidents"][0]
    statuses = report["counts"]["verdicts"]
    bins: dict[int, dict[str, int]] = {}
    for status, total in statuses.items():
        pairs = spread(total, *(() if status == "bogus" else (0, 359)))
        for bin_, count in zip(pairs[::2], pairs[1::2], strict=True):
            bins.setdefault(bin_, dict.fromkeys(statuses, 0))[status] = count
    series["verdicts"] = [{"at": _minute(bin_), **row} for bin_, row in sorted(bins.items())]
    for number, row in enumerate(series["matrix"]):
        row["good_over"] = spread(row["good"], 20 * (number % 9), 20 * (number % 9) + 19)
        row["bad_over"] = spread(row["bad"], 120, 139)
    impact = incident["impact"]
    series["over"] = {
        "seconds": 60.0,
        "triage": {kind: spread(total) for kind, total in report["triage"].items()},
        "impact": [
            {
                "incident": incident["id"],
                **{
                    name: spread(impact[name])
                    for name in ("transactions", "servfail", "signed", "unsigned", "retries")
                },
                "clients": [n for client in range(1_208) for n in (103 + client % 150, client)],
            }
        ],
        "resolvers": [
            {
                "incident": incident["id"], "address": row["address"],
                "identity": row["identity"], "servfail": spread(row["servfail"]),
                "answered": spread(row["answered"]),
                "ede": {code: spread(total) for code, total in row["ede"].items()},
            }
            for row in incident["resolvers"]
        ],
    }  # fmt: skip
    series["over"]["impact"][0]["clients"] = [
        n for pair in sorted((103 + c % 150, c) for c in range(1_208)) for n in pair
    ]


def course() -> dict[str, Any]:
    """A chain of trust over time: secure, bogus from 19:43:15, flapping once, good from 22:19."""

    def link(zone: str, kind: str, of: str, hour: int, minute: int, **more: Any) -> dict[str, Any]:
        return {
            "zone": zone, "link": kind, "type": of, "status": "secure", "reason": "none",
            "keys": [{"tag": 20_326, "algorithm": 8}], "capture": "captures/resolver.pcap",
            "frame": 100 + minute, "time": at(hour, minute), "valid_until": at(23, 0, 0, 9), **more,
        }  # fmt: skip

    bad = {"status": "bogus", "reason": "signature-invalid"}
    links = [
        link(".", "anchor", "DS", 18, 0, time=None, frame=None, capture=None, valid_until=None),
        link("de.", "ds", "DS", 18, 1),
        link("de.", "rrset", "SOA", 18, 2),
        link("de.", "rrset", "SOA", 19, 43, **bad),
        link("de.", "rrset", "SOA", 20, 10),
        link("de.", "rrset", "SOA", 20, 15, **bad),
        link("de.", "rrset", "SOA", 22, 19),
    ]
    states = [
        {"at": at(hour, minute, second), "status": links[own]["status"],
         "reason": links[own]["reason"], "links": [0, 1, own], "marked": marked}
        for hour, minute, second, own, marked in (
            (18, 0, 0, 2, True), (19, 43, 15.004118, 3, True), (20, 10, 0, 4, False),
            (20, 15, 0, 5, False), (22, 19, 54.5, 6, True),
        )
    ]  # fmt: skip
    return {
        "name": "de.", "type": "SOA", "exact": True, "moments": 5, "asked": 5,
        "links": links, "states": states,
    }  # fmt: skip


def _events(number: int) -> list[dict[str, Any]]:
    chance = random.Random(5)
    rows = []
    kinds = ("signature-bad", "signature-good", "servfail", "dnskey", "soa")
    for index in range(number):
        address, nsid, *_ = SERVERS[index % 3]
        kind = kinds[chance.randrange(len(kinds))]
        seconds = 103 * 60 + 15 + index * 9_000 // max(number, 1)
        day, rest = divmod(18 * 3600 + seconds, 86_400)
        rows.append(
            {
                "at": at(rest // 3600, rest // 60 % 60, rest % 60 + chance.random(), 5 + day),
                "capture": "captures/anycast-fra.pcapng" if index % 2 else "captures/resolver.pcap",
                "frame": 1_019 + index * 17,
                "kind": kind,
                "zone": "de.",
                "place": f"{address} {nsid}",
                "text": {
                    "signature-bad": "RRSIG over SOA names key 33834, which did not make it",
                    "signature-good": "RRSIG over NSEC3 verifies with key 33834",
                    "servfail": "SERVFAIL to a client, EDE 6: malformed signature",
                    "dnskey": "DNSKEY RRset seen with keys 26755, 32911 and 33834",
                    "soa": f"SOA serial {1_778_009_000 + index % 6}",
                }[kind],
            }
        )
    return rows


def long_story(number: int) -> list[dict[str, Any]]:
    """So many events within six hours, each of its own text and frame."""
    kinds = ("signature-bad", "signature-good", "servfail")
    rows = []
    for index in range(1, number + 1):
        seconds, ns = divmod(index * 6 * 3600 * SECOND // number - 1, SECOND)
        address, nsid, *_ = SERVERS[index % 3]
        rows.append(
            {
                "at": at(18 + seconds // 3600, seconds // 60 % 60, seconds % 60 + ns / SECOND),
                "capture": "captures/resolver.pcap", "frame": index, "kind": kinds[index % 7 % 3],
                "zone": "de.", "place": f"{address} {nsid}", "text": f"event {index}, one of many",
            }
        )  # fmt: skip
    return rows


def sample(events: int = 300) -> dict[str, Any]:
    """The report of the .de outage."""
    captures = [
        {
            "path": path,
            "sha256": digest * 32,
            "format": kind,
            "packets": packets,
            "messages": packets - 311,
            "first": at(18, 0, 0.000411),
            "last": at(23, 59, 59.802117),
            "losses": losses,
        }
        for path, digest, kind, packets, losses in (
            ("captures/anycast-fra.pcapng", "7d", "pcapng+zstd", 188_204, {}),
            ("captures/resolver.pcap", "c4", "pcap", 412_930, {"truncated-packet": 17}),
        )
    ]
    incident = {
        "id": "de-signature-invalid-20260505T194315",
        "zone": "de.",
        "reason": "signature-invalid",
        "ede": 6,
        "severity": "outage",
        "confidence": "strong",
        "view": "published",
        "patterns": [
            {"kind": "every-server", "figures": {"servers": 3}},
            {"kind": "flapping", "figures": {"serials_good": 2, "serials_bad": 4}},
        ],
        "phases": [],
        "cause": {"after": at(19, 42, 58.5), "before": at(19, 43, 15.004118)},
        "onset": {"last_good": at(19, 43, 12.120431), "first_bad": at(19, 43, 15.004118)},
        "recovery": {"last_bad": at(22, 17, 30.5), "first_good": at(22, 19, 54.5)},
        "keys": [
            {"tag": 26_755, "algorithm": 8, "role": "ksk", "published": True},
            {"tag": 32_911, "algorithm": 13, "role": "zsk", "published": True},
            {"tag": 33_834, "algorithm": 13, "role": "zsk", "published": True},
        ],
        "types": ["SOA", "NSEC3"],
        "signers": [
            {"tag": 33_834, "algorithm": 13, "published": True, "signatures": 207,
             "recovered": False},
            {"tag": 33_834, "algorithm": 13, "published": False, "signatures": 218,
             "recovered": True},
            {"tag": 33_834, "algorithm": 13, "published": False, "signatures": 194,
             "recovered": True},
        ],
        "servers": _servers(),
        "resolvers": [
            {"address": "203.0.113.9", "identity": "resolver-a", "servfail": 9_204,
             "answered": 31_377, "ede": {"6": 8_811, "22": 393}},
            {"address": "203.0.113.10", "identity": None, "servfail": 0, "answered": 8_114,
             "ede": {}},
        ],
        "impact": {"transactions": 48_695, "servfail": 17_318, "names": 6_402, "clients": 1_208,
                   "zones": 4_117, "signed": 2_050, "unsigned": 15_268, "retries": 27_700},
        "mitigations": [
            {"kind": "negative-trust-anchor", "resolver": "203.0.113.9", "at": at(22, 17, 0),
             "basis": "inferred"},
            {"kind": "repair", "resolver": None, "at": at(22, 8, 10), "basis": "inferred"},
        ],
        "history": [
            {"at": at(9, 0, 0, 2), "event": "dnskey-added",
             "detail": "zone key 33834 published beside 32911"},
            {"at": at(19, 42, 58.5), "event": "signer-changed",
             "detail": "new signatures name key 33834 in place of 32911"},
            {"at": at(22, 8, 10), "event": "dnskey-added", "detail": "zone key 61022 published"},
            {"at": at(22, 8, 10), "event": "resigned", "detail": "signed again by key 61022"},
        ],
        "evidence": [
            {"capture": "captures/anycast-fra.pcapng", "frame": 1_012,
             "time": at(19, 43, 12.120431), "shows": "last-good"},
            {"capture": "captures/anycast-fra.pcapng", "frame": 1_019,
             "time": at(19, 43, 15.004118), "shows": "first-bad"},
            {"capture": "captures/anycast-fra.pcapng", "frame": 1_021,
             "time": at(19, 43, 15.204), "shows": "key-set"},
            {"capture": "captures/resolver.pcap", "frame": 88, "time": at(18, 0, 4),
             "shows": "ds"},
            {"capture": "captures/anycast-fra.pcapng", "frame": 140_229,
             "time": at(22, 17, 30.5), "shows": "last-bad"},
            {"capture": "captures/anycast-fra.pcapng", "frame": 141_871,
             "time": at(22, 19, 54.5), "shows": "first-good"},
        ],
        "notes": [
            (
                "A proof that a name below de. is unsigned had a TTL of 7,200 s: a cache filled at "
                "22:17:30 UTC could fail until 00:17:30 UTC."
            ),
        ],
        "quote": {
            "capture": "captures/resolver.pcap",
            "frame": 91_204,
            "lines": [
                ";; status: SERVFAIL, id: 4021, flags: qr rd ra",
                ";; EDE: 6 (DNSSEC Bogus): malformed signature",
                ";shop.example.de.  IN  A",
            ],
        },
        "chain": [
            {"zone": ".", "link": "anchor", "status": "secure", "reason": "none",
             "keys": [{"tag": 20_326, "algorithm": 8}], "frames": [12]},
            {"zone": "de.", "link": "ds", "status": "secure", "reason": "none",
             "keys": [{"tag": 26_755, "algorithm": 8}], "frames": [88]},
            {"zone": "de.", "link": "dnskey", "status": "secure", "reason": "none",
             "keys": [{"tag": 26_755, "algorithm": 8}], "frames": [1_021]},
            {"zone": "de.", "link": "rrset", "status": "bogus", "reason": "signature-invalid",
             "keys": [{"tag": 33_834, "algorithm": 13}], "frames": [1_019]},
        ],
        "sentence": "From 19:43:15 UTC on 5 May 2026, about two thirds of the new signatures of "
        "de. were made with two keys that it never published, so validating resolvers refused "
        "names below it for two and a half hours.",
    }  # fmt: skip
    report = {
        "schema": "dns-forensics/report/1",
        "tool": {"name": "dns-forensics", "version": "0.1.0"},
        "captures": captures,
        "counts": {
            "packets": 601_134, "messages": 600_512, "transactions": 301_208,
            "answered": 288_117, "unanswered": 12_044, "unsolicited": 1_047,
            "signatures": 8_413, "sightings": 211_940,
            "verdicts": {"secure": 7_204, "valid": 611, "insecure": 0, "bogus": 412,
                         "indeterminate": 186},
        },
        "incidents": [incident],
        "triage": {"validation": 17_318, "timeout": 1_204, "refused": 88, "lame": 12,
                   "servfail-other": 41, "policy": 0},
        "agreement": {
            "agree": 16_902, "disagree": 416,
            "cases": [
                {"resolver": "203.0.113.9", "testimony": "EDE 22", "verdict": "signature-invalid",
                 "count": 393, "cause": "the resolver's own wording"},
                {"resolver": "203.0.113.10", "testimony": "NOERROR without AD",
                 "verdict": "signature-invalid", "count": 23, "cause": "does not validate"},
            ],
        },
        "window": {"from": at(18, 0), "to": at(23, 59, 59.9)},
        "findings": [
            {"kind": "duplicates", "sentence": "The capture at the resolver holds 311 packets "
             "twice; they were counted once.", "count": 311},
            {"kind": "one-direction", "sentence": "For 198.51.100.53 most responses were captured "
             "without their queries; they do not accuse."},
        ],
        "losses": [
            {"capture": "captures/resolver.pcap", "reason": "truncated-packet", "count": 17,
             "octets": 24_412, "offset": 1_882_113, "frame": 20_411,
             "detail": "the capture kept 96 of 1,492 octets"},
        ],
        "events": _events(events),
        "events_omitted": 4_211,
        "series": _series(),
        "options": {"policy": "strict", "timezone": "Europe/Berlin", "zone": None,
                    "trust_anchor": None, "server": [], "exit_code": False},
    }  # fmt: skip
    incident["course"] = course()
    report["resolver_views"] = [_view("de.", "data"), _view("example.org.", "dnskey")]
    _over_time(report)
    return report


def _view(zone: str, records: str) -> dict[str, Any]:
    """What one resolver held of a zone, and what it would have refused by it."""
    held = {"fetched": at(19, 40), "until": at(20, 40), "capture": "captures/resolver.pcap",
            "frame": 81_204, "keys": [26_755, 33_834]}
    runs = [("secure", "none", 19, 40), ("bogus", "signature-invalid", 19, 44)]
    return {
        "resolver": "203.0.113.9", "addresses": ["203.0.113.9"], "zone": zone, "records": records,
        "last_good": at(19, 43), "first_bad": at(19, 44), "last_bad": at(22, 7),
        "first_good": at(22, 9),
        "counts": {"secure": 311, "valid": 0, "insecure": 0, "bogus": 188, "indeterminate": 0},
        "reasons": {"signature-invalid": 188},
        "runs": [
            {"status": status, "reason": reason, "from": at(hour, minute), "to": at(22, 7),
             "count": 188, "capture": "captures/resolver.pcap", "frame": 81_300, "held": held}
            for status, reason, hour, minute in runs
        ],
        "runs_omitted": 0,
        "sentence": f"By what 203.0.113.9 held, data of {zone} would be refused.",
    }  # fmt: skip


def empty() -> dict[str, Any]:
    """A report without any incident, with the fixed fields alone."""
    return {
        "schema": "dns-forensics/report/1",
        "captures": [
            {
                "path": "quiet.pcap", "sha256": "00" * 32, "format": "pcap", "packets": 12,
                "messages": 10, "first": at(12, 0), "last": at(12, 30), "losses": {},
            }
        ],
        "counts": {
            "packets": 12, "messages": 10, "transactions": 5, "answered": 5, "unanswered": 0,
            "unsolicited": 0, "signatures": 4, "sightings": 6,
            "verdicts": {"secure": 3, "valid": 1, "insecure": 0, "bogus": 0, "indeterminate": 0},
        },
        "incidents": [],
        "triage": {"validation": 0, "timeout": 2, "refused": 0, "lame": 0, "servfail-other": 0,
                   "policy": 0},
        "agreement": {"agree": 5, "disagree": 0, "cases": []},
    }  # fmt: skip


def still_open() -> dict[str, Any]:
    """An incident that the capture does not see end, nor its last good sighting before."""
    report = sample(20)
    for row in (report["incidents"][0], *report["incidents"][0]["servers"]):
        row["onset"]["last_good"] = None
        row["recovery"]["first_good"] = None
    report["incidents"][0]["confidence"] = "weak"
    report["findings"].insert(
        0, {"kind": "starts-in-outage", "sentence": "The capture starts inside the outage."}
    )
    return report


def many(number: int = 14) -> dict[str, Any]:
    """Many incidents with long names, many servers, and a private root."""
    report = sample(40)
    first = report["incidents"][0]
    long_name = ".".join(["a-rather-long-label-of-a-delegated-zone"] * 5) + ".example."
    for index in range(1, number):
        other = copy.deepcopy(first)
        other["id"] = f"incident-{index}"
        other["zone"] = long_name if index % 3 == 0 else f"zone{index}.example."
        other["severity"] = ("partial", "near-miss", "outage")[index % 3]
        other["confidence"] = "weak"
        other["sentence"] = f"Something failed in {other['zone']} for a while."
        other["servers"] = [
            {**other["servers"][0], "address": f"2001:db8::{n:x}", "nsid": f"node-{n}" * 6}
            for n in range(14)
        ]
        other["phases"] = [
            {"from": at(19, 43), "to": at(20, 0), "reason": "ds-mismatch"},
            {"from": at(20, 0), "to": at(22, 0), "reason": "dnskey-absent"},
        ]
        report["incidents"].append(other)
    report["findings"].insert(
        0,
        {"kind": "private-root", "sentence": "The captured root keys match no trust anchor: give "
         "your own with --trust-anchor."},
    )  # fmt: skip
    return report


HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</title></style></script><svg onload=document.title='owned'>",
    "'><a href=javascript:document.title='owned'>x</a>",
    "a|b`c`|[link](http://evil.example/)![i](http://evil.example/x.png)",
    "# heading\n- item\n\n<b>bold</b>",
    "\x1b[31mred\x1b[0m\x07\x9b2J",
    "\u202egpj.exe\u2066\u200b",
    "{{ 7 * 7 }}{% raw %}",
    "www.evil.example https://evil.example x@evil.example",
    "\ud800 lone surrogate",
    "```\nfence",
)


def hostile() -> dict[str, Any]:
    """The sample with every free text replaced by something an attacker would like to run."""
    count = iter(range(10**9))

    def taint(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            # Keys of free maps come from data as well.
            return {
                (f"{name}{HOSTILE[0]}" if key in {"figures", "options", "ede", "losses"} else name):
                taint(item, name)
                for name, item in value.items()
            }  # fmt: skip
        if isinstance(value, list):
            return [taint(item, key) for item in value]
        if isinstance(value, str) and not (value.startswith("2026-05-") and value.endswith("Z")):
            if key == "severity":
                return value
            return f"{HOSTILE[next(count) % len(HOSTILE)]} {value}"
        return value

    tainted: dict[str, Any] = taint(sample(60))
    return tainted
