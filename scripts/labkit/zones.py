"""The lab's name space: a signed root, de., two control TLDs and the zones below them."""

import time
from dataclasses import dataclass

import dns.name
import dns.rdatatype
from dns.name import Name
from dns.rdata import Rdata

from labkit import topology
from labkit.keys import SigningKey, make_ecdsa, make_rsa
from labkit.signing import Zone, add_nsec3_chain, add_nsec_chain
from labkit.topology import Server

SECOND = 1_000_000_000

DE = dns.name.from_text("de.")


@dataclass
class World:
    """Every zone of the lab and the keys a script may roll."""

    root: Zone
    root_ksk: SigningKey
    root_zsk: SigningKey
    de: Zone
    de_ksk: SigningKey
    de_zsk: SigningKey
    controls: list[Zone]
    children: list[Zone]

    @property
    def trust_anchor(self) -> str:
        """The DS of the private root, one line."""
        return f". IN DS {self.root_ksk.ds(dns.name.root).to_text()}\n"


def build_world() -> World:
    """Make all keys and zones; everything is signed and healthy."""
    children, child_ds = _build_children()
    de_ksk, de_zsk = make_ecdsa("de-ksk", "ksk"), make_ecdsa("de-zsk-old", "zsk")
    de = _build_de(child_ds, de_ksk, de_zsk)
    nl_ksk, nl_zsk = make_ecdsa("nl-ksk", "ksk"), make_ecdsa("nl-zsk", "zsk")
    nl = _build_nl(child_ds, nl_ksk, nl_zsk)
    zz = _build_zz()
    root_ksk, root_zsk = make_rsa("root-ksk", "ksk"), make_rsa("root-zsk", "zsk")
    root = _build_root({"de.": de_ksk, "nl.": nl_ksk}, root_ksk, root_zsk)
    return World(root, root_ksk, root_zsk, de, de_ksk, de_zsk, [nl, zz], children)


def set_dnskeys(zone: Zone, keys: list[SigningKey], signers: list[SigningKey], ttl: int) -> None:
    """Publish a DNSKEY RRset, signed by the given keys."""
    rdatas: list[Rdata] = [key.dnskey for key in keys]
    zone.sign(zone.put(zone.origin, ttl, rdatas), *signers)


def set_ds(root: Zone, child: Name, ksks: list[SigningKey], signer: SigningKey) -> None:
    """Publish a DS RRset in the root."""
    rdatas: list[Rdata] = [ksk.ds(child) for ksk in ksks]
    root.sign(root.put(child, topology.TTL_DS, rdatas), signer)


def _new_zone(origin: str, ttl_soa: int, mname: str) -> Zone:
    serial = time.time_ns() // SECOND
    zone = Zone(dns.name.from_text(origin), serial)
    soa = f"{mname} hostmaster.lab. {serial} 3600 900 604800 {topology.TTL_NEGATIVE}"
    zone.add(origin, ttl_soa, "SOA", soa)
    return zone


def _add_server(zone: Zone, owner: str, addresses: tuple[str, ...], ttl: int) -> None:
    for rdtype in ("A", "AAAA"):
        texts = [a for a in addresses if (":" in a) == (rdtype == "AAAA")]
        zone.add(owner, ttl, rdtype, *texts)


def _add_servers(zone: Zone, names: dict[str, Server], ttl: int) -> None:
    zone.add(zone.origin.to_text(), ttl, "NS", *names)
    for owner, server in names.items():
        _add_server(zone, owner, server.addresses, ttl)


def _finish(zone: Zone, ksk: SigningKey, zsk: SigningKey, ttl_dnskey: int, chain: str) -> None:
    set_dnskeys(zone, [ksk, zsk] if zsk is not ksk else [ksk], [ksk], ttl_dnskey)
    if chain == "nsec":
        add_nsec_chain(zone, topology.TTL_NEGATIVE)
    else:
        add_nsec3_chain(zone, topology.TTL_NEGATIVE, opt_out=True)
    zone.sign_all(lambda key: ksk if key[1] == dns.rdatatype.DNSKEY else zsk)


def _delegate(zone: Zone, child: str, names: list[str], ds: list[SigningKey]) -> None:
    zone.add(child, topology.TTL_DELEGATION, "NS", *names)
    if ds:
        name = dns.name.from_text(child)
        zone.put(name, topology.TTL_DS, [key.ds(name) for key in ds])


def _delegate_children(zone: Zone, children: tuple[str, ...], ds: dict[str, SigningKey]) -> None:
    for child in children:
        names = _child_server_names(child)
        _delegate(zone, child, names, [ds[child]] if child in ds else [])
        for name, addresses in _in_bailiwick(child, names):
            _add_server(zone, name, addresses, topology.TTL_DELEGATION)


