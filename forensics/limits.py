"""Every limit of the program, in one place, each with its reason.

At each limit the cost stays bounded, what was skipped is counted, and the report says so.
"""

from __future__ import annotations

from typing import Final

SECOND: Final = 1_000_000_000
"""Nanoseconds in a second: the unit of every time in the program."""

RESIDENT_OCTETS: Final = 1536 * 2**20
"""Resident memory that no input should make the program need, whatever its length. Ordinary
captures need half of it. `scripts/attack` and `scripts/mutants` hold every input of theirs against
it. What comes closest are distinct signatures that fill `SIGNED_ARENA_OCTETS` (KeyTrap): they are
held twice while their table is made."""

ATTACK_SECONDS: Final = 600
"""Processor time that no capture of `scripts/attack`, each of up to two million packets made to be
dear, may take: some 300 us a packet, where an ordinary one takes 1."""

BLOCK_OCTETS: Final = 8 * 2**20
"""Octets of input handled at once. Large enough that the cost of a call vanishes, small enough
that the five or so blocks in flight stay far below the memory target of 800 MiB."""

TAIL_OCTETS: Final = 8 * 2**20
"""Room behind each window for messages that are put together of pieces: memory that is not touched
until it is needed. Where more is needed, the window is copied to where there is more."""

RECORD_OCTETS: Final = 2**18
"""Longest captured packet believed. libpcap's own maximum snapshot length (262,144)."""

HEAD_OCTETS: Final = 64 * 2**10
"""First octets of an input, read to tell its format and for the time of its first packet."""

RESYNC_OCTETS: Final = 2**20
"""How far a reader looks for the next plausible record after damage. Four of the longest
records: beyond that the rest of the file is given up and counted."""

PCAPNG_BLOCK_OCTETS: Final = 16 * 2**20
"""Longest pcapng block believed; Wireshark has the same bound."""

INTERFACES: Final = 4096
"""Interfaces followed in one pcapng section. Real captures have a few dozen at most."""

IDENTITIES: Final = 4096
"""Distinct dnstap identities followed in one file: a merged file of a whole resolver fleet has
hundreds. Further ones are read without their identity."""

IDENTITY_OCTETS: Final = 2**18
"""Octets of all those identities together: 64 each where there are that many."""

LISTEN_CONNECTIONS: Final = 256
"""Name servers that may send to one recorder at once. Unbound opens one connection for each of its
threads."""

LISTEN_LAST_READS: Final = 100
"""Reads of each connection after a recorder was told to stop: some 25 MB, more than any kernel
holds for a socket."""

LISTEN_FAULTS: Final = 100
"""Reasons for broken connections that a recorder remembers: whoever reconnects for ever repeats
the same one."""

REPEATED_QUERIES: Final = 2**16
"""Queries of one dnstap file remembered, so that one which stands in two frames counts once: at
60,000 queries a second those of the last second. 16 octets each."""

CONTROL_OCTETS: Final = 512
"""Longest control frame of Frame Streams, as in its specification."""

PROTOBUF_FIELDS: Final = 4096
"""Fields of one protobuf message that are walked; dnstap defines 16, and a PowerDNS response has
one for each RR. Bounds the work that a hostile frame can ask for."""

PBDNS_OCTETS: Final = 65_535
"""Longest message of a PowerDNS log: its length has 16 bits on the wire."""

MESSAGE_OCTETS: Final = 65_535
"""Longest DNS message: its length is 16 bits over TCP (RFC 1035 4.2.2)."""

CBOR_DEPTH: Final = 16
"""Arrays and maps within each other that are followed; C-DNS needs eight (RFC 8618 7)."""

CDNS_BLOCK_OCTETS: Final = 64 * 2**20
"""Longest C-DNS block believed, held whole: a block has 5,000 items by default, about a megabyte,
and an item of one large response 64 KiB."""

CDNS_ENTRIES: Final = 2**18
"""Entries read of one table of a C-DNS block, and items: fifty times the default block. Bounds the
arrays made of them to 100 MiB. Further ones are counted."""

CDNS_RATIO: Final = 250
"""Octets of messages per octet of a C-DNS block: an item of forty octets may name a response of a
kilobyte that the block stores once. What is beyond it is a bomb."""

CDNS_FREE_OCTETS: Final = 16 * 2**20
"""Octets of messages that any C-DNS block may give."""

BLOCK_MESSAGES: Final = 2**20
"""Packets looked at, and so DNS messages handed on, at once: bounds the columns of a block."""

