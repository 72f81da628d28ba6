"""The simple recurrent network with other activations, and a Jacobian that neither grows."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)


def test_a_linear_one_is_a_sum_of_powers():
    layer = nn.simple_rnn(4, lambda z: z)
    params = layer.init(jax.random.key(0), X).params
    wi, wh = (np.asarray(params[name], float) for name in ("wi", "wh"))
    powers = [X[:, 5 - k] @ wi @ np.linalg.matrix_power(wh, k) for k in range(6)]
    y = layer(nn.Variables(params, {}), X)
    np.testing.assert_allclose(y[:, -1], sum(powers), rtol=1e-4, atol=1e-5)


def test_an_orthogonal_start_keeps_the_size_of_gradients_through_time():
    layer = nn.simple_rnn(8, lambda z: z)
    x = np.zeros((1, 50, 3), np.float32)
    variables = layer.init(jax.random.key(0), x)
    first = jax.jacobian(lambda h: nn.rnn(layer)(variables, x, carry=h)[0, -1])(jnp.zeros((1, 8)))
    np.testing.assert_allclose(jnp.linalg.svd(first[:, 0], compute_uv=False), 1, rtol=1e-4)
