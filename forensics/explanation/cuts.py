"""The DS link: whether there is a zone cut at a name, and the parent vouches for what is below.

RFC 4035 5.2, RFC 5155 8.6 and 8.9, RFC 6840 4.1: a signed delegation has a signed DS RRset, an
unsigned one a proof that there is none, and what has neither is no cut, or was not captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from forensics.explanation.chain import Cited, Link, ServerView, rank, status_of
from forensics.explanation.current import Current, accuses, current
from forensics.explanation.denial import deniers_of, judge_denial, signer_of
from forensics.explanation.records import (
    NOERROR,
    TYPE_CNAME,
    Response,
    RRset,
    relabelled,
)
from forensics.explanation.signer import Signer
from forensics.explanation.signing import Tried
from forensics.explanation.words import said, server_text, tags_text
from forensics.knowledge import DelegationSigner, is_subdomain
from forensics.validation.proof import Claim
from forensics.vocabulary import NXDOMAIN, TYPE_DS, TYPE_NS, TYPE_SOA, Section, Status

SIGNED: Final = "signed"
UNSIGNED: Final = "unsigned"
NO_CUT: Final = "no cut"
UNKNOWN: Final = "unknown"
BROKEN: Final = "broken"


@dataclass(frozen=True)
class Cut:
    """What is known of a zone cut at a name.

    Attributes:
        kind: signed, unsigned, no cut, unknown (nothing was captured) or broken.
        link: as told; None for no cut and for unknown.
        delegation: the DS records where it is signed.
        signer: the zone above that signs the DS RRset or its denial; None: nothing is signed.
    """

    kind: str
    link: Link | None = None
    delegation: tuple[DelegationSigner, ...] = ()
    signer: str | None = None


def ds_rrset(response: Response, name: str) -> RRset | None:
    """Return the DS RRset of a name in a response, with its records."""
    for section in (Section.ANSWER, Section.AUTHORITY):
        for rrset in response.sets(section, TYPE_DS):
            if rrset.owner == name and rrset.rdatas and not rrset.is_wildcard:
                return rrset
    return relabelled(response, name, TYPE_DS)


def tells(response: Response, name: str) -> str | None:
    """Say how a response tells of a cut at a name: ds, denied, name-error, referral; None: not."""
    if response.tc or response.rcode not in {NOERROR, NXDOMAIN}:
        return None
    if ds_rrset(response, name):
        return "ds"
    authority = response.sets(Section.AUTHORITY)
    if response.qname == name and response.qtype == TYPE_DS:
        if any(r.type == TYPE_SOA and r.owner == name for r in authority):
            return None  # the child's own server was asked, which knows nothing of its DS
        if response.sets(Section.ANSWER, TYPE_CNAME):
            return "alias"
        if response.rcode == NXDOMAIN:
            return "name-error"
        if response.answers == 0 and (response.aa or response.ra or deniers_of(response)):
            if any(r.type == TYPE_NS and r.owner != name for r in authority) and not any(
                r.type == TYPE_SOA for r in authority
            ):
                return None  # a referral to a zone above the name
            return "denied"
    if (
        not response.aa
        and response.answers == 0
        and any(r.type == TYPE_NS and r.owner == name for r in authority)
    ):
        return "referral"
    return None


def _useful(responses: Sequence[Response], name: str) -> list[Response]:
    """Choose what tells of the cut: authorities' responses, else resolvers'."""
    found = [r for r in responses if tells(r, name) and r.has_dnssec]
    # A referral without proof says nothing where a better one, or the DS question, was captured.
    telling = [r for r in found if tells(r, name) != "referral" or deniers_of(r)]
    for wanted in (
        [r for r in telling if r.is_authority and not r.is_doubtful],
        [r for r in telling if not r.is_doubtful],
        telling,
    ):
        if wanted:
            return wanted
    return []


def judge_cut(
    name: str,
    parent: Signer,
    responses: Sequence[Response],
    at: int,
) -> Cut:
    """Judge whether the zone delegates a name at an instant, and how.

    Args:
        name: below the zone.
        parent: the nearest zone above that is known, with its keys (none: not captured).
        responses: to DS questions, referrals, and others with the DS RRset, in order of time.
        at: ns.
    """
    chosen = current(_useful(responses, name), at, lambda r: _shown(r, name))
    if not chosen:
        return Cut(UNKNOWN)
    signer = _signer(chosen[0].response, name)
    if (
        signer is not None
        and signer not in {parent.zone, name}
        and is_subdomain(signer, parent.zone)
    ):
        return Cut(UNKNOWN, signer=signer)  # a zone lies between, the caller goes there first
    judged = [(c, _judge(name, parent, c)) for c in chosen]
    counted = [item for item in judged if not item[0].is_superseded]
    _, cut = max(counted, key=lambda item: rank(item[1].link.status) if item[1].link else -1)
    if cut.link is not None:
        cut = replace(cut, link=replace(cut.link, signer=parent.zone))
    if cut.kind == UNKNOWN or cut.link is None or len(judged) == 1:
        return cut
    servers = tuple(
        ServerView(
            c.response,
            one.link.status if one.link else Status.SECURE,
            one.link.reason if one.link else "none",
            c.is_later,
            c.is_superseded,
        )
        for c, one in judged
    )
    return replace(cut, link=replace(cut.link, servers=servers))


def _shown(response: Response, name: str) -> object:
    """What a response says of the cut: its DS RRset, or the records that deny it."""
    return ds_rrset(response, name) or tuple(deniers_of(response))


def _signer(response: Response, name: str) -> str | None:
    """Return the zone that signs the DS RRset of a name, or its denial."""
    rrset = ds_rrset(response, name)
    if rrset is not None:
        return next((s.signer for s in rrset.signatures if s.signer and s.signer != name), None)
    return signer_of(response)


def _judge(name: str, parent: Signer, chosen: Current) -> Cut:
    """Judge by one response."""
    response = chosen.response
    how = tells(response, name)
    cited = (Cited(response, chosen.is_later),)
    if chosen.is_stale:
        sentence = f"What the resolver had held of a delegation to {said(name)} had run out."
        return Cut(UNKNOWN, _link(name, Status.INDETERMINATE, "ds-not-captured", cited, sentence))
    if how == "ds":
        cut = _judge_ds(name, parent, response, cited)
    elif how in {"denied", "referral", "name-error"}:
        cut = _judge_absence(name, parent, response, cited, how)
    else:
        return Cut(NO_CUT)
    if cut.kind != BROKEN or cut.link is None or accuses(chosen, parent.at, cut.link.reason):
        return cut
    sentence = f"{cut.link.sentence} Of the instant itself that tells nothing."
    link = _link(name, Status.INDETERMINATE, "ds-not-captured", cited, sentence, kind=cut.link.kind)
    return Cut(UNKNOWN, link)


def _judge_ds(
    name: str,
    parent: Signer,
    response: Response,
    cited: tuple[Cited, ...],
) -> Cut:
    rrset = ds_rrset(response, name)
    assert rrset is not None
    delegation = tuple(d for rdata in rrset.rdatas if (d := read_ds(rdata)) is not None)
    named = tuple(sorted({(d.tag, d.algorithm) for d in delegation}))
    if not parent.keys:
        sentence = (
            f"{server_text(response)} vouched for {tags_text(named)} of {said(name)};"
            f" the keys of {said(parent.zone)} that sign this were not captured."
        )
        link = _link(name, Status.INDETERMINATE, "dnskey-not-captured", cited, sentence, named)
        return Cut(SIGNED, link, delegation, parent.zone)
    tried = parent.best(rrset, response.time)
    if rrset.is_wildcard and (tried is None or tried.is_good):
        return Cut(UNKNOWN)
    if tried is None:
        sentence = (
            f"{server_text(response)} served the DS records of {said(name)} without a signature."
        )
        return Cut(BROKEN, _link(name, Status.BOGUS, "rrsig-missing", cited, sentence, named))
    if not tried.is_good:
        return _failed(name, tried, cited, f"over the DS records of {said(name)}", named, "ds")
    sentence = f"{said(parent.zone)} vouches for {tags_text(named)} of {said(name)}."
    link = _link(name, Status.SECURE, "none", cited, sentence, named, tried.end)
    return Cut(SIGNED, link, delegation, parent.zone)


def _judge_absence(
    name: str,
    parent: Signer,
    response: Response,
    cited: tuple[Cited, ...],
    how: str,
) -> Cut:
    if not parent.keys:
        if not deniers_of(response):
            return Cut(UNKNOWN)
        sentence = (
            f"{server_text(response)} denied that {said(name)} has DS records; the keys of"
            f" {said(parent.zone)} that sign this were not captured."
        )
        return Cut(
            UNKNOWN, _link(name, Status.INDETERMINATE, "dnskey-not-captured", cited, sentence)
        )
    if how == "name-error":
        return _judge_name_error(name, parent, response, cited)
    claims = [(Claim.UNSIGNED_REFERRAL, name, TYPE_DS, None)]
    denied = judge_denial(response, claims, parent, with_soa=False)
    if denied.is_proven:
        sentence = (
            f"{said(parent.zone)} proves that {said(name)} is delegated without DS records:"
            " it is unsigned."
        )
        reason = denied.reason
        link = _link(
            name, Status.INSECURE, reason, cited, sentence, denied.keys, denied.until, "denial"
        )
        return Cut(UNSIGNED, link, signer=parent.zone)
    if denied.tried is not None:
        return _failed(
            name, denied.tried, cited, f"over the denial of DS records at {said(name)}", ()
        )
    if how == "denied":
        other = judge_denial(
            response, [(Claim.NO_DATA, name, TYPE_DS, None)], parent, with_soa=False
        )
        if other.is_proven:
            return Cut(NO_CUT)
        denied = other
    status = denied.status if denied.status != Status.SECURE else Status.BOGUS
    link = _link(name, status, denied.reason, cited, denied.sentence, kind="denial")
    return Cut(BROKEN if status == Status.BOGUS else UNKNOWN, link)


def _judge_name_error(
    name: str,
    parent: Signer,
    response: Response,
    cited: tuple[Cited, ...],
) -> Cut:
    """Judge an NXDOMAIN for a DS question: a name that does not exist is no cut."""
    claims = [(Claim.NAME_ERROR, name, TYPE_DS, None)]
    denied = judge_denial(response, claims, parent, with_soa=False)
    if denied.is_proven:
        if denied.status == Status.INSECURE:  # opt-out may hide an unsigned delegation
            link = _link(name, Status.INSECURE, "none", cited, denied.sentence, denied.keys,
                         denied.until, "denial")  # fmt: skip
            return Cut(UNSIGNED, link, signer=parent.zone)
        return Cut(NO_CUT)
    if denied.tried is not None:
        return _failed(name, denied.tried, cited, f"over the denial of {said(name)}", ())
    return Cut(
        BROKEN, _link(name, Status.BOGUS, denied.reason, cited, denied.sentence, kind="denial")
    )


def _failed(
    name: str, tried: Tried, cited: tuple[Cited, ...], what: str,
    named: tuple[tuple[int, int], ...], kind: str = "denial",
) -> Cut:  # fmt: skip
    """The cut whose proof carries a signature that does not stand."""
    status = status_of(tried.reason)
    sentence = f"The signature of key {tried.signature.tag} {what} does not stand."
    keys = ((tried.signature.tag, tried.signature.algorithm),)
    kind = "ds" if named else kind
    link = _link(name, status, tried.reason, cited, sentence, keys, kind=kind)
    kind_of_cut = BROKEN if status == Status.BOGUS else UNKNOWN
    return Cut(kind_of_cut, replace(link, is_weak=tried.is_weak))


def _link(
    name: str,
    status: Status,
    reason: str,
    cited: tuple[Cited, ...],
    sentence: str,
    keys: tuple[tuple[int, int], ...] = (),
    until: int | None = None,
    kind: str = "ds",
) -> Link:
    return Link(name, kind, status, reason, name, TYPE_DS, keys, cited, sentence, until)


def read_ds(rdata: bytes) -> DelegationSigner | None:
    """Read the RDATA of a DS record (RFC 4034 5.1), None where it is too short."""
    if len(rdata) < 5:
        return None
    return DelegationSigner(int.from_bytes(rdata[:2], "big"), rdata[2], rdata[3], rdata[4:])
