"""The command line: options in, exit status out. The only module that reads the wall clock.

Exit status: 0 done, 2 usage, 3 no input could be read, 4 done but some input was damaged
(`--strict` only), 10 incidents found (`--exit-code` only).
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from forensics import __version__, table_commands, watch_command
from forensics.arguments import (
    Anchor,
    Anonymize,
    AnonymizeNames,
    AsJson,
    Baseline,
    Captures,
    ClockOffset,
    Csv,
    ExitCode,
    Figures,
    From,
    Keys,
    LogTimezone,
    Out,
    Policy,
    Port,
    Quiet,
    Resolver,
    ResolverLog,
    Server,
    Strict,
    Timezone,
    TlsKeylog,
    To,
    Zone,
    options_of,
)
from forensics.errors import ForensicsError, UsageError
from forensics.rehearsing import register
from forensics.terminal import (
    bar,
    complain,
    leave_out_pandas,
    report_errors,
    say_if_compiling,
    stop_on_signals,
    wants_colour,
)

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
    resolver_log: ResolverLog = None,
    log_timezone: LogTimezone = None,
    clock_offset: ClockOffset = None,
    tls_keylog: TlsKeylog = None,
    anonymize: Anonymize = None,
    anonymize_names: AnonymizeNames = None,
    baseline: Baseline = None,
    figures: Figures = True,
    csv: Csv = False,
    as_json: AsJson = False,
    strict: Strict = False,
    exit_code: ExitCode = False,
    quiet: Quiet = False,
) -> None:
    """Read captures, revalidate every signature, and write the timeline report."""
    from forensics.pipeline import analyze as run

    options = options_of(
        port=port,
        server=server,
        resolver=resolver,
        anonymize=anonymize,
        anonymize_names=anonymize_names,
        baseline=baseline,
        trust_anchor=trust_anchor,
        keys=keys,
        from_=from_,
        to=to,
        zone=zone,
        policy=policy,
        timezone=timezone,
        resolver_log=resolver_log,
        log_timezone=log_timezone,
        clock_offset=clock_offset,
        tls_keylog=tls_keylog,
    )
    say_if_compiling(quiet)
    with bar(quiet) as progress:
        outcome = run(captures, out, options, figures=figures, csv=csv, progress=progress)
    _finish(outcome, out, strict=strict, exit_code=exit_code, quiet=quiet, as_json=as_json)


@app.command(epilog="Example: dns-forensics report archive --out report --zone de.")
def report(
    dataset: Annotated[
        str, typer.Argument(help="A dataset that ingest has written: a folder, or a URL.")
    ],
    *,
    out: Out = Path("dns-forensics-report"),
    trust_anchor: Anchor = None,
    keys: Keys = None,
    from_: From = None,
    to: To = None,
    zone: Zone = None,
    policy: Policy = "strict",
    timezone: Timezone = None,
    resolver_log: ResolverLog = None,
    log_timezone: LogTimezone = None,
    baseline: Baseline = None,
    figures: Figures = True,
    csv: Csv = False,
    as_json: AsJson = False,
    strict: Strict = False,
    exit_code: ExitCode = False,
    quiet: Quiet = False,
) -> None:
    """Write the report of a dataset, without reading the packets again."""
    from forensics.pipeline import report_dataset

    options = options_of(
        trust_anchor=trust_anchor,
        keys=keys,
        from_=from_,
        to=to,
        zone=zone,
        policy=policy,
        timezone=timezone,
        resolver_log=resolver_log,
        log_timezone=log_timezone,
        baseline=baseline,
    )
    say_if_compiling(quiet)
    outcome = report_dataset(dataset, out, options, figures=figures, csv=csv)
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


@app.command(epilog="Example: dns-forensics compare before after")
def compare(
    before: Annotated[Path, typer.Argument(help="The baseline: a report's folder or report.json.")],
    after: Annotated[Path, typer.Argument(help="The report that is held against it.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what differs between two reports: before and after, two resolvers, two sites."""
    from forensics.report.comparison import compare as held_against
    from forensics.report.comparison import read_report, render_comparison
    from forensics.report.json import text_of

    baseline, digest = read_report(before, "compare")
    report, _ = read_report(after, "compare")
    told = held_against(report, baseline, str(before), digest)
    typer.echo(text_of(told) if as_json else render_comparison(told), nl=not as_json)


