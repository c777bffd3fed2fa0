"""Keys from elsewhere (`--keys`): rows of schemas.KEYS labelled *supplied*.

A file is a zone file or a list of DNSKEY, CDNSKEY, DS and CDS records, each perhaps with a comment
`; first=TIME last=TIME`; a BIND key file (`K*.key`) whose comments hold its timing; or the keys
table of a former run (Parquet). A folder holds BIND key files, or is a former run's. Private keys
are never opened. Record forms: RFC 1035 5.1, RFC 4034 2.2 and 5.3.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from forensics import schemas
from forensics.errors import UsageError
from forensics.keyring.anchors import TTL
from forensics.knowledge import ALWAYS, FOREVER, key_tag
from forensics.limits import SECOND, SUPPLIED_LINE_OCTETS, SUPPLIED_RECORDS
from forensics.vocabulary import TYPE_CDNSKEY, TYPE_CDS, TYPE_DNSKEY, TYPE_DS

_TYPES: Final = {
    "DNSKEY": TYPE_DNSKEY,
    "CDNSKEY": TYPE_CDNSKEY,
    "DS": TYPE_DS,
    "CDS": TYPE_CDS,
}
_CLASSES: Final = frozenset({"IN", "CH", "HS", "CS"})
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[()]|;.*|(?:\\.|[^\s()";\\])+|\\')
_BIND_TIME: Final = re.compile(r";\s*(Publish|Delete):\s*(\d{14})\b")
_GIVEN_TIME: Final = re.compile(r"\b(first|last)=(\S+)")


class Supplied(NamedTuple):
    """One record that the user supplied.

    Attributes:
        zone: owner, lower case, presentation form.
        type: DNSKEY, CDNSKEY, DS or CDS.
        rdata: in wire form.
        ttl: seconds; 0: not given.
        first, last: ns, from when to when it was published; ALWAYS and FOREVER: not given.
    """

    zone: str
    type: int
    rdata: bytes
    ttl: int = 0
    first: int = ALWAYS
    last: int = FOREVER


def read(paths: Iterable[str | Path]) -> Any:
    """Read files and folders of keys into schemas.KEYS, in order of zone, type and RDATA.

    Each row is one record; `first` and `last` are null where no time was given.

    Raises:
        UsageError: names the file, and the line where one is at fault.
    """
    found: set[Supplied] = set()
    for path in paths:
        for record in _of_path(Path(path)):
            found.add(record)
            if len(found) > SUPPLIED_RECORDS:
                raise UsageError(f"--keys {path}: more than {SUPPLIED_RECORDS} records")
    return table(sorted(found))


def table(records: Sequence[Supplied]) -> Any:
    """Lay records out as schemas.KEYS; each is a run without a place."""
    import pyarrow as pa

    rows = [
        {
            "run": number,
            "zone": record.zone,
            "type": record.type,
            "rrset": number,
            "place": None,
            "source": "supplied",
            "first": None if record.first == ALWAYS else record.first,
            "last": None if record.last == FOREVER else record.last,
            "first_capture": None,
            "first_frame": None,
            "last_capture": None,
            "last_frame": None,
            "count": 0,
            "ttl": record.ttl,
            "authoritative": False,
            "rdatas": [record.rdata],
            "tags": [_tag(record)],
            "algorithms": [_algorithm(record)],
            "detail": [_detail(record)],
        }
        for number, record in enumerate(records)
    ]
    return pa.Table.from_pylist(rows, schema=schemas.KEYS)


def _is_key(record: Supplied) -> bool:
    return record.type in {TYPE_DNSKEY, TYPE_CDNSKEY}


def _tag(record: Supplied) -> int:
    return key_tag(record.rdata) if _is_key(record) else int.from_bytes(record.rdata[:2], "big")


def _algorithm(record: Supplied) -> int:
    return record.rdata[3 if _is_key(record) else 2]


def _detail(record: Supplied) -> int:
    return int.from_bytes(record.rdata[:2], "big") if _is_key(record) else record.rdata[3]


def _of_path(path: Path) -> Iterator[Supplied]:
    """Read one file, or what a folder holds."""
    if not path.is_dir():
        yield from _of_file(path)
        return
    for name in ("keys.parquet", "tables/keys.parquet"):
        if (path / name).is_file():
            yield from _of_parquet(path / name)
            return
    files = sorted(path.glob("K*.key"))
    if not files:
        raise UsageError(f"--keys {path}: neither K*.key files nor a run's keys table in there")
    for file in files:
        yield from _of_file(file)


def _of_file(path: Path) -> Iterator[Supplied]:
    if path.exists() and not path.is_file():
        # The kind of a file is told by its first octets, so that it is opened twice.
        raise UsageError(f"--keys {path}: no regular file; write it to a file first")
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise UsageError(f"--keys {path}: {error.strerror or error}") from None
    if magic == b"PAR1":
        yield from _of_parquet(path)
        return
    empty = True
    for record in _of_text(path):
        empty = False
        yield record
    if empty:
        raise UsageError(f"--keys {path}: no DNSKEY or DS record in the file")


def _of_parquet(path: Path) -> Iterator[Supplied]:
    """Read the keys table of a former run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["zone", "type", "ttl", "first", "last", "rdatas"]
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > SUPPLIED_RECORDS:
                raise UsageError(f"--keys {path}: more than {SUPPLIED_RECORDS} rows")
            rows = file.read(columns=names)
        rows = rows.set_column(3, "first", rows["first"].cast(pa.int64()))
        rows = rows.set_column(4, "last", rows["last"].cast(pa.int64()))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UsageError(f"--keys {path}: no keys table of a run: {error}") from None
    for row in rows.to_pylist():
        for rdata in row["rdatas"] or ():
            if row["type"] in _TYPES.values() and len(rdata) > 4:
                first = ALWAYS if row["first"] is None else row["first"]
                last = FOREVER if row["last"] is None else row["last"]
                yield Supplied(row["zone"], row["type"], rdata, row["ttl"] or 0, first, last)


