"""Knot Resolver: dnstap of its client side, its validation failures in its log."""

from pathlib import Path

from labkit.resolving.setting import Program, Setting


def _start(setting: Setting) -> list[str]:
    resolver, folder = setting.resolver, setting.folder
    setting.write("root.hints", setting.hints())
    setting.write("root.keys", *setting.anchors)
    configuration = setting.write(
        "kresd.conf",
        *[f"net.listen('{a}', 53, {{ kind = 'dns' }})" for a in resolver.addresses],
        f"net.outgoing_v4('{resolver.addresses[0]}')",
        f"net.outgoing_v6('{resolver.addresses[1]}')",
        "log_target('stderr')",
        "log_groups({'dnssec'})",
        "modules.unload('ta_update')",
        "modules.unload('ta_signal_query')",
        "modules.unload('priming')",
        "modules.unload('detect_time_skew')",
        "modules = { 'hints', 'bogus_log', 'dnstap' }",
        f"hints.root_file('{folder}/root.hints')",
        f"trust_anchors.add_file('{folder}/root.keys', true)",
        "cache.size = 10 * MB",
        "cache.min_ttl(1)",
        "cache.max_ttl(60)",
        "dnstap.config({",
        f"  socket_path = '{setting.socket}', identity = '{resolver.identity}',",
        "  version = 'Knot Resolver', client = { log_queries = true, log_responses = true },",
        "})",
        *setting.extra,
    )
    return ["kresd", "-n", "-c", str(configuration), str(folder)]


def _control(folder: Path, order: tuple[str, ...]) -> list[str]:
    raise NotImplementedError(f"nothing is asked of {folder.name} yet: {order}")


PROGRAM = Program(_start, _control, ("kresd", "--version"), "output.txt")
