"""Time the verification of distinct signatures beside three others, and evidence extraction alone.

Beside `openssl speed` of the same algorithm, dnspython's validation of the same RRsets, and
`ldns-verify-zone` on the same zone. Figures are signatures per second of CPU time, so that a busy
machine changes them little. Those of all cores are by the clock, beside `openssl speed -multi` with
as many processes: cores that share a cache, or one machine's power, do less together than apart,
and one core's speed times their number is what neither reaches. Evidence extraction is canonical
form, hash and comparison of signatures that are known already: the cost of each further packet.

Ours and `openssl speed` take turns, and the shares are medians of the turns: a machine that others
use too has hours, and seconds, of twice the speed.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchkit.signed_zone import NOW, Made, make, write_capture, write_zone

ALGORITHMS = {13: "P-256", 8: "RSA-2048", 15: "Ed25519"}
OPENSSL = {13: "ecdsap256", 8: "rsa2048", 15: "ed25519"}
DNSPYTHON = 2_000
TURNS = 3
TARGETS = {13: 0.85, 8: 0.7}
TLD_MIX = {8: 0.6, 13: 0.4}
"""Shares of the signatures that top-level domains show, by algorithm: what the mix is made of."""
KNOWN = 2_000
"""Distinct signatures of the capture that extraction is timed with."""
SIGHTINGS = 1_000_000
EXTRACTION_TARGET = 2_000_000


def bench(signatures: int, algorithms: list[int], sightings: int = SIGHTINGS) -> None:
    """Measure each algorithm, the mix of both that top-level domains use, and extraction."""
    cores = os.cpu_count() or 1
    print(
        f"{'':10}{'ours/s':>9}{'openssl/s':>11}{'share':>7}{'dnspython/s':>13}{'ldns/s':>9}"
        f"   {cores} cores: ours/s, openssl -multi/s, share; of one core's speed times {cores}"
    )
    made_of = {}
    speeds: dict[int, float | None] = {}
    together: dict[int, float | None] = {}
    for algorithm in algorithms:
        made = made_of[algorithm] = make(algorithm, signatures)
        turns = [(*check([made]), speed(algorithm, cores), speed(algorithm)) for _ in range(TURNS)]
        together[algorithm] = _median([multi for *_, multi, _ in turns])
        speeds[algorithm] = _median([single for *_, single in turns])
        _line(ALGORITHMS[algorithm], turns, dnspython(made), ldns(made), TARGETS.get(algorithm))
    if set(TLD_MIX) <= set(made_of):
        parts = [
            made_of[algorithm]._replace(
                table=made_of[algorithm].table.slice(0, int(signatures * share))
            )
            for algorithm, share in TLD_MIX.items()
        ]
        turns = [(*check(parts), mixed(together), mixed(speeds)) for _ in range(TURNS)]
        _line("TLD mix", turns, None, None, None)
    rate = extraction(sightings)
    print(
        f"evidence extraction of known signatures: {rate:,.0f} signed RRsets/s of one core "
        f"(target {EXTRACTION_TARGET:,})"
    )


def mixed(speeds: dict[int, float | None]) -> float | None:
    """What the speeds of single algorithms come to in the mix; None: one is not known."""
    if not all(speeds[algorithm] for algorithm in TLD_MIX):
        return None
    return 1 / sum(share / (speeds[algorithm] or 1) for algorithm, share in TLD_MIX.items())


Turn = tuple[float, float, float | None, float | None]
"""Ours per second of CPU time, and of wall time; openssl's of all processes, and of one."""


def _line(
    name: str, turns: list[Turn], python: float | None, zone: float | None, target: float | None
) -> None:
    def text(value: float | None) -> str:
        return f"{value:,.0f}" if value else "-"

    def share(shares: list[float | None]) -> str:
        value = _median(shares)
        return f"{value:.2f}" if value else "-"

    cores = os.cpu_count() or 1
    ours, wall = (_median([turn[at] for turn in turns]) for at in (0, 1))
    multi, openssl = (_median([turn[at] for turn in turns]) for at in (2, 3))
    alone = share([turn[0] / turn[3] if turn[3] else None for turn in turns])
    of_multi = share([turn[1] / turn[2] if turn[2] else None for turn in turns])
    of_all = share([turn[1] / (turn[3] * cores) if turn[3] else None for turn in turns])
    wanted = f" (target {target})" if target else ""
    print(
        f"{name:10}{text(ours):>9}{text(openssl):>11}{alone:>7}{text(python):>13}{text(zone):>9}"
        f"   {text(wall)}/s, {text(multi)}/s, {of_multi}{wanted}; {of_all}"
    )


