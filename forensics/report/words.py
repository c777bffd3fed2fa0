"""The wording of the report: what a code, a number or a state is called in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from forensics.report.times import NONE
from forensics.vocabulary import REASON_CODE, REASONS

SEVERITIES: Final = ("outage", "partial", "near-miss")
"""Gravest first."""

SEVERITY_WORDS: Final = {
    "outage": "Outage",
    "partial": "Partial failure",
    "near-miss": "Near-miss",
}

SEVERITY_MEANINGS: Final = {
    "outage": "every authority or every validating resolver seen was affected",
    "partial": "some authorities or some validating clients were affected",
    "near-miss": "all data stayed valid, but outside the safe path",
}

CONFIDENCE_MEANINGS: Final = {
    "strong": "two independent sightings, or one with the key set from the same server",
    "weak": "a single sighting without the key set from the same server",
}

EXPLANATIONS: Final = {
    "ds-mismatch": "The parent zone holds a fingerprint (DS) of the key it trusts. No key that the "
    "zone publishes has that fingerprint, so the chain of trust breaks at the delegation.",
    "dnskey-absent": "The parent zone still announces the zone as signed (DS), while the zone "
    "answers that it has no keys at all. Validators must refuse everything below.",
    "dnskey-unobtainable": "The parent zone announces the zone as signed (DS), and every attempt "
    "to fetch its keys failed. Without them nothing below can be checked.",
    "dnskey-unsigned-by-ds-key": "The key that the parent vouches for is published, but it has not "
    "signed the key list, so nothing links the list to the parent.",
    "rrsig-missing": "The zone is announced as signed, and a signature was asked for, but the "
    "answer had none. To a validator that looks like an attack.",
    "signature-invalid": "The signatures name a key that is published, but that key did not make "
    "them: the arithmetic fails. Validators must discard such an answer.",
    "dnskey-missing": "The signatures name a key that the zone did not publish at that time, so "
    "nobody could check them.",
    "signature-expired": "Signatures carry an end date, and it had passed. The zone was not signed "
    "again in time.",
    "signature-not-yet-valid": "Signatures carry a start date, and it had not yet come by the "
    "clock of the capture.",
    "signature-window-invalid": "The signatures end before they begin, so they are never valid.",
    "signature-malformed": "The signatures cannot be read as what their algorithm calls for.",
    "signer-invalid": "The signatures name a signer that has no authority over the name.",
    "labels-invalid": "The signatures claim a longer name than the one they stand with.",
    "key-revoked": "The signatures were made by a key that its owner had marked as revoked.",
    "zone-key-bit-unset": "The signatures were made by a key that is not marked as a zone key.",
    "denial-missing": "A signed zone must prove that a name does not exist. The proof was missing.",
    "denial-invalid": "A signed zone must prove that a name does not exist. The proof given proves "
    "something else.",
    "denial-contradicted": "A signed proof said that something does not exist, while the same "
    "server served it. Resolvers that reuse the proof lose the record.",
    "algorithm-incomplete": "The parent announces a signature algorithm with which the zone does "
    "not sign all its data.",
    "algorithm-unsupported": "Validators do not support the algorithm and treat the zone as "
    "unsigned: no failure, but no protection either.",
    "ds-digest-unsupported": "Validators do not support the digest in the parent zone and treat "
    "the zone as unsigned.",
    "nsec3-iterations": "The proofs of non-existence cost more hashing than validators spend.",
    "dnskey-not-captured": "The keys never passed the point of capture; this accuses nobody.",
    "ds-not-captured": "What the parent says never passed the point of capture.",
    "no-trust-anchor": "There was no key to start the chain of trust from.",
    "rrset-incomplete": "Only a part of the records passed the point of capture.",
    "limit-reached": "The program stopped checking at one of its own limits.",
}
"""One plain explanation of each reason, for a person who has never read an RFC."""

PATTERNS: Final = {
    "every-server": "the same at every server",
    "server-divergence": "servers disagree about the same data",
    "keys-out-of-step": "depends on which key set a cache holds",
    "resolver-local": "inside the resolver only; the zone's own servers were fine",
    "flapping": "good and bad alternate from serial to serial",
    "shared-operator": "several zones fail together behind the same addresses",
}

MITIGATIONS: Final = {
    "negative-trust-anchor": "validation switched off for the zone (negative trust anchor)",
    "serve-stale": "old answers served from the cache (serve-stale)",
    "repair": "the zone repaired",
}

TRIAGE: Final = (
    ("validation", "Validation failure", "a validator refused the data"),
    ("timeout", "Timeout", "no response in time"),
    ("refused", "Refused", "the server declined to answer"),
    ("lame", "Lame", "the server is not responsible for the zone"),
    ("servfail-other", "Other SERVFAIL", "the server failed for another reason"),
    ("policy", "Policy", "blocked on purpose"),
)

STATUSES: Final = (
    ("secure", "chain to a trust anchor stands in evidence"),
    ("valid", "signature right; the chain above is not in the capture"),
    ("insecure", "a proven unsigned delegation"),
    ("bogus", "must be refused by a validator"),
    ("indeterminate", "the record needed to judge was never captured"),
)

URGENT: Final = frozenset(
    {"private-root", "clock", "clock-recorder", "clock-resolver", "clock-step", "no-dnssec"}
)
"""Findings that change how everything below is to be read: they stand before it."""

FINDINGS: Final = {
    "private-root": "Private root",
    "clock": "Clock",
    "clock-recorder": "The recorder's clock",
    "clock-resolver": "A resolver's clock",
    "clock-step": "The recorder's clock was set",
    "no-dnssec": "No DNSSEC in the capture",
    "testimony": "By the word of resolvers alone",
    "resolver-local": "Inside a resolver only",
    "near-miss": "Near-miss",
    "rollover": "Key rollover",
    "losses": "Damaged input",
    "not-read": "Not read",
    "unreadable": "Input not read",
    "omitted": "Left out",
    "one-direction": "One direction only",
    "duplicates": "Duplicate packets",
    "sensors": "Seen by two sensors",
    "seen-twice": "Seen from two vantages",
    "forgery": "Forged responses",
    "sensor-clock": "A sensor's clock",
    "trust-signals": "Trust signals",
    "trust-sentinels": "Trust sentinels",
    "starts-in-outage": "Capture starts inside the outage",
    "ends-in-outage": "Capture ends inside the outage",
}

_FINDING_SENTENCES: Final = {
    "private-root": "The captured root keys match no trust anchor, so this is a private root: "
    "nothing below it can be called secure. Give its anchor with --trust-anchor.",
    "no-dnssec": "No signature was captured, so nothing could be judged.",
    "clock": "Many unrelated zones fail only by time: a clock was wrong, and no zone is accused.",
    "one-direction": "Only one direction of the traffic was captured.",
    "duplicates": "The captures hold packets twice; each was counted once.",
    "starts-in-outage": "The captures begin when validation already failed.",
    "ends-in-outage": "The captures end while validation still failed.",
}

_ACRONYMS: Final = frozenset(
    {
        "dnskey", "ds", "cds", "cdnskey", "rrsig", "rrset", "soa", "nsec", "nsec3", "servfail",
        "nxdomain", "tcp", "ede",
    }
)  # fmt: skip

_ALGORITHMS: Final = {
    1: "RSAMD5", 3: "DSA", 5: "RSASHA1", 6: "DSA-NSEC3-SHA1", 7: "RSASHA1-NSEC3-SHA1",
    8: "RSASHA256", 10: "RSASHA512", 12: "ECC-GOST", 13: "ECDSAP256SHA256",
    14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448", 17: "SM2SM3", 23: "ECC-GOST12",
}  # fmt: skip

_RCODES: Final = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
    9: "NOTAUTH",
}  # fmt: skip

_EDE: Final = {
    0: "Other", 1: "Unsupported DNSKEY Algorithm", 2: "Unsupported DS Digest Type",
    3: "Stale Answer", 4: "Forged Answer", 5: "DNSSEC Indeterminate", 6: "DNSSEC Bogus",
    7: "Signature Expired", 8: "Signature Not Yet Valid", 9: "DNSKEY Missing",
    10: "RRSIGs Missing", 11: "No Zone Key Bit Set", 12: "NSEC Missing", 13: "Cached Error",
    14: "Not Ready", 15: "Blocked", 16: "Censored", 17: "Filtered", 18: "Prohibited",
    19: "Stale NXDOMAIN Answer", 20: "Not Authoritative", 21: "Not Supported",
    22: "No Reachable Authority", 23: "Network Error", 24: "Invalid Data",
    25: "Signature Expired before Valid", 26: "Too Early",
    27: "Unsupported NSEC3 Iterations Value", 33: "Negative Trust Anchor",
}  # fmt: skip


def algorithm(number: Any) -> str:
    """Name a DNSSEC algorithm: `13 ECDSAP256SHA256`."""
    name = _ALGORITHMS.get(number) if isinstance(number, int) else None
    return f"{number} {name}" if name else f"{number}"


def keys_of(found: Sequence[Mapping[str, Any]]) -> str:
    """Name keys by tag and algorithm."""
    named = ((key.get("tag", "?"), algorithm(key.get("algorithm", "?"))) for key in found)
    return ", ".join(f"{tag} ({name})" for tag, name in named)


def link_name(link: Mapping[str, Any]) -> str:
    """Name a link of a chain of trust by what it is about."""
    kind = str(link.get("link", ""))
    names = {"anchor": "trust anchor", "denial": "proof of absence"}
    if kind == "rrset" and link.get("type"):
        return str(link["type"])
    return names.get(kind) or phrase(kind)


def triage_case(case: Any) -> tuple[str, str]:
    """Tell the typical case of a kind of failure: what it was, and the frame that shows it."""
    if not isinstance(case, dict):
        return "", ""
    name, kind, server = (case.get(key) or "?" for key in ("name", "type", "server"))
    said = " ".join(filter(None, (rcode(case.get("rcode")), ede(case.get("ede")))))
    return f"{name} {kind} at {server}: {said}", f"{case.get('capture')}, frame {case.get('frame')}"


def rcode(number: Any) -> str:
    """Name a response code: `SERVFAIL`; `no response` for none."""
    if not isinstance(number, int):
        return "no response"
    return _RCODES.get(number, f"RCODE {number}")


def ede(number: Any) -> str:
    """Name an extended DNS error (RFC 8914): `EDE 6 (DNSSEC Bogus)`; empty for none."""
    try:
        number = int(number)
    except (TypeError, ValueError):
        return ""
    return f"EDE {number} ({_EDE[number]})" if number in _EDE else f"EDE {number}"


CACHES: Final = (
    "What the servers served was right by the keys and DS published at that moment. A cache that "
    "still held older ones could not check it, and refused it until they ran out."
)


def explanation(reason: Any, zone: str) -> str:
    """Explain a reason; an unknown one is said to be unknown."""
    if reason in EXPLANATIONS:
        return EXPLANATIONS[reason]
    return f"The reason given for {zone} is not in this program's catalogue."


def explained(incident: Mapping[str, Any]) -> str:
    """Explain an incident: its reason, or what only caches with older keys or DS refused."""
    if incident.get("caches"):
        return CACHES
    return explanation(incident.get("reason"), str(incident.get("zone", "?")))


def source(reason: Any) -> str:
    """Give the RFC section that the rule stands in, empty for an unknown reason."""
    number = REASON_CODE.get(reason)
    return "" if number is None else REASONS[number].rfc


def number(value: Any) -> str:
    """Write a count with its thousands apart; what is no number, as `NONE`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NONE
    return f"{value:,}"


