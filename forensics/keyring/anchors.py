"""Trust anchors: the root's, built in with their dates, and the user's (`--trust-anchor`).

Sources: IANA's root-anchors.xml (RFC 9718) for the digests and dates of the root; RFC 5011 and
RFC 4034 for the record forms.
"""

from __future__ import annotations

import hashlib
import os
import re
import select
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from xml.parsers import expat

from forensics.errors import UsageError
from forensics.knowledge import ALWAYS, DIGESTS, FOREVER, Anchor, key_tag, wire_name
from forensics.limits import ANCHOR_FILE_OCTETS, SECOND

TTL: Final = re.compile(r"\d+(?:[wdhms]\d+)*[wdhms]?", re.IGNORECASE)
"""Seconds, or as BIND writes them, `1d12h`; one way to match each, or digits take forever."""

_FIELD: Final = 4096
"""Letters of a name or of an element: 255 octets, each as an escape, have 1,020."""

PIPE_PATIENCE: Final = 10.0
"""Seconds until a pipe into which nobody writes is given up: `<(...)` may fetch what it gives."""


def _instant(text: str) -> int:
    """Return an ISO 8601 time with offset as ns since 1970."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return int(moment.timestamp()) * SECOND


_ROOT: Final = (
    # tag, digest, validFrom, validUntil. 38696 signs from 2026-10-11 on, but has been an anchor
    # since its publication: an anchor without a published key never hurts.
    (
        19036,
        "49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5",
        "2010-07-15T00:00:00+00:00",
        "2019-01-11T00:00:00+00:00",
    ),
    (
        20326,
        "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
        "2017-02-02T00:00:00+00:00",
        None,
    ),
    (
        38696,
        "683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
        "2024-07-18T00:00:00+00:00",
        None,
    ),
)


def built_in(at: int | None = None) -> list[Anchor]:
    """Return the root's key signing keys as anchors; only those in force at `at` (ns) if given."""
    anchors = [
        Anchor(
            zone=".",
            tag=tag,
            algorithm=8,
            digest_type=2,
            digest=bytes.fromhex(digest),
            start=_instant(start),
            end=_instant(end) if end else FOREVER,
            source="built-in",
        )
        for tag, digest, start, end in _ROOT
    ]
    return [a for a in anchors if at is None or a.start <= at < a.end]


def chosen(paths: Sequence[str | Path]) -> list[Anchor]:
    """The trust anchors of a run: those of the files named, else the root's built-in ones.

    Raises:
        UsageError: as `read`.
    """
    if not paths:
        return built_in()
    return [anchor for path in paths for anchor in read(path)]


