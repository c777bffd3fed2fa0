"""One question at one instant, answered as a validating resolver would have (RFC 4035 5).

Find the responses, classify each, find its signer, walk down to it, prove; then follow aliases.
The worst part speaks for the whole answer, and the worst server for the zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from forensics.explanation.answer import (
    ALIAS,
    NAME_ERROR,
    NODATA,
    POSITIVE,
    REFERRAL,
    Answer,
    classify,
)
from forensics.explanation.chain import Cited, Judged, Link, ServerView, rank, worst
from forensics.explanation.current import Current, accuses, current
from forensics.explanation.denial import judge_denial, signer_of
from forensics.explanation.elsewhere import borrowed
from forensics.explanation.endings import (
    ended,
    failed,
    good_sentence,
    joined,
    left_open,
    without_keys,
)
from forensics.explanation.records import (
    NOERROR,
    TYPE_CNAME,
    TYPE_RRSIG,
    Response,
    RRset,
)
from forensics.explanation.signer import Signer
from forensics.explanation.signing import Tried
from forensics.explanation.store import Captured
from forensics.explanation.walk import Standing, Walk
from forensics.explanation.words import said, server_text, type_text
from forensics.knowledge import is_subdomain
from forensics.limits import ALIASES
from forensics.validation.proof import Claim
from forensics.vocabulary import (
    NXDOMAIN,
    TYPE_DS,
    TYPE_NS,
    TYPE_SOA,
    Section,
    Status,
)

_FINAL: Final = (POSITIVE, ALIAS, NODATA, NAME_ERROR)


@dataclass(frozen=True)
class Conclusion:
    """What was concluded of a question.

    Attributes:
        name, type: the question.
        judged: status, reason and links of the whole, alias targets included.
        kind: of the answer: positive, alias, nodata, name-error, or `none` where none was captured.
        response: the answer that counts; None: none was captured.
        servers: what each server's answer leads to, the worst first.
        target: what the last alias points to.
        is_later: nothing before the instant was captured of the answer.
        rcode: of the captured answer, for the last alias target; None: none was captured.
    """

    name: str
    type: int
    judged: Judged
    kind: str = "none"
    response: Response | None = None
    servers: tuple[ServerView, ...] = ()
    target: str | None = None
    is_later: bool = False
    rcode: int | None = None


@dataclass(frozen=True)
class _View:
    """One server's response, classified and judged alone, aliases not followed."""

    chosen: Current
    answer: Answer
    judged: Judged


