"""Zone transfers as evidence: what they prove of a server, and that they accuse nobody."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess

import dns.dnssec
import dns.message
import dns.name
import dns.rrset
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transactions_transfers import MS, START, TEXT, ZONE, framed, messages, records, segment

from forensics.archive.tables import read_table
from forensics.pipeline import Options, analyze
from forensics.transactions.transfers import edges
from forensics.vocabulary import SightingFlag
from forensics.wire.jit import octets as as_array

SERVER = bytes([198, 51, 100, 53])
OTHER = bytes([198, 51, 100, 54])
CLIENT = bytes([192, 0, 2, 7])
WHOLE = int(SightingFlag.WHOLE)


def made_key(flags=257):
    private = ec.generate_private_key(ec.SECP256R1())
    return private, dns.dnssec.make_dnskey(
        private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags
    )


KSK = made_key()
OLD, NEW = made_key(256), made_key(256)
PLAIN = dns.zone.from_text(TEXT, ZONE, relativize=False)


def signed(*zone_keys, shown=None, serial=7, change=None):
    """The zone, signed with the KSK and these zone keys; `shown` are those in its key set."""
    zone = dns.zone.from_text(TEXT.replace(" 7 3600", f" {serial} 3600"), ZONE, relativize=False)
    keys = [KSK, *zone_keys]
    published = [KSK, *(zone_keys if shown is None else shown)]
    # Each version is signed anew, and later.
    period = {"inception": START - 3600 + 10 * serial, "expiration": START + 86400}
    with zone.writer() as writer:
        key_set = dns.rrset.from_rdata(ZONE, 300, *(key for _, key in published))
        writer.add(key_set)
        dns.dnssec.sign_zone(zone, writer, keys=keys, add_dnskey=False, **period)
    if change:
        change(zone)
    return zone


def answer(zone, name, kind, ident):
    """A query and an authority's signed answer."""
    asked = dns.name.from_text(name, ZONE)
    query = dns.message.make_query(asked, kind, id=ident, want_dnssec=True, payload=4096)
    query.flags &= ~dns.flags.RD
    made = dns.message.make_response(query)
    made.flags |= dns.flags.AA
    made.answer.append(zone.get_rrset(asked, kind))
    made.answer.append(zone.find_rrset(asked, "RRSIG", covers=kind))
    return query.to_wire(), made.to_wire(max_size=65535)


def datagram(octets, source, destination, ports):
    body = struct.pack(">HHHH", *ports, 8 + len(octets), 0) + octets
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 17, 0)
    return head + source + destination + body


class Capture:
    """Packets in order, with their times in seconds from the start."""

    def __init__(self):
        self.packets = []
        self.port = 40000

    def ask(self, second, zone, name, kind, server=SERVER):
        self.port += 1
        query, response = answer(zone, name, kind, self.port)
        for step, (octets, ends, ports) in enumerate(
            (
                (query, (CLIENT, server), (self.port, 53)),
                (response, (server, CLIENT), (53, self.port)),
            )
        ):
            packet = datagram(octets, *ends, ports)
            self.packets.append((START * 10**9 + second * 10**9 + step * MS, packet))

    def transfer(self, second, zone, sizes=(1000,), listed=None, server=SERVER):
        query, responses = messages("AXFR", listed or records(zone), sizes)
        octets = b"".join(framed(one) for one in responses)
        self.port += 1
        sent = [segment(100, framed(query), server=False)]
        sent += [
            segment(500 + at, octets[at : at + 1400], server=True)
            for at in range(0, len(octets), 1400)
        ]
        ports = struct.pack(">H", 40000), struct.pack(">H", self.port)
        for step, one in enumerate(sent):
            addressed = one[:20].replace(SERVER, server) + one[20:24].replace(*ports) + one[24:]
            self.packets.append((START * 10**9 + second * 10**9 + step * MS, addressed))

    def report(self, folder):
        folder.mkdir(exist_ok=True)
        data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101)
        for time, packet in sorted(self.packets, key=lambda one: one[0]):
            data += struct.pack("<IIII", *divmod(time, 10**9), len(packet), len(packet)) + packet
        (folder / "a.pcap").write_bytes(data)
        anchor = folder / "anchor"
        anchor.write_text(f"example. IN DS {dns.dnssec.make_ds(ZONE, KSK[1], 'SHA256')}\n")
        options = Options(trust_anchors=(str(anchor),))
        analyze([str(folder / "a.pcap")], folder / "out", options, figures=False)
        return json.loads((folder / "out" / "report.json").read_text())

    def frames(self, second):
        """Frames of that second, counted from 1."""
        ordered = sorted(time for time, _ in self.packets)
        begin = (START + second) * 10**9
        return [at for at, time in enumerate(ordered, 1) if begin <= time < begin + 10**9]


