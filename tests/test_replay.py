"""A stream that is walked often: the same batches each time, whether they were kept or not."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from forensics.replay import Replay

BATCHES = [
    pa.record_batch({"a": pa.array([first, first + 1]), "b": pa.array(["x", "y"])})
    for first in (0, 2, 4)
]


class Source:
    """Counts the walks over it."""

    def __init__(self) -> None:
        self.walks: list[list[str] | None] = []

    def __call__(self, columns: list[str] | None) -> Iterator[Any]:
        self.walks.append(columns)
        for batch in BATCHES:
            yield batch if columns is None else batch.select(columns)


def rows(batches: Iterator[Any]) -> list[dict[str, Any]]:
    return pa.Table.from_batches(list(batches)).to_pylist()  # type: ignore[no-any-return]


ALL = rows(iter(BATCHES))


@pytest.mark.parametrize(("most", "walks"), [(2**20, 1), (60, 3)])
def test_each_walk_gives_the_same(most: int, walks: int) -> None:
    """What is small is read once; what is not, each time."""
    assert sum(batch.get_total_buffer_size() for batch in BATCHES) > 60
    source = Source()
    stream = Replay(source, most)
    assert [rows(stream()) for _ in range(3)] == [ALL] * 3
    assert len(source.walks) == walks


def test_a_walk_that_ends_early_keeps_nothing() -> None:
    """Half of a stream must never pass for the whole."""
    stream = Replay(Source(), 2**20)
    next(stream())
    assert rows(stream()) == ALL


def test_walks_side_by_side() -> None:
    """Two at a time do not disturb each other."""
    stream = Replay(Source(), 2**20)
    pairs = list(zip(stream(), stream(), strict=True))
    assert [one is other for one, other in pairs] == [True] * 3
    assert rows(stream()) == ALL


def test_some_columns() -> None:
    """Before the stream is kept they are read alone, after it they are taken from what is there."""
    source = Source()
    stream = Replay(source, 2**20)
    some = [{"b": row["b"]} for row in ALL]
    assert rows(stream(["b"])) == some
    assert rows(stream()) == ALL
    assert rows(stream(["b"])) == some
    assert source.walks == [["b"], None]
