"""gov-2013, shared-operator, de-2010, dnskey-too-large: an operator's act on whole zones."""

from labkit.incidents.steps import ZONE_SIGNED
from labkit.lab import Lab, filter_packets
from labkit.plan import Plan, Truth, ZonePlan

TEN = ("audio.", "black.", "blue.", "bold.", "cafe.", "coop.", "dance.", "earth.", "farm.", "gold.")
BREAK, REPAIR, END = 14.0, 40.0, 60.0


async def algorithm_in_one_go(lab: Lab) -> None:
    """Sign with a new algorithm alone, drop the old keys, and change the DS last."""
    zone, parent = lab.zone, lab.parent
    lab.keep(zone, *zone.keys)
    (ksk,), (zsk,) = zone.ksks, zone.zsks
    new_ksk, new_zsk = lab.key("gov-ksk-13", "ksk", 13), lab.key("gov-zsk-13", "zsk", 13)
    await lab.at(BREAK)
    zone.zsks = [new_zsk]
    zone.publish_keys(ksk, zsk, new_ksk, new_zsk, signers=[ksk, new_ksk])
    zone.resign(*ZONE_SIGNED)
    lab.phase("algorithm-incomplete")
    detail = "keys of algorithms 8 and 13; the zone is signed by 13 alone, the DS is of 8"
    lab.publish(zone, "signer-changed", detail)  # bad for the strict alone (RFC 6840 5.11)
    await lab.at(BREAK + 14)
    zone.publish_keys(new_ksk, new_zsk, signers=[new_ksk])
    lab.phase("ds-mismatch")
    lab.publish(zone, "key-withdrawn", "keys of algorithm 13 alone, the DS is of 8", "change")
    await lab.at(REPAIR + 4)
    parent.put_ds_of(zone, new_ksk)
    lab.phase("")
    lab.publish(parent, "repaired", "the DS is of algorithm 13", "repair")
    await lab.at(REPAIR + 9)
    await lab.flush("gov")
    await lab.at(END + 4)


async def unknown_keys(lab: Lab) -> None:
    """Let the provider of ten zones sign all of them with keys that nobody published."""
    old = {}
    await lab.at(BREAK)
    lab.phase("dnskey-missing")
    for zone in lab.zones:
        lab.keep(zone, *zone.keys)
        old[zone.plan.origin] = zone.zsks
        label = f"{zone.plan.origin}unknown"
        from labkit.keys import make

        unknown = make(13, label, "zsk")
        lab.keep(zone, unknown, hidden=True)
        zone.zsks = [unknown]
        zone.resign(*ZONE_SIGNED)
        lab.publish(zone, "signer-changed", f"signed by {unknown.tag}, not published", "change")
    await lab.at(REPAIR)
    lab.phase("")
    for zone in lab.zones:
        zone.zsks = old[zone.plan.origin]
        zone.resign(*ZONE_SIGNED)
        lab.publish(zone, "repaired", "signed by its published ZSK", "repair")
    await lab.at(REPAIR + 5)
    for name in TEN:
        await lab.flush(name.rstrip("."))
    await lab.at(END)


async def truncated(lab: Lab) -> None:
    """Give two of three servers a zone that ends in the middle."""
    zone = lab.zone
    whole = dict(zone.zone.rrsets)
    gone = [dns_name for dns_name, _ in whole if str(dns_name) in {f"{x}.de." for x in HALF}]
    await lab.at(BREAK)
    for key in [key for key in whole if key[0] in gone]:
        del zone.zone.rrsets[key]
    some = ("zone-knot2", "zone-bind3")
    lab.publish(zone, "truncated", "half the delegations are missing", "change", only=some)
    await lab.at(REPAIR)
    zone.zone.rrsets.update(whole)
    lab.publish(zone, "repaired", "all delegations are back", "repair")
    zone.out.release("zone-nsd1")
    await lab.at(END)


HALF = ("ulme", "weide", "zeder", "linde")


def no_tcp(_: Lab) -> None:
    """Block TCP and fragments on the way to and from the zone's servers, from the start."""
    filter_packets(
        "ip daddr 198.51.100.11-198.51.100.12 tcp dport 53 drop",
        "ip6 daddr 2001:db8:53::11-2001:db8:53::12 tcp dport 53 drop",
        "ip frag-off & 0x1fff != 0 drop",
        "exthdr frag exists drop",
    )


