"""The zone against what others hold: the parent's DS, cached keys, cached DS, cached answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from forensics.knowledge import DelegationSigner, Key, key_tag
from forensics.rehearsal.contents import Contents
from forensics.rehearsal.finding import Finding, Holders, Level, Unjudged
from forensics.rehearsal.holders import Held, HeldAnswer, HeldKeys
from forensics.rehearsal.signing import GOOD, Notary, is_fit, of_time
from forensics.rehearsal.words import key_text, names_of, rfc3339, several
from forensics.validation.deniers import text
from forensics.validation.policy import POLICIES
from forensics.vocabulary import TYPE_DNSKEY

_POLICY = POLICIES["strict"]


def usable(records: Sequence[DelegationSigner], at: int) -> list[DelegationSigner]:
    """Return the DS records whose algorithm and digest count (RFC 4035 5.2, RFC 9905)."""
    return [
        one
        for one in records
        if _POLICY.supports(one.algorithm, at) and one.digest_type in _POLICY.digests
    ]


def in_force(
    held: Held, given: Sequence[DelegationSigner] | None
) -> Sequence[DelegationSigner] | None:
    """Return the DS RRset that is in force, empty where there is none; None: not known."""
    if given is not None:
        return given
    current = [one for one in held.delegations if one.is_current]
    return max(current, key=lambda one: one.last).records if current else None


def is_insecure(held: Held, given: Sequence[DelegationSigner] | None, at: int) -> bool:
    """Whether no validator holds a DS that counts: it accepts whatever the zone answers."""
    records = in_force(held, given)
    if records is None or usable(records, at):
        return False
    return not any(one.is_fresh and usable(one.records, at) for one in held.delegations)


def link(zone: Contents, notary: Notary, records: Sequence[DelegationSigner], at: int) -> str:
    """Say what is wrong between a DS RRset and the zone's DNSKEY RRset; GOOD: nothing."""
    counted = usable(records, at)
    if not counted:
        return GOOD  # insecure, whatever the zone holds
    rrset = zone.get(zone.apex, TYPE_DNSKEY)
    if rrset is None:
        return "dnskey-absent"
    matched = matching(zone, counted)
    if not matched:
        return "ds-mismatch"
    made = [one for one in notary.made(rrset) if one.keys & matched]
    if not made:
        return "dnskey-unsigned-by-ds-key"
    faults = [of_time(one.signature, at) for one in made]
    return GOOD if GOOD in faults else faults[0]


def matching(zone: Contents, records: Sequence[DelegationSigner]) -> frozenset[bytes]:
    """Return the keys of the zone that DS records refer to and that may sign."""
    name = text(zone.apex)
    return frozenset(
        rdata
        for rdata in zone.keys
        if is_fit(rdata) and any(Key(name, rdata).matches(one) for one in records)
    )


def delegation(
    zone: Contents,
    notary: Notary,
    held: Held,
    given: Sequence[DelegationSigner] | None,
    at: int,
) -> Iterator[Finding | Unjudged]:
    """Hold the zone's keys against the DS in force, and against those that caches hold.

    Args:
        zone: the zone.
        notary: its signatures.
        held: what caches hold.
        given: DS records that the user says will be in force; None: those seen last are.
        at: ns, when it is published.
    """
    name = text(zone.apex)
    current = [one for one in held.delegations if one.is_current]
    if given is not None:
        fault = link(zone, notary, given, at)
        if fault:
            yield _broken(fault, name, given, "that --ds names", at, None, Holders.EVERYONE)
    elif current:
        newest = max(current, key=lambda one: one.last)
        fault = link(zone, notary, newest.records, at)
        if fault:
            seen = f"that the parent served last (seen {rfc3339(newest.last)[:19]}Z)"
            yield _broken(fault, name, newest.records, seen, at, None, Holders.EVERYONE)
    else:
        yield Unjudged(
            "delegation",
            f"No DS of {name} was recorded, so whether the parent vouches for its keys is not "
            "known.",
            f"Give the DS RRset with --ds FILE, or record a query for {name} DS at the parent's "
            "servers.",
        )
    now = in_force(held, given)
    for one in held.delegations:
        if not one.is_fresh or set(one.records) == set(now or ()):
            continue
        fault = link(zone, notary, one.records, at)
        if fault and (now is None or not link(zone, notary, now, at)):
            seen = f"that caches can hold (seen until {rfc3339(one.last)[:19]}Z)"
            yield _broken(fault, name, one.records, seen, at, one.until, Holders.CACHED_DELEGATION)


