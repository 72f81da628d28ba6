"""The two models and their training step in plain JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from . import RATE

OPTIMIZER = optax.adam(RATE)
SIZES = {
    "mlp": {"conv": [], "dense": [784, 512, 512, 10]},
    "cnn": {"conv": [1, 32, 64], "dense": [1600, 10]},
}


def init(model: str, seed: int) -> Any:
    """Parameters, optimizer state and the running sum of losses."""
    draw = jax.nn.initializers.he_normal()
    sizes, keys = SIZES[model], iter(jax.random.split(jax.random.key(seed), 8))
    conv = [
        (draw(next(keys), (3, 3, n, m)), jnp.zeros(m))
        for n, m in zip(sizes["conv"], sizes["conv"][1:], strict=False)
    ]
    dense = [
        (draw(next(keys), (n, m)), jnp.zeros(m))
        for n, m in zip(sizes["dense"], sizes["dense"][1:], strict=False)
    ]
    params = {"conv": conv, "dense": dense}
    return params, OPTIMIZER.init(params), jnp.zeros(())


def logits(params: Any, x: jax.Array) -> jax.Array:
    for w, b in params["conv"]:
        x = lax.conv_general_dilated(
            x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + b)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    *hidden, (w, b) = params["dense"]
    for v, c in hidden:
        x = jax.nn.relu(x @ v + c)
    return x @ w + b


def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


def step(state: Any, x: jax.Array, y: jax.Array, index: jax.Array) -> Any:
    params, opt_state, total = state
    value, grads = jax.value_and_grad(loss)(params, x[index], y[index])
    updates, opt_state = OPTIMIZER.update(grads, opt_state)
    return optax.apply_updates(params, updates), opt_state, total + value * len(index)


@jax.jit
def classify(params: Any, x: jax.Array) -> jax.Array:
    return logits(params, x).argmax(-1)
