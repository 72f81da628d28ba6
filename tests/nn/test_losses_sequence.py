"""CTC against a sum over every alignment, against optax, and where no alignment is left."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax.nn import losses


def logits(*shape, scale=1.0):
    return jnp.asarray(scale * np.random.default_rng(0).normal(size=shape), jnp.float32)


def read(path, blank):
    """Return what an alignment says: repeats once, then no blanks."""
    return [int(c) for c, _ in itertools.groupby(path) if c != blank]


def by_alignments(z, labels, blank):
    z = np.asarray(z, np.longdouble)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    paths = itertools.product(range(z.shape[1]), repeat=z.shape[0])
    fitting = [path for path in paths if read(path, blank) == labels]
    return -np.log(sum(np.prod(p[np.arange(len(path)), path]) for path in fitting))


@pytest.mark.parametrize("blank", [0, 2])
def test_it_is_the_sum_over_all_alignments(blank):
    a, b = (c for c in range(3) if c != blank)
    examples = [([a, b], 4), ([a, a], 5), ([b], 3), ([], 2), ([a, b, a], 5), ([b, b], 3)]
    z = logits(len(examples), 5, 3)
    labels = np.full((len(examples), 3), -1)  # beyond a length nothing is read
    for row, (said, _) in zip(labels, examples, strict=True):
        row[: len(said)] = said
    lengths = np.array([time for _, time in examples])
    counts = np.array([len(said) for said, _ in examples])
    expected = [by_alignments(z[i, :time], said, blank) for i, (said, time) in enumerate(examples)]
    loss = losses.ctc(z, (labels, lengths, counts), blank=blank)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_it_is_optax():
    z, labels = logits(4, 9, 6), np.random.default_rng(1).integers(1, 6, (4, 4))
    lengths, counts = np.array([9, 8, 9, 7]), np.array([4, 3, 1, 2])
    padded = (np.arange(9) >= lengths[:, None]), (np.arange(4) >= counts[:, None])
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        expected = optax.ctc_loss(z, padded[0] * 1.0, jnp.asarray(labels), padded[1] * 1.0)
    np.testing.assert_allclose(losses.ctc(z, (labels, lengths, counts)), expected, rtol=1e-5)


def test_frames_and_labels_beyond_the_lengths_are_not_read():
    z, lengths, counts = logits(2, 6, 4), np.array([4, 5]), np.array([2, 1])
    labels = np.array([[1, 3, 2], [2, 2, 2]])
    target = labels, lengths, counts
    beyond = np.arange(6)[None, :, None] >= lengths[:, None, None]
    other = np.where(np.arange(3) < counts[:, None], labels, 1)
    loss = losses.ctc(z, target)
    np.testing.assert_array_equal(loss, losses.ctc(jnp.where(beyond, 7.0, z), target))
    np.testing.assert_array_equal(loss, losses.ctc(z, (other, lengths, counts)))
    gradient = jax.grad(lambda z: losses.ctc(z, target).sum())(z)
    assert not gradient[0, 4:].any() and jnp.abs(gradient[0, :4]).min() > 0


def test_labels_that_cannot_fit_have_probability_zero():
    z = logits(3, 3, 3)
    target = np.array([[1, 1], [1, 2], [1, 1]]), np.array([2, 2, 0]), np.array([2, 2, 0])
    loss, gradient = jax.value_and_grad(lambda z: losses.ctc(z, target)[0])(z)
    assert loss == jnp.inf and not gradient.any()
    values = losses.ctc(z, target)
    assert jnp.isfinite(values[1]) and values[2] == 0


def test_large_logits_over_many_frames():
    z = logits(1, 50, 3, scale=1e4)
    target = np.array([[1, 2]]), np.array([50]), np.array([2])
    loss, gradient = jax.value_and_grad(lambda z: losses.ctc(z, target)[0])(z)
    assert 1e5 < loss < 1e7 and jnp.isfinite(gradient).all() and gradient.any()


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (([[0, 1]], [4], [2]), ValueError, "not be the blank 0, got 0"),
        (([[1, 3]], [4], [2]), ValueError, r"lie in \[0, 3\)"),
        (([[1, 2]], [5], [2]), ValueError, r"lengths must lie in \[0, 4\], got \[5\]"),
        (([[1, 2]], [4], [3]), ValueError, r"label_lengths must lie in \[0, 2\]"),
        (([1, 2], [4], [2]), ValueError, r"labels must have shape \(1, n\)"),
        (([[1, 2]], [4, 4], [2]), ValueError, r"lengths must have shape \(1,\)"),
        (([[1.0, 2.0]], [4], [2]), TypeError, "labels must be integers"),
    ],
)
def test_targets_that_do_not_fit(target, error, message):
    with pytest.raises(error, match=message):
        losses.ctc(logits(1, 4, 3), tuple(map(np.array, target)))


def test_what_it_refuses_besides():
    target = np.array([[1]]), np.array([2]), np.array([1])
    with pytest.raises(ValueError, match=r"logits must be \(batch, time, classes\)"):
        losses.ctc(logits(4, 3), target)
    with pytest.raises(ValueError, match=r"blank must be a class in \[0, 3\), got 3"):
        losses.ctc(logits(1, 4, 3), target, blank=3)
    with pytest.raises(TypeError, match=r"target must be \(labels, lengths, label_lengths\)"):
        losses.ctc(logits(1, 4, 3), target[0])
    read = jax.jit(losses.ctc)(logits(1, 4, 3), (jnp.array([[0]]), *map(jnp.asarray, target[1:])))
    assert jnp.isnan(read).all()
