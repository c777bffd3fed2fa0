"""arin-2019, mm-2016: nobody signs a zone again, and its signatures run out on every server."""

from labkit.incidents.steps import HOUR, NO_SKEW, ZONE_SIGNED, now
from labkit.lab import SECOND, Lab
from labkit.plan import Plan, Truth, ZonePlan

LEAD = 26  # seconds from making the zone to the end of its signatures; servers start in a few
REPAIR, END = 48.0, 64.0


def prepare(lab: Lab) -> None:
    """Sign the zone so that all of it but the DNSKEY RRset runs out soon."""
    zone = lab.zone
    ends = now() + LEAD
    zone.zone.window = (ends - 24 * 30 * HOUR, ends)
    zone.resign(*ZONE_SIGNED)
    lab.notes["expiration"] = ends
    lab.keep(zone, *zone.keys)


async def script(lab: Lab) -> None:
    """Wait until the signatures have run out, and sign anew."""
    zone, ends = lab.zone, int(lab.notes["expiration"])
    await lab.at(lab.elapsed + ends - now() + 1)
    lab.phases.append((ends * SECOND, "signature-expired"))
    lab.record(
        "signatures-ran-out", zone, "nobody had signed again", "change", at=(ends + 1) * SECOND
    )

    await lab.at(REPAIR)
    zone.zone.window = None
    zone.resign(*ZONE_SIGNED)
    lab.phase("")
    lab.publish(zone, "repaired", "all is signed anew by the same ZSK", "repair")

    await lab.at(REPAIR + 5)
    await lab.flush(zone.plan.origin.rstrip("."))
    await lab.at(END)


TRUTH = Truth(
    "incident",
    reason="signature-expired",
    ede=7,
    severity="outage",
    patterns=("every-server",),
)
PHASES = (
    f"about {LEAD - 5} s: the signatures of all but the DNSKEY RRset run out, on every server",
    f"{REPAIR:.0f} s: the zone is signed anew by the same keys, with a new serial",
    f"{END:.0f} s: end. Until the repair the serial stays the same",
)
ARIN = Plan(
    name="arin-2019",
    headline="arin.net, 2019: signatures run out while the serial is equal everywhere",
    truth=TRUTH,
    zones=(
        ZonePlan(
            "arin.net.",
            ("nsd", "pdns", "bind"),
            chain="nsec",
            hosts=("www", "rdap", "whois"),
            signed=("amsel",),
            unsigned=("tanne", "ulme"),
        ),
    ),
    prepare=prepare,
    script=script,
    phases=PHASES,
    resolvers=("unbound", "bind", "recursor", "kresd", "plain"),
    options={"unbound": NO_SKEW},
    serial_interval=1000.0,
)
MM = Plan(
    name="mm-2016",
    headline="The .mm outage of 2016: signatures run out; one resolver serves stale answers",
    truth=TRUTH,
    zones=(ZonePlan("mm.", ("nsd", "knot")),),
    prepare=prepare,
    script=script,
    phases=(
        *PHASES,
        (
            "`resolver-6.lab` is an Unbound with `serve-expired: yes`; `resolver-1.lab` has "
            "Unbound's own skew of an hour and fails nobody so soon"
        ),
    ),
    resolvers=("unbound", "bind", "recursor", "unbound-2", "plain"),
    options={
        "unbound-2": (
            *NO_SKEW,
            "serve-expired: yes",
            "ede-serve-expired: yes",
            "serve-expired-client-timeout: 1800",
        )
    },
    serial_interval=1000.0,
)
PLANS = (ARIN, MM)
