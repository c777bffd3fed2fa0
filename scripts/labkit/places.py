"""Who stands where in the lab's small world; addresses are from documentation ranges."""

from labkit.topology import CONTROL_SERVER, HOSTING_SERVER, ROOT_SERVERS, Resolver, Server, Stub

MONITOR = ("192.0.2.200", "2001:db8:1::200")
ATTACKER = "203.0.113.66"
ROOT_NAMES = {"a.rootsrv.": ROOT_SERVERS[0], "b.rootsrv.": ROOT_SERVERS[1]}
LAGS = (0.0, 0.7, 1.5, 2.2)  # seconds from a new serial to each server of a zone, in their order

RESOLVERS = {
    "unbound": Resolver("unbound", "resolver-1.lab", ("192.0.2.53", "2001:db8:1::53"), True),
    "bind": Resolver("bind", "resolver-2.lab", ("192.0.2.54", "2001:db8:1::54"), True),
    "recursor": Resolver("recursor", "resolver-3.lab", ("192.0.2.55", "2001:db8:1::55"), True),
    "kresd": Resolver("kresd", "resolver-4.lab", ("192.0.2.56", "2001:db8:1::56"), True),
    "plain": Resolver("plain", "resolver-5.lab", ("192.0.2.57", "2001:db8:1::57"), False),
    "unbound-2": Resolver("unbound-2", "resolver-6.lab", ("192.0.2.58", "2001:db8:1::58"), True),
    "plain-2": Resolver("plain-2", "resolver-8.lab", ("192.0.2.60", "2001:db8:1::60"), False),
    "front": Resolver("front", "resolver-7.lab", ("192.0.2.59",), True),
}
SOFTWARE = {
    "unbound": "unbound",
    "unbound-2": "unbound",
    "plain": "unbound",
    "plain-2": "unbound",
    "bind": "bind",
    "recursor": "recursor",
    "kresd": "kresd",
    "front": "front",
}


def zone_server(number: int, software: str) -> Server:
    """Return the server of the tested zones with this number, counted from 1."""
    last = 10 + number
    name = f"{software}{number}"
    addresses = (f"198.51.100.{last}", f"2001:db8:53::{last}")
    return Server(f"zone-{name}", software, f"{name}.site{number}.lab", addresses)  # type: ignore[arg-type]


def stubs(resolvers: tuple[str, ...]) -> list[Stub]:
    """Return two clients of each resolver, and one that goes on to the last at a SERVFAIL."""
    found = []
    last = RESOLVERS[resolvers[-1]].addresses[0]
    for place, name in enumerate(resolvers):
        addresses = RESOLVERS[name].addresses
        first = 101 + 10 * place
        found.append(
            Stub(f"stub-{first}", (f"192.0.2.{first}",), addresses[:1], False, 2),
        )
        family = (f"2001:db8:1::{first + 1}", addresses[1]) if len(addresses) > 1 else None
        source, target = family or (f"192.0.2.{first + 1}", addresses[0])
        found.append(Stub(f"stub-{first + 1}", (source,), (target,), True, 1))
    away = (RESOLVERS[resolvers[0]].addresses[0], last)
    found.append(Stub("stub-181", ("192.0.2.181",), away, False, 1))
    return found


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