class _Entry(NamedTuple):
    """One entry of a zone file: words without comments, what the comments said, where it began."""

    line: int
    words: list[str]
    blank: bool
    comment: str


def _of_text(path: Path) -> Iterator[Supplied]:
    """Read the key records of a zone file; what else is in it is passed over."""
    owner, origin, ttl = "", "", 0
    timing: dict[str, int] = {}
    for entry in _entries(path):
        words = entry.words
        if not words:
            timing.update(
                (name, _bind_time(text)) for name, text in _BIND_TIME.findall(entry.comment)
            )
            continue
        if words[0].startswith("$"):
            if words[0].upper() == "$ORIGIN" and len(words) > 1:
                origin = _absolute(path, entry.line, words[1], origin)
            continue
        if not entry.blank:
            owner, words = words[0], words[1:]
        ttl, kind, fields = _header(words)
        if kind not in _TYPES:
            continue
        try:
            rdata = _key(fields) if kind in {"DNSKEY", "CDNSKEY"} else _ds(fields)
        except ValueError as error:
            raise UsageError(f"--keys {path}:{entry.line}: {kind}: {error}") from None
        if rdata is None:
            continue
        first, last = timing.get("Publish", ALWAYS), timing.get("Delete", FOREVER)
        for name, text in _GIVEN_TIME.findall(entry.comment):
            moment = _iso_time(path, entry.line, text)
            first, last = (moment, last) if name == "first" else (first, moment)
        zone = _absolute(path, entry.line, owner, origin)
        yield Supplied(zone, _TYPES[kind], rdata, ttl, first, last)


