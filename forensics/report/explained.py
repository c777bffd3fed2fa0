"""The explanation of one question for a terminal: the verdict first, then link by link."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from forensics.report.escape import visible

_WIDTH: Final = 88
_INDENT: Final = " " * 4
_COLOURS: Final = {
    "secure": "32;1",
    "valid": "32",
    "insecure": "33",
    "bogus": "31;1",
    "indeterminate": "35",
}
_MARKS: Final = {"secure": "+", "valid": "+", "insecure": "o", "bogus": "x", "indeterminate": "?"}
_SERVERS: Final = 12
"""Servers listed one by one; the JSON form has them all."""

_Row = Mapping[str, Any]


def render_explained(told: _Row, *, colour: bool = False) -> str:
    """Tell what `explain --json` holds in lines for a person, without a line break at the end."""

    def paint(text: str, status: str) -> str:
        return f"\x1b[{_COLOURS[status]}m{text}\x1b[0m" if colour else text

    reason = "" if told["reason"] == "none" else f": {told['reason']}"
    ede = "" if told["ede"] is None else f" (EDE {told['ede']})"
    lines = [
        paint(
            visible(f"{told['name']} {told['type']}: {told['status']}{reason}{ede}"), told["status"]
        ),
        *_wrapped(told["sentence"], ""),
        visible(f"At {told['at']}, {_view(told)}, policy {told['policy']}."),
    ]
    if told["later"]:
        lines.append("Nothing of it was captured by then: the first answer after it is judged.")
    lines.append("")
    for link in told["chain"]:
        head = f"{_MARKS[link['status']]} {_title(link)}: {_outcome(link)}"
        lines.append(paint(visible(head), link["status"]))
        if link["sentence"]:
            lines += _wrapped(link["sentence"], _INDENT)
        lines += [line for seen in link["sightings"] for line in _wrapped(_seen(seen), _INDENT)]
        if link["valid_until"]:
            lines.append(
                visible(f"{_INDENT}Its signature may be used until {link['valid_until']}.")
            )
        if len(link["servers"]) > 1 and _differ(link["servers"]):
            lines += _servers(link["servers"], _INDENT)
    for one in told.get("partial", ()):
        many = "a response" if one["responses"] == 1 else f"{one['responses']} responses"
        sentence = (
            f"{one['capture']} holds {many} (the first in frame {one['frame']}) of which its"
            " exporter left records out: signatures there are not checkable, and none is missing."
        )
        lines += ["", *_wrapped(sentence, "")]
    for one in told.get("damaged", ()):
        sentence = (
            f"Frame {one['frame']} of {one['capture']} has a wrong UDP checksum: it was damaged, no"
            " resolver would have taken it, and it accuses nobody."
        )
        lines += ["", *_wrapped(sentence, "")]
    for warning in told.get("warnings", ()):
        lines += ["", *_wrapped(f"Near miss: {warning['sentence']}", "")]
    if len(told["servers"]) > 1:
        lines += ["", "By server:", *_servers(told["servers"], "  ")]
    return "\n".join(lines)


def _view(told: _Row) -> str:
    if told["view"] == "resolver":
        return f"as the resolver {', '.join(told['resolvers'])} held it"
    return "as it was published"


def _title(link: _Row) -> str:
    """Name a link."""
    zone = str(link["zone"])
    named = f"{link['name']} {link['type']}"
    return {
        "anchor": f"Trust anchor of {zone}",
        "ds": f"DS of {zone}",
        "dnskey": f"DNSKEY of {zone}",
        "rrset": f"{named} in {zone}",
        "alias": f"{named} in {zone}",
        "denial": f"Denial of {named} by {zone}",
    }.get(link["link"], zone)


def _outcome(link: _Row) -> str:
    keys = ", ".join(f"{key['tag']}/{key['algorithm']}" for key in link["keys"][:6])
    by = f", key {keys}" if keys else ""
    weak = ", weak" if link["confidence"] == "weak" else ""
    weak += ", supplied" if link["source"] == "supplied" else ""
    if link["reason"] == "none":
        return f"{link['status']}{by}{weak}"
    return f"{link['status']}, {link['reason']}{by}{weak}"


def _seen(seen: _Row) -> str:
    where = f"frame {seen['frame']}" if seen["frame"] else "no response"
    file = f" of {seen['capture']}" if seen["capture"] else ""
    nsid = f" ({seen['nsid']})" if seen["nsid"] else ""
    when = f"{_span(-seen['age'])} later" if seen["age"] < 0 else f"{_span(seen['age'])} before"
    return f"Seen in {where}{file} from {seen['server']}{nsid}, {when}."


def _span(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for name, unit, below, small in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // small} {below}"
    return f"{whole // 60} min {whole % 60} s"


def _differ(servers: Sequence[_Row]) -> bool:
    return len({(server["status"], server["reason"]) for server in servers}) > 1


def _servers(servers: Sequence[_Row], indent: str) -> list[str]:
    """List what each server showed."""
    lines = []
    for server in servers[:_SERVERS]:
        nsid = f" ({server['nsid']})" if server["nsid"] else ""
        reason = "" if server["reason"] == "none" else f", {server['reason']}"
        old = ", before what the others showed since" if server["superseded"] else ""
        text = (
            f"{server['address']}{nsid}: {server['status']}{reason}, frame {server['frame']}{old}"
        )
        lines += _wrapped(text, indent)
    if len(servers) > _SERVERS:
        lines.append(f"{indent}and {len(servers) - _SERVERS} more")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        visible(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
