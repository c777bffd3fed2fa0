"""Receive dnstap from name servers over Frame Streams, from many at once, and record it."""

from __future__ import annotations

import ipaddress
import selectors
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from forensics import limits
from forensics.capture.framestreams import Receiver
from forensics.capture.recording import Recording
from forensics.errors import UsageError

_PIECE: Final = 2**18
_WAIT: Final = 0.25
"""Seconds between two looks at the clock and at whether to stop."""


@dataclass(slots=True)
class Tally:
    """What became of the connections."""

    connections: int = 0
    refused: int = 0
    """beyond `limits.LISTEN_CONNECTIONS` at once"""
    broken: list[str] = field(default_factory=list)
    """why connections were closed by us, or ended within a frame; the first hundred"""
    untold: int = 0
    """further ones"""

    def sentences(self) -> list[str]:
        """What is to be told of connections that did not go well."""
        told = [f"a connection was closed: {fault}" for fault in self.broken]
        if self.untold:
            told.append(f"{self.untold} further connections were closed likewise")
        if self.refused:
            told.append(f"{self.refused} connections were refused: too many at once")
        return told


def bound(address: str, *, public: bool) -> socket.socket:
    """Open the socket `unix:PATH` or `tcp:HOST:PORT` for listening.

    Raises:
        UsageError: no such form, a public address without `public`, or the system refuses.
    """
    kind, _, rest = address.partition(":")
    if kind not in {"unix", "tcp"} or not rest:
        raise UsageError(f"--socket {address}: write unix:PATH or tcp:HOST:PORT")
    try:
        if kind == "unix":
            return _unix(rest)
        return _tcp(address, rest, public=public)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"--socket {address}: {reason}") from None


def _unix(path: str) -> socket.socket:
    """Listen at a path; a socket that nobody answers at is a left-over, and goes."""
    if Path(path).exists() and stat.S_ISSOCK(Path(path).stat().st_mode):
        with socket.socket(socket.AF_UNIX) as other:
            try:
                other.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink()
            else:
                raise UsageError(f"--socket unix:{path}: another program listens there")
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(path)
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def _tcp(address: str, rest: str, *, public: bool) -> socket.socket:
    """Listen at an address; one that others can reach only if that is asked for."""
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        where = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number < 2**16:
        raise UsageError(f"--socket {address}: write tcp:127.0.0.1:PORT or tcp:[::1]:PORT")
    if not where.is_loopback and not public:
        raise UsageError(
            f"--socket {address}: others could reach it, and dnstap has no protection; "
            "add --public if that is wanted"
        )
    family = socket.AF_INET6 if where.version == 6 else socket.AF_INET
    return socket.create_server((str(where), number), family=family)


def listen(server: socket.socket, recording: Recording, stopped: Callable[[], bool]) -> Tally:
    """Record what comes over `server` until `stopped`; frames still on their way are read first.

    Only whole frames are recorded. A connection that speaks something else is closed and noted.
    """
    tally = Tally()
    selector = selectors.DefaultSelector()
    server.setblocking(False)
    selector.register(server, selectors.EVENT_READ)
    receivers: dict[int, Receiver] = {}
    rounds = 0
    try:
        while True:
            ending = stopped()
            rounds += ending
            ready = selector.select(0 if ending else _WAIT)
            for key, _ in ready:
                if key.fileobj is server:
                    if not ending:
                        _welcome(server, selector, receivers, tally)
                    continue
                _read(key.fileobj, selector, receivers, recording, tally)  # type: ignore[arg-type]
            recording.tick()
            idle = not any(key.fileobj is not server for key, _ in ready)
            # A server that sends without pause must not keep us for ever.
            if ending and (idle or rounds > limits.LISTEN_LAST_READS):
                return tally
    finally:
        for key in list(selector.get_map().values()):
            if key.fileobj is not server:
                key.fileobj.close()  # type: ignore[union-attr]
        selector.close()


def _welcome(
    server: socket.socket,
    selector: selectors.BaseSelector,
    receivers: dict[int, Receiver],
    tally: Tally,
) -> None:
    """Accept a connection, or close it at once where there are too many."""
    try:
        connection, _ = server.accept()
    except OSError:
        return  # it has gone again
    if len(receivers) >= limits.LISTEN_CONNECTIONS:
        connection.close()
        tally.refused += 1
        return
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ)
    receivers[connection.fileno()] = Receiver()
    tally.connections += 1


def _read(
    connection: socket.socket,
    selector: selectors.BaseSelector,
    receivers: dict[int, Receiver],
    recording: Recording,
    tally: Tally,
) -> None:
    """Read what a connection has, record it, and close the connection at its end."""
    receiver = receivers[connection.fileno()]
    fault = ""
    octets = b""
    try:
        octets = connection.recv(_PIECE)
        before = receiver.frames
        data, answer = receiver.receive(octets)
        recording.write(data, receiver.frames - before)
        fault = receiver.fault
        if answer:
            connection.sendall(answer)
    except BlockingIOError:
        if not octets:
            return
        fault = "does not read our answers"
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
    if not octets and not fault and receiver.held:
        fault = "ended within a frame"
    if not octets or fault or receiver.finished:
        if fault and len(tally.broken) < limits.LISTEN_FAULTS:
            tally.broken.append(fault)
        elif fault:
            tally.untold += 1
        del receivers[connection.fileno()]
        selector.unregister(connection)
        connection.close()
