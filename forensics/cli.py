"""The command line: options in, exit status out. The only module that reads the wall clock.

Exit status: 0 done, 2 usage, 3 no input could be read, 4 done but some input was damaged
(`--strict` only), 10 incidents found (`--exit-code` only).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forensics import __version__
from forensics.errors import ForensicsError, UsageError
from forensics.terminal import (
    bar,
    complain,
    leave_out_pandas,
    report_errors,
    say_if_compiling,
    stop_on_signals,
    wants_colour,
)

if TYPE_CHECKING:
    from forensics.pipeline import Options

EXIT_USAGE = 2
EXIT_NO_INPUT = 3
EXIT_DAMAGED = 4
EXIT_INCIDENTS = 10

app = typer.Typer(
    name="dns-forensics",
    help="Forensic analyzer of captured DNS traffic: when, where and why DNSSEC validation failed.",
    epilog="Example: dns-forensics analyze outage.pcap.zst --out report",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Captures = Annotated[
    list[str],
    typer.Argument(
        help="Capture files (pcap, pcapng, dnstap, C-DNS, PowerDNS protobuf; compressed or not); "
        "- for standard input."
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
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print report.json to standard output instead of the summary."),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 4 if some input was damaged or unreadable. What this version does not "
        "read (TCP, fragments) is no damage.",
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


def _time(text: str | None, option: str) -> int | None:
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
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + moment.microsecond * 1000


def _options(
    anchors: list[Path] | None,
    ports: list[int] | None,
    servers: list[str] | None,
    resolvers: list[str] | None,
    start: str | None,
    end: str | None,
    zone: str | None,
    policy: str,
    timezone: str | None = None,
    anonymize: Path | None = None,
    keys: list[Path] | None = None,
) -> Options:
    """Join the options of a command to the pipeline's."""
    from forensics.pipeline import Options

    options = Options(
        trust_anchors=tuple(str(path) for path in anchors or ()),
        ports=frozenset(ports or ()),
        servers=frozenset(servers or ()),
        resolvers=frozenset(resolvers or ()),
        start=_time(start, "--from"),
        end=_time(end, "--to"),
        zone=zone,
        policy=policy,
        timezone=timezone,
        anonymize=str(anonymize) if anonymize else None,
        keys=tuple(str(path) for path in keys or ()),
    )
    options.check()
    return options


@app.callback(invoke_without_command=True)
def _main(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"dns-forensics {__version__}")
        raise typer.Exit(0)


@app.command(epilog="Example: dns-forensics analyze outage.pcap --out report")
def analyze(
    captures: Captures,
    *,
    out: Out = Path("dns-forensics-report"),
    trust_anchor: Anchor = None,
    keys: Keys = None,
    port: Port = None,
    server: Server = None,
    resolver: Resolver = None,
    from_: From = None,
    to: To = None,
    zone: Zone = None,
    policy: Policy = "strict",
    timezone: Timezone = None,
    anonymize: Anonymize = None,
    figures: Figures = True,
    as_json: AsJson = False,
    strict: Strict = False,
    exit_code: ExitCode = False,
    quiet: Quiet = False,
) -> None:
    """Read captures, revalidate every signature, and write the timeline report."""
    from forensics.pipeline import analyze as run

    options = _options(
        trust_anchor, port, server, resolver, from_, to, zone, policy, timezone, anonymize, keys
    )
    say_if_compiling(quiet)
    with bar(quiet) as progress:
        outcome = run(captures, out, options, figures=figures, progress=progress)
    _finish(outcome, out, strict=strict, exit_code=exit_code, quiet=quiet, as_json=as_json)


@app.command(epilog="Example: dns-forensics report archive --out report --zone de.")
def report(
    dataset: Annotated[Path, typer.Argument(help="A dataset that ingest has written.")],
    *,
    out: Out = Path("dns-forensics-report"),
    trust_anchor: Anchor = None,
    keys: Keys = None,
    from_: From = None,
    to: To = None,
    zone: Zone = None,
    policy: Policy = "strict",
    timezone: Timezone = None,
    figures: Figures = True,
    as_json: AsJson = False,
    strict: Strict = False,
    exit_code: ExitCode = False,
    quiet: Quiet = False,
) -> None:
    """Write the report of a dataset, without reading the packets again."""
    from forensics.pipeline import report_dataset

    options = _options(trust_anchor, None, None, None, from_, to, zone, policy, timezone, keys=keys)
    say_if_compiling(quiet)
    outcome = report_dataset(dataset, out, options, figures=figures)
    _finish(outcome, out, strict=strict, exit_code=exit_code, quiet=quiet, as_json=as_json)