@app.command(epilog="Example: dns-forensics ingest day1.pcap.zst day2.pcap.zst --dataset archive")
def ingest(
    captures: Captures,
    *,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            "-d",
            help="Folder (or URL, such as s3://bucket/name) to write the dataset to. One made with "
            "--workers or --scheduler grows with each run; any other is replaced.",
        ),
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Read files side by side in so many processes; a killed run goes on."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Let this Dask cluster read: tcp://host:8786."),
    ] = None,
    sensor: Annotated[
        str | None,
        typer.Option(
            help="What recorded the captures, by which they are kept apart in a dataset that "
            "grows. Unless given: the name of each one's folder."
        ),
    ] = None,
    transactions_only: Annotated[
        bool,
        typer.Option(
            "--transactions-only",
            help="Who asked whom for what, and what came back; no signatures and keys. Takes a "
            "third less work; such a dataset is for your own queries, not for report.",
        ),
    ] = False,
    port: Port = None,
    server: Server = None,
    resolver: Resolver = None,
    from_: From = None,
    to: To = None,
    clock_offset: ClockOffset = None,
    tls_keylog: TlsKeylog = None,
    anonymize: Anonymize = None,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Read captures into a dataset of Parquet tables, to be asked many times."""
    from forensics.pipeline import ingest_dataset

    options = options_of(
        port=port,
        server=server,
        resolver=resolver,
        from_=from_,
        to=to,
        clock_offset=clock_offset,
        tls_keylog=tls_keylog,
        anonymize=anonymize,
    )
    say_if_compiling(quiet)
    with bar(quiet) as progress:
        outcome = ingest_dataset(
            captures,
            dataset,
            options,
            workers=workers,
            scheduler=scheduler,
            sensor=sensor,
            transactions_only=transactions_only,
            progress=progress,
        )
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
    tls_keylog: TlsKeylog = None,
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
            options = options_of(trust_anchor=trust_anchor, port=port, tls_keylog=tls_keylog)
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
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="The type that was asked for.")] = "A",
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
    resolver: Annotated[
        list[str] | None,
        typer.Option(
            "--resolver",
            help="This address is a resolver; in the resolver view: one of the addresses of the "
            "resolver asked about. May be repeated.",
        ),
    ] = None,
    port: Port = None,
    tls_keylog: TlsKeylog = None,
    policy: Policy = "strict",
    trust_anchor: Anchor = None,
    keys: Keys = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print JSON, the same whatever the terminal.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Tell what a validating resolver would have concluded for one question at one instant."""
    from forensics.explain import explain, read_instant

    moment = read_instant(at)
    options = options_of(
        trust_anchor=trust_anchor,
        keys=keys,
        port=port,
        tls_keylog=tls_keylog,
        server=server,
        resolver=resolver,
        policy=policy,
    )
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


@app.command(
    epilog="Example: dns-forensics listen --socket unix:/run/dnstap.sock --dataset archive"
)
def listen(
    *,
    socket: Annotated[
        str,
        typer.Option(
            "--socket", metavar="ADDRESS", help="unix:PATH or tcp:HOST:PORT; a loopback address."
        ),
    ],
    dataset: Annotated[
        Path, typer.Option("--dataset", "-d", help="Folder; its captures/ receives the files.")
    ],
    rotate: Annotated[
        list[str] | None,
        typer.Option(
            "--rotate",
            metavar="LIMIT",
            help="Begin a new file after a time (600s, 10m, 1h) or a size before compression "
            "(256M, 1G); may be given twice. Unless given: 1h and 1G.",
        ),
    ] = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="Allow an address that others can reach: anyone may then send."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Record dnstap from name servers (Frame Streams) until stopped, into files that rotate."""
    from forensics.record import record

    def begun() -> None:
        if not quiet:
            complain(f"listening at {socket}; stop with Ctrl-C")

    recording, tally = record(
        socket,
        dataset,
        rotate=rotate or ("1h", "1G"),
        public=public,
        clock=time.time_ns,
        begun=begun,
    )
    for sentence in tally.sentences():
        complain(sentence)
    if not quiet:
        typer.echo(f"{recording.frames:,} frames of {tally.connections:,} connections")
        for path in recording.files:
            typer.echo(path)


register(app, time.time_ns)
watch_command.register(app, time.time_ns)
table_commands.register(app)


_NEW_OBJECTS = 200_000
"""Objects after which Python looks for garbage. At its own 700 an eighth of a short run goes into
looking again and again at what was imported, which is never garbage; that alone is over 100,000."""


def main() -> None:
    """Run the command line; turn the program's own errors into one line and an exit status."""
    from forensics.errors import NoInputError

    gc.set_threshold(_NEW_OBJECTS, 20, 50)
    # What is left at the end goes with the process; to look for garbage in it takes longer than
    # the analysis of a small capture.
    atexit.register(gc.freeze)
    if len(sys.argv) > 1 and not {"-h", "--help", "--version"} & set(sys.argv):
        leave_out_pandas()
    stopped = stop_on_signals()
    try:
        _run(stopped)
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


def _run(stopped: Callable[[], int]) -> None:
    """Run the command; an error after a signal is that signal's doing.

    A callback of a C library drops the exception that ends the run, and fails its caller instead:
    so does numba's compiler.
    """
    try:
        app(standalone_mode=True)
    except Exception:
        if stopped():
            sys.exit(128 + stopped())
        raise


if __name__ == "__main__":
    main()
