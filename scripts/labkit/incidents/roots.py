"""1111-2023, c-root-2024, root-ksk-roll, rfc5011-roll: what happens at the top of the tree."""

import asyncio
import contextlib
import re
import time

import dns.asyncquery
import dns.dnssec
import dns.exception
import dns.flags
import dns.message
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from labkit import places
from labkit.incidents.steps import HOUR, NO_SKEW, now
from labkit.keys import SigningKey, make
from labkit.lab import SECOND, Lab
from labkit.plan import Plan, Truth, ZonePlan
from labkit.topology import ROOT_SERVERS

ORG = ZonePlan("org.", ("nsd", "knot"))
LEAD = 28  # seconds from making the root to the end of the stuck copy's signatures
REVOKE = 0x80


def stick(lab: Lab) -> None:
    """Give one resolver a copy of the root that runs out soon, while the root itself moves on."""
    root, ends = lab.root, now() + LEAD
    root.zone.window = (ends - 14 * 24 * HOUR, ends)
    root.resign()
    lab.files["unbound", "root.zone"] = root.zone.to_text()
    root.zone.window = None
    root.zone.set_soa(root.zone.serial + 5)
    root.resign()
    lab.notes["expiration"] = ends


async def diagnose(resolver: str, name: str, rdtype: str) -> None:
    """Ask a resolver with CD and DO, again and again, as an operator who looks for the cause."""
    address = places.RESOLVERS[resolver].addresses[0]
    while True:
        query = dns.message.make_query(name, rdtype, want_dnssec=True)
        query.flags |= dns.flags.CD
        with contextlib.suppress(dns.exception.DNSException, OSError):
            await dns.asyncquery.udp(query, address, timeout=2.0, source=places.MONITOR[0])
        await asyncio.sleep(4.0)


async def stuck_copy(lab: Lab) -> None:
    """Let the local copy of one resolver run out, then give it a fresh one."""
    ends = int(lab.notes["expiration"])
    for name, rdtype in (("org.", "DS"), (".", "SOA")):
        lab.in_background(asyncio.create_task(diagnose("unbound", name, rdtype)))
    await lab.at(lab.elapsed + ends - now() + 1)
    lab.phases.append((ends * SECOND, "signature-expired"))
    detail = "the copy of the root in resolver-1.lab has run out; the root servers are sound"
    lab.record("copy-ran-out", lab.root, detail, "change", at=(ends + 1) * SECOND, servers=())
    await lab.at(46)
    folder = lab.resolvers["unbound"].folder
    (folder / "root.zone").write_text(lab.root.zone.to_text())
    await lab.operate("unbound", ("auth_zone_reload", "."))
    await lab.operate("unbound", ("flush_zone", "."))
    lab.phase("")
    lab.record("copy-renewed", lab.root, "resolver-1.lab loads the root anew", "repair", servers=())
    await lab.at(64)


async def one_letter_stale(lab: Lab) -> None:
    """Let one root server miss every serial for most of the recording."""
    root, stale = lab.root, ROOT_SERVERS[1].name
    await lab.at(8)
    lab.publish(
        root, "serial", f"from here on {stale} gets no new serial", "change", only=("root-a",)
    )
    for moment in range(14, 50, 6):
        await lab.at(moment)
        root.resign()
        lab.publish(root, "serial", "the root is signed anew")
    await lab.at(50)
    root.out.release(stale)
    lab.record("caught-up", root, f"{stale} has the newest serial", "repair", servers=(stale,))
    await lab.at(60)


def two_anchors(lab: Lab) -> None:
    """Make the root's next KSK, which every resolver trusts already."""
    root = lab.root
    new = make(root.plan.algorithm, "root-ksk-new", "ksk")
    lab.keep(root, *root.keys, new)
    lab.world.anchors = [*root.ksks, new]


async def roll_root(lab: Lab) -> None:
    """Publish the new KSK, wait, sign with it, wait, withdraw the old one."""
    root, new = lab.root, lab.made["."][-1]
    (old,), (zsk,) = root.ksks, root.zsks
    await lab.at(6)
    root.publish_keys(old, new, zsk)
    lab.publish(root, "key-published", f"KSK {new.tag} joins; {old.tag} signs")
    await lab.at(24)
    root.publish_keys(old, new, zsk, signers=[new])
    lab.publish(root, "signer-changed", f"KSK {new.tag} signs the DNSKEY RRset")
    await lab.at(42)
    root.publish_keys(new, zsk)
    lab.publish(root, "key-withdrawn", f"KSK {old.tag} leaves")
    await lab.at(58)


def managed(lab: Lab) -> None:
    """Hand Unbound and Knot Resolver the file in which each follows the anchor by itself."""
    lab.keep(lab.root, *lab.root.keys)
    lab.files["unbound", "auto.key"] = lab.world.anchor_text()
    lab.files["kresd", "root.keys"] = lab.world.anchor_text()


