"""red-2014, ripe-2011, slack-2021, se-2022: the zone's own records are wrong, the keys right."""

from dataclasses import replace

import dns.name
import dns.rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.RRSIG import RRSIG

from labkit.incidents.steps import ZONE_SIGNED
from labkit.lab import Lab
from labkit.live import LiveZone
from labkit.plan import Plan, Truth, ZonePlan

BREAK, REPAIR, END = 16.0, 40.0, 60.0


async def signatures_gone(lab: Lab) -> None:
    """Serve the zone without its signatures, the DNSKEY RRset's apart, DS in place."""
    zone = lab.zone
    lab.keep(zone, *zone.keys)
    await lab.at(BREAK)
    zone.unsign(*ZONE_SIGNED)
    zone.unsigned_serials = True
    lab.phase("rrsig-missing")
    lab.publish(zone, "signatures-lost", "only the DNSKEY RRset is signed", "change")
    await lab.at(REPAIR)
    zone.unsigned_serials = False
    zone.resign(*ZONE_SIGNED)
    lab.phase("")
    lab.publish(zone, "repaired", "all is signed again", "repair")
    await lab.at(REPAIR + 5)
    await lab.flush("red")
    await lab.at(END)


async def signed_by_zsk_alone(lab: Lab) -> None:
    """Sign the DNSKEY RRset by the ZSK alone: the key in the DS is published and does not sign."""
    zone = lab.zone
    lab.keep(zone, *zone.keys)
    (ksk,), (zsk,) = zone.ksks, zone.zsks
    await lab.at(BREAK)
    zone.publish_keys(ksk, zsk, signers=[zsk])
    lab.phase("dnskey-unsigned-by-ds-key")
    lab.publish(zone, "signer-changed", f"ZSK {zsk.tag} alone signs the DNSKEY RRset", "change")
    await lab.at(REPAIR)
    zone.publish_keys(ksk, zsk, signers=[ksk])
    lab.phase("")
    lab.publish(zone, "repaired", f"KSK {ksk.tag} signs the DNSKEY RRset", "repair")
    await lab.at(REPAIR + 5)
    await lab.flush("ripe.net")
    await lab.at(END)


def no_ipv6_at_wildcard(lab: Lab) -> None:
    """Take AAAA from the wildcard, so that a question for it gets the wildcard's NSEC."""
    zone = lab.zone
    del zone.zone.rrsets[dns.name.from_text("*.slack.com."), RdataType.AAAA]
    zone.rebuild_denial()


async def bitmap_without_a(lab: Lab) -> None:
    """Sign an NSEC at the wildcard whose bitmap omits A, which exists."""
    zone = lab.zone
    lab.keep(zone, *zone.keys)
    key = (dns.name.from_text("*.slack.com."), RdataType.NSEC)
    await lab.at(BREAK)
    right = zone.zone.rrsets[key]
    text = right[0].to_text().replace(" A ", " ")
    wrong = dns.rdata.from_text("IN", "NSEC", text)
    zone.zone.sign(zone.zone.put(key[0], right.ttl, [wrong]), *zone.zsks)
    lab.phase("denial-contradicted")
    lab.publish(zone, "bitmap-changed", f"NSEC of the wildcard is now: {text}", "change")
    await lab.at(REPAIR)
    zone.rebuild_denial()
    lab.phase("")
    lab.publish(zone, "repaired", "the bitmap holds A again", "repair")
    await lab.at(END)


def spoil_two(live: LiveZone) -> None:
    """Give two more DS or NSEC RRsets a signature that was made over other data."""
    zone = live.zone
    kinds = (RdataType.DS, RdataType.NSEC)
    keys = [key for key in sorted(zone.signatures) if key[1] in kinds]
    whole = [key for key in keys if key not in SPOILED]
    for key in whole[:2]:
        (made,) = zone.signatures[key]
        octets = bytes([made.rrsig.signature[0] ^ 1]) + made.rrsig.signature[1:]
        rrsig = made.rrsig.replace(signature=octets)
        assert isinstance(rrsig, RRSIG)
        wrong = replace(made, rrsig=rrsig)
        zone.signatures[key] = [wrong]
        SPOILED.append(key)


