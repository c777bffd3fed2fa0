"""Record the captures of this folder: real DNS over TLS, with the key logs of its clients.

    sudo python make.py

Needs root (a network namespace of its own), nsd, unbound, kresd, kdig, openssl, tcpdump
and the LDNS tools. The server's key is made anew each time, and so is every octet.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dns.message
import dns.name

HERE = Path(__file__).resolve().parent
SPACE = "dns-forensics-tls"
ZONE = "tls.example."
CLIENT, NSD, UNBOUND, KRESD = (f"10.85.3.{i}" for i in range(1, 5))
KEYS = 34
"""Keys of 2048 bits that sign the DNSKEY RRset: with them the answer needs two TLS records."""


def inside(*command: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ip", "netns", "exec", SPACE, *command], check=True, **more)


def begin(*command: str, **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["ip", "netns", "exec", SPACE, *command], **more)


def make_zone(folder: Path) -> None:
    """Write the signed zone `zone.signed`."""
    hosts = "".join(f"host{i} A 192.0.2.{i}\n" for i in range(1, 40))
    (folder / "zone").write_text(
        f"$ORIGIN {ZONE}\n$TTL 300\n@ SOA ns hostmaster 1 3600 900 86400 300\n@ NS ns\n"
        f"ns A {NSD}\n{hosts}"
    )
    keys = [
        subprocess.run(
            ["ldns-keygen", *kind, ZONE], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()
        for kind in [("-a", "ECDSAP256SHA256"), *KEYS * [("-a", "RSASHA256", "-b", "2048", "-k")]]
    ]
    subprocess.run(
        ["ldns-signzone", "-f", "zone.signed", "-o", ZONE, "zone", *keys], cwd=folder, check=True
    )


def start_servers(folder: Path) -> list[subprocess.Popen[bytes]]:
    """Start the three servers, each with DNS over TLS."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=tls.example", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "nsd.conf").write_text(f"""
server:
  ip-address: {NSD}@53
  ip-address: {NSD}@853
  tls-port: 853
  tls-service-key: {folder}/key.pem
  tls-service-pem: {folder}/cert.pem
  username: ""
  zonesdir: {folder}
  database: ""
  pidfile: {folder}/nsd.pid
  xfrdfile: {folder}/xfrd.state
  zonelistfile: {folder}/zone.list
remote-control:
  control-enable: no
zone:
  name: {ZONE}
  zonefile: zone.signed
  provide-xfr: 0.0.0.0/0 NOKEY
""")
    (folder / "unbound.conf").write_text(f"""
server:
  interface: {UNBOUND}@853
  tls-port: 853
  tls-service-key: {folder}/key.pem
  tls-service-pem: {folder}/cert.pem
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: {folder}
  pidfile: {folder}/unbound.pid
  use-syslog: no
  module-config: iterator
auth-zone:
  name: {ZONE}
  zonefile: zone.signed
  for-downstream: yes
remote-control:
  control-enable: no
""")
    (folder / "kresd.conf").write_text(f"""
net.listen('{KRESD}', 853, {{ kind = 'tls' }})
net.tls('{folder}/cert.pem', '{folder}/key.pem')
trust_anchors.remove('.')
policy.add(policy.all(policy.STUB('{NSD}')))
""")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    (folder / "kresd").mkdir()
    return [
        begin("nsd", "-d", "-c", str(folder / "nsd.conf"), **quiet),
        begin("unbound", "-d", "-c", str(folder / "unbound.conf"), **quiet),
        begin("kresd", "-n", "-c", str(folder / "kresd.conf"), str(folder / "kresd"), **quiet),
    ]


def framed(name: str, kind: str, number: int) -> bytes:
    message = dns.message.make_query(name, kind, want_dnssec=True)
    message.id = number
    wire = message.to_wire()
    return struct.pack(">H", len(wire)) + wire


def receive(stream: ssl.SSLSocket, count: int) -> None:
    """Read so many messages."""
    held = b""
    while count:
        more = stream.recv(65536)
        if not more:
            raise EOFError(count)
        held += more
        while len(held) >= 2 and len(held) >= 2 + int.from_bytes(held[:2]):
            held = held[2 + int.from_bytes(held[:2]) :]
            count -= 1


