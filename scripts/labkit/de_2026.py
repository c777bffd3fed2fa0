"""de-2026: three key pairs with one tag sign de., and only one of them is published.

Twice: at length before two Unbounds, and in short before every resolver of Debian side by side.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from labkit import topology
from labkit.incident import Incident, Stage
from labkit.keys import make_sharing_tag
from labkit.registry import one_key, one_of, refreshed_in_roll
from labkit.topology import DE_BIND, DE_KNOT, MITIGATED, RECURSOR, TTL_DNSKEY, Resolver
from labkit.zones import set_dnskeys

Order = tuple[str, ...]
ANCHOR = "negative-trust-anchor"


@dataclass(frozen=True)
class Course:
    """How one recording of the outage goes: seconds after the start, seconds of delay, orders.

    `late` are the delays of Knot and BIND at the roll; NSD gets each version at once.
    `renew` are the orders by which resolvers forget what they hold of de. after the repair.
    """

    prepublish: float
    roll: float
    anchor: float
    repair: float
    anchor_gone: float
    end: float
    late: tuple[float, float]
    mitigated: Resolver
    install: tuple[Order, ...]
    remove: Order
    renew: tuple[tuple[Resolver, Order], ...] = ()

    def script(self) -> Callable[[Stage], Awaitable[None]]:
        """Return the script that plays it."""

        async def play(stage: Stage) -> None:
            await _play(self, stage)

        return play

    def phases(self) -> tuple[str, ...]:
        """Return what happens in words."""
        knot, bind = self.late
        flush = f"{self.repair + FLUSH:.0f} s: the operators of the other resolvers flush de."
        return (
            "0 s: healthy; KSK and old ZSK published, old ZSK signs, a new serial every 5 s",
            f"{self.prepublish:.0f} s: the new ZSK joins the DNSKEY RRset (server by server)",
            (
                f"{self.roll:.0f} s: the SOA, 85 % of the NSEC3 and half of the DS RRsets are "
                "signed anew, each by one of three key pairs that share the new tag (choice by a "
                "hash of owner, type and serial); from then on a sixth of them again at each "
                f"serial, and the SOA always. NSD gets the zone at once, Knot {knot:.0f} s later, "
                f"BIND {bind:.0f} s later"
            ),
            (
                f"{self.anchor:.0f} s: the operator of `{self.mitigated.identity}` installs a "
                f"negative trust anchor for de. ({', '.join(f'`{o[0]}`' for o in self.install)})"
            ),
            (
                f"{self.repair:.0f} s: the same RRsets are signed by the published key; NSD at "
                "once, Knot 8 s later, BIND 20 s later; the serial keeps moving"
            ),
            *([flush] if self.renew else []),
            f"{self.anchor_gone:.0f} s: the negative trust anchor is removed",
            f"{self.end:.0f} s: end",
        )


FLUSH = 25.0  # seconds from the repair until the operators flush: the last server has it then


async def _play(course: Course, stage: Stage) -> None:
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

    await stage.until(course.prepublish)
    registry.phase = "pre-published"
    set_dnskeys(world.de, [world.de_ksk, world.de_zsk, published], [world.de_ksk], TTL_DNSKEY)
    stage.stagger(publication, {DE_KNOT.name: 3.0, DE_BIND.name: 6.0})
    version = registry.bump()
    stage.note(version, "de.", "key-published", f"new ZSK {published.tag}; the old ZSK signs")

    await stage.until(course.roll)
    registry.phase = "incident"
    registry.signer = one_of(keys)
    registry.rotating = True
    knot, bind = course.late
    stage.stagger(publication, {DE_KNOT.name: knot, DE_BIND.name: bind})
    version = registry.bump(refresh=refreshed_in_roll(world.de.signable()))
    stage.bad_serial = version.serial
    detail = f"three key pairs of tag {published.tag} sign, one of them published"
    stage.note(version, "de.", "signer-changed", detail)

    await stage.until(course.anchor)
    await stage.mitigate(course.mitigated.name, ANCHOR, *course.install)

    await stage.until(course.repair)
    registry.phase = "repaired"
    registry.signer = one_key(published)
    registry.rotating = False
    stage.stagger(publication, {DE_KNOT.name: 8.0, DE_BIND.name: 20.0})
    version = registry.bump(refresh=refreshed_in_roll(world.de.signable()))
    stage.good_serial = version.serial
    stage.note(version, "de.", "repaired", "signed anew by the published key of that tag")

    if course.renew:
        await stage.until(course.repair + FLUSH)
        for resolver, order in course.renew:
            await stage.operate(resolver.name, *order)
    await stage.until(course.anchor_gone)
    await stage.mitigate(course.mitigated.name, f"{ANCHOR}-removed", course.remove)
    await stage.until(course.end)


LONG = Course(
    prepublish=20.0,
    roll=65.0,
    anchor=140.0,
    repair=180.0,
    anchor_gone=285.0,
    end=315.0,
    late=(8.0, 41.0),
    mitigated=MITIGATED,
    install=(("insecure_add", "de."), ("flush_zone", "de.")),
    remove=("insecure_remove", "de."),
)
SHORT = Course(
    prepublish=10.0,
    roll=35.0,
    anchor=82.0,
    repair=95.0,
    anchor_gone=124.0,
    end=134.0,
    late=(8.0, 25.0),
    mitigated=RECURSOR,
    install=(("add-nta", "de", "three keys"), ("wipe-cache", "de$")),
    remove=("clear-nta", "de"),
    renew=((topology.VALIDATING, ("flush_zone", "de.")), (topology.BIND, ("flushtree", "de"))),
)
INCIDENT = Incident(
    name="de-2026",
    headline="The .de outage of 5 May 2026: one key tag, three key pairs, one published",
    expected="incident",
    phases=LONG.phases(),
    script=LONG.script(),
)
SIDE_BY_SIDE = Incident(
    name="de-2026-resolvers",
    headline="The .de outage of 5 May 2026 before Unbound, BIND, Recursor and Knot Resolver",
    expected="incident",
    phases=SHORT.phases(),
    script=SHORT.script(),
    resolvers=topology.SIDE_BY_SIDE,
)