TUNNEL_HEADERS: Final = 24
"""Headers walked from the start of a packet, or of a tunnel, to the IP header within. Honest stacks
have six or so (Ethernet, two tags, PPPoE, PPP; or some labels, which count as one)."""

TUNNEL_DEPTH: Final = 8
"""IP tunnels within each other that are followed. Three are seen in networks of providers; the
packet's length bounds the work in any case."""

SCAPY_PACKETS: Final = 2**16
"""Packets of one capture whose link layer scapy reads: at some thousand a second, half a minute."""

ENCRYPTED_FLOWS: Final = 2**14
"""Connections of DNS over HTTPS that are known at once, so that their later packets are counted; a
newer one takes the place of an older one."""

DUPLICATE_OCTETS: Final = 2 * 2**20
"""Octets of the capture between a packet and its copy, at most: at 1 Gbit/s 16 ms, far more than
mirror ports and VLANs need. They are kept from one block to the next."""

DUPLICATE_SLOTS: Final = 2**14
"""Messages remembered against copies: about twice what those octets hold. A flood of the smallest
messages evicts the oldest. More would no longer fit into the processor's second-level cache."""

DECOMPRESSION_RATIO: Final = 250
"""Octets out per octet in beyond which a compressed file is a bomb. DNS traffic compresses 3 to
20 times; a flood of one repeated query about 150 times."""

DECOMPRESSION_FREE_OCTETS: Final = 2**30
"""Octets that may come out of a compressed file before its ratio is looked at."""

DECOMPRESSION_WINDOW: Final = 2**27
"""Most memory that a decompressor may ask for: what `zstd --long` and `xz -9` need."""

FRAGMENT_TIMEOUT: Final = 10 * SECOND
"""How long the pieces of a datagram are waited for. Systems wait 30 to 60 s (RFC 8200 4.5), but
whoever asked has given up after the query timeout, and the header and question of a first piece
alone must come while its query still waits."""

FRAGMENTED: Final = 2**13
"""Datagrams in pieces followed at once by one sensor. Real responses complete within a millisecond;
what does not complete is loss or attack."""

FRAGMENT_OCTETS: Final = 32 * 2**20
"""Octets of pieces held: 4 KiB for each of those datagrams."""

STREAM_TIMEOUT: Final = 10 * SECOND
"""How long octets missing in a TCP stream are waited for when nobody acknowledges them: several
retransmissions, and as long as the query behind them is waited for."""

TCP_STREAMS: Final = 2**16
"""Ways of TCP connections followed at once by one sensor, some 500 octets each: the connections
that a busy server holds. The one that was silent longest gives way."""

TCP_OCTETS: Final = 64 * 2**20
"""Octets held of messages that are not complete: a thousand of the longest at once."""

TCP_RECORDS: Final = 2**17
"""Stretches of octets held, over all streams."""

TCP_STREAM_RECORDS: Final = 512
"""Stretches held of one stream. Packets that arrive out of order make a few dozen; each new one
costs a walk along them."""

TCP_STARTS: Final = 2**14
"""First sequence numbers remembered from SYN to the first octets. A flood of SYNs overwrites them
and harms no more: a stream's beginning is then looked for."""

TCP_BEHIND: Final = 2**20
"""How far behind a stream a segment may lie and count as a repetition: the largest windows in use.
What lies farther is of another connection with the same ports."""

TCP_IDLE: Final = 120 * SECOND
"""Silence after which a segment that does not continue a stream is of another connection."""

LEFT_OCTETS: Final = 128 * 2**20
"""Octets of packets that a file of a growing dataset may leave for its neighbours: held while it is
read. More than that is a capture of nothing but long connections, which is then read alone."""

TLS_SECRETS: Final = 2**17
"""TLS connections whose secrets are kept, some 400 octets each. A larger key log is cut by time."""

TLS_KEYLOG_OCTETS: Final = 2**27
"""Longest key log read: so many connections of TLS 1.3 with five lines of 200 octets each."""

TLS_SECRETS_BLOCKS: Final = 4096
"""Blocks of secrets read in one pcapng: a recorder writes one for each connection, or one for all.
Reading stops at each, to use it from there on."""

TLS_CONNECTIONS: Final = 4096
"""TLS connections followed at once by one sensor, some 8 KiB each: only where a key log is given.
The one that was silent longest gives way."""

