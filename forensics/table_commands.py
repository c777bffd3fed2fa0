"""The commands that give one table: transactions, keys, signatures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from forensics.arguments import (
    Format,
    From,
    Output,
    Port,
    Quiet,
    Resolver,
    Server,
    Sources,
    TlsKeylog,
    To,
    Zone,
    options_of,
)
from forensics.errors import UsageError
from forensics.terminal import report_errors, say_if_compiling

if TYPE_CHECKING:
    from forensics.options import Options

_TABLES: Final = (
    (
        "transactions",
        "outage.pcap --zone de. --format csv -o de.csv",
        "List queries with their responses: who asked whom for what, when, and with what outcome.",
    ),
    (
        "keys",
        "archive --zone de.",
        "List the DNSKEY and DS RRsets: which server showed which keys, from when to when.",
    ),
    (
        "signatures",
        "archive --zone de. --format jsonl",
        "List the distinct signatures: owner, type, signer, key tag and validity.",
    ),
)
"""Name, example and help of each command."""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for name, example, told in _TABLES:
        _add(app, name, example, told)


def _add(app: typer.Typer, name: str, example: str, told: str) -> None:
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
        quiet: Quiet = False,
        tls_keylog: TlsKeylog = None,
    ) -> None:
        options = options_of(
            port=port,
            server=server,
            resolver=resolver,
            from_=from_,
            to=to,
            zone=zone,
            tls_keylog=tls_keylog,
        )
        _print(sources, name, options, form, output, quiet=quiet)

    app.command(name, help=told, epilog=f"Example: dns-forensics {name} {example}")(command)


def _print(
    sources: list[str],
    name: str,
    options: Options,
    form: str | None,
    output: Path | None,
    *,
    quiet: bool,
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
    say_if_compiling(quiet)
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
