"""One incident put together: the row of report.json (DESIGN section 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from forensics import limits, vocabulary
from forensics.timeline import (
    aftermath,
    cause,
    expiry,
    keysets,
    mitigations,
    quote,
    severity,
    undelegated,
)
from forensics.timeline.evidence import Catalog, Evidence, Places
from forensics.timeline.impact import Impact, Window
from forensics.timeline.judged import AUTHORITY, RESOLVER
from forensics.timeline.moments import FAR, Moment, rfc3339, text_or_none
from forensics.timeline.onset import Brackets, Stratum, combine, earliest_of
from forensics.timeline.strata import LINKS, Case
from forensics.timeline.survey import Episode
from forensics.timeline.switched import Servers
from forensics.timeline.wording import sentence


@dataclass(slots=True)
class Draft:
    """An incident before the transactions were walked.

    Attributes:
        case: what the second walk found; strata: what the third found, of the incident's side.
        brackets: of the whole; reason: number; phases: rows.
        runs: the zone's keys and DS through time.
        happenings: what changed at the zone.
        withdrawn: the parent withdrew its DS; None: not seen.
    """

    case: Case
    strata: list[Stratum]
    brackets: Brackets
    reason: int
    phases: list[dict[str, Any]]
    runs: list[keysets.Run]
    happenings: list[cause.Happening]
    withdrawn: undelegated.Withdrawal | None = None

    @property
    def zone(self) -> str:
        """The zone whose link is broken."""
        return self.case.episode.zone

    @property
    def side(self) -> int:
        """Whose data shows it."""
        return self.case.episode.side


def draft(
    case: Case,
    strata: Sequence[Stratum],
    runs: list[keysets.Run],
    evidence: Evidence,
    catalog: Catalog,
    places: Places,
    withdrawn: undelegated.Withdrawal | None = None,
) -> Draft | None:
    """Begin an incident; None where nothing bad is left of the episode.

    Args:
        case: what the second walk found.
        strata: what the third found.
        runs: of the zone.
        evidence: for what its parent says.
        catalog: the signatures as arrays.
        places: the responders.
        withdrawn: the DS of the zone was.
    """
    mine = [stratum for stratum in strata if stratum.side == case.episode.side]
    if not mine:
        return None
    brackets = combine(mine)
    if brackets.first_good is not None and severity.flaps(case, brackets):
        # Good answers came by luck all along: one of them is no end, each stratum's is.
        last = max(stratum.first_good for stratum in mine if stratum.first_good is not None)
        brackets = replace(brackets, first_good=last)
    if is_linked(case.episode):
        brackets = _outside_gap(brackets, mine, runs, places)
        if withdrawn is not None:
            brackets = undelegated.ended(withdrawn, brackets)
    if _is_of_caches(case, evidence):
        until = max(evidence.caches[number]["until"] for number in _shown(case))
        behind = _first_behind(mine, brackets.last_bad, until)
        brackets = replace(brackets, first_good=behind or brackets.first_good)
    reason, phases = cause.reason_of(case, brackets.last_bad)
    changed = cause.happenings(case, runs, brackets, evidence, catalog)
    return Draft(case, mine, brackets, reason, phases, runs, changed, withdrawn)


def is_linked(episode: Episode) -> bool:
    """Whether the link between DS and keys is all that broke."""
    return all(spell.reason in LINKS for spell in episode.spells)


def _outside_gap(
    brackets: Brackets, strata: Sequence[Stratum], runs: Sequence[keysets.Run], places: Places
) -> Brackets:
    """Take back a last good that lies where nobody looked at the keys.

    Between the last sighting of the old DNSKEY RRset and the first of the new one data may have
    been right by either; a link that the new one breaks may be broken already.
    """
    good, bad = brackets.last_good, brackets.first_bad
    keys = [
        run
        for run in runs
        if run.type == vocabulary.TYPE_DNSKEY and not places.resolver[run.place]
    ]
    begun = [run for run in keys if run.first.time <= bad.time]
    new = max(begun, key=lambda run: run.first, default=None)
    if good is None or new is None:
        return brackets
    first = min(run.first for run in keys if run.rrset == new.rrset)
    old = max((run.last.time for run in keys if run.last < first), default=None)
    if old is None or not old < good.time < first.time:
        return brackets
    goods = [one.last_good for one in strata if one.last_good is not None]
    return replace(
        brackets, last_good=max((one for one in goods if one.time <= old), default=None)
    )


def _is_of_caches(case: Case, evidence: Evidence) -> bool:
    """Whether all that was bad is refused by caches with older keys or DS alone."""
    shown = _shown(case)
    return bool(shown) and shown <= evidence.caches.keys()


def _shown(case: Case) -> set[int]:
    """Give the subjects that stand for the incident's bad sightings."""
    return {
        moment.signature
        for spell in case.episode.spells
        for moment in (spell.first, spell.last)
    }