async def keys_too_large(lab: Lab) -> None:
    """Publish so many RSA keys that the DNSKEY RRset fits no UDP answer."""
    zone = lab.zone
    lab.keep(zone, *zone.keys)
    keys = list(zone.keys)
    more = [lab.key(f"new-{number}", "zsk", 8) for number in range(4)]
    await lab.at(BREAK)
    zone.publish_keys(*keys, *more)
    lab.phase("dnskey-unobtainable")
    lab.publish(zone, "key-published", "four RSA keys more: the answer needs TCP", "change")
    await lab.at(REPAIR)
    zone.publish_keys(*keys)
    lab.phase("")
    lab.publish(zone, "repaired", "the new keys are withdrawn", "repair")
    await lab.at(REPAIR + 5)
    await lab.flush("lk")
    await lab.at(END)


GOV = Plan(
    name="gov-2013",
    headline="The .gov outage of 14 August 2013: an algorithm roll that left the DS behind",
    truth=Truth(
        "incident",
        reason="algorithm-incomplete",
        also=("ds-mismatch",),
        ede=9,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(ZonePlan("gov.", ("nsd", "bind"), algorithm=8),),
    script=algorithm_in_one_go,
    phases=(
        (
            f"{BREAK:.0f} s: keys of algorithm 13 join those of 8; algorithm 13 alone signs the "
            "zone: only `resolver-1.lab`, which hardens against downgrades, fails"
        ),
        f"{BREAK + 14:.0f} s: the keys of algorithm 8 leave; the DS is still of algorithm 8",
        f"{REPAIR + 4:.0f} s: the DS is that of the new KSK",
        f"{END + 4:.0f} s: end. `resolver-1.lab` has `harden-algo-downgrade: yes`",
    ),
    options={"unbound": ("harden-algo-downgrade: yes",)},
    root_ttl=8,
)
SHARED = Plan(
    name="shared-operator",
    headline="Ten TLDs, 7 January 2016: their one provider signs all of them with unknown keys",
    truth=Truth(
        "incident",
        reason="dnskey-missing",
        ede=9,
        severity="outage",
        patterns=("every-server", "shared-operator"),
    ),
    zones=tuple(
        ZonePlan(name, ("nsd", "knot"), signed=("amsel",), unsigned=("tanne",)) for name in TEN
    ),
    script=unknown_keys,
    phases=(
        f"{BREAK:.0f} s: ten zones behind the same servers are signed by keys never published",
        f"{REPAIR:.0f} s: by their published keys again",
        f"{END:.0f} s: end",
    ),
    serial_interval=1000.0,
)
DE = Plan(
    name="de-2010",
    headline="The .de outage of 12 May 2010: a truncated zone at most servers. Not DNSSEC",
    truth=Truth("no incident", triage="name-error"),
    zones=(
        ZonePlan(
            "de.",
            ("nsd", "knot", "bind"),
            signed=(),
            unsigned=("ahorn", "birke", "tanne", "fichte", *HALF),
            is_signed=False,
        ),
    ),
    script=truncated,
    phases=(
        f"{BREAK:.0f} s: Knot and BIND serve half of the (unsigned) zone, NSD the whole",
        f"{REPAIR:.0f} s: all serve the whole zone",
        f"{END:.0f} s: end",
    ),
)
LARGE = Plan(
    name="dnskey-too-large",
    headline="A DNSKEY RRset that grew in a roll and never arrives: no fragments, no TCP",
    truth=Truth(
        "incident",
        reason="dnskey-unobtainable",
        ede=22,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(ZonePlan("lk.", ("nsd", "bind"), algorithm=8),),
    prepare=no_tcp,
    script=keys_too_large,
    phases=(
        "0 s: TCP to the zone's servers, and every fragment but the first, are dropped",
        f"{BREAK:.0f} s: four RSA keys join the DNSKEY RRset: more than 1232 octets",
        f"{REPAIR:.0f} s: they leave",
        f"{END:.0f} s: end. `resolver-1.lab` asks with 4096 octets and gets first fragments",
    ),
    options={"unbound": ("edns-buffer-size: 4096",)},
)
PLANS = (GOV, SHARED, DE, LARGE)
