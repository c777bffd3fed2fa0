"""The watcher: look at the folder, read what is new, judge the horizon, tell what changed.

Time of the capture decides what is told; the wall clock, an argument, only when to look, and that
nothing comes any more.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forensics import limits
from forensics.errors import UsageError
from forensics.options import Options
from forensics.watching import bounds
from forensics.watching.delivery import Delivery
from forensics.watching.events import SCHEMA, Notice, compare, notice_id
from forensics.watching.expiring import expiring, served_of
from forensics.watching.keepsake import keep
from forensics.watching.look import Look, as_shown, give_back, look
from forensics.watching.sources import Follower, Input, Source
from forensics.watching.store import Known, Store


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user of a watcher may choose.

    Attributes:
        options: of the analysis.
        horizon: ns of the capture that are judged.
        silence: wall-clock ns without new octets from which on that is told; 0: never.
        hours: before the end of signatures still served from which on that is told; 0: never.
    """

    options: Options
    horizon: int = bounds.HORIZON
    silence: int = 0
    hours: float = bounds.EXPIRY_HOURS


class Watcher:
    """One watcher of one folder, with its state.

    Attributes:
        known: what it knows.

    Args:
        store: the state folder.
        follower: of the captures.
        known: as the store gave it.
        settings: what the user chose.
        delivery: where notices go.
        anchors, supplied: trust anchors and supplied keys.
    """

    def __init__(
        self,
        store: Store,
        follower: Follower,
        known: Known,
        settings: Settings,
        delivery: Delivery,
        anchors: list[Any],
        supplied: Any,
    ) -> None:
        self.known = known
        self._store = store
        self._follower = follower
        self._settings = settings
        self._delivery = delivery
        self._anchors = anchors
        self._supplied = supplied
        self._unread: set[str] = set()

    def step(self, now: int) -> bool:
        """Look once, and tell what is to be told; say whether there was anything new to read.

        Args:
            now: wall clock, ns since 1970 UTC.

        Raises:
            UsageError: the folder, the state or the notices cannot be read or written.
        """
        known = self.known
        try:
            is_new = self._follower.scan(now, self._settings.horizon)
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"{self._follower.folder}: cannot be read: {reason}") from None
        known.fed = known.fed or now
        notices = self._read(now) if is_new else []
        if is_new:
            known.fed, known.silent = now, False
        else:
            notices += self._damage(None, now)
            notices += self._silence(now)
        self._post(notices, save=is_new or bool(notices))
        return is_new

    def frames(self) -> int:
        """Give how many frames were read since the state began."""
        return self._follower.frames()

    def close(self) -> None:
        """Save what is known, and end the hooks."""
        self._delivery.close(self.known.outbox)
        self._save()
        self._store.close()

    def _post(self, notices: list[Notice], *, save: bool) -> None:
        """Put notices into the state, and then before people."""
        self.known.outbox += [
            {"notice": notice, "written": False, "hooked": False} for notice in notices
        ]
        if save:
            self._save()
        if self._delivery.pump(self.known.outbox):
            self._save()

    def _save(self) -> None:
        self.known.sources = list(self._follower.sources.values())
        self.known.number = self._follower.number
        self.known.departed = self._follower.departed
        self._store.save(self.known)

    def _read(self, now: int) -> list[Notice]:
        """Judge the horizon, and hold it against what was told."""
        known, store = self.known, self._store
        inputs = self._follower.inputs()
        shutil.rmtree(store.tables, ignore_errors=True)
        found = look(
            inputs, store.keepsake, store.tables, self._settings.options, self._anchors,
            self._supplied, self._keylogs(),
        )  # fmt: skip
        self._follower.read_up_to(found.facts)
        notices = self._damage(found, now)
        lasts = [one.last for one in inputs if one.last is not None]
        if found.report is not None and lasts:
            known.newest = max(known.newest, *lasts)
            report = as_shown(found.report, inputs, store.keepsake)
            known.events, told = compare(known.events, report, known.gone)
            notices += told
            notices += self._expiring(found, inputs)
        self._let_go(found, inputs)
        give_back()
        return notices

    def _keylogs(self) -> list[str]:
        """Give the files of TLS secrets that can be read now; say once why another one cannot.

        Whoever writes them may not have begun, may rotate them, or may let one grow too long: what
        they would open is then a counted loss, and the rest is judged.
        """
        from forensics.capture.tls_secrets import read_keylogs

        found = []
        for path in self._settings.options.tls_keylogs:
            try:
                read_keylogs([path])
            except UsageError as error:
                if str(error) not in self._unread:
                    self._unread.add(str(error))
                    self._delivery.complain(str(error))
            else:
                found.append(path)
        return found

    def _expiring(self, found: Look, inputs: list[Input]) -> list[Notice]:
        """Tell of signatures that end soon."""
        from forensics.archive.tables import read_table

        if not self._settings.hours:
            return []
        checks = read_table(found.tables, "checks", ["signature", "verifies"])
        verified = set(checks.filter(checks["verifies"])["signature"].to_pylist())
        shown = {one.path: one for one in inputs}
        served = [
            replaced(one, shown[one.capture]) if one.capture in shown else one
            for one in served_of(found.tables, verified)
        ]
        self.known.expiring, notices = expiring(
            served, self.known.expiring, self.known.newest, self._settings.hours
        )
        return notices

    def _let_go(self, found: Look, inputs: list[Input]) -> None:
        """Drop what is past the horizon or beyond what one look can judge; keep its keys."""
        known = self.known
        begin = known.newest - self._settings.horizon
        packets = 0
        past = []
        for one in sorted(inputs, key=lambda one: (-(one.last or 0), one.path)):
            is_first = not packets
            packets += one.packets
            empty = one.last is None and not one.live
            if empty or (one.last or begin) < begin or (packets > bounds.PACKETS and not is_first):
                past.append(one)
        if not past:
            return
        known.gone = max([known.gone, *(one.last for one in past if one.last is not None)])
        paths = {one.path for one in past}
        if found.report is not None:
            ports = self._settings.options.ports
            keep(
                found.tables, self._store.keepsake, paths, known.newest, ports, self._keylogs()
            )
        self._follower.drop(paths)

    def _damage(self, found: Look | None, now: int) -> list[Notice]:
        """Tell once of each file that is damaged and at rest, or was deleted unread."""
        notices = []
        for source in self._follower.sources.values():
            if found is not None:
                source.found = [
                    {**row, "frame": row["frame"] + one.frames if row["frame"] else 0}
                    for one in source.inputs
                    for row in found.damage.get(one.path, ())
                    if not (one.live and row["reason"] in ENDS)
                ]
            if now - source.mtime < bounds.DAMAGE_AGE and not self._follower.own:
                continue
            cut = source.grows and source.at < source.size
            rows = [*source.found, *([_cut(source)] if cut else [])]
            rows = [row for row in rows if row["reason"] not in source.damage]
            if not rows:
                continue
            source.damage += [row["reason"] for row in rows]
            sentence = (
                f"{source.name} is damaged: {rows[0]['detail']}. What is readable in it was judged."
            )
            notices.append(self._damaged(source, rows, sentence))
        for source in self._follower.missed:
            source.damage.append("deleted")
            rows = [_deleted(source)]
            sentence = f"{source.name}: {rows[0]['detail']}; nobody can judge what stood there."
            notices.append(self._damaged(source, rows, sentence))
        self._follower.missed.clear()
        return notices

    def _damaged(self, source: Source, rows: list[dict[str, Any]], sentence: str) -> Notice:
        """Make the notice of what is lost of a file."""
        from forensics.timeline.moments import rfc3339

        return {
            "schema": SCHEMA,
            "id": notice_id("damaged", source.name, *source.damage),
            "event": "input-damaged",
            "noticed": rfc3339(self.known.newest),
            "capture": source.name,
            **rows[0],
            "losses": rows,
            "sentence": sentence,
        }

    def _silence(self, now: int) -> list[Notice]:
        """Tell once that nothing comes any more."""
        from forensics.timeline.moments import rfc3339

        known, silence = self.known, self._settings.silence
        if not silence or known.silent or now - known.fed < silence:
            return []
        known.silent = True
        known.silences += 1
        seconds = (now - known.fed) // limits.SECOND
        return [
            {
                "schema": SCHEMA,
                "id": notice_id("silent", known.watched, known.fed),
                "event": "input-silent",
                "noticed": rfc3339(now),
                "source": known.watched,
                "last_packet": rfc3339(known.newest) if known.newest else None,
                "sentence": (
                    f"Nothing new has come from {known.watched} for {seconds} seconds: what "
                    "fails now would not be noticed."
                ),
            }
        ]


