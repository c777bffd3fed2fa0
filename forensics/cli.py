"""The command line: options in, exit status out. The only module that reads the wall clock.

Exit status: 0 done, 2 usage, 3 no input could be read, 4 done but some input was damaged
(`--strict` only), 10 incidents found (`--exit-code` only).
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forensics import __version__
from forensics.errors import ForensicsError, InputError, UsageError

if TYPE_CHECKING:
    from forensics.pipeline import Options, Progress

EXIT_USAGE = 2
EXIT_NO_INPUT = 3
EXIT_DAMAGED = 4
EXIT_INCIDENTS = 10

app = typer.Typer(
    name="dns-forensics",
    help="Forensic analyzer of captured DNS traffic: when, where and why DNSSEC validation failed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Captures = Annotated[
    list[str], typer.Argument(help="Capture files (pcap, pcapng, dnstap; compressed or not), or -.")
]
Anchor = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust-anchor",
        help="DS or DNSKEY records, or IANA's root-anchors.xml. Built in: the root's own.",
    ),
]
Port = Annotated[
    list[int] | None, typer.Option("--port", help="A port that carries DNS besides 53.")
]
Server = Annotated[
    list[str] | None, typer.Option("--server", help="This address is an authoritative server.")
]
Resolver = Annotated[
    list[str] | None, typer.Option("--resolver", help="This address is a resolver.")
]
From = Annotated[
    str | None, typer.Option("--from", help="Leave out what is earlier (RFC 3339, UTC).")
]
To = Annotated[str | None, typer.Option("--to", help="Leave out what is later (RFC 3339, UTC).")]
Zone = Annotated[
    str | None, typer.Option("--zone", help="Only this zone, what is below it and its chain.")
]
Policy = Annotated[
    str, typer.Option("--policy", help="Whose clock rules: strict (the RFC's), unbound, …")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]


def _fail(message: str, status: int) -> typer.Exit:
    """Print one clear line to standard error and return the exit to raise."""
    from forensics.report.summary import plain

    typer.echo(f"dns-forensics: {plain(message)}", err=True)
    return typer.Exit(status)


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
) -> Options:
    """Join the options of a command to the pipeline's."""
    from forensics.pipeline import Options

    return Options(
        trust_anchors=tuple(str(path) for path in anchors or ()),
        ports=frozenset(ports or ()),
        servers=frozenset(servers or ()),
        resolvers=frozenset(resolvers or ()),
        start=_time(start, "--from"),
        end=_time(end, "--to"),
        zone=zone,
        policy=policy,
    )


def _say_if_compiling(quiet: bool) -> None:
    """Tell a user who runs this version for the first time why it takes a minute."""
    from forensics.wire.jit import CACHE, is_compiled

    if not quiet and not is_compiled():
        typer.echo(
            "First run of this version: compiling its kernels, once, for about two minutes "
            f"(kept in {CACHE}) ...",
            err=True,
        )


class _Bar:
    """A progress bar on a terminal: octets of input read, rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("reading", total=None)

    def __enter__(self) -> Progress:
        self._progress.start()
        return self._update

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _update(self, stage: str, done: int, total: int) -> None:
        self._progress.update(self._task, description=stage, completed=done, total=total or None)


def _bar(quiet: bool) -> AbstractContextManager[Progress | None]:
    """Return a progress bar where a person watches, else nothing."""
    if quiet or not sys.stderr.isatty():
        return nullcontext(None)
    return _Bar()


def _report_errors(errors: tuple[InputError, ...]) -> None:
    """One line for each input that could not be read."""
    from forensics.report.summary import plain

    for error in errors:
        typer.echo(f"dns-forensics: {plain(str(error))}", err=True)


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
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path(
        "dns-forensics-report"
    ),
    trust_anchor: Anchor = None,
    port: Port = None,
    server: Server = None,
    resolver: Resolver = None,
    from_: From = None,
    to: To = None,
    zone: Zone = None,
    policy: Policy = "strict",
    figures: Annotated[bool, typer.Option(help="Write the figures of report.md.")] = True,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 4 if some input was damaged.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 if incidents were found.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Read captures, revalidate every signature, and write the timeline report."""
    from forensics.pipeline import analyze as run

    options = _options(trust_anchor, port, server, resolver, from_, to, zone, policy)
    _say_if_compiling(quiet)
    with _bar(quiet) as progress:
        outcome = run(captures, out, options, figures=figures, progress=progress)
    _finish(outcome, out, strict=strict, exit_code=exit_code, quiet=quiet)


