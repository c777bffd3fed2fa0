"""de-2026: three key pairs with one tag sign de., and only one of them is published."""

from labkit.incident import Incident, Stage
from labkit.keys import make_sharing_tag
from labkit.registry import one_key, one_of, refreshed_in_roll
from labkit.topology import DE_BIND, DE_KNOT, MITIGATED, TTL_DNSKEY
from labkit.zones import set_dnskeys

PREPUBLISH, ROLL, REPAIR, END = 20.0, 65.0, 180.0, 315.0
TRUST_ANCHOR_OFF, TRUST_ANCHOR_ON = 140.0, 285.0
ROLL_DELAYS = {DE_KNOT.name: 8.0, DE_BIND.name: 41.0}
REPAIR_DELAYS = {DE_KNOT.name: 8.0, DE_BIND.name: 20.0}
PREPUBLISH_DELAYS = {DE_KNOT.name: 3.0, DE_BIND.name: 6.0}


async def script(stage: Stage) -> None:
    """Play the incident."""
    world, registry = stage.world, stage.registry
    publication = registry.publication
    keys = make_sharing_tag(
        ("de-zsk-new-1", "de-zsk-new-2", "de-zsk-new-3"),
        avoid=frozenset({world.de_ksk.tag, world.de_zsk.tag}),
    )
    published = keys[0]
    stage.new_keys = keys
    publication.watched_tag = published.tag
    publication.unpublished = {key.label for key in keys[1:]}

    await stage.until(PREPUBLISH)
    registry.phase = "pre-published"
    set_dnskeys(world.de, [world.de_ksk, world.de_zsk, published], [world.de_ksk], TTL_DNSKEY)
    stage.stagger(publication, PREPUBLISH_DELAYS)
    version = registry.bump()
    stage.note(version, "de.", "key-published", f"new ZSK {published.tag}; the old ZSK signs")

    await stage.until(ROLL)
    registry.phase = "incident"
    registry.signer = one_of(keys)
    registry.rotating = True
    stage.stagger(publication, ROLL_DELAYS)
    version = registry.bump(refresh=refreshed_in_roll(world.de.signable()))
    stage.bad_serial = version.serial
    detail = f"three key pairs of tag {published.tag} sign, one of them published"
    stage.note(version, "de.", "signer-changed", detail)

    await stage.until(TRUST_ANCHOR_OFF)
    kind = "negative-trust-anchor"
    await stage.mitigate(MITIGATED.name, kind, ("insecure_add", "de."), ("flush_zone", "de."))

    await stage.until(REPAIR)
    registry.phase = "repaired"
    registry.signer = one_key(published)
    registry.rotating = False
    stage.stagger(publication, REPAIR_DELAYS)
    version = registry.bump(refresh=refreshed_in_roll(world.de.signable()))
    stage.good_serial = version.serial
    stage.note(version, "de.", "repaired", "signed anew by the published key of that tag")

    await stage.until(TRUST_ANCHOR_ON)
    await stage.mitigate(MITIGATED.name, f"{kind}-removed", ("insecure_remove", "de."))
    await stage.until(END)


INCIDENT = Incident(
    name="de-2026",
    headline="The .de outage of 5 May 2026: one key tag, three key pairs, one published",
    expected="incident",
    phases=(
        "0 s: healthy; KSK and old ZSK published, old ZSK signs, a new serial every 5 s",
        f"{PREPUBLISH:.0f} s: the new ZSK joins the DNSKEY RRset (server by server)",
        (
            f"{ROLL:.0f} s: the SOA, 85 % of the NSEC3 and half of the DS RRsets are signed anew, "
            "each by one of three key pairs that share the new tag (choice by a hash of owner, "
            "type and serial); from then on a sixth of them again at each serial, and the SOA "
            "always. NSD gets the zone at once, Knot 8 s later, BIND 41 s later"
        ),
        (
            f"{TRUST_ANCHOR_OFF:.0f} s: the operator of `resolver-3.lab` installs a negative "
            "trust anchor for de. (`unbound-control insecure_add`, `flush_zone`)"
        ),
        (
            f"{REPAIR:.0f} s: the same RRsets are signed by the published key; NSD at once, "
            "Knot 8 s later, BIND 20 s later; the serial keeps moving"
        ),
        f"{TRUST_ANCHOR_ON:.0f} s: the negative trust anchor is removed",
        f"{END:.0f} s: end",
    ),
    script=script,
)
