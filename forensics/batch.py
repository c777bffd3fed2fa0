"""Ingest into a dataset that grows: each input once, as a part; then all parts together.

A batch may be stopped at any point, by whatever: a part counts once its record is there, the
dataset once its manifest is. The next run finds what is finished and goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from forensics import __version__, schemas
from forensics.archive.layout import INDEX, LAYOUT, LONG, MANIFEST, migrated, part_name, sensor_name
from forensics.archive.store import WORK, Store, is_url
from forensics.chaining import Chained, chain, chains
from forensics.crew import Crew, crew
from forensics.errors import ForensicsError, InputError, NoInputError, UsageError
from forensics.joining import join, ordered, with_seams
from forensics.jsontext import parsed
from forensics.options import Options
from forensics.part import Job, Made, make
from forensics.partfiles import read_record
from forensics.seams import seams, sew
from forensics.stitching import Stitched, search, searches, stitch, stitches
from forensics.verifying import VERIFIED, agenda, verify, write_verified
from forensics.verifying import WORK as CHECKS

KIND: Final = "dataset"
_OF_SIGNATURES: Final = ("signatures.parquet", "keys.parquet", "places.parquet")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of a batch.

    Attributes:
        errors: inputs that could not be read, or not to their end.
        damaged: whether anything of the batch's inputs was lost.
        counts: packets and messages of the whole dataset.
        fresh: inputs that were read now.
    """

    errors: tuple[InputError, ...]
    damaged: bool
    counts: dict[str, int]
    fresh: int