def _entries(path: Path) -> Iterator[_Entry]:
    """Split a file into entries; parentheses join lines; a comment alone is an entry too."""
    words: list[str] = []
    comment: list[str] = []
    depth, begun, blank = 0, 1, False
    for number, line in _lines(path):
        if depth == 0:
            words, comment = [], []
            begun, blank = number, line[:1] in {" ", "\t"}
        for part in _TOKEN.findall(line):
            if part.startswith(";"):
                comment.append(part)
            elif part == "(":
                depth += 1
            elif part == ")":
                depth = max(depth - 1, 0)
            else:
                words.append(part)
        if depth == 0 and (words or comment):
            yield _Entry(begun, words, blank, " ".join(comment))
    if depth:
        raise UsageError(f"--keys {path}:{begun}: a parenthesis is never closed")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(SUPPLIED_LINE_OCTETS + 1):
                number += 1
                if len(line) > SUPPLIED_LINE_OCTETS:
                    raise UsageError(f"--keys {path}:{number}: no text: a line without end")
                # Names are ASCII here; other octets only occur in records that are passed over.
                yield number, line.decode("latin-1").rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"--keys {path}: {error.strerror or error}") from None


def _header(words: Sequence[str]) -> tuple[int, str, Sequence[str]]:
    """Take TTL and class off; return TTL, type and the RDATA's words."""
    ttl = 0
    for at, word in enumerate(words):
        if word.upper() in _CLASSES:
            continue
        if TTL.fullmatch(word):
            ttl = int(word) if word.isdigit() and len(word) < 10 else 0
            continue
        return ttl, word.upper(), words[at + 1 :]
    return 0, "", ()


def _number(word: str, most: int) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 6 and int(word) <= most):
        raise ValueError(f"{word!r} is no number up to {most}")
    return int(word)


def _key(fields: Sequence[str]) -> bytes | None:
    """Read the RDATA of a DNSKEY or CDNSKEY; None for a CDNSKEY that asks for deletion."""
    if len(fields) < 4:
        raise ValueError("needs four fields")
    try:
        material = base64.b64decode("".join(fields[3:]), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the public key is not base 64") from None
    head = _number(fields[0], 65_535).to_bytes(2, "big")
    algorithm = _number(fields[2], 255)
    if algorithm == 0:  # RFC 8078 4
        return None
    if not material:
        raise ValueError("the public key is empty")
    return head + bytes([_number(fields[1], 255), algorithm]) + material


def _ds(fields: Sequence[str]) -> bytes | None:
    """Read the RDATA of a DS or CDS; None for a CDS that asks for deletion."""
    if len(fields) < 4:
        raise ValueError("needs four fields")
    try:
        digest = bytes.fromhex("".join(fields[3:]))
    except ValueError:
        raise ValueError("the digest is not hexadecimal") from None
    head = _number(fields[0], 65_535).to_bytes(2, "big")
    algorithm = _number(fields[1], 255)
    return head + bytes([algorithm, _number(fields[2], 255)]) + digest if algorithm else None


def _absolute(path: Path, line: int, name: str, origin: str) -> str:
    """Complete a name by the origin, and return it as the tables have it."""
    import dns.exception
    import dns.name

    try:
        base = dns.name.from_text(origin) if origin else None
        made = base if name == "@" else dns.name.from_text(name, base)
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise UsageError(f"--keys {path}:{line}: {name!r} is no name: {error}") from None
    if made is None or not made.is_absolute():
        raise UsageError(f"--keys {path}:{line}: {name!r} is relative, and no $ORIGIN is given")
    return made.canonicalize().to_text()


def _bind_time(text: str) -> int:
    """Read a time of dnssec-keygen's comments, UTC; ALWAYS where it is none."""
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ALWAYS
    return _held(int(moment.timestamp()) * SECOND)


def _iso_time(path: Path, line: int, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--keys {path}:{line}: {text!r} is no time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _held(int(moment.timestamp()) * SECOND + moment.microsecond * 1000)


def _held(time: int) -> int:
    """Give the time as the tables can hold it: what they cannot was always, or will be for ever."""
    return min(max(time, ALWAYS), FOREVER)
