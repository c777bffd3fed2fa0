"""The Python interface for notebooks and scripts: `forensics.analyze(paths)` and its result.

Times are UTC, nanoseconds: pandas `datetime64[ns, UTC]`. The columns of each table are described,
one line each, in `forensics.schemas`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from forensics.errors import UsageError

__all__ = ["Analysis", "Chart", "analyze"]


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing: shown by Jupyter, or saved.

    Attributes:
        name: as in `Analysis.charts`.
        svg: the drawing, a whole SVG file.
    """

    name: str
    svg: str

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing; `.png` is drawn as pixels, anything else is SVG."""
        target = Path(path)
        if target.suffix.lower() == ".png":
            from vl_convert import svg_to_png

            target.write_bytes(bytes(svg_to_png(self.svg, scale=2)))
        else:
            target.write_text(self.svg, encoding="utf-8")
        return target

    def _repr_svg_(self) -> str:
        return self.svg


class Analysis:
    """What came of a run: the report, the tables behind it, and its drawings.

    Args:
        folder: what `dns-forensics analyze` wrote.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Read the report of a folder.

        Raises:
            UsageError: no report there.
        """
        import json

        self.folder = Path(folder)
        try:
            self.report: dict[str, Any] = json.loads(
                (self.folder / "report.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            raise UsageError(f"{folder}: no report; make one with forensics.analyze") from None

    def arrow(self, name: str) -> Any:
        """Give a table of `forensics.schemas.TABLES` as a pyarrow Table.

        Raises:
            UsageError: no such table.
        """
        from forensics import schemas
        from forensics.archive.tables import read_table

        known = dict(schemas.TABLES)
        if name not in known:
            raise UsageError(f"{name}: no such table; there are {', '.join(known)}")
        try:
            return read_table(self.folder / "tables", name)
        except FileNotFoundError:
            raise UsageError(f"{self.folder}: holds no table {name}") from None

    def pandas(self, name: str) -> Any:
        """Give a table of `forensics.schemas.TABLES` as a pandas DataFrame."""
        return self.arrow(name).to_pandas()

    @property
    def transactions(self) -> Any:
        """Queries with their responses: a DataFrame of schemas.TRANSACTIONS."""
        return self.pandas("transactions")

    @property
    def signatures(self) -> Any:
        """The distinct signatures: a DataFrame of schemas.SIGNATURES."""
        return self.pandas("signatures")

    @property
    def sightings(self) -> Any:
        """Each time a signature was seen: a DataFrame of schemas.SIGHTINGS."""
        return self.pandas("sightings")

    @property
    def keys(self) -> Any:
        """DNSKEY and DS RRsets through time: a DataFrame of schemas.KEYS."""
        return self.pandas("keys")

    @property
    def verdicts(self) -> Any:
        """Status and reason by signature, place and time: a DataFrame of schemas.VERDICTS."""
        return self.pandas("verdicts")

    @property
    def incidents(self) -> Any:
        """One row an incident, gravest first: a DataFrame; `report` has all of each.

        Columns: id, zone, reason, ede, severity, confidence, view; last_good, first_bad, last_bad,
        first_good (times, NaT: not in the capture); servers, servfail, clients, names (counts);
        sentence.
        """
        import pandas as pd

        rows = [
            {
                **{
                    name: incident[name]
                    for name in ("id", "zone", "reason", "ede", "severity", "confidence", "view")
                },
                **incident["onset"],
                **incident["recovery"],
                "servers": len(incident["servers"]),
                **{name: incident["impact"][name] for name in ("servfail", "clients", "names")},
                "sentence": incident["sentence"],
            }
            for incident in self.report["incidents"]
        ]
        frame = pd.DataFrame(rows, columns=_INCIDENT_COLUMNS)
        for name in ("last_good", "first_bad", "last_bad", "first_good"):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").astype(
                "datetime64[ns, UTC]"
            )
        return frame

    @property
    def charts(self) -> tuple[str, ...]:
        """Names of the drawings."""
        from forensics.report.charts import FIGURES

        return tuple(name for name, _, _ in FIGURES)

    def chart(self, name: str = "timeline") -> Chart:
        """Draw one of `charts`.

        Raises:
            UsageError: no such drawing, or the report has no data for it.
        """
        from forensics.report.charts import FIGURES

        drawings = {known: draw for known, _, draw in FIGURES}
        if name not in drawings:
            raise UsageError(f"{name}: no such chart; there are {', '.join(drawings)}")
        svg = drawings[name](self.report, standalone=True)
        if not svg:
            raise UsageError(f"{name}: the captures hold nothing to draw there")
        return Chart(name, svg)

    @property
    def summary(self) -> str:
        """The answer in a few lines of plain text."""
        from forensics.report.summary import render_summary

        return render_summary(self.report)

    def __repr__(self) -> str:
        """Name the number of incidents and the folder."""
        return f"<Analysis: {len(self.report['incidents'])} incidents, {self.folder}>"

    def _repr_html_(self) -> str:
        from forensics.report.charts import timeline

        # The drawing escapes every text in it.
        return f"<pre>{escape(self.summary)}</pre>{timeline(self.report, standalone=True)}"


_INCIDENT_COLUMNS = (
    "id", "zone", "reason", "ede", "severity", "confidence", "view",
    "last_good", "first_bad", "last_bad", "first_good",
    "servers", "servfail", "clients", "names", "sentence",
)  # fmt: skip


def analyze(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    figures: bool = False,
    **options: Any,
) -> Analysis:
    """Read captures, revalidate every signature, and give the result.

    Args:
        paths: one capture, or several.
        out: folder for the report; None: a temporary one, which goes with the result.
        figures: draw the figures of report.md too.
        options: fields of `forensics.options.Options`; `trust_anchors`, `ports`, `servers` and
            `resolvers` may be any iterable, `start` and `end` ns since 1970 or anything that
            pandas reads as a time (without a zone: UTC).

    Raises:
        UsageError: an option is wrong, or `out` is a folder of something else.
        NoInputError: not one input could be read.
    """
    from forensics import pipeline

    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    chosen = _options(options)
    if out is not None:
        pipeline.analyze([os.fspath(path) for path in named], out, chosen, figures=figures)
        return Analysis(out)
    folder = tempfile.mkdtemp(prefix="dns-forensics-")
    try:
        made = Path(folder) / "report"
        pipeline.analyze([os.fspath(path) for path in named], made, chosen, figures=figures)
        analysis = Analysis(made)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(analysis, shutil.rmtree, folder, ignore_errors=True)
    return analysis


def _options(given: dict[str, Any]) -> Any:
    """Make the pipeline's options.

    Raises:
        UsageError: there is no such option, or its value is of no use.
    """
    from forensics.options import Options

    values = dict(given)
    for name, kind in (
        ("trust_anchors", tuple), ("ports", frozenset), ("servers", frozenset),
        ("resolvers", frozenset), ("keys", tuple), ("anonymize_names", tuple),
    ):  # fmt: skip
        if name in values:
            items = values[name]
            items = [items] if isinstance(items, str | os.PathLike | int) else items
            values[name] = kind(
                os.fspath(item) if isinstance(item, os.PathLike) else item for item in items
            )
    for name in ("start", "end"):
        if values.get(name) is not None and not isinstance(values[name], int):
            values[name] = _instant(values[name], name)
    try:
        return Options(**values)
    except TypeError as error:
        raise UsageError(str(error).replace("Options.__init__() ", "")) from None


def _instant(value: Any, name: str) -> int:
    """Read a time as ns since 1970."""
    import pandas as pd

    try:
        moment = pd.Timestamp(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name}={value!r}: not a time") from None
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return int(moment.as_unit("ns").value)
