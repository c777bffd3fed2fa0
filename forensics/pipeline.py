"""The order of the stages: captures to tables, tables to verdicts, verdicts to a report.

The only module that knows more than one stage. Each stage takes tables and gives tables, so a run
may begin at any stored table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from forensics.errors import InputError, NoInputError, UsageError
from forensics.options import Options
from forensics.output import MARK, check_apart, distinct, replacing
from forensics.vocabulary import NOT_READ, PAIRINGS

__all__ = [
    "Options",
    "Outcome",
    "Progress",
    "analyze",
    "ingest_dataset",
    "report_dataset",
    "reproduce",
]

INPUTS_NAMED = 4
"""Inputs that could not be read which one sentence names; the losses list them all."""

RECOVERED = "recovered.json"
"""File beside the tables that keeps what costs most to find: moduli of unpublished RSA keys."""

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, octets done and octets in all (0: not known)."""


@dataclass(slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        report: the contents of report.json; empty for an ingest.
        errors: inputs that could not be read at all.
        damaged: whether anything of an input was lost.
        counts: packets, messages and so on.
    """

    report: dict[str, Any] = field(default_factory=dict)
    errors: tuple[InputError, ...] = ()
    damaged: bool = False
    counts: dict[str, int] = field(default_factory=dict)


def analyze(
    paths: Sequence[str],
    out: str | os.PathLike[str],
    options: Options,
    *,
    figures: bool = True,
    progress: Progress | None = None,
) -> Outcome:
    """Read captures and write the whole report into the folder `out`.

    Raises:
        UsageError: an option is wrong, or `out` is a folder of something else.
        NoInputError: not one input could be read.
    """
    options.check()
    anchors, supplied = _anchors(options), _supplied(options)
    key = _key(options)
    with replacing(Path(out)) as folder:
        outcome = _ingest(paths, folder / "tables", options, key, progress)
        outcome.report = _report(
            folder / "tables", outcome.errors, anchors, supplied, options, progress=progress
        )
        _prove(outcome.report, folder, key)
        _write(outcome.report, folder, figures=figures)
    return outcome


def ingest_dataset(
    paths: Sequence[str],
    dataset: str | os.PathLike[str],
    options: Options,
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Read captures into a dataset: the folder `dataset` with its `tables/`.

    Raises:
        UsageError: an option is wrong, or `dataset` is a folder of something else.
        NoInputError: not one input could be read.
    """
    from forensics.archive.manifest import write_manifest

    options.check()
    key = _key(options)
    with replacing(Path(dataset)) as folder:
        outcome = _ingest(paths, folder / "tables", options, key, progress)
        unread = [[error.path, error.offset, error.reason] for error in outcome.errors]
        write_manifest(folder, kind="dataset", more={"unreadable": unread})
    return outcome


def report_dataset(
    dataset: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: Options,
    *,
    figures: bool = True,
) -> Outcome:
    """Write the report of a dataset without reading the packets again.

    Raises:
        UsageError: no dataset there, or `out` is a folder of something else.
    """
    tables = Path(dataset) / "tables"
    if not (tables / "captures.parquet").is_file():
        raise UsageError(f"{dataset}: no dataset; make one with: dns-forensics ingest")
    check_apart(Path(dataset), Path(out))
    options.check()
    anchors, supplied = _anchors(options), _supplied(options)
    with replacing(Path(out)) as folder:
        (folder / "tables").mkdir(parents=True)
        outcome = Outcome(errors=_unreadable(Path(dataset)))
        outcome.report = _report(
            tables, outcome.errors, anchors, supplied, options, folder / "tables"
        )
        outcome.damaged = any(row["reason"] not in NOT_READ for row in outcome.report["losses"])
        _write(outcome.report, folder, figures=figures)
    return outcome


def reproduce(folder: Path, inputs: Path | None = None) -> list[Any]:
    """Analyse a report's inputs again with its options, and compare the octets of every file.

    Args:
        folder: a report that analyze has written.
        inputs: where the inputs lie now; None: where they were named. Paths stand in a report, so
            elsewhere they differ, and the report with them.

    Returns:
        archive.verification.Checked, one a file of the new report, its role `rerun`.

    Raises:
        UsageError: the folder is no report of captures.
        NoInputError: no input can be read any more.
    """
    import tempfile

    from forensics.archive.verification import Checked, read_manifest, verify

    manifest = read_manifest(folder)
    named = manifest.get("inputs")
    if manifest.get("kind") != "report" or not isinstance(named, dict) or not named:
        raise UsageError(f"{folder}: no report of captures; only such can be made again")
    options = Options.read(manifest.get("options") or {})
    paths = [path if inputs is None else str(inputs / Path(path).name) for path in named]
    figures = any(name.startswith("figures/") for name in manifest["files"])
    with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
        again = Path(made) / "report"
        analyze(paths, again, options, figures=figures)
        # The old manifest judges the new files.
        (again / MARK).write_bytes((folder / MARK).read_bytes())
        return [
            Checked("rerun", one.name, one.state, one.expected, one.found)
            for one in verify(again, inputs)
            if one.role == "output"
        ]


def _unreadable(dataset: Path) -> tuple[InputError, ...]:
    """The inputs that were named when a dataset was made and that could not be read."""
    try:
        manifest = json.loads((dataset / MARK).read_text(encoding="utf-8"))
        found = manifest.get("unreadable", ())
        return tuple(InputError(str(path), int(at), str(why)) for path, at, why in found)
    except (OSError, ValueError, AttributeError, TypeError):
        # Tables alone, without a manifest, are a dataset too.
        return ()


def _anchors(options: Options) -> list[Any]:
    """The trust anchors of a run, read before any work is done so that a typing error is cheap."""
    from forensics.keyring import anchors

    if not options.trust_anchors:
        return anchors.built_in()
    return [anchor for path in options.trust_anchors for anchor in anchors.read(path)]


def _key(options: Options) -> bytes | None:
    """The key that clients are made anonymous by, read before any work is done."""
    if options.anonymize is None:
        return None
    from forensics.cryptopan import read_key

    return read_key(options.anonymize)


def _supplied(options: Options) -> Any:
    """The keys that the user supplied (schemas.KEYS), read before any work is done, too."""
    from forensics.keyring import archive

    return archive.read(options.keys)


def _ingest(
    paths: Sequence[str],
    tables: Path,
    options: Options,
    key: bytes | None,
    progress: Progress | None,
) -> Outcome:
    from forensics.ingest import ingest

    paths = distinct(paths)
    sizes = {path: _size(path) for path in paths}
    total = sum(sizes.values())
    done: dict[str, int] = {}

    def told(path: str, octets: int) -> None:
        assert progress is not None
        done[path] = octets
        progress("reading", sum(done.values()), total)

    try:
        result = ingest(
            paths,
            tables,
            ports=options.ports,
            servers=options.servers,
            resolvers=options.resolvers,
            start=options.start,
            end=options.end,
            clock_offsets=_clock_offsets(options, paths),
            progress=told if progress else None,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not result.captures:
        raise NoInputError(tuple(result.errors))
    if key is not None:
        from forensics.anonymity import anonymize_tables

        anonymize_tables(tables, key, options.servers | options.resolvers)
    facts = result.captures
    return Outcome(
        errors=tuple(result.errors),
        damaged=bool(result.errors)
        or any(not NOT_READ.issuperset(capture.losses.as_dict()) for capture in facts),
        counts={
            "packets": sum(capture.packets for capture in facts),
            "messages": sum(capture.messages for capture in facts),
        },
    )


def _clock_offsets(options: Options, paths: Sequence[str]) -> dict[str, int]:
    """The user's word on clocks; a name that is no input would be ignored in silence.

    Raises:
        UsageError: it names no input.
    """
    offsets = dict(options.clock_offsets)
    for path in offsets:
        if path not in paths:
            raise UsageError(f"--clock-offset {path}=...: no input has this name")
    return offsets


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _report(
    tables: Path,
    errors: Sequence[InputError],
    anchors: list[Any],
    supplied: Any,
    options: Options,
    new_tables: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """From stored tables to the contents of report.json; writes checks and verdicts beside them."""
    import pyarrow as pa

    from forensics.archive.tables import iter_batches, read_table, write_table
    from forensics.instants import add_instants
    from forensics.keyring import view
    from forensics.scope import Scope
    from forensics.testimony.responses import weigh
    from forensics.timeline.evidence import Evidence
    from forensics.timeline.story import tell
    from forensics.validation.exchanges import Streams
    from forensics.validation.horizon import horizons
    from forensics.validation.judge import judge
    from forensics.validation.keyless import read as keyless_answers
    from forensics.validation.pairs import sighting_pairs
    from forensics.validation.policy import POLICIES
    from forensics.validation.strays import contested, marked, undisputed

    scope = Scope(options.zone, options.start, options.end)
    signatures = scope.signatures(read_table(tables, "signatures"))
    keys = read_table(tables, "keys")
    places = read_table(tables, "places")
    captures = read_table(tables, "captures")
    losses = read_table(tables, "losses")

    disputed = contested(
        lambda: iter_batches(tables, "transactions"), lambda: iter_batches(tables, "sightings")
    )

    keys = pa.concat_tables([undisputed(keys, disputed), supplied])

    def sightings() -> Iterator[Any]:
        return marked(scope.sightings(iter_batches(tables, "sightings"), signatures), disputed)

    def transactions() -> Iterator[Any]:
        return scope.transactions(iter_batches(tables, "transactions"))

    def all_transactions() -> Iterator[Any]:
        return Scope(None, options.start, options.end).transactions(
            iter_batches(tables, "transactions")
        )

    pairs = sighting_pairs(sightings(), places)
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
                iter_batches(tables, "unsigned") if (tables / "unsigned.parquet").exists() else ()
            ),
            disputed,
        ),
    )
    subjects = judgement.subjects
    for name, table in (("checks", judgement.checks), ("verdicts", judgement.verdicts)):
        write_table(new_tables or tables, name, table)
    effort = _effort(tables, progress)
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
            transactions=transactions,
            sightings=(
                (lambda: chain(sightings(), subjects.sightings.to_batches()))
                if subjects
                else sightings
            ),
            notes=_notes(judgement.notes, places),
            weigh=weigh,
            effort=effort,
            horizons=horizons,
        )
    )
    held, unread = _logs(options, captures, story.incidents)
    errors = [*errors, *unread]
    if effort.kept:
        kept = json.dumps(effort.kept, indent=1, sort_keys=True)
        (new_tables or tables).joinpath(RECOVERED).write_text(kept + "\n", encoding="ascii")
    counts = {
        **_pairings(transactions()),
        "signatures": signatures.num_rows,
        "sightings": sum(story.statuses.values()),
    }
    report = _assemble(captures, losses, errors, counts, story, options)
    add_instants(report, tables, options, anchors)
    if held is not None:
        report["logs"] = held["logs"]
        agreement = report["agreement"]
        for name in ("agree", "disagree"):
            agreement[name] += held[name]
        agreement["cases"] = [*agreement["cases"], *held["cases"]]
    return report


