"""What was known of keys before the horizon: a small capture of its own, read with the others.

For each signature over a DNSKEY or DS RRset and each place, the last exchange that showed it is
cut out of what is let go of. So a key set that resolvers fetch once a day is not forgotten in the
second hour, and nothing but the ordinary readers has to know of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from forensics.errors import InputError
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS
from forensics.watching import bounds

COMMENT: Final = "What was known of DNSKEY and DS RRsets before the horizon of dns-forensics watch."


def keep(
    tables: Path,
    path: Path,
    dropped: Collection[str],
    newest: int,
    ports: frozenset[int],
    keylogs: Collection[str] = (),
) -> None:
    """Write the keepsake anew: of what it held, and of the inputs that are let go of.

    Args:
        tables: of the last look, whose inputs all of these were.
        path: of the keepsake; replaced whole.
        dropped: paths of inputs.
        newest: ns; newest packet of all.
        ports: ports that carry DNS besides 53.
        keylogs: files of TLS secrets; what they open is kept as plain DNS.
    """
    from forensics.archive.tables import read_table
    from forensics.capture.tls_secrets import read_keylogs
    from forensics.output import replacing_file
    from forensics.report.pcapng import Packet, render_pcapng

    captures = read_table(tables, "captures", ["capture", "path"])
    paths = dict(zip(captures["capture"].to_pylist(), captures["path"].to_pylist(), strict=True))
    chosen = {number for number, name in paths.items() if name in {*dropped, str(path)}}
    wanted = _frames(tables, chosen, newest - bounds.KEEPSAKE_AGE)
    secrets = read_keylogs(keylogs)
    packets = []
    for number, frames in sorted(wanted.items()):
        packets += _cut(paths[number], frames, ports, secrets)
    packets.sort(key=lambda packet: packet.time)
    packets = packets[-bounds.KEEPSAKE_PACKETS :]
    if not packets:
        path.unlink(missing_ok=True)
        return
    rows = [Packet(one.time, one.link, one.octets, one.wire) for one in packets]
    with replacing_file(path) as part:
        part.write_bytes(render_pcapng(rows, COMMENT))


def _cut(path: str, frames: set[int], ports: frozenset[int], secrets: Any) -> list[Any]:
    """Cut packets out of an input; none where it can no longer be read."""
    from forensics.capture.cutting import cut

    try:
        return list(cut(path, frames, ports, secrets=secrets))
    except InputError:
        return []


def _frames(tables: Path, chosen: set[int], since: int) -> dict[int, set[int]]:
    """Give the frames of the last exchange with each key signature at each place, by capture."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from forensics.archive.tables import iter_batches, read_table

    signatures = read_table(tables, "signatures", ["signature", "type"])
    types = pa.array([TYPE_DNSKEY, TYPE_DS], pa.uint16())
    kept = signatures.filter(pc.is_in(signatures["type"], value_set=types))["signature"]
    kept = kept.combine_chunks()
    captures = pa.array(sorted(chosen), pa.uint16())
    last: dict[tuple[int, int], tuple[int, int]] = {}
    columns = ["signature", "transaction", "time", "capture", "place"]
    for batch in iter_batches(tables, "sightings", columns):
        mine = pc.and_(
            pc.is_in(batch.column("signature"), value_set=kept),
            pc.is_in(batch.column("capture"), value_set=captures),
        )
        rows = batch.filter(mine)
        times = rows.column("time").cast(pa.int64()).to_pylist()
        for signature, place, time, transaction in zip(
            rows.column("signature").to_pylist(),
            rows.column("place").to_pylist(),
            times,
            rows.column("transaction").to_pylist(),
            strict=True,
        ):
            key = signature, place
            if time >= since:
                last[key] = max(last.get(key, (0, 0)), (time, transaction))
    ordered = sorted(last.values())[-bounds.KEEPSAKE_PACKETS // 2 :]
    numbers = np.unique(np.array([transaction for _, transaction in ordered], np.uint64))
    found: dict[int, set[int]] = defaultdict(set)
    columns = ["transaction", "capture", "query_frame", "response_capture", "response_frame"]
    for batch in iter_batches(tables, "transactions", columns):
        rows = batch.filter(
            pc.is_in(batch.column("transaction"), value_set=pa.array(numbers, pa.uint64()))
        )
        for row in rows.to_pylist():
            for number, frame in (
                (row["capture"], row["query_frame"]),
                (row["response_capture"], row["response_frame"]),
            ):
                if number in chosen and frame is not None:
                    found[number].add(frame)
    return found
