"""The kernel that goes over a block's responses and gathers signed RRsets and key RRsets."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.evidence.arrays import (
    BATCH,
    BATCH_BROKEN,
    BATCH_CUT,
    BATCH_FIRST,
    BATCH_FOUND,
    BATCH_MESSAGE,
    INCOMPLETE,
    LIMIT,
    MALFORMED,
    ROLE_RESOLVER,
    ROLE_SERVER,
    SET_OWNER,
    SET_TTL,
    STATE_NAMES,
    STATE_WORK,
    Gathering,
    Messages,
    Rows,
    Scratch,
)
from forensics.evidence.interning import FULL
from forensics.evidence.keysightings import note_keyset, note_run
from forensics.evidence.known import ask_ahead, known_keyset, known_signature, signature_hash
from forensics.evidence.rrsets import bring_rrset, owner_of
from forensics.evidence.signed import note_signature
from forensics.evidence.unsigned import UnsignedRows, note_unsigned
from forensics.vocabulary import MessageFlag, Pairing, Section, SightingFlag
from forensics.wire.intern import Interner
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.records import (
    CLASS,
    HEADER_OCTETS,
    MESSAGE_OCTETS,
    MESSAGE_RECORDS,
    NAME,
    RDATA,
    RDLENGTH,
    SECTION,
    TTL,
    TYPE,
    walk_records,
)
from forensics.wire.words import prefetch

_RRSIG: Final = 46
_DNSKEY: Final = 48
_DS: Final = 43
_CDS: Final = 59
_CDNSKEY: Final = 60
_AXFR: Final = 252
_IXFR: Final = 251
_IN: Final = 1
_CUT: Final = int(MessageFlag.CUT)
_PARTIAL: Final = int(MessageFlag.PARTIAL)
_UNREADABLE: Final = int(MessageFlag.FRAGMENT | MessageFlag.DUPLICATE | MessageFlag.DISPUTED)
_ANSWERED: Final = int(Pairing.ANSWERED)
_LATE: Final = int(Pairing.LATE)
_UNSOLICITED: Final = int(Pairing.UNSOLICITED)
_DUPLICATE: Final = int(Pairing.DUPLICATE)
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
_AHEAD: Final = 8
"""Messages whose octets are asked for before they are walked."""
_LINES: Final = 8
"""Cache lines asked for: honest signed responses have some 500 octets."""


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
    if state in (_UNSOLICITED, _DUPLICATE):
        flags |= _F_UNPAIRED
    if cut:
        flags |= _F_CUT
    upstream = kind == _TAP_RESOLVER_RESPONSE
    authority = kind == _TAP_AUTH_RESPONSE or (upstream and not ra)
    if aa and (not ra or upstream or header & 0x0100 == 0):
        authority = True
    partial = messages.flags[message] & _PARTIAL != 0
    if not aa and not ra and messages.answers[message] == 0 and not partial:
        authority = True
    if role == ROLE_SERVER:
        authority = True
    if role == ROLE_RESOLVER:
        authority = False
    if authority:
        flags |= _F_AUTHORITY
    return flags


@inlined_kernel
def is_wanted(messages: Messages, message: int, held: Gathering) -> bool:
    """Whether a message is a response that is read; count it for its place if it was paired."""
    header = np.int64(messages.header_flags[message])
    if header & 0x8000 == 0:
        return False
    state = messages.state[message]
    place = np.int64(messages.place[message])
    if state in (_ANSWERED, _LATE) and place < held.paired.shape[0]:
        held.paired[place] += 1
    if (
        messages.signatures[message] == 0
        and messages.keys[message] == 0
        and not messages.due[message]
    ):
        return False
    if (
        (header >> 11) & 15 != 0
        or messages.flags[message] & _UNREADABLE != 0
        or messages.questions[message] != 1
        or messages.qclass[message] != _IN
        or messages.qtype[message] == _AXFR
        or messages.qtype[message] == _IXFR
    ):
        return False
    base = messages.start[message]
    captured = np.int64(messages.captured[message])
    if base < 0 or captured < HEADER_OCTETS or base + captured > messages.octets.shape[0]:
        return False
    if place < held.address.shape[0]:
        for step in range(16):
            held.address[place, step] = messages.source[message, step]
    return True


@inlined_kernel
def walk_batch(messages: Messages, message: int, work: Scratch, held: Gathering) -> tuple[int, int]:
    """List the records of the next few responses, from a message on, and ask for their entries.

    Returns:
        (messages in `work.batch`, the message to go on with)
    """
    octets = messages.octets
    total = messages.start.shape[0]
    batch = 0
    used = 0
    while message < total and batch < BATCH and used < MESSAGE_RECORDS:
        ahead = message + _AHEAD
        if ahead < total and messages.signatures[ahead] > 0:
            soon = messages.start[ahead]
            for line in range(_LINES):
                prefetch(octets, soon + 64 * line)
        if is_wanted(messages, message, held):
            base = messages.start[message]
            captured = np.int64(messages.captured[message])
            end = base + min(captured, MESSAGE_OCTETS)
            cut = messages.flags[message] & _CUT != 0 or captured < messages.length[message]
            found, broken = walk_records(octets, base, end, work.records, used)
            if broken <= _ADDITIONAL and not cut:
                held.skipped[MALFORMED] += 1
            else:
                for record in range(used, used + found):
                    if work.records[record, TYPE] == _RRSIG:
                        work.hashes[record] = signature_hash(
                            octets,
                            work.records[record, RDATA],
                            work.records[record, RDLENGTH],
                            held,
                        )
                work.batch[batch, BATCH_MESSAGE] = message
                work.batch[batch, BATCH_FIRST] = used
                work.batch[batch, BATCH_FOUND] = found
                work.batch[batch, BATCH_BROKEN] = broken
                work.batch[batch, BATCH_CUT] = 1 if cut else 0
                batch += 1
                used += found
        message += 1
    for record in range(used):
        if work.records[record, TYPE] == _RRSIG:
            ask_ahead(work.hashes[record], held)
    return batch, message


@inlined_kernel
def note_keys(
    messages: Messages,
    message: int,
    base: int,
    end: int,
    first: int,
    found: int,
    record: int,
    work: Scratch,
    held: Gathering,
) -> None:
    """Note the key RRset that begins with this record; other records of it are passed over."""
    octets = messages.octets
    kind = work.records[record, TYPE]
    section = work.records[record, SECTION]
    if work.state[STATE_WORK] > _WORK:
        held.skipped[LIMIT] += 1
        return
    signature, ttl = known_keyset(octets, base, end, first, found, record, work)
    if signature == -2:
        return
    if signature >= 0 and held.keyset[signature] > 0:
        note_run(messages, message, held.keyset[signature] - 1, ttl, held)
        return
    owner = owner_of(octets, base, end, record, work)
    if owner < 0:
        return
    # The first record of an RRset speaks for it.
    work.state[STATE_WORK] += record - first
    for other in range(record - 1, first - 1, -1):
        if work.records[other, SECTION] != section:
            break
        if work.records[other, TYPE] == kind and work.records[other, NAME] == owner:
            return
    size = bring_rrset(octets, base, end, first, found, owner, kind, section, work)
    if size < 0:
        held.skipped[-1 - size] += 1
        return
    number = note_keyset(owner, kind, size, work, held)
    if number == FULL:
        held.skipped[LIMIT] += 1
        return
    if signature >= 0:
        held.keyset[signature] = number + 1
    note_run(messages, message, number, work.state[SET_TTL], held)


@lean_kernel
def gather(
    messages: Messages,
    work: Scratch,
    held: Gathering,
    rows: Rows,
    bare: UnsignedRows,
    names: Interner,
) -> tuple[int, int]:
    """Gather the signatures, key RRsets and unsigned RRsets of a block's responses.

    Read are responses (QR) with opcode QUERY and one question of class IN that is no zone
    transfer (there an RRset spans messages). A message that breaks off is read as far as whole
    sections go if the capture has cut it, and not at all if it was sent so. At most
    limits.MESSAGE_WORK steps are spent on one message.

    Returns:
        (rows written, unsigned RRsets written to `bare`)
    """
    octets = messages.octets
    count = 0
    lone: Any = np.int64(0)
    following: Any = np.int64(0)
    while following < messages.start.shape[0]:
        batch, following = walk_batch(messages, following, work, held)
        for turn in range(batch):
            message = work.batch[turn, BATCH_MESSAGE]
            first = work.batch[turn, BATCH_FIRST]
            found = work.batch[turn, BATCH_FOUND]
            broken = work.batch[turn, BATCH_BROKEN]
            cut = work.batch[turn, BATCH_CUT] != 0
            base = messages.start[message]
            end = base + min(np.int64(messages.captured[message]), MESSAGE_OCTETS)
            signed = messages.signatures[message] > 0
            flags = response_flags(messages, message, cut)
            keyed = (
                messages.keys[message] > 0
                and not cut
                and messages.header_flags[message] & 0x0200 == 0
                and messages.state[message] != _DUPLICATE
            )
            work.state[STATE_NAMES] = 0
            work.state[STATE_WORK] = 0
            work.state[SET_OWNER] = -1
            # All signatures first: a recognised one spares the work on the keys that it signs.
            for record in range(first, first + found):
                if work.records[record, TYPE] == _RRSIG:
                    work.known[record] = -1
                    if (
                        signed
                        and work.records[record, CLASS] == _IN
                        and work.records[record, SECTION] != broken
                        and work.state[STATE_WORK] <= _WORK
                    ):
                        work.known[record] = known_signature(
                            octets, base, end, first, found, record, work, held
                        )
            for record in range(first, first + found):
                kind = work.records[record, TYPE]
                section = work.records[record, SECTION]
                if kind == _RRSIG:
                    if not signed or work.records[record, CLASS] != _IN:
                        continue
                    if section == broken:
                        held.skipped[INCOMPLETE] += 1
                        continue
                    number = work.known[record]
                    wildcard: Any = np.int64(0)
                    if count >= rows.signature.shape[0] or (
                        number == -1 and work.state[STATE_WORK] > _WORK
                    ):
                        held.skipped[LIMIT] += 1
                        continue
                    if number < -1:
                        number = -2 - number
                        wildcard = 1
                    elif number < 0:
                        number, wildcard = note_signature(
                            octets, base, end, first, found, record, work, held
                        )
                        if number < 0:
                            continue
                    rows.signature[count] = number
                    rows.transaction[count] = messages.transaction[message]
                    rows.time[count] = messages.time[message]
                    rows.frame[count] = messages.frame[message]
                    rows.capture[count] = messages.capture[message]
                    rows.place[count] = messages.place[message]
                    rows.section[count] = section
                    rows.ttl[count] = work.records[record, TTL]
                    rows.flags[count] = flags | (_F_WILDCARD if wildcard else 0)
                    rows.serial[count] = messages.serial[message]
                    count += 1
                elif (
                    keyed
                    and kind in (_DS, _DNSKEY, _CDS, _CDNSKEY)
                    and work.records[record, CLASS] == _IN
                    and section < _ADDITIONAL
                ):
                    note_keys(messages, message, base, end, first, found, record, work, held)
            if messages.due[message]:
                lone = note_unsigned(
                    messages, message, base, end, first, found, broken, flags, work, held,
                    lone, bare, names,
                )  # fmt: skip
    return count, lone
