"""Both directions of a sequence against the two layers run by hand, row by row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
LENGTHS = np.array([5, 0, 2, 4])
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def test_each_row_is_read_from_its_last_real_step_to_its_first():
    model = nn.bidirectional(nn.gru(2), nn.lstm(3))
    variables = model.init(jax.random.key(0), X)
    y = model(variables, X, lengths=LENGTHS)
    mask = np.arange(5) < LENGTHS[:, None]
    np.testing.assert_array_equal(y, model(variables, X, mask=mask))
    for b, n in enumerate(LENGTHS):
        alone = X[b : b + 1, :n]
        if n:
            ahead = nn.gru(2)(nn.Variables(variables.params["forward"], {}), alone)
            back = nn.lstm(3)(nn.Variables(variables.params["backward"], {}), alone[:, ::-1])
            np.testing.assert_allclose(y[b, :n, :2], ahead[0], **CLOSE)
            np.testing.assert_allclose(y[b, :n, 2:], back[0, ::-1], **CLOSE)
        np.testing.assert_array_equal(y[b, n:], 0)


def test_a_mask_with_holes_skips_them_in_both_directions():
    model = nn.bidirectional(nn.gru(2))
    variables = model.init(jax.random.key(0), X)
    mask = np.array([[1, 0, 1, 1, 0]] * 4, bool)
    y = model(variables, X, mask=mask)
    np.testing.assert_allclose(y[:, mask[0]], model(variables, X[:, mask[0]]), **CLOSE)


def test_the_two_directions_have_their_own_parameters():
    params = nn.bidirectional(nn.gru(2)).init(jax.random.key(0), X).params
    assert bool((params["forward"]["wi"] != params["backward"]["wi"]).all())


def test_it_cannot_run_a_stretch_at_a_time():
    model = nn.serial(nn.bidirectional(nn.gru(2)), nn.dense(1))
    variables = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="bidirectional: has no step, since it mixes time steps"):
        model.start(variables, jax.ShapeDtypeStruct(X.shape, X.dtype), nn.Context())


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (nn.rnn(nn.gru(2), carry=True), X, "each direction must map .* to one array"),
        (lambda x: x.sum(1), X, "each direction must map .* to one array"),
        (nn.gru(2), (X, X), r"x must be one array \(batch, time, \.\.\.\), got"),
    ],
)
def test_misuse_is_named(layer, x, message):
    with pytest.raises(ValueError, match=f"bidirectional: {message}"):
        nn.bidirectional(layer).init(jax.random.key(0), jax.tree.map(jnp.asarray, x))
