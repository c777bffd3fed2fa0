"""Seams: what the files of one sensor left for each other, read together as one capture would be.

A part leaves out the packets that only its neighbours can explain (`capture/leftovers.py`). Files
that follow each other are sewn by sixteen: one seam reads what such a stretch of files left, in the
order of capture, and becomes a part like any other, without a capture of its own: its frames are
translated to those of the files. Its name is made of what it reads, so that a seam changes only
where files come between.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from forensics import __version__, limits
from forensics.archive.frames import FRAMES
from forensics.archive.layout import LAYOUT, part_name
from forensics.archive.store import Store
from forensics.errors import InputError
from forensics.options import Options
from forensics.partfiles import read_left, read_record, write_part
from forensics.stitching import NEVER, Part

STRETCH: Final = 16
"""Files whose seams are one: a seam costs as much as a small file, however little is in it."""

_DIGITS: Final = 32


@dataclass(slots=True)
class Share:
    """What a seam reads of one part.

    Attributes:
        part: id.
        units: connections and datagrams.
        heads: its first messages.
        lasts: its last messages, to hold those of the next file against them.
    """

    part: str
    units: list[int] = field(default_factory=list)
    heads: bool = False
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Seam:
    """What a task needs to sew.

    Attributes:
        root: of the dataset.
        shares: in order of capture.
        sensor: a name by `layout.sensor_name`.
        behind: id of the part that it comes behind.
        options: of the dataset.
    """

    root: str
    shares: tuple[Share, ...]
    sensor: str
    behind: str
    options: Options

    @property
    def name(self) -> str:
        """The id of its part."""
        told = [
            [one.part, sorted(one.units), one.heads, one.lasts, self.sensor] for one in self.shares
        ]
        text = json.dumps([LAYOUT, __version__, told])
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def successions(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts of each sensor, one behind the other: the rule of `Reassembly.sensor`.

    Of several sensors that have ended a file goes on with that of its own name.
    """
    found: list[list[Part]] = []
    for part in parts:
        if part.begins == NEVER:
            continue
        ended = [one for one in found if one[-1].ends <= part.begins + limits.SENSOR_SLACK]
        if ended:
            name = part.record["sensor"]
            max(ended, key=lambda one: (one[-1].record["sensor"] == name, one[-1].ends)).append(
                part
            )
        else:
            found.append([part])
    return found


def seams(root: str, parts: Sequence[Part], options: Options) -> list[Seam]:
    """The seams that a dataset needs: each packet left over is read in one of them."""
    store = Store(root)
    found = []
    for chain in successions(parts):
        stretches: dict[int, dict[int, Share]] = {}
        owners: dict[int, tuple[int, int]] = {}
        for at, part in enumerate(chain):
            _share(store, chain, at, part, stretches, owners)
        for number, shares in sorted(stretches.items()):
            if not any(one.units or one.heads for one in shares.values()):
                continue
            told = tuple(shares[at] for at in sorted(shares))
            last = min((number + 1) * STRETCH, len(chain)) - 1
            sensor = str(chain[number * STRETCH].record["sensor"])
            found.append(Seam(root, told, sensor, chain[last].name, options))
    return found