def grows(root: str) -> bool:
    """Whether a folder is a dataset that grows."""
    try:
        return "layout" in parsed((Path(root) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def read_manifest(store: Store) -> dict[str, Any] | None:
    """The manifest of a dataset that grows; None: there is none, or nothing at all.

    Raises:
        UsageError: it is of a version that is not read.
    """
    try:
        found = parsed(store.read(MANIFEST))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(found, dict) or "layout" not in found:
        return None
    return migrated(found, store.root)


def ingest_batch(
    paths: Sequence[str],
    root: str,
    options: Options,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    sensor: str | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Add captures to a dataset; one task a file, then their borders, then all together.

    Args:
        paths: inputs, paths or URLs.
        root: of the dataset, a folder or a URL; it need not exist.
        options: what reading depends on must be the same for all batches of a dataset.
        workers: processes on this machine. Without a scheduler too: this process does it.
        scheduler: address of a Dask cluster.
        sensor: name of what recorded the captures; None: each one's folder.
        progress: called with each finished task.

    Raises:
        UsageError: the folder is something else, or was made with other options.
        NoInputError: not one input could be read, and the dataset holds none.
        ForensicsError: the dataset cannot be written to, or the cluster is gone.
    """
    if "-" in paths:
        raise UsageError("-: standard input is no file that a batch could read again")
    store = Store(root)
    _check_place(store)
    try:
        with store.alone(), crew(workers, scheduler) as hands:
            return _ingest(store, sorted(set(paths)), options, hands, sensor, progress)
    except OSError as error:
        where = error.filename or root
        raise ForensicsError(
            f"{where}: {error.strerror or error}; the same command goes on from here"
        ) from None


def _ingest(
    store: Store,
    paths: Sequence[str],
    options: Options,
    hands: Crew,
    sensor: str | None,
    progress: Progress | None,
) -> Batch:
    root = store.root
    old = read_manifest(store) or {}
    settings = _settings(options)
    if old and old["settings"] != settings:
        raise UsageError(
            f"{root}: was made with other options ({json.dumps(old['settings'])}); "
            "use the same or begin another dataset"
        )
    store.clear_work()
    if not old:
        # From now on the folder is known as this program's own.
        store.write(MANIFEST, _text(_manifest(settings, {}, {}, [], None)))
        old = _manifest(settings, {}, {}, [], None)
    jobs = [
        Job(path, root, sensor_name(sensor if sensor is not None else _folder(path)), options)
        for path in paths
    ]
    made = _counted(hands.each(make, jobs), len(jobs), "reading", progress)
    inputs, failed = _told(old, sorted(made, key=lambda one: one.path), jobs)
    if not inputs:
        raise NoInputError(tuple(_error(*one) for one in failed))
    records = [(_record(store, part), entry["path"]) for part, entry in sorted(inputs.items())]
    alone = ordered(records)
    sewing = seams(root, alone, options)
    sewn = _counted(hands.each(sew, sewing), len(sewing), "sewing", progress)
    behind = {one.name: one.behind for one in sewing}
    parts = with_seams(alone, [(_record(store, name), behind[name]) for name in sewn])
    records += [(part.record, "") for part in parts if part.is_seam]
    how = json.dumps([LAYOUT, __version__, settings], sort_keys=True)
    wanted = searches(root, parts, how)
    done = _counted(hands.each(_searched, wanted), len(wanted), "stitching", progress)
    found = dict(done)
    state = _state_name(settings, inputs)
    if not store.exists(f"{state}/{INDEX}"):
        border, chained = Stitched(), Chained()
        for one in hands.each(stitch, stitches(root, parts, found, options)):
            border.add(one)
        for links in hands.each(chain, chains(root, parts, border, how)):
            chained.add(links)
        with store.work() as folder:
            join(root, parts, folder, border, chained)
            names = sorted(path.name for path in folder.iterdir())
            for name in names:
                if name not in _OF_SIGNATURES and name != INDEX:
                    store.put(folder / name, f"{state}/{name}")
            for name in _OF_SIGNATURES:
                store.copy(folder / name, f"{state}/{name}")
            work = agenda(root, state, folder, old["tables"])
            tasks = work.tasks
            checked = _counted(hands.each(verify, tasks), len(tasks), "verifying", progress)
            write_verified(root, work, sorted(checked), folder / VERIFIED)
            # The index last: with it the state counts.
            for name in (VERIFIED, INDEX):
                store.put(folder / name, f"{state}/{name}")
    files = {name: told for record, _ in records for name, told in record["files"].items()}
    more = [part_name(record["part"]) for record, _ in records]
    for name in [*store.names(state), *more, *found.values()]:
        content = store.read(name)
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "octets": len(content)}
    store.write(MANIFEST, _text(_manifest(settings, inputs, files, failed, state)))
    _clear(store, files)
    store.clear_work()
    mine = {one.part for one in made if one.part}
    return Batch(
        errors=tuple(_error(one.path, one.offset, one.reason) for one in made if one.reason),
        damaged=any(one.reason for one in made)
        or any(record["losses"] for record, _ in records if mine.intersection(_of(record))),
        counts={
            "packets": sum(record["packets"] for record, _ in records),
            "messages": sum(record["messages"] for record, _ in records),
        },
        fresh=sum(one.fresh for one in made),
    )


def _of(record: dict[str, Any]) -> list[str]:
    """The inputs that a part was read from; a seam is of several."""
    return list(record.get("of", (record["part"],)))


def _searched(asked: Any) -> tuple[str, str]:
    return asked.part, search(asked)


def _check_place(store: Store) -> None:
    """Refuse a folder that is something else.

    Raises:
        UsageError: it is.
    """
    if is_url(store.root):
        return
    folder = Path(store.root)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: exists and is no folder; name another one with --dataset")
    if not folder.is_dir() or all(one.name == WORK for one in folder.iterdir()):
        return
    try:
        found = parsed((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "layout" not in found:
        raise UsageError(
            f"{folder}: holds something else than a dataset that can grow; name another one, "
            "or ingest anew with --workers"
        )


def _folder(path: str) -> str:
    """The name of the folder that an input lies in."""
    if is_url(path):
        return path.rsplit("/", 2)[-2]
    return Path(path).resolve().parent.name or "sensor"


def _settings(options: Options) -> dict[str, Any]:
    """What the parts of a dataset depend on besides their inputs."""
    key = None
    if options.anonymize is not None:
        key = hashlib.sha256(Path(options.anonymize).read_bytes()).hexdigest()[:16]
    logs = [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in options.tls_keylogs]
    return {
        "ports": sorted(options.ports),
        "servers": sorted(options.servers),
        "resolvers": sorted(options.resolvers),
        "from": options.start,
        "to": options.end,
        "anonymize": key,
        "tls_keylogs": [digest[:16] for digest in sorted(logs)],
        "schema_version": schemas.SCHEMA_VERSION,
    }


def _told(
    old: dict[str, Any], made: Iterable[Made], jobs: Sequence[Job]
) -> tuple[dict[str, Any], list[list[Any]]]:
    """All inputs by part, the new ones among them, and the list of those that failed."""
    inputs = dict(old["parts"])
    failed = {tuple(one) for one in old["unreadable"]}
    sensors = {job.path: job.sensor for job in jobs}
    for one in made:
        failed = {entry for entry in failed if entry[0] != one.path}
        if one.reason:
            failed.add((one.path, one.offset, one.reason))
        if one.part:
            known = inputs.get(one.part)
            # Of two names of the same octets the lesser one counts, whichever came first.
            if known is None or one.path < known["path"]:
                sensor = known["sensor"] if known else sensors[one.path]
                inputs[one.part] = {"path": one.path, "sensor": sensor, "sha256": one.sha256}
    return inputs, [list(one) for one in sorted(failed)]


def _record(store: Store, part: str) -> dict[str, Any]:
    record = read_record(store, part)
    if record is None:
        raise UsageError(f"{store.root}: {part_name(part)} is missing; ingest its capture again")
    return record


def _error(path: str, offset: int, reason: str) -> InputError:
    return InputError(path, offset, reason)


def _state_name(settings: dict[str, Any], inputs: dict[str, Any]) -> str:
    """Name a state by what it is made of."""
    told = json.dumps([LAYOUT, __version__, settings, inputs], sort_keys=True)
    return f"states/{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _manifest(
    settings: dict[str, Any],
    inputs: dict[str, Any],
    files: dict[str, Any],
    failed: list[list[Any]],
    state: str | None,
) -> dict[str, Any]:
    return {
        "kind": KIND,
        "layout": LAYOUT,
        "tool": {"name": "dns-forensics", "version": __version__},
        "schema_version": schemas.SCHEMA_VERSION,
        "settings": settings,
        "parts": inputs,
        "inputs": {entry["path"]: entry["sha256"] for entry in inputs.values()},
        "tables": state,
        "unreadable": failed,
        "files": files,
    }


def _text(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode()


def _counted(results: Iterable[Any], total: int, what: str, progress: Progress | None) -> list[Any]:
    """Collect results, and tell how many there are."""
    found = []
    for one in results:
        found.append(one)
        if progress is not None:
            progress(what, len(found), total)
    return found


def _clear(store: Store, files: dict[str, Any]) -> None:
    """Remove what the manifest does not name: unfinished parts, and states gone by."""
    for folder in (*LONG, "parts", "states", CHECKS):
        for name in store.names(folder):
            if name not in files:
                store.remove(name)
