"""ru-2024: two ZSK pairs with one tag; the zone is signed with the one that is not published."""

from labkit.incidents.steps import ZONE_SIGNED
from labkit.keys import make_sharing_tag
from labkit.lab import Lab
from labkit.plan import Plan, Truth, ZonePlan

PREPUBLISH, ROLL, ANCHOR, REPAIR, END = 6.0, 20.0, 34.0, 44.0, 62.0


async def script(lab: Lab) -> None:
    """Publish one of two keys of a tag, sign with the other, then sign with the old key again."""
    zone = lab.zone
    (ksk,), (old,) = zone.ksks, zone.zsks
    avoid = frozenset({ksk.tag, old.tag})
    published, hidden = make_sharing_tag(("ru-zsk-new-1", "ru-zsk-new-2"), avoid)
    lab.keep(zone, old, published)
    lab.keep(zone, hidden, hidden=True)
    lab.notes["key_tag"] = published.tag

    await lab.at(PREPUBLISH)
    zone.publish_keys(ksk, old, published)
    lab.publish(zone, "key-published", f"new ZSK {published.tag} joins the DNSKEY RRset")

    await lab.at(ROLL)
    zone.zsks = [hidden]
    zone.resign(*ZONE_SIGNED)
    lab.phase("signature-invalid")
    detail = f"all is signed by a second key of tag {hidden.tag} that is not published"
    lab.publish(zone, "signer-changed", detail, "change")

    await lab.at(ANCHOR)
    await lab.mitigate("bind", "negative-trust-anchor", ("nta", "-l", "600", "ru"))

    await lab.at(REPAIR)
    zone.zsks = [old]
    zone.resign(*ZONE_SIGNED)
    lab.phase("")
    detail = f"all is signed again by the old ZSK {old.tag}"
    lab.publish(zone, "repaired", detail, "repair")

    await lab.at(REPAIR + 5)
    await lab.flush("ru")
    await lab.at(END)


PLAN = Plan(
    name="ru-2024",
    headline="The .ru outage of 30 January 2024: two ZSK pairs of one tag, signed by the other",
    truth=Truth(
        "incident",
        reason="signature-invalid",
        ede=6,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(ZonePlan("ru.", ("nsd", "knot", "bind")),),
    script=script,
    phases=(
        f"{PREPUBLISH:.0f} s: the new ZSK joins the DNSKEY RRset; the old one signs",
        f"{ROLL:.0f} s: everything is signed by another key pair with the new key's tag",
        f"{ANCHOR:.0f} s: the operator of BIND installs a negative trust anchor (`rndc nta`)",
        f"{REPAIR:.0f} s: everything is signed again by the old ZSK",
        f"{END:.0f} s: end",
    ),
)
