"""The sentence of an incident, for a person who has never read an RFC."""

from __future__ import annotations

from typing import Any, Final

from forensics import limits, vocabulary
from forensics.timeline.moments import clock, length
from forensics.timeline.onset import Brackets

FINE: Final = 10 * limits.SECOND
"""Brackets and incidents shorter than this are told in milliseconds."""


UNOBTAINABLE: Final = "dnskey-unobtainable"
"""Nothing bad is served where keys never arrive."""

NAMED: Final = 2
"""Resolvers named in a sentence; the rest are counted."""

RESOLVER_CLAUSES: Final = {
    "ds-mismatch": "vouched for a key that the key list did not hold",
    "dnskey-absent": "held no keys, though the parent says that the zone is signed",
    "dnskey-unobtainable": "left out the keys, though the parent says that the zone is signed",
    "dnskey-unsigned-by-ds-key": "held a key list that the key known to the parent did not sign",
    "rrsig-missing": "came without the signatures that were due",
    "signature-invalid": "carried signatures that no published key had made",
    "dnskey-missing": "were signed with a key that was not published",
    "signature-expired": "carried signatures that had run out",
    "signature-not-yet-valid": "carried signatures dated in the future",
    "signature-window-invalid": "carried signatures that end before they begin",
    "signature-malformed": "carried signatures that were not well-formed",
    "signer-invalid": "were signed in the name of a zone that cannot sign them",
    "labels-invalid": "carried signatures that claim more labels than the name has",
    "key-revoked": "were signed with a key that had been revoked",
    "zone-key-bit-unset": "were signed with a key that is not marked as a zone key",
    "denial-missing": "said that a name does not exist, without a proof",
    "denial-invalid": "said that a name does not exist, with a proof of something else",
    "denial-contradicted": "proved that something does not exist which is served",
    "algorithm-incomplete": "lacked a signature algorithm that the zone is announced with",
}
"""What a resolver's answers showed, where nothing is known of what the zone itself served."""


def counted(number: int, noun: str) -> str:
    """Give a number with its noun: `1 server`, `1,204 servers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ended_once(text: str) -> str:
    """Give a sentence without a second full stop: names of zones end in a dot themselves."""
    return text[:-1] if text.endswith("..") else text


def sentence(incident: dict[str, Any], brackets: Brackets) -> str:
    """Tell what happened, to what, when, for how long, and to whom.

    Args:
        incident: the row of the report, complete but for its sentence.
        brackets: its onset and recovery.
    """
    zone = incident["zone"]
    named = "the root zone" if zone == "." else zone
    if "caches" in incident and incident["reason"] == "dnskey-absent":
        text = f"{named} withdrew its keys before caches could forget its DS, which the parent"
        parts = [f"{text} had just withdrawn.", _began(brackets), incident["caches"]["sentence"]]
        return " ".join([*parts, _whom(incident)]).strip()
    if "caches" in incident:
        changed = "DS" if incident["reason"] == "dnskey-unsigned-by-ds-key" else "keys"
        servers = sum(1 for row in incident["servers"] if row["bad"])
        head = (
            f"{named} changed its {changed} faster than caches could follow: what "
            f"{counted(servers, 'name server')} served was right by the new ones alone."
        )
        parts = [head[:1].upper() + head[1:] if zone == "." else head, _began(brackets)]
        return " ".join([*parts, incident["caches"]["sentence"], _whom(incident)]).strip()
    what = _in_resolvers(incident, named)
    if what is None:
        reason = vocabulary.REASONS[vocabulary.REASON_CODE[incident["reason"]]]
        what = ended_once(reason.sentence.format(zone=named))
    parts = [what[:1].upper() + what[1:] if zone == "." else what]
    parts.append(_began(brackets))
    parts.append(_ended(brackets))
    parts.append(incident.get("aftermath", {}).get("sentence", ""))
    parts.append(_where(incident))
    parts.append(_whom(incident))
    return " ".join(part for part in parts if part)


def _in_resolvers(incident: dict[str, Any], zone: str) -> str | None:
    """Speak of the resolvers where only their answers show it; the zone is not accused."""
    clause = RESOLVER_CLAUSES.get(incident["reason"])
    bad = sorted({row["address"] for row in incident["resolvers"] if row["bad"]})
    if incident["view"] != "resolver" or clause is None or not bad:
        return None
    if len(bad) == 1:
        return f"A resolver ({bad[0]}) gave answers for {zone} that {clause}."
    more = f", and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return f"Resolvers ({', '.join(bad[:NAMED])}{more}) gave answers for {zone} that {clause}."


def _digits(*times: int) -> int:
    """Give how many digits of the second keep the times apart."""
    return 3 if max(times) - min(times) < FINE else 0


def _after(early: int, late: int, digits: int) -> str:
    """Give the later of two times, without the date if it is the earlier one's."""
    text = clock(late, digits)
    day = clock(early)[:11]
    return text.removeprefix(day)


def _began(brackets: Brackets) -> str:
    """Tell the onset as a bracket."""
    bad, good = brackets.first_bad.time, brackets.last_good
    if good is None:
        return (
            f"It was already failing when first seen, at {clock(bad)}; "
            "the capture does not show when it began."
        )
    digits = _digits(good.time, bad)
    return (
        f"It began between {clock(good.time, digits)} (last good answer) "
        f"and {_after(good.time, bad, digits)} (first bad one)."
    )


def _ended(brackets: Brackets) -> str:
    """Tell the recovery as a bracket, and the length as what is certain of it."""
    bad, good = brackets.last_bad.time, brackets.first_good
    least = bad - brackets.first_bad.time
    if good is None:
        return (
            f"The last bad answer was seen at {clock(bad)}, {length(least)} later; "
            "the capture does not show it fully repaired."
        )
    digits = _digits(bad, good.time)
    text = (
        f"It ended between {clock(bad, digits)} (last bad answer) "
        f"and {_after(bad, good.time, digits)} (first good one)"
    )
    if brackets.last_good is None:
        return f"{text}, after at least {length(least)}."
    most = good.time - brackets.last_good.time
    if length(least) == length(most):
        return f"{text}, after {length(least)}."
    return f"{text}, after at least {length(least)} and at most {length(most)}."


def _where(incident: dict[str, Any]) -> str:
    """Tell how many places were bad."""
    if incident["view"] == "resolver":
        bad = sum(1 for row in incident["resolvers"] if row["bad"])
        return (
            f"Only {counted(bad, 'resolver')} showed it; "
            "no name server of the zone was seen serving bad data."
        )
    servers = [row for row in incident["servers"] if row["role"] == "zone"]
    bad = sum(1 for row in servers if row["bad"])
    did = "did not give the keys" if incident["reason"] == UNOBTAINABLE else "served bad data"
    if bad == len(servers):
        each = "The one name server" if bad == 1 else f"All {bad} name servers"
        return f"{each} seen {did}."
    return f"{bad} of the {len(servers)} name servers seen {did}."


def _whom(incident: dict[str, Any]) -> str:
    """Tell how many lookups failed."""
    impact = incident["impact"]
    if not impact["transactions"]:
        return ""
    if not impact["servfail"]:
        asked = counted(impact["transactions"], "lookup")
        return f"None of {asked} by clients in that time is seen to have failed."
    return (
        f"{counted(impact['servfail'], 'lookup')} of {impact['transactions']:,} by clients failed, "
        f"by {counted(impact['clients'], 'client')} for {counted(impact['names'], 'name')}."
    )