def spoil(zone):
    """Change data behind its signature's back."""
    with zone.writer() as writer:
        writer.replace(dns.rrset.from_text("www.example.", 300, "IN", "A", "192.0.2.81"))


def whole(folder):
    flags = read_table(folder / "out" / "tables", "sightings")["flags"].to_pylist()
    return [bool(flag & WHOLE) for flag in flags if flag & int(SightingFlag.TRANSFER)]


@pytest.mark.parametrize(
    ("sizes", "proves"), [((1000,), True), ((12,), True), ((7, 5), False)],
    ids=["one message", "twelve each", "the key set at a border"],
)  # fmt: skip
def test_a_good_transfer_shows_a_good_zone_and_its_keys(tmp_path, sizes, proves):
    capture = Capture()
    capture.transfer(0, signed(OLD), sizes)
    report = capture.report(tmp_path)
    assert report["incidents"] == []
    counted = report["counts"]["verdicts"]
    # Nothing but the transfer tells of keys: what it shows is secure by the keys that it holds.
    assert (counted["secure"] > 0) == proves
    assert (counted["bogus"], counted["indeterminate"]) == (0, 0)
    assert any(whole(tmp_path)) >= proves
    assert all(whole(tmp_path)) == (sizes == (1000,))


def test_independent_tools_call_the_transferred_zone_good(tmp_path):
    if shutil.which("ldns-verify-zone") is None:
        pytest.skip("ldns-verify-zone is not installed")
    zones = {"good": signed(OLD), "bad": signed(OLD, change=spoil)}
    for name, zone in zones.items():
        good = name == "good"
        (tmp_path / name).write_text(zone.to_text(relativize=False, want_origin=False))
        ran = subprocess.run(
            ["ldns-verify-zone", "-t", "20231114230000", str(tmp_path / name)],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        capture = Capture()
        capture.transfer(0, zone)
        report = capture.report(tmp_path / f"of-{name}")
        assert (ran.returncode == 0) == good, ran
        assert (report["counts"]["verdicts"]["secure"] > 0) == good


def test_a_transfer_is_the_last_good_before_a_fault_and_the_first_after_it(tmp_path):
    good, bad = signed(OLD), signed(OLD, serial=8, change=spoil)
    mended = signed(OLD, serial=9)
    capture = Capture()
    capture.transfer(0, good)
    capture.ask(9, bad, "@", "SOA")
    capture.ask(10, bad, "@", "DNSKEY")
    capture.ask(11, bad, "www", "A")
    capture.ask(12, bad, "www", "A")
    capture.ask(13, bad, "@", "SOA")
    capture.transfer(20, mended)
    report = capture.report(tmp_path)
    (incident,) = report["incidents"]
    assert (incident["zone"], incident["reason"]) == ("example.", "signature-invalid")
    evidence = {one["shows"].split(" at ")[0]: one["frame"] for one in incident["evidence"]}
    assert evidence["first-bad"] == capture.frames(11)[1]
    assert evidence["last-good"] in capture.frames(0)
    assert evidence["first-good"] in capture.frames(20)


def test_a_bad_transfer_neither_accuses_nor_clears(tmp_path):
    bad = signed(OLD, change=spoil)
    capture = Capture()
    capture.transfer(0, bad)
    assert capture.report(tmp_path / "alone")["incidents"] == []
    assert capture.report(tmp_path / "alone")["counts"]["verdicts"]["bogus"] == 0
    # Beside the answers that are bad, what is good in such a transfer ends nothing.
    capture.ask(10, bad, "@", "DNSKEY")
    capture.ask(11, bad, "www", "A")
    capture.transfer(20, bad)
    (incident,) = capture.report(tmp_path / "beside")["incidents"]
    assert incident["recovery"]["first_good"] is None


def test_records_in_any_order_accuse_nobody(tmp_path):
    listed = records(signed(OLD))
    inner = listed[1:-1]
    random.Random(3).shuffle(inner)
    capture = Capture()
    capture.transfer(0, None, (9,), [listed[0], *inner, listed[-1]])
    report = capture.report(tmp_path)
    assert report["incidents"] == []
    assert report["counts"]["verdicts"]["bogus"] == 0


def test_a_lost_segment_accuses_nobody(tmp_path):
    capture = Capture()
    capture.transfer(0, signed(OLD), (6,))
    packets = list(capture.packets)
    for lost in range(2, len(packets)):
        capture.packets = packets[:lost] + packets[lost + 1 :]
        report = capture.report(tmp_path / str(lost))
        assert report["incidents"] == []
        assert report["counts"]["verdicts"]["bogus"] == 0


def test_key_sets_of_transfers_prove_that_a_server_lacks_a_key(tmp_path):
    zone = signed(OLD)
    capture = Capture()
    capture.transfer(0, zone)
    for second in (300, 301):
        capture.ask(second, signed(NEW, serial=8), "www", "A")
    capture.transfer(600, zone)
    (incident,) = capture.report(tmp_path)["incidents"]
    assert (incident["reason"], incident["onset"]["first_bad"] is not None) == (
        "dnskey-missing",
        True,
    )


def test_key_sets_of_one_servers_transfers_accuse_no_other(tmp_path):
    # The primary has dropped the old key; a secondary that has not yet asked serves the old zone.
    capture = Capture()
    capture.transfer(0, signed(NEW))
    for second in (300, 301):
        capture.ask(second, signed(OLD), "www", "A", server=OTHER)
    capture.transfer(600, signed(NEW))
    report = capture.report(tmp_path)
    assert report["incidents"] == []
    assert report["counts"]["verdicts"]["bogus"] == 0


def test_a_healthy_roll_of_zone_keys_in_transfers_is_no_incident(tmp_path):
    capture = Capture()
    steps = [
        signed(OLD),
        signed(OLD, shown=(OLD, NEW), serial=8),
        signed(NEW, shown=(OLD, NEW), serial=9),
        signed(NEW, serial=10),
    ]
    for at, zone in enumerate(steps):
        capture.transfer(2000 * at, zone)
        capture.ask(2000 * at + 5, zone, "www", "A", server=OTHER)
        capture.ask(2000 * at + 6, zone, "@", "DNSKEY", server=OTHER)
        capture.ask(2000 * at + 900, zone, "mail", "A")
    report = capture.report(tmp_path)
    assert [one for one in report["incidents"] if one["severity"] != "near-miss"] == []
    assert report["counts"]["verdicts"]["bogus"] == 0


def test_a_transfer_that_nobody_asked_for_proves_nothing(tmp_path):
    capture = Capture()
    capture.transfer(0, signed(OLD))
    del capture.packets[0]
    report = capture.report(tmp_path)
    assert report["counts"]["verdicts"]["secure"] == 0
    assert not any(whole(tmp_path))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 80))
