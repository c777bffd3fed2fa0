"""The kernel that stamps packets: it takes templates and writes classic pcap records.

Time moves in slots, of SLOT_MICROSECONDS if nothing else is asked. Each slot sends one
new query and then whatever is due: responses and retransmissions wait in a wheel of WHEEL
slots. The outcome depends on the seed alone, not on how the caller cuts the output into
blocks.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from benchkit.packet import (
    CLIENT,
    EVENT_COLUMNS,
    IDENTITY,
    KIND,
    MAX_RECORD,
    NEXT,
    PORT,
    QUERY,
    RESPONSE,
    RETRANSMISSION,
    ROW,
    SCENE,
    put_packet,
)
from benchkit.templates import Templates

SLOT_MICROSECONDS = 40
"""One query and about one response per slot: 50,000 packets a second."""
WHEEL = 1 << 16
"""Slots that an event may lie ahead (2.6 s)."""
POOL = 1 << 18
"""Events that may wait at once: far more than WHEEL slots make."""
RESPONSE_MICROSECONDS = 2_000
"""Mean delay of a response beyond the smallest, an exponential."""
FIRST_RESPONSE_MICROSECONDS = 200
SLOW_ONE_IN = 100
"""One response in so many is SLOW_FACTOR times later."""
SLOW_FACTOR = 20.0
LOST_SHARE = 0.03
"""Queries, first ones and retransmitted ones, that get no response."""
RETRANSMIT_SHARE = 0.85
"""Lost first queries that are sent again, with the same id and port."""
RETRANSMIT_FIRST = 400_000
RETRANSMIT_SPREAD = 800_000
"""Microseconds until a retransmission: 0.4 to 1.2 s."""
CLIENTS = 400_000
PLAIN_PORTS = 1_024
"""Ports that no client uses: those below."""
SLOT_ROOM = 256 * MAX_RECORD
"""Octets that must be free in the block before a slot begins."""

SLOT, PACKETS, QUERIES, RESPONSES, RETRANSMISSIONS, FREE, RANDOM, LENGTH = range(8)
"""Places in the int64 state; the counts are of packets written, LENGTH is microseconds a slot."""
STATES = 8


class Progress(NamedTuple):
    """All that the kernel remembers from one block to the next."""

    state: np.ndarray
    """int64[STATES]."""
    wheel: np.ndarray
    """int64[WHEEL]: the first event due in a slot, -1 for none."""
    events: np.ndarray
    """int64[POOL, EVENT_COLUMNS]: waiting events and, linked by NEXT, free places."""
    clients: np.ndarray
    """uint8[CLIENTS]: 1 where the client has sent a query."""
    names: np.ndarray
    """uint8[labels + fixed names]: 1 where the name was asked; fixed ones after the labels."""
    shown: np.ndarray
    """uint8[scenes]: 1 where the scene's response was written."""


def begin(templates: Templates, seed: int, length: int = SLOT_MICROSECONDS) -> Progress:
    """Return the progress before the first packet, with slots of so many microseconds."""
    state = np.zeros(STATES, dtype=np.int64)
    state[LENGTH] = length
    state[RANDOM] = seed * 7_919 + 1
    events = np.zeros((POOL, EVENT_COLUMNS), dtype=np.int64)
    events[:, NEXT] = np.arange(1, POOL + 1)
    events[-1, NEXT] = -1
    names = np.zeros(len(templates.labels) + templates.name.max() + 1, dtype=np.uint8)
    shown = np.zeros(len(templates.name), dtype=np.uint8)
    clients = np.zeros(CLIENTS, dtype=np.uint8)
    return Progress(state, np.full(WHEEL, -1, dtype=np.int64), events, clients, names, shown)


