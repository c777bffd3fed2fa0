"""fj-2022, hbo-now-2015, apnic-2012: the DS at the parent matches no key of the zone."""

from labkit.incidents.steps import ZONE_SIGNED
from labkit.lab import Lab
from labkit.plan import Plan, Truth, ZonePlan

BREAK, ANCHOR, REPAIR, END = 14.0, 30.0, 42.0, 62.0
TRUTH = Truth(
    "incident", reason="ds-mismatch", ede=9, severity="outage", patterns=("every-server",)
)


async def wrong_ds(lab: Lab) -> None:
    """Publish the DS of a key that the zone does not have, then the right one again."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    stranger = lab.key("stranger", "ksk", hidden=True)
    await lab.at(BREAK)
    parent.put_ds_of(zone, stranger)
    lab.phase("ds-mismatch")
    detail = f"DS names key {stranger.tag}; the zone has {zone.ksks[0].tag}"
    lab.publish(parent, "ds-changed", detail, "change")

    await lab.at(ANCHOR)
    await lab.mitigate("recursor", "negative-trust-anchor", ("add-nta", "fj", "wrong DS"))

    await lab.at(REPAIR)
    parent.put_ds_of(zone, *zone.ksks)
    lab.phase("")
    lab.publish(parent, "repaired", f"DS names {zone.ksks[0].tag} again", "repair")
    await lab.at(REPAIR + 5)
    await lab.flush("fj")
    await lab.at(END)


async def ksk_without_ds(lab: Lab) -> None:
    """Roll the KSK and leave the DS as it is; bring it up to date later."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    (zsk,), new = zone.zsks, lab.key("hbonow.com-ksk-new", "ksk")
    await lab.at(BREAK)
    zone.publish_keys(new, zsk, signers=[new])
    lab.phase("ds-mismatch")
    lab.publish(zone, "ksk-swapped", f"KSK {new.tag} in place of the one in the DS", "change")

    await lab.at(REPAIR)
    parent.put_ds_of(zone, new)
    lab.phase("")
    lab.publish(parent, "repaired", f"DS names KSK {new.tag}", "repair")
    await lab.at(REPAIR + 5)
    await lab.flush("hbonow.com")
    await lab.at(END)


async def standby_signer(lab: Lab) -> None:
    """Let a standby signer with keys of its own take over, then give the zone back."""
    zone = lab.zone
    lab.keep(zone, *zone.keys)
    old_ksks, old_zsks = zone.ksks, zone.zsks
    ksk, zsk = lab.key("standby-ksk", "ksk"), lab.key("standby-zsk", "zsk")
    await lab.at(BREAK)
    zone.zsks = [zsk]
    zone.publish_keys(ksk, zsk, signers=[ksk])
    zone.resign(*ZONE_SIGNED)
    lab.phase("ds-mismatch")
    lab.publish(zone, "signer-changed", "every key and signature is the standby's", "change")

    await lab.at(REPAIR)
    zone.zsks = old_zsks
    zone.publish_keys(*old_ksks, *old_zsks, signers=old_ksks)
    zone.resign(*ZONE_SIGNED)
    lab.phase("")
    lab.publish(zone, "repaired", "the first signer has the zone back", "repair")
    await lab.at(REPAIR + 5)
    await lab.flush(zone.plan.origin.rstrip("."))
    await lab.at(END)


FJ = Plan(
    name="fj-2022",
    headline="The .fj outage of 2022: the DS in the root matches no key of the zone",
    truth=TRUTH,
    zones=(ZonePlan("fj.", ("nsd", "knot")),),
    script=wrong_ds,
    phases=(
        f"{BREAK:.0f} s: the root's DS names a key that the zone does not have",
        f"{ANCHOR:.0f} s: Recursor's operator installs a negative trust anchor",
        f"{REPAIR:.0f} s: the root has the right DS again",
        f"{END:.0f} s: end",
    ),
    root_ttl=8,
)
HBO = Plan(
    name="hbo-now-2015",
    headline="HBO NOW, 2015: a new KSK is published and the DS stays that of the old one",
    truth=TRUTH,
    zones=(
        ZonePlan(
            "hbonow.com.",
            ("bind", "knot"),
            algorithm=15,
            hosts=("www", "play", "api"),
            signed=(),
            unsigned=(),
        ),
    ),
    script=ksk_without_ds,
    phases=(
        f"{BREAK:.0f} s: another KSK replaces the one that the DS in com. names",
        f"{REPAIR:.0f} s: the DS names the new KSK",
        f"{END:.0f} s: end",
    ),
    resolvers=("unbound", "bind", "kresd", "plain"),
    root_ttl=8,
)
APNIC = Plan(
    name="apnic-2012",
    headline="APNIC's reverse zones, December 2012: a standby signer with other keys takes over",
    truth=Truth(
        "incident",
        reason="ds-mismatch",
        also=("dnskey-missing",),
        ede=9,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(
        ZonePlan(
            "apnic.net.",
            ("nsd", "bind"),
            chain="nsec",
            hosts=("1.203", "2.203", "ns"),
            signed=("amsel",),
            unsigned=("tanne",),
        ),
    ),
    script=standby_signer,
    phases=(
        f"{BREAK:.0f} s: DNSKEY RRset and all signatures are those of a signer with other keys",
        f"{REPAIR:.0f} s: the first signer's keys and signatures are back",
        f"{END:.0f} s: end",
    ),
    resolvers=("unbound", "bind", "recursor", "kresd", "plain"),
    root_ttl=8,
)
PLANS = (FJ, HBO, APNIC)