def read(path: str | Path) -> list[Anchor]:
    """Read a file of trust anchors: records in zone-file form, or IANA's XML.

    Zone-file form: DS, DNSKEY, CDS or CDNSKEY records of any zone, one a line or in parentheses,
    with `;` comments, with or without TTL and class. A DNSKEY becomes its SHA-256 DS.

    Raises:
        UsageError: the file cannot be read, holds no anchor, or a line is no such record; with
            file and line.
    """
    try:
        content = _content(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    if len(content) > ANCHOR_FILE_OCTETS:
        raise UsageError(f"{path}: larger than {ANCHOR_FILE_OCTETS} octets: no anchor file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8 text") from None
    is_xml = text.lstrip().startswith("<")
    anchors = _read_xml(str(path), text) if is_xml else _read_records(str(path), text)
    if not anchors:
        raise UsageError(f"{path}:1: no trust anchor in the file")
    return sorted(set(anchors))


def _content(path: str | Path) -> bytes:
    """Read a file, or a pipe such as the shell's `<(...)` makes until its writer closes it.

    Raises:
        OSError: it cannot be opened or read.
        UsageError: a pipe into which nobody writes.
    """
    # A pipe without a writer would hold the opener for ever; this way the wait has an end.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(number, "rb") as stream:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            ready, _, _ = select.select([number], [], [], PIPE_PATIENCE)
            if not ready:
                waited = f"{PIPE_PATIENCE:g} s"
                raise UsageError(f"{path}: a pipe, and nothing was written to it within {waited}")
            os.set_blocking(number, True)
        return stream.read(ANCHOR_FILE_OCTETS + 1)


def _read_records(path: str, text: str) -> list[Anchor]:
    """Read records in zone-file form."""
    anchors = []
    zone = ""
    for line, words, blank in _entries(path, text):
        if words[0].upper() == "$TTL":
            continue
        try:
            zone, rest = (zone, words) if blank else (_zone(words[0]), words[1:])
            anchors.append(_record(zone, rest))
        except ValueError as error:
            raise UsageError(f"{path}:{line}: {error}") from None
    return anchors


def _entries(path: str, text: str) -> list[tuple[int, list[str], bool]]:
    """Split into (line number, words, begins with a blank); parentheses join lines."""
    entries: list[tuple[int, list[str], bool]] = []
    words: list[str] = []
    depth = 0
    begun, blank = 1, False
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(?<!\\);.*", "", raw)
        if depth == 0:
            words, begun, blank = [], number, line[:1] in {" ", "\t"}
        for word in re.findall(r"[()]|[^\s()]+", line):
            if word == "(":
                depth += 1
            elif word == ")":
                depth -= 1
                if depth < 0:
                    raise UsageError(f"{path}:{number}: a closing parenthesis without its opening")
            else:
                words.append(word)
        if depth == 0 and words:
            entries.append((begun, words, blank))
    if depth:
        raise UsageError(f"{path}:{begun}: a parenthesis is never closed")
    return entries


def _zone(name: str) -> str:
    """Check an owner name and return it in the form of the tables."""
    import dns.exception
    import dns.name

    if len(name) > _FIELD:
        raise ValueError(f"{name[:40]!r} and so on is no name: longer than {_FIELD} letters")
    try:
        return dns.name.from_text(name).canonicalize().to_text()
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise ValueError(f"{name!r} is no name: {error}") from None


def _record(zone: str, words: list[str]) -> Anchor:
    """Make an anchor of a record's words behind its owner."""
    if zone.startswith("$"):
        raise ValueError(f"{zone.rstrip('.').upper()} is not read here: write names in full")
    if not zone:
        raise ValueError("no owner name")
    for at, word in enumerate(words):
        if word.upper() != "IN" and not TTL.fullmatch(word):
            return _anchor(zone, word.upper(), words[at + 1 :])
    raise ValueError("no record type")


def _number(word: str, most: int, what: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", word) or int(word) > most:
        raise ValueError(f"{what} {word!r} is no number up to {most}")
    return int(word)


def _anchor(zone: str, kind: str, words: list[str]) -> Anchor:
    """Make an anchor of a record's type and RDATA words."""
    if kind not in {"DS", "CDS", "DNSKEY", "CDNSKEY"}:
        raise ValueError(f"{kind} is neither DS nor DNSKEY")
    if len(words) < 4:
        raise ValueError(f"{kind} needs four fields")
    if kind in {"DS", "CDS"}:
        return _from_ds(zone, words[0], words[1], words[2], "".join(words[3:]))
    return _from_key(zone, words[0], words[1], words[2], "".join(words[3:]))


def _from_ds(zone: str, tag: str, algorithm: str, kind: str, digest: str) -> Anchor:
    digest_type = _number(kind, 255, "digest type")
    if digest_type not in DIGESTS:
        raise ValueError(f"digest type {digest_type} is not supported (1, 2 and 4 are)")
    try:
        octets = bytes.fromhex(digest)
    except ValueError:
        raise ValueError("the digest is not hexadecimal") from None
    size = hashlib.new(DIGESTS[digest_type], usedforsecurity=False).digest_size
    if len(octets) != size:
        raise ValueError(f"a digest of type {digest_type} has {size} octets, not {len(octets)}")
    return Anchor(
        zone=zone,
        tag=_number(tag, 65_535, "key tag"),
        algorithm=_number(algorithm, 255, "algorithm"),
        digest_type=digest_type,
        digest=octets,
    )


def _from_key(zone: str, flags: str, protocol: str, algorithm: str, key: str) -> Anchor:
    import base64
    import binascii

    try:
        material = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the public key is not base 64") from None
    if not material:
        raise ValueError("the public key is empty")
    number = _number(flags, 65_535, "flags")
    if not number & 0x0100:
        raise ValueError("the key is no zone key (flags 256 or 257)")
    if _number(protocol, 255, "protocol") != 3:
        raise ValueError("the protocol of a DNSKEY is 3")
    rdata = number.to_bytes(2, "big") + bytes([3, _number(algorithm, 255, "algorithm")]) + material
    return Anchor(
        zone=zone,
        tag=key_tag(rdata),
        algorithm=rdata[3],
        digest_type=2,
        digest=hashlib.sha256(wire_name(zone) + rdata).digest(),
    )


def _read_xml(path: str, text: str) -> list[Anchor]:
    """Read IANA's root-anchors.xml (RFC 9718 2.1). A document type is refused: no entities."""
    anchors: list[Anchor] = []
    parser = expat.ParserCreate()
    state: dict[str, str] = {}
    dates: dict[str, str] = {}
    inside: list[str] = []

    def forbid(*_: object) -> None:
        raise ValueError("a document type or entity has no place in an anchor file")

    def begin(name: str, attributes: dict[str, str]) -> None:
        inside.append(name)
        if name == "KeyDigest":
            dates.clear()
            dates.update(attributes)
            for field in ("KeyTag", "Algorithm", "DigestType", "Digest"):
                state.pop(field, None)
        elif name in {"KeyTag", "Algorithm", "DigestType", "Digest", "Zone"}:
            state[name] = ""

    def characters(data: str) -> None:
        if inside and inside[-1] in {"KeyTag", "Algorithm", "DigestType", "Digest", "Zone"}:
            state[inside[-1]] += data
            if len(state[inside[-1]]) > _FIELD:
                raise ValueError(f"{inside[-1]} is longer than {_FIELD} letters")

    def end(name: str) -> None:
        inside.pop()
        if name != "KeyDigest":
            return
        for field in ("KeyTag", "Algorithm", "DigestType", "Digest"):
            if field not in state:
                raise ValueError(f"KeyDigest without {field}")
        made = _from_ds(
            _zone(state.get("Zone", ".").strip() or "."),
            state["KeyTag"].strip(),
            state["Algorithm"].strip(),
            state["DigestType"].strip(),
            "".join(state["Digest"].split()),
        )
        start = _instant(dates["validFrom"]) if "validFrom" in dates else ALWAYS
        until = _instant(dates["validUntil"]) if "validUntil" in dates else FOREVER
        anchors.append(
            Anchor(made.zone, made.tag, made.algorithm, made.digest_type, made.digest, start, until)
        )

    parser.StartDoctypeDeclHandler = forbid
    parser.EntityDeclHandler = forbid
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise UsageError(f"{path}:{error.lineno}: {expat.ErrorString(error.code)}") from None
    except ValueError as error:
        raise UsageError(f"{path}:{parser.CurrentLineNumber}: {error}") from None
    return anchors