def _first_behind(strata: Sequence[Stratum], last_bad: Moment, until: int) -> Moment | None:
    """Give the first good answer when caches that refused it have run out; `until` in ns.

    What they go by is one set at all servers, so that any server's answer will do.
    """
    goods = [one.first_good for one in strata if one.first_good is not None]
    behind = sorted(good for good in goods if good.time > last_bad.time)
    return next((good for good in behind if good.time >= until), None)


def window(begun: Draft, places: Places) -> Window:
    """Give the time in which an incident could hurt: to the first good answer, else to the end."""
    good = begun.brackets.first_good
    end = FAR if good is None else good.time
    return Window(begun.zone, begun.brackets.first_bad.time, end, _standing(begun, places))


def _standing(begun: Draft, places: Places) -> Servers:
    """Tell the zone's servers apart, where its authorities were bad."""
    if begun.side != AUTHORITY:
        return Servers()
    bad: dict[str, tuple[int, int]] = {}
    for stratum in begun.strata:
        address = places.server[stratum.place]
        first, last = stratum.first_bad.time, stratum.last_bad.time
        held = bad.get(address, (first, last))
        bad[address] = (min(held[0], first), max(held[1], last))
    found = severity.standing(begun.case, begun.strata, begun.side)
    return Servers(bad, frozenset(places.server[place] for place in found.good) - bad.keys())


def _span(begun: Draft) -> tuple[int, int]:
    good = begun.brackets.first_good
    return begun.brackets.first_bad.time, FAR if good is None else good.time


def complete(
    begun: Draft,
    evidence: Evidence,
    catalog: Catalog,
    places: Places,
    impact: Impact,
    paths: dict[int, str],
) -> dict[str, Any]:
    """Put the row together.

    Args:
        begun: the draft.
        evidence: for verdicts, checks and signatures.
        catalog: the signatures as arrays.
        places: the responders.
        impact: whom it hurt.
        paths: of the captures, by number.
    """
    case, brackets = begun.case, begun.brackets
    reason = vocabulary.REASONS[begun.reason]
    earliest = earliest_of(begun.strata)
    found = severity.standing(case, begun.strata, begun.side)
    scattered = severity.is_scattered(case, begun.strata, reason.code)
    keys = cause.dnskeys_then(begun.runs, brackets)
    signed = cause.signing(case, brackets, evidence, catalog, keys)
    keys_at = frozenset(run.place for run in begun.runs if run.type == vocabulary.TYPE_DNSKEY)
    good_upstream = sum(cell.good for cell in case.cells if cell.side == AUTHORITY)
    view = "resolver" if begun.side == RESOLVER else "published"
    first_bad = rfc3339(brackets.first_bad.time)
    identity = f"{begun.zone}|{reason.code}|{view}|{first_bad}"
    servers = _servers(begun, places)
    incident = {
        "id": hashlib.sha256(identity.encode()).hexdigest()[:12],
        "zone": begun.zone,
        "reason": reason.code,
        "ede": reason.ede,
        "severity": severity.severity(begun.side, found, scattered=scattered),
        "confidence": severity.confidence(case, begun.strata, keys_at),
        "view": view,
        "patterns": severity.patterns(case, brackets, found, good_upstream),
        "phases": begun.phases,
        "cause": cause.act(begun.reason, case, earliest, brackets, begun.runs, catalog),
        "onset": onset(brackets),
        "recovery": recovery(brackets),
        "keys": cause.keys_then(keys, signed),
        "types": sorted(
            {quote.type_name(kind) for stratum in begun.strata for kind in stratum.types}
        ),
        "signers": signed.signers,
        "servers": servers,
        "resolvers": _resolvers(begun, places, impact),
        "impact": {
            "transactions": impact.transactions,
            "servfail": impact.servfail,
            "names": impact.names.count(),
            "clients": impact.clients.count(),
            "zones": impact.zone_count(begun.zone, case.below),
            "domains": impact.domain_counts(),
            "signed": impact.signed,
            "unsigned": impact.unsigned,
            "retries": impact.retries,
            "repeats": impact.repeats,
            **impact.rates.told(*_span(begun)),
        },
        "mitigations": mitigations.told(begun.case, begun.brackets, impact, places, paths),
        "history": cause.history(begun.happenings, paths),
        "evidence": _evidence(begun, earliest, impact, places, paths),
        "strata": _strata(begun, places, paths),
    }
    _of_caches(incident, begun, evidence)
    if evidence.horizons is not None:
        told = expiry.validity(case.episode.spells, catalog, evidence.horizons)
        if told is not None:
            incident["validity"] = told
    after = aftermath.told(case, begun.withdrawn, evidence)
    if after is not None and "caches" not in incident:
        incident["aftermath"] = after
    incident["sentence"] = sentence(incident, brackets)
    quoted = _quote(begun, evidence, catalog, impact, paths)
    if quoted is not None:
        incident["quote"] = quoted
    return incident