@njit(nogil=True)
def draw(state: np.ndarray) -> float:
    """Draw a uniform number in [0, 1) (splitmix64)."""
    seed = np.uint64(state[RANDOM]) + np.uint64(0x9E3779B97F4A7C15)
    state[RANDOM] = np.int64(seed)
    mixed = (seed ^ (seed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return float(mixed >> np.uint64(11)) / 9007199254740992.0


@njit(nogil=True)
def schedule(progress: Progress, event: np.ndarray, kind: int, slots: int) -> None:
    """Let a copy of the event happen as `kind` after some slots."""
    state, events = progress.state, progress.events
    place = state[FREE]
    state[FREE] = events[place, NEXT]
    events[place, :] = event
    events[place, KIND] = kind
    slot = (state[SLOT] + min(max(slots, 1), WHEEL - 1)) % WHEEL
    events[place, NEXT] = progress.wheel[slot]
    progress.wheel[slot] = place


@njit(nogil=True)
def follow(progress: Progress, event: np.ndarray, reliable: bool) -> None:
    """Decide what becomes of a query just sent: a response, a retransmission or nothing."""
    state = progress.state
    if reliable or draw(state) >= LOST_SHARE:
        slots = -np.log(1.0 - draw(state)) * (RESPONSE_MICROSECONDS / state[LENGTH])
        if draw(state) * SLOW_ONE_IN < 1.0:
            slots *= SLOW_FACTOR
        first = FIRST_RESPONSE_MICROSECONDS // state[LENGTH]
        schedule(progress, event, RESPONSE, first + int(slots))
    elif event[KIND] == QUERY and draw(state) < RETRANSMIT_SHARE:
        wait = RETRANSMIT_FIRST + int(draw(state) * RETRANSMIT_SPREAD)
        schedule(progress, event, RETRANSMISSION, wait // state[LENGTH])


@njit(nogil=True)
def choose(progress: Progress, templates: Templates, event: np.ndarray) -> None:
    """Fill in the event of a new query; low rows, clients and scenes come more often."""
    state = progress.state
    asked = state[SLOT]
    if asked < len(templates.order):
        scene = templates.order[asked]
    else:
        family = min(int(np.searchsorted(templates.share, draw(state))), len(templates.share) - 1)
        first, end = templates.family[family]
        scene = first + int(draw(state) ** 2 * (end - first))
    first, end = templates.rows[scene]
    event[SCENE] = scene
    event[ROW] = first + int(draw(state) ** 1.5 * (end - first))
    event[CLIENT] = int(draw(state) ** 2 * CLIENTS)
    event[PORT] = PLAIN_PORTS + int(draw(state) * (65_536 - PLAIN_PORTS))
    event[IDENTITY] = int(draw(state) * 65_536)
    event[KIND] = QUERY
    progress.clients[event[CLIENT]] = 1
    name = event[ROW] if end > first else len(templates.labels) + templates.name[scene]
    progress.names[name] = 1


@njit(nogil=True)
def fill(out: np.ndarray, progress: Progress, templates: Templates, packets: int) -> int:
    """Write records into uint8[n] `out` until it is nearly full or `packets` is reached.

    Returns the octets written. Call again, with the same progress, for the next block.
    """
    state, events = progress.state, progress.events
    event = np.zeros(EVENT_COLUMNS, dtype=np.int64)
    at = 0
    while at + SLOT_ROOM < len(out) and state[PACKETS] < packets:
        began = state[SLOT] * state[LENGTH]
        choose(progress, templates, event)
        at = put_packet(out, at, templates, event, began)
        state[PACKETS] += 1
        state[QUERIES] += 1
        follow(progress, event, state[SLOT] < len(templates.order))
        slot = state[SLOT] % WHEEL
        place = progress.wheel[slot]
        progress.wheel[slot] = -1
        within = 0
        while place >= 0:
            event[:] = events[place]
            following = event[NEXT]
            events[place, NEXT] = state[FREE]
            state[FREE] = place
            place = following
            if at + MAX_RECORD > len(out):
                schedule(progress, event, event[KIND], 1)
                continue
            if state[PACKETS] == packets:
                continue
            within += 1
            at = put_packet(out, at, templates, event, began + min(within, state[LENGTH] - 1))
            state[PACKETS] += 1
            if event[KIND] == RETRANSMISSION:
                state[RETRANSMISSIONS] += 1
                follow(progress, event, False)
            else:
                state[RESPONSES] += 1
                progress.shown[event[SCENE]] = 1
        state[SLOT] += 1
    return at
