"""The tables under an incident's cause and impact in report.md."""

from __future__ import annotations

from forensics.report import times, words
from forensics.report.account import Row, part, rows
from forensics.report.citations import Citations
from forensics.report.escape import code, markdown
from forensics.report.tables import display_filter, table


def servers(incident: Row, cited: Citations) -> str:
    """List good and bad sightings and both brackets by server."""
    return table(
        (
            "Server", "NSID", "Good:", "Bad:",
            "Last good (UTC)", "First bad (UTC)", "Last bad (UTC)", "Good again (UTC)",
        ),
        (
            (
                code(str(row.get("address", "?"))),
                code(str(row.get("nsid") or "")),
                words.number(row.get("good")),
                words.number(row.get("bad")),
                cited.stamp(part(row, "onset").get("last_good")),
                cited.stamp(part(row, "onset").get("first_bad") or row.get("first_bad")),
                cited.stamp(part(row, "recovery").get("last_bad")),
                cited.stamp(part(row, "recovery").get("first_good")),
            )
            for row in rows(incident.get("servers"))
        ),
    )  # fmt: skip


def signers(incident: Row) -> str:
    """List the keys that made the signatures."""
    return table(
        ("Key", "Published", "Signatures:"),
        (
            (
                markdown(_key(row)),
                "yes" if row.get("published") else _unpublished(row),
                words.number(row.get("signatures")),
            )
            for row in rows(incident.get("signers"))
        ),
    )


def keys(incident: Row) -> str:
    """List the keys that were visible then."""
    return table(
        ("Key", "Role", "Published"),
        (
            (
                markdown(_key(row)),
                markdown(str(row.get("role") or "")),
                "yes" if row.get("published") else "no",
            )
            for row in rows(incident.get("keys"))
        ),
    )


def _unpublished(row: Row) -> str:
    """Say what is known of a signer that was never published."""
    if row.get("recoverable") is False:
        return "**never**; EdDSA signatures do not reveal their key"
    return "**never**, recovered from its signatures" if row.get("recovered") else "**never**"


def _key(row: Row) -> str:
    """Name a key by tag and algorithm."""
    return f"{row.get('tag', '?')} ({words.algorithm(row.get('algorithm', '?'))})"


def validity(incident: Row) -> str:
    """List by policy when a signature is refused that was bad by its time."""
    told = part(incident, "validity")
    listed = table(
        ("Validator (default settings)", "Would refuse from (UTC)", "Would refuse until (UTC)"),
        (
            (
                markdown(str(row.get("policy", "?"))),
                times.stamp(row.get("would_refuse_from")),
                times.stamp(row.get("would_refuse_until")),
            )
            for row in rows(told.get("policies"))
        ),
    )
    return listed and f"{markdown(str(told.get('sentence') or ''))}\n\n{listed}"


def resolvers(incident: Row) -> str:
    """List what resolvers told their clients."""
    return table(
        ("Resolver", "SERVFAIL:", "Answered:", "Said"),
        (
            (
                code(words.place(row)),
                words.number(row.get("servfail")),
                words.number(row.get("answered")),
                markdown(
                    ", ".join(
                        f"{words.ede(said) or said}: {words.number(count)}"
                        for said, count in part(row, "ede").items()
                    )
                ),
            )
            for row in rows(incident.get("resolvers"))
        ),
    )


def testimony(incident: Row) -> str:
    """List the validation failures in the logs that were given, with their own words."""
    return table(
        ("Log", "Written by", "Failures:", "First (UTC)", "Last (UTC)", "In its own words"),
        (
            (
                code(str(row.get("log", "?"))),
                markdown(str(row.get("format", "?"))),
                words.number(row.get("failures")),
                times.stamp(row.get("first")),
                times.stamp(row.get("last")),
                "; ".join(
                    f"{markdown(str(said.get('text', '?')))} ({words.number(said.get('count'))})"
                    for said in rows(row.get("words"))
                ),
            )
            for row in rows(incident.get("testimony"))
        ),
    )


def chain(incident: Row) -> str:
    """List the links of the chain of trust, the root first."""
    return table(
        ("Zone", "Link", "Status", "Key", "Display filter"),
        (
            (
                code(str(row.get("zone", "?"))),
                markdown(words.phrase(row.get("link", "?"))),
                markdown(_status(row)),
                ", ".join(str(key.get("tag", "?")) for key in rows(row.get("keys"))),
                " ".join(display_filter({"frame": at}) for at in (row.get("frames") or [])[:4]),
            )
            for row in rows(incident.get("chain"))
        ),
    )


def _status(link: Row) -> str:
    """Write a link's status, with the reason where there is one."""
    reason = link.get("reason")
    status = str(link.get("status", "?"))
    return status if reason in (None, "none") else f"{status}: {words.phrase(reason)}"
