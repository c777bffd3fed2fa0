"""Pack the scenes into arrays that the stamping kernel reads."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from benchkit.messages import LABEL_OCTETS, MARKER, Scene
from benchkit.scenes import WEIGHTS

HEADER_OCTETS = 12
"""Length of the DNS header (RFC 1035 section 4.1.1)."""


class Templates(NamedTuple):
    """All scenes, one row each, sorted by family (in the order of WEIGHTS).

    Offsets and lengths are octets; a message is at `octets[offset : offset + length]`.
    """

    octets: np.ndarray
    """uint8[n]: all messages, a query directly before its response."""
    query: np.ndarray
    """int64[scenes, 3]: offset, length, sum of the 16-bit words with label and id zero."""
    response: np.ndarray
    """int64[scenes, 3], as for the query."""
    place: np.ndarray
    """int64[scenes]: where the label stands in the message, 0 for a fixed name."""
    rows: np.ndarray
    """int64[scenes, 2]: first row and end in `labels`."""
    name: np.ndarray
    """int64[scenes]: number of the fixed name, from 0; -1 where there are labels."""
    host: np.ndarray
    """int64[scenes]: index of the answering server."""
    family: np.ndarray
    """int64[families, 2]: first scene and end."""
    share: np.ndarray
    """float64[families]: cumulative share of the transactions."""
    labels: np.ndarray
    """uint8[m, LABEL_OCTETS]."""
    order: np.ndarray
    """int64[scenes]: the scenes shuffled, for showing each of them once."""


def pack(scenes: Iterable[Scene], seed: int) -> Templates:
    """Pack the scenes; the marker of each message is overwritten with zeros."""
    families = list(WEIGHTS)
    ordered = sorted(scenes, key=lambda scene: families.index(scene.family))
    octets = bytearray()
    query: list[tuple[int, int, int]] = []
    response: list[tuple[int, int, int]] = []
    place, rows, bounds, name = [], [], [], []
    numbers: dict[bytes, int] = {}
    row = 0
    for scene in ordered:
        position = find_marker(scene)
        for message, table in ((scene.query, query), (scene.response, response)):
            blank = bytearray(message)
            if position:
                blank[position : position + LABEL_OCTETS] = bytes(LABEL_OCTETS)
            table.append((len(octets), len(blank), word_sum(bytes(blank))))
            octets += blank
        place.append(position)
        rows.append((row, row + len(scene.labels)))
        row += len(scene.labels)
        asked = question_name(scene.query)
        name.append(-1 if position else numbers.setdefault(asked, len(numbers)))
    names = [scene.family for scene in ordered]
    for family in families:
        first = names.index(family)
        bounds.append((first, first + names.count(family)))
    return Templates(
        np.frombuffer(bytes(octets), dtype=np.uint8),
        np.array(query, dtype=np.int64),
        np.array(response, dtype=np.int64),
        np.array(place, dtype=np.int64),
        np.array(rows, dtype=np.int64),
        np.array(name, dtype=np.int64),
        np.array([scene.host for scene in ordered], dtype=np.int64),
        np.array(bounds, dtype=np.int64),
        np.cumsum(list(WEIGHTS.values())),
        np.concatenate([scene.labels for scene in ordered]),
        np.random.default_rng(seed).permutation(len(ordered)),
    )


def find_marker(scene: Scene) -> int:
    """Return the marker's offset in both messages of a scene, 0 for a fixed name."""
    if not len(scene.labels):
        return 0
    marker = MARKER.encode()
    position = scene.query.index(marker)
    if scene.response.index(marker) != position or scene.response.count(marker) != 1:
        raise ValueError(f"{scene.family}: the varied name is not compressed away")
    return position


def question_name(message: bytes) -> bytes:
    """Return the question's name in wire form (never compressed, it comes first)."""
    end = HEADER_OCTETS
    while message[end]:
        end += 1 + message[end]
    return message[HEADER_OCTETS : end + 1]


def word_sum(message: bytes) -> int:
    """Sum a message's big-endian 16-bit words, as the UDP checksum does."""
    even = message + bytes(len(message) % 2)
    return int(np.frombuffer(even, dtype=">u2").sum(dtype=np.int64))
