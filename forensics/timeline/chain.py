"""The chain of trust as it stood at the first bad answer, link by link, from the root down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forensics import vocabulary
from forensics.timeline import keysets
from forensics.timeline.columns import coded
from forensics.timeline.evidence import Catalog, Evidence, Judge
from forensics.timeline.lineage import parent
from forensics.timeline.moments import Moment
from forensics.timeline.quote import link_of


def above(zone: str) -> list[str]:
    """Give a name and its ancestors, the root first."""
    found = [zone]
    while (up := parent(found[-1])) is not None:
        found.append(up)
    return found[::-1]


def links(
    zone: str,
    reason: str,
    first_bad: Moment,
    place: int,
    runs: Mapping[str, Sequence[keysets.Run]],
    evidence: Evidence,
    catalog: Catalog,
    judge: Judge,
) -> list[dict[str, Any]]:
    """Give `chain`: the DS and DNSKEY RRsets of each zone on the way, then what was bad.

    A link that was not captured is left out: that says nothing against it. Each cites the sighting
    nearest to the first bad answer. An RRset with several signatures is as good as the best.

    Args:
        zone: whose link is broken.
        reason: the incident's, for the last link.
        first_bad: where the incident begins.
        place: who sent it.
        runs: of the zone and its ancestors.
        evidence: for the owners of signatures.
        catalog: the signatures as arrays.
        judge: the verdicts.
    """
    import pyarrow.compute as pc

    owners = coded(evidence.signatures["owner"])
    found = []
    for name in above(zone):
        for kind in (vocabulary.TYPE_DS, vocabulary.TYPE_DNSKEY):
            held = _nearest(runs.get(name, ()), kind, first_bad, place)
            if held is None or (name == "." and kind == vocabulary.TYPE_DS):
                continue
            run, moment = held
            code = pc.index(owners.values, name).as_py()
            mine = (catalog.row >= 0) & (catalog.type == kind)
            mine[mine] = owners.codes[catalog.row[mine]] == code if code >= 0 else False
            signatures = np.flatnonzero(mine)
            found.append(_link(name, kind, run, moment, signatures, first_bad, catalog, judge))
    signature = first_bad.signature
    if 0 <= signature < len(catalog.type):
        kind = int(catalog.type[signature])
        if found and found[-1]["status"] == "bogus" and link_of(kind) == found[-1]["link"]:
            return found
        found.append(
            {
                "zone": zone,
                "link": link_of(kind),
                "status": "bogus",
                "reason": reason,
                "keys": [_key(signature, catalog)],
                "frames": [first_bad.frame],
            }
        )
    return found


def _nearest(
    runs: Sequence[keysets.Run], kind: int, moment: Moment, place: int
) -> tuple[keysets.Run, Moment] | None:
    """Give the key set seen nearest to a moment, and where."""
    seen = keysets.nearest(runs, kind, moment, place)
    if seen is None:
        return None
    return next((run, seen) for run in runs if run.type == kind and seen in (run.first, run.last))


def _link(
    name: str,
    kind: int,
    run: keysets.Run,
    moment: Moment,
    signatures: np.ndarray[Any, np.dtype[np.int64]],
    first_bad: Moment,
    catalog: Catalog,
    judge: Judge,
) -> dict[str, Any]:
    """Judge a DS or DNSKEY RRset by the best of its signatures at the time of the first bad one."""
    status, reason, best = vocabulary.Status.INDETERMINATE, 0, -1
    if len(signatures):
        places = np.full(len(signatures), run.place, dtype=np.int64)
        times = np.full(len(signatures), first_bad.time, dtype=np.int64)
        verdicts, reasons, _, _ = judge.codes(signatures, places, times)
        best = int(np.lexsort((signatures, verdicts))[0])
        status, reason = vocabulary.Status(int(verdicts[best])), int(reasons[best])
    signed = kind == vocabulary.TYPE_DNSKEY and best >= 0
    keys = (
        [_key(int(signatures[best]), catalog)]
        if signed
        else [{"tag": key.tag, "algorithm": key.algorithm} for key in run.keys]
    )
    return {
        "zone": name,
        "link": link_of(kind),
        "status": vocabulary.STATUSES[status],
        "reason": vocabulary.REASONS[reason].code,
        "keys": keys,
        "frames": [moment.frame],
    }


def _key(signature: int, catalog: Catalog) -> dict[str, int]:
    """Name the key that a signature names."""
    return {"tag": int(catalog.tag[signature]), "algorithm": int(catalog.algorithm[signature])}
