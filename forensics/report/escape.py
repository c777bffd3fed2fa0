"""Hostile text made harmless: visible first, then escaped for the medium it goes to.

Names, texts and paths in a report come from captured packets. Each writer passes every one of them
through `visible` and then through the escape of its own medium: jinja2's autoescape for HTML,
`xml` for SVG, `markdown` or `code` for Markdown. A terminal needs `visible` alone.
"""

from __future__ import annotations

import re
from typing import Any, Final

TEXT_LIMIT: Final = 2_000
"""Characters of one text that are shown. A DNS name has at most 1,016 in presentation form; an
EXTRA-TEXT of an extended DNS error may have 65,000, and a page must still open."""

_HIDDEN: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls: terminal escapes, line breaks
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # no glyph of their own
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line separators, bidirectional
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff"  # lone surrogates: not encodable
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # tags: invisible text
    "]"
)

_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>|~&$]|^[-+=#]")
_LIST_START: Final = re.compile(r"^(\d+)([.)])(?=\s|$)")
_AUTOLINK: Final = re.compile(r":(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\.", re.IGNORECASE)
_BACKTICKS: Final = re.compile(r"`+")


def _written_out(match: re.Match[str]) -> str:
    """Write one hidden character as its number."""
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{{{code:04x}}}"


def visible(text: str) -> str:
    r"""Make each character visible, and the text short enough for a page.

    Controls become `\x1b`, bidirectional and zero-width characters `\u{202e}`.
    """
    if len(text) > TEXT_LIMIT:
        text = f"{text[:TEXT_LIMIT]}… ({len(text) - TEXT_LIMIT} more characters)"
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(_written_out, text)


def shown(value: Any) -> Any:
    """Pass through what is no text; make text visible. Used by jinja2 on every expression."""
    # The exact type: jinja2's Markup, a subclass, is our own finished markup.
    return visible(value) if type(value) is str else value


def xml(text: str) -> str:
    """Escape visible text for SVG, for content and double-quoted attributes alike."""
    text = visible(text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")


def markdown(text: str) -> str:
    """Escape text for a paragraph or table cell of GitHub's Markdown: no markup, no links."""
    text = _SPECIAL.sub(r"\\\g<0>", visible(text).lstrip())
    text = _AUTOLINK.sub(r"\\\g<0>", text)
    text = _LIST_START.sub(r"\1\\\2", text)
    # An empty comment parts what the forge would make a mention or a mail link of.
    return text.replace("@", "@<!-- -->")


def code(text: str) -> str:
    """Wrap text into a code span that also stands in a table cell (GFM 4.10: pipes escaped)."""
    text = visible(text).replace("|", r"\|")
    if not text.strip():
        return ""
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"
