"""`rehearse`: from a recording and a zone file to whether the zone may be published.

Beside `pipeline.py`, as `explain.py` is: it reads captures into tables where they are none yet, and
holds the zone against them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.errors import InputError, UsageError
from forensics.options import Options

if TYPE_CHECKING:
    from forensics.knowledge import DelegationSigner, ZoneKeys

Progress = Callable[[str, int, int], None]

_LENGTH = re.compile(r"(\d+)([smhdw]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def rehearse(
    sources: Sequence[str],
    zone_file: Path,
    at: int,
    options: Options,
    *,
    delegation: Path | None = None,
    origin: str | None = None,
    valid_for: str | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], tuple[InputError, ...]]:
    """Rehearse the publication of a zone; return what `--json` prints, and inputs of no use.

    Args:
        sources: a dataset, a report's folder, or captures.
        zone_file: the signed zone.
        at: ns since 1970, when it is to be published.
        options: ports, and the roles of addresses.
        delegation: file of the DS (or DNSKEY) records that will be in force; None: those recorded.
        origin: what relative names of the zone file are completed by.
        valid_for: a length of time such as 3d; signatures that end sooner are refused.
        progress: called while captures are read and signatures verified.

    Raises:
        UsageError: an option is wrong, or the zone file cannot be read.
        NoInputError: not one capture could be read.
    """
    from forensics.archive.tables import read_table
    from forensics.explain import tables_of
    from forensics.rehearsal.json import to_json
    from forensics.rehearsal.trial import rehearse as run
    from forensics.rehearsal.zonefile import read_zone
    from forensics.validation.deniers import text

    options.check()
    lasting = None if valid_for is None else at + _seconds(valid_for) * 1_000_000_000
    zone = read_zone(zone_file, origin)
    given = None if delegation is None else _delegation(delegation, text(zone.apex))
    with tables_of(sources, options, progress) as (folder, errors):
        outcome = run(
            zone,
            _recording(folder, text(zone.apex), at),
            at,
            given=given,
            lasting=lasting,
            progress=progress,
        )
        captures = read_table(folder, "captures", ["capture", "path"])
        paths = dict(
            zip(captures["capture"].to_pylist(), captures["path"].to_pylist(), strict=True)
        )
        return to_json(outcome, str(zone_file), paths), errors


def _recording(folder: Path, zone: str, at: int) -> Any:
    """Give what the tables hold of a zone up to an instant."""
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches, read_table
    from forensics.rehearsal.trial import Recording
    from forensics.scope import Scope
    from forensics.validation.strays import contested, marked, undisputed

    scope = Scope(zone, None, at + 1)
    signatures = read_table(folder, "signatures")
    # The parent's signatures over the DS RRset tell when it was seen.
    signatures = signatures.filter(
        pc.or_(pc.equal(signatures["signer"], zone), pc.equal(signatures["owner"], zone))
    )
    disputed = contested(
        lambda: iter_batches(folder, "transactions"), lambda: iter_batches(folder, "sightings")
    )

    def sightings() -> Iterator[Any]:
        return marked(scope.answers(iter_batches(folder, "sightings"), signatures), disputed)

    def transactions() -> Iterator[Any]:
        return scope.transactions(iter_batches(folder, "transactions"))

    keys = read_table(folder, "keys")
    keys = undisputed(scope.keys(keys.filter(pc.equal(keys["zone"], zone))), disputed)
    return Recording(
        _known(folder, zone, keys, transactions, sightings, signatures, disputed),
        signatures,
        sightings,
        transactions,
    )


def _known(
    folder: Path,
    zone: str,
    keys: Any,
    transactions: Callable[[], Iterator[Any]],
    sightings: Callable[[], Iterator[Any]],
    signatures: Any,
    disputed: Any,
) -> ZoneKeys | None:
    """Give what was seen of the zone's keys, and of answers that the parent has no DS for it."""
    from forensics.archive.tables import read_table
    from forensics.keyring import view
    from forensics.validation.keyless import read

    places = read_table(folder, "places")
    anchored: set[str] = set()
    keyless = read(transactions, sightings, signatures, anchored, places, disputed)
    absences = [row[:4] for row in keyless.absences if row.zone == zone]
    return view.build(keys, places, absences, keyless.shown).get(zone)


def _delegation(path: Path, zone: str) -> list[DelegationSigner]:
    """Read the DS RRset that will be in force; an empty file: there will be none.

    Raises:
        UsageError: the file is no such, or speaks of another zone.
    """
    from forensics.keyring import anchors
    from forensics.knowledge import DelegationSigner

    try:
        if path.is_file() and not path.read_bytes().strip():
            return []
    except OSError as error:
        raise UsageError(f"--ds {path}: {(error.strerror or 'error').lower()}") from None
    found = [one for one in anchors.read(path) if one.zone == zone]
    if not found:
        raise UsageError(f"--ds {path}: it holds no DS or DNSKEY record of {zone}")
    return sorted(
        DelegationSigner(one.tag, one.algorithm, one.digest_type, one.digest) for one in found
    )


def _seconds(text: str) -> int:
    """Read a length of time such as 3d, 36h or 600."""
    parts = _LENGTH.fullmatch(text.strip())
    if parts is None or len(parts[1]) > 9:
        raise UsageError(f"--valid-for {text}: write it like 3d, 36h, 90m or 600s")
    return int(parts[1]) * _UNITS[parts[2]]
