"""TLS connections made in memory by OpenSSL, as packets: what the tests of decryption share."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tcp_files import ACK, FIN, SYN, framed, packet4, segment

CLIENT, SERVER = "192.0.2.1", "198.51.100.2"


class Flight(NamedTuple):
    """What one side sends at once."""

    client: bool
    octets: bytes


class Talk(NamedTuple):
    """A connection: what was sent in order, and the key log of the client."""

    flights: tuple[Flight, ...]
    keylog: bytes


@cache
def _certificate():
    """A key with a certificate of its own, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tls.example")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(3650))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


@cache
def talk(said, *, version=13, ciphers="", retry=False):
    """Let a client and a server say things.

    Args:
        said: pairs (by the client?, octets), each of which becomes a record or more.
        version: 12 or 13.
        ciphers: of TLS 1.2, as OpenSSL names them.
        retry: the server wants another group than the client's first one (HelloRetryRequest).
    """
    wanted = {12: ssl.TLSVersion.TLSv1_2, 13: ssl.TLSVersion.TLSv1_3}[version]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "pem").write_bytes(_certificate())
        near = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        near.check_hostname, near.verify_mode = False, ssl.CERT_NONE
        near.keylog_filename = str(folder / "keys")
        far = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        far.load_cert_chain(folder / "pem")
        if retry:
            far.set_ecdh_curve("secp384r1")
        for context in (near, far):
            context.minimum_version = context.maximum_version = wanted
            if ciphers:
                context.set_ciphers(ciphers)
        into, out = ({True: ssl.MemoryBIO(), False: ssl.MemoryBIO()} for _ in range(2))
        ends = {
            True: near.wrap_bio(into[True], out[True]),
            False: far.wrap_bio(into[False], out[False], server_side=True),
        }
        flights = []

        def sent(client):
            octets = out[client].read()
            if octets:
                flights.append(Flight(client, octets))
                into[not client].write(octets)

        done = set()
        while len(done) < 2:
            for client in (True, False):
                try:
                    ends[client].do_handshake()
                    done.add(client)
                except ssl.SSLWantReadError:
                    pass
                sent(client)
        for client, octets in said:
            ends[client].write(octets)
            sent(client)
            held = b""
            while len(held) < len(octets):
                held += ends[not client].read(2**16)
        keylog = (folder / "keys").read_bytes()
    return Talk(tuple(flights), keylog)


def asked(*pairs):
    """What both ends say: queries with their responses, each in a write of its own."""
    return tuple(
        (client, framed(message))
        for pair in pairs
        for client, message in zip((True, False), pair, strict=True)
    )


class Ends:
    """The two ends of a connection as they make packets.

    Args:
        port: of the client; `service`: of the server.
        starts: sequence numbers of both SYNs.
    """

    def __init__(self, port=40000, service=853, starts=(1000, 77)):
        self.port, self.service = port, service
        self.next = {True: starts[0], False: starts[1]}

    def packet(self, client, data=b"", flags=ACK, seq=None):
        """A packet from one end; without `seq`, with its next octets."""
        ports = (self.port, self.service) if client else (self.service, self.port)
        number = self.next[client] if seq is None else seq
        ack = self.next[not client] if flags & ACK else 0
        made = segment(number, data, sport=ports[0], dport=ports[1], ack=ack, flags=flags)
        if seq is None:
            self.next[client] = number + len(data) + bool(flags & (SYN | FIN))
        return packet4(made, *((CLIENT, SERVER) if client else (SERVER, CLIENT)))

    def opening(self):
        """The three-way handshake of TCP."""
        near = self.packet(True, flags=SYN)
        return [near, self.packet(False, flags=SYN | ACK), self.packet(True)]

    def sends(self, client, octets, size=1460):
        """Packets with these octets, so many in each."""
        return [self.packet(client, octets[i : i + size]) for i in range(0, len(octets), size)]

    def all(self, conversation, size=1460):
        """Packets of a whole connection."""
        made = self.opening()
        for flight in conversation.flights:
            made += self.sends(flight.client, flight.octets, size)
        return [*made, self.packet(True, flags=FIN | ACK), self.packet(False, flags=FIN | ACK)]