def test_the_edges_of_any_octets_lie_within(octets, cut):
    whole = messages("AXFR", records(PLAIN), [6])[1][0]
    for data in (octets, whole[:cut] + octets, whole):
        first, _, last, _ = edges(as_array(b"ab" + data), 2, 2 + len(data))
        assert first == -1 or 14 <= first <= last < 2 + len(data)
    found = dns.message.from_wire(whole)
    assert int(edges(as_array(whole), 0, len(whole))[1]) == found.answer[0].rdtype
    assert int(edges(as_array(whole), 0, len(whole))[3]) == found.answer[-1].rdtype


@pytest.mark.parametrize(
    ("limit", "most", "sentence"),
    [
        ("TRANSFER_CHECKS", 3, "More signatures were transferred than are tried."),
        ("TRANSFER_ROWS", 5, "More was transferred of zones than is judged."),
    ],
)
def test_beyond_a_limit_nothing_is_proven_and_the_report_says_so(
    tmp_path, monkeypatch, limit, most, sentence
):
    monkeypatch.setattr(f"forensics.validation.contents.{limit}", most)
    capture = Capture()
    capture.transfer(0, signed(OLD))
    report = capture.report(tmp_path)
    assert report["counts"]["verdicts"]["secure"] == 0
    assert report["incidents"] == []
    assert sentence in json.dumps(report)
