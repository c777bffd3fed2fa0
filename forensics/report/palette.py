"""The colours and the drawing styles, for the page (light and dark) and for figure files.

Good is blue and bad is vermilion, which people with any of the common colour deficiencies tell
apart; each also differs in shape, place or hatching, so that a black-and-white print still reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

LIGHT: Final = {
    "paper": "#fdfcf8",
    "sheet": "#f4f1e9",
    "ink": "#1c1e22",
    "muted": "#5c616b",
    "line": "#d8d3c6",
    "good": "#0a5f98",
    "good-soft": "#cfe1ee",
    "bad": "#ad2d13",
    "bad-soft": "#f7dcd2",
    "open": "#8b8f97",
    "chain": "#1c7436",
    "key": "#2c7a68",
    "ds": "#82549b",
    "mark": "#7a5b00",
    "mark-soft": "#f5e7b8",
}

DARK: Final = {
    "paper": "#15171b",
    "sheet": "#1e2126",
    "ink": "#e9e6df",
    "muted": "#a5a9b2",
    "line": "#373b43",
    "good": "#72b6ea",
    "good-soft": "#1e3b53",
    "bad": "#ff8a68",
    "bad-soft": "#4b271c",
    "open": "#878c96",
    "chain": "#6ec98a",
    "key": "#63c7ae",
    "ds": "#c7a0da",
    "mark": "#e3c15c",
    "mark-soft": "#43391a",
}

CHART_CSS: Final = """
.chart text{font-family:"Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif;
font-size:11.5px;fill:var(--ink)}
.chart .small{font-size:10.5px;fill:var(--muted)}
.chart .inside{fill:var(--paper)}
.chart .strong{font-weight:700}
.chart .t-bad{fill:var(--bad);font-weight:700}
.chart .t-bad.small{fill:var(--bad)}
.chart .t-good{fill:var(--good);font-weight:700}
.chart .t-mark{fill:var(--mark)}
.chart .end{text-anchor:end}
.chart .middle{text-anchor:middle}
.chart .paper{fill:var(--paper)}
.chart .grid{stroke:var(--line);stroke-width:1;fill:none}
.chart .axis{stroke:var(--muted);stroke-width:1;fill:none}
.chart .good{fill:var(--good)}
.chart .good-soft{fill:var(--good-soft)}
.chart .bad{fill:var(--bad)}
.chart .bad-soft{fill:var(--bad-soft)}
.chart .retry{fill:var(--bad);fill-opacity:.32}
.chart .bad-line{stroke:var(--bad);stroke-width:1.5;fill:none}
.chart .good-line{stroke:var(--good);stroke-width:1.5;fill:none}
.chart .dashed{stroke-dasharray:4 3}
.chart .open{fill:var(--open)}
.chart .open-line{stroke:var(--open);stroke-width:1.2;fill:none}
.chart .key{fill:var(--key)}
.chart .signing{fill:var(--ink)}
.chart .ds{fill:var(--ds)}
.chart .ds-line{stroke:var(--ds);stroke-width:1.5;fill:var(--paper)}
.chart .ghost{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 3;fill:none}
.chart .mark{fill:var(--mark)}
.chart .mark-soft{fill:var(--mark-soft)}
.chart .mark-line{stroke:var(--mark);stroke-width:1.2;fill:none}
.chart .halo{fill:var(--paper);stroke:var(--bad);stroke-width:2}
.chart .halo-good{fill:var(--paper);stroke:var(--good);stroke-width:2}
"""

_VARIABLE: Final = re.compile(r"var\(--([a-z-]+)\)")


def variables(colours: Mapping[str, str]) -> str:
    """Declare the colours as CSS variables."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def fixed(css: str, colours: Mapping[str, str]) -> str:
    """Put the colours in place of the variables: SVG renderers beyond browsers know none."""
    return _VARIABLE.sub(lambda match: colours[match.group(1)], css)
