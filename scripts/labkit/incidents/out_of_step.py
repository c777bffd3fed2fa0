"""nz-2023, nl-2012, slack-rollback-2021: each step is sound, but faster than caches forget."""

from labkit.incidents.steps import ZONE_SIGNED
from labkit.lab import Lab
from labkit.plan import Plan, Truth, ZonePlan

LONG = 30  # seconds that the record lives in caches which the roll did not wait for


async def old_signature_withdrawn(lab: Lab) -> None:
    """Swap the DS, and withdraw the old KSK while the old DS is still cached."""
    zone, parent = lab.zone, lab.parent
    (old,), (zsk,), new = zone.ksks, zone.zsks, lab.key("nz-ksk-new", "ksk")
    lab.keep(zone, *zone.keys)
    await lab.at(6)
    zone.publish_keys(old, new, zsk, signers=[old, new])
    lab.publish(zone, "key-published", f"KSK {new.tag} joins {old.tag}; both sign")
    await lab.at(20)
    parent.put_ds_of(zone, new)
    lab.publish(parent, "ds-changed", f"DS names {new.tag} in place of {old.tag}")
    await lab.at(24)
    zone.publish_keys(new, zsk, signers=[new])
    lab.phase("ds-mismatch")
    detail = f"KSK {old.tag} and its signature leave; caches hold its DS for up to {LONG} s"
    lab.publish(zone, "key-withdrawn", detail, "change")
    await lab.at(50)
    lab.phase("")
    lab.record("caches-ran-out", parent, "the last cached DS has run out", "repair")
    await lab.at(66)


def long_dnskey(lab: Lab) -> None:
    """Give the DNSKEY RRset its long TTL."""
    lab.zone.publish_keys(*lab.zone.keys, ttl=LONG)


async def signed_too_soon(lab: Lab) -> None:
    """Publish a ZSK and sign with it at once, while caches hold the old DNSKEY RRset."""
    zone = lab.zone
    (ksk,), (old,), new = zone.ksks, zone.zsks, lab.key("nl-zsk-new", "zsk")
    lab.keep(zone, *zone.keys)
    await lab.at(20)
    zone.zsks = [new]
    zone.publish_keys(ksk, old, new, ttl=LONG)
    zone.resign(*ZONE_SIGNED)
    lab.phase("dnskey-missing")
    detail = f"ZSK {new.tag} is published and signs in one serial; DNSKEY lives {LONG} s in caches"
    lab.publish(zone, "signer-changed", detail, "change")
    await lab.at(52)
    lab.phase("")
    lab.record("caches-ran-out", zone, "the last cached DNSKEY RRset has run out", "repair")
    await lab.at(66)


async def rolled_back(lab: Lab) -> None:
    """Withdraw the DS and unsign the zone at once, while caches hold the DS."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    await lab.at(16)
    parent.put_ds(zone.origin)
    lab.publish(parent, "ds-removed", "com. has no DS of slack.com. any more")
    await lab.at(18)
    zone.go_insecure()
    lab.phase("rrsig-missing")
    detail = f"slack.com. is unsigned; caches hold its DS for up to {LONG} s"
    lab.publish(zone, "unsigned", detail, "change")
    await lab.at(46)
    lab.phase("")
    lab.record("caches-ran-out", parent, "the last cached DS has run out", "repair")
    await lab.at(60)


def _truth(reason: str, *also: str) -> Truth:
    return Truth(
        "incident",
        reason=reason,
        also=also,
        ede=9,
        severity="partial",
        view="resolver",
        patterns=("keys-out-of-step",),
    )


NZ = Plan(
    name="nz-2023",
    headline="The .nz outage of 29 May 2023: the old KSK's signature goes while its DS is cached",
    truth=_truth("ds-mismatch", "keys-out-of-step", "dnskey-unsigned-by-ds-key"),
    zones=(ZonePlan("nz.", ("nsd", "knot", "bind")),),
    script=old_signature_withdrawn,
    phases=(
        "6 s: a new KSK is published; old and new sign the DNSKEY RRset",
        f"20 s: the DS in the root (TTL {LONG} s) names the new KSK in place of the old",
        "24 s: the old KSK and its signature leave the DNSKEY RRset",
        "50 s: the last cached DS has run out; nobody repaired anything",
        "66 s: end",
    ),
    root_ttl=LONG,
    holds=LONG,
)
NL = Plan(
    name="nl-2012",
    headline="The .nl outage of 28 October 2012: a new ZSK signs before caches can know it",
    truth=_truth("dnskey-missing", "keys-out-of-step"),
    zones=(ZonePlan("nl2.", ("nsd", "knot")),),
    prepare=long_dnskey,
    script=signed_too_soon,
    phases=(
        f"20 s: a new ZSK joins the DNSKEY RRset (TTL {LONG} s) and signs all (TTL 8 s) at once",
        "52 s: the last cached DNSKEY RRset has run out; nobody repaired anything",
        "66 s: end. The zone is called nl2. because nl. is a control of the lab",
    ),
    holds=LONG,
)
SLACK = Plan(
    name="slack-rollback-2021",
    headline="Slack's rollback of 30 September 2021: unsigned again while caches hold the DS",
    truth=_truth("rrsig-missing", "dnskey-absent", "keys-out-of-step"),
    zones=(
        ZonePlan(
            "slack.com.",
            ("nsd", "bind"),
            chain="nsec",
            hosts=("www", "app", "edge"),
            signed=(),
            unsigned=(),
        ),
    ),
    script=rolled_back,
    phases=(
        f"16 s: com. withdraws the DS (TTL {LONG} s) of slack.com.",
        "18 s: slack.com. withdraws DNSKEY, signatures and NSEC",
        "46 s: the last cached DS has run out; nobody repaired anything",
        "60 s: end",
    ),
    resolvers=("unbound", "bind", "recursor", "kresd", "plain"),
    root_ttl=LONG,
    holds=LONG,
)
PLANS = (NZ, NL, SLACK)
