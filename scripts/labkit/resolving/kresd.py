"""Knot Resolver: dnstap of its client side, its validation failures in its log."""

from pathlib import Path

from labkit.resolving.setting import Program, Setting


def _start(setting: Setting) -> list[str]:
    resolver, folder = setting.resolver, setting.folder
    setting.write("root.hints", setting.hints())
    configuration = setting.write(
        "kresd.conf",
        *[f"net.listen('{a}', 53, {{ kind = 'dns' }})" for a in resolver.addresses],
        f"net.outgoing_v4('{resolver.addresses[0]}')",
        f"net.outgoing_v6('{resolver.addresses[1]}')",
        "log_target('stderr')",
        "log_groups({'dnssec'})",
        *_trust(setting),
        "modules.unload('ta_signal_query')",
        "modules.unload('priming')",
        "modules.unload('detect_time_skew')",
        "modules = { 'hints', 'bogus_log', 'dnstap' }",
        f"hints.root_file('{folder}/root.hints')",
        "cache.size = 10 * MB",
        "cache.min_ttl(1)",
        "cache.max_ttl(60)",
        "dnstap.config({",
        f"  socket_path = '{setting.socket}', identity = '{resolver.identity}',",
        "  version = 'Knot Resolver', client = { log_queries = true, log_responses = true },",
        "})",
        *(line for line in setting.extra if line != "managed"),
    )
    return ["kresd", "-n", "-c", str(configuration), str(folder)]


def _trust(setting: Setting) -> list[str]:
    """Trust the anchors for good, or follow them by RFC 5011, or trust none at all."""
    keys = setting.folder / "root.keys"
    if "managed" in setting.extra:
        return [
            "log_groups({'dnssec', 'taupd'})",
            "modules.load('ta_update')",
            "ta_update.hold_down_time = 8 * sec",
            "ta_update.refresh_time = 3 * sec",
            f"trust_anchors.add_file('{keys}')",
        ]
    if not setting.anchors:
        return ["modules.unload('ta_update')", "trust_anchors.remove('.')"]
    setting.write(keys.name, *setting.anchors)
    return ["modules.unload('ta_update')", f"trust_anchors.add_file('{keys}', true)"]


def _control(folder: Path, order: tuple[str, ...]) -> list[str]:
    raise NotImplementedError(f"nothing is asked of {folder.name} yet: {order}")


PROGRAM = Program(_start, _control, ("kresd", "--version"), "output.txt")