TLS_OCTETS: Final = 32 * 2**20
"""Octets held of them together, of records and messages that are not complete."""

TLS_WAY_OCTETS: Final = 2**18
"""Octets held of one way of a connection: the longest message, its records, and a full window
behind a missing segment."""

SENSORS: Final = 8
"""Captures that overlap in time and are read side by side, each with fragments and streams of its
own; further ones wait until one has ended. Each costs up to 150 MiB, but only under attack."""

SENSOR_SLACK: Final = SECOND // 50
"""How far the next file of a rotated capture may begin before the last one ended: packets that
several capture threads write out of order, as for `DUPLICATE_WINDOW`."""

QUERY_TIMEOUT: Final = 10 * SECOND
"""A response later than this after its query is *late*. Resolvers give up after a few seconds;
ten covers the longest retry timers of common stub resolvers."""

SKEW_TIMEOUT: Final = SECOND // 1000
"""How far a response may lie before its query in capture order and still be paired: several
capture threads or interfaces write packets slightly out of order."""

SENSOR_WINDOW: Final = SECOND // 4
"""Two captures hold the same message within this time of each other, clocks corrected: longer than
any path, shorter than the time after which stubs and resolvers repeat a query octet for octet."""

SENSOR_SLOTS: Final = 2**18
"""Messages remembered to recognise them in other captures, 32 octets each; a capture and all of
them together need one each, so this is a quarter of a second at 300,000 messages a second."""

CLOCK_LEAD: Final = 10 * SECOND
"""So long before a capture begins it is opened, to compare its clock with those being read: clocks
that are further apart than this are set right from where that was seen, not before."""

CLOCK_OFFSET: Final = 10 * 366 * 86_400 * SECOND
"""Largest --clock-offset: ten years, beyond the deadest battery of a recorder."""

CLOCK_BLOCKS: Final = 3
"""Blocks of each capture that are looked at to compare clocks, some 100,000 messages."""

CLOCK_SHARED: Final = 16
"""Messages seen by both sensors that an offset between their clocks must rest on, and half as many
of one direction."""

CLOCK_SPREAD: Final = SECOND // 20
"""Three quarters of them must agree within this, else the offset counts as not known."""

CLOCK_TOLERANCE: Final = SKEW_TIMEOUT
"""An offset below this is shown, and not corrected: pairing does not suffer from it."""

CLOCK_ONE_WAY: Final = SECOND // 2
"""The same where both sensors saw only queries, or only responses: there an offset and the path's
delay look alike, and no path takes this long."""

TCP_RETRY_WINDOW: Final = QUERY_TIMEOUT
"""A query over TCP continues a truncated response over UDP that came at most this long before it.
Clients turn to TCP at once; the query shows only when the handshake is done, whose SYN is repeated
after 1, 3 and 7 s (RFC 6298)."""

OPEN_TRUNCATED: Final = 2**18
"""Truncated responses that may still be continued over TCP: 6,500 a second. Each costs its names
twice."""

MESSAGE_PIECES: Final = 4096
"""Packets between the endpoints of a message among which its fragments or segments are looked for
when evidence is cut out: the longest message in the shortest usual segments has 128."""

OPEN_TRANSFERS: Final = 4096
"""Zone transfers whose further messages find their transaction: more than a server allows."""

TRANSFER_ROWS: Final = 2**20
"""Sightings in zone transfers that are held to be judged together: with its place and time each
costs 50 octets, and their signatures are held in any case. Beyond it none is judged."""

TRANSFER_CHECKS: Final = 2**18
"""Signatures in zone transfers tried with the transfers' own keys: 12 s on one core at the speed of
P-256. What is found good is tried once more with all other signatures."""

LATE_TIMEOUT: Final = 3 * QUERY_TIMEOUT
"""A query is forgotten this long after it was sent; a response after that is *unsolicited*."""

OPEN_TRANSACTIONS: Final = 2**19
"""Queries waiting for a response at once: with `LATE_TIMEOUT`, 17,000 unanswered queries a second.
A flood beyond it evicts the oldest as unanswered. Each costs 130 octets and its name."""

ANSWERED_KEPT: Final = 2**18
"""Answered transactions remembered, so that a further response is a *duplicate* and not
*unsolicited*. 16 octets each; the oldest of four that share a place gives way."""

BATCH_ROWS: Final = 2**18
"""Transactions that leave together, as one row group: large enough that dictionaries pay, small
enough that three batches in flight stay far below the memory target."""

