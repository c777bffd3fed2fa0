"""Healthy histories of a zone: rolls done right, mishaps that harm nobody. None is an outage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from world import DAY, START, Key, Server, State, World, healthy, key, twins

ZONE = "alpha.de."
SCENES: dict[str, Callable[[int], World]] = {}


def _scene(make: Callable[[World], int]) -> Callable[[World], int]:
    """Enter a scene: it lays out a world's versions and says how many seconds to run."""

    def build(seed: int) -> World:
        keep = 8 if make.__name__ == "caches_keep_too_long" else 1
        world = healthy(seed, lag=10, keep=keep)
        return world.run(make(world), 4)

    SCENES[make.__name__] = build
    return make


def now(world: World, zone: str = ZONE) -> State:
    """The latest version of a zone."""
    return world.versions[zone][-1][1]


def delegating(parent: State, zone: str, *holders: Key) -> tuple:
    """The parent's children, with another DS RRset for one of them."""
    return tuple((name, holders if name == zone else held) for name, held in parent.children)


def starts_as(world: World, state: State) -> State:
    """Replace the first version of a zone."""
    world.versions[state.name] = [(0, state)]
    return state


def _roll_ksk(world: World, zone: str, new: Key, *, double_ds: bool) -> int:
    state, parent = now(world, zone), now(world, world.parent(zone))
    old, zsk = state.keys
    if double_ds:
        parent = world.at(200, parent.next(children=delegating(parent, zone, old, new)))
        world.at(400, state.next(keys=(new, zsk), ksks=(new,)))
        world.at(600, parent.next(children=delegating(parent, zone, new)))
    else:
        state = world.at(200, state.next(keys=(old, new, zsk), ksks=(old, new)))
        world.at(400, parent.next(children=delegating(parent, zone, new)))
        world.at(600, state.next(keys=(new, zsk), ksks=(new,)))
    return 900


@_scene
def secondaries_keep_up(world: World) -> int:
    for server in world.servers:
        server.lag = 0
    return 500


@_scene
def zsk_pre_published(world: World) -> int:
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    state = world.at(300, state.next(keys=(ksk, old, new)))
    state = world.at(500, state.next(zsks=(new,)))
    world.at(700, state.next(keys=(ksk, new)))
    return 1000


@_scene
def zsk_signing_twice(world: World) -> int:
    """RFC 6781 4.1.1.2; the old key goes first, its signatures stay beside the new ones."""
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    state = world.at(300, state.next(keys=(ksk, old, new), zsks=(old, new)))
    state = world.at(600, state.next(keys=(ksk, new)))
    world.at(800, state.next(zsks=(new,)))
    return 1000


@_scene
def ksk_with_two_ds(world: World) -> int:
    return _roll_ksk(world, ZONE, key("alpha new ksk", 257), double_ds=True)


@_scene
def ksk_signing_twice(world: World) -> int:
    return _roll_ksk(world, ZONE, key("alpha new ksk", 257), double_ds=False)


@_scene
def ksk_of_the_top_level(world: World) -> int:
    return _roll_ksk(world, "de.", key("de new ksk", 257), double_ds=False)


@_scene
def ksk_with_the_tag_of_the_old(world: World) -> int:
    one, other = twins("ksk twins", 257)
    state, parent = now(world), now(world, "de.")
    starts_as(world, replace(state, keys=(one, state.keys[1]), ksks=(one,)))
    starts_as(world, parent.next(children=delegating(parent, ZONE, one)))
    return _roll_ksk(world, ZONE, other, double_ds=False)


@_scene
def zsk_with_the_tag_of_the_old(world: World) -> int:
    """And another zone has the new key's twin."""
    one, other = twins("zsk twins")
    state, elsewhere = now(world), now(world, "gamma.nl.")
    ksk = state.keys[0]
    state = starts_as(world, replace(state, keys=(ksk, one), zsks=(one,)))
    starts_as(world, replace(elsewhere, keys=(elsewhere.keys[0], other), zsks=(other,)))
    state = world.at(250, state.next(keys=(ksk, one, other)))
    state = world.at(450, state.next(zsks=(other,)))
    world.at(650, state.next(keys=(ksk, other)))
    return 900


@_scene
def one_key_for_all(world: World) -> int:
    state, parent, new = now(world), now(world, "de."), key("alpha csk", 257)
    old = state.keys[0]
    state = starts_as(world, replace(state, keys=(old,), zsks=(old,)))
    both = {"ksks": (old, new), "zsks": (old, new)}
    state = world.at(200, state.next(keys=(old, new), **both))
    world.at(400, parent.next(children=delegating(parent, ZONE, new)))
    world.at(600, state.next(keys=(new,), ksks=(new,), zsks=(new,)))
    return 900


@_scene
def algorithm_from_8_to_13(world: World) -> int:
    """RFC 6781 4.1.4: signatures first, then keys, then DS; and back in the same order."""
    ksk8, zsk8 = key("alpha ksk 8", 257, 8), key("alpha zsk 8", 256, 8)
    state, parent = now(world), now(world, "de.")
    ksk13, zsk13 = state.keys
    state = starts_as(world, replace(state, keys=(ksk8, zsk8), ksks=(ksk8,), zsks=(zsk8,)))
    parent = starts_as(world, parent.next(children=delegating(parent, ZONE, ksk8)))
    state = world.at(150, state.next(zsks=(zsk8, zsk13)))
    state = world.at(300, state.next(keys=(ksk8, zsk8, ksk13, zsk13), ksks=(ksk8, ksk13)))
    world.at(450, parent.next(children=delegating(parent, ZONE, ksk13)))
    state = world.at(600, state.next(keys=(ksk13, zsk13), ksks=(ksk13,)))
    world.at(750, state.next(zsks=(zsk13,)))
    return 950


