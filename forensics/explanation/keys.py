"""The DNSKEY link: whether a zone's key set is the one that its parent or an anchor vouches for.

RFC 4035 5.2 and 5.3, RFC 4509 3 (SHA-1 gives way to stronger digests), RFC 6840 5.11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from forensics.explanation.chain import Cited, Link, ServerView, rank
from forensics.explanation.current import Current, accuses, current
from forensics.explanation.records import NOERROR, TYPE_CNAME, Response, RRset, relabelled
from forensics.explanation.signing import Checker, Tried
from forensics.explanation.words import said, server_text, tags_text
from forensics.knowledge import DIGESTS, DelegationSigner, Key, referred, wire_name
from forensics.limits import SECOND, UNOBTAINABLE_TRIES
from forensics.vocabulary import NXDOMAIN, TYPE_DNSKEY, Section, Status

_SHA1 = 1


@dataclass(frozen=True)
class KeySet:
    """What came of a zone's DNSKEY link.

    Attributes:
        link: as told.
        keys: that may be used below; empty where the link is broken or nothing was captured.
        is_captured: some DNSKEY RRset was captured.
    """

    link: Link
    keys: tuple[Key, ...] = ()
    is_captured: bool = False


def usable(
    delegation: Sequence[DelegationSigner], checker: Checker, at: int
) -> tuple[list[DelegationSigner], str]:
    """Return the DS records that count, and why none does (`none`: some do)."""
    policy = checker.policy
    supported = [d for d in delegation if policy.supports(d.algorithm, at)]
    if not supported:
        return [], "algorithm-unsupported"
    digested = [d for d in supported if d.digest_type in policy.digests]
    if not digested:
        return [], "ds-digest-unsupported"
    stronger = [d for d in digested if d.digest_type != _SHA1]
    return (policy.sha1_gives_way and stronger) or digested, "none"


@lru_cache(maxsize=256)
def keys_of(zone: str, rdatas: tuple[bytes, ...]) -> tuple[Key, ...]:
    """Return the keys of a zone in these records.

    The same ones for the same records, so that many instants compute tags and digests once.
    """
    return tuple(Key(zone, rdata) for rdata in rdatas if len(rdata) > 4)


def key_rrset(response: Response, zone: str) -> RRset | None:
    """Return the zone's DNSKEY RRset in a response."""
    for section in (Section.ANSWER, Section.AUTHORITY):
        for rrset in response.sets(section, TYPE_DNSKEY):
            if rrset.owner == zone and rrset.rdatas and not rrset.is_wildcard:
                return rrset
    damaged = relabelled(response, zone, TYPE_DNSKEY)
    return damaged if damaged and damaged.rdatas else None


def is_absent(response: Response, zone: str) -> bool:
    """Whether a response says that the zone has no DNSKEY RRset."""
    return (
        response.qname == zone
        and response.qtype == TYPE_DNSKEY
        and response.rcode in {NOERROR, NXDOMAIN}
        and not response.tc
        and not response.is_doubtful
        and (response.aa or response.ra)
        and not response.sets(Section.ANSWER, TYPE_CNAME)
        and response.answers == 0
    )


def tells(responses: Sequence[Response], zone: str) -> list[Response]:
    """Choose the responses that tell of the key set: authorities', else resolvers'."""
    useful = [r for r in responses if (key_rrset(r, zone) and not r.tc) or is_absent(r, zone)]
    for wanted in (
        [r for r in useful if r.is_authority and r.has_dnssec and not r.is_doubtful],
        [r for r in useful if r.has_dnssec and not r.is_doubtful],
        [r for r in useful if r.has_dnssec],
    ):
        if wanted:
            return wanted
    return useful


