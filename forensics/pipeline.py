"""The order of the stages: captures to tables, tables to verdicts, verdicts to a report.

`ingest.py` is its first half and `judging.py` its second. Each stage takes tables and gives tables,
so a run may begin at any stored table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from forensics.errors import InputError, NoInputError, UsageError
from forensics.jsontext import parsed
from forensics.options import Options
from forensics.output import MARK, check_apart, distinct, replacing, size_of
from forensics.vocabulary import NOT_READ

__all__ = [
    "Options",
    "Outcome",
    "Progress",
    "analyze",
    "ingest_dataset",
    "report_dataset",
    "reproduce",
]

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
    csv: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Read captures and write the whole report into the folder `out`.

    `csv` writes each table as CSV too.

    Raises:
        UsageError: an option is wrong, or `out` is a folder of something else.
        NoInputError: not one input could be read.
    """
    from forensics.judging import report_of
    from forensics.keyring import anchors as trust
    from forensics.keyring import archive

    options.check()
    # Read before any work is done, so that a typing error is cheap.
    anchors, supplied = trust.chosen(options.trust_anchors), archive.read(options.keys)
    key, baseline = _key(options), _baseline(options)
    with replacing(Path(out)) as folder:
        outcome = _ingest(paths, folder / "tables", options, key, progress)
        outcome.report, unread = report_of(
            folder / "tables", outcome.errors, anchors, supplied, options, progress=progress
        )
        outcome.errors += unread
        outcome.damaged |= bool(unread)
        _prove(outcome.report, folder, key)
        _compare(outcome.report, baseline)
        _rename(outcome.report, folder / "tables", options, key)
        _write(outcome.report, folder, figures=figures, csv=csv)
    return outcome


