"""The arrays that the kernels of this stage work on, and the codes in them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.evidence.interning import Interned
from forensics.wire.moves import SLACK
from forensics.wire.records import MESSAGE_OCTETS, MESSAGE_RECORDS, NAME_OCTETS, RECORD_COLUMNS

_RECORDS: Final = limits.RRSET_RECORDS
_DATA_OCTETS: Final = limits.SIGNED_DATA_OCTETS


# Why something was left out: the rows of `Gathering.skipped`, and their names.
LIMIT: Final = 0
INCOMPLETE: Final = 1
ABSENT: Final = 2
MALFORMED: Final = 3
SKIPPED: Final = ("limit-reached", "rrset-incomplete", "rrset-absent", "malformed")

# What is wrong with a signature whatever the key: `Gathering.problem`.
SOUND: Final = 0
SIGNATURE_MALFORMED: Final = 1
LABELS_INVALID: Final = 2
SIGNER_INVALID: Final = 3
PROBLEMS: Final = (None, "signature-malformed", "labels-invalid", "signer-invalid")

# The user's word on who responds.
ROLE_SERVER: Final = 1
ROLE_RESOLVER: Final = 2

ENTRY_HEADER: Final = 8
"""Octets before an entry's own: two lengths, least octet first."""
RRSIG_FIXED: Final = 18
"""Octets of RRSIG RDATA before the signer's name (RFC 4034 3.1)."""
ENTRY_OCTETS: Final = ENTRY_HEADER + limits.SIGNED_DATA_OCTETS + MESSAGE_OCTETS + 2 * SLACK
KNOWN_SLOTS: Final = 2**20
"""Slots in which signatures are found again: as many as there may be signatures."""


class Messages(NamedTuple):
    """The columns of a MessageBlock and its Parsed that the kernel reads; see wire.blocks.

    `role` is uint8, the user's word on each message's source: 0, ROLE_SERVER or ROLE_RESOLVER.
    `due` is bool: signatures were asked for, and there are records in answer or authority.
    """

    octets: NDArray[np.uint8]
    start: NDArray[np.int64]
    captured: NDArray[np.int32]
    length: NDArray[np.int32]
    time: NDArray[np.int64]
    frame: NDArray[np.int64]
    capture: NDArray[np.uint16]
    source: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    header_flags: NDArray[np.uint16]
    questions: NDArray[np.uint16]
    answers: NDArray[np.uint16]
    qtype: NDArray[np.uint16]
    qclass: NDArray[np.uint16]
    signatures: NDArray[np.uint16]
    keys: NDArray[np.uint16]
    serial: NDArray[np.uint32]
    place: NDArray[np.uint32]
    transaction: NDArray[np.int64]
    state: NDArray[np.uint8]
    do_known: NDArray[np.bool_]
    do_asked: NDArray[np.bool_]
    role: NDArray[np.uint8]
    due: NDArray[np.bool_]


class Scratch(NamedTuple):
    """Memory that the kernel works in, made once.

    Attributes:
        octets, words: the same memory twice, uint8 and uint64: the entry being built.
        records: int64[2 * MESSAGE_RECORDS, RECORD_COLUMNS], the records of the batch's messages.
        hashes: uint64[2 * MESSAGE_RECORDS], of RRSIGs the hash of the signature; 0: none.
        known: int64[2 * MESSAGE_RECORDS], of RRSIGs the number recognised, or -1; negative below
            that if the owner was expanded from a wildcard.
        batch: int64[BATCH, BATCH_COLUMNS], the messages of the batch.
        names: uint8, its distinct owner names so far, lower-cased wire form.
        name_at: int64[MESSAGE_RECORDS, 4], of each: position in the message, start in `names`,
            octets, labels.
        rdatas: uint8, canonical RDATA of the RRset at hand.
        spans: int64[RRSET_RECORDS + 1, 2], start and length of each in `rdatas`.
        order: int64[RRSET_RECORDS + 1], their canonical order.
        state: int64[8], the message's: names so far, work done, and the RRset at hand (owner,
            type, section, records or fault, TTL).
    """

    octets: NDArray[np.uint8]
    words: NDArray[np.uint64]
    records: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    known: NDArray[np.int64]
    batch: NDArray[np.int64]
    names: NDArray[np.uint8]
    name_at: NDArray[np.int64]
    rdatas: NDArray[np.uint8]
    spans: NDArray[np.int64]
    order: NDArray[np.int64]
    state: NDArray[np.int64]


