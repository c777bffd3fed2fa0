"""Unbound, validating or not: dnstap of both sides, `val-log-level: 2`."""

from pathlib import Path

from labkit.resolving.setting import Program, Setting

BOGUS_TTL = 5  # val-bogus-ttl; the default is 60


def _start(setting: Setting) -> list[str]:
    resolver, folder = setting.resolver, setting.folder
    setting.write("root.hints", setting.hints())
    setting.write("anchor", *setting.anchors)
    own_anchor = any("trust-anchor" in line for line in setting.extra) or not setting.anchors
    if resolver.validating:
        module = [
            '  module-config: "validator iterator"',
            *([] if own_anchor else [f'  trust-anchor-file: "{folder}/anchor"']),
            "  val-log-level: 2",
            f"  val-bogus-ttl: {BOGUS_TTL}",
            "  aggressive-nsec: no",
            "  ede: yes",
        ]
    else:
        module = ['  module-config: "iterator"']
    own_buffer = any("edns-buffer-size" in line for line in setting.extra)
    configuration = setting.write(
        "unbound.conf",
        "server:",
        *[f"  interface: {address}" for address in resolver.addresses],
        *[f"  outgoing-interface: {address}" for address in resolver.addresses],
        "  access-control: 0.0.0.0/0 allow",
        "  access-control: ::/0 allow",
        '  username: ""',
        '  chroot: ""',
        '  pidfile: ""',
        f'  directory: "{folder}"',
        f'  root-hints: "{folder}/root.hints"',
        f'  logfile: "{folder}/unbound.log"',
        "  use-syslog: no",
        "  log-servfail: yes",
        "  verbosity: 1",
        "  num-threads: 1",
        "  infra-host-ttl: 20",
        *([] if own_buffer else ["  edns-buffer-size: 1232"]),
        *module,
        *[f"  {line}" for line in setting.extra if not line.startswith("auth-zone")],
        "dnstap:",
        "  dnstap-enable: yes",
        "  dnstap-bidirectional: yes",
        f'  dnstap-socket-path: "../{setting.socket.name}"',
        "  dnstap-send-identity: yes",
        f'  dnstap-identity: "{resolver.identity}"',
        "  dnstap-send-version: yes",
        *[
            f"  dnstap-log-{side}-{kind}-messages: yes"
            for side in ("client", "resolver")
            for kind in ("query", "response")
        ],
        "remote-control:",
        "  control-enable: yes",
        f'  control-interface: "{folder}/control.sock"',
        "  control-use-cert: no",
        *[line.removeprefix("auth-zone ") for line in setting.extra if line[:4] == "auth"],
    )
    return ["unbound", "-d", "-c", str(configuration)]


def _control(folder: Path, order: tuple[str, ...]) -> list[str]:
    return ["unbound-control", "-c", str(folder / "unbound.conf"), *order]


PROGRAM = Program(_start, _control, ("unbound", "-V"), "unbound.log")