def _logs(
    options: Options, captures: Any, incidents: list[dict[str, Any]]
) -> tuple[dict[str, Any] | None, list[InputError]]:
    """Read the resolvers' logs and hold them against the incidents; also those not to be read."""
    if not options.resolver_logs:
        return None, []
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from forensics.capture.containers import Stream
    from forensics.capture.lines import text_lines
    from forensics.testimony.logs.holding import hold
    from forensics.testimony.logs.reading import read

    times = [time for time in captures["first"].cast("int64").to_pylist() if time is not None]
    zone = ZoneInfo(options.log_timezone) if options.log_timezone else UTC
    logs, digests, unread = [], {}, []
    for path in distinct(options.resolver_logs):
        try:
            stream = Stream(path)
        except InputError as error:
            unread.append(error)
            continue
        try:
            logs.append(read(path, text_lines(stream), min(times, default=0), zone))
        finally:
            digests[path] = stream.finish()
        if stream.problem is not None:
            unread.append(InputError(path, stream.problem.offset, stream.problem.detail))
    held = hold(logs, incidents)
    for row in held["logs"]:
        row["sha256"] = digests[row["path"]]
    return held, unread


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


def _assemble(
    captures: Any,
    losses: Any,
    errors: Sequence[InputError],
    counts: dict[str, Any],
    story: Any,
    options: Options,
) -> dict[str, Any]:
    """Join what the stages say to the contents of report.json (DESIGN section 5)."""
    from forensics import __version__
    from forensics.timeline.moments import rfc3339

    rows = captures.cast(_with_integer_times(captures.schema)).to_pylist()
    paths = {row["capture"]: row["path"] for row in rows}
    paths[None] = "all inputs"
    lost = [{**row, "capture": paths.get(row["capture"], "?")} for row in losses.to_pylist()]
    lost += [
        {
            "capture": error.path,
            "reason": "unreadable",
            "count": 1,
            "octets": 0,
            "offset": error.offset,
            "frame": 0,
            "detail": error.reason,
        }
        for error in errors
    ]
    firsts = [row["first"] for row in rows if row["first"] is not None]
    lasts = [row["last"] for row in rows if row["last"] is not None]
    return {
        "schema": "dns-forensics/report/1",
        "tool": {"name": "dns-forensics", "version": __version__},
        "options": options.told(),
        "window": {
            "from": rfc3339(min(firsts)) if firsts else None,
            "to": rfc3339(max(lasts)) if lasts else None,
        },
        "captures": [
            {
                "path": row["path"],
                "sha256": row["sha256"],
                "format": row["format"],
                "link_types": row["link_types"],
                "encapsulations": dict(row["encapsulations"]),
                "octets": row["octets"],
                "packets": row["packets"],
                "messages": row["messages"],
                "duplicates": row["duplicates"],
                **_as_sensor(row, paths),
                "other": row["other"],
                "first": None if row["first"] is None else rfc3339(row["first"]),
                "last": None if row["last"] is None else rfc3339(row["last"]),
                "losses": {
                    loss["reason"]: loss["count"] for loss in lost if loss["capture"] == row["path"]
                },
            }
            for row in rows
        ],
        "counts": {
            "packets": sum(row["packets"] for row in rows),
            "messages": sum(row["messages"] for row in rows),
            **counts,
            "verdicts": story.statuses,
        },
        "findings": [*_unread_finding(errors), *story.findings],
        "incidents": story.incidents,
        "triage": story.triage,
        "agreement": story.agreement,
        "losses": lost,
        "series": story.series,
        "events": story.events,
        "events_omitted": story.events_omitted,
    }


