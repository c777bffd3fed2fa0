"""Who stands where in the lab's small world; addresses are from documentation ranges."""

from labkit.topology import (
    CONTROL_SERVER,
    HOSTING_SERVER,
    ROOT_SERVERS,
    Resolver,
    Server,
    Stub,
    stubs_of,
)

MONITOR = ("192.0.2.200", "2001:db8:1::200")
ATTACKER = "203.0.113.66"
ROOT_NAMES = {"a.rootsrv.": ROOT_SERVERS[0], "b.rootsrv.": ROOT_SERVERS[1]}
LAGS = (0.0, 0.7, 1.5, 2.2)  # seconds from a new serial to each server of a zone, in their order

RESOLVERS = {
    "unbound": Resolver("unbound", "resolver-1.lab", ("192.0.2.53", "2001:db8:1::53"), True),
    "bind": Resolver("bind", "resolver-2.lab", ("192.0.2.54", "2001:db8:1::54"), True, "bind"),
    "recursor": Resolver(
        "recursor", "resolver-3.lab", ("192.0.2.55", "2001:db8:1::55"), True, "recursor"
    ),
    "kresd": Resolver("kresd", "resolver-4.lab", ("192.0.2.56", "2001:db8:1::56"), True, "kresd"),
    "plain": Resolver("plain", "resolver-5.lab", ("192.0.2.57", "2001:db8:1::57"), False),
    "unbound-2": Resolver("unbound-2", "resolver-6.lab", ("192.0.2.58", "2001:db8:1::58"), True),
    "plain-2": Resolver("plain-2", "resolver-8.lab", ("192.0.2.60", "2001:db8:1::60"), False),
    "front": Resolver("front", "resolver-7.lab", ("192.0.2.59",), True, "front"),
}


def zone_server(number: int, software: str) -> Server:
    """Return the server of the tested zones with this number, counted from 1."""
    last = 10 + number
    name = f"{software}{number}"
    addresses = (f"198.51.100.{last}", f"2001:db8:53::{last}")
    return Server(f"zone-{name}", software, f"{name}.site{number}.lab", addresses)  # type: ignore[arg-type]


def stubs(names: tuple[str, ...]) -> list[Stub]:
    """Return the clients of the resolvers of these names."""
    return stubs_of([RESOLVERS[name] for name in names])


def all_addresses() -> list[str]:
    """Return every address the namespace must hold, each once."""
    found = [*MONITOR, ATTACKER]
    for server in (*ROOT_SERVERS, CONTROL_SERVER, HOSTING_SERVER):
        found.extend(server.addresses)
    for number in range(1, 9):
        found.extend(zone_server(number, "any").addresses)
    for resolver in RESOLVERS.values():
        found.extend(resolver.addresses)
    for last in range(100, 190):
        found += [f"192.0.2.{last}", f"2001:db8:1::{last}"]
    return found