REPLAYED_OCTETS: Final = 64 * 2**20
"""Octets of a stream of a report's transactions or sightings that are kept after the first walk, so
that the others need not read it again: some 200,000 transactions. What is longer is read anew."""

BATCH_TEXT_OCTETS: Final = 32 * 2**20
"""Octets of distinct names in a batch; a flood of long random names makes the batch shorter."""

EXTRA_TEXT_OCTETS: Final = 512
"""Octets of EXTRA-TEXT (RFC 8914) kept: no resolver's own messages are longer."""

NSID_OCTETS: Final = 128
"""Octets of an NSID (RFC 5001) that tell two instances of a server apart."""

DUPLICATE_WINDOW: Final = SECOND // 50
"""Two packets with the same octets from the IP header on (hop count and checksums apart) within
this time are one packet seen twice by the capture (mirror ports, `-i any`), not a retransmission:
resolvers and stubs wait longer than 20 ms before they repeat a query octet for octet."""

DUPLICATE_WINDOW_UNNUMBERED: Final = 2 * SECOND // 1000
"""The same for packets whose IP header has no number of its own (IPv6, or IPv4 with id 0 or 1):
there only the time tells a copy from a repetition, and copies come within microseconds."""

SIGNED_DATA_OCTETS: Final = 65_535 + 512
"""Longest signed data built: an RRset fits into one DNS message (65,535 octets), decompressed
names and RRSIG header apart, which the slack covers. Longer: the RRset counts as incomplete."""

RRSET_RECORDS: Final = 512
"""Records of one RRset that the canonical form sorts. The largest honest RRsets seen in the DNS
have about 300; larger is counted as `limit-reached`."""

SIGNATURES: Final = 2**20
"""Distinct signatures held at once with their signed data, per run of evidence collection."""

SIGNED_ARENA_OCTETS: Final = 384 * 2**20
"""Octets of distinct signed data and signatures held at once."""

MESSAGE_WORK: Final = 2**21
"""Steps (octets written, records looked at) spent on the signatures of one message. An honest
message of 65,535 octets needs some 300,000; hostile ones pair thousands of RRSIGs with one large
RRset. What is left beyond it counts as `limit-reached`. Costs about 2 ms."""

KEY_RRSETS: Final = 2**19
"""Distinct DNSKEY, DS, CDS and CDNSKEY RRsets held, most of them DS of delegations: about as many
as a busy resolver meets in a day."""

KEY_ARENA_OCTETS: Final = 64 * 2**20
"""Octets of distinct key RRsets held: 128 for each, where a DS RRset has about 70."""

ROLL_SETS: Final = 256
"""Distinct DNSKEY RRsets, or DS RRsets, of one zone of which a roll is told: a key signing key and
monthly zone signing keys make some forty in a year."""

KEY_RUNS: Final = 2**20
"""Sighting runs of key RRsets held, before those of one capture are joined with the next."""

PLACES: Final = 2**16
"""Distinct (server address, NSID) places held. The whole DNS has fewer authoritative addresses
worth naming in one report; spoofed floods have more, and fall into the place *other*."""

KEYS_PER_TAG: Final = 16
"""Keys of one zone, tag and algorithm that are tried on one signature. KeyTrap
(CVE-2023-50387) needs many; an honest outage had three."""

CHECKS_PER_ZONE: Final = 1_000_000
"""Cryptographic checks per zone, tag and algorithm, in digest order: above every honest outage
(three keys times every signature of a large capture), below a day of CPU."""

CONTESTED: Final = 2**17
"""Queries with more than one response that are compared, and responses to one query: a flood of
forged answers must not fill the memory. About 300 octets each."""

BURST: Final = 5 * SECOND
"""A DNSKEY exchange with the same server within this time of a signature's sighting counts as
*the key set in the same burst of exchanges* (DESIGN section 4)."""

KEY_EXCHANGES: Final = 2**17
"""Answers without keys, and failed attempts to fetch keys, that are held: resolvers of a whole
country ask for one zone's keys that often in a day. About 300 octets each."""

STEP_SIGHTINGS: Final = 2**16
"""Sightings of data that caches with an older key set would refuse which are told: the first of
them give the bracket, and each holds some 400 octets."""

RESOLVER_ROWS: Final = 2**18
"""Questions of clients and of resolvers that are held against each other to find out which
addresses are one resolver; some 150 octets each. A resolver shows itself within a few lookups."""

