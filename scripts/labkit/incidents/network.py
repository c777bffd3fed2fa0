"""Trouble that is not DNSSEC: no signatures, loss, a dead server, forgeries, wrong clocks."""

import asyncio

from labkit.forger import Forger
from labkit.lab import Lab, filter_packets
from labkit.plan import Plan, Truth, ZonePlan

ZONE = ZonePlan("ee.", ("nsd", "knot", "bind"))
TRUTH = Truth("no incident")
ALL = ("unbound", "bind", "recursor", "kresd", "plain")


async def quiet(lab: Lab) -> None:
    """Let the clients ask, and publish a few serials."""
    await lab.at(10)
    lab.publish(lab.zone, "serial", "nothing happens but new serials")
    await lab.at(45)


async def loss(lab: Lab) -> None:
    """Drop every eighth packet of DNS for half a minute."""
    await lab.at(10)
    filter_packets("udp sport 53 numgen random mod 100 < 12 drop")
    lab.record("loss", lab.zone, "12 of 100 responses are lost on their way", servers=())
    await lab.at(42)
    filter_packets()
    lab.record("no-loss", lab.zone, "every packet arrives again", servers=())
    await lab.at(52)


async def dead(lab: Lab) -> None:
    """Let one of three servers fall silent, and come back."""
    zone = lab.zone
    victim = lab.world.servers[zone.plan.origin][2]
    four, six = victim.addresses[:2]
    await lab.at(12)
    filter_packets(f"ip daddr {four} drop", f"ip6 daddr {six} drop")
    lab.record("server-dead", zone, f"{victim.name} hears nothing", servers=(victim.name,))
    await lab.at(40)
    filter_packets()
    lab.record("server-back", zone, f"{victim.name} answers again", servers=(victim.name,))
    await lab.at(52)


async def forge(lab: Lab) -> None:
    """Send forged answers: many with guessed ids, some in place of the true one."""
    zone = lab.zone
    victim = lab.world.servers[zone.plan.origin][2].addresses[0]
    await lab.at(10)
    # The answers of one server are jammed now and then, so that a forgery comes first.
    filter_packets(
        f"meta mark != {Forger.MARK} ip saddr {victim} udp sport 53 numgen random mod 3 == 0 drop"
    )
    forger = Forger("198.51.100.", frozenset({victim}))
    lab.in_background(asyncio.create_task(forger.run()))
    lab.record("forgery", zone, "forged answers race the true ones", servers=())
    await lab.at(42)
    forger.stop()
    filter_packets()
    lab.notes["forged"] = forger.sent
    lab.record("forgery-ended", zone, f"{forger.sent} forged answers were sent", servers=())
    await lab.at(50)


UNSIGNED = Plan(
    name="unsigned-world",
    headline="A world without a single signature, root included",
    truth=TRUTH,
    zones=(ZonePlan("cu.", ("nsd", "bind"), is_signed=False, hosts=("www", "mail")),),
    script=quiet,
    phases=(
        (
            "0 s: nothing is signed; the validating resolvers hold no trust anchor (that of "
            "`trust-anchor.ds` is of a key that signs nothing)"
        ),
        "45 s: end",
    ),
    resolvers=("unbound", "bind", "recursor", "kresd", "plain", "plain-2"),
    options={"unsigned-world": ()},
)
LOSS = Plan(
    name="packet-loss",
    headline="Packets are lost: timeouts, retries, no incident",
    truth=Truth("no incident", triage="timeout"),
    zones=(ZONE,),
    script=loss,
    phases=(
        "10 s: 12 of 100 UDP responses (of servers and resolvers) are dropped behind the recorder",
        "42 s: none any more",
        "52 s: end",
    ),
    resolvers=ALL,
)
DEAD = Plan(
    name="dead-server",
    headline="One of three name servers falls silent",
    truth=Truth("no incident", triage="timeout"),
    zones=(ZONE,),
    script=dead,
    phases=("12 s: the BIND of ee. hears nothing", "40 s: it is back", "52 s: end"),
    resolvers=ALL,
)
SPOOF = Plan(
    name="spoofing",
    headline="Forged answers race the true ones; validators discard them",
    truth=TRUTH,
    zones=(ZONE,),
    script=forge,
    phases=(
        (
            "10 s: each query to a server of ee. draws three forged answers with guessed ids from "
            "that server's address; at one server also one with the right id and no signature, "
            "while a third of the true answers are jammed"
        ),
        "42 s: it stops",
        "50 s: end",
    ),
    resolvers=("unbound", "bind", "recursor", "plain"),
)
BEHIND = Plan(
    name="clock-behind",
    headline="One resolver's clock is two days behind: to it alone, nothing is valid yet",
    truth=Truth("no incident", findings=("clock-resolver",)),
    zones=(ZONE,),
    script=quiet,
    phases=(
        "0 s: the clock of `resolver-3.lab` (its log and its dnstap, too) is two days behind",
        "45 s: end",
    ),
    options={"recursor": ("clock -2d",)},
)
AHEAD = Plan(
    name="clock-ahead",
    headline="One resolver's clock is a year ahead: to it alone, everything has expired",
    truth=Truth("no incident", findings=("clock-resolver",)),
    zones=(ZONE,),
    script=quiet,
    phases=(
        "0 s: `resolver-1.lab` validates as if it were a year later (`val-override-date`)",
        "45 s: end",
    ),
    options={"unbound": ("val-override-date: 20271124120000",)},
)
PLANS = (UNSIGNED, LOSS, DEAD, SPOOF, BEHIND, AHEAD)
