"""The examples that RFCs publish: key tags, DS digests and signatures, one file of records each.

Each goes as a response through the evidence stage and through validation/checks, and dnspython is
asked the same.
"""

from __future__ import annotations

import struct
from pathlib import Path

import dns.dnssec
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import dns.zonefile
import pytest
from evidence_blocks import Sent, make_block

from forensics import knowledge
from forensics.evidence import keysets
from forensics.evidence.collector import Evidence
from forensics.knowledge import DelegationSigner, Key, ZoneKeys
from forensics.timeline import signers
from forensics.validation.checks import check
from forensics.validation.signature import verify_many

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("rfc*/*.zone"))
TYPES = dns.rdatatype


def records(path: Path) -> dict[int, dns.rrset.RRset]:
    """Read a file's RRsets by type."""
    rrsets = dns.zonefile.read_rrsets(path.read_text(), rdclass=None)
    return {int(rrset.rdtype): rrset for rrset in rrsets}


def names(files: list[Path]) -> list[str]:
    return [f"{path.parent.name}-{path.stem}" for path in files]


def with_type(kind: int, *, printed: bool | None = None) -> list[Path]:
    return [
        path
        for path in FILES
        if kind in records(path) and printed in (None, path.stem.startswith("printed"))
    ]


def extracted(found: dict[int, dns.rrset.RRset]):
    """The signatures table that a response with the RRset and its RRSIG leaves behind."""
    rrsig = found[TYPES.RRSIG][0]
    rrset = found[rrsig.type_covered]
    query = dns.message.make_query(rrset.name, rrset.rdtype, want_dnssec=True)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    response.answer = [rrset, found[TYPES.RRSIG]]
    evidence = Evidence()
    evidence.collect(*make_block([Sent(response.to_wire())]))
    return evidence.signatures()


def test_every_folder_holds_examples() -> None:
    assert {path.parent.name for path in FILES} == {"rfc4034", "rfc5702", "rfc6605", "rfc8080"}
    assert len(FILES) == 11


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_key_tags(path: Path) -> None:
    found = records(path)
    (key,) = found[TYPES.DNSKEY]
    printed = {row.key_tag for kind in (TYPES.DS, TYPES.RRSIG) for row in found.get(kind, ())}
    assert printed == {dns.dnssec.key_id(key)}
    for key_tag in (knowledge.key_tag, keysets.key_tag, signers.key_tag):
        assert {key_tag(key.to_wire())} == printed


@pytest.mark.parametrize("path", with_type(TYPES.DS), ids=names(with_type(TYPES.DS)))
def test_ds_digests(path: Path) -> None:
    found = records(path)
    zone, (key,) = found[TYPES.DNSKEY].name, found[TYPES.DNSKEY]
    ours = Key(zone.to_text(), key.to_wire())
    for ds in found[TYPES.DS]:
        made = dns.dnssec.make_ds(zone, key, ds.digest_type, validating=True)
        assert made.digest == ds.digest
        right = DelegationSigner(ds.key_tag, ds.algorithm, ds.digest_type, ds.digest)
        assert ours.matches(right)
        flipped = bytes([ds.digest[0] ^ 1]) + ds.digest[1:]
        assert not ours.matches(DelegationSigner(ds.key_tag, ds.algorithm, ds.digest_type, flipped))
        # The owner's name is part of what is hashed (RFC 4034 5.1.4).
        assert not Key(f"x.{zone}", key.to_wire()).matches(right)


SIGNED = with_type(TYPES.RRSIG, printed=False)


@pytest.mark.parametrize("path", SIGNED, ids=names(SIGNED))
def test_signatures_verify(path: Path) -> None:
    found = records(path)
    (rrsig,) = found[TYPES.RRSIG]
    keys = found[TYPES.DNSKEY]
    rrset = found[rrsig.type_covered]
    dns.dnssec.validate_rrsig(
        rrset, rrsig, {keys.name: keys}, now=rrsig.inception + 1, policy=dns.dnssec.allow_all_policy
    )
    table = extracted(found)
    (row,) = table.to_pylist()
    assert row["problem"] is None
    assert row["signed_data"] == dns.dnssec._make_rrsig_signature_data(rrset, rrsig)
    zone = keys.name.to_text()
    known = ZoneKeys(zone, keys=(Key(zone, keys[0].to_wire()),))
    assert check(table, {zone: known}).table["verifies"].to_pylist() == [True]
    # And not over another address, or by a key with one bit changed.
    changed = row["signed_data"][:-1] + bytes([row["signed_data"][-1] ^ 1])
    rdata = keys[0].to_wire()
    assert verify_many(rdata, [(changed, row["octets"])]) == [False]
    other = rdata[:-1] + bytes([rdata[-1] ^ 2])
    assert verify_many(other, [(row["signed_data"], row["octets"])]) == [False]


PRINTED = with_type(TYPES.RRSIG, printed=True)


@pytest.mark.parametrize("path", PRINTED, ids=names(PRINTED))
def test_signatures_with_more_labels_than_their_owner_are_no_good(path: Path) -> None:
    """RFC 8080's own slip (erratum 4935): right cryptography, and RFC 4035 5.3.1 refuses it."""
    found = records(path)
    (rrsig,) = found[TYPES.RRSIG]
    rrset, keys = found[rrsig.type_covered], found[TYPES.DNSKEY]
    (row,) = extracted(found).to_pylist()
    assert row["problem"] == "labels-invalid"
    with pytest.raises(dns.dnssec.ValidationFailure):
        dns.dnssec.validate_rrsig(rrset, rrsig, {keys.name: keys}, now=rrsig.inception + 1)
    owner = rrset.name.to_wire()
    rdata = rrset[0].to_wire()
    head = rrsig.to_wire()[: -len(rrsig.signature)]
    body = owner + struct.pack("!HHIH", rrset.rdtype, 1, rrset.ttl, len(rdata)) + rdata
    assert verify_many(keys[0].to_wire(), [(head + body, rrsig.signature)]) == [True]