RESOLVER_WINDOWS: Final = 64
"""Clients' lookups of one question that are looked at, the latest first, for one that was open
when an authority was asked the same: a popular name has thousands."""

HELD_SIGHTINGS: Final = 2**18
"""Signatures that resolvers received, of zones with something to tell, which are judged by what
each resolver held: some 700 octets each while they are. What is beyond is counted and said."""

HELD_FETCHES: Final = 16
"""Key sets that one resolver fetched, the latest first, of which some may be in its cache at an
instant: an honest one fetches a set anew when it has run out."""

RESOLVER_VIEWS: Final = 1_024
"""Rows of the resolver view (one a resolver, zone and class of records) that a report holds."""

RESOLVER_RUNS: Final = 6
"""Runs of one row that are told, from the last good one on: a zone that flaps gives one a flip."""

CHAIN_DEPTH: Final = 32
"""Zones between a name and the root that a chain is followed through. 127 labels are possible;
the deepest honest signed chains (ip6.arpa) have fewer than 20 cuts."""

TRACK_RUNS: Final = 4_096
"""Sighting runs of one zone's DNSKEY or DS RRset that are followed through time. A zone changes
its keys a few times a year at a few dozen places; whoever shows thousands of sets is hostile, and
from the first run left out on the zone's signatures count as `limit-reached`."""

JUDGE_WORK: Final = 5_000_000
"""Comparisons of key set sightings spent on one zone, some seconds. An honest zone with 200 places
in the middle of a roll needs some ten thousand; what is left then counts as `limit-reached`."""

UNSIGNED_NAMES: Final = 2**18
"""Distinct owners and targets of unsigned RRsets held for one block, which has some 100,000
messages. Beyond it RRsets count as `limit-reached`."""

UNSIGNED_NAME_OCTETS: Final = 8 * 2**20
"""Octets of those names together: 32 each. Compression lets hostile blocks name twenty times their
own size."""

KEY_TAG_OPTIONS: Final = 4_096
"""EDNS options with key tags that are read of one block of messages: honest resolvers send one a
day and trust anchor, and the claims are distinct ones anyway."""

TRUST_SIGNALS: Final = 2**16
"""Distinct claims of trust (who, zone, tags) that are held, some 400 octets each. A root server
hears more clients in a day, and anyone can invent tags: the rest is counted."""

TRUST_SIGNALS_LISTED: Final = 256
"""Of these, those listed in report.json, heard most often first."""

NSEC3_ITERATIONS: Final = 150
"""NSEC3 iterations beyond which a zone counts as insecure (RFC 9276 3.2): what the most patient
validators accept (Unbound 150; BIND 9.20 50). Bounds the cost of a hash."""

NSEC3_HASHES: Final = 600
"""NSEC3 hashes computed for one proof, as in PowerDNS. A name of 34 labels (ip6.arpa) needs about
70 for each parameter set; with the iterations above 600 cost 50 ms (CVE-2023-50868)."""

NSEC3_HASHES_KEPT: Final = 2**14
"""NSEC3 hashes remembered: ancestors and wildcards are asked again and again. Some 300 octets."""

PROOFS: Final = 2**13
"""Distinct proofs of absence (question and records) judged in one run before they are rationed,
some 200 us each. Random subdomains are part of real outages: the rest is counted and said."""

PROOFS_MORE: Final = 2**10
"""Distinct proofs judged for each further row group of transactions: none goes unwatched."""

DENIALS: Final = 2**13
"""Negative and wildcard answers of one row group of transactions that are looked at: those with the
fewest records first, then evenly spread. 50 us each."""

ABSENCE_EVENTS: Final = 2**16
"""Responses with an absence that is told, good and bad, in one run; each becomes a row."""

CONTRADICTIONS: Final = 2**18
"""Names hashed, and pairs of a proof and what it denies compared, in one run."""

WAITING_ROWS: Final = 2**21
"""Sightings and unsigned RRsets that wait for their transaction, which is written when it closes:
all that comes within 10 s at 200,000 a second."""

DENIERS: Final = 64
"""NSEC and NSEC3 records of one response that a proof is sought in. A proof needs three; responses
that follow CNAMEs need three a step."""

ANCHOR_FILE_OCTETS: Final = 2**22
"""Longest file of trust anchors read. The root's has some thousand octets."""

SUPPLIED_RECORDS: Final = 2**16
"""Records that `--keys` may give: the keys of all top-level domains over ten years are fewer."""

