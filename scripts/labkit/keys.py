"""Key pairs, and key pairs that share one key tag."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import dns.dnssec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from dns.dnssectypes import Algorithm
from dns.name import Name
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS

Role = Literal["ksk", "zsk", "csk"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

SECURE_ENTRY_POINT = 257
ZONE_KEY = 256


@dataclass(frozen=True)
class SigningKey:
    """A private key with the DNSKEY that would publish it, and the label the truth calls it by."""

    label: str
    role: Role
    private: PrivateKey
    dnskey: DNSKEY

    @cached_property
    def tag(self) -> int:
        """The key tag (RFC 4034, appendix B)."""
        return dns.dnssec.key_id(self.dnskey)

    @property
    def public_text(self) -> str:
        """The public key field of the DNSKEY, in base64."""
        return base64.b64encode(self.dnskey.key).decode()

    @property
    def public_digest(self) -> str:
        """SHA-256 of the public key field of the DNSKEY, in hexadecimal."""
        return hashlib.sha256(self.dnskey.key).hexdigest()

    def ds(self, zone: Name) -> DS:
        """Return the DS (SHA-256) that a parent would publish for this key."""
        return dns.dnssec.make_ds(zone, self.dnskey, "SHA256")


def make_ecdsa(label: str, role: Role) -> SigningKey:
    """Make an ECDSA P-256 key (algorithm 13)."""
    private = ec.generate_private_key(ec.SECP256R1())
    return _wrap(label, role, private, Algorithm.ECDSAP256SHA256)


def make_rsa(label: str, role: Role) -> SigningKey:
    """Make an RSA key of 2048 bits for RSASHA256 (algorithm 8)."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _wrap(label, role, private, Algorithm.RSASHA256)


def make_ed25519(label: str, role: Role) -> SigningKey:
    """Make an Ed25519 key (algorithm 15)."""
    return _wrap(label, role, ed25519.Ed25519PrivateKey.generate(), Algorithm.ED25519)


def make(algorithm: int, label: str, role: Role) -> SigningKey:
    """Make a key of an algorithm the lab knows: 8, 13 or 15."""
    return {8: make_rsa, 13: make_ecdsa, 15: make_ed25519}[algorithm](label, role)


def make_sharing_tag(labels: tuple[str, ...], avoid: frozenset[int]) -> list[SigningKey]:
    """Make zone-signing keys until as many as there are labels share one tag, none in `avoid`.

    A tag has 16 bits, so by the birthday bound a few thousand keys hold three of one tag.
    """
    by_tag: dict[int, list[SigningKey]] = {}
    while True:
        made = make_ecdsa("candidate", "zsk")
        if made.tag in avoid:
            continue
        group = by_tag.setdefault(made.tag, [])
        group.append(made)
        if len(group) == len(labels):
            return [
                SigningKey(label, key.role, key.private, key.dnskey)
                for label, key in zip(labels, group, strict=True)
            ]


def _wrap(label: str, role: Role, private: PrivateKey, algorithm: Algorithm) -> SigningKey:
    flags = ZONE_KEY if role == "zsk" else SECURE_ENTRY_POINT
    dnskey = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags)
    return SigningKey(label, role, private, dnskey)
