"""Changes done right: a validator never fails in them, and the analyzer must not accuse."""

from labkit.incidents.steps import ZONE_SIGNED
from labkit.lab import Lab
from labkit.plan import Plan, Truth, ZonePlan

TRUTH = Truth("no incident")
FOUR = ("unbound", "bind", "recursor", "kresd", "plain")


async def double_signature(lab: Lab) -> None:
    """Publish and sign with two KSKs, change the DS, withdraw the old KSK (RFC 6781 4.1.2)."""
    zone, parent = lab.zone, lab.parent
    (old,), (zsk,), new = zone.ksks, zone.zsks, lab.key("fi-ksk-new", "ksk")
    lab.keep(zone, *zone.keys)
    await lab.at(6)
    zone.publish_keys(old, new, zsk, signers=[old, new])
    lab.publish(zone, "key-published", f"KSK {new.tag} joins {old.tag}; both sign")
    await lab.at(24)
    parent.put_ds_of(zone, new)
    lab.publish(parent, "ds-changed", f"DS names {new.tag} in place of {old.tag}")
    await lab.at(42)
    zone.publish_keys(new, zsk, signers=[new])
    lab.publish(zone, "key-withdrawn", f"KSK {old.tag} leaves")
    await lab.at(56)


async def algorithm_roll(lab: Lab) -> None:
    """Signatures first, then keys, then DS; out again in the other order (RFC 6781 4.1.4)."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    (ksk,), (zsk,) = zone.ksks, zone.zsks
    new_ksk, new_zsk = lab.key("at-ksk-13", "ksk", 13), lab.key("at-zsk-13", "zsk", 13)
    await lab.at(5)
    zone.zsks = [zsk, new_zsk]
    zone.resign(*ZONE_SIGNED)
    lab.publish(zone, "signer-added", "algorithm 13 signs beside 8, its keys not published yet")
    await lab.at(21)
    zone.publish_keys(ksk, zsk, new_ksk, new_zsk, signers=[ksk, new_ksk])
    lab.publish(zone, "key-published", "keys of algorithm 13 join")
    await lab.at(37)
    parent.put_ds_of(zone, new_ksk)
    lab.publish(parent, "ds-changed", "DS of algorithm 13 in place of 8")
    await lab.at(53)
    zone.publish_keys(new_ksk, new_zsk, signers=[new_ksk])
    lab.publish(zone, "key-withdrawn", "keys of algorithm 8 leave, their signatures stay")
    await lab.at(69)
    zone.zsks = [new_zsk]
    zone.resign(*ZONE_SIGNED)
    lab.publish(zone, "signer-withdrawn", "signatures of algorithm 8 leave")
    await lab.at(84)


async def insecure_and_back(lab: Lab) -> None:
    """Withdraw the DS, wait, unsign; sign with new keys, wait, publish the new DS."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    await lab.at(6)
    parent.put_ds(zone.origin)
    lab.publish(parent, "ds-removed", "no DS any more; the zone is still signed")
    await lab.at(24)
    zone.go_insecure()
    lab.publish(zone, "unsigned", "no DNSKEY and no signature any more")
    await lab.at(38)
    await sign(lab, 56)
    await lab.at(72)


async def sign(lab: Lab, ds_at: float) -> None:
    """Sign a zone with new keys now, and publish the DS at the given time."""
    zone, parent = lab.zone, lab.parent
    ksk, zsk = lab.key("ksk-new", "ksk"), lab.key("zsk-new", "zsk")
    zone.zsks = [zsk]
    zone.publish_keys(ksk, zsk, signers=[ksk])
    zone.rebuild_denial()
    zone.resign()
    lab.publish(zone, "signed", f"signed with KSK {ksk.tag} and ZSK {zsk.tag}; no DS yet")
    await lab.at(ds_at)
    parent.put_ds_of(zone, ksk)
    lab.publish(parent, "ds-added", f"DS of KSK {ksk.tag}")


async def first_signed(lab: Lab) -> None:
    """Sign a zone for the first time."""
    await lab.at(12)
    await sign(lab, 32)
    await lab.at(52)


DOUBLE = Plan(
    name="ksk-double-signature",
    headline="A correct double-signature roll of a KSK (RFC 6781 4.1.2)",
    truth=TRUTH,
    zones=(ZonePlan("fi.", ("nsd", "knot", "bind")),),
    script=double_signature,
    phases=(
        "6 s: a new KSK joins; both sign the DNSKEY RRset",
        "24 s: the DS of the new KSK replaces that of the old",
        "42 s: the old KSK leaves",
        "56 s: end. Each wait is longer than every TTL (8 s)",
    ),
    resolvers=FOUR,
    root_ttl=8,
)
ALGORITHM = Plan(
    name="algorithm-roll",
    headline="A correct algorithm roll from 8 to 13 (RFC 6781 4.1.4, conservative)",
    truth=TRUTH,
    zones=(ZonePlan("at.", ("knot", "bind"), algorithm=8),),
    script=algorithm_roll,
    phases=(
        "5 s: signatures of algorithm 13 join those of 8",
        "21 s: the keys of algorithm 13 join",
        "37 s: the DS is of algorithm 13",
        "53 s: the keys of algorithm 8 leave",
        "69 s: their signatures leave",
        "84 s: end. Each wait is longer than every TTL (8 s)",
    ),
    options={"unbound": ("harden-algo-downgrade: yes",)},
    root_ttl=8,
)
INSECURE = Plan(
    name="insecure-and-back",
    headline="A zone goes insecure and is signed again, with all waiting done",
    truth=TRUTH,
    zones=(ZonePlan("pt.", ("nsd", "bind"), chain="nsec"),),
    script=insecure_and_back,
    phases=(
        "6 s: the root withdraws the DS",
        "24 s: the zone withdraws DNSKEY, signatures and denial",
        "38 s: the zone is signed with new keys",
        "56 s: the root publishes the new DS",
        "72 s: end. Each wait is longer than every TTL (8 s)",
    ),
    resolvers=FOUR,
    root_ttl=8,
)
FIRST = Plan(
    name="first-signed",
    headline="A zone is signed for the first time",
    truth=TRUTH,
    zones=(ZonePlan("ie.", ("nsd", "pdns"), 15, "nsec", is_signed=False),),
    script=first_signed,
    phases=(
        "12 s: the zone, unsigned so far, is signed; no DS",
        "32 s: the root publishes the DS",
        "52 s: end. Each wait is longer than every TTL (8 s)",
    ),
    root_ttl=8,
)
PLANS = (DOUBLE, ALGORITHM, INSECURE, FIRST)
