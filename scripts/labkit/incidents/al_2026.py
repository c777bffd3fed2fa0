"""al-2026: a DS that matches no DNSKEY, then no DNSKEY at all, then no DS; EDE 33 at a resolver."""

from labkit.lab import Lab
from labkit.plan import Plan, Truth, ZonePlan

MISMATCH, ABSENT, ANCHOR, REMOVED, END = 14.0, 28.0, 34.0, 44.0, 64.0


async def script(lab: Lab) -> None:
    """Break the link, take the zone's own half of it away, then the parent's half."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    stranger = lab.key("stranger", "ksk", hidden=True)
    await lab.at(MISMATCH)
    parent.put_ds_of(zone, stranger)
    lab.phase("ds-mismatch")
    lab.publish(parent, "ds-changed", f"DS names {stranger.tag}, which al. has not", "change")

    await lab.at(ABSENT)
    zone.go_insecure()
    lab.phase("dnskey-absent")
    lab.publish(zone, "unsigned", "al. has no DNSKEY and no signature any more", "change")

    await lab.at(ANCHOR)
    await lab.mitigate(
        "unbound-2", "negative-trust-anchor", ("insecure_add", "al."), ("flush_zone", "al.")
    )
    await lab.mitigate("front", "negative-trust-anchor", ("mark", "al."))

    await lab.at(REMOVED)
    parent.put_ds(zone.origin)
    lab.phase("")
    lab.publish(parent, "ds-removed", "al. is an unsigned delegation", "repair")
    await lab.at(REMOVED + 5)
    await lab.flush("al")
    await lab.at(END)


PLAN = Plan(
    name="al-2026",
    headline="The .al outage of 3 July 2026: wrong DS, then no DNSKEY, then no DS",
    truth=Truth(
        "incident",
        reason="ds-mismatch",
        also=("dnskey-absent",),
        ede=9,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(ZonePlan("al.", ("nsd", "bind")),),
    script=script,
    phases=(
        f"{MISMATCH:.0f} s: the root's DS names a key that al. does not have",
        f"{ABSENT:.0f} s: al. withdraws DNSKEY, signatures and denial",
        (
            f"{ANCHOR:.0f} s: negative trust anchor at `resolver-6.lab`; the relay before it, "
            "`resolver-7.lab`, says EDE 33 from then on (no resolver of Debian 12 does by itself)"
        ),
        f"{REMOVED:.0f} s: the root withdraws the DS",
        f"{END:.0f} s: end",
    ),
    resolvers=("unbound", "bind", "unbound-2", "front", "recursor", "plain"),
    root_ttl=8,
)
