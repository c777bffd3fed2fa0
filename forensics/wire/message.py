"""The header, the question, OPT and the counts of DNS messages: one pass over the octets.

RFC 1035 4.1 (header, question, record), RFC 6891 6.1 (OPT), RFC 5001 (NSID), RFC 8914 (EDE).
Names of records are skipped, not expanded: what needs them (evidence/) expands them itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32, name_hash


@lean_kernel
def skip_name(octets: Any, at: Any, limit: Any) -> Any:
    """Give the offset behind the name at `at` in a message that ends at `limit`; -1: broken.

    A compression pointer (RFC 1035 4.1.4) ends the name here and is not followed, so that no
    loop of pointers is ever entered.
    """
    first = at
    while at < limit:
        length = np.int64(octets[at])
        if length == 0:
            return at + 1
        if length >= 192:
            return at + 2 if at + 2 <= limit else -1
        if length > 63:
            return -1
        at += length + 1
        if at - first > 254:
            return -1
    return -1


@lean_kernel
def plain_name_end(octets: Any, at: Any, limit: Any) -> Any:
    """Give the offset behind a name without compression; -1: broken, cut off or compressed."""
    first = at
    while at < limit:
        length = np.int64(octets[at])
        if length == 0:
            return at + 1
        if length > 63:
            return -1
        at += length + 1
        if at - first > 254:
            return -1
    return -1


@lean_kernel
def _parse(
    octets: Any,
    start: Any,
    captured: Any,
    id_: Any,
    header_flags: Any,
    questions: Any,
    answers: Any,
    authorities: Any,
    additionals: Any,
    name_start: Any,
    name_length: Any,
    qtype: Any,
    qclass: Any,
    hashed: Any,
    rcode: Any,
    edns_size: Any,
    dnssec_ok: Any,
    ede: Any,
    ede_start: Any,
    ede_length: Any,
    nsid_start: Any,
    nsid_length: Any,
    signatures: Any,
    keys: Any,
    serial: Any,
    whole: Any,
) -> None:
    """Fill one row a message; see `Parsed` for the columns."""
    size = len(octets)
    for row in range(len(start)):
        base = start[row]
        limit = base + np.int64(captured[row])
        name_start[row] = -1
        name_length[row] = 0
        qtype[row] = 0
        qclass[row] = 0
        hashed[row] = 0
        edns_size[row] = -1
        dnssec_ok[row] = False
        ede[row] = -1
        ede_start[row] = 0
        ede_length[row] = 0
        nsid_start[row] = -1
        nsid_length[row] = 0
        signatures[row] = 0
        keys[row] = 0
        serial[row] = 0
        whole[row] = False
        if base < 0 or limit > size or base + 12 > limit:
            id_[row] = 0
            header_flags[row] = 0
            questions[row] = 0
            answers[row] = 0
            authorities[row] = 0
            additionals[row] = 0
            rcode[row] = 0
            continue
        id_[row] = be16(octets, base)
        flags = be16(octets, base + 2)
        asked = be16(octets, base + 4)
        answer_count = be16(octets, base + 6)
        authority_count = be16(octets, base + 8)
        additional_count = be16(octets, base + 10)
        header_flags[row] = flags
        questions[row] = asked
        answers[row] = answer_count
        authorities[row] = authority_count
        additionals[row] = additional_count
        rcode[row] = flags & 15
        at = base + 12
        if asked > 0:
            end = plain_name_end(octets, at, limit)
            if end < 0:
                continue
            name_start[row] = at
            name_length[row] = end - at
            hashed[row] = name_hash(octets, at, end - at)
            at = end
            if at + 4 > limit:
                continue
            qtype[row] = be16(octets, at)
            qclass[row] = be16(octets, at + 2)
            at += 4
            for _ in range(1, asked):
                at = skip_name(octets, at, limit)
                if at < 0 or at + 4 > limit:
                    at = -1
                    break
                at += 4
            if at < 0:
                continue
        judged = answer_count + authority_count
        signature_count = 0
        key_count = 0
        soa_seen = False
        broken = False
        for record in range(judged + additional_count):
            # nearly every owner is one pointer or the root: no call for these
            if at < limit and octets[at] == 0:
                at += 1
            elif at + 2 <= limit and octets[at] >= 192:
                at += 2
            else:
                at = skip_name(octets, at, limit)
                if at < 0:
                    broken = True
                    break
            if at + 10 > limit:
                broken = True
                break
            kind = be16(octets, at)
            data = at + 10
            end = data + be16(octets, at + 8)
            if end > limit:
                broken = True
                break
            if record < judged:
                if kind == 46:
                    signature_count += 1
                elif kind == 48 or kind == 43 or kind == 59 or kind == 60:  # noqa: PLR1714
                    key_count += 1
                elif kind == 6 and not soa_seen:
                    inner = skip_name(octets, data, end)
                    if inner >= 0:
                        inner = skip_name(octets, inner, end)
                    if inner >= 0 and inner + 4 <= end:
                        serial[row] = be32(octets, inner)
                        soa_seen = True
            elif kind == 41 and edns_size[row] < 0:
                edns_size[row] = be16(octets, at + 2)
                extended = be32(octets, at + 4)
                rcode[row] = ((extended >> 24) << 4) | (flags & 15)
                dnssec_ok[row] = (extended & 0x8000) != 0
                option = data
                while option + 4 <= end:
                    code = be16(octets, option)
                    value = option + 4
                    option = value + be16(octets, option + 2)
                    if option > end:
                        break
                    if code == 15 and ede[row] < 0 and option - value >= 2:
                        ede[row] = be16(octets, value)
                        ede_start[row] = value + 2
                        ede_length[row] = option - value - 2
                    elif code == 3 and nsid_start[row] < 0 and option > value:
                        nsid_start[row] = value
                        nsid_length[row] = option - value
            at = end
        signatures[row] = min(signature_count, 65535)
        keys[row] = min(key_count, 65535)
        whole[row] = not broken


def room(count: int) -> Parsed:
    """Allocate the columns of `count` messages, their content undefined."""
    kinds: dict[str, Any] = {
        "ordinal": np.int64,
        "name_start": np.int64,
        "name_length": np.int32,
        "name_hash": np.uint64,
        "edns_size": np.int32,
        "dnssec_ok": np.bool_,
        "ede": np.int32,
        "ede_start": np.int64,
        "ede_length": np.int32,
        "nsid_start": np.int64,
        "nsid_length": np.int32,
        "serial": np.uint32,
        "whole": np.bool_,
        "place": np.uint32,
        "transaction": np.int64,
        "state": np.uint8,
        "do_known": np.bool_,
        "do_asked": np.bool_,
    }
    columns = {name: np.empty(count, kinds.get(name, np.uint16)) for name in Parsed.__slots__}
    return Parsed(**columns)


def _first(reused: Parsed, count: int) -> Parsed:
    """Cut the first `count` rows out of columns that are used again."""
    return Parsed(**{name: getattr(reused, name)[:count] for name in Parsed.__slots__})


def parse(block: MessageBlock, first_ordinal: int, reused: Parsed | None = None) -> Parsed:
    """Read header, question, OPT and counts of every message of a block.

    The columns `place`, `transaction`, `state`, `do_known` and `do_asked` are left for
    `transactions.match` to fill.

    Args:
        block: N messages.
        first_ordinal: the running number of the first of them.
        reused: columns of an earlier block, at least N long, to write into; saves the pages.
    """
    count = len(block)
    if reused is not None and len(reused.ordinal) >= count:
        made = _first(reused, count)
    else:
        made = room(count)
    made.ordinal[:] = np.arange(first_ordinal, first_ordinal + count)
    _parse(
        block.octets,
        block.start,
        block.captured,
        made.id,
        made.header_flags,
        made.questions,
        made.answers,
        made.authorities,
        made.additionals,
        made.name_start,
        made.name_length,
        made.qtype,
        made.qclass,
        made.name_hash,
        made.rcode,
        made.edns_size,
        made.dnssec_ok,
        made.ede,
        made.ede_start,
        made.ede_length,
        made.nsid_start,
        made.nsid_length,
        made.signatures,
        made.keys,
        made.serial,
        made.whole,
    )
    return made
