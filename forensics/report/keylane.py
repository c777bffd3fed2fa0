"""The lane of keys and DS: their lives, the signatures that they made, and the steps of a roll."""

from __future__ import annotations

from typing import Final

from forensics.report import times, words
from forensics.report.account import Report, Row, gravest_first, part, rows
from forensics.report.canvas import CHARACTER, WIDTH, Canvas
from forensics.report.lanes import INCIDENTS_DRAWN, zone_named
from forensics.report.rolls import ends

KEYS_DRAWN: Final = 16


def keys(canvas: Canvas, report: Report) -> bool:
    """Draw keys and DS as bars from their first to their last sighting, then hidden signers."""
    broken = {str(incident.get("zone")) for incident in gravest_first(report)}
    # The keys of broken zones come first, their own order kept: the rest may be cut off.
    found = sorted(
        rows(part(report, "series").get("keys")), key=lambda key: str(key.get("zone")) not in broken
    )
    hidden = [
        (incident, signer)
        for incident in gravest_first(report)[:INCIDENTS_DRAWN]
        for signer in rows(incident.get("signers"))
        if signer.get("published") is False
    ]
    if not found and not hidden:
        return False
    note = "bar: from first to last sighting; thin line: signatures that it made"
    if len(found) > KEYS_DRAWN:
        note += f"; {words.counted(len(found) - KEYS_DRAWN, 'further key')} not drawn"
    canvas.heading("Keys", note)
    for key in found[:KEYS_DRAWN]:
        first, last = times.parse(key.get("first")), times.parse(key.get("last"))
        kind = str(key.get("type", "DNSKEY"))
        canvas.label(canvas.y + 12, f"{kind} {key.get('tag', '?')} · {zone_named(key)}")
        if first is not None and last is not None:
            left, right = canvas.x(first), canvas.x(last)
            style = "ds-line" if kind.endswith("DS") else "key"
            hint = f"{times.exact(first)} to {times.exact(last)} UTC"
            canvas.box(left, canvas.y + 3, right - left, 11, style, hint)
            for time, text in ends(key, found, ("first", "last"), ("first seen", "last seen")):
                told = f"{text} {times.exact(time)} UTC"
                canvas.diamond(canvas.x(time), canvas.y + 8.5, "mark", told)
            name = words.algorithm(key.get("algorithm"))
            if right - left > len(name) * CHARACTER + 12:
                inside = "small" if style == "ds-line" else "small inside"
                canvas.text(left + 6, canvas.y + 12.4, name, inside)
            elif right + len(name) * CHARACTER + 8 < WIDTH:
                canvas.text(right + 6, canvas.y + 12, name, "small")
            _signing(canvas, key)
        canvas.y += 21
    for incident, signer in hidden[:KEYS_DRAWN]:
        onset, recovery = part(incident, "onset"), part(incident, "recovery")
        first, last = times.parse(onset.get("first_bad")), times.parse(recovery.get("last_bad"))
        canvas.label(canvas.y + 12, f"signer {signer.get('tag', '?')} · {zone_named(incident)}")
        if first is not None:
            left = canvas.x(first)
            right = canvas.x(canvas.end if last is None else last)
            canvas.box(left, canvas.y + 1, right - left, 15, "ghost")
            made = words.counted(signer.get("signatures"), "signature")
            text = f"never published · {made}"
            if signer.get("recovered"):
                text += " · key recovered"
            if right - left > len(text) * CHARACTER + 12:
                canvas.text(left + 6, canvas.y + 12.4, text, "t-bad small")
            elif right + len(text) * CHARACTER + 8 < WIDTH:
                canvas.text(right + 8, canvas.y + 12, text, "t-bad")
            else:
                canvas.text(left - 8, canvas.y + 12, text, "t-bad end")
        canvas.y += 20
    return True


def _signing(canvas: Canvas, key: Row) -> None:
    """Draw from when to when signatures were seen that a key made, by cryptography."""
    first, last = times.parse(key.get("signed_first")), times.parse(key.get("signed_last"))
    if first is None or last is None:
        return
    left = canvas.x(first)
    hint = f"its signatures were seen from {times.exact(first)} to {times.exact(last)} UTC"
    canvas.box(left, canvas.y + 15.5, canvas.x(last) - left, 2.5, "signing", hint)