SUPPLIED_LINE_OCTETS: Final = 2**20
"""Longest line of a file of `--keys`: a record of 65,535 octets in hexadecimal has 131,072."""

CLOCK_SET_BACK: Final = 30 * SECOND
"""A recorder's clock that goes back by this much within a capture vouches for no order of events:
keys are rolled by that order, and a set of keys lives for minutes. Time services step by less, and
packets that several threads wrote lie milliseconds apart."""

CLOCK_ZONES: Final = 3
"""Zones that must fail by time alone before the clock is suspected instead (two with the root):
one operator can let one or two zones expire on the same day, hardly the root beside them."""

REPORT_ROWS: Final = 2_000
"""Rows of the event table in report.html. All rows stand in the tables; a page must open fast."""

HISTORY_ROWS: Final = 2_000
"""Changes of keys that are told of an incident, the first and the last: an honest roll has ten, and
a server that shows another key set in every answer as many as it answers."""

TIMELINE_CELLS: Final = 2**18
"""Cells (place, signer, type, key tag, SOA serial) that the timeline counts for zones that were
bad. A TLD with a new serial each minute fills about 100,000 in a day; each holds 180 octets."""

INCIDENTS: Final = 256
"""Incidents told in full. Worse bad days have had about thirty zones; further ones are counted."""

EVIDENCE_FILES: Final = 32
"""Incidents whose packets a report cuts out unasked; `extract` gives those of any other."""

EVIDENCE_FRAMES: Final = 2_000
"""Answers in one evidence file: what a person looks through in Wireshark."""

EVIDENCE_KEY_SETS: Final = 64
"""Sightings of the zone's own key sets, a place, that evidence holds in full."""

STRATA_LISTED: Final = 1_024
"""Places by classes of records whose own brackets one incident lists."""

EXPLAIN_ROWS: Final = 4_000_000
"""Rows of a long table that `explain` keeps in memory between look-ups, some 300 MiB; a longer one
is read again for each alias target."""

EXPLAIN_BEFORE: Final = 12
"""Responses of each server to one question that are looked at before the instant asked for: the
last one counts, those before it tell since when the server says so."""

EXPLAIN_AFTER: Final = 3
"""And after it: they only speak where nothing earlier exists."""

EXPLAIN_SERVERS: Final = 256
"""Servers of one question that are compared, those seen nearest to the instant first. The largest
honest set (a root letter's anycast instances by NSID) has some 200."""

ALIASES: Final = 11
"""CNAMEs and DNAMEs followed for one question: Unbound's own bound, and BIND's since 9.20."""

EXPLAIN_CHAIN: Final = 65_536
"""NSEC records of one zone among which a proof is looked for of what was asked without DO."""

EXPLAIN_CHECKS: Final = 4_096
"""Signatures that one explanation tries with keys. An honest chain of eleven aliases in zones of
five cuts needs some two hundred, times the servers that differ; 0.2 s."""

LOG_LINE: Final = 16_384
"""Octets of one line of a resolver's log; what is longer is cut there."""

LOG_ENTRIES: Final = 1_000_000
"""Lines of one log that speak of validation and are kept; more are counted."""

LOG_NAMES: Final = 10_000
"""Names of one log that are counted apart where no incident explains them."""

WITNESSED: Final = 65_536
"""Names that failed validation by the word of resolvers alone, and questions asked with checking
disabled, that are kept: which zone they have in common shows in far fewer."""

UNOBTAINABLE_TRIES: Final = 6
"""Questions for a zone's keys that must fail, with none answered, before `explain` calls them
unobtainable: where a capture loses a third of its packets, six in a row is one case in hundreds,
and a resolver that cannot get them asks some dozen times."""

EXPLAIN_KEPT: Final = 2**13
"""Responses kept from one question to the next: neighbouring instants rest on the same ones."""

CHAINS_INCIDENTS: Final = 8
"""Incidents whose chain of trust a report tells for several instants: asking costs time."""

CHAINS_RUNS: Final = 1_000
"""Runs of key sets beyond which no chain of trust is told: an honest capture of a day has dozens,
and a flood of key sets would be walked once for each instant."""

CHAINS_MARKED: Final = 16
"""Instants of one incident, those of its story, at which its chain of trust is told in any case."""

CHAINS_INSTANTS: Final = 256
"""Instants of all incidents at which a chain of trust is told, at a few milliseconds each. An
outage with fewer changes than that is drawn exactly at any instant; others in even steps."""
