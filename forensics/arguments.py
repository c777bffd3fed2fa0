"""The options that several commands share: their types with help, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from forensics import limits
from forensics.errors import UsageError
from forensics.options import Options

Captures = Annotated[
    list[str],
    typer.Argument(
        help="Capture files (pcap, pcapng, dnstap, C-DNS; compressed or not); - for standard input."
    ),
]
Anchor = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust-anchor",
        help="File of DS or DNSKEY records (zone-file lines), or IANA's root-anchors.xml; may be "
        "repeated. Unless given: the public root's own anchors.",
    ),
]
Keys = Annotated[
    list[Path] | None,
    typer.Option(
        "--keys",
        metavar="FILE|DIR",
        help="Keys from elsewhere, to try where the capture holds none: a zone file, a list of "
        "DNSKEY or DS records, BIND's K*.key files, or a former run; may be repeated.",
    ),
]
Port = Annotated[
    list[int] | None,
    typer.Option("--port", help="A port that carries DNS besides 53; may be repeated."),
]
Server = Annotated[
    list[str] | None,
    typer.Option("--server", help="This address is an authoritative server; may be repeated."),
]
Resolver = Annotated[
    list[str] | None,
    typer.Option("--resolver", help="This address is a resolver; may be repeated."),
]
ClockOffset = Annotated[
    list[str] | None,
    typer.Option(
        "--clock-offset",
        metavar="FILE=SECONDS",
        help="Add so many seconds (may be negative) to the times of a capture; may be repeated. "
        "Unless given: what the messages that both sensors saw say.",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Leave out what is earlier, such as 2026-05-05T19:30:00Z; UTC where no zone is given.",
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="Leave out this instant and what is later."),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone", metavar="NAME", help="Only this zone, what is below it, and the chain above it."
    ),
]
Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="Whose rules for the ends of signatures: strict (the RFC's, no skew), unbound, bind, "
        "knot or powerdns.",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write the report to.")]
Figures = Annotated[
    bool, typer.Option(help="Draw the figures of report.md (the page has its own).")
]
Csv = Annotated[
    bool,
    typer.Option(
        "--csv",
        help="Write each table as CSV beside its Parquet file, safe for spreadsheets. Not unless "
        "asked: of a long capture they take more room and time than all the rest.",
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="NAME",
        help="Show this time zone's times beside UTC in the page, such as Europe/Berlin.",
    ),
]
Anonymize = Annotated[
    Path | None,
    typer.Option(
        "--anonymize",
        metavar="KEYFILE",
        help="Replace the addresses of clients everywhere, prefixes kept (Crypto-PAn), by the key "
        "in this file: 32 octets or 64 hexadecimal digits.",
    ),
]
AnonymizeNames = Annotated[
    list[str] | None,
    typer.Option(
        "--anonymize-names",
        metavar="ZONE",
        help="Replace the labels of all names below this private zone too, by the same key; what "
        "was signed over them no longer verifies in tables and evidence. May be repeated.",
    ),
]
ResolverLog = Annotated[
    list[Path] | None,
    typer.Option(
        "--resolver-log",
        help="Log of a resolver (Unbound, BIND, PowerDNS Recursor, Knot Resolver; told by its "
        "content, compressed or not), held against the verdicts; may be repeated.",
    ),
]
LogTimezone = Annotated[
    str | None,
    typer.Option(
        "--log-timezone",
        metavar="NAME",
        help="Time zone of log lines that name none, such as Europe/Berlin; unless given: UTC.",
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="REPORT",
        help="Hold the report against a former one (its folder or report.json): before and after, "
        "two resolvers, two sites.",
    ),
]
TlsKeylog = Annotated[
    list[Path] | None,
    typer.Option(
        "--tls-keylog",
        metavar="FILE",
        help="Secrets that open DNS over TLS, as SSLKEYLOGFILE makes programs log them; may be "
        "repeated. A pcapng may bring its own.",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print report.json to standard output instead of the summary."),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 4 if some input was damaged or unreadable. What this version does not "
        "read (encrypted DNS, say) is no damage.",
    ),
]
ExitCode = Annotated[
    bool,
    typer.Option("--exit-code", help="Exit with 10 if incidents were found; goes before --strict."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no summary; errors are still told.")
]
Sources = Annotated[
    list[str],
    typer.Argument(
        help="A dataset of ingest, a report's folder, or capture files (- for standard input)."
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="NAME",
        help="table (the main columns), csv, jsonl or parquet (all columns). Unless given: by the "
        "ending of --output, else table.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file, whole or not at all.")
]


_LATEST: Final = 9_214_646_400
"""2262-01-01, seconds: the tables hold ns since 1970 in 64 bits with a sign."""


def time_of(text: str | None, option: str) -> int | None:
    """Read a time of RFC 3339 (or a date) as ns since 1970; without a zone it is UTC."""
    if text is None:
        return None
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text}: not a time; write it like 2026-05-05T19:30:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        whole = int(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError):
        whole = 2**63
    if abs(whole) >= _LATEST:
        raise UsageError(f"{option} {text}: not between 1678 and 2262; no capture has such times")
    return whole * 1_000_000_000 + moment.microsecond * 1000


def options_of(
    *,
    trust_anchor: Iterable[Path] | None = None,
    keys: Iterable[Path] | None = None,
    port: Iterable[int] | None = None,
    server: Iterable[str] | None = None,
    resolver: Iterable[str] | None = None,
    from_: str | None = None,
    to: str | None = None,
    zone: str | None = None,
    policy: str = "strict",
    timezone: str | None = None,
    anonymize: Path | None = None,
    resolver_log: Iterable[Path] | None = None,
    log_timezone: str | None = None,
    clock_offset: Iterable[str] | None = None,
    baseline: Path | None = None,
    tls_keylog: Iterable[Path] | None = None,
    anonymize_names: Iterable[str] | None = None,
) -> Options:
    """Join the options of a command, named as its parameters are, to the pipeline's.

    Raises:
        UsageError: one of them is wrong.
    """
    options = Options(
        trust_anchors=_texts(trust_anchor),
        keys=_texts(keys),
        ports=frozenset(port or ()),
        servers=frozenset(server or ()),
        resolvers=frozenset(resolver or ()),
        start=time_of(from_, "--from"),
        end=time_of(to, "--to"),
        zone=zone,
        policy=policy,
        timezone=timezone,
        anonymize=str(anonymize) if anonymize else None,
        resolver_logs=_texts(resolver_log),
        log_timezone=log_timezone,
        clock_offsets=tuple(_offset(text) for text in clock_offset or ()),
        baseline=str(baseline) if baseline else None,
        tls_keylogs=_texts(tls_keylog),
        anonymize_names=tuple(anonymize_names or ()),
    )
    options.check()
    return options


def _offset(text: str) -> tuple[str, int]:
    """Read FILE=SECONDS as a path and nanoseconds."""
    from decimal import Decimal, InvalidOperation

    path, _, seconds = text.rpartition("=")
    try:
        offset = Decimal(seconds)
    except InvalidOperation:
        offset = Decimal("NaN")
    if not path or not offset.is_finite() or abs(offset) > limits.CLOCK_OFFSET // limits.SECOND:
        raise UsageError(f"--clock-offset {text}: write it like edge.pcap=-2.5, in seconds")
    return path, int(offset * limits.SECOND)


def _texts(paths: Iterable[Path] | None) -> tuple[str, ...]:
    return tuple(str(path) for path in paths or ())
