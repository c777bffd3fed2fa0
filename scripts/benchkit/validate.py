"""Time the verification of distinct signatures beside `openssl speed` and dnspython.

Figures are signatures per second of CPU time, so that a busy machine changes them little.
"""

import re
import shutil
import subprocess
import time
from typing import Any, NamedTuple

ALGORITHMS = {13: "P-256", 8: "RSA-2048", 15: "Ed25519"}
OPENSSL = {13: "ecdsap256", 8: "rsa2048", 15: "ed25519"}
DNSPYTHON = 2_000
TARGETS = {13: 0.85, 8: 0.7}


class Made(NamedTuple):
    """Signatures of one key with what they sign."""

    dnskey: Any
    table: Any
    rrsets: list[tuple[Any, Any]]


def bench(signatures: int, algorithms: list[int]) -> None:
    """Measure each algorithm and print one line for it."""
    print(f"{'':10}{'ours/s':>10}{'openssl/s':>11}{'share':>7}{'dnspython/s':>13}  all cores, wall")
    for algorithm in algorithms:
        made = make(algorithm, signatures)
        ours, wall = check(made)
        openssl = speed(algorithm)
        python = dnspython(made)
        share = f"{ours / openssl:.2f}" if openssl else "-"
        target = f"  (target {TARGETS[algorithm]})" if algorithm in TARGETS else ""
        print(
            f"{ALGORITHMS[algorithm]:10}{ours:10,.0f}{openssl or 0:11,.0f}{share:>7}"
            f"{python:13,.0f}  {wall:,.0f}/s{target}"
        )


def make(algorithm: int, count: int) -> Made:
    """Sign `count` distinct A RRsets with one key."""
    import dns.dnssec
    import dns.name
    import dns.rrset
    import pyarrow as pa
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    from forensics import schemas

    private: Any = {
        13: lambda: ec.generate_private_key(ec.SECP256R1()),
        8: lambda: rsa.generate_private_key(65_537, 2048),
        15: ed25519.Ed25519PrivateKey.generate,
    }[algorithm]()
    zone = dns.name.from_text("bench.")
    dnskey = dns.dnssec.make_dnskey(private.public_key(), algorithm)
    rows, rrsets = [], []
    for number in range(count):
        rrset = dns.rrset.from_text(f"n{number}.bench.", 3600, "IN", "A", "192.0.2.1")
        rrsig = dns.dnssec.sign(rrset, private, zone, dnskey, inception=1, expiration=2_000_000_000)
        if number < DNSPYTHON:
            rrsets.append((rrset, rrsig))
        rows.append(
            {
                "signature": number, "signature_id": f"{number:064x}", "owner": f"n{number}.bench.",
                "type": 1, "signer": "bench.", "key_tag": rrsig.key_tag, "algorithm": algorithm,
                "labels": 2, "original_ttl": 3600, "inception": 1, "expiration": 2_000_000_000,
                "records": 1, "serial": None, "problem": None, "octets": rrsig.signature,
                "signed_data": dns.dnssec._make_rrsig_signature_data(rrset, rrsig),  # noqa: SLF001
            }
        )  # fmt: skip
    return Made(dnskey, pa.Table.from_pylist(rows, schema=schemas.SIGNATURES), rrsets)


def check(made: Made) -> tuple[float, float]:
    """Verify all with our code; signatures per second of CPU time, and of wall time."""
    from forensics.knowledge import Key, ZoneKeys
    from forensics.validation.checks import check as verify

    zones = {"bench.": ZoneKeys("bench.", keys=(Key("bench.", made.dnskey.to_wire()),))}
    verify(made.table.slice(0, 10), zones)
    cpu, wall = time.process_time(), time.perf_counter()
    found = verify(made.table, zones)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if not (found.verified > 0).all():
        raise AssertionError("not every signature verified")
    return made.table.num_rows / cpu, made.table.num_rows / wall


def speed(algorithm: int) -> float | None:
    """Verifications per second of one core by `openssl speed`, which counts CPU time."""
    if shutil.which("openssl") is None:
        return None
    words = ["openssl", "speed", "-seconds", "3", OPENSSL[algorithm]]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    numbers = re.findall(r"[\d.]+s?", done.stdout.strip().splitlines()[-1])
    return float(numbers[-1])


def dnspython(made: Made) -> float:
    """Validations per second of CPU time by dnspython."""
    import dns.dnssec
    import dns.name
    import dns.rdataset

    keys: Any = {dns.name.from_text("bench."): dns.rdataset.from_rdata(3600, made.dnskey)}
    begin = time.process_time()
    for rrset, rrsig in made.rrsets:
        dns.dnssec.validate_rrsig(rrset, rrsig, keys, now=1_770_000_000)
    return len(made.rrsets) / (time.process_time() - begin)
