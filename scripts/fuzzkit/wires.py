"""The kernels over DNS octets, one by one: they stay inside, and agree with dnspython."""

import random
import struct

import numpy as np

from fuzzkit.laws import hold

_OUT = 70_000
_COMPARED = (2, 5, 6, 12, 15, 17, 18, 21, 26, 33, 36, 39)
"""Types whose canonical RDATA dnspython (RFC 4034 6.2) and we must write alike."""


def read_names(data: bytes, dice: random.Random) -> None:
    """Skip, resolve, expand and compare names; dnspython reads the text of each alike."""
    import dns.name

    from forensics.wire import records
    from forensics.wire.jit import octets
    from forensics.wire.text import name_texts, octet_texts
    from forensics.wire.words import name_hash, octets_hash

    data = data.ljust(12, b"\0")
    message, end = octets(data + bytes(8)), len(data)
    out = np.zeros(1024, np.uint8)
    for _ in range(24):
        at = dice.randrange(end + 1)
        after = int(records.skip_name(message, at, end))
        hold(after == -1 or at < after <= end, f"skip_name: {after}")
        first = int(records.resolve_name(message, 0, end, at))
        hold(first == -1 or 12 <= first < end or first == at, f"resolve_name: {first}")
        behind, size = (int(x) for x in records.expand_name(message, 0, end, at, out, 0, True))
        hold(behind == -1 or (behind == after and 0 < size <= 255), f"expand_name: {behind} {size}")
        if behind < 0:
            continue
        wire = out[:size].tobytes()
        hold(_expanded(data, at) == wire, "another name")
        same, _ = records.same_name(message, 0, end, at, out, 0, True)
        hold(int(same) == behind, "same_name does not know its own")
        (text,) = name_texts(out, np.zeros(1, np.int64), np.array([size])).to_pylist()
        hold(dns.name.from_text(text).to_wire() == wire, f"text of a name: {text}")
        hold(name_hash(out, 0, size) == name_hash(octets(wire + bytes(8)), 0, size), "hash")
    (text,) = octet_texts(message, np.zeros(1, np.int64), np.array([end])).to_pylist()
    hold((text.isascii() and text.isprintable()) or not text, "text that is not printable")
    octets_hash(message, 0, end)


def _expanded(data: bytes, at: int) -> bytes:
    """The lower-case name at an offset, labels put together as RFC 1035 4.1.4 says.

    dnspython is no judge here: it calls names malformed that run over the pointer to them.
    """
    made = b""
    while data[at]:
        if data[at] >= 192:
            at = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
            continue
        made += data[at : at + 1 + data[at]]
        at += 1 + data[at]
    return made.lower() + b"\0"


def walk(data: bytes, _: random.Random) -> None:
    """List the records of a message: none lies outside, and sections are in order."""
    from forensics.wire import records
    from forensics.wire.jit import octets

    message = octets(data + bytes(8))
    table = np.zeros((400, records.RECORD_COLUMNS), np.int64)
    number, broken = (int(x) for x in records.walk_records(message, 0, len(data), table, 0))
    hold(0 <= number <= 400 and 0 <= broken <= 4, f"{number} records, {broken}")
    rows = table[:number]
    hold((np.diff(rows[:, records.SECTION]) >= 0).all(), "sections out of order")
    ends = rows[:, records.RDATA] + rows[:, records.RDLENGTH]
    hold((rows[:, records.OWNER] >= 12).all() and (ends <= len(data)).all(), "outside")
    if broken == 4 and number:
        counts = struct.unpack_from(">HHH", data, 6)
        hold(number == sum(counts), f"{number} records of {counts}")


def write_canonical(data: bytes, dice: random.Random) -> None:
    """Write RDATA in canonical form, and sort it: the form of the form is the form."""
    import dns.exception
    import dns.name
    import dns.rdata

    from forensics.wire.canonical import canonical_rdata, compare_octets, insert_sorted
    from forensics.wire.jit import octets

    header = b"\0" * 12
    kind = dice.choice((*_COMPARED, 24, 30, 35, 38, 46, 47, 1, 300))
    out = np.zeros(_OUT, np.uint8)
    message = octets(header + data + bytes(8))
    size = int(canonical_rdata(message, 0, kind, 12, len(data), out, 0))
    hold(size >= -2, f"canonical_rdata: {size}")
    if size >= 0:
        form = out[:size].tobytes()
        again = octets(header + form + bytes(8))
        hold(int(canonical_rdata(again, 0, kind, 12, size, out, 0)) == size, "form of a form")
        hold(out[:size].tobytes() == form, "the form of the form is another")
        if kind in _COMPARED:
            try:
                read = dns.rdata.from_wire(1, kind, header + data, 12, len(data))
            except (dns.exception.DNSException, ValueError) as error:
                raise AssertionError(f"dnspython cannot read what we can: {error!r}") from None
            hold(read.to_digestable() == form, "dnspython's canonical form is another")
    pieces = sorted({data[at : at + 5] for at in range(0, min(len(data), 200), 5)})
    dice.shuffle(pieces)
    buffer = octets(b"".join(pieces) + bytes(8))
    spans, order = np.zeros((64, 2), np.int64), np.zeros(64, np.int64)
    count = at = 0
    for piece in pieces:
        spans[count] = (at, len(piece))
        count = int(insert_sorted(buffer, spans, order, count))
        at += len(piece)
    found = [buffer[a : a + n].tobytes() for a, n in spans[order[:count]].tolist()]
    hold(found == sorted(pieces), "not in canonical order")
    if count > 1:
        (a, n), (b, m) = spans[order[0]].tolist(), spans[order[1]].tolist()
        hold(int(compare_octets(buffer, a, n, b, m)) < 0, "compare_octets")
