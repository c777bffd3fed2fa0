"""The explanation as JSON-ready values (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from forensics.explanation.chain import Cited, Link, ServerView
from forensics.explanation.inquiry import Conclusion
from forensics.explanation.records import Response
from forensics.explanation.words import rcode_text, said, type_text
from forensics.limits import SECOND
from forensics.vocabulary import REASON_CODE, REASONS, SERVFAIL, STATUSES, Status

SCHEMA = "dns-forensics/explain/1"


def to_json(
    conclusion: Conclusion,
    at: int,
    *,
    view: str,
    policy: str,
    resolvers: list[str],
    captures: dict[int, str],
) -> dict[str, Any]:
    """Return what `explain --json` prints.

    `rcode` is that of the captured answer, in letters, null where none was captured; what a
    validating resolver would have sent is `resolver_rcode`. `zone` and `servers` are of what
    decides: of the answer, or of the link above it that broke, its parent's where that is the DS
    RRset or its denial.
    """
    judged = conclusion.judged
    reason = REASONS[REASON_CODE[judged.reason]]
    rcode = rcode_text(conclusion.rcode)
    return {
        "schema": SCHEMA,
        "name": conclusion.name,
        "type": type_text(conclusion.type),
        "at": rfc3339(at),
        "view": view,
        "resolvers": resolvers,
        "policy": policy,
        "status": STATUSES[judged.status],
        "reason": judged.reason,
        "ede": reason.ede if judged.reason != "none" else None,
        "rcode": rcode,
        "resolver_rcode": rcode_text(SERVFAIL) if judged.status == Status.BOGUS else rcode,
        "zone": _blamed(conclusion),
        "answer": conclusion.kind,
        "target": conclusion.target,
        "later": conclusion.is_later,
        "sentence": sentence(conclusion),
        "servers": [_server(server, captures) for server in _deciding_servers(conclusion)],
        "chain": [_link(link, at, captures) for link in judged.links],
    }


def sentence(conclusion: Conclusion) -> str:
    """Say in plain words what was concluded."""
    judged = conclusion.judged
    what = f"{said(conclusion.name)} {type_text(conclusion.type)}"
    broken = _deciding(conclusion)
    if judged.status == Status.SECURE:
        return f"A validating resolver would have accepted {what} as secure."
    if judged.status == Status.VALID:
        return (
            f"Every signature of {what} that was captured stands; the chain above it is not in the"
            " capture as a whole."
        )
    if judged.status == Status.INSECURE:
        return f"A validating resolver would have accepted {what} without validation."
    why = ""
    if broken is not None:
        zone = said(broken.signer or broken.zone)
        why = f" {REASONS[REASON_CODE[judged.reason]].sentence.format(zone=zone)}"
    if judged.status == Status.BOGUS:
        return f"A validating resolver would have refused {what} (SERVFAIL).{why}"
    return f"What was captured does not tell whether {what} would have been accepted.{why}"


def _deciding(conclusion: Conclusion) -> Link | None:
    """Return the highest link that made the whole what it is; of a secure answer, the last."""
    judged = conclusion.judged
    if judged.status == Status.SECURE:
        return judged.links[-1]
    return next(
        (k for k in judged.links if k.status == judged.status and k.reason == judged.reason), None
    )


def _blamed(conclusion: Conclusion) -> str | None:
    """Name the zone that the status comes from: the parent's where its DS RRset is at fault."""
    link = _deciding(conclusion)
    return None if link is None else link.signer or link.zone


def _deciding_servers(conclusion: Conclusion) -> tuple[ServerView, ...]:
    """Return who served what decides: the answer, or a link above it that is no good."""
    link = _deciding(conclusion)
    if link is None or link.status not in {Status.BOGUS, Status.INDETERMINATE}:
        return conclusion.servers
    if link.servers:
        return link.servers
    answered = {server.response.transaction for server in conclusion.servers}
    if not link.cited or answered & {cited.response.transaction for cited in link.cited}:
        return conclusion.servers
    return tuple(
        ServerView(cited.response, link.status, link.reason, cited.is_later) for cited in link.cited
    )


def _link(link: Link, at: int, captures: dict[int, str]) -> dict[str, Any]:
    return {
        "zone": link.zone,
        "signer": link.signer or link.zone,
        "link": link.kind,
        "status": STATUSES[link.status],
        "reason": link.reason,
        "name": link.name,
        "type": type_text(link.type),
        "keys": [{"tag": tag, "algorithm": algorithm} for tag, algorithm in link.keys],
        "frames": [cited.response.frame for cited in link.cited if cited.response.frame],
        "sightings": [_cited(cited, at, captures) for cited in link.cited],
        "source": "supplied" if link.is_supplied else "observed",
        "valid_until": None if link.until is None else rfc3339(link.until),
        "confidence": "weak" if link.is_weak else "strong",
        "sentence": _begun(link.sentence),
        "servers": [_server(server, captures) for server in link.servers],
    }


def _begun(text: str) -> str:
    """Begin a sentence that starts with `the root`; a domain name keeps its letters."""
    return f"The {text[4:]}" if text.startswith("the ") else text


def _cited(cited: Cited, at: int, captures: dict[int, str]) -> dict[str, Any]:
    response = cited.response
    return {
        "capture": captures.get(response.capture),
        "frame": response.frame or None,
        "time": rfc3339(response.time),
        "age": (at - response.time) / SECOND,
        "server": response.server,
        "nsid": response.nsid,
        "later": cited.is_later,
    }


def _server(view: ServerView, captures: dict[int, str]) -> dict[str, Any]:
    response = view.response
    return {
        "address": response.server,
        "nsid": response.nsid,
        "status": STATUSES[view.status],
        "reason": view.reason,
        "rcode": rcode_text(response.rcode),
        "capture": captures.get(response.capture),
        "frame": response.frame or None,
        "time": rfc3339(response.time),
        "later": view.is_later,
        "superseded": view.is_superseded,
    }


def partial(
    links: Sequence[Link], left: Sequence[Response], captures: dict[int, str]
) -> list[dict[str, Any]]:
    """Name responses of which an exporter left records out, where a link is open.

    Signatures there are not checkable, and none of them is missing. The first of each capture, with
    how many there are.
    """
    if all(link.status != Status.INDETERMINATE for link in links):
        return []
    found: dict[int, dict[str, Any]] = {}
    for response in left:
        row = {"capture": captures.get(response.capture), "frame": response.frame or None}
        found.setdefault(response.capture, {**row, "responses": 0})["responses"] += 1
    return list(found.values())


def rfc3339(time: int) -> str:
    """Write ns since 1970 as RFC 3339 UTC with nanoseconds."""
    seconds, rest = divmod(time, SECOND)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(time)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