@dataclass
class Inquiry:
    """Answers questions about one instant.

    Attributes:
        walk: the ways down from the anchors.
        at: ns.
        servers: addresses whose answers alone count; empty: all.
    """

    walk: Walk
    at: int
    servers: frozenset[str] = frozenset()
    _asked: set[tuple[str, int]] = field(default_factory=set)

    def ask(self, name: str, kind: int) -> Conclusion:
        """Conclude about a question."""
        return self._ask(name, kind, None, 0)

    def _ask(self, name: str, kind: int, hint: Response | None, depth: int) -> Conclusion:
        if (name, kind) in self._asked or depth > ALIASES:
            loops = (name, kind) in self._asked
            sentence = (
                f"The aliases come back to {said(name)}: they lead nowhere."
                if loops
                else f"More than {ALIASES} aliases: resolvers stop here."
            )
            link = Link(name, "alias", Status.INDETERMINATE, "limit-reached", name, kind,
                        sentence=sentence)  # fmt: skip
            return Conclusion(name, kind, Judged(link.status, link.reason, (link,)))
        self._asked.add((name, kind))
        captured = self.walk.store.gather(name, kind, self.at)
        self.walk.captured = captured
        chosen = self._choose(captured, name, kind, hint)
        if not chosen:
            return self._without_answer(captured, name, kind)
        views = [self._judge(c, name, kind) for c in chosen]
        counted = [v for v in views if not v.chosen.is_superseded]
        one = max(counted, key=lambda v: (rank(v.judged.status), -counted.index(v)))
        servers = tuple(
            ServerView(
                v.chosen.response,
                v.judged.status,
                v.judged.reason,
                v.chosen.is_later,
                v.chosen.is_superseded,
            )
            for v in sorted(views, key=lambda v: (v.chosen.is_superseded, -rank(v.judged.status)))
        )
        found = Conclusion(
            name,
            kind,
            one.judged,
            one.answer.kind,
            one.chosen.response,
            servers,
            is_later=one.chosen.is_later,
            rcode=_rcode(one),
        )
        if one.answer.kind != ALIAS:
            return found
        return self._followed(found, one, kind, depth)

    def _followed(self, found: Conclusion, view: _View, kind: int, depth: int) -> Conclusion:
        """Go on to the target of an alias."""
        target = view.answer.target
        if target is None:
            link = Link(found.name, "alias", Status.INDETERMINATE, "rrset-incomplete", found.name,
                        kind, sentence="Where the alias points to is not held.")  # fmt: skip
            return replace(
                found, judged=found.judged.and_(Judged(link.status, link.reason, (link,)))
            )
        below = self._ask(target, kind, view.chosen.response, depth + 1)
        known = {id(link) for link in found.judged.links}
        fresh = tuple(link for link in below.judged.links if id(link) not in known)
        rest = Judged(below.judged.status, below.judged.reason, fresh)
        return replace(
            found,
            judged=found.judged.and_(rest),
            kind=below.kind if below.kind != "none" else ALIAS,
            target=below.target or target,
            is_later=found.is_later or below.is_later,
            rcode=found.rcode if below.rcode is None else below.rcode,
        )

    # -- which responses answer ------------------------------------------------------------------

    def _choose(
        self, captured: Captured, name: str, kind: int, hint: Response | None
    ) -> list[Current]:
        """Choose the responses that answer the question at the instant; none: not captured."""

        def final(responses: Sequence[Response]) -> list[Response]:
            return [r for r in responses if classify(r, name, kind).kind in _FINAL]

        asked = final(captured.asked(name, kind))
        # What denies the target of an alias denies it for the type that was asked.
        hinted = [
            r
            for r in final([hint] if hint else [])
            if r.qtype == kind or classify(r, name, kind).kind != NODATA
        ]
        holding = final([*captured.holding(name, kind), *captured.holding(name, TYPE_CNAME)])
        # Whatever was asked of it, a name that does not exist has no type.
        others = [
            r
            for r in final(captured.asked_otherwise(name, kind))
            if classify(r, name, kind).kind in {NAME_ERROR, ALIAS, POSITIVE}
        ]
        pools = []
        for responses in ([*asked, *hinted, *holding], others):
            own = [r for r in responses if not self.servers or r.server in self.servers]
            clean = [r for r in own if not r.is_doubtful and r.has_dnssec]
            pools += [[r for r in clean if r.is_authority], clean]
        pools += [[r for r in asked if r.has_dnssec], [*asked, *hinted]]

        def content(response: Response) -> object:
            answer = classify(response, name, kind)
            if answer.kind in {POSITIVE, ALIAS} and answer.rrsets:
                return answer.rrsets
            return response.content

        for pool in pools:
            if any(r.time <= self.at for r in pool):
                return current(_distinct(pool), self.at, content)
        return next((current(_distinct(pool), self.at, content) for pool in pools if pool), [])

    def _without_answer(self, captured: Captured, name: str, kind: int) -> Conclusion:
        """Conclude from the chain alone: what is broken or unsigned above holds for any answer."""
        standing = self.walk.to_name(name, including=kind != TYPE_DS)
        tries = captured.asked(name, kind)
        last = max(tries, key=lambda r: (r.time <= self.at, r.time), default=None)
        if standing.is_end:
            judged = Judged(standing.status, standing.reason, standing.links)
            return Conclusion(name, kind, judged, response=last)
        referred = any(classify(r, name, kind).kind == REFERRAL for r in tries)
        sentence = (
            f"Of {said(name)} {type_text(kind)} only referrals were captured, no answer."
            if referred
            else f"No answer to {said(name)} {type_text(kind)} was captured."
        )
        link = Link(standing.zone, "rrset", Status.INDETERMINATE, "rrset-incomplete", name, kind,
                    sentence=sentence)  # fmt: skip
        reason = link.reason
        if not standing.signer.keys:
            reason = standing.reason if standing.reason != "none" else "dnskey-not-captured"
        return Conclusion(
            name, kind, Judged(link.status, reason, (*standing.links, link)), response=last
        )

    # -- one response ----------------------------------------------------------------------------

    def _judge(self, chosen: Current, name: str, kind: int) -> _View:
        response = chosen.response
        answer = classify(response, name, kind)
        if answer.kind in {POSITIVE, ALIAS}:
            if answer.rrsets:
                parts = [
                    self._positive(chosen, name, rrset, answer.kind) for rrset in answer.rrsets
                ]
                judged = worst(parts) if len(parts) > 1 else parts[0]
            else:
                judged = self._unsigned(chosen, name, kind, "rrset")
        else:
            judged = self._negative(chosen, name, kind, answer.kind)
        if chosen.is_stale and judged.status != Status.BOGUS:
            link = Link(name, "rrset", Status.INDETERMINATE, "rrset-incomplete", name, kind,
                        cited=(Cited(response),),
                        sentence="The answer that the resolver had held had run out.")  # fmt: skip
            judged = Judged(link.status, link.reason, (*judged.links, link))
        last = judged.links[-1] if judged.links else None
        if (
            last is not None
            and last.kind in {"rrset", "alias", "denial"}
            and last.status == Status.BOGUS
            and last.cited
            and last.cited[0].response is response
            and not accuses(chosen, self.at, last.reason)
        ):
            sentence = f"{last.sentence} Of the instant itself that tells nothing."
            last = replace(
                last, status=Status.INDETERMINATE, reason="rrset-incomplete", sentence=sentence
            )
            judged = Judged(last.status, last.reason, (*judged.links[:-1], last))
        return _View(chosen, answer, judged)

    def _positive(self, chosen: Current, name: str, rrset: RRset, kind: str) -> Judged:
        """Judge an RRset of the answer section."""
        response = chosen.response
        link_kind = "alias" if kind == ALIAS else "rrset"
        signer = _signer_of(rrset, name)
        if signer is None or rrset.type == TYPE_RRSIG:
            return self._unsigned(chosen, name, rrset.type, link_kind)
        standing = self.walk.to_zone(signer)
        link = Link(standing.zone, link_kind, Status.INSECURE, "none", name, rrset.type,
                    cited=(Cited(response, chosen.is_later),))  # fmt: skip
        if standing.is_end:
            return ended(standing, link)
        if not standing.signer.keys:
            return without_keys(standing, link)
        tried = standing.signer.best(rrset, response.time)
        assert tried is not None
        link = replace(link, keys=((tried.signature.tag, tried.signature.algorithm),))
        if not tried.is_good:
            return joined(
                standing, failed(link, tried, f"over {said(name)} {type_text(rrset.type)}")
            )
        status = Status.VALID if tried.is_weak else standing.status
        link = replace(
            link,
            status=status,
            until=tried.end,
            is_weak=tried.is_weak,
            sentence=good_sentence(name, rrset.type, tried),
        )
        judged = joined(standing, link)
        if rrset.is_wildcard:
            proof = self._wildcard(chosen, name, rrset, tried, standing)
            return judged.and_(Judged(proof.status, proof.reason, (proof,)))
        return judged

    def _wildcard(
        self, chosen: Current, name: str, rrset: RRset, tried: Tried, standing: Standing
    ) -> Link:
        """Judge the proof that nothing closer than the wildcard exists (RFC 4035 5.3.4)."""
        claims = [(Claim.WILDCARD_ANSWER, name, rrset.type, tried.signature.labels)]
        return self._proof(chosen, claims, standing.signer, standing, name, rrset.type, soa=False)

    def _proof(
        self,
        chosen: Current,
        claims: Sequence[tuple[Claim, str, int, int | None]],
        signer: Signer,
        standing: Standing,
        name: str,
        kind: int,
        *,
        soa: bool,
    ) -> Link:
        denied = judge_denial(chosen.response, claims, signer, with_soa=soa)
        status = denied.status
        if denied.is_proven and status == Status.SECURE:
            status = standing.status
            if denied.is_weak:
                status = Status.VALID
        keys = denied.keys
        if denied.tried is not None:
            keys = ((denied.tried.signature.tag, denied.tried.signature.algorithm),)
        return Link(
            signer.zone,
            "denial",
            status,
            denied.reason,
            name,
            kind,
            keys,
            (Cited(chosen.response, chosen.is_later),),
            denied.sentence,
            denied.until,
            is_weak=denied.is_weak or bool(denied.tried and denied.tried.is_weak),
        )

    def _negative(self, chosen: Current, name: str, kind: int, how: str) -> Judged:
        """Judge NODATA or a name error."""
        response = chosen.response
        zone = signer_of(response)
        # A negative answer for a DS comes from the parent; its signer cannot lie below the name.
        if (
            zone is None
            or not is_subdomain(name, zone)
            or (kind == TYPE_DS and zone == name != ".")
        ):
            return self._unsigned(chosen, name, kind, "denial")
        standing = self.walk.to_zone(zone)
        link = Link(standing.zone, "denial", Status.INSECURE, "none", name, kind,
                    cited=(Cited(response, chosen.is_later),))  # fmt: skip
        if standing.is_end:
            return ended(standing, link)
        if not standing.signer.keys:
            return without_keys(standing, link)
        claim = Claim.NAME_ERROR if how == NAME_ERROR else Claim.NO_DATA
        proof = self._proof(
            chosen, [(claim, name, kind, None)], standing.signer, standing, name, kind, soa=True
        )
        return joined(standing, proof)

    def _unsigned(self, chosen: Current, name: str, kind: int, link_kind: str) -> Judged:
        """Judge what came without any signature: fine below an unsigned delegation only."""
        response = chosen.response
        standing = self.walk.to_name(name, including=kind != TYPE_DS)
        link = Link(standing.zone, link_kind, Status.INSECURE, "none", name, kind,
                    cited=(Cited(response, chosen.is_later),))  # fmt: skip
        if standing.is_end:
            return ended(standing, link)
        if not response.has_dnssec:
            if link_kind == "denial":
                found = self._denied_elsewhere(chosen, name, kind, standing)
                if found is not None:
                    return found
            sentence = f"{said(name)} {type_text(kind)} was only asked for without signatures."
            return left_open(standing, link, "rrset-incomplete", sentence)
        if kind == TYPE_RRSIG:
            sentence = "Signatures themselves are not signed: nothing validates them."
            return left_open(standing, link, "rrset-incomplete", sentence)
        if not standing.is_to_be_signed:
            reason = "ds-not-captured" if standing.signer.keys else "dnskey-not-captured"
            sentence = (
                f"It came without a signature, and whether {said(standing.zone)} is to sign it"
            )
            return left_open(standing, link, reason, f"{sentence} was not captured.")
        if not self._is_zone_of(standing, response, name):
            below = standing.unknown[0]
            sentence = (
                f"It came without a signature, and whether {said(below)} is a zone of its own"
                " without signatures was not captured."
            )
            return left_open(standing, link, "ds-not-captured", sentence)
        if link_kind == "denial" and not response.sets(Section.AUTHORITY, TYPE_SOA):
            reason = "denial-missing"
            sentence = f"{server_text(response)} denied {said(name)} without any proof."
        else:
            reason = "rrsig-missing"
            sentence = f"{server_text(response)} answered for {said(name)} without a signature."
        broken = replace(link, status=Status.BOGUS, reason=reason, sentence=sentence)
        return joined(standing, broken)

    def _denied_elsewhere(
        self, chosen: Current, name: str, kind: int, standing: Standing
    ) -> Judged | None:
        """Prove by what other responses show a denial that was asked for without signatures."""
        zone = standing.zone
        if not standing.signer.keys or chosen.response.rcode is None:
            return None
        made = borrowed(chosen.response, name, zone, self.walk.store, self.at)
        if made is None:
            return None
        response, shown = made
        claim = Claim.NAME_ERROR if response.rcode == NXDOMAIN else Claim.NO_DATA
        proof = self._proof(
            replace(chosen, response=response), [(claim, name, kind, None)], standing.signer,
            standing, name, kind, soa=False,
        )  # fmt: skip
        if proof.status not in {Status.SECURE, Status.VALID}:
            return None
        sentence = (
            f"It was asked for without signatures; what {server_text(shown[0])} showed others at"
            f" the time proves it. {proof.sentence}"
        )
        cited = tuple(Cited(one, one.time > self.at) for one in shown)
        return joined(standing, replace(proof, sentence=sentence, cited=cited))

    def _is_zone_of(self, standing: Standing, response: Response, name: str) -> bool:
        """Whether it is certain that an unsigned RRset lies in the zone that the way came to."""
        zone = standing.zone
        if not standing.unknown or response.zone_named == zone:
            return True
        if response.aa and any(s.signer == zone for r in response.rrsets for s in r.signatures):
            return True
        at_cut = {TYPE_DS, TYPE_NS, TYPE_SOA}
        return any(
            signer == zone and kind not in at_cut
            for signer, kind in self.walk.store.signers_at(name)
        )


def _rcode(view: _View) -> int | None:
    """Return the RCODE of an answer; another question's may have another one."""
    if view.answer.kind in {POSITIVE, NODATA}:
        return NOERROR
    return view.chosen.response.rcode


def _distinct(responses: Sequence[Response]) -> list[Response]:
    return list({r.transaction: r for r in responses}.values())


def _signer_of(rrset: RRset, name: str) -> str | None:
    """Return the zone that signs an RRset; for a DS RRset that is above its owner."""
    found = [
        s.signer
        for s in rrset.signatures
        if s.signer
        and is_subdomain(name, s.signer)
        and not (rrset.type == TYPE_DS and s.signer == name)
    ]
    if found:
        return max(set(found), key=lambda z: (found.count(z), len(z), z))
    return next((s.signer for s in rrset.signatures if s.signer), None)
