"""Whether the denial chain of a zone is whole: every name in it, each leading to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from forensics.rehearsal.contents import TYPE_RRSIG, Contents, Place
from forensics.rehearsal.denials import Denials
from forensics.validation.deniers import Denier, Name, read, text, wire_form
from forensics.vocabulary import TYPE_DS, TYPE_NS, TYPE_NSEC, TYPE_NSEC3


class Break(NamedTuple):
    """One fault of the chain.

    Attributes:
        reason: chain-broken, denial-contradicted (a record denies what is there), denial-missing
            (a name has no record) or nsec3-parameters.
        place: the RRset at fault; of a missing one where it would stand.
        sentence: plain words.
    """

    reason: str
    place: Place
    sentence: str


def breaks(zone: Contents, denials: Denials) -> Iterator[Break]:
    """Give what is wrong with the denial chain, in canonical order."""
    if not denials.exists:
        place = (zone.apex, TYPE_NSEC)
        yield Break("denial-missing", place, "The zone has neither NSEC nor NSEC3 records.")
    elif denials.is_hashed:
        yield from _hashed(zone, denials)
    else:
        yield from _plain(zone)


def _expected(zone: Contents, name: Name) -> frozenset[int]:
    """Return the types that the bitmap of a name must list (RFC 4034 4.1.2, RFC 5155 7.1)."""
    types = zone.types_at(name)
    signs = any(zone.is_signable(name, kind) and kind != TYPE_NSEC for kind in types)
    if zone.closed.get(name) == TYPE_NS and name != zone.apex:
        types = types & {TYPE_NS, TYPE_DS, TYPE_NSEC}
        signs = TYPE_DS in types
    return types | ({TYPE_RRSIG} if signs else set())


def _plain(zone: Contents) -> Iterator[Break]:
    """Check an NSEC chain (RFC 4035 2.3)."""
    due = [owner for owner in sorted(zone.data) if zone.stopped_above(owner) is None]
    due = [owner for owner in due if owner in zone.nodes]
    for index, owner in enumerate(due):
        following = due[(index + 1) % len(due)]
        place = (owner, TYPE_NSEC)
        rrset = zone.get(owner, TYPE_NSEC)
        if rrset is None:
            yield Break("denial-missing", place, f"{text(owner)} has no NSEC record.")
            continue
        found = read([Denier(wire_form(owner), TYPE_NSEC, rrset.rdatas[0])], zone.apex)[0]
        if len(rrset.rdatas) != 1 or not found:
            yield Break("chain-broken", place, f"The NSEC record of {text(owner)} is malformed.")
            continue
        if found[0].next != following:
            sentence = (
                f"The NSEC record of {text(owner)} leads to {text(found[0].next)}; the next name is"
                f" {text(following)}."
            )
            yield Break("chain-broken", place, sentence)
        expected = _expected(zone, owner) | {TYPE_RRSIG, TYPE_NSEC}
        yield from _bitmap(place, text(owner), found[0].types, expected)


def _hashed(zone: Contents, denials: Denials) -> Iterator[Break]:
    """Check an NSEC3 chain (RFC 5155 7.1)."""
    named = [one for one in denials.parameters if one == (denials.salt, denials.iterations)]
    if not named:
        place = (zone.apex, 51)
        yield Break("nsec3-parameters", place, "No NSEC3PARAM record names the NSEC3 chain.")
    of_hash = {denials.hash(name): name for name in zone.nodes}
    order = denials.order
    open_: dict[bytes, bool] = {}
    for index, hashed in enumerate(order):
        rrset = denials.hashes[hashed]
        place = (rrset.owner, TYPE_NSEC3)
        found = read([Denier(wire_form(rrset.owner), TYPE_NSEC3, rrset.rdatas[0])], zone.apex)[1]
        if len(rrset.rdatas) != 1 or not found:
            yield Break("chain-broken", place, f"{text(rrset.owner)} is malformed.")
            continue
        open_[hashed] = found[0].opt_out
        name = of_hash.get(hashed)
        said = text(rrset.owner) if name is None else f"the NSEC3 record of {text(name)}"
        if found[0].next != order[(index + 1) % len(order)]:
            yield Break("chain-broken", place, f"{said}: it does not lead to the next one.")
        if name is None:
            yield Break("chain-broken", place, f"{text(rrset.owner)} is of no name of the zone.")
            continue
        yield from _bitmap(place, text(name), found[0].types, _expected(zone, name))
    for hashed, name in sorted(of_hash.items()):
        if hashed in denials.hashes:
            continue
        over = denials.covering(name)
        covered = over is not None and open_.get(over, False)
        if covered and name not in zone.secured:
            # Opt-out (RFC 5155 6, 7.1): delegations without DS, and what leads to such alone.
            continue
        place = (name, TYPE_NSEC3)
        yield Break("denial-missing", place, f"{text(name)} has no NSEC3 record.")


def _bitmap(
    place: Place, name: str, said: frozenset[int], expected: frozenset[int]
) -> Iterator[Break]:
    """Compare a bitmap with the types that are there."""
    if lost := sorted(expected - said):
        sentence = f"The signed proof at {name} denies {_types(lost)}, which the zone holds."
        yield Break("denial-contradicted", place, sentence)
    if added := sorted(said - expected):
        sentence = f"The signed proof at {name} lists {_types(added)}, which is not there."
        yield Break("denial-invalid", place, sentence)


def _types(kinds: list[int]) -> str:
    import dns.rdatatype

    return ", ".join(dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind)) for kind in kinds)
