"""The kernel that goes over a block's responses and gathers signed RRsets and key RRsets."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.evidence.interning import FULL, Interned, intern, mix
from forensics.vocabulary import MessageFlag, Pairing, Section, SightingFlag
from forensics.wire.canonical import (
    canonical_rdata,
    count_labels,
    ends_with,
    insert_sorted,
)
from forensics.wire.jit import heapless_kernel, inlined_kernel
from forensics.wire.moves import SLACK, copy
from forensics.wire.records import (
    CLASS,
    HEADER_OCTETS,
    MESSAGE_OCTETS,
    MESSAGE_RECORDS,
    NAME,
    NAME_OCTETS,
    OWNER,
    RDATA,
    RDLENGTH,
    RECORD_COLUMNS,
    SECTION,
    TTL,
    TYPE,
    expand_name,
    resolve_name,
    walk_records,
)
from forensics.wire.words import be16

# Why something was left out: the rows of `Gathering.skipped`, and their names.
LIMIT: Final = 0
INCOMPLETE: Final = 1
ABSENT: Final = 2
MALFORMED: Final = 3
SKIPPED: Final = ("limit-reached", "rrset-incomplete", "rrset-absent", "malformed")

# What is wrong with a signature whatever the key: `Signed.problem`.
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

_RRSIG: Final = 46
_DNSKEY: Final = 48
_DS: Final = 43
_CDS: Final = 59
_CDNSKEY: Final = 60
_AXFR: Final = 252
_IXFR: Final = 251
_IN: Final = 1
_CUT: Final = int(MessageFlag.CUT)
_UNREADABLE: Final = int(MessageFlag.FRAGMENT | MessageFlag.DUPLICATE)
_ANSWERED: Final = int(Pairing.ANSWERED)
_LATE: Final = int(Pairing.LATE)
_UNSOLICITED: Final = int(Pairing.UNSOLICITED)
_DUPLICATE: Final = int(Pairing.DUPLICATE)
_ANSWER: Final = int(Section.ANSWER)
_ADDITIONAL: Final = int(Section.ADDITIONAL)
_F_AA: Final = int(SightingFlag.AA)
_F_RA: Final = int(SightingFlag.RA)
_F_CD: Final = int(SightingFlag.CD)
_F_AD: Final = int(SightingFlag.AD)
_F_TC: Final = int(SightingFlag.TC)
_F_DO: Final = int(SightingFlag.DO)
_F_DO_KNOWN: Final = int(SightingFlag.DO_KNOWN)
_F_WILDCARD: Final = int(SightingFlag.WILDCARD)
_F_UNPAIRED: Final = int(SightingFlag.UNPAIRED)
_F_CUT: Final = int(SightingFlag.CUT)
_F_AUTHORITY: Final = int(SightingFlag.AUTHORITY)
_TAP_AUTH_RESPONSE: Final = 2
_TAP_RESOLVER_RESPONSE: Final = 4
_WORK: Final = limits.MESSAGE_WORK
_RECORDS: Final = limits.RRSET_RECORDS
_DATA_OCTETS: Final = limits.SIGNED_DATA_OCTETS
_TTL_LIMIT: Final = 2**31
_OWNER_BITS: Final = 20
_PLACE_BITS: Final = 32


class Messages(NamedTuple):
    """The columns of a MessageBlock and its Parsed that the kernel reads; see wire.blocks.

    `role` is uint8, the user's word on each message's source: 0, ROLE_SERVER or ROLE_RESOLVER.
    """

    octets: NDArray[np.uint8]
    start: NDArray[np.int64]
    captured: NDArray[np.int32]
    length: NDArray[np.int32]
    time: NDArray[np.int64]
    frame: NDArray[np.int64]
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


class Scratch(NamedTuple):
    """Memory that the kernel works in, made once.

    Attributes:
        octets, words: the same memory twice, uint8 and uint64: the entry being built.
        records: int64[MESSAGE_RECORDS, RECORD_COLUMNS], the message's records.
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
    names: NDArray[np.uint8]
    name_at: NDArray[np.int64]
    rdatas: NDArray[np.uint8]
    spans: NDArray[np.int64]
    order: NDArray[np.int64]
    state: NDArray[np.int64]


