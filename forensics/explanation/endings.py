"""How a way ends: the last link of a chain, and what it makes of the whole."""

from __future__ import annotations

from dataclasses import replace

from forensics.explanation.chain import Judged, Link, status_of
from forensics.explanation.signing import Tried
from forensics.explanation.walk import Standing
from forensics.explanation.words import said, type_text
from forensics.vocabulary import Status


def joined(standing: Standing, link: Link) -> Judged:
    """Add the last link to those of the way."""
    return Judged(link.status, link.reason, (*standing.links, link))


def ended(standing: Standing, link: Link) -> Judged:
    """The way ended above: the answer shares the status."""
    if standing.status != Status.INSECURE:
        return Judged(standing.status, standing.reason, standing.links)
    told = replace(link, sentence="It lies below an unsigned delegation: nothing is validated.")
    return Judged(standing.status, standing.reason, (*standing.links, told))


def without_keys(standing: Standing, link: Link) -> Judged:
    """The keys that the last link needs were not captured."""
    sentence = f"The keys of {said(standing.zone)} were not captured."
    return left_open(standing, link, "dnskey-not-captured", sentence)


def left_open(standing: Standing, link: Link, reason: str, sentence: str) -> Judged:
    """The last link cannot be judged."""
    open_ = replace(link, status=Status.INDETERMINATE, reason=reason, sentence=sentence)
    return joined(standing, open_)


def failed(link: Link, tried: Tried, what: str) -> Link:
    """The last link where its signature does not stand."""
    status = status_of(tried.reason)
    tag = tried.signature.tag
    sentence = {
        "dnskey-not-captured": f"Key {tag}, which made the signature {what}, is not known.",
        "dnskey-missing": f"No published key is the key {tag} that made the signature {what}.",
        "signature-invalid": f"Key {tag} is published, and the signature {what} is not by it.",
        "signature-expired": f"The signature of key {tag} {what} had run out.",
        "signature-not-yet-valid": f"The signature of key {tag} {what} was dated in the future.",
    }.get(tried.reason, f"The signature of key {tag} {what} does not stand.")
    if tried.is_weak:
        sentence += " The zone has signed again since, and this was not seen again."
    return replace(link, status=status, reason=tried.reason, sentence=sentence, until=tried.end,
                   is_weak=tried.is_weak)  # fmt: skip


def good_sentence(name: str, kind: int, tried: Tried) -> str:
    """Say which key signs an RRset, and by what time that was judged."""
    sentence = f"{said(name)} {type_text(kind)} is signed by key {tried.signature.tag}."
    if tried.is_aged:
        return f"{sentence[:-1]}, by what the zone did when it was last seen."
    if tried.is_later:
        return f"{sentence[:-1]}, which was first seen published later."
    return sentence