def _of_caches(incident: dict[str, Any], begun: Draft, evidence: Evidence) -> None:
    """Say of data that only caches with older keys or DS refuse what that means; in place."""
    withdrawn = begun.withdrawn
    if withdrawn is not None and undelegated.is_of_caches(withdrawn, begun.brackets):
        _refused_by_caches(incident, begun, undelegated.told(withdrawn, begun.zone))
        return
    if not _is_of_caches(begun.case, evidence):
        return
    shown = _shown(begun.case)
    told = [evidence.caches[signature] for signature in sorted(shown)]
    begin = min(row["begin"] for row in told)
    until = max(row["until"] for row in told)
    ttl = max(row["ttl"] for row in told) // limits.SECOND
    _refused_by_caches(
        incident,
        begun,
        {
            "filled_before": rfc3339(begin),
            "refuse_until": rfc3339(until),
            "ttl": ttl,
            "sentence": (
                f"A cache filled before {rfc3339(begin)[:19]}Z would refuse this until "
                f"{rfc3339(until)[:19]}Z (TTL {ttl} s); one filled later accepts it."
            ),
        },
    )


def _refused_by_caches(incident: dict[str, Any], begun: Draft, caches: dict[str, Any]) -> None:
    """Say that only caches refuse it, which, and until when; in place."""
    incident["view"], incident["severity"] = "resolver", "partial"
    incident["caches"] = caches
    figures = {"ttl": caches["ttl"], "servers": len({stratum.place for stratum in begun.strata})}
    kept = [row for row in incident["patterns"] if row["kind"] != "every-server"]
    incident["patterns"] = [{"kind": "keys-out-of-step", "figures": figures}, *kept]


def _quote(
    begun: Draft, evidence: Evidence, catalog: Catalog, impact: Impact, paths: dict[int, str]
) -> dict[str, Any] | None:
    """Quote what the first client was told, else the first bad RRset with its signature."""
    if impact.first_failure is not None and impact.quote:
        return quote.row_of(impact.first_failure, impact.quote, paths)
    moment = begun.brackets.first_bad
    if not 0 <= moment.signature < len(catalog.row):
        return None
    row = evidence.signatures.take([int(catalog.row[moment.signature])]).to_pylist()[0]
    lines = quote.of_signature(row)
    return quote.row_of(moment, lines, paths) if lines else None


def onset(brackets: Brackets) -> dict[str, str | None]:
    """Give the bracket of the onset."""
    return {
        "last_good": text_or_none(brackets.last_good),
        "first_bad": rfc3339(brackets.first_bad.time),
    }


def recovery(brackets: Brackets) -> dict[str, str | None]:
    """Give the bracket of the recovery."""
    return {
        "last_bad": rfc3339(brackets.last_bad.time),
        "first_good": text_or_none(brackets.first_good),
    }


def _servers(begun: Draft, places: Places) -> list[dict[str, Any]]:
    """Give the zone's servers with their brackets, then its parent's where the DS is at fault."""
    counts: dict[int, list[int]] = {}
    for cell in begun.case.cells:
        if cell.side == AUTHORITY:
            held = counts.setdefault(cell.place, [0, 0])
            held[0] += cell.good
            held[1] += cell.bad
    strata: dict[int, list[Stratum]] = {}
    for stratum in begun.strata:
        strata.setdefault(stratum.place, []).append(stratum)
    rows = []
    for place in sorted(counts, key=lambda place: (places.server[place], places.nsid[place] or "")):
        mine = strata.get(place, [])
        brackets = combine(mine) if mine and begun.side == AUTHORITY else None
        good, bad = counts[place]
        rows.append(_server(place, "zone", good, bad, brackets, places))
    seen = {row["address"] for row in rows}
    if vocabulary.REASONS[begun.reason].code in {"ds-mismatch", "dnskey-absent"}:
        parents = {run.place for run in begun.runs if run.type == vocabulary.TYPE_DS}
        for place in sorted(parents, key=lambda place: (places.server[place], place)):
            if places.server[place] not in seen and not places.resolver[place]:
                rows.append(_server(place, "parent", 0, 0, None, places))
    return rows