# Columns of `Scratch.batch`: number in the block, first row in `Scratch.records` and how many, the
# first section that is not whole, and whether the capture has cut it.
BATCH_MESSAGE: Final = 0
BATCH_FIRST: Final = 1
BATCH_FOUND: Final = 2
BATCH_BROKEN: Final = 3
BATCH_CUT: Final = 4
BATCH_COLUMNS: Final = 8
BATCH: Final = 16
"""Messages walked at once: what memory they will need is asked for before it is needed."""

# Places in `Scratch.state`.
STATE_NAMES: Final = 0
STATE_WORK: Final = 1
SET_OWNER: Final = 2
SET_TYPE: Final = 3
SET_SECTION: Final = 4
SET_COUNT: Final = 5
SET_TTL: Final = 6


class Gathering(NamedTuple):
    """What has been gathered in the run so far.

    Attributes:
        signed: entries are signed data, then the signature; the header word holds both lengths.
            Of a malformed signature: the RDATA as received, then the owner.
        signed_octets: uint8, the arena of `signed` as octets.
        known: uint64[KNOWN_SLOTS], from hash of a signature's octets to where in the arena its
            latest entry begins: upper half of the hash, then the place; 0: none.
        keyset: int32[signatures], number of the key RRset it signs, plus 1; 0: none or not known.
        problem: uint8[signatures], index into PROBLEMS.
        records: uint16[signatures], records in the RRset.
        owner: int64[signatures], octets of signed data before the owner.
        keysets: entries are type, owner, then length and RDATA of each record.
        keyset_owner: int64[keysets], number in `owners`.
        owners: entries are type and owner.
        run_slot: uint64[n, 2], open addressing: (owner, place, unpaired) + 1 and the run.
        runs: int64[KEY_RUNS, RUN_COLUMNS].
        runs_used: int64[2], runs and slots so far.
        paired: int64[PLACES + 1], responses of the place that were paired with a query.
        address: uint8[PLACES + 1, 16], the place's address.
        skipped: int64, counts by SKIPPED.
    """

    signed: Interned
    signed_octets: NDArray[np.uint8]
    known: NDArray[np.uint64]
    keyset: NDArray[np.int32]
    problem: NDArray[np.uint8]
    records: NDArray[np.uint16]
    owner: NDArray[np.int64]
    keysets: Interned
    keyset_owner: NDArray[np.int64]
    owners: Interned
    run_slot: NDArray[np.uint64]
    runs: NDArray[np.int64]
    runs_used: NDArray[np.int64]
    paired: NDArray[np.int64]
    address: NDArray[np.uint8]
    skipped: NDArray[np.int64]


# Columns of a run.
RUN_KEYSET: Final = 0
RUN_OWNER: Final = 1
RUN_PLACE: Final = 2
RUN_UNPAIRED: Final = 3
RUN_CAPTURE: Final = 4
RUN_FIRST: Final = 5
RUN_FIRST_FRAME: Final = 6
RUN_LAST: Final = 7
RUN_LAST_FRAME: Final = 8
RUN_COUNT: Final = 9
RUN_TTL: Final = 10
RUN_AA: Final = 11
RUN_COLUMNS: Final = 12


class Rows(NamedTuple):
    """The sightings of a block, columns of schema SIGHTINGS."""

    signature: NDArray[np.uint32]
    transaction: NDArray[np.uint64]
    time: NDArray[np.int64]
    frame: NDArray[np.uint32]
    capture: NDArray[np.uint16]
    place: NDArray[np.uint32]
    section: NDArray[np.uint8]
    ttl: NDArray[np.uint32]
    flags: NDArray[np.uint16]
    serial: NDArray[np.uint32]


def scratch() -> Scratch:
    """Make the kernel's working memory (its pages are mapped only where messages need them)."""
    words = np.zeros(ENTRY_OCTETS // 8, dtype=np.uint64)
    return Scratch(
        octets=words.view(np.uint8),
        words=words,
        records=np.zeros((2 * MESSAGE_RECORDS, RECORD_COLUMNS), dtype=np.int64),
        hashes=np.zeros(2 * MESSAGE_RECORDS, dtype=np.uint64),
        known=np.zeros(2 * MESSAGE_RECORDS, dtype=np.int64),
        batch=np.zeros((BATCH, BATCH_COLUMNS), dtype=np.int64),
        names=np.zeros(MESSAGE_RECORDS * NAME_OCTETS + SLACK, dtype=np.uint8),
        name_at=np.zeros((MESSAGE_RECORDS, 4), dtype=np.int64),
        rdatas=np.zeros(_DATA_OCTETS + 2 * NAME_OCTETS, dtype=np.uint8),
        spans=np.zeros((_RECORDS + 1, 2), dtype=np.int64),
        order=np.zeros(_RECORDS + 1, dtype=np.int64),
        state=np.zeros(8, dtype=np.int64),
    )
