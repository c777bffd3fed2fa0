"""Collect the evidence of a run: signatures and their sightings, key RRsets, unsigned RRsets."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics import limits, schemas
from forensics.evidence import arrays, unsigned
from forensics.evidence.gather import gather
from forensics.evidence.interning import empty
from forensics.evidence.keysets import key_table, response_only_places, suspect_sightings
from forensics.evidence.names import name_octets
from forensics.evidence.signatures import entry_parts, signature_table
from forensics.wire.blocks import MessageBlock, Parsed
from forensics.wire.intern import COUNT, Interner, clear, lengths
from forensics.wire.records import RECORD_MINIMUM
from forensics.wire.text import name_texts


class Evidence:
    """What the responses of a run prove, gathered over all its blocks and captures.

    Resident memory is bounded by limits.SIGNED_ARENA_OCTETS, KEY_ARENA_OCTETS and KEY_RUNS,
    whatever the input; what finds no room is counted in `skipped`.

    Args:
        servers: addresses that are authorities by the user's word.
        resolvers: addresses that are resolvers by the user's word.
        hash_mask: bits of the hash that tables use; fewer only to test collisions.
    """

    def __init__(
        self,
        servers: frozenset[str] = frozenset(),
        resolvers: frozenset[str] = frozenset(),
        *,
        hash_mask: int = 2**64 - 1,
    ) -> None:
        self._roles = [(_address(name), arrays.ROLE_SERVER) for name in sorted(servers)]
        self._roles += [(_address(name), arrays.ROLE_RESOLVER) for name in sorted(resolvers)]
        self._scratch = arrays.scratch()
        self._names = unsigned.names()
        longest = arrays.ENTRY_OCTETS
        keysets = (limits.KEY_RRSETS, limits.KEY_ARENA_OCTETS, longest, hash_mask)
        slots = 1 << (2 * limits.KEY_RUNS - 1).bit_length()
        signed = empty(limits.SIGNATURES, limits.SIGNED_ARENA_OCTETS, longest, hash_mask)
        self._held = arrays.Gathering(
            signed=signed,
            signed_octets=signed.arena.view(np.uint8),
            known=np.zeros(arrays.KNOWN_SLOTS, dtype=np.uint64),
            keyset=np.zeros(limits.SIGNATURES, dtype=np.int32),
            problem=np.zeros(limits.SIGNATURES, dtype=np.uint8),
            records=np.zeros(limits.SIGNATURES, dtype=np.uint16),
            owner=np.zeros(limits.SIGNATURES, dtype=np.int64),
            keysets=empty(*keysets),
            keyset_owner=np.zeros(limits.KEY_RRSETS, dtype=np.int64),
            # As large as the key RRsets, each of which has one: it never is the first to be full.
            owners=empty(*keysets),
            run_slot=np.zeros((slots, 2), dtype=np.uint64),
            runs=np.zeros((limits.KEY_RUNS, arrays.RUN_COLUMNS), dtype=np.int64),
            runs_used=np.zeros(1, dtype=np.int64),
            paired=np.zeros(limits.PLACES + 1, dtype=np.int64),
            address=np.zeros((limits.PLACES + 1, 16), dtype=np.uint8),
            skipped=np.zeros(len(arrays.SKIPPED), dtype=np.int64),
        )

    def collect(self, block: MessageBlock, parsed: Parsed) -> tuple[Any, Any]:
        """Take in one block; return what its responses show, in order of messages.

        Returns:
            record batches of schemas SIGHTINGS and UNSIGNED.
        """
        asked = (parsed.do_known & parsed.do_asked) | parsed.dnssec_ok
        judged = parsed.answers.astype(np.int64) + parsed.authorities
        due = asked & (judged > 0) & (parsed.header_flags & 0x8000 != 0)
        messages = arrays.Messages(
            octets=block.octets,
            start=block.start,
            captured=block.captured,
            length=block.length,
            time=block.time,
            frame=block.frame,
            capture=block.captures,
            source=block.source,
            kind=block.kind,
            flags=block.flags,
            header_flags=parsed.header_flags,
            questions=parsed.questions,
            answers=parsed.answers,
            qtype=parsed.qtype,
            qclass=parsed.qclass,
            signatures=parsed.signatures,
            keys=parsed.keys,
            serial=parsed.serial,
            place=parsed.place,
            transaction=parsed.transaction,
            state=parsed.state,
            do_known=parsed.do_known,
            do_asked=parsed.do_asked,
            role=self._role(block),
            due=due,
        )
        # `signatures` leaves the additional section out, so its records all may be RRSIGs.
        most = parsed.signatures.astype(np.int64) + parsed.additionals
        most = np.minimum(most, block.captured // RECORD_MINIMUM)[parsed.signatures > 0]
        room = int(most.sum())
        rows = arrays.Rows(
            signature=np.empty(room, dtype=np.uint32),
            transaction=np.empty(room, dtype=np.uint64),
            time=np.empty(room, dtype=np.int64),
            frame=np.empty(room, dtype=np.uint32),
            capture=np.empty(room, dtype=np.uint16),
            place=np.empty(room, dtype=np.uint32),
            section=np.empty(room, dtype=np.uint8),
            ttl=np.empty(room, dtype=np.uint32),
            flags=np.empty(room, dtype=np.uint16),
            serial=np.empty(room, dtype=np.uint32),
        )
        most = np.minimum(judged[due], block.captured[due] // RECORD_MINIMUM)
        bare = unsigned.rows(int(most.sum()))
        clear(self._names)
        count, lone = gather(messages, self._scratch, self._held, rows, bare, self._names)
        return (
            _sightings(rows, count),
            _unsigned(bare, lone, self._names),
        )

    def signatures(self) -> Any:
        """Return the distinct signatures so far: a table of schema SIGNATURES."""
        return signature_table(self._held)

    def key_runs(self) -> Any:
        """Return the runs of key RRsets so far: a table of schema KEYS, source observed."""
        return key_table(self._held)

    def owners(self, numbers: NDArray[np.int64]) -> list[bytes]:
        """Return the owner that each of these signatures names: wire form, lower case."""
        found = []
        for number in numbers.tolist():
            data, _ = entry_parts(self._held.signed, number)
            at = int(self._held.owner[number])
            found.append(data[at : at + name_octets(data, at)])
        return found

    @property
    def held(self) -> arrays.Gathering:
        """What has been gathered, as the kernels keep it."""
        return self._held

    def response_only_places(self) -> NDArray[np.int64]:
        """List the places whose address answered no query of the capture: one-direction taps.

        There an unsolicited response is evidence; anywhere else it never accuses.
        """
        return response_only_places(self._held)

    @property
    def skipped(self) -> dict[str, int]:
        """What was left out so far, and why.

        `limit-reached`, `rrset-incomplete` (cut, or longer than a message), `rrset-absent` (an
        RRSIG without its RRset), `malformed` (messages, RRSIGs or key RRsets that cannot be
        read), `unsolicited` (sightings of key RRsets that no query of the capture asked for).
        """
        counts = {
            name: int(count) for name, count in zip(arrays.SKIPPED, self._held.skipped, strict=True)
        }
        counts["unsolicited"] = suspect_sightings(self._held)
        return counts

    def _role(self, block: MessageBlock) -> NDArray[np.uint8]:
        """Return the user's word on the source of each message of a block."""
        role = np.zeros(len(block), dtype=np.uint8)
        for address, code in self._roles:
            role[(block.source == address).all(axis=1)] = code
        return role


