"""What is wrong with the zone itself, for every validator: signatures, times, denial chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from forensics.knowledge import key_tag
from forensics.limits import SECOND
from forensics.rehearsal.chain import breaks
from forensics.rehearsal.contents import Contents, Place, RRset
from forensics.rehearsal.denials import Denials
from forensics.rehearsal.finding import Finding, Holders, Level
from forensics.rehearsal.signing import GOOD, Notary, begins, expires, is_fit
from forensics.rehearsal.words import key_text, names_of, several
from forensics.vocabulary import TYPE_DNSKEY

_HARMLESS: Final = frozenset({"nsec3-parameters"})


def faults(
    zone: Contents, denials: Denials, notary: Notary, at: int, lasting: int | None
) -> Iterator[Finding]:
    """Give what every validator that holds the zone's own keys would refuse, and warnings.

    Args:
        zone: the zone.
        denials: its denial chain.
        notary: its signatures with their makers.
        at: ns, when it is published.
        lasting: ns; signatures that end before are refused. None: none is but by `at`.
    """
    keys = frozenset(zone.keys)
    if not keys:
        return
    yield from _signatures(zone, notary, keys, at)
    yield from _endings(zone, notary, keys, at, lasting)
    yield from _chain(zone, denials, at)
    yield from _collisions(zone, at)
    yield from _algorithms(zone, notary, keys, at)
    yield from _strays(zone, notary, keys, at)


def _signatures(
    zone: Contents, notary: Notary, keys: frozenset[bytes], at: int
) -> Iterator[Finding]:
    """RRsets without a signature that stands."""
    wrong: dict[str, list[RRset]] = defaultdict(list)
    for rrset in zone.signable():
        fault = notary.worth(rrset, keys, at)
        if fault != GOOD:
            wrong[fault].append(rrset)
    for reason, rrsets in sorted(wrong.items()):
        until = _begin(notary, rrsets, at) if reason == "signature-not-yet-valid" else None
        named = _named(notary, rrsets, reason, keys)
        yield Finding(
            reason,
            Level.REFUSE,
            Holders.EVERYONE,
            _sentence(reason, rrsets, named, notary, keys),
            at,
            until,
            frozenset((rrset.owner, rrset.type) for rrset in rrsets),
            is_all=any(rrset.type == TYPE_DNSKEY for rrset in rrsets),
            keys=named,
        )


def _sentence(
    reason: str,
    rrsets: list[RRset],
    named: tuple[bytes, ...],
    notary: Notary,
    keys: frozenset[bytes],
) -> str:
    what = f"{several(len(rrsets), 'RRset')} ({names_of(rrsets)})"
    if reason == "signature-invalid":
        by = ", ".join(key_text(key) for key in named)
        return (
            f"The signatures of {what} name a published key ({by}) that did not make them: another "
            "key with the same tag did, or the data was changed after it was signed."
        )
    if reason == "dnskey-missing":
        made = {key for rrset in rrsets for one in notary.made(rrset) for key in one.keys} - keys
        tags = sorted({one.signature.tag for rrset in rrsets for one in notary.made(rrset)})
        known = f"; recorded keys made them: {', '.join(map(key_text, sorted(made)))}"
        return (
            f"{what} are signed with keys that the zone does not publish (tags "
            f"{', '.join(map(str, tags[:6]))}){known if made else ''}."
        )
    verbs = {
        "rrsig-missing": "have no signature",
        "signature-expired": "have signatures that have run out",
        "signature-not-yet-valid": "have signatures that are not valid yet",
    }
    return f"{what} {verbs.get(reason, 'have no signature that stands')}."


def _named(
    notary: Notary, rrsets: list[RRset], reason: str, keys: frozenset[bytes]
) -> tuple[bytes, ...]:
    """Return the keys that signatures bear the tag of."""
    tags = {
        (made.signature.tag, made.signature.algorithm)
        for rrset in rrsets
        for made in notary.made(rrset)
    }
    if reason == "rrsig-missing":
        return ()
    return tuple(sorted(key for key in keys if (key_tag(key), key[3]) in tags))


def _begin(notary: Notary, rrsets: list[RRset], at: int) -> int:
    """Return when the last of these RRsets becomes valid."""
    return (
        max(
            min(begins(made.signature, at // SECOND) for made in notary.made(rrset) if made.keys)
            for rrset in rrsets
        )
        * SECOND
    )


def _endings(
    zone: Contents, notary: Notary, keys: frozenset[bytes], at: int, lasting: int | None
) -> Iterator[Finding]:
    """Signatures that stand, and end soon: before the time asked for, or within their TTL."""
    now = at // SECOND
    short: dict[Level, list[tuple[int, RRset]]] = defaultdict(list)
    for rrset in zone.signable():
        if notary.worth(rrset, keys, at) != GOOD:
            continue
        over_keys = rrset.type == TYPE_DNSKEY
        end = max(
            expires(made.signature, now)
            for made in notary.made(rrset)
            if any(is_fit(key, over_keys=over_keys) for key in made.keys & keys)
        )
        if lasting is not None and end * SECOND < lasting:
            short[Level.REFUSE].append((end, rrset))
        elif end < now + rrset.ttl:
            short[Level.WARNING].append((end, rrset))
    for level, rows in sorted(short.items()):
        rows.sort(key=lambda row: (row[0], row[1].owner, row[1].type))
        rrsets = [rrset for _, rrset in rows]
        than = "before the time asked for" if level is Level.REFUSE else "within their TTL"
        yield Finding(
            "signature-expiring",
            level,
            Holders.EVERYONE,
            f"Signatures of {several(len(rrsets), 'RRset')} ({names_of(rrsets)}) end {than}.",
            rows[0][0] * SECOND,
            None,
            frozenset((rrset.owner, rrset.type) for rrset in rrsets),
        )


def _chain(zone: Contents, denials: Denials, at: int) -> Iterator[Finding]:
    wrong: dict[str, list[tuple[Place, str]]] = defaultdict(list)
    for one in breaks(zone, denials):
        wrong[one.reason].append((one.place, one.sentence))
    for reason, rows in sorted(wrong.items()):
        more = f" {len(rows) - 1} more like it." if len(rows) > 1 else ""
        yield Finding(
            reason,
            Level.WARNING if reason in _HARMLESS else Level.REFUSE,
            Holders.EVERYONE,
            rows[0][1] + more,
            at,
            None,
            frozenset(place for place, _ in rows),
            # What the proof proves too little of is found question by question.
            faults=frozenset({"denial-missing", "denial-invalid"}),
        )


def _collisions(zone: Contents, at: int) -> Iterator[Finding]:
    """Keys that share a tag (RFC 4034 B: never an identifier; limits of resolvers, RFC 9364)."""
    shared: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for key in zone.keys:
        if len(key) > 4:
            shared[key_tag(key), key[3]].append(key)
    for (tag, _), keys in sorted(shared.items()):
        if len(keys) > 1:
            yield Finding(
                "key-tag-collision",
                Level.WARNING,
                Holders.EVERYONE,
                f"{len(keys)} keys of the DNSKEY RRset share tag {tag}: "
                f"{', '.join(key_text(key) for key in keys)}. Some resolvers try only one or two.",
                at,
                keys=tuple(keys),
            )


def _algorithms(
    zone: Contents, notary: Notary, keys: frozenset[bytes], at: int
) -> Iterator[Finding]:
    """RRsets that lack a signature by an algorithm of the DNSKEY RRset (RFC 4035 2.2)."""
    due = {key[3] for key in keys if is_fit(key)}
    lacking: dict[int, list[RRset]] = defaultdict(list)
    for rrset in zone.signable():
        if notary.worth(rrset, keys, at) != GOOD:
            continue
        made = {key[3] for one in notary.made(rrset) for key in one.keys & keys}
        for algorithm in sorted(due - made):
            lacking[algorithm].append(rrset)
    for algorithm, rrsets in sorted(lacking.items()):
        yield Finding(
            "algorithm-incomplete",
            Level.WARNING,
            Holders.EVERYONE,
            f"{several(len(rrsets), 'RRset')} ({names_of(rrsets)}) have no signature by algorithm "
            f"{algorithm}, which the DNSKEY RRset lists. Validators accept another one (RFC 6840 "
            "5.11), but not all do.",
            at,
            None,
            frozenset((rrset.owner, rrset.type) for rrset in rrsets),
        )


def _strays(zone: Contents, notary: Notary, keys: frozenset[bytes], at: int) -> Iterator[Finding]:
    """Signatures that verify with nothing, beside one that stands."""
    tags = {(key_tag(key), key[3]) for key in keys}
    found = [
        rrset
        for rrset in zone.signable()
        if notary.worth(rrset, keys, at) == GOOD
        and any(
            not made.keys and (made.signature.tag, made.signature.algorithm) in tags
            for made in notary.made(rrset)
        )
    ]
    if found:
        yield Finding(
            "signature-invalid",
            Level.WARNING,
            Holders.EVERYONE,
            f"{several(len(found), 'RRset')} ({names_of(found)}) have a signature that no key made "
            "beside one that stands.",
            at,
            None,
            frozenset((rrset.owner, rrset.type) for rrset in found),
        )