def _finish(
    outcome: Any, out: Path, *, strict: bool, exit_code: bool, quiet: bool, as_json: bool
) -> None:
    """Print the answer, and leave with the exit status that the options ask for."""
    from forensics.report.json import text_of
    from forensics.report.summary import render_summary

    report_errors(outcome.errors)
    if as_json:
        typer.echo(text_of(outcome.report), nl=False)
    elif not quiet:
        typer.echo(render_summary(outcome.report, colour=wants_colour(sys.stdout)))
        typer.echo(f"\nReport: {out / 'report.html'}")
    if exit_code and outcome.report["incidents"]:
        raise typer.Exit(EXIT_INCIDENTS)
    if strict and outcome.damaged:
        raise typer.Exit(EXIT_DAMAGED)


@app.command(epilog="Example: dns-forensics ingest day1.pcap.zst day2.pcap.zst --dataset archive")
def ingest(
    captures: Captures,
    *,
    dataset: Annotated[
        Path, typer.Option("--dataset", "-d", help="Folder to write the dataset to.")
    ],
    port: Port = None,
    server: Server = None,
    resolver: Resolver = None,
    from_: From = None,
    to: To = None,
    anonymize: Anonymize = None,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Read captures into a dataset of Parquet tables, to be asked many times."""
    from forensics.pipeline import ingest_dataset

    options = _options(None, port, server, resolver, from_, to, None, "strict", anonymize=anonymize)
    say_if_compiling(quiet)
    with bar(quiet) as progress:
        outcome = ingest_dataset(captures, dataset, options, progress=progress)
    report_errors(outcome.errors)
    if not quiet:
        counts = outcome.counts
        typer.echo(f"{counts['packets']:,} packets, {counts['messages']:,} messages")
        typer.echo(f"Dataset: {dataset}")
    if strict and outcome.damaged:
        raise typer.Exit(EXIT_DAMAGED)


@app.command(epilog="Example: dns-forensics verify report")
def verify(
    folder: Annotated[
        Path, typer.Argument(help="A folder that analyze, report or ingest has written.")
    ],
    *,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs", help="Where the captures lie now; unless given: where they lay then."
        ),
    ] = None,
    rerun: Annotated[
        bool,
        typer.Option(
            "--rerun",
            help="Analyse the inputs again with the same options, and compare every octet; from "
            "the folder that the paths of the inputs were relative to.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Check a report against its manifest and its inputs; exit with 4 if something differs."""
    from forensics.archive.verification import FAULTS, SAME
    from forensics.archive.verification import verify as check
    from forensics.terminal import plain_line

    checked = list(check(folder, inputs))
    if rerun:
        from forensics.pipeline import reproduce

        say_if_compiling(quiet)
        checked += reproduce(folder, inputs)
    faults = [one for one in checked if one.state in FAULTS]
    for one in checked:
        if one.state != SAME and not quiet:
            typer.echo(plain_line(f"{one.state}: {one.role} {one.name}"))
    if not quiet:
        same = sum(one.state == SAME for one in checked)
        typer.echo(f"{same} of {len(checked)} files are as the manifest names them.")
    if faults:
        raise typer.Exit(EXIT_DAMAGED)


@app.command(epilog="Example: dns-forensics extract report --incident 97062a76 -o proof.pcapng")
def extract(
    source: Annotated[Path, typer.Argument(help="A report's folder, or a capture file.")],
    *,
    incident: Annotated[
        str, typer.Option("--incident", "-i", help="Its id in report.json, or how that begins.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write this pcapng file, whole or not at all.")
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs", help="Where the captures lie now; unless given: where they lay then."
        ),
    ] = None,
    trust_anchor: Anchor = None,
    port: Port = None,
    quiet: Quiet = False,
) -> None:
    """Cut out the packets that prove an incident, each with a comment, for Wireshark."""
    import tempfile

    from forensics.extract import extract as cut_out
    from forensics.output import replacing_file
    from forensics.pipeline import analyze as run

    say_if_compiling(quiet)
    with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
        folder = source
        if source.is_file():
            folder = Path(made) / "report"
            options = _options(trust_anchor, port, None, None, None, None, None, "strict")
            with bar(quiet) as progress:
                run([str(source)], folder, options, figures=False, progress=progress)
        content = cut_out(folder, incident, inputs)
    with replacing_file(output) as path:
        path.write_bytes(content)
    if not quiet:
        typer.echo(f"Evidence: {output}")


