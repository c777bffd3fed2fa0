"""Record the logs beside this file anew: python record.py (needs pdns_recursor and dnsdist).

A client asks dnsdist, dnsdist a PowerDNS recursor, and that one an authority of our own; all of
them on loopback. Both log to collectors that store the streams as they come.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rrset

HERE = Path(__file__).resolve().parent
AUTHORITY, RECURSOR, DNSDIST = 5399, 5398, 5397
COLLECTORS = {"recursor": 5401, "outgoing": 5402, "dnsdist": 5403}
ASKED = (
    ("www.example.", "A", 0),
    ("nx.example.", "A", 3),
    (r"a\.b\032c.example.", "TXT", 0),
    ("WwW.Example.", "A", 0),
    ("fail.example.", "A", 2),
)


def authority(sock: socket.socket) -> None:
    """Answer whatever is asked."""
    while True:
        data, client = sock.recvfrom(4096)
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        name, kind = query.question[0].name, query.question[0].rdtype
        if name.to_text().startswith("nx"):
            answer.set_rcode(3)
        elif name.to_text().startswith("fail"):
            answer.set_rcode(5)
        elif kind == 1:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1", "192.0.2.2"))
        sock.sendto(answer.to_wire(), client)


def collect(port: int, name: str) -> None:
    """Store the first connection to a port."""
    with socket.create_server(("127.0.0.1", port)) as server, (HERE / name).open("wb") as file:
        while True:
            connection, _ = server.accept()
            while data := connection.recv(65536):
                file.write(data)
                file.flush()


def main() -> None:
    """Start everything, ask, and stop it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", AUTHORITY))
    threading.Thread(target=authority, args=(sock,), daemon=True).start()
    for name, port in COLLECTORS.items():
        threading.Thread(target=collect, args=(port, f"{name}.pb"), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "log.lua").write_text(
            f'protobufServer("127.0.0.1:{COLLECTORS["recursor"]}")\n'
            f'outgoingProtobufServer("127.0.0.1:{COLLECTORS["outgoing"]}")\n'
        )
        (work / "recursor.conf").write_text(
            f"local-address=127.0.0.1\nlocal-port={RECURSOR}\nsocket-dir={work}\nthreads=1\n"
            f"forward-zones=.=127.0.0.1:{AUTHORITY}\ndont-query=\nsecurity-poll-suffix=\n"
            f"lua-config-file={work}/log.lua\ndnssec=off\nsetuid=root\n"
            "server-id=recursor-1\nmax-busy-dot-probes=0\n"
        )
        (work / "dnsdist.conf").write_text(
            f'setLocal("127.0.0.1:{DNSDIST}")\nsetSecurityPollSuffix("")\n'
            f'newServer({{address="127.0.0.1:{RECURSOR}", healthCheckMode="up"}})\n'
            f'rl = newRemoteLogger("127.0.0.1:{COLLECTORS["dnsdist"]}")\n'
            'addAction(AllRule(), RemoteLogAction(rl, nil, {serverID="dnsdist-1"}))\n'
            "addResponseAction(AllRule(), "
            'RemoteLogResponseAction(rl, nil, true, {serverID="dnsdist-1"}))\n'
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started = [
            subprocess.Popen(["pdns_recursor", f"--config-dir={work}"], **quiet),
            subprocess.Popen(["dnsdist", "--supervised", "-C", f"{work}/dnsdist.conf"], **quiet),
        ]
        try:
            time.sleep(4)
            for name, kind, rcode in ASKED:
                query = dns.message.make_query(name, kind)
                answer = dns.query.udp(query, "127.0.0.1", port=DNSDIST, timeout=5)
                assert answer.rcode() == rcode, (name, answer.rcode())
            query = dns.message.make_query("www.example.", "A")
            dns.query.tcp(query, "127.0.0.1", port=DNSDIST, timeout=5)
            time.sleep(2)
        finally:
            for process in started:
                process.terminate()
                process.wait(10)


if __name__ == "__main__":
    main()