def _as_sensor(row: dict[str, Any], paths: dict[int | None, str]) -> dict[str, Any]:
    """What an input shares with others; nothing where it stands alone."""
    told: dict[str, Any] = {}
    if row["elsewhere"]:
        told["elsewhere"] = {paths[number]: count for number, count in row["elsewhere"]}
    if row["clock_offset"] is not None:
        told["clock_offset"] = row["clock_offset"]
    return told


def _unread_finding(errors: Sequence[InputError]) -> list[dict[str, Any]]:
    """Say first which inputs are missing from all that follows."""
    if not errors:
        return []
    named = "; ".join(f"{error.path}: {error.reason}" for error in errors[:INPUTS_NAMED])
    more = f"; and {len(errors) - INPUTS_NAMED} more" if len(errors) > INPUTS_NAMED else ""
    sentence = f"{len(errors)} of the inputs could not be read: {named}{more}."
    return [{"kind": "unreadable", "count": len(errors), "sentence": sentence}]


def _with_integer_times(schema: Any) -> Any:
    """The schema with its times as plain ns, so that no datetime cuts them to microseconds."""
    import pyarrow as pa

    return pa.schema(
        [
            field.with_type(pa.int64()) if pa.types.is_timestamp(field.type) else field
            for field in schema
        ]
    )


