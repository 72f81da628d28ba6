"""Flax NNX: the functional loop of its performance guide, split and merged around `jax.jit`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from . import RATE, Contender, Data, batches


class MLP(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.a = nnx.Linear(784, 512, rngs=rngs)
        self.b = nnx.Linear(512, 512, rngs=rngs)
        self.c = nnx.Linear(512, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.a(x.reshape(len(x), -1)))
        return self.c(nnx.relu(self.b(x)))


class CNN(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.a = nnx.Conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
        self.b = nnx.Conv(32, 64, (3, 3), padding="VALID", rngs=rngs)
        self.c = nnx.Linear(1600, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv in (self.a, self.b):
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), strides=(2, 2))
        return self.c(x.reshape(len(x), -1))


def loss(module: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(module(x), y).mean()


def setup(data: Data, model: str, seed: int) -> Contender:
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    module, rng = {"mlp": MLP, "cnn": CNN}[model](nnx.Rngs(seed)), np.random.default_rng(seed)
    optimizer = nnx.Optimizer(module, optax.adam(RATE), wrt=nnx.Param)
    graph, state = nnx.split((module, optimizer))

    @jax.jit(donate_argnums=(0, 1))
    def step(state: Any, total: jax.Array, x: jax.Array, y: jax.Array, index: jax.Array) -> Any:
        module, optimizer = nnx.merge(graph, state)
        value, grads = nnx.value_and_grad(loss)(module, x[index], y[index])
        optimizer.update(module, grads)
        return nnx.state((module, optimizer)), total + value * len(index)

    @jax.jit
    def labels(state: Any, x: jax.Array) -> jax.Array:
        return nnx.merge(graph, state)[0](x).argmax(-1)

    def epoch() -> float:
        nonlocal state
        total = jnp.zeros(())
        for index in batches(rng, len(x)):
            state, total = step(state, total, x, y, index)
        jax.block_until_ready(state)
        return float(total) / len(x)

    return Contender(epoch, lambda images: np.asarray(labels(state, images)))
