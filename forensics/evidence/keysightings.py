"""Kernels that number distinct key RRsets and follow their sighting runs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics.evidence.arrays import (
    ENTRY_HEADER,
    LIMIT,
    RUN_AA,
    RUN_CAPTURE,
    RUN_COUNT,
    RUN_FIRST,
    RUN_FIRST_FRAME,
    RUN_KEYSET,
    RUN_LAST,
    RUN_LAST_FRAME,
    RUN_OWNER,
    RUN_PLACE,
    RUN_TTL,
    RUN_UNPAIRED,
    STATE_WORK,
    Gathering,
    Messages,
    Scratch,
)
from forensics.evidence.interning import intern, mix
from forensics.evidence.rrsets import seal
from forensics.vocabulary import Pairing
from forensics.wire.jit import inlined_kernel
from forensics.wire.moves import copy

_UNSOLICITED: Final = int(Pairing.UNSOLICITED)
_OWNER_BITS: Final = 20
_PLACE_BITS: Final = 32


@inlined_kernel
def note_keyset(owner: int, kind: int, found: int, work: Scratch, held: Gathering) -> Any:
    """Number the key RRset in the scratch memory, new or known; -1: no room."""
    out = work.octets
    out[ENTRY_HEADER] = kind >> 8
    out[ENTRY_HEADER + 1] = kind & 255
    name = work.name_at[owner, 1]
    size = work.name_at[owner, 2]
    copy(out, ENTRY_HEADER + 2, work.names, name, size)
    at = ENTRY_HEADER + 2 + size
    for place in range(found):
        rdata = work.spans[work.order[place], 0]
        rdata_octets = work.spans[work.order[place], 1]
        out[at] = rdata_octets >> 8
        out[at + 1] = rdata_octets & 255
        copy(out, at + 2, work.rdatas, rdata, rdata_octets)
        at += 2 + rdata_octets
    work.state[STATE_WORK] += at
    before = held.keysets.used[0]
    words = seal(work, 2 + size, at - ENTRY_HEADER - 2 - size)
    number = intern(work.words, words, held.keysets)
    if number == before:
        # The entry's head alone is the owner's entry: rewrite its end and header.
        words = seal(work, 2 + size, 0)
        held.keyset_owner[number] = intern(work.words, words, held.owners)
    return number


@inlined_kernel
def note_run(
    messages: Messages,
    message: int,
    keyset: int,
    ttl: int,
    held: Gathering,
) -> None:
    """Add a sighting of a key RRset to its run, or begin another run.

    Runs of unsolicited responses are kept apart from those of paired ones, and runs of one
    capture from those of another; `keysets.key_table` decides about the first and joins the second.
    """
    owner = held.keyset_owner[keyset]
    capture = np.int64(messages.capture[message])
    place = np.int64(messages.place[message])
    unpaired = 1 if messages.state[message] == _UNSOLICITED else 0
    identity = np.uint64(
        1 + owner + (place << _OWNER_BITS) + (unpaired << (_OWNER_BITS + _PLACE_BITS))
    )
    slots = np.uint64(held.run_slot.shape[0] - 1)
    slot = np.int64(mix(identity ^ held.owners.key[0]) & slots)
    while held.run_slot[slot, 0] != np.uint64(0) and held.run_slot[slot, 0] != identity:
        slot = (slot + 1) & np.int64(slots)
    time = messages.time[message]
    aa = 1 if messages.header_flags[message] & 0x0400 else 0
    if held.run_slot[slot, 0] == identity:
        run = np.int64(held.run_slot[slot, 1])
        if (
            run < held.runs.shape[0]
            and held.runs[run, RUN_KEYSET] == keyset
            and held.runs[run, RUN_CAPTURE] == capture
        ):
            if time < held.runs[run, RUN_FIRST]:
                held.runs[run, RUN_FIRST] = time
                held.runs[run, RUN_FIRST_FRAME] = messages.frame[message]
            if time >= held.runs[run, RUN_LAST]:
                held.runs[run, RUN_LAST] = time
                held.runs[run, RUN_LAST_FRAME] = messages.frame[message]
            held.runs[run, RUN_COUNT] += 1
            held.runs[run, RUN_TTL] = max(held.runs[run, RUN_TTL], ttl)
            held.runs[run, RUN_AA] &= aa
            return
    run = held.runs_used[0]
    if run >= held.runs.shape[0]:
        held.skipped[LIMIT] += 1
        # The run before ends all the same: it must not seem to last over what was left out.
        if held.run_slot[slot, 0] == identity:
            held.run_slot[slot, 1] = np.uint64(run)
        return
    held.runs_used[0] = run + 1
    held.run_slot[slot, 0] = identity
    held.run_slot[slot, 1] = np.uint64(run)
    held.runs[run, RUN_KEYSET] = keyset
    held.runs[run, RUN_OWNER] = owner
    held.runs[run, RUN_PLACE] = place
    held.runs[run, RUN_UNPAIRED] = unpaired
    held.runs[run, RUN_CAPTURE] = capture
    held.runs[run, RUN_FIRST] = time
    held.runs[run, RUN_FIRST_FRAME] = messages.frame[message]
    held.runs[run, RUN_LAST] = time
    held.runs[run, RUN_LAST_FRAME] = messages.frame[message]
    held.runs[run, RUN_COUNT] = 1
    held.runs[run, RUN_TTL] = ttl
    held.runs[run, RUN_AA] = aa
