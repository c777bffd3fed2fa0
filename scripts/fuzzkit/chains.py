"""The walk down the chain of trust over damaged answers, and signatures and keys of any octets."""

import os
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzzkit import seeds
from fuzzkit.laws import hold
from fuzzkit.mutation import damaged

SOURCE = seeds.CAPTURES / "healthy-zsk-roll"
PACKETS = 600
_QUESTIONS = 40
_NUMBERS = 10**6
"""Signatures that were damaged get numbers from here on, for a checker remembers by number."""


@cache
def _world() -> tuple[Any, list[Any], list[tuple[str, int, int]]]:
    """The answers of a healthy zone: their store, the trust anchors, and questions with a time."""
    from forensics.archive.tables import iter_batches
    from forensics.explanation.store import Store
    from forensics.keyring import anchors
    from forensics.scope import answered

    folder = tempfile.TemporaryDirectory(prefix="dns-forensics-fuzz-")
    _kept.append(folder)
    path = Path(folder.name) / "seed.pcap"
    path.write_bytes(seeds.cut(SOURCE / "capture.pcap.zst", PACKETS))
    # In a process of its own: ingest needs kernels that are compiled, the walk needs none.
    gone = {"NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "NUMBA_CACHE_DIR"}
    environment = {name: value for name, value in os.environ.items() if name not in gone}
    words = "import sys; from pathlib import Path; from forensics.ingest import ingest; "
    words += "ingest([sys.argv[1]], Path(sys.argv[2]))"
    command = [sys.executable, "-c", words, str(path), folder.name]
    subprocess.run(command, env=environment, check=True)

    def tables(name: str) -> Any:
        rows = iter_batches(Path(folder.name), name)
        return answered(rows) if name == "sightings" else rows

    store = Store(tables, np.empty(0, np.int64))
    trusted = anchors.chosen((str(SOURCE / "trust-anchor.ds"),))
    times = [
        int(time)
        for batch in iter_batches(Path(folder.name), "transactions", ["time"])
        for time in batch.column("time").cast("int64").to_pylist()
    ]
    asked = [(name, kind, max(times)) for name, kind, _ in store.questions(_QUESTIONS)]
    return store, trusted, asked


_kept: list[Any] = []


class _Damaged:
    """The store with damage done to what it gives."""

    def __init__(self, store: Any, data: bytes, dice: random.Random) -> None:
        self._store = store
        self._data = data
        self._dice = dice
        self._number = _NUMBERS
        self.changed: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def gather(self, name: str, kind: int, at: int) -> Any:
        held = self._store.gather(name, kind, at)
        made = {
            what: [self._response(one) for one in responses if self._dice.random() < 0.95]
            for what, responses in held.by_class.items()
        }
        return type(held)(made)

    def keys_ever(self, zone: str) -> Any:
        found = self._store.keys_ever(zone)
        return tuple(sorted({*found, self._data})) if self._dice.random() < 0.2 else found

    def _response(self, one: Any) -> Any:
        dice = self._dice
        if one.transaction in self.changed:
            return self.changed[one.transaction]
        made = one
        if dice.random() < 0.4:
            made = replace(made, rrsets=tuple(self._rrset(each) for each in one.rrsets))
        if dice.random() < 0.1:
            made = replace(
                made, rcode=dice.choice((0, 2, 3, 5, None)), aa=dice.random() < 0.5,
                tc=dice.random() < 0.3, is_doubtful=dice.random() < 0.3,
                time=one.time + dice.choice((-1, 1)) * dice.randrange(10**12),
            )  # fmt: skip
        if dice.random() < 0.1:
            made = replace(made, rrsets=made.rrsets[: dice.randrange(len(made.rrsets) + 1)])
        self.changed[one.transaction] = made
        return made

    def _rrset(self, one: Any) -> Any:
        dice = self._dice
        made = one
        if dice.random() < 0.5:
            made = replace(made, rdatas=tuple(self._octets(rdata) for rdata in one.rdatas))
        signatures = tuple(self._signature(each) for each in one.signatures if dice.random() < 0.9)
        return replace(made, signatures=signatures)

    def _signature(self, one: Any) -> Any:
        dice = self._dice
        if dice.random() < 0.6:
            return one
        self._number += 1
        changes: dict[str, Any] = {
            "signed_data": self._octets(one.signed_data),
            "octets": self._octets(one.octets),
            "labels": dice.randrange(256),
            "tag": dice.randrange(2**16),
            "algorithm": dice.randrange(256),
            "inception": dice.randrange(2**32),
            "expiration": dice.randrange(2**32),
            "signer": dice.choice((one.owner, ".", "com.", "x." + one.signer)),
            "problem": dice.choice((None, "labels-invalid", "signature-malformed")),
        }
        chosen = dice.sample(sorted(changes), dice.randrange(1, 3))
        return replace(one, number=self._number, **{name: changes[name] for name in chosen})

    def _octets(self, octets: bytes) -> bytes:
        if self._dice.random() < 0.5:
            return octets
        return damaged(self._dice, [octets or b"\0", self._data])


def walk(data: bytes, dice: random.Random) -> None:
    """Ask a question of damaged answers: it ends, and the conclusion can be told."""
    import json

    from forensics.explanation.inquiry import Inquiry
    from forensics.explanation.json import to_json
    from forensics.explanation.signing import Checker
    from forensics.explanation.walk import Walk
    from forensics.validation.policy import POLICIES
    from forensics.vocabulary import STATUSES

    store, trusted, asked = _world()
    name, kind, at = dice.choice(asked)
    at += dice.choice((0, -(10**12), 10**16, dice.randrange(10**15)))
    policy = dice.choice(sorted(POLICIES))
    broken = _Damaged(store, data or b"\0", dice)
    given = {(name, 43): [data], (name, 48): [data]} if dice.random() < 0.2 else {}
    inquiry = Inquiry(Walk(broken, trusted, Checker(POLICIES[policy]), at, given), at)
    told = to_json(inquiry.ask(name, kind), at, view="published", policy=policy, resolvers=[],
                   captures={0: "seed.pcap"})  # fmt: skip
    json.dumps(told, allow_nan=False)
    hold(told["status"] in STATUSES, "status")


def verify(data: bytes, dice: random.Random) -> None:
    """Try keys of any octets on signatures of any octets: nothing raises, and nothing verifies."""
    from forensics.explanation.records import name_of, read_records
    from forensics.knowledge import Key
    from forensics.validation.signature import verify_many, well_formed

    half = dice.randrange(len(data) + 1)
    for algorithm in (5, 7, 8, 10, 13, 14, 15, 16, data[-1] if data else 0):
        rdata = bytes([1, 0, 3, algorithm]) + data[:half]
        size = {13: 64, 14: 96, 15: 64, 16: 114}.get(algorithm, 256)
        pairs = [(data, data[half:]), (data, data[half:].ljust(size, b"\1")[:size])]
        # A key of small order verifies what no one signed (RFC 8032 8.9): only raising is a fault.
        hold(len(verify_many(rdata, pairs)) == len(pairs), "answers")
        well_formed(algorithm, len(data))
        key = Key("example.", rdata)
        hold(0 <= key.tag < 2**16, "tag")
    name_of(data)
    for records in (read_records(data), read_records(bytes(18) + b"\0" + data)):
        hold(sum(len(owner) + 10 + len(rdata) for owner, rdata in records) <= len(data), "records")
