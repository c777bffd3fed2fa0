"""Forward queries to a resolver; mark answers under a negative trust anchor with EDE 33.

Debian 12 has no resolver that says EDE 33 (RFC 8914's registry: Negative Trust Anchor), so this
relay stands before an Unbound that holds the anchor and adds the option to what passes.
"""

import asyncio
import sys
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.name

NEGATIVE_TRUST_ANCHOR = 33
TIMEOUT = 3.0


class Relay(asyncio.DatagramProtocol):
    """One listening socket; each query is forwarded by a task of its own."""

    def __init__(self, source: str, behind: str, anchors: Path) -> None:
        """Listen at `source`, forward to `behind`; `anchors` names the zones, one a line."""
        self.source, self.behind, self.anchors = source, behind, anchors
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a query."""
        task = asyncio.create_task(self._answer(data, addr))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            query = dns.message.from_wire(data)
            response = await dns.asyncquery.udp(
                query, self.behind, timeout=TIMEOUT, source=self.source
            )
        except (dns.exception.DNSException, OSError):
            return
        names = self.anchors.read_text().split() if self.anchors.exists() else []
        name = query.question[0].name
        if any(name.is_subdomain(dns.name.from_text(zone)) for zone in names):
            options = [
                *response.options,
                dns.edns.EDEOption(dns.edns.EDECode.make(NEGATIVE_TRUST_ANCHOR)),
            ]
            response.use_edns(0, response.ednsflags, response.payload, options=options)
        self.transport.sendto(response.to_wire(), address)


async def main(source: str, behind: str, anchors: str) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        lambda: Relay(source, behind, Path(anchors)), local_addr=(source, 53)
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
