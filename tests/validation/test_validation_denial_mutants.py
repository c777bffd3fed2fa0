"""Denials of existence, changed one thing at a time: held against whole-zone verifiers.

`ldns-verify-zone -t` and `kzonecheck -t` read the changed zone; we see the answers that an
authority of it gives to some forty questions. denial_differences.toml says which of our reasons
stand for which of their words, and lists every disagreement with its reason; the list is part of
the test. With `DENIALS=all` in the environment every signer's zones go through every change.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import dns.flags
import dns.message
import dns.name
import pytest
from denial_mutants import CHANGES, TEXT, Authority, Reply, bench
from signing_tools import NOW, SIGNERS, missing, sign
from test_validation_differential import verify_words

from forensics.explain import Asker, read_type
from forensics.ingest import ingest
from forensics.keyring import anchors
from forensics.options import Options
from forensics.pipeline import analyze

LISTED = tomllib.loads(
    (Path(__file__).parent / "denial_differences.toml").read_text(encoding="utf-8")
)
TOOLS = ("ldns-verify-zone", "kzonecheck")
WHOLE = os.environ.get("DENIALS") == "all"
AT = (NOW + 3600) * 10**9

pytestmark = pytest.mark.skipif(
    (lacking := missing(*TOOLS, *(tool for tool, _ in SIGNERS.values()))) is not None,
    reason=f"{lacking} is not installed",
)


class Mutant(NamedTuple):
    """A zone: who signed it and how, and what was changed."""

    signer: str
    denial: str
    change: str

    @property
    def origin(self) -> str:
        words = re.sub("[^a-z0-9]+", "-", self.change)
        return f"{self.signer}-{self.denial}-{words}.example."


MUTANTS = [
    Mutant(signer, denial, change)
    for turn, (denial, changes) in enumerate(CHANGES.items())
    for number, change in enumerate(changes)
    for place, signer in enumerate(SIGNERS)
    if WHOLE or (number + turn) % len(SIGNERS) == place
]


class Seen(NamedTuple):
    """What each verifier says of a mutant's zone, and what we say of its authority's answers."""

    theirs: dict[str, set[str]]
    ours: set[str]


def words_of(tool: str, path: Path, origin: str) -> set[str]:
    """The listed words that a verifier says, none where it accepts the zone."""
    done = subprocess.run(
        verify_words(tool, path, NOW, origin),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return set()
    found = {row["says"] for row in LISTED["words"] if row["tool"] == tool and row["says"] in said}
    assert found, (tool, path, said)
    return found


def packet(message: dns.message.Message, *, out: bool, number: int) -> bytes:
    data = message.to_wire(max_size=65_535)
    ports = (1024 + number % 60_000, 53) if out else (53, 1024 + number % 60_000)
    ends = [b"\xc6\x33\x64\x35", b"\xc0\x00\x02\x01"][:: 1 if out else -1]
    udp = struct.pack(">HHHH", *ports, 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return head + b"".join(ends) + udp


def exchange(name: dns.name.Name, kind: str, reply: Reply, number: int) -> bytes:
    """Query and response as packets of a pcap, a millisecond apart from the next."""
    query = dns.message.make_query(name, kind, want_dnssec=True, id=number % 65_536)
    response = dns.message.make_response(query)
    response.set_rcode(reply.rcode)
    response.flags |= dns.flags.AA if reply.aa else 0
    response.answer, response.authority = reply.answer, reply.authority
    made = b""
    for message, out in ((query, True), (response, False)):
        data = packet(message, out=out, number=number)
        micros = number * 1000 + (0 if out else 400)
        at = NOW + micros // 1_000_000, micros % 1_000_000
        made += struct.pack("<IIII", *at, len(data), len(data)) + data
    return made


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict[Mutant, Seen]:
    """Every mutant made, verified by both tools, and its answers captured and judged."""
    base = tmp_path_factory.mktemp("denials")
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)]
    trusted, asked_of, theirs, number = [], {}, {}, 0
    for mutant in MUTANTS:
        where = base / mutant.origin
        where.mkdir()
        text = TEXT.format(origin=mutant.origin)
        path = sign(mutant.signer, 13, mutant.denial, where, mutant.origin, text)
        made = bench(path, where, mutant.origin, str(mutant))
        sound = bench(path, where, mutant.origin, "").zone
        whole = Authority(sound, sound)
        owner = made.draw.choice(whole.deniers())
        CHANGES[mutant.denial][mutant.change](made, owner, whole.kind)
        changed = where / "changed"
        made.zone.to_file(str(changed), relativize=False)
        theirs[mutant] = {tool: words_of(tool, changed, mutant.origin) for tool in TOOLS}
        authority = Authority(sound, made.zone)
        questions = []
        for name, asked in [(made.apex, "DNSKEY"), *authority.questions(), *whole.beside(owner)]:
            reply = authority.reply(name, asked)
            packets.append(exchange(name, asked, reply, number))
            number += 1
            if reply.authority:
                questions.append((name, asked))
        keys = made.zone.find_rdataset(made.apex, "DNSKEY")
        trusted += [f"{mutant.origin} IN DNSKEY {k.to_text()}\n" for k in keys if k.flags & 1]
        asked_of[mutant] = questions
    file, anchor = base / "answers.pcap", base / "anchors"
    file.write_bytes(b"".join(packets))
    anchor.write_text("".join(trusted))
    result = ingest([str(file)], base / "tables")
    assert not result.errors
    asker = Asker(base / "tables", Options(), anchors.read(anchor))
    report = analyze(
        [str(file)], base / "out", Options(trust_anchors=(str(anchor),)), figures=False
    ).report
    told: dict[str, set[str]] = {}
    for one in report["incidents"]:
        told.setdefault(one["zone"], set()).add(one["reason"])
    judged = {}
    for mutant, questions in asked_of.items():
        mine = refused(mutant, questions, asker) or told.get(mutant.origin, set())
        judged[mutant] = Seen(theirs[mutant], mine)
    return judged


def refused(mutant: Mutant, questions: list[tuple[dns.name.Name, str]], asker: Asker) -> set[str]:
    """The reasons for which a resolver would have refused an answer."""
    answers = [asker.ask(name.to_text(), read_type(kind), AT) for name, kind in questions]
    unknown = [a for a in answers if a["status"] not in {"secure", "insecure", "bogus"}]
    assert not unknown, (mutant, unknown[0]["name"], unknown[0]["type"], unknown[0]["sentence"])
    return {answer["reason"] for answer in answers if answer["status"] == "bogus"}


def agrees(tool: str, mine: set[str], theirs: set[str]) -> bool:
    if not mine or not theirs:
        return mine == theirs
    stands = {
        reason
        for row in LISTED["words"]
        if row["tool"] == tool and row["says"] in theirs
        for reason in row["ours"]
    }
    return bool(mine & stands)


def text(words: set[str]) -> str:
    return " + ".join(sorted(words)) or "valid"


def is_listed(row: dict, tool: str, mutant: Mutant, one: Seen) -> bool:
    return (
        (row["oracle"], row["change"]) == (tool, mutant.change)
        and mutant.denial in row["denial"]
        and bool(one.ours) == bool(row["ours"])
        and one.ours <= set(row["ours"])
        and one.theirs[tool] == set(row["theirs"])
    )


def test_zone_verifiers_agree_on_denials_but_where_listed(seen) -> None:
    rows, unlisted, found = LISTED["difference"], [], set()
    assert all(row["why"] for row in rows)
    for mutant, one in seen.items():
        for tool in TOOLS:
            if agrees(tool, one.ours, one.theirs[tool]):
                continue
            known = [at for at, row in enumerate(rows) if is_listed(row, tool, mutant, one)]
            found.update(known)
            if not known:
                unlisted.append((tool, *mutant, text(one.ours), text(one.theirs[tool])))
    assert not unlisted
    if WHOLE:
        assert found == set(range(len(rows))), "a listed difference is none any more"


def test_sound_zones_are_sound_to_all_and_most_changes_to_none(seen) -> None:
    broken = 0
    for mutant, one in seen.items():
        if mutant.change == "nothing":
            assert (one.ours, *one.theirs.values()) == (set(), set(), set())
        broken += bool(one.ours) and all(one.theirs.values())
    assert broken > 0.5 * len(seen)
