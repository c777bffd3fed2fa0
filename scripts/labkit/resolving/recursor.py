"""PowerDNS Recursor: dnstap of its upstream side, `dnssec=validate` and `dnssec-log-bogus`."""

from pathlib import Path

from labkit.resolving.setting import Program, Setting


def _start(setting: Setting) -> list[str]:
    resolver, folder = setting.resolver, setting.folder
    setting.write("root.hints", setting.hints())
    anchors = ['clearTA(".")']
    for line in setting.anchors:
        anchors.append(f'addTA(".", "{line.split(maxsplit=3)[3]}")')
    setting.write("recursor.lua", *anchors, f'dnstapFrameStreamServer({{"{setting.socket}"}})')
    setting.write(
        "recursor.conf",
        "local-address=" + ", ".join(resolver.addresses),
        "query-local-address=" + ", ".join(resolver.addresses),
        "allow-from=0.0.0.0/0, ::/0",
        "dont-query=",
        f"hint-file={folder}/root.hints",
        f"lua-config-file={folder}/recursor.lua",
        f"socket-dir={folder}",
        f"server-id={resolver.identity}",
        "dnssec=validate",
        "dnssec-log-bogus=yes",
        "extended-resolution-errors=yes",
        "max-cache-bogus-ttl=5",
        "max-negative-ttl=30",
        "packetcache-servfail-ttl=1",
        "edns-outgoing-bufsize=1232",
        "security-poll-suffix=",
        "disable-syslog=yes",
        "log-timestamp=yes",
        "loglevel=6",
        "quiet=yes",
        "threads=1",
        "distributor-threads=0",
        "pdns-distributes-queries=no",
        "daemon=no",
        "export-etc-hosts=no",
        *setting.extra,
    )
    return ["pdns_recursor", f"--config-dir={folder}"]


def _control(folder: Path, order: tuple[str, ...]) -> list[str]:
    return ["rec_control", f"--socket-dir={folder}", *order]


PROGRAM = Program(_start, _control, ("pdns_recursor", "--version"), "output.txt")