def ingest_dataset(
    paths: Sequence[str],
    dataset: str | os.PathLike[str],
    options: Options,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    sensor: str | None = None,
    transactions_only: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Read captures into a dataset: the folder `dataset` with its `tables/`.

    With workers, a scheduler or a sensor, with a URL, or where `dataset` is such a one already, it
    is a dataset that grows (`batch`). With `transactions_only` it has no table of what responses
    prove, is a third less work, and can be read, but not reported on.

    Raises:
        UsageError: an option is wrong, or `dataset` is a folder of something else.
        NoInputError: not one input could be read.
    """
    from forensics.archive.manifest import write_manifest
    from forensics.archive.opening import TRANSACTIONS_ONLY
    from forensics.archive.store import is_url
    from forensics.batch import grows, ingest_batch

    options.check()
    key = _key(options)
    root = os.fspath(dataset)
    if (workers, scheduler, sensor) != (None, None, None) or is_url(root) or grows(root):
        if transactions_only:
            raise UsageError(
                "--transactions-only: not for a dataset that grows (--workers, --scheduler, "
                "--sensor or a URL); give it a folder of its own"
            )
        _clock_offsets(options, paths)
        batch = ingest_batch(
            paths,
            root,
            options,
            workers=workers,
            scheduler=scheduler,
            sensor=sensor,
            progress=progress,
        )
        return Outcome(errors=batch.errors, damaged=batch.damaged, counts=batch.counts)
    with replacing(Path(dataset)) as folder:
        outcome = _ingest(paths, folder / "tables", options, key, progress, transactions_only)
        unread = [[error.path, error.offset, error.reason] for error in outcome.errors]
        more: dict[str, Any] = {"unreadable": unread}
        if transactions_only:
            more[TRANSACTIONS_ONLY] = True
        write_manifest(folder, kind="dataset", more=more)
    return outcome


def report_dataset(
    dataset: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: Options,
    *,
    figures: bool = True,
    csv: bool = False,
) -> Outcome:
    """Write the report of a dataset without reading the packets again.

    `csv` writes each table that is new as CSV too.

    Raises:
        UsageError: no dataset there, or `out` is a folder of something else.
    """
    from forensics.archive.opening import opened
    from forensics.archive.store import is_url
    from forensics.archive.view import side_by_side
    from forensics.judging import report_of
    from forensics.keyring import anchors as trust
    from forensics.keyring import archive

    name = os.fspath(dataset)
    if not is_url(name):
        check_apart(Path(dataset), Path(out))
    options.check()
    anchors, supplied = trust.chosen(options.trust_anchors), archive.read(options.keys)
    baseline = _baseline(options)
    with opened(name) as tables, replacing(Path(out)) as folder:
        if not (tables / "captures.parquet").is_file():
            raise UsageError(f"{dataset}: no dataset; make one with: dns-forensics ingest")
        (folder / "tables").mkdir(parents=True)
        outcome = Outcome(errors=_unreadable(name))
        outcome.report, unread = report_of(
            tables, outcome.errors, anchors, supplied, options, folder / "tables"
        )
        outcome.errors += unread
        _name_overlaps(outcome.report, side_by_side(tables))
        outcome.damaged = any(row["reason"] not in NOT_READ for row in outcome.report["losses"])
        _compare(outcome.report, baseline)
        _write(outcome.report, folder, figures=figures, csv=csv)
    return outcome


def _name_overlaps(report: dict[str, Any], captures: int) -> None:
    """Say what a dataset that was read file by file cannot know of files that overlap."""
    if captures:
        what = "capture overlaps" if captures == 1 else "captures overlap"
        sentence = (
            f"{captures} {what} in time with others of this dataset, which was read file by "
            "file: a message that two sensors saw counts twice, and their clocks were not "
            "compared. To have both, ingest them without --workers."
        )
        report["findings"].append({"kind": "captures-overlap", "sentence": sentence})


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
    if "-" in named:
        raise UsageError(
            f"{folder}: made from standard input, which nobody can read again; keep the capture in "
            "a file and analyse that, to make a report that can be made again"
        )
    options = Options.read(manifest.get("options") or {})

    def moved(path: str) -> str:
        return path if inputs is None else str(inputs / Path(path).name)

    paths = [moved(path) for path in named if path not in options.resolver_logs]
    options = replace(options, resolver_logs=tuple(map(moved, options.resolver_logs)))
    figures = any(name.startswith("figures/") for name in manifest["files"])
    csv = any(name.endswith(".csv") for name in manifest["files"])
    with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
        again = Path(made) / "report"
        analyze(paths, again, options, figures=figures, csv=csv)
        # The old manifest judges the new files.
        (again / MARK).write_bytes((folder / MARK).read_bytes())
        return [
            Checked("rerun", one.name, one.state, one.expected, one.found)
            for one in verify(again, inputs)
            if one.role == "output"
        ]


def _unreadable(dataset: str) -> tuple[InputError, ...]:
    """The inputs that were named when a dataset was made and that could not be read."""
    from forensics.archive.store import Store

    try:
        manifest = parsed(Store(dataset).read(MARK))
        found = manifest.get("unreadable", ())
        return tuple(InputError(str(path), int(at), str(why)) for path, at, why in found)
    except (OSError, ValueError, AttributeError, TypeError):
        # Tables alone, without a manifest, are a dataset too.
        return ()


def _key(options: Options) -> bytes | None:
    """The key that clients are made anonymous by, read before any work is done."""
    if options.anonymize is None:
        return None
    from forensics.cryptopan import read_key

    return read_key(options.anonymize)


def _baseline(options: Options) -> tuple[dict[str, Any], str, str] | None:
    """The former report, how it was named and its digest, read before any work is done."""
    if options.baseline is None:
        return None
    from forensics.report.comparison import read_report

    found, digest = read_report(options.baseline)
    return found, options.baseline, digest


def _compare(report: dict[str, Any], baseline: tuple[dict[str, Any], str, str] | None) -> None:
    """Hold the report against its baseline, if there is one."""
    if baseline is not None:
        from forensics.report.comparison import compare

        report["baseline"] = compare(report, *baseline)


def _rename(report: dict[str, Any], tables: Path, options: Options, key: bytes | None) -> None:
    """Replace names below private zones, now that every signature has been judged."""
    if key is None or not options.anonymize_names:
        return
    from forensics.privatenames import PrivateNames

    names = PrivateNames(options.anonymize_names, key)
    names.tables(tables)
    renamed = names.value(report)
    report.clear()
    report.update(renamed)
    sentence = (
        f"Names below {', '.join(options.anonymize_names)} are pseudonyms of the same length. "
        "Signatures over them were judged before; they no longer verify in tables and evidence."
    )
    report["findings"].append({"kind": "names-anonymized", "sentence": sentence})


def _ingest(
    paths: Sequence[str],
    tables: Path,
    options: Options,
    key: bytes | None,
    progress: Progress | None,
    transactions_only: bool = False,
) -> Outcome:
    from forensics.ingest import ingest

    paths = distinct(paths)
    sizes = {path: size_of(path) for path in paths}
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
            tls_keylogs=options.tls_keylogs,
            progress=told if progress else None,
            transactions_only=transactions_only,
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


def _write_csv(tables: Path) -> None:
    """Write each table as CSV beside its Parquet file, batch by batch."""
    from forensics import schemas
    from forensics.archive.tables import iter_batches
    from forensics.report.tablewriter import text_of

    for name, schema in schemas.TABLES:
        if (tables / f"{name}.parquet").exists():
            with (tables / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                file.writelines(text_of(name, iter_batches(tables, name), schema, "csv"))


def _write(report: dict[str, Any], folder: Path, *, figures: bool, csv: bool) -> None:
    from forensics.archive.manifest import write_manifest
    from forensics.report.writer import write_report
    from forensics.timeline.registrable import version

    if csv:
        _write_csv(folder / "tables")

    write_report(report, folder, figures=figures)
    write_manifest(
        folder,
        kind="report",
        more={
            "options": report["options"],
            "public_suffix_list": version(),
            "inputs": {
                row["path"]: row["sha256"] for row in (*report["captures"], *report.get("logs", ()))
            },
        },
    )
