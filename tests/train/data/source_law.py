"""The law of sources: left at any place and taken up again, a stream goes on as if never left."""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from laminax.train.data import Divisible, Source


def assert_same(a: Any, b: Any) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert isinstance(x, np.ndarray) and x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def assert_resumes(make: Callable[[], Source], batches: int) -> list[Any]:
    """Hold a source to its law at each of its first places; return the batches."""
    source = make()
    assert isinstance(source, Source)
    states, texts, stream = [], [], []
    for _ in range(batches):
        states.append(source.state())
        texts.append(json.dumps(states[-1]))
        stream.append(next(source))
    assert [json.dumps(state) for state in states] == texts  # reading on changes none of them
    for batch in stream:
        assert {len(leaf) for leaf in jax.tree.leaves(batch)} == {source.batch_size}
    for place, text in enumerate(texts):
        again = make()
        again.restore(json.loads(text))
        assert json.dumps(again.state()) == text
        for expected in stream[place:]:
            assert_same(next(again), expected)
    source.restore(json.loads(texts[1]))  # one that has been read already, too
    assert_same(next(source), stream[1])
    return stream


def assert_divides(make: Callable[[], Source], batches: int) -> None:
    """Hold a source to what its parts promise: slots of each batch, the state of the whole."""
    whole = make()
    assert isinstance(whole, Divisible)
    chosen = [np.arange(whole.batch_size)[part] for part in (slice(1, None, 2), slice(0, None, 2))]
    parts = [make().part(slots) for slots in chosen]
    stream, states = [], [json.dumps(whole.state())]
    for _ in range(batches):
        stream.append(next(whole))
        states.append(json.dumps(whole.state()))
    for slots, part in zip(chosen, parts, strict=True):
        assert part.batch_size == len(slots) and part.examples == whole.examples
        for batch, before, after in zip(stream, states[:-1], states[1:], strict=True):
            assert json.dumps(part.state()) == before
            assert_same(next(part), jax.tree.map(lambda leaf: leaf[slots], batch))  # noqa: B023
            assert json.dumps(part.state()) == after
        part.restore(json.loads(states[1]))
        back = slots[::-1]
        again = part.part(np.arange(len(slots))[::-1])  # a part of a part, from where this stands
        assert_same(next(again), jax.tree.map(lambda leaf: leaf[back], stream[1]))  # noqa: B023
    make().restore(json.loads(json.dumps(parts[0].state())))
