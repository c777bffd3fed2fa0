"""The zone file that is about to be published, read by dnspython into `contents`."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from forensics.errors import UsageError
from forensics.rehearsal.contents import TYPE_RRSIG, Contents, Place, RRset, Signature
from forensics.validation.deniers import Name
from forensics.vocabulary import TYPE_SOA

ZONE_OCTETS: Final = 2**30
"""Largest zone file that is read: dnspython holds about 1 KB a record in memory."""

_HEAD: Final = 65_536
"""Characters at the head of a zone file in which the SOA record is looked for."""

_FIXED: Final = struct.Struct("!HBBIIIH")


def read_zone(path: Path, origin: str | None = None) -> Contents:
    """Read a zone file (RFC 1035 5).

    Records of names outside the zone are left out, as name servers do.

    Args:
        path: the file.
        origin: the name that relative names are completed by; None: the file's own $ORIGIN.

    Raises:
        UsageError: it cannot be read, is no zone file, or holds not exactly one SOA record.
    """
    import dns.exception
    import dns.name
    import dns.rdataclass
    import dns.tokenizer
    import dns.zonefile

    try:
        if path.stat().st_size > ZONE_OCTETS:
            raise UsageError(f"--zone {path}: larger than {ZONE_OCTETS} octets")
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"--zone {path}: no zone file: it is not text") from None
    except OSError as error:
        raise UsageError(f"--zone {path}: {(error.strerror or 'error').lower()}") from None
    named = origin or _soa_owner(content)
    if named is None:
        raise UsageError(
            f"--zone {path}: no SOA record with an absolute name at its head; say what the zone is "
            "called: --origin NAME"
        )
    try:
        base = dns.name.from_text(named)
    except (dns.exception.DNSException, UnicodeError, ValueError):
        raise UsageError(f"--origin {named}: not a domain name") from None
    manager = dns.zonefile.RRSetsReaderManager(base, False, dns.rdataclass.IN)
    with manager.writer(True) as writer:  # type: ignore[no-untyped-call]
        reader = dns.zonefile.Reader(
            dns.tokenizer.Tokenizer(content, str(path)), dns.rdataclass.IN, writer
        )
        try:
            reader.read()
        except (dns.exception.DNSException, ValueError, KeyError, OverflowError) as error:
            told = str(error) or type(error).__name__
            if "non-origin SOA" in told:
                told = f"a SOA record is not of {base}; name the zone with --origin"
            raise UsageError(f"--zone {_placed(path, told)}") from None
    soas = [rrset for rrset in manager.rrsets if rrset.rdtype == TYPE_SOA]
    if len(soas) != 1 or len(soas[0]) != 1:
        raise UsageError(
            f"--zone {path}: a zone has one SOA record; this file has {sum(map(len, soas))} for "
            f"{base}"
        )
    apex = _name(soas[0].name)
    return Contents.of(apex, _rrsets(manager.rrsets))


def _soa_owner(content: str) -> str | None:
    """Return the owner of the SOA record as far as its line alone tells; None: it does not."""
    origin = ""
    for line in content[:_HEAD].splitlines():
        words = line.split(";")[0].split()
        if len(words) > 1 and words[0].upper() == "$ORIGIN":
            origin = words[1]
        elif "SOA" in map(str.upper, words[1:5]) and line[:1] not in " \t":
            if words[0].endswith("."):
                return words[0]
            name = f"{words[0]}.{origin.removeprefix('.')}" if words[0] != "@" else origin
            return name if origin.endswith(".") else None
    return None


def _placed(path: Path, told: str) -> str:
    """Name the line of a syntax error once, whether or not dnspython did."""
    return told if told.startswith(f"{path}:") else f"{path}: {told}"


def _rrsets(found: Iterable[Any]) -> list[RRset]:
    """Turn dnspython's RRsets into ours, with the signatures that cover each."""
    ttl: dict[Place, int] = {}
    rdatas: dict[Place, set[bytes]] = {}
    signatures: dict[Place, list[Signature]] = {}
    for rrset in found:
        owner = _name(rrset.name)
        if rrset.rdtype == TYPE_RRSIG:
            signatures.setdefault((owner, int(rrset.covers)), []).extend(map(_signature, rrset))
            continue
        place = (owner, int(rrset.rdtype))
        ttl[place] = rrset.ttl
        rdatas.setdefault(place, set()).update(one.to_digestable() for one in rrset)
    return [
        RRset(
            *place,
            ttl[place],
            tuple(sorted(records)),
            tuple(sorted(signatures.get(place, ()), key=lambda one: (one.head, one.octets))),
        )
        for place, records in rdatas.items()
    ]


def _signature(rdata: Any) -> Signature:
    signer = rdata.signer.canonicalize()
    head = _FIXED.pack(
        rdata.type_covered,
        rdata.algorithm,
        rdata.labels,
        rdata.original_ttl,
        rdata.expiration & 0xFFFFFFFF,
        rdata.inception & 0xFFFFFFFF,
        rdata.key_tag,
    )
    return Signature(
        tag=rdata.key_tag,
        algorithm=int(rdata.algorithm),
        labels=rdata.labels,
        original_ttl=rdata.original_ttl,
        inception=rdata.inception,
        expiration=rdata.expiration,
        signer=_name(signer),
        head=head + signer.to_wire(),
        octets=rdata.signature,
    )


def _name(name: Any) -> Name:
    return tuple(reversed(name.canonicalize().labels[:-1]))