_NAMES: Final = 0
_DONE: Final = 1
_SET_OWNER: Final = 2
_SET_TYPE: Final = 3
_SET_SECTION: Final = 4
_SET_COUNT: Final = 5
_SET_TTL: Final = 6


class Gathering(NamedTuple):
    """What has been gathered in the run so far.

    Attributes:
        signed: entries are signed data, then the signature; the header word holds both lengths.
            Of a malformed signature: the RDATA as received, then the owner.
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
    """The sightings of a block; `message` is the index of the response in the block."""

    signature: NDArray[np.uint32]
    message: NDArray[np.int64]
    section: NDArray[np.uint8]
    ttl: NDArray[np.uint32]
    flags: NDArray[np.uint16]


def scratch() -> Scratch:
    """Make the kernel's working memory (its pages are mapped only where messages need them)."""
    words = np.zeros(ENTRY_OCTETS // 8, dtype=np.uint64)
    return Scratch(
        octets=words.view(np.uint8),
        words=words,
        records=np.zeros((MESSAGE_RECORDS, RECORD_COLUMNS), dtype=np.int64),
        names=np.zeros(MESSAGE_RECORDS * NAME_OCTETS + SLACK, dtype=np.uint8),
        name_at=np.zeros((MESSAGE_RECORDS, 4), dtype=np.int64),
        rdatas=np.zeros(_DATA_OCTETS + 2 * NAME_OCTETS, dtype=np.uint8),
        spans=np.zeros((_RECORDS + 1, 2), dtype=np.int64),
        order=np.zeros(_RECORDS + 1, dtype=np.int64),
        state=np.zeros(8, dtype=np.int64),
    )


@inlined_kernel
def owner_of(octets: NDArray[np.uint8], base: int, end: int, record: int, work: Scratch) -> int:
    """Return the number of the record's owner among the message's names; -1: it is no name."""
    known = work.records[record, NAME]
    if known >= 0:
        return known
    position = resolve_name(octets, base, end, work.records[record, OWNER])
    if position < 0:
        return -1
    names = work.state[_NAMES]
    for number in range(names - 1, -1, -1):
        if work.name_at[number, 0] == position:
            work.records[record, NAME] = number
            return number
    start = work.name_at[names - 1, 1] + work.name_at[names - 1, 2] if names > 0 else 0
    after, length = expand_name(octets, base, end, position, work.names, start, True)
    if after < 0:
        return -1
    work.state[_DONE] += names + length
    found = -1
    for number in range(names - 1, -1, -1):
        if work.name_at[number, 2] == length:
            other = work.name_at[number, 1]
            same = True
            for step in range(length):
                if work.names[other + step] != work.names[start + step]:
                    same = False
                    break
            if same:
                found = number
                break
    if found < 0:
        found = names
        work.name_at[names, 0] = position
        work.name_at[names, 1] = start
        work.name_at[names, 2] = length
        work.name_at[names, 3] = count_labels(work.names, start)
        work.state[_NAMES] = names + 1
    work.records[record, NAME] = found
    return found


@inlined_kernel
def bring_rrset(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    count: int,
    owner: int,
    kind: int,
    section: int,
    work: Scratch,
) -> int:
    """Put the RRset of that owner, type and section, class IN, into the scratch memory.

    Returns:
        its records, duplicates left out; or -1 minus the reason in SKIPPED.
    """
    state = work.state
    if state[_SET_OWNER] == owner and state[_SET_TYPE] == kind and state[_SET_SECTION] == section:
        return state[_SET_COUNT]
    # Typed, since numba compiles what they go into once more for a literal.
    found = np.int64(0)
    at = np.int64(0)
    ttl = np.int64(0)
    state[_DONE] += count
    for record in range(count):
        if (
            work.records[record, TYPE] != kind
            or work.records[record, SECTION] != section
            or work.records[record, CLASS] != _IN
            or owner_of(octets, base, end, record, work) != owner
        ):
            continue
        if found == _RECORDS:
            found = -1 - LIMIT
            break
        start = work.records[record, RDATA]
        after = canonical_rdata(
            octets, base, kind, start, work.records[record, RDLENGTH], work.rdatas, at
        )
        if after < 0:
            found = -1 - (MALFORMED if after == -1 else INCOMPLETE)
            break
        ttl = max(ttl, work.records[record, TTL])
        state[_DONE] += after - at
        work.spans[found, 0] = at
        work.spans[found, 1] = after - at
        grown = insert_sorted(work.rdatas, work.spans, work.order, found)
        if grown > found:
            at = after
        found = grown
    state[_SET_OWNER] = owner
    state[_SET_TYPE] = kind
    state[_SET_SECTION] = section
    state[_SET_COUNT] = found if found != 0 else -1 - ABSENT
    state[_SET_TTL] = ttl if ttl < _TTL_LIMIT else 0  # RFC 2181 8
    return state[_SET_COUNT]


@inlined_kernel
def seal(work: Scratch, first: int, second: int) -> int:
    """Finish the entry of `first + second` octets: zero its end, set its header; return words."""
    end = ENTRY_HEADER + first + second
    while end & 7:
        work.octets[end] = 0
        end += 1
    work.words[0] = np.uint64(first) | (np.uint64(second) << np.uint64(32))
    return end >> 3


@inlined_kernel
def write_signed(
    octets: NDArray[np.uint8],
    start: int,
    signer_octets: int,
    owner: int,
    found: int,
    work: Scratch,
) -> tuple[int, int, int]:
    """Build the data that an RRSIG signs (RFC 4034 3.1.8.1) behind the entry's header.

    RDATA begins at `octets[start]`; its fixed fields and the signer already stand in the entry.

    Returns:
        (octets written, or -1: too many; problem; 1: the owner was expanded from a wildcard)
    """
    out = work.octets
    name = work.name_at[owner, 1]
    name_octets = work.name_at[owner, 2]
    labels = np.int64(octets[start + 3])
    spare = work.name_at[owner, 3] - labels
    wildcard = 0
    problem = SOUND
    if spare < 0:
        problem = LABELS_INVALID
    elif spare > 0:
        # RFC 4035 5.3.2: `*` and the rightmost labels. A leftmost `*` was not counted.
        wildcard = 1
        if work.names[name] == 1 and work.names[name + 1] == 42:
            spare += 1
        for _ in range(spare):
            step = np.int64(work.names[name]) + 1
            name += step
            name_octets -= step
    signer_at = ENTRY_HEADER + RRSIG_FIXED
    if problem == SOUND and not ends_with(
        work.names, name, name_octets, out, signer_at, signer_octets
    ):
        problem = SIGNER_INVALID
    at = signer_at + signer_octets
    limit = ENTRY_HEADER + _DATA_OCTETS
    for place in range(found):
        rdata = work.spans[work.order[place], 0]
        rdata_octets = work.spans[work.order[place], 1]
        if at + 2 + name_octets + 10 + rdata_octets > limit:
            return -1, problem, wildcard
        if wildcard:
            out[at] = 1
            out[at + 1] = 42
            at += 2
        copy(out, at, work.names, name, name_octets)
        at += name_octets
        out[at] = octets[start]
        out[at + 1] = octets[start + 1]
        out[at + 2] = 0
        out[at + 3] = _IN
        for step in range(4):
            out[at + 4 + step] = octets[start + 4 + step]
        out[at + 8] = rdata_octets >> 8
        out[at + 9] = rdata_octets & 255
        at += 10
        copy(out, at, work.rdatas, rdata, rdata_octets)
        at += rdata_octets
    work.state[_DONE] += at
    return at - ENTRY_HEADER, problem, wildcard


@inlined_kernel
def note_signature(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    count: int,
    record: int,
    work: Scratch,
    held: Gathering,
) -> tuple[int, int]:
    """Number the signature of an RRSIG record, new or known.

    Returns:
        (number, or -1: left out and counted; 1: its owner was expanded from a wildcard)
    """
    start = work.records[record, RDATA]
    length = work.records[record, RDLENGTH]
    owner = owner_of(octets, base, end, record, work)
    if owner < 0:
        held.skipped[MALFORMED] += 1
        return -1, 0
    signer_at = ENTRY_HEADER + RRSIG_FIXED
    signer = -1
    signer_octets = 0
    if length > RRSIG_FIXED:
        copy(work.octets, ENTRY_HEADER, octets, start, RRSIG_FIXED)
        signer, signer_octets = expand_name(
            octets, base, start + length, start + RRSIG_FIXED, work.octets, signer_at, True
        )
    wildcard = 0
    found = np.int64(0)
    if signer < 0 or signer == start + length:
        # No signer, or no signature after it: keep the RDATA as received, then the owner.
        problem = SIGNATURE_MALFORMED
        copy(work.octets, ENTRY_HEADER, octets, start, length)
        size = work.name_at[owner, 2]
        copy(work.octets, ENTRY_HEADER + length, work.names, work.name_at[owner, 1], size)
        owner_at = length
        words = seal(work, length + size, 0)
    else:
        kind = be16(octets, start)
        section = work.records[record, SECTION]
        found = -1 - ABSENT
        # An RRSIG is never signed (RFC 4035 2.2): no validator looks for such a one.
        if kind != _RRSIG:
            found = bring_rrset(octets, base, end, count, owner, kind, section, work)
        if found < 0:
            held.skipped[-1 - found] += 1
            return -1, 0
        size, problem, wildcard = write_signed(octets, start, signer_octets, owner, found, work)
        if size < 0:
            held.skipped[INCOMPLETE] += 1
            return -1, 0
        tail = start + length - signer
        copy(work.octets, ENTRY_HEADER + size, octets, signer, tail)
        owner_at = RRSIG_FIXED + signer_octets
        words = seal(work, size, tail)
    before = held.signed.used[0]
    number = intern(work.words, words, held.signed)
    if number == FULL:
        held.skipped[LIMIT] += 1
        return -1, 0
    if number == before:
        held.problem[number] = problem
        held.records[number] = found
        held.owner[number] = owner_at
    return number, wildcard


@inlined_kernel
def note_keyset(owner: int, kind: int, found: int, work: Scratch, held: Gathering) -> int:
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
    work.state[_DONE] += at
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
    capture: int,
    keyset: int,
    ttl: int,
    held: Gathering,
) -> None:
    """Add a sighting of a key RRset to its run, or begin another run.

    Runs of unsolicited responses are kept apart from those of paired ones, and runs of one
    capture from those of another; `keysets.key_table` decides about the first and joins the second.
    """
    owner = held.keyset_owner[keyset]
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
        if held.runs[run, RUN_KEYSET] == keyset and held.runs[run, RUN_CAPTURE] == capture:
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


