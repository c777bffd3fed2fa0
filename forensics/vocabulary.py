"""The closed lists of the program: names and codes that every stage shares.

Codes are small integers so that kernels can return them; names are the field's (RFC 9499).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final, NamedTuple


class Transport(IntEnum):
    """How a message travelled. Text form: `TRANSPORTS[code]`."""

    UDP = 0
    TCP = 1
    DOT = 2
    DOH = 3
    DNSCRYPT_UDP = 4
    DNSCRYPT_TCP = 5
    DOQ = 6


TRANSPORTS: Final = ("udp", "tcp", "dot", "doh", "dnscrypt-udp", "dnscrypt-tcp", "doq")


class Pairing(IntEnum):
    """The pairing state of a transaction row. Text form: `PAIRINGS[code]`."""

    ANSWERED = 0
    """a query with its response"""
    UNANSWERED = 1
    """a query whose response was never captured"""
    UNSOLICITED = 2
    """a response without its query in the capture"""
    LATE = 3
    """a query with a response that came after the query timeout"""
    DUPLICATE = 4
    """a further response to a query that has been answered already"""
    RETRANSMITTED = 5
    """a query sent again while the first still waited; the response is paired with the first"""


PAIRINGS: Final = ("answered", "unanswered", "unsolicited", "late", "duplicate", "retransmitted")


class Vantage(IntEnum):
    """Which side of a resolver the transaction was seen on. Text form: `VANTAGES[code]`."""

    UNKNOWN = 0
    CLIENT = 1
    """between a client and a resolver (RA without AA; dnstap CLIENT_*, STUB_*, FORWARDER_*)"""
    UPSTREAM = 2
    """between anyone and an authority (AA without RA; dnstap AUTH_*, RESOLVER_*)"""


VANTAGES: Final = ("unknown", "client", "upstream")

DNSTAP_KINDS: Final = (
    "packet",  # 0: not dnstap: a captured packet
    "AUTH_QUERY",
    "AUTH_RESPONSE",
    "RESOLVER_QUERY",
    "RESOLVER_RESPONSE",
    "CLIENT_QUERY",
    "CLIENT_RESPONSE",
    "FORWARDER_QUERY",
    "FORWARDER_RESPONSE",
    "STUB_QUERY",
    "STUB_RESPONSE",
    "TOOL_QUERY",
    "TOOL_RESPONSE",
    "UPDATE_QUERY",
    "UPDATE_RESPONSE",
)
"""dnstap.proto Message.Type by its number."""


class Role(IntEnum):
    """What an address is, from its responses or by the user's word. Text form: `ROLES[code]`."""

    UNKNOWN = 0
    SERVER = 1
    """an authority: answers with AA and without RA, or is asked by a resolver"""
    RESOLVER = 2
    """answers with RA and without AA"""


ROLES: Final = ("unknown", "server", "resolver")


class Section(IntEnum):
    """Sections of a DNS message (RFC 1035 4.1)."""

    QUESTION = 0
    ANSWER = 1
    AUTHORITY = 2
    ADDITIONAL = 3


class MessageFlag(IntFlag):
    """Bits of `MessageBlock.flags`."""

    CUT = 1
    """the capture holds fewer octets than the message had (snaplen, cut frame)"""
    FRAGMENT = 2
    """the first IP fragment alone: header and question only can be believed"""
    DUPLICATE = 4
    """the same packet seen a second time by the capture; counted, then left out"""
    PARTIAL = 8
    """rebuilt from a log whose exporter left some records out (always with CUT): what is missing
    says nothing, and the counts in the header are those of what was kept"""
    DISPUTED = 16
    """octets of it came twice and differ (overlapping fragments or segments): never accuses"""
    CONTINUED = 32
    """a further message of a zone transfer (RFC 5936 2.2): it is no response of its own, but goes
    with the first one"""


class SightingFlag(IntFlag):
    """Bits of `sightings.flags`: what the response said when the signature was seen."""

    AA = 1
    RA = 2
    CD = 4
    AD = 8
    TC = 16
    DO = 32
    """the query had DO; only meaningful with DO_KNOWN"""
    DO_KNOWN = 64
    """the query is in the capture"""
    WILDCARD = 128
    """the owner was expanded from a wildcard (more labels than the RRSIG's labels field)"""
    UNPAIRED = 256
    """unsolicited, duplicate or mismatched response: never accuses"""
    CUT = 512
    """the message was cut in the capture: never accuses"""
    AUTHORITY = 1024
    """the responder acted as an authority (by flags, dnstap type or the user's word)"""
    TRANSFER = 2048
    """in a zone transfer: content of the zone, no answer; an RRset may span messages, so that a
    signature that does not verify says nothing (always with UNPAIRED)"""
    WHOLE = 4096
    """with TRANSFER: names on both sides of it in the message, or the transfer's beginning or end,
    and a query of the capture asked for the transfer"""