def converse(server: str, keylog: str, version: ssl.TLSVersion, ciphers: str = "") -> None:
    """Ask, then many questions at once, then one in two records; NSD, which loses those, twice."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.keylog_filename = keylog
    if ciphers:
        context.set_ciphers(ciphers)
    with (
        socket.create_connection((server, 853), source_address=(CLIENT, 0)) as plain,
        context.wrap_socket(plain) as stream,
    ):
        stream.settimeout(10)
        stream.sendall(framed(f"host1.{ZONE}", "A", 1))
        receive(stream, 1)
        if server == NSD:
            stream.sendall(framed(f"host2.{ZONE}", "A", 2))
            receive(stream, 1)
            return
        stream.sendall(b"".join(framed(f"host{i}.{ZONE}", "A", i) for i in range(2, 7)))
        receive(stream, 5)
        question = framed(f"nothing.{ZONE}", "AAAA", 7)
        stream.sendall(question[:9])
        stream.sendall(question[9:])
        receive(stream, 1)


def update_keys(server: str, keylog: str, suite: str) -> None:
    """Ask in padded records, change the keys of one or both ways (KeyUpdate), and ask again."""
    client = subprocess.Popen(
        ["openssl", "s_client", "-tls1_3", "-ciphersuites", suite, "-keylogfile", keylog,
         "-record_padding", "400", "-connect", f"{server}:853"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert client.stdin
    for i, said in enumerate((b"", b"K\n", b"k\n"), 1):
        if said:
            client.stdin.write(said)
            client.stdin.flush()
            time.sleep(0.4)
        client.stdin.write(framed(f"host{i}.{ZONE}", "A", i))
        client.stdin.flush()
        time.sleep(0.6)
    client.stdin.close()
    client.wait(10)


def kdig(server: str, keylog: str, kind: str) -> None:
    subprocess.run(
        ["kdig", "+tls", "+dnssec", "+noall", "-b", CLIENT, f"@{server}", ZONE, kind],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SSLKEYLOGFILE": keylog},
    )  # fmt: skip


def talk12(keylog: str) -> None:
    for server, ciphers in (
        (NSD, "ECDHE-RSA-AES128-GCM-SHA256"),
        (UNBOUND, "ECDHE-RSA-AES256-GCM-SHA384"),
        (UNBOUND, "ECDHE-RSA-CHACHA20-POLY1305"),
        (KRESD, "ECDHE-RSA-CHACHA20-POLY1305"),
    ):
        converse(server, keylog, ssl.TLSVersion.TLSv1_2, ciphers)


def talk13(keylog: str) -> None:
    for server in (NSD, UNBOUND, KRESD):
        converse(server, keylog, ssl.TLSVersion.TLSv1_3)
        kdig(server, keylog, "SOA")
    kdig(NSD, keylog, "DNSKEY")
    kdig(NSD, keylog, "AXFR")
    update_keys(UNBOUND, keylog, "TLS_CHACHA20_POLY1305_SHA256")
    update_keys(UNBOUND, keylog, "TLS_AES_128_GCM_SHA256")


def main() -> None:
    """Make the namespace, the servers and the two captures."""
    if sys.argv[1:]:
        # In the namespace.
        {"12": talk12, "13": talk13}[sys.argv[1]](sys.argv[2])
        return
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    servers = []
    try:
        inside("ip", "link", "set", "lo", "up", "mtu", "1500")
        inside("ip", "link", "set", "lo", "gso_max_segs", "1")
        for address in (CLIENT, NSD, UNBOUND, KRESD):
            inside("ip", "address", "add", f"{address}/32", "dev", "lo")
        with tempfile.TemporaryDirectory(prefix="dns-forensics-") as made:
            folder = Path(made)
            make_zone(folder)
            servers += start_servers(folder)
            time.sleep(4)
            for name in ("12", "13"):
                target = HERE / f"dot{name}.pcap"
                keylog = HERE / f"dot{name}.keys"
                keylog.unlink(missing_ok=True)
                dump = begin("tcpdump", "-i", "lo", "-U", "-w", str(target), "tcp port 853")
                time.sleep(2)
                inside(sys.executable, __file__, name, str(keylog))
                time.sleep(2)
                dump.terminate()
                dump.wait()
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        subprocess.run(["ip", "netns", "delete", SPACE], check=True)


if __name__ == "__main__":
    main()