@inlined_kernel
def response_flags(messages: Messages, message: int, cut: bool) -> int:
    """Return the SightingFlag bits that all signatures of a response share.

    A responder acts as an authority when it says AA where a cache would not: without RA, or to a
    query without RD, or upstream of a resolver by dnstap; when it refers or denies with neither AA
    nor RA; and when dnstap or the user says so. The user's word overrules all else.
    """
    header = np.int64(messages.header_flags[message])
    kind = messages.kind[message]
    state = messages.state[message]
    role = messages.role[message]
    aa = header & 0x0400 != 0
    ra = header & 0x0080 != 0
    flags = 0
    if aa:
        flags |= _F_AA
    if ra:
        flags |= _F_RA
    if header & 0x0010:
        flags |= _F_CD
    if header & 0x0020:
        flags |= _F_AD
    if header & 0x0200:
        flags |= _F_TC
    if messages.do_known[message]:
        flags |= _F_DO_KNOWN
        if messages.do_asked[message]:
            flags |= _F_DO
    if state == _UNSOLICITED or state == _DUPLICATE:
        flags |= _F_UNPAIRED
    if cut:
        flags |= _F_CUT
    upstream = kind == _TAP_RESOLVER_RESPONSE
    authority = kind == _TAP_AUTH_RESPONSE or (upstream and not ra)
    if aa and (not ra or upstream or header & 0x0100 == 0):
        authority = True
    if not aa and not ra and messages.answers[message] == 0:
        authority = True
    if role == ROLE_SERVER:
        authority = True
    if role == ROLE_RESOLVER:
        authority = False
    if authority:
        flags |= _F_AUTHORITY
    return flags


