"""The rehearsal of a zone for a terminal: the verdict, then what is wrong, for whom, how long."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from forensics.report.escape import visible

_WIDTH: Final = 88
_INDENT: Final = " " * 4
_HOLDERS: Final = {
    "everyone": "every validating resolver",
    "cached-keys": "resolvers that hold older keys",
    "cached-ds": "resolvers that hold an older DS",
    "cached-data": "resolvers behind caches with older answers",
    "secondaries": "the zone's secondaries",
}

_Row = Mapping[str, Any]


def render_rehearsed(told: _Row, *, colour: bool = False) -> str:
    """Tell what `rehearse --json` holds in lines for a person, without a line break at the end."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    code = {"refuse": "31;1", "pass": "32;1"}.get(told["verdict"], "33;1")
    lines = [paint(line, code) for line in _wrapped(told["sentence"], "")]
    demand = told["demand"]
    first, last = demand["first"], demand["last"]
    span = f", from {first[:19]}Z to {last[:19]}Z" if first else ""
    lines += _wrapped(
        f"At {told['at'][:19]}Z: {demand['queries']:,} recorded queries, {demand['questions']:,} "
        f"different, by resolvers that validate or clients behind such{span}.",
        "",
    )
    for finding in told["findings"]:
        mark = "x" if finding["level"] == "refuse" else "!"
        head = f"{mark} {finding['reason']}: for {_HOLDERS[finding['holders']]}, {_span(finding)}"
        lines += ["", paint(visible(head), "31" if mark == "x" else "33")]
        lines += _wrapped(finding["sentence"], _INDENT)
        if finding["queries"]:
            more = " or more" if finding["clients_at_least"] else ""
            lines += _wrapped(
                f"{finding['queries']:,} recorded queries ({finding['share']:.1%}) for "
                f"{finding['questions']:,} questions by {finding['clients']:,}{more} clients.",
                _INDENT,
            )
        for one in finding["examples"]:
            where = f"frame {one['frame']}" if one["frame"] else "no frame"
            file = f" of {one['capture']}" if one["capture"] else ""
            lines.append(visible(f"{_INDENT}{one['name']} {one['type']}: {where}{file}"))
    if told["unjudged"]:
        lines += ["", "Could not be judged:"]
        for one in told["unjudged"]:
            lines += _wrapped(f"{one['what']}: {one['sentence']} {one['needed']}", "? ", _INDENT)
    if demand["beyond_limit"]:
        lines += _wrapped(f"{demand['beyond_limit']:,} queries were beyond a limit.", "? ")
    return "\n".join(lines)


def _span(finding: _Row) -> str:
    if finding["holders"] == "secondaries":
        return "until the serial is raised"
    if finding["reason"] == "signature-expiring":
        return f"from {finding['from'][:19]}Z on"
    if finding["until"] is None:
        return "until another zone is published" if finding["level"] == "refuse" else "as it is"
    return f"for {_length(finding['seconds'])}, until {finding['until'][:19]}Z"


def _length(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    whole = int(seconds)
    for name, unit, below, small in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // small} {below}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _wrapped(text: str, indent: str, further: str | None = None) -> list[str]:
    return textwrap.wrap(
        visible(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_on_hyphens=False,
    )