def _pairings(batches: Iterator[Any]) -> dict[str, int]:
    """Count transactions and their pairing states. Late ones are answered too, only late."""
    import pyarrow.compute as pc

    found = dict.fromkeys(("transactions", *PAIRINGS), 0)
    for batch in batches:
        found["transactions"] += batch.num_rows
        for row in pc.value_counts(batch.column("pairing")).to_pylist():
            found[row["values"]] += row["counts"]
    return found


def _notes(notes: Sequence[Any], places: Any) -> list[dict[str, Any]]:
    """What validation has to say, with the resolver's address in the place's stead."""
    servers = dict(zip(places["place"].to_pylist(), places["server"].to_pylist(), strict=True))
    return [
        {
            "kind": note.kind,
            "zone": note.zone,
            "resolver": servers.get(note.place),
            "sentence": note.sentence,
            **note.figures,
        }
        for note in notes
    ]


def _prove(report: dict[str, Any], folder: Path, key: bytes | None) -> None:
    """Cut out the packets that prove each incident, and tell in the report where they are."""
    from forensics.extract import write_evidence

    if not report["incidents"]:
        return
    cut = write_evidence(report, folder / "tables", folder, key)
    for incident in report["incidents"]:
        incident["evidence_file"] = cut.files.get(incident["id"])
    for path, reason in sorted(cut.unread.items()):
        sentence = f"The packets that prove the incidents could not be cut out of {path}: {reason}."
        report["findings"].append({"kind": "evidence-unread", "sentence": sentence})


def _write(report: dict[str, Any], folder: Path, *, figures: bool) -> None:
    from forensics.archive.manifest import write_manifest
    from forensics.report.writer import write_report

    write_report(report, folder, figures=figures)
    write_manifest(
        folder,
        kind="report",
        more={
            "options": report["options"],
            "inputs": {
                row["path"]: row["sha256"] for row in (*report["captures"], *report.get("logs", ()))
            },
        },
    )
