"""Correct rolls of de.: pre-publication for the ZSK, double DS for the KSK. No incident."""

import dns.rdatatype

from labkit.incident import Incident, Stage
from labkit.keys import SigningKey, make_ecdsa
from labkit.publication import Version
from labkit.registry import one_key
from labkit.topology import DE_BIND, DE_KNOT, ROOT_SERVERS, SIDE_BY_SIDE, TTL_DNSKEY
from labkit.zones import DE, set_dnskeys, set_ds

DELAYS = {DE_KNOT.name: 4.0, DE_BIND.name: 8.0}
ROOT_DELAYS = {ROOT_SERVERS[1].name: 5.0}
# Each step waits out the last server's delay (8 s) and the longest TTL in play (20 s).
FIRST, SECOND, THIRD, END = 40.0, 80.0, 125.0, 185.0


async def roll_zsk(stage: Stage) -> None:
    """Publish, wait, sign, wait, withdraw."""
    world, registry = stage.world, stage.registry
    old, new, ksk = world.de_zsk, make_ecdsa("de-zsk-new", "zsk"), world.de_ksk
    stage.new_keys = [new]

    await stage.until(FIRST)
    registry.phase = "published"
    set_dnskeys(world.de, [ksk, old, new], [ksk], TTL_DNSKEY)
    stage.stagger(registry.publication, DELAYS)
    detail = f"ZSK {new.tag} joins the DNSKEY RRset; {old.tag} signs"
    stage.note(registry.bump(), "de.", "key-published", detail)

    await stage.until(SECOND)
    registry.phase = "signed-by-new"
    registry.signer = one_key(new)
    stage.stagger(registry.publication, DELAYS)
    apart = (dns.rdatatype.SOA, dns.rdatatype.DNSKEY)
    version = registry.bump(refresh=[key for key in world.de.signable() if key[1] not in apart])
    detail = f"ZSK {new.tag} signs everything in place of {old.tag}"
    stage.note(version, "de.", "signer-changed", detail)

    await stage.until(THIRD)
    registry.phase = "withdrawn"
    set_dnskeys(world.de, [ksk, new], [ksk], TTL_DNSKEY)
    stage.stagger(registry.publication, DELAYS)
    detail = f"ZSK {old.tag} leaves the DNSKEY RRset"
    stage.note(registry.bump(), "de.", "key-withdrawn", detail)

    await stage.until(END)


async def roll_ksk(stage: Stage) -> None:
    """Add a DS, wait, swap the KSK, wait, remove the old DS."""
    world, registry = stage.world, stage.registry
    old, new, zsk = world.de_ksk, make_ecdsa("de-ksk-new", "ksk"), world.de_zsk
    stage.new_keys = [new]

    await stage.until(FIRST)
    stage.stagger(stage.root, ROOT_DELAYS)
    detail = f"DS of KSK {new.tag} joins that of {old.tag} in the root"
    stage.note(_change_ds(stage, "ds-added", [old, new]), ".", "ds-added", detail)

    await stage.until(SECOND)
    registry.phase = "ksk-swapped"
    set_dnskeys(world.de, [new, zsk], [new], TTL_DNSKEY)
    stage.stagger(registry.publication, DELAYS)
    detail = f"KSK {new.tag} replaces {old.tag} in the DNSKEY RRset and signs it"
    stage.note(registry.bump(), "de.", "ksk-swapped", detail)

    await stage.until(THIRD)
    stage.stagger(stage.root, ROOT_DELAYS)
    detail = f"DS of KSK {old.tag} leaves the root"
    stage.note(_change_ds(stage, "ds-removed", [new]), ".", "ds-removed", detail)

    await stage.until(END)


def _change_ds(stage: Stage, phase: str, ksks: list[SigningKey]) -> Version:
    root = stage.world.root
    root.sign(root.set_soa(root.serial + 1), stage.world.root_zsk)
    set_ds(root, DE, ksks, stage.world.root_zsk)
    return stage.root.publish(phase)


ZSK_ROLL = Incident(
    name="healthy-zsk-roll",
    headline="A correct pre-publication roll of the ZSK of de. (RFC 6781 4.1.1.1)",
    expected="no incident",
    phases=(
        "0 s: healthy; a new serial every 5 s",
        f"{FIRST:.0f} s: the new ZSK joins the DNSKEY RRset",
        f"{SECOND:.0f} s: the new ZSK signs everything (the DNSKEY RRset stays with the KSK)",
        f"{THIRD:.0f} s: the old ZSK leaves the DNSKEY RRset",
        f"{END:.0f} s: end. Each step reaches NSD at once, Knot 4 s and BIND 8 s later",
    ),
    script=roll_zsk,
    resolvers=SIDE_BY_SIDE,
)
KSK_ROLL = Incident(
    name="healthy-ksk-roll",
    headline="A correct double-DS roll of the KSK of de. (RFC 6781 4.1.2)",
    expected="no incident",
    phases=(
        "0 s: healthy; a new serial every 5 s",
        f"{FIRST:.0f} s: the root adds the DS of the new KSK (second root server 5 s later)",
        (
            f"{SECOND:.0f} s: the new KSK replaces the old one and signs the DNSKEY RRset "
            "(Knot 4 s and BIND 8 s later)"
        ),
        f"{THIRD:.0f} s: the root removes the DS of the old KSK (second root server 5 s later)",
        f"{END:.0f} s: end",
    ),
    script=roll_ksk,
    resolvers=SIDE_BY_SIDE,
)