def _build_root(ds: dict[str, SigningKey], ksk: SigningKey, zsk: SigningKey) -> Zone:
    zone = _new_zone(".", topology.TTL_ROOT, "a.rootsrv.")
    _add_servers(zone, topology.ROOT_NAMES, topology.TTL_ROOT)
    _delegate(zone, "de.", list(topology.DE_NAMES), [ds["de."]])
    for owner, server in topology.DE_NAMES.items():
        _add_server(zone, owner, server.addresses, topology.TTL_ROOT)
    for child in ("nl.", "zz."):
        _delegate(zone, child, [f"ns1.nic.{child}"], [ds[child]] if child in ds else [])
        _add_server(zone, f"ns1.nic.{child}", topology.CONTROL_SERVER.addresses, topology.TTL_ROOT)
    _finish(zone, ksk, zsk, topology.TTL_ROOT_DNSKEY, "nsec")
    return zone


def _build_de(child_ds: dict[str, SigningKey], ksk: SigningKey, zsk: SigningKey) -> Zone:
    zone = _new_zone("de.", topology.TTL_SOA, "a.nic.de.")
    _add_servers(zone, topology.DE_NAMES, topology.TTL_DELEGATION)
    children = ("nic.de.", *topology.DE_SIGNED, *topology.DE_UNSIGNED)
    _delegate_children(zone, children, child_ds)
    _finish(zone, ksk, zsk, topology.TTL_DNSKEY, "nsec3")
    return zone


def _build_nl(child_ds: dict[str, SigningKey], ksk: SigningKey, zsk: SigningKey) -> Zone:
    zone = _new_zone("nl.", topology.TTL_SOA, "ns1.nic.nl.")
    _add_servers(zone, {"ns1.nic.nl.": topology.CONTROL_SERVER}, topology.TTL_DELEGATION)
    _delegate_children(zone, (*topology.NL_SIGNED, *topology.NL_UNSIGNED), child_ds)
    _finish(zone, ksk, zsk, topology.TTL_DNSKEY, "nsec")
    return zone


def _build_zz() -> Zone:
    zone = _new_zone("zz.", topology.TTL_SOA, "ns1.nic.zz.")
    _add_servers(zone, {"ns1.nic.zz.": topology.CONTROL_SERVER}, topology.TTL_DELEGATION)
    _delegate_children(zone, topology.ZZ_UNSIGNED, {})
    return zone


def _child_server_names(child: str) -> list[str]:
    """Name a child's servers: its own for hosting.zz., nic.de. and every third, else hosting's."""
    if child in ("hosting.zz.", "nic.de.") or len(child) % 3 == 0:
        return [f"ns1.{child}", f"ns2.{child}"]
    return ["ns1.hosting.zz.", "ns2.hosting.zz."]


def _in_bailiwick(child: str, names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    addresses = topology.HOSTING_SERVER.addresses
    halves = (addresses[:2], addresses[2:])
    return [(n, half) for n, half in zip(names, halves, strict=True) if n.endswith(child)]


def _build_children() -> tuple[list[Zone], dict[str, SigningKey]]:
    signed = ("nic.de.", *topology.DE_SIGNED, *topology.NL_SIGNED)
    unsigned = (*topology.DE_UNSIGNED, *topology.NL_UNSIGNED, *topology.ZZ_UNSIGNED)
    keys = {child: make_ecdsa(f"{child}csk", "csk") for child in signed}
    zones = []
    for number, child in enumerate((*signed, *unsigned), start=1):
        names = _child_server_names(child)
        zone = _new_zone(child, topology.TTL_CHILD, names[0])
        zone.add(child, topology.TTL_DELEGATION, "NS", *names)
        for name, addresses in _in_bailiwick(child, names):
            _add_server(zone, name, addresses, topology.TTL_DELEGATION)
        if child == "nic.de.":
            for owner, server in topology.DE_NAMES.items():
                _add_server(zone, owner, server.addresses, topology.TTL_DELEGATION)
        for owner in (child, f"www.{child}", f"mail.{child}"):
            zone.add(owner, topology.TTL_CHILD, "A", f"203.0.113.{number}")
            zone.add(owner, topology.TTL_CHILD, "AAAA", f"2001:db8:80::{number:x}")
        zone.add(f"_info.{child}", topology.TTL_CHILD, "TXT", '"lab"')
        zone.add(child, topology.TTL_CHILD, "MX", f"10 mail.{child}")
        if child in keys:
            _finish(zone, keys[child], keys[child], topology.TTL_CHILD_DNSKEY, "nsec")
        zones.append(zone)
    return zones, keys
