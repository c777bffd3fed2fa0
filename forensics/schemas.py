"""The Arrow schemas of every table that crosses a border between stages.

Each column has one line: meaning, unit, source. Times are UTC, nanoseconds since 1970. A null is a
typed absence: the comment says what it means. Tables live as Parquet files `<name>.parquet` in a
run's `tables/` folder.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1

_TIME: Final = pa.timestamp("ns", tz="UTC")
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())


def _schema(name: str, columns: list[tuple[str, Any, str]]) -> Any:
    """Build a schema; each column's docstring line travels with it as field metadata.

    In the long tables only columns whose line says what null means may hold one: the rest is
    written a tenth faster.
    """
    long = name in ("transactions", "sightings", "unsigned")
    fields = [
        pa.field(column, kind, nullable="null" in doc or not long, metadata={"doc": doc})
        for column, kind, doc in columns
    ]
    return pa.schema(fields, metadata={"table": name, "version": str(SCHEMA_VERSION)})


CAPTURES: Final = _schema(
    "captures",
    [
        ("capture", pa.uint16(), "number of the input file, in order of first packet"),
        ("path", pa.string(), "the file as the user named it"),
        ("sha256", pa.string(), "of the file as stored, lower-case hex"),
        (
            "format",
            pa.string(),
            "pcap, pcapng, dnstap, c-dns or powerdns-protobuf, with +zstd … when compressed",
        ),
        ("link_types", pa.list_(pa.string()), "names of the link types seen; empty for dnstap"),
        (
            "encapsulations",
            pa.map_(pa.string(), pa.uint64()),
            "packets by encapsulation (vlan, gre, vxlan ...); a packet counts for each it is in",
        ),
        ("octets", pa.uint64(), "size of the file as stored"),
        (
            "packets",
            pa.uint64(),
            "packet records (pcap, pcapng), frames (dnstap) or items (c-dns) read",
        ),
        ("messages", pa.uint64(), "DNS messages found, duplicates of the capture left out"),
        ("carriers", pa.uint64(), "packets of which octets are in those messages"),
        ("duplicates", pa.uint64(), "packets that brought nothing new: copies, repeated segments"),
        ("other", pa.uint64(), "packets that carry no DNS message that is read (other traffic)"),
        (
            "content_octets",
            pa.uint64(),
            "octets of the decompressed input, the sum of the next four; null: not accounted for",
        ),
        (
            "message_octets",
            pa.uint64(),
            "in DNS messages, or in the items and log entries that messages were made of",
        ),
        ("other_octets", pa.uint64(), "in frames without a message; null: not accounted for"),
        ("framing_octets", pa.uint64(), "of the file format itself; null: not accounted for"),
        ("lost_octets", pa.uint64(), "lost, by reason in losses; null: not accounted for"),
        (
            "elsewhere",
            pa.map_(pa.uint16(), pa.uint64()),
            "messages among the duplicates that another input held first, by its number",
        ),
        ("clock_offset", pa.int64(), "ns added to all its times; null: nothing was corrected"),
        ("clock_against", pa.uint16(), "input whose clock it was compared with; null: none"),
        ("clock_ahead", pa.int64(), "ns its clock was ahead of that one's; null: not known"),
        ("clock_shared", pa.uint64(), "messages of both inputs on which this rests"),
        ("first", _TIME, "time of the first packet; null: no packet"),
        ("last", _TIME, "time of the last packet; null: no packet"),
    ],
)

LOSSES: Final = _schema(
    "losses",
    [
        ("capture", pa.uint16(), "number of the input file; null: of the run as a whole"),
        ("reason", pa.string(), "what was lost and why, a key of vocabulary.LOSSES"),
        ("count", pa.uint64(), "how many packets, frames or pieces"),
        ("octets", pa.uint64(), "how many octets of the file; 0 where none were lost as such"),
        ("offset", pa.uint64(), "octets from the start of the decompressed file, of the first"),
        ("frame", pa.uint64(), "frame number of the first, from 1; 0: before any frame"),
        ("detail", pa.string(), "one line in plain words about the first"),
    ],
)

TRANSACTIONS: Final = _schema(
    "transactions",
    [
        ("transaction", pa.uint64(), "running number: ordinal of the transaction's first message"),
        ("time", _TIME, "of the query; of the response where the query was not captured"),
        ("latency", pa.int64(), "ns from query to response; null: not both are known"),
        ("capture", pa.uint16(), "input file of the first message"),
        ("query_frame", pa.uint32(), "frame of the query, from 1; null: query not captured"),
        ("response_capture", pa.uint16(), "input file of the response; null: no response"),
        ("response_frame", pa.uint32(), "frame of the response; null: response not captured"),
        ("client", _TEXT, "address that asks"),
        ("server", _TEXT, "address that is asked"),
        ("client_port", pa.uint16(), ""),
        ("server_port", pa.uint16(), ""),
        ("transport", _TEXT, "vocabulary.TRANSPORTS"),
        ("id", pa.uint16(), "message id (RFC 1035 4.1.1)"),
        ("qname", _TEXT, "first question's name, lower case, presentation form; null: no question"),
        ("qtype", pa.uint16(), "null: no question"),
        ("qclass", pa.uint16(), "null: no question"),
        ("opcode", pa.uint8(), ""),
        ("rcode", pa.uint16(), "with the upper bits of OPT (RFC 6891 6.1.3); null: no response"),
        ("rd", pa.bool_(), "of the query; of the response where the query was not captured"),
        ("aa", pa.bool_(), "of the response; null: no response"),
        ("tc", pa.bool_(), "of the response; null: no response"),
        ("ra", pa.bool_(), "of the response; null: no response"),
        ("ad", pa.bool_(), "of the response; null: no response"),
        ("cd", pa.bool_(), "of the query; of the response where the query was not captured"),
        ("do", pa.bool_(), "DNSSEC OK of the query (RFC 3225); null: query not captured"),
        ("edns_size", pa.uint16(), "of the query's OPT; null: no OPT or no query"),
        ("response_edns", pa.bool_(), "the response carries OPT; null: no response"),
        ("ede", pa.uint16(), "first extended DNS error of the response (RFC 8914); null: none"),
        ("ede_text", _TEXT, "its EXTRA-TEXT, escaped; null: none"),
        ("nsid", _TEXT, "name server identifier of the response (RFC 5001), escaped; null: none"),
        ("answers", pa.uint16(), "ANCOUNT of the response; null: no response, or not all was kept"),
        (
            "authorities",
            pa.uint16(),
            "NSCOUNT of the response; null: no response, or not all was kept",
        ),
        ("query_size", pa.uint16(), "octets of the query; null: not captured"),
        ("response_size", pa.uint16(), "octets of the response; null: not captured"),
        ("pairing", _TEXT, "vocabulary.PAIRINGS"),
        ("vantage", _TEXT, "vocabulary.VANTAGES"),
        ("kind", _TEXT, "packet, or the dnstap type of the first message"),
        ("identity", _TEXT, "dnstap identity; null: none"),
        (
            "continues",
            pa.uint64(),
            "transaction whose truncated response over UDP this one repeats over TCP; null: none",
        ),
    ],
)

MATCHED: Final = pa.schema(
    [column for column in TRANSACTIONS if column.name != "continues"], TRANSACTIONS.metadata
)
"""Transactions before transactions/chains.py has joined them."""

PLACES: Final = _schema(
    "places",
    [
        ("place", pa.uint32(), "number of the place"),
        ("server", pa.string(), "address of the responder"),
        ("nsid", pa.string(), "its NSID where responses carried one, escaped; null: none seen"),
        ("role", pa.string(), "vocabulary.ROLES"),
        ("authority", pa.uint64(), "responses with AA and without RA, or upstream by dnstap"),
        ("recursive", pa.uint64(), "responses with RA and without AA, or to clients by dnstap"),
        ("fold", pa.uint32(), "the place that stands for it: the one NSID of a bare address"),
    ],
)

SIGNATURES: Final = _schema(
    "signatures",
    [
        ("signature", pa.uint32(), "number of the distinct signature in this run"),
        ("signature_id", pa.string(), "SHA-256, hex: length (4 octets), signed data, signature"),
        ("owner", pa.string(), "owner in the signed data (a wildcard's own), presentation form"),
        ("type", pa.uint16(), "type covered"),
        ("signer", pa.string(), "signer's name, lower case, presentation form"),
        ("key_tag", pa.uint16(), ""),
        ("algorithm", pa.uint8(), ""),
        ("labels", pa.uint8(), ""),
        ("original_ttl", pa.uint32(), "seconds"),
        ("inception", pa.uint32(), "seconds, serial arithmetic (RFC 4034 3.1.5)"),
        ("expiration", pa.uint32(), "seconds, serial arithmetic"),
        ("records", pa.uint16(), "records in the RRset"),
        ("serial", pa.uint32(), "SOA serial where type is SOA; null: another type"),
        ("signed_data", pa.binary(), "RFC 4034 3.1.8.1: RRSIG RDATA without signature, then RRs"),
        ("octets", pa.binary(), "the signature field"),
        ("problem", pa.string(), "null; or signature-malformed, labels-invalid, signer-invalid"),
    ],
)

SIGHTINGS: Final = _schema(
    "sightings",
    [
        ("signature", pa.uint32(), "signatures.signature"),
        ("transaction", pa.uint64(), "transactions.transaction"),
        ("time", _TIME, "of the response"),
        ("capture", pa.uint16(), "input file of the response"),
        ("frame", pa.uint32(), "of the response"),
        ("place", pa.uint32(), "places.place of the responder"),
        ("section", pa.uint8(), "vocabulary.Section"),
        ("ttl", pa.uint32(), "of the RRSIG as received, seconds"),
        ("flags", pa.uint16(), "vocabulary.SightingFlag"),
        ("serial", pa.uint32(), "SOA serial in the same response, authority or answer; 0: none"),
    ],
)

UNSIGNED: Final = _schema(
    "unsigned",
    [
        ("transaction", pa.uint64(), "transactions.transaction"),
        ("time", _TIME, "of the response"),
        ("capture", pa.uint16(), "input file of the response"),
        ("frame", pa.uint32(), "of the response"),
        ("place", pa.uint32(), "places.place of the responder"),
        ("section", pa.uint8(), "vocabulary.Section: answer or authority"),
        ("type", pa.uint16(), "of the RRset"),
        ("owner", _TEXT, "lower case, presentation form; null: the transaction's qname"),
        ("target", _TEXT, "of CNAME, DNAME, NS (first record); null: another type, or a loop"),
        ("records", pa.uint16(), "records in the RRset"),
        ("ttl", pa.uint32(), "of its first record as received, seconds"),
        ("flags", pa.uint16(), "vocabulary.SightingFlag"),
        ("serial", pa.uint32(), "SOA serial in the same response; 0: none"),
    ],
)
"""An RRset in the answer or authority section of a response whose own OPT, or whose query, had DO,
without an RRSIG that covers it in that section. Whether a signature was due is for validation/ to
say: delegation NS and what lies in unsigned zones have none."""

KEYS: Final = _schema(
    "keys",
    [
        ("run", pa.uint32(), "number of the sighting run"),
        ("zone", pa.string(), "owner of the RRset, lower case, presentation form"),
        ("type", pa.uint16(), "DNSKEY 48, DS 43, CDS 59, CDNSKEY 60"),
        ("rrset", pa.uint32(), "number of the distinct RRset (same octets, same number)"),
        ("place", pa.uint32(), "places.place; null: supplied or built in"),
        ("source", pa.string(), "vocabulary.KEY_SOURCES"),
        ("first", _TIME, "first sighting of the run; null: not observed"),
        ("last", _TIME, "last sighting of the run"),
        ("first_capture", pa.uint16(), ""),
        ("first_frame", pa.uint32(), ""),
        ("last_capture", pa.uint16(), ""),
        ("last_frame", pa.uint32(), ""),
        ("count", pa.uint64(), "sightings in the run"),
        ("ttl", pa.uint32(), "greatest TTL received in the run, seconds"),
        ("authoritative", pa.bool_(), "AA was set in all sightings of the run"),
        ("rdatas", pa.list_(pa.binary()), "canonical RDATA of each record, sorted"),
        ("tags", pa.list_(pa.uint16()), "key tag of each record (computed, or of the DS)"),
        ("algorithms", pa.list_(pa.uint8()), "of each record"),
        ("detail", pa.list_(pa.uint16()), "flags of a DNSKEY, digest type of a DS"),
    ],
)
"""A run: consecutive sightings of one RRset at one place with no other RRset of that owner and
type at that place between them. Within a run the key set is known; between runs it is not."""

KEY_TAGS: Final = _schema(
    "key_tags",
    [
        ("client", pa.string(), "who sent queries with the EDNS option of RFC 8145 4"),
        ("zone", pa.string(), "whose DNSKEY RRset they asked for, lower case, presentation form"),
        ("tags", pa.list_(pa.uint16()), "the key tags named, sorted"),
        ("first", _TIME, "of the first such query"),
        ("last", _TIME, "of the last"),
        ("capture", pa.uint16(), "input file of the first"),
        ("frame", pa.uint32(), "of the first"),
        ("count", pa.uint64(), "queries"),
    ],
)
"""Claims of trust; the file is there only where some query carried the option."""

CHECKS: Final = _schema(
    "checks",
    [
        ("signature", pa.uint32(), "signatures.signature"),
        ("key_id", pa.string(), "SHA-256 of the DNSKEY RDATA, first 16 hex digits"),
        ("key_tag", pa.uint16(), ""),
        ("algorithm", pa.uint8(), ""),
        ("verifies", pa.bool_(), "the only place where cryptography speaks"),
    ],
)

VERDICTS: Final = _schema(
    "verdicts",
    [
        ("signature", pa.uint32(), "signatures.signature"),
        ("place", pa.int64(), "places.place; -1: every place that has no row of its own"),
        ("view", pa.string(), "published or resolver"),
        ("start", pa.int64(), "ns; from this instant on"),
        ("end", pa.int64(), "ns; up to but not including"),
        ("status", pa.string(), "vocabulary.STATUSES"),
        ("reason", pa.string(), "code in vocabulary.REASONS"),
        ("confidence", pa.string(), "strong or weak"),
        ("zone", pa.string(), "zone whose link is broken (an ancestor perhaps), else the signer"),
        ("keys", pa.list_(pa.string()), "key_id of keys that verified, else of those tried"),
        ("later", pa.bool_(), "only a key set seen later holds the key (DESIGN section 4)"),
    ],
)

TABLES: Final = (
    ("captures", CAPTURES),
    ("losses", LOSSES),
    ("transactions", TRANSACTIONS),
    ("places", PLACES),
    ("signatures", SIGNATURES),
    ("sightings", SIGHTINGS),
    ("unsigned", UNSIGNED),
    ("keys", KEYS),
    ("key_tags", KEY_TAGS),
    ("checks", CHECKS),
    ("verdicts", VERDICTS),
)
"""Every table by its file name."""
