"""The options of `watch`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from forensics.arguments import (
    Anchor,
    Keys,
    Port,
    Quiet,
    Resolver,
    Server,
    TlsKeylog,
    options_of,
)

EPILOG = (
    "Example: dns-forensics watch /var/capture --notices notices.jsonl --hook 'page-someone dns'"
)


def register(app: typer.Typer, clock: Callable[[], int]) -> None:
    """Add the command to the program.

    Args:
        app: the program.
        clock: wall clock, ns since 1970 UTC.
    """

    @app.command(epilog=EPILOG)
    def watch(
        folder: Annotated[
            Path | None,
            typer.Argument(
                metavar="[DIR]",
                help="Folder that captures are written to (pcap, pcapng, dnstap, C-DNS), growing, "
                "rotated, compressed or not.",
            ),
        ] = None,
        *,
        socket: Annotated[
            str,
            typer.Option(
                "--socket",
                metavar="ADDRESS",
                help="Receive dnstap at unix:PATH or tcp:HOST:PORT (a loopback address) instead.",
            ),
        ] = "",
        public: Annotated[
            bool,
            typer.Option(
                "--public", help="Allow an address that others can reach: anyone may then send."
            ),
        ] = False,
        state: Annotated[
            Path,
            typer.Option("--state", metavar="DIR", help="Folder for what must outlive a restart."),
        ] = Path("dns-forensics-watch"),
        notices: Annotated[
            Path | None,
            typer.Option(
                "--notices",
                metavar="FILE",
                help="Append notices (JSON lines) to this file instead of printing them.",
            ),
        ] = None,
        hook: Annotated[
            str,
            typer.Option(
                "--hook",
                metavar="COMMAND",
                help="Run this, without a shell, for each notice: it is on standard input, its key "
                "facts in DNS_FORENSICS_EVENT, _ZONE and so on. Killed after 30 seconds.",
            ),
        ] = "",
        horizon: Annotated[
            str, typer.Option(metavar="TIME", help="Judge so much of the past at each look.")
        ] = "1h",
        silence: Annotated[
            str,
            typer.Option(
                metavar="TIME", help="Tell when nothing came for so long, such as 60s."
            ),
        ] = "",
        expiry_hours: Annotated[
            float,
            typer.Option(
                "--expiry-hours",
                help="Tell of signatures still served so many hours before they end; 0: never.",
            ),
        ] = 6.0,
        trust_anchor: Anchor = None,
        keys: Keys = None,
        port: Port = None,
        server: Server = None,
        resolver: Resolver = None,
        tls_keylog: TlsKeylog = None,
        quiet: Quiet = False,
    ) -> None:
        """Follow captures as they come, and tell within a minute when validation begins failing."""
        from forensics.terminal import complain, say_if_compiling
        from forensics.watch import Asked
        from forensics.watch import watch as follow

        asked = Asked(
            folder=folder,
            socket=socket,
            public=public,
            state=state,
            notices=notices,
            hook=hook,
            horizon=horizon,
            silence=silence,
            hours=expiry_hours,
            options=options_of(
                trust_anchor=trust_anchor,
                keys=keys,
                port=port,
                server=server,
                resolver=resolver,
                tls_keylog=tls_keylog,
            ),
        )

        def begun() -> None:
            if not quiet:
                complain(f"watching {folder or socket}; stop with Ctrl-C")

        say_if_compiling(quiet)
        follow(asked, clock=clock, complain=complain, begun=begun)
        sys.stdout.flush()
