"""The kernel that goes over a block's responses and gathers signed RRsets and key RRsets."""

from __future__ import annotations

from typing import Final

import numpy as np

from forensics import limits
from forensics.evidence.arrays import (
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
from forensics.evidence.rrsets import bring_rrset, owner_of
from forensics.evidence.signed import note_signature
from forensics.vocabulary import MessageFlag, Pairing, Section, SightingFlag
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.records import (
    CLASS,
    HEADER_OCTETS,
    MESSAGE_OCTETS,
    NAME,
    SECTION,
    TTL,
    TYPE,
    walk_records,
)

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
    if not aa and not ra and messages.answers[message] == 0:
        authority = True
    if role == ROLE_SERVER:
        authority = True
    if role == ROLE_RESOLVER:
        authority = False
    if authority:
        flags |= _F_AUTHORITY
    return flags


@lean_kernel
def gather(messages: Messages, capture: int, work: Scratch, held: Gathering, rows: Rows) -> int:
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
        if state in (_ANSWERED, _LATE) and place < held.paired.shape[0]:
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
            messages.keys[message] > 0 and not cut and header & 0x0200 == 0 and state != _DUPLICATE
        )
        work.state[STATE_NAMES] = 0
        work.state[STATE_WORK] = 0
        work.state[SET_OWNER] = -1
        for record in range(found):
            kind = work.records[record, TYPE]
            section = work.records[record, SECTION]
            if kind == _RRSIG:
                if not signed or work.records[record, CLASS] != _IN:
                    continue
                if section == broken:
                    held.skipped[INCOMPLETE] += 1
                    continue
                if work.state[STATE_WORK] > _WORK or count >= rows.signature.shape[0]:
                    held.skipped[LIMIT] += 1
                    continue
                number, wildcard = note_signature(octets, base, end, found, record, work, held)
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
                and kind in (_DS, _DNSKEY, _CDS, _CDNSKEY)
                and work.records[record, CLASS] == _IN
                and section < _ADDITIONAL
            ):
                owner = owner_of(octets, base, end, record, work)
                if owner < 0:
                    continue
                if work.state[STATE_WORK] > _WORK:
                    held.skipped[LIMIT] += 1
                    continue
                # The first record of an RRset speaks for it.
                work.state[STATE_WORK] += record
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
                note_run(messages, message, capture, number, work.state[SET_TTL], held)
    return count