def _cut(source: Source) -> dict[str, Any]:
    """What is to be said of a file that stopped growing within a record."""
    return {
        "reason": "file-cut",
        "count": 1,
        "offset": source.at,
        "frame": source.frames + 1,
        "detail": "it ends within a record",
    }


def _deleted(source: Source) -> dict[str, Any]:
    """What is to be said of a file that went before it was read to its end."""
    return {
        "reason": "deleted",
        "count": 1,
        "offset": source.at,
        "frame": source.frames + 1 if source.at else 0,
        "detail": f"it was deleted before it was read from octet {source.at:,} on",
    }


ENDS = frozenset({"file-cut", "decompression-failed"})
"""What every file shows while it is being written to."""


def replaced(one: Any, source: Input) -> Any:
    """Name capture and frame of a signature as the user knows them."""
    return one._replace(capture=source.shown, frame=one.frame + source.frames)


Clock = Callable[[], int]


def run(
    watcher: Watcher,
    clock: Clock,
    wait: Callable[[float], bool],
    seconds: float = bounds.LOOK_SECONDS,
) -> None:
    """Step until told to stop.

    Looks take no more than half the time: after a long one the next waits as long.

    Args:
        watcher: what steps.
        clock: wall clock, ns since 1970 UTC.
        wait: waits so many seconds, less when it is to stop; tells whether to stop.
        seconds: between two looks.
    """
    pause = 0.0
    while not wait(pause):
        begun = clock()
        is_new = watcher.step(begun)
        taken = (clock() - begun) / limits.SECOND
        pause = max(seconds, taken) if is_new else seconds