def _server(
    place: int, role: str, good: int, bad: int, brackets: Brackets | None, places: Places
) -> dict[str, Any]:
    """Give a row of `servers`."""
    return {
        "address": places.server[place],
        "nsid": places.nsid[place],
        "role": role,
        "good": good,
        "bad": bad,
        "first_bad": None if brackets is None else rfc3339(brackets.first_bad.time),
        "onset": None if brackets is None else onset(brackets),
        "recovery": None if brackets is None else recovery(brackets),
    }


def _resolvers(begun: Draft, places: Places, impact: Impact) -> list[dict[str, Any]]:
    """Give what each resolver answered, and how often its own data was bad."""
    bad: dict[str, int] = {}
    for cell in begun.case.cells:
        if cell.side == RESOLVER and cell.bad:
            server = places.server[cell.place]
            bad[server] = bad.get(server, 0) + cell.bad
    told = {address for address, _ in impact.resolvers}
    silent = [(address, "") for address in bad if address not in told]
    rows = []
    for address, identity in sorted([*impact.resolvers, *silent]):
        held = impact.resolvers.get((address, identity))
        rows.append(
            {
                "address": address,
                "identity": identity or None,
                "servfail": held.servfail if held else 0,
                "answered": held.answered if held else 0,
                "ede": {str(code): held.ede[code] for code in sorted(held.ede)} if held else {},
                "bad": bad.get(address, 0),
                "first_servfail": text_or_none(held.first_servfail) if held else None,
                "last_servfail": text_or_none(held.last_servfail) if held else None,
            }
        )
    return rows


def _strata(begun: Draft, places: Places, paths: dict[int, str]) -> list[dict[str, Any]]:
    """Tell the brackets of each place and class of records, with the frames that hold them."""

    def seen(moment: Moment | None) -> dict[str, Any] | None:
        if moment is None:
            return None
        return {
            "time": rfc3339(moment.time),
            "capture": paths.get(moment.capture, "?"),
            "frame": moment.frame,
        }

    return [
        {
            "server": places.server[stratum.place],
            "nsid": places.nsid[stratum.place],
            "class": vocabulary.RECORD_CLASSES[stratum.record_class],
            "types": sorted(quote.type_name(kind) for kind in stratum.types),
            "good": stratum.good,
            "bad": stratum.bad,
            "last_good": seen(stratum.last_good),
            "first_bad": seen(stratum.first_bad),
            "last_bad": seen(stratum.last_bad),
            "first_good": seen(stratum.first_good),
            **({"recovered_by": "other records"} if stratum.is_inferred else {}),
        }
        for stratum in begun.strata[: limits.STRATA_LISTED]
    ]


def _evidence(
    begun: Draft, earliest: Stratum, impact: Impact, places: Places, paths: dict[int, str]
) -> list[dict[str, Any]]:
    """Cite the frames that prove the incident, in order of time."""
    brackets = begun.brackets
    near = (brackets.first_bad, earliest.place)
    cited: list[tuple[Moment | None, str]] = [
        (brackets.last_good, "last-good"),
        (brackets.first_bad, "first-bad"),
        (keysets.nearest(begun.runs, vocabulary.TYPE_DNSKEY, *near), "key-set"),
        (keysets.nearest(begun.runs, vocabulary.TYPE_DS, *near), "ds"),
        (impact.first_failure, "client-failure"),
        (brackets.last_bad, "last-bad"),
        (brackets.first_good, "first-good"),
    ]
    # Each further place that went bad: its own first bad answer.
    for place in sorted({stratum.place for stratum in begun.strata} - {earliest.place}):
        first = min(stratum.first_bad for stratum in begun.strata if stratum.place == place)
        cited.append((first, f"first-bad at {places.server[place]}"))
    known = [(moment, shows) for moment, shows in cited if moment is not None]
    return [
        {
            "capture": paths.get(moment.capture, "?"),
            "frame": moment.frame,
            "time": rfc3339(moment.time),
            "shows": shows,
        }
        for moment, shows in sorted(known)
        if moment.frame > 0
    ]