class Status(IntEnum):
    """RFC 4033 section 5 with `valid` between. Text form: `STATUSES[code]`."""

    SECURE = 0
    VALID = 1
    INSECURE = 2
    BOGUS = 3
    INDETERMINATE = 4


STATUSES: Final = ("secure", "valid", "insecure", "bogus", "indeterminate")


class KeySource(IntEnum):
    """Where a key set is known from. Text form: `KEY_SOURCES[code]`."""

    OBSERVED = 0
    SUPPLIED = 1
    BUILT_IN = 2


KEY_SOURCES: Final = ("observed", "supplied", "built-in")


class Reason(NamedTuple):
    """One entry of the catalogue of reasons (DESIGN section 4).

    Attributes:
        code: the name in report.json.
        status: the status that it gives.
        ede: the extended DNS error that fits it (RFC 8914), None if none does.
        rfc: the section that the rule stands in.
        sentence: plain words about the zone `{zone}`, for a person who has never read an RFC.
    """

    code: str
    status: Status
    ede: int | None
    rfc: str
    sentence: str


REASONS: Final = (
    Reason("none", Status.VALID, None, "RFC 4035 5.3", "Everything checked out for {zone}."),
    Reason(
        "ds-mismatch",
        Status.BOGUS,
        9,
        "RFC 4035 5.2",
        "The parent of {zone} vouches for a key that {zone} does not publish.",
    ),
    Reason(
        "dnskey-absent",
        Status.BOGUS,
        9,
        "RFC 4035 5.2",
        "The parent says that {zone} is signed, but {zone} answers that it has no keys.",
    ),
    Reason(
        "dnskey-unobtainable",
        Status.BOGUS,
        22,
        "RFC 4035 5.2",
        "The parent says that {zone} is signed, but nobody could fetch the keys of {zone}.",
    ),
    Reason(
        "dnskey-unsigned-by-ds-key",
        Status.BOGUS,
        6,
        "RFC 4035 5.2",
        "The key that the parent vouches for does not sign the key list of {zone}.",
    ),
    Reason(
        "rrsig-missing",
        Status.BOGUS,
        10,
        "RFC 4035 5.3",
        "{zone} is a signed zone, but its answers came without signatures.",
    ),
    Reason(
        "signature-invalid",
        Status.BOGUS,
        6,
        "RFC 4035 5.3.3",
        "Answers of {zone} carried signatures that no key published by {zone} had made.",
    ),
    Reason(
        "dnskey-missing",
        Status.BOGUS,
        9,
        "RFC 4035 5.3.1",
        "Answers of {zone} were signed with a key that {zone} did not publish.",
    ),
    Reason(
        "signature-expired",
        Status.BOGUS,
        7,
        "RFC 4035 5.3.1",
        "The signatures of {zone} had run out.",
    ),
    Reason(
        "signature-not-yet-valid",
        Status.BOGUS,
        8,
        "RFC 4035 5.3.1",
        "The signatures of {zone} were dated in the future.",
    ),
    Reason(
        "signature-window-invalid",
        Status.BOGUS,
        25,
        "RFC 4035 5.3.1",
        "The signatures of {zone} end before they begin.",
    ),
    Reason(
        "signature-malformed",
        Status.BOGUS,
        6,
        "RFC 4034 3.1",
        "The signatures of {zone} were not well-formed.",
    ),
    Reason(
        "signer-invalid",
        Status.BOGUS,
        6,
        "RFC 4035 5.3.1",
        "Answers of {zone} were signed in the name of a zone that cannot sign them.",
    ),
    Reason(
        "labels-invalid",
        Status.BOGUS,
        6,
        "RFC 4035 5.3.1",
        "Signatures of {zone} claim more labels than the name has.",
    ),
    Reason(
        "key-revoked",
        Status.BOGUS,
        9,
        "RFC 5011 2.1",
        "Answers of {zone} were signed with a key that {zone} had revoked.",
    ),
    Reason(
        "zone-key-bit-unset",
        Status.BOGUS,
        11,
        "RFC 4034 2.1.1",
        "Answers of {zone} were signed with a key that is not marked as a zone key.",
    ),
    Reason(
        "denial-missing",
        Status.BOGUS,
        12,
        "RFC 4035 5.4",
        "{zone} said that a name does not exist, and gave no proof.",
    ),
    Reason(
        "denial-invalid",
        Status.BOGUS,
        6,
        "RFC 4035 5.4",
        "{zone} said that a name does not exist, and its proof proves something else.",
    ),
    Reason(
        "denial-contradicted",
        Status.BOGUS,
        None,
        "RFC 4035 5.4",
        "{zone} proved that something does not exist which it serves.",
    ),
    Reason(
        "algorithm-incomplete",
        Status.BOGUS,
        6,
        "RFC 6840 5.11",
        "{zone} is announced with a signature algorithm that it does not sign with.",
    ),
    Reason(
        "algorithm-unsupported",
        Status.INSECURE,
        1,
        "RFC 4035 5.2",
        "{zone} is signed with an algorithm that validators do not support.",
    ),
    Reason(
        "ds-digest-unsupported",
        Status.INSECURE,
        2,
        "RFC 4035 5.2",
        "The parent vouches for {zone} with a digest that validators do not support.",
    ),
    Reason(
        "nsec3-iterations",
        Status.INSECURE,
        27,
        "RFC 9276 3.2",
        "{zone} hashes its proofs more often than validators accept.",
    ),
    Reason(
        "dnskey-not-captured",
        Status.INDETERMINATE,
        5,
        "RFC 4035 4.3",
        "The keys of {zone} were not captured, so its signatures cannot be judged.",
    ),
    Reason(
        "ds-not-captured",
        Status.INDETERMINATE,
        5,
        "RFC 4035 4.3",
        "What the parent says of {zone} was not captured.",
    ),
    Reason(
        "no-trust-anchor",
        Status.INDETERMINATE,
        5,
        "RFC 4035 4.3",
        "No trust anchor for {zone} was given.",
    ),
    Reason(
        "rrset-incomplete",
        Status.INDETERMINATE,
        5,
        "RFC 4035 4.3",
        "Answers of {zone} were captured only in part.",
    ),
    Reason(
        "limit-reached",
        Status.INDETERMINATE,
        5,
        "RFC 4035 4.3",
        "There was more of {zone} than the program checks.",
    ),
)
"""The catalogue. Entry 0 stands for no fault. The rest stand in order of precedence: the highest
broken link first (DESIGN section 4). A reason's code number is its index here."""