@_scene
def root_revokes_its_old_ksk(world: World) -> int:
    """RFC 5011: the revoked key signs the DNSKEY RRset that revokes it."""
    state, new = now(world, "."), key("root new ksk", 257)
    old, zsk = state.keys
    state = world.at(200, state.next(keys=(old, new, zsk)))
    state = world.at(350, state.next(ksks=(new, old)))
    gone = old.flagged(385)
    state = world.at(500, state.next(keys=(gone, new, zsk), ksks=(gone, new)))
    world.at(800, state.next(keys=(new, zsk), ksks=(new,)))
    return 1000


@_scene
def zone_revokes_its_old_ksk(world: World) -> int:
    state, parent, new = now(world), now(world, "de."), key("alpha new ksk", 257)
    old, zsk = state.keys
    state = world.at(200, state.next(keys=(old, new, zsk), ksks=(old, new)))
    world.at(350, parent.next(children=delegating(parent, ZONE, new)))
    gone = old.flagged(385)
    state = world.at(500, state.next(keys=(gone, new, zsk), ksks=(gone, new)))
    world.at(800, state.next(keys=(new, zsk), ksks=(new,)))
    return 1000


@_scene
def secondary_lags(world: World) -> int:
    """Each serial is signed anew; one server is a serial behind."""
    for server in world.servers:
        server.lag *= 6
    state = now(world)
    for number in range(1, 15):
        world.at(number * 70, state.next(serial=number + 1, signed_at=START - DAY + number * 70))
    return 1000


@_scene
def caches_keep_too_long(world: World) -> int:
    """Resolvers go on answering with signatures of a key that is gone, as serve-stale does."""
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    state = world.at(200, state.next(keys=(ksk, old, new)))
    state = world.at(300, state.next(zsks=(new,)))
    world.at(400, state.next(keys=(ksk, new)))
    return 900


@_scene
def insecure_and_back(world: World) -> int:
    state, parent = now(world), now(world, "de.")
    parent = world.at(200, parent.next(children=delegating(parent, ZONE)))
    state = world.at(400, state.next(signed=False))
    ksk, zsk = key("alpha ksk later", 257), key("alpha zsk later")
    world.at(600, state.next(signed=True, keys=(ksk, zsk), ksks=(ksk,), zsks=(zsk,)))
    world.at(800, parent.next(children=delegating(parent, ZONE, ksk)))
    return 1100


@_scene
def signed_for_the_first_time(world: World) -> int:
    zone = "plain.de."
    state, parent = now(world, zone), now(world, "de.")
    ksk, zsk = key("plain ksk", 257), key("plain zsk")
    world.at(300, state.next(signed=True, keys=(ksk, zsk), ksks=(ksk,), zsks=(zsk,)))
    world.at(500, parent.next(children=delegating(parent, zone, ksk)))
    return 900


@_scene
def standby_ds(world: World) -> int:
    """The parent vouches for a key kept in reserve, too (RFC 6781 4.2.4)."""
    parent = now(world, "de.")
    held = (key("standby", 257), *now(world).ksks)
    starts_as(world, parent.next(children=delegating(parent, ZONE, *held)))
    return 500


@_scene
def parent_and_child_on_one_server(world: World) -> int:
    world.servers = [
        Server("192.0.2.1", tuple(world.versions)),
        Server("192.0.2.2", tuple(world.versions), 10),
    ]
    return _roll_ksk(world, ZONE, key("alpha new ksk", 257), double_ds=False)


@_scene
def two_signing_operators(world: World) -> int:
    """RFC 8901 model 2: each signs with its own keys, and publishes the other's ZSK."""
    state, parent = now(world), now(world, "de.")
    (ksk1, zsk1), ksk2, zsk2 = state.keys, key("second ksk", 257), key("second zsk")
    starts_as(world, parent.next(children=delegating(parent, ZONE, ksk1, ksk2)))
    starts_as(world, replace(state, keys=(ksk1, zsk1, zsk2)))
    world.own["192.0.2.32", ZONE] = replace(
        state, serial=2, keys=(ksk2, zsk1, zsk2), ksks=(ksk2,), zsks=(zsk2,)
    )
    return 700


@_scene
def caches_keep_data_longer_than_keys(world: World) -> int:
    """The same, but the DNSKEY RRset was fetched anew."""
    _fresh_keys(world)
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    state = world.at(200, state.next(keys=(ksk, old, new)))
    state = world.at(300, state.next(zsks=(new,)))
    world.at(400, state.next(keys=(ksk, new)))
    return 900


def _fresh_keys(world: World) -> None:
    plain = world.cached

    def cached(when: float, resolver: str, zone: str, name: str, kind: str) -> tuple:
        world.keep = 1 if kind == "DNSKEY" else 8
        return plain(when, resolver, zone, name, kind)

    world.cached = cached
