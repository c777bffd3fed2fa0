"""The second half of the pipeline: from stored tables to verdicts, incidents and a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from forensics.errors import InputError
from forensics.options import Options

RECOVERED: Final = "recovered.json"
"""File beside the tables that keeps what costs most to find: moduli of unpublished RSA keys."""

Progress = Callable[[str, int, int], None]


def report_of(
    tables: Path,
    errors: Sequence[InputError],
    anchors: list[Any],
    supplied: Any,
    options: Options,
    new_tables: Path | None = None,
    progress: Progress | None = None,
    *,
    in_brief: bool = False,
) -> tuple[dict[str, Any], tuple[InputError, ...]]:
    """From stored tables to the contents of report.json; writes checks and verdicts beside them.

    With `in_brief`, what explains and costs much is left out: moduli of unpublished RSA keys, and
    the chains of trust at the instants that matter.

    Returns:
        the report, and the resolvers' logs that could not be read.
    """
    import pyarrow as pa

    from forensics.archive.tables import iter_batches, read_table, write_table
    from forensics.archive.view import has
    from forensics.assembly import assemble, notes, pairings
    from forensics.hearing import hear, of_clocks, with_testimony
    from forensics.heldviews import add_views
    from forensics.instants import add_courses
    from forensics.keyring import view
    from forensics.replay import Replay
    from forensics.scope import Scope
    from forensics.testimony.forgeries import forgeries, holding
    from forensics.testimony.keytags import claims_of
    from forensics.testimony.responses import weigh
    from forensics.testimony.trust import COLUMNS, trust_signals
    from forensics.testimony.witnesses import witnessed
    from forensics.timeline.evidence import Evidence
    from forensics.timeline.story import tell
    from forensics.timeline.twins import twins
    from forensics.transactions.chains import CHAINED, continued, lookups
    from forensics.validation.contents import are_there_any, contents
    from forensics.validation.exchanges import Streams
    from forensics.validation.horizon import horizons
    from forensics.validation.judge import judge
    from forensics.validation.keyless import read as keyless_answers
    from forensics.validation.pairs import sighting_pairs
    from forensics.validation.policy import POLICIES
    from forensics.validation.resolvers import COLUMNS as PARTIES
    from forensics.validation.strays import contested, marked, undisputed
    from forensics.verifying import checked_before

    scope = Scope(options.zone, options.start, options.end)
    timed = Scope(None, options.start, options.end)
    span = (options.start, options.end)
    signatures = scope.signatures(read_table(tables, "signatures"))
    keys = read_table(tables, "keys")
    places = read_table(tables, "places")
    captures = read_table(tables, "captures")
    losses = read_table(tables, "losses")

    all_transactions = Replay(
        lambda columns: timed.transactions(iter_batches(tables, "transactions", columns, span))
    )
    transactions = all_transactions
    if options.zone is not None:
        transactions = Replay(lambda columns: scope.transactions(all_transactions(columns)))
    disputed = contested(
        all_transactions,
        lambda: timed.sightings(iter_batches(tables, "sightings", span=span), signatures),
    )

    keys = undisputed(keys, disputed)
    stored: Iterator[Any] = iter(())
    if are_there_any(iter_batches(tables, "sightings", ["flags"], span)):
        stored = scope.sightings(iter_batches(tables, "sightings", span=span), signatures)
    transferred = contents(stored, signatures, disputed)
    keys = pa.concat_tables([keys, *([transferred.keys(keys)] if transferred else []), supplied])

    sightings = Replay(
        lambda columns: marked(
            scope.answers(iter_batches(tables, "sightings", columns, span), signatures), disputed
        )
    )
    retried = continued(iter_batches(tables, "transactions", list(CHAINED), span=span))
    pairs = sighting_pairs(chain(sightings(), transferred.as_answers()), places)
    anchored = {anchor.zone for anchor in anchors}
    keyless = keyless_answers(all_transactions, sightings, signatures, anchored, places, disputed)
    judgement = judge(
        signatures,
        pairs,
        view.build(keys, places, [row[:4] for row in keyless.absences], keyless.shown),
        places,
        anchors,
        POLICIES[options.policy],
        keyless=keyless,
        sightings=sightings,
        streams=Streams(
            transactions,
            sightings,
            lambda: scope.unsigned(
                iter_batches(tables, "unsigned", span=span) if has(tables, "unsigned") else ()
            ),
            disputed,
            lambda: transactions(PARTIES),
        ),
        made_before=checked_before(tables),
    )
    subjects = judgement.subjects
    for name, table in (("checks", judgement.checks), ("verdicts", judgement.verdicts)):
        write_table(new_tables or tables, name, table)
    effort = _effort(tables, progress)
    if in_brief:
        effort.left = 0
    paths = dict(zip(captures["capture"].to_pylist(), captures["path"].to_pylist(), strict=True))
    holds = holding(sightings, _of_one_view(judgement.verdicts), disputed)
    forged = forgeries(transactions, disputed, holds, paths)
    signals = trust_signals(
        all_transactions(COLUMNS),
        paths,
        claims_of(iter_batches(tables, "key_tags") if has(tables, "key_tags") else ()),
    )
    sights = twins(transactions, captures)
    story = tell(
        Evidence(
            captures=captures,
            losses=losses,
            places=places,
            signatures=(
                pa.concat_tables([signatures, subjects.signatures]) if subjects else signatures
            ),
            keys=keys,
            checks=judgement.checks,
            verdicts=_of_one_view(judgement.verdicts),
            caches=subjects.caches if subjects else {},
            transactions=lambda: sights.once(lookups(transactions(), retried)),
            sightings=lambda: chain(
                sightings(),
                transferred.sightings(),
                subjects.sightings.to_batches() if subjects else (),
            ),
            notes=[
                *notes([*judgement.notes, *transferred.notes], places),
                *signals,
                *forged,
                *sights.findings(),
            ],
            weigh=weigh,
            undelegated=_undelegated(keyless.absences),
            effort=effort,
            horizons=horizons,
        )
    )
    if story.triage["validation"] or story.triage["servfail-other"]:
        testimony = witnessed(
            lambda: sights.once(lookups(transactions(), retried)),
            story.incidents,
            of_clocks(story.findings),
            paths,
        )
        story = replace(story, findings=with_testimony(story.findings, testimony))
    held, unread = hear(options, captures, story.incidents)
    if effort.kept:
        kept = json.dumps(effort.kept, indent=1, sort_keys=True)
        (new_tables or tables).joinpath(RECOVERED).write_text(kept + "\n", encoding="ascii")
    counts = {
        **pairings(transactions()),
        **({"seen_twice": len(sights.again)} if len(sights.again) else {}),
        "signatures": signatures.num_rows,
        "sightings": sum(story.statuses.values()),
    }
    report = assemble(captures, losses, [*errors, *unread], counts, story, options)
    add_views(report, judgement.held, paths)
    if not in_brief:
        add_courses(report, tables, options, anchors)
    if held is not None:
        report["logs"] = held["logs"]
        agreement = report["agreement"]
        for name in ("agree", "disagree"):
            agreement[name] += held[name]
        agreement["cases"] = [*agreement["cases"], *held["cases"]]
    return report, tuple(unread)


def _undelegated(absences: Sequence[Any]) -> dict[str, list[tuple[int, int, int, int]]]:
    """The answers without a DS, by zone: place, time, capture and frame."""
    from forensics.vocabulary import TYPE_DS

    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for row in absences:
        if row.type == TYPE_DS and row.place >= 0:
            found.setdefault(row.zone, []).append((row.place, row.time, row.capture, row.frame))
    return found


def _of_one_view(verdicts: Any) -> Any:
    """The verdicts of all views as the timeline reads them: no subject has rows of two views."""
    import pyarrow as pa

    at = verdicts.schema.get_field_index("view")
    view = pa.repeat(pa.scalar("published"), verdicts.num_rows)
    return verdicts.set_column(at, verdicts.schema.field(at), view)


def _effort(tables: Path, progress: Progress | None) -> Any:
    """What the recovery of unpublished RSA keys may cost, with what an earlier run found."""
    from forensics.timeline.moduli import Effort

    effort = Effort()
    if progress is not None:
        effort.told = lambda tried, most: progress("recovering keys", tried, most)
    try:
        kept = json.loads((tables / RECOVERED).read_text(encoding="ascii"))
        effort.kept = {str(name): f"{int(text or '0', 16):x}" for name, text in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        effort.kept = {}  # none there, or damaged: it is worked out again
    return effort