@app.command(
    name="explain",
    epilog="Example: dns-forensics explain outage.pcap www.example.org AAAA "
    "--at 2026-05-05T19:45:00Z",
)
def explain_question(
    source: Annotated[
        str,
        typer.Argument(help="A capture, or the folder of a dataset or report."),
    ],
    name: Annotated[str, typer.Argument(help="The name that was asked for.")],
    kind: Annotated[
        str, typer.Argument(metavar="[TYPE]", help="The type that was asked for.")
    ] = "A",
    *,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="TIME",
            help="The instant, such as 2026-05-05T19:45:00Z; UTC where no zone is given.",
        ),
    ],
    view: Annotated[
        str,
        typer.Option(
            help="published: what the servers served, the latest sighting of each RRset whatever "
            "its TTL. resolver: what the one of --resolver held."
        ),
    ] = "published",
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            help="This address is an authoritative server, and only the answers of such count; "
            "may be repeated.",
        ),
    ] = None,
    resolver: Resolver = None,
    port: Port = None,
    policy: Policy = "strict",
    trust_anchor: Anchor = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print JSON, the same whatever the terminal.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Tell what a validating resolver would have concluded for one question at one instant."""
    from forensics.explain import explain

    moment = _time(at, "--at")
    assert moment is not None
    options = _options(trust_anchor, port, server, resolver, None, None, None, policy)
    say_if_compiling(quiet or json_)
    with bar(quiet) as progress:
        told, errors = explain([source], name, kind, moment, options, view=view, progress=progress)
    report_errors(errors)
    if json_:
        import json

        typer.echo(json.dumps(told, indent=2, ensure_ascii=True))
        return
    from forensics.report.explained import render_explained

    typer.echo(render_explained(told, colour=wants_colour(sys.stdout)))


def _table(name: str, example: str, help_: str) -> None:
    """Add the command that gives one table."""

    def command(
        sources: Sources,
        *,
        form: Format = None,
        output: Output = None,
        port: Port = None,
        server: Server = None,
        resolver: Resolver = None,
        from_: From = None,
        to: To = None,
        zone: Zone = None,
    ) -> None:
        options = _options(None, port, server, resolver, from_, to, zone, "strict")
        _print_table(sources, name, options, form, output)

    app.command(name, help=help_, epilog=f"Example: dns-forensics {name} {example}")(command)


_table(
    "transactions",
    "outage.pcap --zone de. --format csv -o de.csv",
    "List queries with their responses: who asked whom for what, when, and with what outcome.",
)
_table(
    "keys",
    "archive --zone de.",
    "List the DNSKEY and DS RRsets: which server showed which keys, from when to when.",
)
_table(
    "signatures",
    "archive --zone de. --format jsonl",
    "List the distinct signatures: owner, type, signer, key tag and validity.",
)


def _print_table(
    sources: list[str], name: str, options: Options, form: str | None, output: Path | None
) -> None:
    """Write a table in the format that was asked for, to a file or to standard output."""
    from forensics.browse import opened
    from forensics.output import replacing_file
    from forensics.report.tablewriter import FORMATS, text_of, write_parquet

    if form is None:
        ending = output.suffix.removeprefix(".") if output else ""
        form = ending if ending in FORMATS else "table"
    if form not in FORMATS:
        raise UsageError(f"--format {form}: no such format; there are {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        raise UsageError("--format parquet needs a file: -o FILE.parquet")
    say_if_compiling(quiet=False)
    with opened(sources, name, options) as rows:
        report_errors(rows.errors)
        if form == "parquet" and output is not None:
            with replacing_file(output) as path:
                write_parquet(path, rows.batches, rows.schema)
            return
        text = text_of(name, rows.batches, rows.schema, form)
        if output is None:
            sys.stdout.writelines(text)
            return
        with replacing_file(output) as path, path.open("w", encoding="utf-8") as file:
            file.writelines(text)


def main() -> None:
    """Run the command line; turn the program's own errors into one line and an exit status."""
    from forensics.errors import NoInputError

    if len(sys.argv) > 1 and not {"-h", "--help", "--version"} & set(sys.argv):
        leave_out_pandas()
    stop_on_signals()
    try:
        app(standalone_mode=True)
    except UsageError as error:
        complain(str(error))
        sys.exit(EXIT_USAGE)
    except NoInputError as error:
        report_errors(error.errors)
        sys.exit(EXIT_NO_INPUT)
    except ForensicsError as error:
        complain(str(error))
        sys.exit(EXIT_NO_INPUT)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