def _share(
    store: Store,
    chain: Sequence[Part],
    at: int,
    part: Part,
    stretches: dict[int, dict[int, Share]],
    owners: dict[int, tuple[int, int]],
) -> None:
    """Give what a part left to the seams of the files that it began in.

    `owners`: by unit, the place in the chain of the file that it began in, and its last time.
    """
    import pyarrow.parquet as pq

    if not part.record.get("left"):
        return

    def of(owner: int, place: int) -> Share:
        shares = stretches.setdefault(owner // STRETCH, {})
        return shares.setdefault(place, Share(chain[place].name))

    table = pq.read_table(store.open(part_name(part.name, "units.parquet")))
    columns = (table[name].to_pylist() for name in ("unit", "kind", "fresh", "first", "last"))
    for unit, kind, fresh, first, last in zip(*columns, strict=True):
        owner, seen = owners.get(unit, (at, 0))
        waits = limits.FRAGMENT_TIMEOUT if kind == 2 else limits.TCP_IDLE
        if fresh or first > seen + waits:
            owner = at
        owners[unit] = (owner, last)
        of(owner, at).units.append(unit)
    for unit in [unit for unit, one in owners.items() if one[1] < part.begins - limits.TCP_IDLE]:
        del owners[unit]
    before = max(at - 1, 0)
    of(before, at).heads = True
    for earlier in range(at - 1, -1, -1):
        if chain[earlier].ends < part.begins - _reach():
            break
        of(before, earlier).lasts = True


def _reach() -> int:
    return limits.DUPLICATE_WINDOW + limits.SENSOR_SLACK


def sew(job: Seam) -> str:
    """Read what files left for each other into a part, unless the dataset has it already.

    Returns:
        the part's id.
    """
    store = Store(job.root)
    name = job.name
    if read_record(store, name) is None:
        _Sewing(job, store).write()
    return name


class _Sewing:
    """Reads one seam."""

    def __init__(self, job: Seam, store: Store) -> None:
        self._job = job
        self._store = store
        self._numbers: list[Any] = [np.empty(0, np.uint16)]
        self._frames: list[Any] = [np.empty(0, np.int64)]
        self._times: list[int] = []
        self._losses: Counter[str] = Counter()

    def write(self) -> None:
        """Read, and write the part."""
        job = self._job
        seam = {"of": [one.part for one in job.shares], "packets": 0, "octets": 0, "sha256": ""}
        write_part(
            self._store, job.name, job.sensor, job.options, self._source, "", self._finish, seam
        )

    def _source(self, failed: Callable[[InputError], None]) -> Iterator[Any]:  # noqa: ARG002
        from forensics.capture.facts import CaptureFacts
        from forensics.capture.rereading import Rereading

        reading = Rereading(self._job.options.ports)
        begins: dict[int, int] = {}
        places: dict[int, Any] = {}
        facts = []
        base = 0
        none = len(self._job.shares)
        for number, share in enumerate(self._job.shares):
            left, last = self._chosen(share)
            one = CaptureFacts(share.part, number, "")
            facts.append(one)
            begins[number], places[number] = base, (left.offset, left.frame)
            base += len(left)
            self._numbers.append(np.full(len(left), number, np.uint16))
            self._frames.append(left.frame)
            for block in reading.blocks(left, one):
                yield from _renumbered(block, begins)
            # They are in their own part: here they are only what others are copies of.
            for block in reading.blocks(last, CaptureFacts(share.part, none + number, "")):
                yield from _renumbered(block, begins)
        for block in reading.finish():
            yield from _renumbered(block, begins)
        self._times = [
            time for one in facts if one.first is not None for time in (one.first, one.last or 0)
        ]
        for one in facts:
            self._losses.update(one.losses.as_dict())
            offset, frame = places[one.number]
            for loss in one.losses.rows():
                if 0 < loss.frame <= len(frame):
                    loss.offset = int(offset[loss.frame - 1])
                    loss.frame = int(frame[loss.frame - 1])
        yield from facts

    def _chosen(self, share: Share) -> tuple[Any, Any]:
        """The packets of a share, and the last messages besides."""
        from forensics.capture.leftovers import DATAGRAM, joined

        left = read_left(self._store, share.part)
        if left is None:
            return joined(()), joined(())
        mine = np.isin(left.unit, np.array(share.units, np.uint64)) & (left.kind != DATAGRAM)
        if share.heads:
            mine |= left.kind == DATAGRAM
        mine &= left.taken
        last = left.is_last & ~mine if share.lasts else np.zeros(len(left), np.bool_)
        return left.chosen(mine), left.chosen(last)

    def _finish(self, own: Path) -> dict[str, Any]:
        """Write where the frames come from."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(
            {
                "of": pa.array(np.concatenate(self._numbers)),
                "frame": pa.array(np.concatenate(self._frames)),
            }
        )
        pq.write_table(table, own / FRAMES, compression="zstd")
        return {
            "first": min(self._times, default=None),
            "last": max(self._times, default=None),
            "losses": dict(sorted(self._losses.items())),
        }


def _renumbered(block: Any, begins: dict[int, int]) -> Iterator[Any]:
    """Number the frames of a block through the whole seam; leave out what is none of its own."""
    if block.capture in begins and len(block):
        block.frame = block.frame + begins[block.capture]
        block.capture = 0
        block.captures = np.zeros(len(block), np.uint16)
        yield block
