"""The programs that are compared, and the commands that make each do the same work."""

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchkit.measure import Usage, run

OURS = "dns-forensics"
OURS_LESS = "transactions only"
LESS = "--transactions-only"
"""Our program with the one table that holds what PacketQ prints: no evidence is gathered."""
PACKETQ = "PacketQ"
TSHARK = "tshark"

PACKETQ_LEAST = "s, us, src_addr, src_port, dst_addr, dst_port, msg_id, qr, qname, qtype, rcode"
"""Eleven columns: the least that a table of messages needs."""

PACKETQ_COLUMNS = (
    "id, s, us, src_addr, src_port, dst_addr, dst_port, protocol, msg_id, msg_size, qr, opcode, "
    "rcode, extended_rcode, aa, tc, rd, ra, ad, cd, do, edns0, udp_size, an_count, ns_count, "
    "ar_count, qname, qtype, qclass"
)
"""All that PacketQ has of what our table of transactions holds: 29 columns."""

TSHARK_FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "udp.srcport",
    "udp.dstport",
    "dns.id",
    "dns.qry.name",
    "dns.qry.type",
    "dns.flags",
    "dns.flags.rcode",
    "dns.resp.z.do",
    "dns.count.queries",
    "dns.count.answers",
    "dns.count.auth_rr",
    "dns.count.add_rr",
    "dns.rrsig.key_tag",
    "dns.rrsig.signers_name",
    "dns.rrsig.signature_inception",
    "dns.rrsig.signature_expiration",
)
"""What `ingest` also reads of each packet; tshark checks no signature."""


@dataclass(frozen=True)
class Contender:
    """A program to be measured."""

    name: str
    command: Callable[[Path, Path], list[str]]
    """Makes the command line of a capture and a scratch path for what it writes."""

    def measure(self, capture: Path, work: Path, source: Sequence[str] | None = None) -> Usage:
        """Run once on a capture, or on what `source` writes; what it wrote is removed again."""
        scratch = work / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            command = self.command(capture, scratch / "dataset")
            return run(command, scratch / "output", scratch / "errors", source)
        finally:
            shutil.rmtree(scratch)


def default_ours() -> str:
    """Return the command template of the program that is installed with this Python."""
    program = Path(sys.prefix) / "bin" / "dns-forensics"
    return f"{shlex.quote(str(program))} ingest {{capture}} --dataset {{dataset}}"


def ours(template: str, name: str = OURS) -> Contender:
    """Measure a command with {capture} and {dataset} in it."""

    def command(capture: Path, dataset: Path) -> list[str]:
        words = shlex.split(template)
        return [word.format(capture=capture, dataset=dataset) for word in words]

    return Contender(name, command)


def packetq(binary: Path, columns: str = PACKETQ_COLUMNS) -> Contender:
    """Measure PacketQ writing columns of each message as CSV to a file."""
    name = PACKETQ if columns == PACKETQ_COLUMNS else f"{PACKETQ}, {columns.count(',') + 1} columns"

    def command(capture: Path, _: Path) -> list[str]:
        return [str(binary), "--csv", "-s", f"select {columns} from dns", str(capture)]

    return Contender(name, command)


def tshark() -> Contender:
    """Measure tshark writing TSHARK_FIELDS of each packet to a file, without name lookups."""

    def command(capture: Path, _: Path) -> list[str]:
        fields = [word for name in TSHARK_FIELDS for word in ("-e", name)]
        return ["tshark", "-n", "-r", str(capture), "-T", "fields", *fields]

    return Contender(TSHARK, command)