def _address(text: str) -> NDArray[np.uint8]:
    """Return the 16 octets that stand for an address in a message block."""
    address = ipaddress.ip_address(text)
    octets = address.packed
    if address.version == 4:
        octets = bytes(10) + b"\xff\xff" + octets
    return np.frombuffer(octets, dtype=np.uint8)


def _sightings(rows: arrays.Rows, count: int) -> Any:
    """Make the record batch of the kernel's first `count` rows."""
    import pyarrow as pa

    columns = {name: pa.array(column[:count]) for name, column in rows._asdict().items()}
    columns["time"] = columns["time"].view(pa.timestamp("ns", tz="UTC"))
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in schemas.SIGHTINGS.names], schema=schemas.SIGHTINGS
    )


def _unsigned(rows: unsigned.UnsignedRows, count: int, names: Interner) -> Any:
    """Make the record batch of the kernel's first `count` unsigned RRsets."""
    import pyarrow as pa

    texts = name_texts(names.arena, names.starts[: names.state[COUNT]], lengths(names))
    columns = {name: pa.array(column[:count]) for name, column in rows._asdict().items()}
    for name in ("owner", "target"):
        numbers = getattr(rows, name)[:count]
        indices = pa.array(numbers, mask=numbers == unsigned.NO_NAME)
        columns[name] = pa.DictionaryArray.from_arrays(indices, texts)
    columns["time"] = columns["time"].view(pa.timestamp("ns", tz="UTC"))
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in schemas.UNSIGNED.names], schema=schemas.UNSIGNED
    )
