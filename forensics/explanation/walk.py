"""The way down from a trust anchor to a zone, cut by cut (RFC 4035 5).

Each step judges one DS link and one DNSKEY link. What lacks from the capture on the way leaves the
zones below at best `valid`; what is broken or proven unsigned ends the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from forensics.explanation.chain import Link
from forensics.explanation.cuts import BROKEN, NO_CUT, SIGNED, UNSIGNED, judge_cut, read_ds
from forensics.explanation.keys import judge_keys, keys_of
from forensics.explanation.records import Response
from forensics.explanation.signer import Signer
from forensics.explanation.signing import Checker
from forensics.explanation.store import Captured, Store
from forensics.explanation.words import said, type_text
from forensics.knowledge import Anchor, DelegationSigner, Key, ancestors, is_subdomain, labels
from forensics.limits import CHAIN_DEPTH
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS, TYPE_NSEC, TYPE_NSEC3, Status


@dataclass(frozen=True)
class Standing:
    """How a zone stands at the instant, seen from the anchor.

    Attributes:
        zone: the zone.
        status: secure or valid; anything else, and the way ends here.
        reason: code of vocabulary.REASONS, of what ended the way, or of what lacks.
        signer: the zone with its trusted keys; none where they were not captured.
        links: from the anchor down.
        unknown: names below the zone on the way of which nothing tells whether they are cuts.
    """

    zone: str
    status: Status
    reason: str
    signer: Signer
    links: tuple[Link, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def is_end(self) -> bool:
        """Whether the way ends here: all below shares the status."""
        return self.status not in {Status.SECURE, Status.VALID}

    @property
    def is_to_be_signed(self) -> bool:
        """Whether what lies in the zone must be signed: a DS in force says so, keys or none."""
        if self.status == Status.SECURE:
            return True
        above, last = self.links[:-1], self.links[-1] if self.links else None
        return (
            self.reason == "dnskey-not-captured"
            and bool(above)
            and all(link.status == Status.SECURE for link in above)
            and last is not None
            and (last.kind, last.zone, last.reason) == ("dnskey", self.zone, self.reason)
        )


@dataclass
class Walk:
    """Ways from the anchors down, each step taken once.

    Attributes:
        store: the tables.
        anchors: all trust anchors, whatever their dates.
        checker: tries the keys.
        at: ns.
        supplied: RDATA of DNSKEY and DS records from elsewhere, by (zone, type).
        servers: of the answers that alone count; where one of them shows a zone's keys or DS, it
            alone is heard on these too. Empty: all.
        captured: what was looked up last; it covers the names on the way.
    """

    store: Store
    anchors: Sequence[Anchor]
    checker: Checker
    at: int
    supplied: Mapping[tuple[str, int], Sequence[bytes]] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()
    captured: Captured = field(default_factory=Captured)
    _steps: dict[tuple[str, str, tuple[str, ...]], Standing] = field(default_factory=dict)
    _starts: dict[str, Standing] = field(default_factory=dict)

    def to_zone(self, zone: str) -> Standing:
        """Return how a zone stands that is known to be one, as it signs something."""
        standing = self._down(zone, including=True)
        if standing.is_end or standing.zone == zone:
            return standing
        return self._enter(standing, zone, None)

    def to_name(self, name: str, *, including: bool) -> Standing:
        """Return how the zone stands that a name lies in.

        Args:
            name: a name that nothing signed was seen of.
            including: a cut at the name itself counts; not so for a DS RRset, the parent's.
        """
        return self._down(name, including=including)

    def _down(self, name: str, *, including: bool) -> Standing:
        standing = self._start(name)
        depth = len(labels(standing.zone))
        path = [n for n in (name, *ancestors(name)) if len(labels(n)) > depth][::-1]
        if not including and path:
            path = path[:-1]
        for step in path:
            if standing.is_end:
                break
            if len(labels(step)) > len(labels(standing.zone)):
                standing = self._step(standing, step)
        return standing

    def _signer(self, zone: str, keys: Sequence[Key]) -> Signer:
        responses = self._heard(self.captured.all_of(zone, TYPE_DNSKEY))
        return Signer(zone, keys, self.checker, self.at, responses, self.store)

    def _heard(self, responses: list[Response]) -> list[Response]:
        """Return the responses of the servers that count, if they tell anything; else all."""
        return [r for r in responses if r.server in self.servers] or responses

    def _start(self, name: str) -> Standing:
        """Begin at the deepest anchor above a name."""
        zones = [z for z in (name, *ancestors(name)) if any(a.zone == z for a in self.anchors)]
        zone = zones[0] if zones else "."
        if zone not in self._starts:
            self._starts[zone] = self._at_anchor(zone)
        return self._starts[zone]

    def _at_anchor(self, zone: str) -> Standing:
        own = [a for a in self.anchors if a.zone == zone]
        held = [a for a in own if a.start <= self.at < a.end]
        shown = keys_of(zone, self.store.keys_ever(zone))
        named = tuple(sorted({(a.tag, a.algorithm) for a in held}))
        start = Standing(zone, Status.SECURE, "none", self._signer(zone, ()))
        if not held:
            sentence = f"No trust anchor for {said(zone)} was given."
        elif shown and not any(key.matches(anchor) for key in shown for anchor in own):
            sentence = (
                f"The captured keys of {said(zone)} match no trust anchor: nothing below can be"
                " called secure. Give its own with --trust-anchor."
            )
        else:
            source = "built in" if held[0].source == "built-in" else "given"
            link = Link(zone, "anchor", Status.SECURE, "none", zone, TYPE_DS, named,
                        sentence=f"A trust anchor for {said(zone)} is {source}.")  # fmt: skip
            delegation = [
                DelegationSigner(a.tag, a.algorithm, a.digest_type, a.digest) for a in held
            ]
            return self._enter(replace(start, links=(link,)), zone, delegation)
        link = Link(zone, "anchor", Status.INDETERMINATE, "no-trust-anchor", zone, TYPE_DS, named,
                    sentence=sentence)  # fmt: skip
        unanchored = replace(start, status=Status.VALID, reason="no-trust-anchor", links=(link,))
        return self._enter(unanchored, zone, None, is_told=True)

    def _step(self, standing: Standing, name: str) -> Standing:
        key = (standing.zone, name, standing.unknown)
        if key not in self._steps:
            self._steps[key] = self._taken(standing, name)
        return self._steps[key]

    def _taken(self, standing: Standing, name: str) -> Standing:
        """Take one label: over a cut, or past a name that is none."""
        if sum(link.kind == "dnskey" for link in standing.links) > CHAIN_DEPTH:
            return replace(standing, status=Status.INDETERMINATE, reason="limit-reached")
        responses = self._telling(name)
        cut = judge_cut(name, standing.signer, responses, self.at)
        if cut.signer and cut.link is None and is_subdomain(cut.signer, standing.zone):
            if cut.signer != standing.zone:
                standing = self._enter(standing, cut.signer, None)
            if standing.is_end:
                return standing
            cut = judge_cut(name, standing.signer, responses, self.at)
        links = (*standing.links, cut.link) if cut.link else standing.links
        if cut.kind == SIGNED and cut.link is not None:
            below = replace(standing, links=links, unknown=())
            if cut.link.status != Status.SECURE:
                below = replace(below, status=Status.VALID, reason=cut.link.reason)
            return self._enter(below, name, cut.delegation)
        if cut.kind in {UNSIGNED, BROKEN} and cut.link is not None:
            return replace(
                standing, status=cut.link.status, reason=cut.link.reason, links=links, unknown=()
            )
        if cut.kind == NO_CUT or self._is_signed_above(name, standing.zone):
            return replace(standing, links=standing.links)
        return replace(standing, links=links, unknown=(*standing.unknown, name))

    def _telling(self, name: str) -> list[Response]:
        """Return the responses that may tell of a cut at a name, in order of time."""
        found = {
            r.transaction: r
            for r in (*self.captured.all_of(name, TYPE_DS), *self.captured.referring(name))
        }
        return self._heard(sorted(found.values(), key=lambda r: (r.time, r.transaction)))

    def _is_signed_above(self, name: str, zone: str) -> bool:
        """Whether the zone signs data at a name: then that is no cut."""
        at_cut = {TYPE_DS, TYPE_NSEC, TYPE_NSEC3}
        return any(
            signer == zone and kind not in at_cut for signer, kind in self.store.signers_at(name)
        )

    def _enter(
        self,
        above: Standing,
        zone: str,
        delegation: Sequence[DelegationSigner] | None,
        *,
        is_told: bool = False,
    ) -> Standing:
        """Judge the keys of a zone that is delegated so, and stand in it.

        Args:
            above: where the way has come to.
            zone: the zone.
            delegation: its DS records or anchors; None: not captured.
            is_told: a link says already that what vouches for the zone lacks.
        """
        links = above.links
        status, reason = above.status, above.reason
        if delegation is None:
            status = Status.VALID
            given = [d for r in self.supplied.get((zone, TYPE_DS), ()) if (d := read_ds(r))]
            if given and not is_told:
                delegation = given
                links = (*links, _supplied_link(zone, "ds", TYPE_DS, given))
            elif not is_told:
                reason = "ds-not-captured"
                sentence = f"What the parent of {said(zone)} says of its keys was not captured."
                links = (
                    *links,
                    Link(zone, "ds", Status.INDETERMINATE, reason, zone, TYPE_DS,
                         sentence=sentence),
                )  # fmt: skip
        responses = self._heard(self.captured.all_of(zone, TYPE_DNSKEY))
        made = judge_keys(zone, delegation, responses, self.checker, self.at)
        known = [Key(zone, r) for r in self.supplied.get((zone, TYPE_DNSKEY), ()) if len(r) > 4]
        if made.link.reason == "dnskey-not-captured" and not made.is_captured and known:
            link = _supplied_link(zone, "dnskey", TYPE_DNSKEY, known)
            signer = replace(self._signer(zone, known), is_supplied=True)
            return Standing(zone, Status.VALID, reason, signer, (*links, link))
        links = (*links, made.link)
        if made.link.status in {Status.BOGUS, Status.INSECURE}:
            status, reason = made.link.status, made.link.reason
        elif made.link.status == Status.INDETERMINATE:
            status, reason = Status.VALID, made.link.reason
        return Standing(zone, status, reason, self._signer(zone, made.keys), links)


def _supplied_link(
    zone: str, kind: str, record: int, given: Sequence[Key | DelegationSigner]
) -> Link:
    """Tell of a link that the user's own records stand in for."""
    named = tuple(sorted({(one.tag, one.algorithm) for one in given}))
    sentence = (
        f"It was not captured; the {type_text(record)} records of {said(zone)} were supplied."
    )
    return Link(zone, kind, Status.VALID, "none", zone, record, named, sentence=sentence,
                is_supplied=True)  # fmt: skip