async def follow(lab: Lab) -> None:
    """Publish a new KSK, wait for the hold-down, revoke the old one, withdraw it."""
    root = lab.root
    (old,), (zsk,) = root.ksks, root.zsks
    new = make(root.plan.algorithm, "root-ksk-new", "ksk")
    lab.keep(root, new)
    await lab.at(5)
    root.publish_keys(old, new, zsk, signers=[old, new])
    lab.publish(root, "key-published", f"KSK {new.tag} joins {old.tag}; both sign")
    await lab.at(34)
    dead = old.dnskey.replace(flags=old.dnskey.flags | REVOKE)
    assert isinstance(dead, DNSKEY)
    revoked = SigningKey("root-ksk-revoked", "ksk", old.private, dead)
    lab.keep(root, revoked)
    root.publish_keys(revoked, new, zsk, signers=[revoked, new])
    lab.publish(root, "key-revoked", f"KSK {old.tag} is revoked, now {revoked.tag}")
    await lab.at(52)
    root.publish_keys(new, zsk, signers=[new])
    lab.publish(root, "key-withdrawn", f"KSK {revoked.tag} leaves")
    await lab.at(66)
    lab.notes["unbound_anchors"] = _states(lab, "unbound", "auto.key", r";;state=(.*?) ;;")
    lab.notes["kresd_anchors"] = _states(lab, "kresd", "root.keys", r"; (\w+):\d* ; KeyTag")


def _states(lab: Lab, resolver: str, file: str, pattern: str) -> str:
    """Return the states that a resolver has its anchors in, to show that it followed."""
    text = (lab.resolvers[resolver].folder / file).read_text()
    states = re.findall(pattern, text)
    print(f"{time.time_ns()}: {resolver} {states}")
    return ", ".join(states)


STUCK = Plan(
    name="1111-2023",
    headline="1.1.1.1, 4 October 2023: a resolver's own copy of the root is stuck and runs out",
    truth=Truth(
        "incident",
        zone=".",
        reason="signature-expired",
        ede=7,
        severity="partial",
        view="resolver",
        patterns=("resolver-local",),
    ),
    zones=(ORG,),
    prepare=stick,
    script=stuck_copy,
    phases=(
        (
            f"about {LEAD - 6} s: the signatures in the copy of the root in `resolver-1.lab` run "
            "out; root servers and every other resolver are sound. From the start an operator asks "
            "that resolver for DS org. and SOA . with CD and DO every 4 s"
        ),
        "46 s: that resolver loads a fresh copy",
        "64 s: end",
    ),
    options={
        "unbound": (
            *NO_SKEW,
            "auth-zone auth-zone:",
            'auth-zone   name: "."',
            'auth-zone   zonefile: "FOLDER/root.zone"',
            "auth-zone   for-upstream: yes",
            "auth-zone   for-downstream: no",
            "auth-zone   fallback-enabled: no",
        )
    },
    root_ttl=8,
)
STALE = Plan(
    name="c-root-2024",
    headline="C-root, May 2024: one root server serves an old zone whose data are still valid",
    truth=Truth("near-miss", zone=".", severity="near-miss", patterns=("server-divergence",)),
    zones=(ORG,),
    script=one_letter_stale,
    phases=(
        "8 s: from here on the second root server gets no new serial",
        "14 s to 44 s: the root is signed anew with a new serial every 6 s",
        "50 s: the second root server catches up",
        "60 s: end",
    ),
    root_ttl=8,
)
ROLL = Plan(
    name="root-ksk-roll",
    headline="A root KSK roll done right: every resolver trusts both keys from the start",
    truth=Truth("no incident"),
    zones=(ORG,),
    prepare=two_anchors,
    script=roll_root,
    phases=(
        "6 s: the new KSK joins the root's DNSKEY RRset; the old one signs",
        "24 s: the new KSK signs",
        "42 s: the old KSK leaves",
        "58 s: end. Each wait is longer than every TTL (8 s)",
    ),
    resolvers=("unbound", "bind", "recursor", "kresd", "plain"),
    root_ttl=8,
)
RFC5011 = Plan(
    name="rfc5011-roll",
    headline="A roll of the trust anchor that resolvers follow by themselves (RFC 5011)",
    truth=Truth("no incident"),
    zones=(ORG,),
    prepare=managed,
    script=follow,
    phases=(
        "5 s: a new KSK joins the root's DNSKEY RRset; old and new sign it",
        "34 s: the old KSK is revoked and signs its revocation; the new one signs too",
        "52 s: the revoked KSK leaves",
        (
            "66 s: end. Hold-down times are seconds: Unbound `add-holddown: 8`, BIND "
            "`-T mkeytimers`, Knot Resolver `ta_update.hold_down_time`. PowerDNS Recursor does not "
            "follow anchors, so it is not here"
        ),
    ),
    resolvers=("unbound", "bind", "kresd", "plain"),
    options={
        "unbound": (
            'auto-trust-anchor-file: "FOLDER/auto.key"',
            "add-holddown: 8",
            "del-holddown: 8",
            "permit-small-holddown: yes",
        ),
        "bind": ("managed",),
        "kresd": ("managed",),
    },
    root_ttl=8,
)
PLANS = (STUCK, STALE, ROLL, RFC5011)
