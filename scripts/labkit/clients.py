"""Stub resolvers: a fixed pseudo-random mix of questions, retried on SERVFAIL as real stubs do."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode

from labkit import topology
from labkit.topology import Stub

SEED = 20260505
MEAN_INTERVAL = 1.5  # seconds between two questions of one client
TIMEOUT = 3.0
RETRY_DELAY = 0.4

WEIGHTS = {
    "unsigned-child": 30,
    "signed-child": 20,
    "absent-in-de": 16,
    "absent-in-child": 4,
    "control": 20,
    "zone-data": 10,
}


@dataclass(frozen=True)
class Observation:
    """What a client got for one query sent."""

    sent: int
    received: int | None
    client: str
    resolver: str
    name: str
    rdtype: str
    kind: str
    rcode: str
    ede: tuple[int, ...]
    authentic: bool


@dataclass(frozen=True)
class Question:
    """A name and type, with the class of name it stands for."""

    name: str
    rdtype: str
    kind: str


def choose_question(chooser: random.Random) -> Question:
    """Draw the next question of the mix."""
    kind = chooser.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    address = chooser.choice(("A", "A", "AAAA"))
    host = chooser.choice(("", "www.", "www.", "mail."))
    if kind == "unsigned-child":
        return Question(host + chooser.choice(topology.DE_UNSIGNED), address, kind)
    if kind == "signed-child":
        return Question(host + chooser.choice(topology.DE_SIGNED), address, kind)
    if kind == "absent-in-de":
        return Question(f"nx{chooser.randrange(10**6):06d}.de.", address, kind)
    if kind == "absent-in-child":
        child = chooser.choice(topology.DE_SIGNED + topology.DE_UNSIGNED)
        return Question(f"gone.{child}", address, kind)
    if kind == "zone-data":
        signed, unsigned = topology.DE_SIGNED, topology.DE_UNSIGNED
        return chooser.choice(
            (
                Question("de.", "DNSKEY", kind),
                Question("de.", "SOA", kind),
                Question("de.", "NS", kind),
                Question(chooser.choice(signed), "DS", kind),
                Question(chooser.choice(unsigned), "DS", kind),
                Question(chooser.choice(signed), "MX", kind),
            )
        )
    controls = topology.NL_SIGNED + topology.NL_UNSIGNED + topology.ZZ_UNSIGNED
    if chooser.random() < 0.2:
        tld = chooser.choice(("nl.", "zz."))
        return Question(f"nx{chooser.randrange(10**6):06d}.{tld}", address, kind)
    return Question(host + chooser.choice(controls), address, kind)


async def run_stub(
    stub: Stub,
    observations: list[Observation],
    choose: Callable[[random.Random], Question] = choose_question,
) -> None:
    """Ask for ever, at times and for names that the stub's own seed decides."""
    chooser = random.Random(f"{SEED}/{stub.name}")
    pending: set[asyncio.Task[None]] = set()
    try:
        while True:
            await asyncio.sleep(chooser.expovariate(1 / MEAN_INTERVAL))
            question = choose(chooser)
            checking_disabled = stub.dnssec_ok and chooser.random() < 0.03
            task = asyncio.create_task(_lookup(stub, question, checking_disabled, observations))
            pending.add(task)
            task.add_done_callback(pending.discard)
    finally:
        for task in pending:
            task.cancel()


async def _lookup(
    stub: Stub, question: Question, checking_disabled: bool, observations: list[Observation]
) -> None:
    for attempt in range(stub.retries + 1):
        if attempt:
            await asyncio.sleep(RETRY_DELAY * attempt)
        resolver = stub.resolvers[attempt % len(stub.resolvers)]
        seen = await _ask(stub, resolver, question, checking_disabled)
        observations.append(seen)
        if seen.rcode not in ("SERVFAIL", "TIMEOUT"):
            return


async def _ask(
    stub: Stub, resolver: str, question: Question, checking_disabled: bool
) -> Observation:
    query = dns.message.make_query(
        question.name, question.rdtype, use_edns=0, payload=1232, want_dnssec=stub.dnssec_ok
    )
    query.flags |= dns.flags.AD
    if checking_disabled:
        query.flags |= dns.flags.CD
    source = stub.addresses[0]
    sent = time.time_ns()
    received: int | None = None
    rcode, ede, authentic = "TIMEOUT", tuple[int, ...](), False
    try:
        response, _ = await dns.asyncquery.udp_with_fallback(
            query, resolver, timeout=TIMEOUT, source=source
        )
    except (dns.exception.DNSException, OSError):
        pass
    else:
        received = time.time_ns()
        rcode = dns.rcode.to_text(response.rcode())
        ede = tuple(int(o.code) for o in response.options if isinstance(o, dns.edns.EDEOption))
        authentic = bool(response.flags & dns.flags.AD)
    return Observation(
        sent=sent,
        received=received,
        client=source,
        resolver=resolver,
        name=question.name,
        rdtype=question.rdtype,
        kind=question.kind,
        rcode=rcode,
        ede=ede,
        authentic=authentic,
    )
