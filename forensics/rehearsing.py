"""The `rehearse` command: its options, and what its exit status says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from forensics.arguments import Port, Quiet, Resolver, Server, Sources, options_of

EXIT_REFUSED = 10
EXIT_UNJUDGED = 3
"""As for captures that cannot be read: nothing came in that an answer could rest on."""

ZoneFile = Annotated[
    Path,
    typer.Option(
        "--zone",
        metavar="FILE",
        help="The signed zone that is about to be published, as a zone file.",
    ),
]
Delegation = Annotated[
    Path | None,
    typer.Option(
        "--ds",
        metavar="FILE",
        help="DS (or DNSKEY) records that will be in force then, zone-file lines; an empty file: "
        "none. Unless given: those that the parent was recorded with last.",
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="When it is published, such as 2026-05-05T19:45:00Z; UTC where no zone is given. "
        "What was recorded later is not looked at. Unless given: now.",
    ),
]
Origin = Annotated[
    str | None,
    typer.Option(
        "--origin", metavar="NAME", help="The zone's name, where the file's names are relative."
    ),
]
ValidFor = Annotated[
    str | None,
    typer.Option(
        "--valid-for",
        metavar="LENGTH",
        help="Refuse if a signature ends within this time, such as 3d.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, the same whatever the terminal.")]


def register(app: typer.Typer, clock: Callable[[], int]) -> None:
    """Add the command; `clock` gives ns since 1970."""

    @app.command(
        name="rehearse",
        epilog="Example: dns-forensics rehearse today.pcap.zst --zone de.signed --ds de.ds",
    )
    def rehearse_zone(
        sources: Sources,
        *,
        zone: ZoneFile,
        ds: Delegation = None,
        at: At = None,
        origin: Origin = None,
        valid_for: ValidFor = None,
        server: Server = None,
        resolver: Resolver = None,
        port: Port = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        """Tell which recorded queries a zone would turn bogus if it were published now.

        The zone is held against the keys, DS and answers that caches can hold by the recording.
        Exit status: 0 publish, 10 do not; 2 usage (the zone file too), 3 no input could be read,
        or it does not tell what the DS in force is or which keys caches hold. What the recording
        cannot tell never refuses; it is listed as not judged, with what to record.
        """
        from forensics.explain import read_instant
        from forensics.rehearse import rehearse
        from forensics.terminal import bar, report_errors, say_if_compiling, wants_colour

        moment = clock() if at is None else read_instant(at)
        options = options_of(port=port, server=server, resolver=resolver)
        say_if_compiling(quiet or as_json)
        with bar(quiet) as progress:
            told, errors = rehearse(
                sources,
                zone,
                moment,
                options,
                delegation=ds,
                origin=origin,
                valid_for=valid_for,
                progress=progress,
            )
        report_errors(errors)
        if as_json:
            typer.echo(json.dumps(told, indent=2, ensure_ascii=True))
        elif not quiet:
            from forensics.report.rehearsed import render_rehearsed

            typer.echo(render_rehearsed(told, colour=wants_colour(sys.stdout)))
        if told["verdict"] == "refuse":
            raise typer.Exit(EXIT_REFUSED)
        if told["verdict"] == "unjudged":
            raise typer.Exit(EXIT_UNJUDGED)
