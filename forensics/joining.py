"""All parts of a dataset together: one numbering, one set of signatures and keys, borders stitched.

What is held here is distinct (signatures, key RRsets, places) or stands at a border; transactions
stay in their parts. The result depends on the parts alone, not on who made them, when, or in which
order they came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.archive.frames import FRAMES, Frames
from forensics.archive.layout import INDEX, KEY_TAGS_FILE, LONG, part_name
from forensics.archive.store import Store
from forensics.archive.view import write_changes
from forensics.capture.losses import REASONS
from forensics.chaining import Chained
from forensics.errors import UsageError
from forensics.stitching import Part, Stitched, stacked
from forensics.vocabulary import Pairing

_CAPTURES: Final = 2**16


def ordered(records: Iterable[tuple[dict[str, Any], str]]) -> list[Part]:
    """Put parts (record, path) in order of time.

    Raises:
        UsageError: there are more than a table can number.
    """
    order = sorted(
        records,
        key=lambda one: (one[0]["first"] is None, one[0]["first"] or 0, one[1], one[0]["part"]),
    )
    if len(order) > _CAPTURES:
        raise UsageError(f"{len(order)} captures: one dataset holds {_CAPTURES}; begin another")
    base = 0
    parts = []
    for rank, (record, path) in enumerate(order):
        parts.append(Part(record, path, rank, base, (rank,)))
        base += int(record["messages"])
    return parts


def with_seams(
    parts: Sequence[Part], seams: Iterable[tuple[dict[str, Any], str]]
) -> list[Part]:
    """Number parts and seams together.

    Args:
        parts: in order.
        seams: record of each, and the id of the part that it comes behind.
    """
    numbers = {part.name: part.captures for part in parts}
    behind: dict[str, list[dict[str, Any]]] = {}
    for record, name in seams:
        behind.setdefault(name, []).append(record)
    made: list[Part] = []
    base = 0
    for part in parts:
        here = [(part.record, part.path, part.captures)]
        for record in sorted(behind.get(part.name, ()), key=lambda one: str(one["part"])):
            captures = tuple(number for of in record["of"] for number in numbers[of])
            here.append((record, "", captures))
        for record, path, captures in here:
            made.append(Part(record, path, len(made), base, captures))
            base += int(record["messages"])
    return made


def join(
    root: str, parts: Sequence[Part], folder: Path, border: Stitched, chained: Chained
) -> None:
    """Write the state of all parts into an empty folder, its index last.

    Args:
        root: of the dataset.
        parts: in order.
        folder: where the state is made.
        border: what stitching changes.
        chained: what it changes of repetitions over TCP.
    """
    from forensics.transactions.places import packed

    store = Store(root)
    names = [part.name for part in parts]
    _write_chained(folder, chained)
    rows = _continued(border.table(), chained)
    write_changes(folder, names, rows, stacked(border.superseded, 2), stacked(border.moved, 5))
    signature_numbers = _join_signatures(store, parts, folder)
    place_numbers, addresses, answered = _join_places(store, parts, folder)
    unsolicited = _join_keys(
        store,
        parts,
        folder,
        place_numbers,
        addresses,
        answered | set(map(packed, border.answered)),
        border,
    )
    _join_facts(store, parts, folder, unsolicited)
    _join_key_tags(store, parts, folder)
    _write_numbers(folder, signature_numbers, place_numbers)
    index = {
        "parts": [
            {
                "part": part.name,
                "base": part.base,
                "first": part.record["first"],
                "last": part.record["last"],
                "files": {table: part.files(table) for table in LONG},
                "captures": list(part.captures),
                **({"frames": part_name(part.name, FRAMES)} if part.is_seam else {}),
            }
            for part in parts
        ]
    }
    text = json.dumps(index, indent=1, sort_keys=True)
    (folder / INDEX).write_text(text + "\n", encoding="ascii")


def _continued(rows: Any, chained: Chained) -> Any:
    """The rows that borders made, with what they continue."""
    import pyarrow as pa

    found = [chained.made.get(number, -1) for number in rows["transaction"].to_pylist()]
    at = rows.schema.get_field_index("continues")
    column = pa.array([None if one < 0 else one for one in found], rows.schema.field(at).type)
    return rows.set_column(at, rows.schema.field(at), column)


def _join_signatures(store: Store, parts: Sequence[Part], folder: Path) -> list[NDArray[np.uint32]]:
    """Write each distinct signature once, in order of first sight; give each part's numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.archive.tables import TableWriter

    first: dict[str, tuple[int, int, int, int]] = {}
    ids = []
    for part in parts:
        file = store.open(part_name(part.name, "signatures.parquet"))
        mine = pq.read_table(file, columns=["signature_id"])["signature_id"].to_pylist()
        captures, frames = _firsts(store, part, len(mine))
        for own, one in enumerate(mine):
            seen = (captures[own], frames[own], part.rank, own)
            if one not in first or seen < first[one]:
                first[one] = seen
        ids.append(mine)
    order = sorted(first, key=first.__getitem__)
    known = {one: number for number, one in enumerate(order)}
    with TableWriter(folder, "signatures") as writer:
        for start in range(0, len(order), limits.BATCH_ROWS // 4):
            held = []
            owners = [first[one][2:] for one in order[start : start + limits.BATCH_ROWS // 4]]
            for rank in sorted({rank for rank, _ in owners}):
                rows = [own for mine, own in owners if mine == rank]
                file = store.open(part_name(parts[rank].name, "signatures.parquet"))
                table = pq.read_table(file).take(pa.array(rows))
                numbers = [known[one] for one in table["signature_id"].to_pylist()]
                at = table.schema.get_field_index("signature")
                field = table.schema.field(at)
                held.append(table.set_column(at, field, pa.array(numbers, pa.uint32())))
            table = pa.concat_tables(held).sort_by("signature")
            writer.write(table.combine_chunks())
    return [np.array([known[one] for one in mine], np.uint32) for mine in ids]


def _firsts(store: Store, part: Part, count: int) -> tuple[list[int], list[int]]:
    """The capture and the frame of the first sighting of each signature of a part."""
    import pyarrow.parquet as pq

    name = part_name(part.name, "firsts.parquet")
    capture = part.captures[0] if part.captures else 0
    if not store.exists(name):  # a part of an older layout
        return [capture] * count, list(range(count))
    frames = pq.read_table(store.open(name))["frame"].to_numpy()
    if not part.is_seam:
        return [capture] * count, frames.tolist()
    of = Frames(store, part_name(part.name, FRAMES), part.captures)
    at = np.maximum(frames - 1, 0)
    return of.capture[at].tolist(), of.frame[at].tolist()


def _join_places(
    store: Store, parts: Sequence[Part], folder: Path
) -> tuple[list[NDArray[np.uint32]], list[bytes], set[bytes]]:
    """Write the places of all parts.

    Returns:
        each part's numbers; addresses by number; the addresses that were seen to answer a query.
    """
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.transactions.places import places, places_table

    tables = [
        pq.read_table(store.open(part_name(part.name, "responders.parquet"))).to_pylist()
        for part in parts
    ]
    known = _numbered(store, parts, tables)
    merged = places()
    addresses = [bytes(16)] * (len(known) + 1)
    answered: set[bytes] = set()
    written: set[int] = set()
    numbers = []
    for table in tables:
        mine = np.zeros(len(table), np.uint32)
        for own, row in enumerate(table):
            number = known.get((row["address"], row["nsid"]), 0) if own else 0
            if own and row["paired"]:
                answered.add(row["address"])
            if number and number not in written:
                written.add(number)
                merged.addresses[16 * number : 16 * number + 16] = np.frombuffer(
                    row["address"], np.uint8
                )
                start = limits.NSID_OCTETS * number
                merged.nsids[start : start + len(row["nsid"])] = np.frombuffer(
                    row["nsid"], np.uint8
                )
                merged.nsid_lengths[number] = len(row["nsid"])
                merged.word[number] = row["word"]
                addresses[number] = row["address"]
            for name in ("authority", "recursive", "referrals"):
                getattr(merged, name)[number] += row[name]
            mine[own] = number
        numbers.append(mine)
    merged.state[0] = len(known) + 1
    write_table(folder, "places", places_table(merged))
    return numbers, addresses, answered


def _numbered(
    store: Store, parts: Sequence[Part], tables: Sequence[list[dict[str, Any]]]
) -> dict[tuple[bytes, bytes], int]:
    """Number the places as one run would: in the order in which they were first seen."""
    first: dict[tuple[bytes, bytes], tuple[int, int, int, int]] = {}
    for part, table in zip(parts, tables, strict=True):
        frames = None
        if part.is_seam:
            frames = Frames(store, part_name(part.name, FRAMES), part.captures)
        for own, row in enumerate(table):
            frame, capture = row.get("frame", own), part.captures[0] if part.captures else 0
            if frames is not None and frame:
                capture, frame = int(frames.capture[frame - 1]), int(frames.frame[frame - 1])
            key = (row["address"], row["nsid"])
            seen = (capture, frame, part.rank, own)
            if own and seen < first.get(key, (2**31, 0, 0, 0)):
                first[key] = seen
    order = sorted(first, key=first.__getitem__)[: limits.PLACES]
    return {key: number for number, key in enumerate(order, 1)}


def _join_keys(
    store: Store,
    parts: Sequence[Part],
    folder: Path,
    place_numbers: Sequence[NDArray[np.uint32]],
    addresses: Sequence[bytes],
    answered: set[bytes],
    border: Stitched,
) -> int:
    """Write the runs of key RRsets of all parts; give the suspect sightings that are left out."""
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.evidence import arrays
    from forensics.evidence.keysets import KeySets, joined, runs_table

    sets = KeySets([], [], [])
    owners: dict[tuple[str, int], int] = {}
    known: dict[tuple[int, tuple[bytes, ...]], int] = {}
    all_runs = []
    changed = stacked(border.states, 4)
    for part in parts:
        states = {
            (frame, time): state
            for _, frame, time, state in changed[changed[:, 0] == part.rank].tolist()
        }
        table = pq.read_table(store.open(part_name(part.name, "runs.parquet")))
        runs = np.column_stack([column.to_numpy() for column in table.columns]).astype(np.int64)
        runs = runs.reshape(-1, arrays.RUN_COLUMNS)
        rows = pq.read_table(store.open(part_name(part.name, "keysets.parquet"))).to_pylist()
        size = 1 + max((row["set"] for row in rows), default=-1)
        number, owner = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for row in rows:
            named = (row["owner"], row["type"])
            if named not in owners:
                owners[named] = len(owners)
                sets.owners.append(named)
            key = (owners[named], tuple(row["rdatas"]))
            if key not in known:
                known[key] = len(known)
                sets.rdatas.append(row["rdatas"])
                sets.kinds.append(row["type"])
            number[row["set"]], owner[row["set"]] = known[key], owners[named]
        for at in np.flatnonzero(runs[:, arrays.RUN_CAPTURE] > 0).tolist():
            where = (int(runs[at, arrays.RUN_FIRST_FRAME]), int(runs[at, arrays.RUN_FIRST]))
            if states.get(where, Pairing.UNSOLICITED) != Pairing.UNSOLICITED:
                runs[at, arrays.RUN_UNPAIRED] = 0
        runs[:, arrays.RUN_OWNER] = owner[runs[:, arrays.RUN_KEYSET]]
        runs[:, arrays.RUN_KEYSET] = number[runs[:, arrays.RUN_KEYSET]]
        runs[:, arrays.RUN_PLACE] = place_numbers[part.rank][runs[:, arrays.RUN_PLACE]]
        if part.is_seam:
            runs = _translated(runs, Frames(store, part_name(part.name, FRAMES), part.captures))
        else:
            runs[:, arrays.RUN_CAPTURE] = part.captures[0]
        all_runs.append(runs)
    runs = np.concatenate(all_runs) if all_runs else np.empty((0, arrays.RUN_COLUMNS), np.int64)
    paired = np.array([address in answered for address in addresses], np.bool_)
    suspect = (runs[:, arrays.RUN_UNPAIRED] == 1) & paired[runs[:, arrays.RUN_PLACE]]
    write_table(folder, "keys", runs_table(*joined(runs[~suspect]), sets))
    return int(runs[suspect, arrays.RUN_COUNT].sum())


def _translated(runs: NDArray[np.int64], frames: Frames) -> NDArray[np.int64]:
    """Name the captures and frames of a seam's runs; one of two captures becomes two runs."""
    from forensics.evidence import arrays

    first, last = runs[:, arrays.RUN_FIRST_FRAME] - 1, runs[:, arrays.RUN_LAST_FRAME] - 1
    runs[:, arrays.RUN_FIRST_FRAME] = frames.frame[first]
    runs[:, arrays.RUN_LAST_FRAME] = frames.frame[last]
    runs[:, arrays.RUN_CAPTURE] = frames.capture[first]
    apart = frames.capture[first] != frames.capture[last]
    ends = runs[apart].copy()
    ends[:, arrays.RUN_CAPTURE] = frames.capture[last[apart]]
    ends[:, arrays.RUN_FIRST] = ends[:, arrays.RUN_LAST]
    ends[:, arrays.RUN_FIRST_FRAME] = ends[:, arrays.RUN_LAST_FRAME]
    ends[:, arrays.RUN_COUNT] = 1
    runs[apart, arrays.RUN_LAST] = runs[apart, arrays.RUN_FIRST]
    runs[apart, arrays.RUN_LAST_FRAME] = runs[apart, arrays.RUN_FIRST_FRAME]
    runs[apart, arrays.RUN_COUNT] -= 1
    return np.concatenate((runs, ends))


def _join_facts(store: Store, parts: Sequence[Part], folder: Path, unsolicited: int) -> None:
    """Write the captures and losses of all parts, with what seams made of their packets."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.capture.facts import losses_table
    from forensics.schemas import CAPTURES, LOSSES

    captures: dict[int, dict[str, Any]] = {}
    losses: dict[int, dict[str, dict[str, Any]]] = {}
    later: Counter[str] = Counter({"unsolicited": unsolicited})
    for part in sorted(parts, key=lambda one: one.is_seam):
        table = pq.read_table(store.open(part_name(part.name, "captures.parquet")))
        table = table.cast(CAPTURES)
        for at in _TIMES:
            table = _as_integers(table, at)
        for row in table.to_pylist():
            number = part.captures[row["capture"]]
            if part.is_seam:
                _add(captures[number], row)
            else:
                captures[number] = {**row, "capture": number, "path": part.path}
        table = pq.read_table(store.open(part_name(part.name, "losses.parquet")))
        for row in table.filter(table["capture"].is_valid()).to_pylist():
            number = part.captures[row["capture"]]
            mine = losses.setdefault(number, {})
            _lose(mine, {**row, "capture": number})
        later.update(part.record["left_out"])
    rows = [captures[number] for number in sorted(captures)]
    write_table(folder, "captures", pa.Table.from_pylist(rows, schema=CAPTURES))
    lost = [
        row
        for number in sorted(losses)
        for row in sorted(
            losses[number].values(), key=lambda row: (row["offset"], _ORDER[row["reason"]])
        )
    ]
    rest = losses_table([], later)
    write_table(
        folder, "losses", pa.concat_tables([pa.Table.from_pylist(lost, schema=LOSSES), rest])
    )


def _join_key_tags(store: Store, parts: Sequence[Part], folder: Path) -> None:
    """Write the claims of trust of all parts, if there are any."""
    import pyarrow.parquet as pq

    from forensics.archive.tables import write_table
    from forensics.testimony.keytags import KeyTags

    found = KeyTags()
    for part in parts:
        name = part_name(part.name, KEY_TAGS_FILE)
        if name not in part.record["files"]:
            continue
        rows = _as_integers(_as_integers(pq.read_table(store.open(name)), "first"), "last")
        name = part_name(part.name, FRAMES)
        frames = Frames(store, name, part.captures) if part.is_seam else None
        for row in rows.to_pylist():
            row["capture"] = part.captures[0]
            if frames is not None:
                row["capture"] = int(frames.capture[row["frame"] - 1])
                row["frame"] = int(frames.frame[row["frame"] - 1])
            found.add(row)
    if found.claims:
        write_table(folder, "key_tags", found.table())


_TIMES: Final = ("first", "last")
_ORDER: Final = {reason: code for code, reason in enumerate(REASONS)}
_SUMS: Final = (
    "messages",
    "carriers",
    "duplicates",
    "other",
    "message_octets",
    "other_octets",
    "framing_octets",
    "lost_octets",
)


def _as_integers(table: Any, name: str) -> Any:
    import pyarrow as pa

    at = table.schema.get_field_index(name)
    return table.set_column(at, name, table[name].cast(pa.int64()))


def _add(row: dict[str, Any], more: dict[str, Any]) -> None:
    """Add to a capture's facts those of the packets that it left for a seam."""
    for name in _SUMS:
        if row[name] is not None:
            row[name] += more[name] or 0
    row["link_types"] = sorted({*row["link_types"], *more["link_types"]})
    counts = Counter(dict(row["encapsulations"]))
    counts.update(dict(more["encapsulations"]))
    row["encapsulations"] = sorted(counts.items())


def _lose(losses: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    """Add a loss to those of a capture, by reason; the first case is named."""
    known = losses.setdefault(row["reason"], row)
    if known is row:
        return
    known["count"] += row["count"]
    known["octets"] += row["octets"]
    if (row["frame"], row["offset"]) < (known["frame"], known["offset"]):
        for name in ("frame", "offset", "detail"):
            known[name] = row[name]


def _write_chained(folder: Path, chained: Chained) -> None:
    """Write what borders change of the column `continues`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = sorted(chained.rows)
    table = pa.table(
        {
            name: pa.array([row[at] for row in rows], pa.int64())
            for at, name in enumerate(("rank", "transaction", "continues"))
        }
    )
    pq.write_table(table, folder / "chained.parquet", compression="zstd")


def _write_numbers(
    folder: Path, signatures: Sequence[NDArray[np.uint32]], places: Sequence[NDArray[np.uint32]]
) -> None:
    """Write the numbers in all of each part's signatures and places, a row group a part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.list_(pa.uint32())
    schema = pa.schema([("signature", kind), ("place", kind)])
    with pq.ParquetWriter(folder / "numbers.parquet", schema, compression="zstd") as writer:
        for mine, own in zip(signatures, places, strict=True):
            columns = [pa.array([mine], kind), pa.array([own], kind)]
            writer.write_table(pa.table(columns, schema=schema))