def counted(value: Any, noun: str) -> str:
    """Write a count with its noun: `1 name`, `2,310 names`."""
    if value == 1:
        return f"1 {noun}"
    plural = f"{noun}es" if noun.endswith(("ch", "sh", "x", "s")) else f"{noun}s"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        plural = f"{noun[:-1]}ies"
    return f"{number(value)} {plural}"


def phrase(value: Any) -> str:
    """Turn a code of the contract into words: `ds-mismatch` to `DS mismatch`."""
    text = str(value).replace("_", "-")
    return " ".join(word.upper() if word in _ACRONYMS else word for word in text.split("-"))


def finding(row: Mapping[str, Any]) -> tuple[str, str]:
    """Give a finding's name and its sentence, its own or the one that fits its kind."""
    kind = str(row.get("kind") or "finding")
    name = FINDINGS.get(kind) or phrase(kind)
    return name[:1].upper() + name[1:], str(
        row.get("sentence") or _FINDING_SENTENCES.get(kind) or ""
    )


def place(row: Mapping[str, Any]) -> str:
    """Name a server or a resolver: address, then NSID or dnstap identity where known."""
    address = str(row.get("address") or row.get("server") or "?")
    instance = row.get("nsid") or row.get("identity")
    return f"{address} · {instance}" if instance else address


def octets(value: Any) -> str:
    """Write a size: `1.4 MB`."""
    if not isinstance(value, int | float):
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1_000:
            return f"{value:.3g} {unit}" if unit != "B" else f"{value} B"
        value /= 1_000
    return f"{value:.3g} TB"


LEDGER: Final = {
    "content": "Octets",
    "messages": "In DNS messages",
    "other": "Other traffic",
    "framing": "Framing",
    "lost": "Lost",
}
"""The columns of an input's ledger; the first is the sum of the others."""


def adds_up(ledger: Mapping[str, Any]) -> str:
    """Say whether every octet of an input is accounted for."""
    return "adds up" if ledger.get("complete") is True else "does not add up"


def figures(values: Any) -> str:
    """Write the figures of a pattern in one line: `servers 3, serials 12`."""
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{phrase(key)} {_figure(value)}" for key, value in values.items())


def _figure(value: Any) -> str:
    """Write one figure, whatever its kind."""
    if isinstance(value, list):
        return " / ".join(_figure(item) for item in value)
    if isinstance(value, Mapping):
        return f"({figures(value)})"
    return number(value) if isinstance(value, int | float) else str(value)