REASON_CODE: Final = {reason.code: number for number, reason in enumerate(REASONS)}
"""From a reason's name to its number."""


class RecordClass(IntEnum):
    """The class of records that a stratum holds (DESIGN section 5). Text: `RECORD_CLASSES`."""

    DATA = 0
    DENIAL = 1
    DNSKEY = 2
    DS = 3


RECORD_CLASSES: Final = ("data", "denial", "dnskey", "ds")

TYPE_NS: Final = 2
TYPE_SOA: Final = 6
TYPE_DS: Final = 43
TYPE_NSEC: Final = 47
TYPE_DNSKEY: Final = 48
TYPE_NSEC3: Final = 50
TYPE_CDS: Final = 59
TYPE_CDNSKEY: Final = 60

KEY_TYPES: Final = (TYPE_DNSKEY, TYPE_DS, TYPE_CDS, TYPE_CDNSKEY)
"""RR types whose RRsets the keys table follows through time."""

SERVFAIL: Final = 2
NXDOMAIN: Final = 3
REFUSED: Final = 5


class LossKind(NamedTuple):
    """What one reason in `losses.reason` means to the reader of a report.

    Attributes:
        noun: what is counted, singular.
        tail: what is said of it behind the noun.
        damage: the input is at fault. If not, the octets are whole, and this version leaves them.
    """

    noun: str
    tail: str
    damage: bool = True