@app.command(epilog="Example: dns-forensics report archive --out report --zone de.")
def report(
    dataset: Annotated[Path, typer.Argument(help="A dataset that ingest has written.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path(
        "dns-forensics-report"
    ),
    trust_anchor: Anchor = None,
    from_: From = None,
    to: To = None,
    zone: Zone = None,
    policy: Policy = "strict",
    figures: Annotated[bool, typer.Option(help="Write the figures of report.md.")] = True,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 if incidents were found.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write the report of a dataset, without reading the packets again."""
    from forensics.pipeline import report_dataset

    options = _options(trust_anchor, None, None, None, from_, to, zone, policy)
    _say_if_compiling(quiet)
    outcome = report_dataset(dataset, out, options, figures=figures)
    _finish(outcome, out, strict=False, exit_code=exit_code, quiet=quiet)


def _finish(outcome: Any, out: Path, *, strict: bool, exit_code: bool, quiet: bool) -> None:
    """Print the answer, and leave with the exit status that the options ask for."""
    from forensics.report.summary import render_summary

    _report_errors(outcome.errors)
    if not quiet:
        typer.echo(render_summary(outcome.report))
        typer.echo(f"\nReport: {out / 'report.html'}")
    if exit_code and outcome.report["incidents"]:
        raise typer.Exit(EXIT_INCIDENTS)
    if strict and outcome.damaged:
        raise typer.Exit(EXIT_DAMAGED)


@app.command(epilog="Example: dns-forensics ingest day1.pcap.zst day2.pcap.zst --dataset archive")
def ingest(
    captures: Captures,
    *,
    dataset: Annotated[Path, typer.Option("--dataset", "-d", help="Folder of the dataset.")],
    port: Port = None,
    server: Server = None,
    resolver: Resolver = None,
    from_: From = None,
    to: To = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 4 if some input was damaged.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Read captures into a dataset of Parquet tables, to be asked many times."""
    from forensics.pipeline import ingest_dataset

    options = _options(None, port, server, resolver, from_, to, None, "strict")
    _say_if_compiling(quiet)
    with _bar(quiet) as progress:
        outcome = ingest_dataset(captures, dataset, options, progress=progress)
    _report_errors(outcome.errors)
    if not quiet:
        counts = outcome.counts
        typer.echo(f"{counts['packets']:,} packets, {counts['messages']:,} messages")
        typer.echo(f"Dataset: {dataset}")
    if strict and outcome.damaged:
        raise typer.Exit(EXIT_DAMAGED)


def _leave_out_pandas() -> None:
    """Let pyarrow believe that pandas is not installed, in this process.

    pyarrow imports pandas at the first Python list that it is given, which takes longer than the
    analysis of a small capture. No command needs pandas; the Python API does, and is not touched.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    pa.array([0])
    sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """A finder of modules that says of pandas that it is not there."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ImportError(name)


def main() -> None:
    """Run the command line; turn the program's own errors into one line and an exit status."""
    from forensics.errors import NoInputError

    if len(sys.argv) > 1 and not {"-h", "--help", "--version"} & set(sys.argv):
        _leave_out_pandas()
    try:
        app(standalone_mode=True)
    except UsageError as error:
        sys.exit(_fail(str(error), EXIT_USAGE).exit_code)
    except NoInputError as error:
        _report_errors(error.errors)
        sys.exit(EXIT_NO_INPUT)
    except ForensicsError as error:
        sys.exit(_fail(str(error), EXIT_NO_INPUT).exit_code)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
