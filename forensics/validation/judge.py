"""From signatures, sightings and keys to verdicts: the whole of the second judgement.

Signatures of one signer, tag and algorithm that the same keys verify share one function of time at
each place (`published`, `chain`); arrays then cut it at each signature's own validity period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain as chained
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import ALWAYS, FOREVER, Anchor, Note, SightingPairs, ZoneKeys
from forensics.validation.absences import judge_absences
from forensics.validation.bench import Bench
from forensics.validation.checks import Checked, Known, check
from forensics.validation.clock import clock_notes
from forensics.validation.exchanges import Streams
from forensics.validation.heldview import ResolverView, resolver_view
from forensics.validation.intervals import write
from forensics.validation.keyless import Keyless
from forensics.validation.outofstep import refused
from forensics.validation.policy import POLICIES, Policy
from forensics.validation.rollover import rollover_notes
from forensics.validation.subjects import Subjects, joined, judge_subjects
from forensics.validation.validity import validity


@dataclass(frozen=True)
class Judgement:
    """What validation found.

    Attributes:
        checks: schemas.CHECKS.
        verdicts: schemas.VERDICTS, in order of signature, place and start.
        notes: what the report must say besides.
        subjects: verdicts' subjects that are no signatures, None: there were none.
        held: what each resolver would have concluded by what it held.
    """

    checks: Any
    verdicts: Any
    notes: list[Note]
    subjects: Subjects | None = None
    held: ResolverView = field(default_factory=ResolverView)


def judge(
    signatures: Any,
    pairs: SightingPairs,
    keys: Mapping[str, ZoneKeys],
    places: Any,
    anchors: Iterable[Anchor],
    policy: Policy = POLICIES["strict"],
    window: tuple[int, int] | None = None,
    keyless: Keyless | None = None,
    sightings: Callable[[], Iterator[Any]] | None = None,
    streams: Streams | None = None,
    made_before: Known | None = None,
) -> Judgement:
    """Judge every signature at every place and time that it was seen at.

    Args:
        signatures: schemas.SIGNATURES.
        pairs: which signature was seen where and when.
        keys: what is known of keys, by zone (keyring.view.build).
        places: schemas.PLACES.
        anchors: trust anchors.
        policy: what the validator accepts; `strict` judges evidence.
        window: ns, (first, last): the time of the capture; None: that of the sightings.
        keyless: answers to key queries that held no keys.
        sightings: gives schemas.SIGHTINGS as record batches; None: caches are not spoken of.
        streams: the long tables, to judge what responses lack and deny; None: that is left out.
        made_before: checks of signatures that need not be made again.
    """
    import pyarrow as pa

    signatures = signatures.combine_chunks()
    checked = check(signatures, keys, made_before)
    order = np.lexsort((pairs.last, pairs.first, pairs.place, pairs.signature))
    pairs = SightingPairs(*(getattr(pairs, name)[order] for name in _PAIR_FIELDS))
    # A hostile clock may stand at the ends of what 64 bits hold: keep one instant of room.
    edges = ALWAYS + 2, FOREVER - 2
    pairs = replace(pairs, first=np.clip(pairs.first, *edges), last=np.clip(pairs.last, *edges))
    row, known = _rows(signatures["signature"].to_numpy().astype(np.int64), pairs.signature)
    if not known.all():
        pairs = SightingPairs(*(getattr(pairs, name)[known] for name in _PAIR_FIELDS))
        row = row[known]
    if len(pairs) == 0:
        return Judgement(checked.table, write(signatures, None), [])
    low = min(int(pairs.first.min()), window[0] if window else FOREVER)
    high = max(int(pairs.last.max()), window[1] if window else ALWAYS)
    if keyless is not None:
        times = [row.time for row in keyless.absences]
        times += [a.time for failure in keyless.failures for a in failure.attempts]
        low, high = min([low, *times]), max([high, *times])
    resolver = [
        place
        for place, role in zip(places["place"].to_pylist(), places["role"].to_pylist(), strict=True)
        if role == "resolver"
    ]
    bench = Bench(signatures, checked, keys, pairs, row, policy, low, high, frozenset(resolver))
    bench.trust.trust(anchors)
    notes = [*bench.trust.notes, *rollover_notes(bench.trust)]
    spans = bench.spans()
    verdicts = write(signatures, spans)
    names = sorted({group.zone for group in checked.groups})
    number = {name: index for index, name in enumerate(names)}
    zone = np.array([number[group.zone] for group in checked.groups], np.int64)[checked.group]
    notes += clock_notes(
        pairs,
        row,
        zone,
        names,
        validity(signatures, bench.near, POLICIES["strict"]),
        checked.verified > 0,
        np.array(resolver, np.int64),
    )
    notes += _supplied_notes(checked, keys)
    notes += [
        Note("limit", z.zone, sentence=f"More key sets of {z.zone} were seen than are followed.")
        for z in keys.values()
        if z.dropped_from <= high
    ]
    notes += [
        Note("limit", name, sentence=f"There was more of {name} to judge than is judged.")
        for name, budget in sorted(bench.budgets.items())
        if budget.left < 0
    ]
    skipped = sorted({checked.groups[g].zone for g in np.unique(checked.group[checked.cut])})
    notes += [
        Note("limit", name, sentence=f"More signatures and keys of {name} fit than are tried.")
        for name in skipped
    ]
    stale = refused(bench, sightings) if sightings is not None else []
    keyless = keyless or Keyless()
    found = []
    following = _following(signatures)
    if keyless.absences or keyless.failures or keyless.is_cut or stale:
        found.append(judge_subjects(keyless, stale, bench.chain, following))
        following += found[-1].signatures.num_rows
    if streams is not None:
        good = signatures["signature"].to_numpy().astype(np.int64)[checked.verified > 0]
        found.append(
            judge_absences(
                streams,
                signatures,
                pairs,
                good,
                verdicts,
                bench.chain,
                following,
                keyless.absences,
                policy.iterations,
            )
        )
    found = [subjects for subjects in found if subjects.signatures.num_rows or subjects.notes]
    subjects = joined(found) if found else None
    if subjects is not None:
        verdicts = pa.concat_tables([verdicts, subjects.verdicts]).combine_chunks()
        notes += subjects.notes
    held = ResolverView()
    if streams is not None and streams.parties is not None:
        held = _held(bench, verdicts, subjects, streams.sightings, streams.parties)
    return Judgement(checked.table, verdicts, notes, subjects, held)


def _held(
    bench: Bench,
    verdicts: Any,
    subjects: Subjects | None,
    sightings: Callable[[], Iterator[Any]],
    parties: Callable[[], Iterator[Any]],
) -> ResolverView:
    """Judge in the view of each resolver, the subjects' sightings among those of signatures."""
    more = [] if subjects is None else subjects.sightings.to_batches()
    return resolver_view(
        bench,
        verdicts,
        None if subjects is None else subjects.signatures,
        lambda: chained(sightings(), more),
        parties,
    )


