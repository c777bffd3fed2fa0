"""What the user of a run may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from forensics.errors import UsageError

PORTS: Final = 2**16
"""Ports of UDP and TCP are below this."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may choose; the same options and inputs give the same octets.

    Attributes:
        trust_anchors: files of DS or DNSKEY records, or IANA's root-anchors.xml; none: the root's
            built-in anchors.
        keys: files and folders of keys from elsewhere (keyring.archive).
        ports: ports that carry DNS besides 53.
        servers, resolvers: addresses whose role the user knows.
        start, end: ns since 1970; what lies outside [start, end) is left out.
        zone: lower case or not; only this zone, those below it, and the chain above it.
        policy: name of the validator whose clock rules are used.
        timezone: IANA name of a time zone whose times stand beside UTC in the page; None: UTC only.
        resolver_logs: log files of resolvers (Unbound, BIND, PowerDNS Recursor, Knot Resolver).
        log_timezone: IANA name of the zone of log lines that name none; None: UTC.
        clock_offsets: path of a capture, and the ns to add to its times.
        baseline: a former report, its folder or report.json, that this one is held against.
        tls_keylogs: files of secrets (SSLKEYLOGFILE) that open DNS over TLS.
        anonymize: file of the key by which clients' addresses are replaced; None: they stay.
        anonymize_names: private zones; names below them are replaced by the same key.
    """

    trust_anchors: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset()
    servers: frozenset[str] = frozenset()
    resolvers: frozenset[str] = frozenset()
    start: int | None = None
    end: int | None = None
    zone: str | None = None
    policy: str = "strict"
    timezone: str | None = None
    anonymize: str | None = None
    keys: tuple[str, ...] = ()
    resolver_logs: tuple[str, ...] = ()
    log_timezone: str | None = None
    clock_offsets: tuple[tuple[str, int], ...] = ()
    baseline: str | None = None
    tls_keylogs: tuple[str, ...] = ()
    anonymize_names: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """Give the options as report.json and the manifest state them."""
        from forensics.timeline.moments import rfc3339

        return {
            "trust_anchors": list(self.trust_anchors) or "built-in",
            "ports": sorted(self.ports),
            "servers": sorted(self.servers),
            "resolvers": sorted(self.resolvers),
            "from": None if self.start is None else rfc3339(self.start),
            "to": None if self.end is None else rfc3339(self.end),
            "zone": self.zone,
            "policy": self.policy,
            **({"keys": list(self.keys)} if self.keys else {}),
            **({"timezone": self.timezone} if self.timezone else {}),
            **({"anonymize": self.anonymize} if self.anonymize else {}),
            **({"anonymize_names": list(self.anonymize_names)} if self.anonymize_names else {}),
            **({"baseline": self.baseline} if self.baseline else {}),
            **({"resolver_logs": list(self.resolver_logs)} if self.resolver_logs else {}),
            **({"log_timezone": self.log_timezone} if self.log_timezone else {}),
            **({"clock_offsets": dict(self.clock_offsets)} if self.clock_offsets else {}),
            **({"tls_keylogs": list(self.tls_keylogs)} if self.tls_keylogs else {}),
        }

    @classmethod
    def read(cls, told: dict[str, Any]) -> Options:
        """Give back the options that `told` told.

        Raises:
            UsageError: they are not such.
        """
        anchors = told.get("trust_anchors")
        try:
            options = cls(
                trust_anchors=() if anchors == "built-in" else tuple(map(str, anchors or ())),
                ports=frozenset(int(port) for port in told.get("ports") or ()),
                servers=frozenset(map(str, told.get("servers") or ())),
                resolvers=frozenset(map(str, told.get("resolvers") or ())),
                start=_instant(told.get("from")),
                end=_instant(told.get("to")),
                zone=told.get("zone"),
                policy=str(told.get("policy", "strict")),
                keys=tuple(told.get("keys", ())),
                timezone=told.get("timezone"),
                anonymize=told.get("anonymize"),
                baseline=told.get("baseline"),
                anonymize_names=tuple(map(str, told.get("anonymize_names") or ())),
                resolver_logs=tuple(map(str, told.get("resolver_logs") or ())),
                log_timezone=told.get("log_timezone"),
                tls_keylogs=tuple(map(str, told.get("tls_keylogs") or ())),
                clock_offsets=tuple(
                    (str(path), int(ns)) for path, ns in told.get("clock_offsets", {}).items()
                ),
            )
        except (TypeError, ValueError, AttributeError):
            raise UsageError("the options in the manifest cannot be read") from None
        options.check()
        return options

    def check(self) -> None:
        """Refuse options that no run could obey, before any work is done.

        Raises:
            UsageError: names the option, what was given, and what can be.
        """
        import ipaddress

        from forensics.scope import Scope
        from forensics.validation.policy import POLICIES

        Scope(self.zone, self.start, self.end)
        if self.policy not in POLICIES:
            known = ", ".join(POLICIES)
            raise UsageError(f"--policy {self.policy}: no such policy; there are {known}")
        if self.anonymize_names and self.anonymize is None:
            raise UsageError("--anonymize-names needs the key of --anonymize KEYFILE")
        for name in self.anonymize_names:
            if not name.strip("."):
                raise UsageError("--anonymize-names: name a private zone, not the root")
        _check_timezone("--timezone", self.timezone)
        _check_timezone("--log-timezone", self.log_timezone)
        for port in sorted(self.ports):
            if not 0 < port < PORTS:
                raise UsageError(f"--port {port}: ports are 1 to {PORTS - 1}")
        for option, addresses in (("--server", self.servers), ("--resolver", self.resolvers)):
            for address in sorted(addresses):
                try:
                    ipaddress.ip_address(address)
                except ValueError:
                    raise UsageError(f"{option} {address}: not an IP address") from None


def _check_timezone(option: str, name: str | None) -> None:
    """Refuse a time zone that this machine does not know.

    Raises:
        UsageError: no such zone.
    """
    if name is None:
        return
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise UsageError(
            f"{option} {name}: no such time zone; write it like Europe/Berlin"
        ) from None


def _instant(text: Any) -> int | None:
    """Read a time as `told` wrote it."""
    from forensics.report.times import parse

    time = parse(text)
    if text is not None and time is None:
        raise ValueError(text)
    return time