def _median(values: Sequence[float | None]) -> float | None:
    """Return the middle one of those that are known; None: none is."""
    known = [value for value in values if value]
    return statistics.median(known) if known else None


def check(parts: list[Made]) -> tuple[float, float]:
    """Verify all with our code; signatures per second of CPU time, and of wall time."""
    import pyarrow as pa

    from forensics.knowledge import Key, ZoneKeys
    from forensics.validation.checks import check as verify

    zones, tables = {}, []
    for number, made in enumerate(parts):
        signer = f"bench{number}."
        zones[signer] = ZoneKeys(signer, keys=(Key(signer, made.dnskey.to_wire()),))
        at = made.table.schema.get_field_index("signer")
        column = pa.array([signer] * made.table.num_rows, pa.string())
        tables.append(made.table.set_column(at, made.table.schema.field(at), column))
    table = pa.concat_tables(tables).combine_chunks()
    verify(table.slice(0, 10), zones)
    cpu, wall = _spent(), time.perf_counter()
    found = verify(table, zones)
    cpu, wall = _spent() - cpu, time.perf_counter() - wall
    if not (found.verified > 0).all():
        raise AssertionError("not every signature verified")
    return table.num_rows / cpu, table.num_rows / wall


def _spent() -> float:
    """Seconds of CPU time of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def speed(algorithm: int, processes: int = 1) -> float | None:
    """Verifications per second by `openssl speed`: of one process by its CPU time.

    `processes`: so many beside each other, and what all do, by the clock, as ours is counted then.
    """
    if shutil.which("openssl") is None:
        return None
    words = ["openssl", "speed", "-seconds", "3", OPENSSL[algorithm]]
    if processes > 1:
        words[4:4] = ["-elapsed", "-multi", str(processes)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    numbers = re.findall(r"[\d.]+s?", done.stdout.strip().splitlines()[-1])
    return float(numbers[-1])


def dnspython(made: Made) -> float:
    """Validations per second of CPU time by dnspython."""
    import dns.dnssec
    import dns.name
    import dns.rdataset

    keys: Any = {dns.name.from_text("bench."): dns.rdataset.from_rdata(3600, made.dnskey)}
    rrsets = made.rrsets[:DNSPYTHON]
    begin = time.process_time()
    for rrset, rrsig in rrsets:
        dns.dnssec.validate_rrsig(rrset, rrsig, keys, now=NOW)
    return len(rrsets) / (time.process_time() - begin)


def ldns(made: Made) -> float | None:
    """Signatures per second of CPU time that `ldns-verify-zone` checks; None: it is not there.

    It reads the zone's text and checks the chain of NSEC besides.
    """
    if shutil.which("ldns-verify-zone") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "zone"
        write_zone(made, path)
        words = ["ldns-verify-zone", "-V", "1", "-t", _text(NOW), str(path)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise AssertionError(f"ldns-verify-zone refuses the zone: {done.stderr[:200]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return len(made.rrsets) / used


def _text(when: int) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(when))


def extraction(sightings: int) -> float:
    """Signed RRsets per second of one core: what `evidence/` does with those it knows already."""
    from forensics.evidence.collector import Evidence
    from forensics.ingest import ingest

    spent, rows = 0.0, 0
    collect = Evidence.collect

    def timed(self: Any, block: Any, parsed: Any) -> Any:
        nonlocal spent, rows
        begin = time.thread_time()
        found = collect(self, block, parsed)
        spent += time.thread_time() - begin
        rows += found[0].num_rows
        return found

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "known.pcap"
        write_capture(make(13, KNOWN), path, sightings)
        ingest([str(path)], Path(folder) / "warm", end=(NOW + 1) * 10**9)
        Evidence.collect = timed  # type: ignore[method-assign]
        try:
            ingest([str(path)], Path(folder) / "tables")
        finally:
            Evidence.collect = collect  # type: ignore[method-assign]
    if rows != sightings:
        raise AssertionError(f"{rows} sightings of {sightings}")
    return rows / spent