def judge_keys(
    zone: str,
    delegation: Sequence[DelegationSigner] | None,
    responses: Sequence[Response],
    checker: Checker,
    at: int,
) -> KeySet:
    """Judge a zone's DNSKEY RRset at an instant.

    Args:
        zone: the zone.
        delegation: its DS records or anchors; None: not captured.
        responses: to DNSKEY questions, and others that hold the RRset, in order of time.
        checker: tries the keys.
        at: ns.
    """
    trusted: list[DelegationSigner] | None = None
    if delegation is not None:
        trusted, why = usable(delegation, checker, at)
        if not trusted:
            named = tuple(sorted({(d.tag, d.algorithm) for d in delegation}))
            sentence = (
                f"No DS record of {said(zone)} has an algorithm that validators supported then."
                if why == "algorithm-unsupported"
                else f"No DS record of {said(zone)} has a digest that validators support."
            )
            return KeySet(
                Link(zone, "dnskey", Status.INSECURE, why, zone, TYPE_DNSKEY, named,
                     sentence=sentence)
            )  # fmt: skip
    chosen = current(tells(responses, zone), at, lambda r: key_rrset(r, zone))
    failed = _failures(zone, chosen, responses, at)
    if trusted is not None and len(failed) >= UNOBTAINABLE_TRIES:
        return _unobtainable(zone, failed)
    if not chosen:
        return _not_captured(zone)
    judged = [(c, _judge(zone, trusted, c, checker, at)) for c in chosen]
    counted = [item for item in judged if not item[0].is_superseded]
    one, (status, reason, tried, sentence) = max(counted, key=lambda item: rank(item[1][0]))
    servers = tuple(
        ServerView(c.response, s, r, c.is_later, c.is_superseded) for c, (s, r, _, _) in judged
    )
    rrset = key_rrset(one.response, zone)
    signer = ((tried.signature.tag, tried.signature.algorithm),) if tried else ()
    keys: dict[bytes, Key] = {}
    if status in {Status.SECURE, Status.VALID, Status.INDETERMINATE}:
        for c, (s, _, _, _) in counted:
            shown = None if c.is_stale else key_rrset(c.response, zone)
            if shown and rank(s) <= rank(status):
                keys |= {key.rdata: key for key in keys_of(zone, shown.rdatas)}
    link = Link(
        zone,
        "dnskey",
        status,
        reason,
        zone,
        TYPE_DNSKEY,
        signer if tried and (tried.key or reason != "none") else _tags(zone, rrset),
        (Cited(one.response, one.is_later),),
        sentence,
        tried.end if tried and tried.is_good else None,
        servers if len(servers) > 1 else (),
    )
    return KeySet(link, tuple(keys.values()), is_captured=rrset is not None)


_Verdict = tuple[Status, str, Tried | None, str]


def _judge(
    zone: str,
    trusted: Sequence[DelegationSigner] | None,
    chosen: Current,
    checker: Checker,
    at: int,
) -> _Verdict:
    """Judge one response; where it may not accuse, nothing is known."""
    if chosen.is_stale:
        sentence = f"The keys of {said(zone)} that the resolver had held had run out."
        return Status.INDETERMINATE, "dnskey-not-captured", None, sentence
    verdict = _judge_response(zone, trusted, chosen.response, checker, at)
    if verdict[0] == Status.BOGUS and not accuses(chosen, at, verdict[1]):
        sentence = f"{verdict[3]} Of the instant itself that tells nothing."
        return Status.INDETERMINATE, "dnskey-not-captured", verdict[2], sentence
    return verdict


def _judge_response(
    zone: str,
    trusted: Sequence[DelegationSigner] | None,
    response: Response,
    checker: Checker,
    at: int,
) -> _Verdict:
    rrset = key_rrset(response, zone)
    where = server_text(response)
    if rrset is None:
        if trusted is None:
            return (
                Status.INDETERMINATE, "ds-not-captured", None,
                f"{where} answered that {said(zone)} has no keys.",
            )  # fmt: skip
        return (
            Status.BOGUS, "dnskey-absent", None,
            f"{where} answered that {said(zone)} has no keys, though its parent vouches for some.",
        )  # fmt: skip
    keys = keys_of(zone, rrset.rdatas)
    if trusted is None:
        return _judge_alone(zone, rrset, keys, response, checker, at)
    live = [k for k in keys if not k.is_revoked]
    matched = [live[at] for at in referred(live, trusted)]
    if not matched:
        if any(_matches_but_for_flag(k, d) for k in keys for d in trusted):
            sentence = f"The key of {said(zone)} that is vouched for lacks the Zone Key bit."
            return Status.BOGUS, "zone-key-bit-unset", None, sentence
        wanted = tags_text((d.tag, d.algorithm) for d in trusted)
        shown = tags_text((k.tag, k.algorithm) for k in keys)
        return (
            Status.BOGUS, "ds-mismatch", None,
            f"Vouched for is {wanted}; {where} published {shown}: none matches.",
        )  # fmt: skip
    if not rrset.signatures:
        if not response.has_dnssec:
            return (
                Status.INDETERMINATE, "rrset-incomplete", None,
                f"The keys of {said(zone)} were asked for without signatures.",
            )  # fmt: skip
        sentence = f"{where} served the keys of {said(zone)} without any signature."
        return Status.BOGUS, "rrsig-missing", None, sentence
    tried = checker.best(rrset, zone, matched, at)
    if tried is not None and tried.is_good:
        sentence = (
            f"Key {tried.signature.tag}, vouched for from above, signs the key set of {said(zone)}."
        )
        return Status.SECURE, "none", tried, sentence
    attempts = [checker.attempt(s, zone, matched, at) for s in rrset.signatures]
    by_matched = [t for t in attempts if t.reason not in {"dnskey-missing", "algorithm-incomplete"}]
    if tried is None or not by_matched:
        names = tags_text((k.tag, k.algorithm) for k in matched)
        return (
            Status.BOGUS, "dnskey-unsigned-by-ds-key", None,
            f"The key set of {said(zone)} is not signed by {names}, which the parent vouches for.",
        )  # fmt: skip
    status = Status.INDETERMINATE if tried.reason == "limit-reached" else Status.BOGUS
    sentence = f"The signature of key {tried.signature.tag} over the key set of {said(zone)} fails."
    return status, tried.reason, tried, sentence


