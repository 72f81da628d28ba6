"""Flax Linen: a module, a TrainState and a compiled step, as in its MNIST example."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from . import RATE, Contender, Data, batches


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(len(x), -1)
        for _ in range(2):
            x = nn.relu(nn.Dense(512)(x))
        return nn.Dense(10)(x)


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (32, 64):
            x = nn.relu(nn.Conv(features, (3, 3), padding="VALID")(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        return nn.Dense(10)(x.reshape(len(x), -1))


@jax.jit(donate_argnums=(0, 1))
def step(
    state: TrainState, total: jax.Array, x: jax.Array, y: jax.Array, index: jax.Array
) -> tuple[TrainState, jax.Array]:
    def loss(params: Any) -> jax.Array:
        logits = state.apply_fn({"params": params}, x[index])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[index]).mean()

    value, grads = jax.value_and_grad(loss)(state.params)
    return state.apply_gradients(grads=grads), total + value * len(index)


@jax.jit
def labels(state: TrainState, x: jax.Array) -> jax.Array:
    return state.apply_fn({"params": state.params}, x).argmax(-1)


def setup(data: Data, model: str, seed: int) -> Contender:
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    module, rng = {"mlp": MLP, "cnn": CNN}[model](), np.random.default_rng(seed)
    params = module.init(jax.random.key(seed), x[:1])["params"]
    state = TrainState.create(apply_fn=module.apply, params=params, tx=optax.adam(RATE))

    def epoch() -> float:
        nonlocal state
        total = jnp.zeros(())
        for index in batches(rng, len(x)):
            state, total = step(state, total, x, y, index)
        jax.block_until_ready(state)
        return float(total) / len(x)

    return Contender(epoch, lambda images: np.asarray(labels(state, images)))
