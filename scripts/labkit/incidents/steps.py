"""What several incidents share: the types that a ZSK signs anew, and times of signatures."""

import time

from dns.rdatatype import RdataType

from labkit.live import LiveZone

ZONE_SIGNED = (
    RdataType.SOA,
    RdataType.NS,
    RdataType.A,
    RdataType.AAAA,
    RdataType.DS,
    RdataType.NSEC,
    RdataType.NSEC3,
    RdataType.NSEC3PARAM,
)
HOUR = 3600
# Unbound takes signatures for an hour longer at least; an outage of half a minute would pass by it.
NO_SKEW = ("val-sig-skew-min: 0", "val-sig-skew-max: 0")


def expire(live: LiveZone, at: int) -> None:
    """Sign the zone so that all of it but the DNSKEY RRset runs out at an instant (seconds)."""
    live.zone.window = (at - 24 * HOUR, at)
    live.resign(*ZONE_SIGNED)


def sign_for_a_day(live: LiveZone) -> None:
    """Sign the zone anew with a usual lifetime."""
    live.zone.window = None
    live.resign()


def now() -> int:
    """Return the time in whole seconds since 1970."""
    return time.time_ns() // 10**9