LOSSES: Final = {
    "link-type-unknown": LossKind(
        "packet", "of a link type that this version does not know", False
    ),
    "interface-unknown": LossKind("packet", "of an interface that the file never describes"),
    "packet-length": LossKind("packet", "longer than its block"),
    "packet-cut": LossKind("packet", "cut within its headers"),
    "ip-malformed": LossKind("packet", "with an impossible IP header"),
    "fragment-incomplete": LossKind("IP fragment", "of a datagram that was not captured whole"),
    "fragment-malformed": LossKind("IP fragment", "of impossible length or place"),
    "fragment-overlap": LossKind("datagram", "whose fragments contradict each other"),
    "fragment-limit": LossKind(
        "IP fragment", "given up early because too many datagrams were incomplete at once", False
    ),
    "udp-malformed": LossKind("packet", "with an impossible UDP length"),
    "tcp-incomplete": LossKind("TCP segment", "of messages that were not captured whole"),
    "tcp-malformed": LossKind("TCP segment", "with an impossible header"),
    "tcp-gap": LossKind("stretch", "of a TCP stream that was not captured"),
    "tcp-overlap": LossKind("TCP segment", "that contradicts an earlier one"),
    "tcp-framing": LossKind("TCP segment", "that holds no DNS message where one must begin"),
    "stream-limit": LossKind("TCP segment", "out of order beyond what one stream may hold", False),
    "stream-evicted": LossKind(
        "TCP stream", "given up early because too many waited for missing octets", False
    ),
    "message-short": LossKind("message", "shorter than a DNS header"),
    "message-cut": LossKind("message", "of which only the beginning was recorded"),
    "no-timestamp": LossKind("packet", "without a time of its own"),
    "interface-limit": LossKind(
        "packet", "of an interface beyond those that this version follows", False
    ),
    "record-length": LossKind("record", "of an absurd length"),
    "block-length": LossKind("block", "of an absurd length"),
    "frame-length": LossKind("frame", "of an absurd length"),
    "content-type": LossKind("stream", "of frames that are not dnstap", False),
    "protobuf-malformed": LossKind("frame", "that is no dnstap message"),
    "identity-limit": LossKind(
        "message", "of a dnstap identity beyond those that this version follows", False
    ),
    "file-cut": LossKind("file", "that ends within a record"),
    "decompression-failed": LossKind("file", "whose compressed data is damaged or cut"),
    "decompression-limit": LossKind("file", "that expands beyond every sensible size"),
    "tunnel-depth": LossKind("packet", "in more tunnels than this version follows", False),
    "encapsulation-not-opened": LossKind(
        "packet", "in an encapsulation that this version does not open", False
    ),
    "dns-over-tls": LossKind(
        "packet", "of DNS over TLS that could not be read without its keys", False
    ),
    "tls-suite": LossKind(
        "packet", "of DNS over TLS in a version or cipher suite that this version leaves", False
    ),
    "tls-incomplete": LossKind(
        "packet", "of DNS over TLS whose connection was not captured from its beginning on"
    ),
    "tls-damaged": LossKind("packet", "of DNS over TLS that its keys do not open"),
    "tls-secrets": LossKind("block", "of secrets of which not all was used", False),
    "dns-over-https": LossKind(
        "packet", "of DNS over HTTPS that could not be read without its keys", False
    ),
    "dns-over-quic": LossKind(
        "packet", "of DNS over QUIC that could not be read without its keys", False
    ),
    "dnscrypt": LossKind("response", "of DNSCrypt that could not be read", False),
    "link-encrypted": LossKind("packet", "that is encrypted on its link", False),
    "read-failed": LossKind("file", "that the system failed to read on"),
    "exporter-omitted": LossKind(
        "message",
        "of which the exporter kept only a part: signatures there are not checkable, none is"
        " missing",
        False,
    ),
    "item-incomplete": LossKind(
        "item", "without what a message needs, because the exporter left it out", False
    ),
    "cbor-malformed": LossKind("stretch", "of a C-DNS file that is no block"),
    "cbor-limit": LossKind("item", "of a C-DNS block beyond the limits"),
    "unreadable": LossKind("input", "that could not be opened or recognised"),
    "zone-transfer": LossKind(
        "message", "of a zone transfer that lists differences or shows no beginning", False
    ),
    "open-truncated": LossKind(
        "truncated response", "of which too many were waiting for their repetition over TCP", False
    ),
    "outside-times": LossKind("message", "outside the times asked for", False),
    "open-transactions": LossKind(
        "transaction", "closed early because too many were open at once", False
    ),
    "limit-reached": LossKind("RRset", "beyond the limits of one run", False),
    "rrset-incomplete": LossKind("signature", "whose RRset was not whole in its message", False),
    "rrset-absent": LossKind("signature", "that came without its RRset", False),
    "malformed": LossKind("record", "that contradicts itself", False),
    "unsolicited": LossKind("key set sighting", "that no query of the capture asked for", False),
}
"""Every reason why something of an input is not in the tables."""

NOT_READ: Final = frozenset(code for code, kind in LOSSES.items() if not kind.damage)
"""Losses that are no damage: whole in the capture, and left out by this version."""