@heapless_kernel
def gather(
    messages: Messages, capture: int, work: Scratch, held: Gathering, rows: Rows
) -> int:
    """Gather the signatures and key RRsets of a block's responses; see the classes above.

    Read are responses (QR) with opcode QUERY and one question of class IN that is no zone
    transfer (there an RRset spans messages). A message that breaks off is read as far as whole
    sections go if the capture has cut it, and not at all if it was sent so. At most
    limits.MESSAGE_WORK steps are spent on one message.

    Returns:
        rows written.
    """
    octets = messages.octets
    count = 0
    for message in range(messages.start.shape[0]):
        header = np.int64(messages.header_flags[message])
        if header & 0x8000 == 0:
            continue
        state = messages.state[message]
        place = np.int64(messages.place[message])
        if state == _ANSWERED or state == _LATE:
            if place < held.paired.shape[0]:
                held.paired[place] += 1
        signed = messages.signatures[message] > 0
        if not signed and messages.keys[message] == 0:
            continue
        if (
            (header >> 11) & 15 != 0
            or messages.flags[message] & _UNREADABLE != 0
            or messages.questions[message] != 1
            or messages.qclass[message] != _IN
            or messages.qtype[message] == _AXFR
            or messages.qtype[message] == _IXFR
        ):
            continue
        base = messages.start[message]
        captured = np.int64(messages.captured[message])
        if base < 0 or captured < HEADER_OCTETS or base + captured > octets.shape[0]:
            continue
        if place < held.address.shape[0]:
            for step in range(16):
                held.address[place, step] = messages.source[message, step]
        end = base + min(captured, MESSAGE_OCTETS)
        cut = messages.flags[message] & _CUT != 0 or captured < messages.length[message]
        found, broken = walk_records(octets, base, end, work.records)
        if broken <= _ADDITIONAL and not cut:
            held.skipped[MALFORMED] += 1
            continue
        flags = response_flags(messages, message, cut)
        keyed = (
            messages.keys[message] > 0
            and not cut
            and header & 0x0200 == 0
            and state != _DUPLICATE
        )
        work.state[_NAMES] = 0
        work.state[_DONE] = 0
        work.state[_SET_OWNER] = -1
        for record in range(found):
            kind = work.records[record, TYPE]
            section = work.records[record, SECTION]
            if kind == _RRSIG:
                if not signed or work.records[record, CLASS] != _IN:
                    continue
                if section == broken:
                    held.skipped[INCOMPLETE] += 1
                    continue
                if work.state[_DONE] > _WORK or count >= rows.signature.shape[0]:
                    held.skipped[LIMIT] += 1
                    continue
                number, wildcard = note_signature(
                    octets, base, end, found, record, work, held
                )
                if number < 0:
                    continue
                rows.signature[count] = number
                rows.message[count] = message
                rows.section[count] = section
                rows.ttl[count] = work.records[record, TTL]
                rows.flags[count] = flags | (_F_WILDCARD if wildcard else 0)
                count += 1
            elif (
                keyed
                and (kind == _DS or kind == _DNSKEY or kind == _CDS or kind == _CDNSKEY)
                and work.records[record, CLASS] == _IN
                and section < _ADDITIONAL
            ):
                owner = owner_of(octets, base, end, record, work)
                if owner < 0:
                    continue
                if work.state[_DONE] > _WORK:
                    held.skipped[LIMIT] += 1
                    continue
                # The first record of an RRset speaks for it.
                work.state[_DONE] += record
                first = True
                for other in range(record - 1, -1, -1):
                    if work.records[other, SECTION] != section:
                        break
                    if work.records[other, TYPE] == kind and work.records[other, NAME] == owner:
                        first = False
                        break
                if not first:
                    continue
                size = bring_rrset(octets, base, end, found, owner, kind, section, work)
                if size < 0:
                    held.skipped[-1 - size] += 1
                    continue
                number = note_keyset(owner, kind, size, work, held)
                if number == FULL:
                    held.skipped[LIMIT] += 1
                    continue
                note_run(messages, message, capture, number, work.state[_SET_TTL], held)
    return count