def _broken(
    fault: str,
    name: str,
    records: Sequence[DelegationSigner],
    seen: str,
    at: int,
    until: int | None,
    holders: Holders,
) -> Finding:
    tags = ", ".join(f"{one.tag}/{one.algorithm}" for one in records[:6])
    which = f"the DS RRset {seen} (tags {tags})"
    sentence = {
        "ds-mismatch": f"No key of {name} is one that {which} vouches for.",
        "dnskey-absent": f"{name} has no DNSKEY RRset, but {which} says that it is signed.",
        "dnskey-unsigned-by-ds-key": (
            f"The DNSKEY RRset of {name} is not signed by a key that {which} vouches for."
        ),
    }.get(fault, f"The signature over the DNSKEY RRset of {name} that counts is out of its time.")
    return Finding(fault, Level.REFUSE, holders, sentence, at, until, is_all=True)


def cached_keys(
    zone: Contents, notary: Notary, held: Held, at: int
) -> Iterator[Finding | Unjudged]:
    """Hold the zone's signatures against the DNSKEY RRsets that caches have."""
    name = text(zone.apex)
    if not held.keys:
        yield Unjudged(
            "cached-keys",
            f"No DNSKEY RRset of {name} was recorded, so what resolvers hold of its keys is not "
            "known.",
            f"Record the zone's servers for at least one TTL of {name} DNSKEY, or ask them once "
            "while recording.",
        )
        return
    keys = frozenset(zone.keys)
    if not keys:
        return
    new = [
        rrset
        for rrset in zone.signable()
        if rrset.type != TYPE_DNSKEY and notary.worth(rrset, keys, at) == GOOD
    ]
    for one in held.keys:
        if one.keys == keys:
            continue
        refused = [rrset for rrset in new if notary.worth(rrset, one.keys, at) != GOOD]
        if not refused:
            continue
        made = {key for rrset in refused for m in notary.made(rrset) for key in m.keys & keys}
        if not one.is_fresh:
            if one.is_current:
                yield _too_old(name, one)
            continue
        yield Finding(
            "dnskey-missing",
            Level.REFUSE,
            Holders.CACHED_KEYS,
            f"Resolvers that hold the DNSKEY RRset seen until {rfc3339(one.last)[:19]}Z "
            f"({_tags(one.keys)}) cannot verify {several(len(refused), 'RRset')} "
            f"({names_of(refused)}): made by {', '.join(map(key_text, sorted(made)[:4]))}.",
            at,
            one.until,
            frozenset((rrset.owner, rrset.type) for rrset in refused),
            keys=tuple(sorted(made)),
        )


def _too_old(name: str, held: HeldKeys) -> Unjudged:
    return Unjudged(
        "cached-keys",
        f"The DNSKEY RRset of {name} was last seen {rfc3339(held.last)[:19]}Z, more than its TTL "
        "ago; whether the keys that sign now have been published since is not known.",
        f"Record {name} DNSKEY nearer to publication.",
    )


def _tags(keys: frozenset[bytes]) -> str:
    return "tags " + ", ".join(sorted({f"{key_tag(key)}/{key[3]}" for key in keys if len(key) > 4}))


def cached_answers(zone: Contents, held: Held, at: int) -> Iterator[Finding]:
    """Hold the zone's keys against the answers that caches have: who asks them needs those keys."""
    keys = frozenset(key for key in zone.keys if is_fit(key))
    if not zone.keys:
        return
    refused: dict[frozenset[bytes], list[HeldAnswer]] = defaultdict(list)
    for one in held.answers:
        if one.makers and not one.makers & keys and one.until > at:
            refused[one.makers].append(one)
    for makers, answers in sorted(refused.items(), key=lambda item: sorted(item[0])):
        named = ", ".join(sorted({one.owner for one in answers})[:3])
        yield Finding(
            "dnskey-withdrawn",
            Level.REFUSE,
            Holders.CACHED_DATA,
            f"Caches hold {several(len(answers), 'answer')} (such as {named}) signed by "
            f"{', '.join(map(key_text, sorted(makers)))}, which the zone would no longer publish: "
            "who gets one and asks for the keys anew cannot verify it.",
            at,
            max(one.until for one in answers),
            numbers=tuple(sorted(n for one in answers for n in one.numbers)),
            keys=tuple(sorted(makers)),
        )


def serial(zone: Contents, held: Held, at: int) -> Iterator[Finding | Unjudged]:
    """Hold the zone's serial against the one that its servers showed (RFC 1982, RFC 1996)."""
    name = text(zone.apex)
    if held.serial is None:
        yield Unjudged(
            "serial",
            f"No signed SOA of {name} was recorded, so whether the serial increases is not known.",
            f"Record a query for {name} SOA.",
        )
        return
    soa = zone.soa
    same = soa is not None and {one.octets for one in soa.signatures} & set(held.soa)
    ahead = (zone.serial - held.serial) & 0xFFFFFFFF
    if 0 < ahead < 2**31 or same:
        return
    yield Finding(
        "serial-not-increased",
        Level.REFUSE,
        Holders.SECONDARIES,
        f"The serial {zone.serial} is not after {held.serial}, which the servers of {name} showed "
        f"(seen {rfc3339(held.serial_seen)[:19]}Z): secondaries would not take the zone.",
        at,
    )
