"""How the files of a dataset that grows are named, and which of its versions this program reads.

::

    manifest.json                                   what counts; written last
    transactions/day=2026-05-05/sensor=ns1/part=<id>/rows.parquet
    sightings/…  unsigned/…                         likewise
    parts/<id>/…                                    the rest of what one input gave; part.json last
    states/<id>/…                                   all parts together: short tables, stitches
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from forensics.errors import UsageError

LAYOUT: Final = 2
"""Version of this layout. A reader reads its own version and older ones that `MIGRATIONS` names."""

LONG: Final = ("transactions", "sightings", "unsigned")
"""The tables that are parted by day and sensor."""

KEY_TAGS_FILE: Final = "key_tags.parquet"
"""Of the files that a part may lack."""

RECORD: Final = "part.json"
INDEX: Final = "index.json"
MANIFEST: Final = "manifest.json"
_DAY: Final = 86_400 * 10**9


def day_of(time: int) -> str:
    """The day of a time in ns since 1970, UTC."""
    return datetime.fromtimestamp(time // _DAY * 86_400, UTC).strftime("%Y-%m-%d")


def day_number(time: int) -> int:
    """Days since 1970."""
    return time // _DAY


def long_name(table: str, day: str, sensor: str, part: str) -> str:
    """The name of a part's rows of one day."""
    return f"{table}/day={day}/sensor={sensor}/part={part}/rows.parquet"


def part_name(part: str, file: str = RECORD) -> str:
    """The name of a file of a part's folder."""
    return f"parts/{part}/{file}"


def sensor_name(text: str) -> str:
    """Make a name for a sensor that is safe in a path of any engine."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "sensor"


def migrated(manifest: dict[str, Any], where: str) -> dict[str, Any]:
    """Bring a dataset's manifest to the present layout.

    Files of a part never change, so a migration only tells how an old manifest is read now; a
    layout that no step leads from must be ingested again.

    Raises:
        UsageError: the dataset was written by a later version, or by one too old.
    """
    version = manifest.get("layout")
    while version != LAYOUT:
        step = MIGRATIONS.get(version) if isinstance(version, int) else None
        if step is None:
            later = isinstance(version, int) and version > LAYOUT
            what = (
                "a later version of this program wrote it; use that one"
                if later
                else ("this layout is not read any more; ingest the captures again")
            )
            raise UsageError(f"{where}: dataset layout {version}, known is {LAYOUT}: {what}")
        manifest = step(manifest)
        version = manifest.get("layout")
    return manifest


def _from_zero(manifest: dict[str, Any]) -> dict[str, Any]:
    """Layout 0 named no sensors: all its inputs were of one."""
    parts = {
        name: {"sensor": "sensor", **entry} for name, entry in manifest.get("parts", {}).items()
    }
    return {**manifest, "parts": parts, "layout": 1}


def _from_one(manifest: dict[str, Any]) -> dict[str, Any]:
    """Layout 1 left no packets for seams, and read no TLS: its parts stay as they are."""
    settings = {"tls_keylogs": [], **manifest.get("settings", {})}
    return {**manifest, "settings": settings, "layout": 2}


MIGRATIONS: Final = {0: _from_zero, 1: _from_one}
"""Steps from one layout to the next, by the number of the older one."""
