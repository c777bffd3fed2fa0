"""BIND as a validating resolver: dnstap of both sides, its dnssec and lame-servers categories."""

import base64
import secrets
from pathlib import Path

from labkit.resolving.setting import Program, Setting


def _start(setting: Setting) -> list[str]:
    resolver, folder = setting.resolver, setting.folder
    setting.write("root.hints", setting.hints())
    ipv4 = "".join(f"{a}; " for a in resolver.addresses if ":" not in a)
    ipv6 = "".join(f"{a}; " for a in resolver.addresses if ":" in a)
    anchors = []
    for line in setting.anchors:
        owner, _, _, rdata = line.split(maxsplit=3)
        tag, algorithm, digest, text = rdata.split(maxsplit=3)
        kind = "initial-ds" if "managed" in setting.extra else "static-ds"
        anchors.append(f'  "{owner}" {kind} {tag} {algorithm} {digest} "{text.replace(" ", "")}";')
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    key = f'key "lab" {{ algorithm hmac-sha256; secret "{secret}"; }};'
    setting.write("rndc.conf", key, 'options { default-key "lab"; default-server 127.0.0.1; };')
    configuration = setting.write(
        "named.conf",
        key,
        'controls { inet 127.0.0.1 port 953 allow { 127.0.0.1; } keys { "lab"; }; };',
        "options {",
        f'  directory "{folder}";',
        f"  listen-on {{ {ipv4}}};",
        f"  listen-on-v6 {{ {ipv6}}};",
        f"  query-source address {resolver.addresses[0]};",
        f"  query-source-v6 address {resolver.addresses[1]};",
        "  recursion yes; allow-query { any; }; allow-recursion { any; };",
        "  dnssec-validation yes; empty-zones-enable no; notify no; minimal-responses yes;",
        "  servfail-ttl 1; lame-ttl 0; max-ncache-ttl 30; qname-minimization relaxed;",
        f'  pid-file none; lock-file none; session-keyfile "{folder}/session.key";',
        "  dnstap { client; resolver; };",
        f'  dnstap-output unix "{setting.socket}";',
        f'  dnstap-identity "{resolver.identity}";',
        "};",
        'zone "." { type hint; file "root.hints"; };',
        *(["trust-anchors {", *anchors, "};"] if anchors else []),
        "logging {",
        f'  channel file {{ file "{folder}/named.log"; print-time iso8601-utc; '
        "print-category yes; print-severity yes; severity info; };",
        f'  channel rest {{ file "{folder}/rest.log"; severity info; }};',
        "  category dnssec { file; }; category lame-servers { file; };",
        "  category query-errors { file; }; category default { rest; };",
        "};",
    )
    timers = ["-T", "mkeytimers=2/5/15"] if "managed" in setting.extra else []
    return ["named", "-f", "-n", "1", *timers, "-c", str(configuration)]


def _control(folder: Path, order: tuple[str, ...]) -> list[str]:
    return ["rndc", "-c", str(folder / "rndc.conf"), *order]


PROGRAM = Program(_start, _control, ("named", "-V"), "named.log")
