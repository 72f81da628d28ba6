import jax
import numpy as np
import pytest

from laminax import train
from laminax.train.data import Divisible, Source, indexed, iterated, mapped

from .source_law import assert_divides, assert_resumes


def numbers(key=0, batch_size=3, n=8):
    return indexed(np.arange(n), batch_size=batch_size, key=jax.random.key(key))


def squares():
    return mapped(numbers(), lambda batch: (batch, batch**2))


def test_mapped_resumes():
    for x, y in assert_resumes(squares, 7):
        np.testing.assert_array_equal(y, x * x)


def test_mapped_divides_as_what_it_is_made_from():
    assert_divides(squares, 7)
    front_to_back = iterated(lambda epoch: [np.arange(3)], batch_size=3)
    for source in (front_to_back, mapped(front_to_back, abs)):
        assert isinstance(source, Source) and not isinstance(source, Divisible)


def test_mapped_reads_the_same_rows():
    plain, source = numbers(), squares()
    assert source.batch_size == 3 and source.examples == 8
    for _ in range(5):
        np.testing.assert_array_equal(next(source)[0], next(plain))


def test_what_a_source_is():
    assert isinstance(numbers(), Source) and isinstance(squares(), Source)
    assert not isinstance(np.arange(3), Source) and not isinstance(iter([1]), Source)
    assert train.data.Source is Source


def test_mapped_that_changes_the_number_of_examples():
    with pytest.raises(ValueError, match="mapped: the function made 2 examples of a batch of 3"):
        next(mapped(numbers(), lambda batch: batch[:2]))


def test_mapped_that_makes_no_numbers():
    with pytest.raises(TypeError, match=r"mapped: batches must be arrays of numbers, got <U1\[3\]"):
        next(mapped(numbers(), lambda batch: np.array(list("abc"))))
    with pytest.raises(ValueError, match="mapped: data: data/0 has no axes"):
        next(mapped(numbers(), lambda batch: (np.float32(1), batch)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.arange(3), abs), "mapped: source: expected a Source, got ndarray; make one"),
        ((numbers(), 3), "mapped: function: expected a function, got int"),
    ],
)
def test_misuse_of_mapped(arguments, words):
    with pytest.raises(TypeError, match=words):
        mapped(*arguments)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (numbers(key=1), r"taken with key = \[0, 1\], this source was made with \[0, 0\]"),
        (numbers(batch_size=4), "taken with batch_size = 4, this source was made with 3"),
        (numbers(n=9), "taken with examples = 9, this source was made with 8"),
        (iterated(lambda epoch: [np.arange(3)], batch_size=3), "the state is of another source"),
    ],
)
def test_a_state_of_another_source_is_refused(other, words):
    with pytest.raises(ValueError, match=f"indexed: restore: .*{words}.*; make .* as it was made"):
        numbers().restore(other.state())


def test_what_is_no_state_is_refused():
    with pytest.raises(TypeError, match=r"restore: expected what state\(\) returned, got int"):
        numbers().restore(7)