SPOILED: list[tuple[dns.name.Name, RdataType]] = []


async def some_signatures_wrong(lab: Lab) -> None:
    """Spoil two signatures more at each serial, then sign all anew."""
    zone = lab.zone
    lab.keep(zone, *zone.keys)
    await lab.at(BREAK)
    lab.before_bump = spoil_two
    spoil_two(zone)
    lab.phase("signature-invalid")
    lab.publish(zone, "signatures-spoiled", "two DS or NSEC more at each serial", "change")
    await lab.at(REPAIR + 8)
    lab.before_bump = None
    lab.notes["spoiled"] = len(SPOILED)
    zone.resign(*ZONE_SIGNED)
    lab.phase("")
    lab.publish(zone, "repaired", "all is signed anew", "repair")
    await lab.at(REPAIR + 13)
    await lab.flush("se")
    await lab.at(END + 8)


RED = Plan(
    name="red-2014",
    headline="The .red outage of 2014: no RRSIG with a DS in place",
    truth=Truth(
        "incident",
        reason="rrsig-missing",
        ede=10,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(ZonePlan("red.", ("nsd", "knot")),),
    script=signatures_gone,
    phases=(
        f"{BREAK:.0f} s: every signature but that of the DNSKEY RRset is gone",
        f"{REPAIR:.0f} s: all is signed again",
        f"{END:.0f} s: end",
    ),
)
RIPE = Plan(
    name="ripe-2011",
    headline="ripe.net, April 2011: the key in the DS does not sign the DNSKEY RRset",
    truth=Truth(
        "incident",
        reason="dnskey-unsigned-by-ds-key",
        ede=9,
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(
        ZonePlan(
            "ripe.net.",
            ("bind", "nsd"),
            algorithm=8,
            hosts=("www", "stat", "whois"),
            signed=("amsel",),
            unsigned=("tanne",),
        ),
    ),
    script=signed_by_zsk_alone,
    phases=(
        f"{BREAK:.0f} s: the DNSKEY RRset is signed by the ZSK alone",
        f"{REPAIR:.0f} s: by the KSK again",
        f"{END:.0f} s: end",
    ),
)
SLACK = Plan(
    name="slack-2021",
    headline="Slack, 30 September 2021: a signed NSEC at a wildcard omits a type that exists",
    truth=Truth(
        "incident",
        reason="denial-contradicted",
        severity="outage",
        patterns=("every-server",),
    ),
    zones=(
        ZonePlan(
            "slack.com.",
            ("nsd", "bind"),
            chain="nsec",
            hosts=("*", "*", "*", "www"),
            signed=(),
            unsigned=(),
        ),
    ),
    prepare=no_ipv6_at_wildcard,
    script=bitmap_without_a,
    phases=(
        f"{BREAK:.0f} s: the NSEC at *.slack.com. lists no A, though names below it have one",
        f"{REPAIR:.0f} s: the bitmap is right again",
        f"{END:.0f} s: end. `resolver-1.lab` uses `aggressive-nsec: yes`",
    ),
    options={"unbound": ("aggressive-nsec: yes",)},
)
SE = Plan(
    name="se-2022",
    headline="The .se incident of 4 February 2022: wrong signatures over ever more DS and NSEC",
    truth=Truth(
        "incident",
        reason="signature-invalid",
        ede=6,
        severity="partial",
        patterns=("every-server",),
    ),
    zones=(
        ZonePlan(
            "se.",
            ("nsd", "knot"),
            chain="nsec",
            signed=("amsel", "buche", "dachs", "eiche", "falke"),
        ),
    ),
    script=some_signatures_wrong,
    phases=(
        f"{BREAK:.0f} s: two DS or NSEC RRsets get a wrong signature, and two more at each serial",
        f"{REPAIR + 8:.0f} s: all is signed anew",
        f"{END + 8:.0f} s: end. A serial every 6 s",
    ),
    serial_interval=6.0,
)
PLANS = (RED, RIPE, SLACK, SE)