def _supplied_notes(checked: Checked, zones: Mapping[str, ZoneKeys]) -> list[Note]:
    """Say which signatures only the user's keys verify: no key set captured holds those keys."""
    counts: dict[str, int] = {}
    used: dict[str, set[int]] = {}
    codes = np.stack([checked.group.astype(np.int64), checked.verified.astype(np.int64)])
    rows, numbers = np.unique(codes, axis=1, return_counts=True)
    for group, choice, count in zip(*rows.tolist(), numbers.tolist(), strict=True):
        known = zones.get(checked.groups[group].zone)
        makers = checked.key_choices[choice]
        if known is None or not makers:
            continue
        shown = frozenset().union(*known.key_sets)
        if all(known.keys[k].supplied and k not in shown for k in makers):
            counts[known.zone] = counts.get(known.zone, 0) + count
            used.setdefault(known.zone, set()).update(known.keys[k].tag for k in makers)
    return [
        Note(
            "supplied-keys",
            zone,
            sentence=(
                f"{count} signatures of {zone} verify only with keys that were supplied by --keys "
                f"(tags {', '.join(map(str, sorted(used[zone])))}): the captures do not show "
                "whether those were published."
            ),
            figures={"signatures": count, "tags": sorted(used[zone])},
        )
        for zone, count in sorted(counts.items())
    ]


def _following(signatures: Any) -> int:
    """Return the number behind those of the signatures."""
    numbers = signatures["signature"].to_numpy()
    return int(numbers.max()) + 1 if len(numbers) else 0


_PAIR_FIELDS: Final = ("signature", "place", "first", "last", "count")


def _rows(
    numbers: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the row of each wanted signature number, and whether there is one."""
    if not len(numbers):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    order = np.argsort(numbers, kind="stable")
    at = np.minimum(np.searchsorted(numbers[order], wanted), len(numbers) - 1)
    row = order[at]
    return row, numbers[row] == wanted