def _judge_alone(
    zone: str,
    rrset: RRset,
    keys: Sequence[Key],
    response: Response,
    checker: Checker,
    at: int,
) -> _Verdict:
    """Judge a key set whose DS was not captured: by its own signatures."""
    if not rrset.signatures:
        sentence = f"{server_text(response)} served the keys of {said(zone)} without a signature."
        return Status.INDETERMINATE, "ds-not-captured", None, sentence
    tried = checker.best(rrset, zone, keys, at)
    assert tried is not None
    if tried.is_good:
        sentence = (
            f"The key set of {said(zone)} is signed by its own key {tried.signature.tag};"
            " what vouches for it was not captured."
        )
        return Status.VALID, "none", tried, sentence
    if tried.reason in {"algorithm-incomplete", "limit-reached"}:
        sentence = f"The signatures over the key set of {said(zone)} cannot be checked."
        return Status.INDETERMINATE, "ds-not-captured", tried, sentence
    sentence = f"The signature of key {tried.signature.tag} over the key set of {said(zone)} fails."
    return Status.BOGUS, tried.reason, tried, sentence


def _matches_but_for_flag(key: Key, delegation: DelegationSigner) -> bool:
    """Whether a DS refers to a key that only lacks the Zone Key bit (RFC 4034 5.2)."""
    name = DIGESTS.get(delegation.digest_type)
    if name is None or key.is_zone_key or key.tag != delegation.tag:
        return False
    made = hashlib.new(name, wire_name(key.zone) + key.rdata, usedforsecurity=False)
    return made.digest() == delegation.digest


def _tags(zone: str, rrset: RRset | None) -> tuple[tuple[int, int], ...]:
    found = keys_of(zone, rrset.rdatas) if rrset else ()
    return tuple(sorted({(k.tag, k.algorithm) for k in found}))


def _failed(response: Response, zone: str) -> bool:
    """Whether the zone's keys were asked for, and no answer came of it."""
    return (
        response.qname == zone
        and response.qtype == TYPE_DNSKEY
        and not response.ra
        and (response.rcode not in {NOERROR, NXDOMAIN} or response.tc)
    )


def _failures(
    zone: str, chosen: Sequence[Current], responses: Sequence[Response], at: int
) -> list[Response]:
    """Return the questions for the keys that failed since the last key set ran out."""
    since = 0
    if chosen:
        rrset = key_rrset(chosen[0].response, zone)
        if rrset is None:
            return []
        since = 0 if chosen[0].is_later else chosen[0].response.time + rrset.ttl * SECOND
    resolvers = {r.server for r in responses if r.ra}
    return [
        r
        for r in responses
        if _failed(r, zone) and since < r.time <= at and r.server not in resolvers
    ]


def _unobtainable(zone: str, failed: Sequence[Response]) -> KeySet:
    servers = sorted({r.server for r in failed})
    last = max(failed, key=lambda r: r.time)
    sentence = (
        f"The keys of {said(zone)} were asked for {len(failed)} times at {len(servers)} servers,"
        " and no answer was captured."
    )
    link = Link(
        zone, "dnskey", Status.BOGUS, "dnskey-unobtainable", zone, TYPE_DNSKEY,
        cited=(Cited(last),), sentence=sentence,
    )  # fmt: skip
    return KeySet(link)


def _not_captured(zone: str) -> KeySet:
    link = Link(
        zone, "dnskey", Status.INDETERMINATE, "dnskey-not-captured", zone, TYPE_DNSKEY,
        sentence=f"No DNSKEY RRset of {said(zone)} was captured.",
    )  # fmt: skip
    return KeySet(link)
