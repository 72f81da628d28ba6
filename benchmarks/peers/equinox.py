"""Equinox: the module partitioned once, so that `jax.jit` handles its arrays alone."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import RATE, Contender, Data, batches


def mlp(key: jax.Array) -> Any:
    return eqx.nn.MLP(784, 10, width_size=512, depth=2, activation=jax.nn.relu, key=key)


def cnn(key: jax.Array) -> Any:
    a, b, c = jax.random.split(key, 3)
    relu = eqx.nn.Lambda(jax.nn.relu)
    return eqx.nn.Sequential(
        [
            *(eqx.nn.Conv2d(1, 32, 3, key=a), relu, eqx.nn.MaxPool2d(2, 2)),
            *(eqx.nn.Conv2d(32, 64, 3, key=b), relu, eqx.nn.MaxPool2d(2, 2)),
            *(eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(1600, 10, key=c)),
        ]
    )


def setup(data: Data, model: str, seed: int) -> Contender:
    shape = {"mlp": (-1, 784), "cnn": (-1, 1, 28, 28)}[model]  # its layers take channels first
    x, y = jnp.asarray(data.x).reshape(shape), jnp.asarray(data.y)
    module, rng = {"mlp": mlp, "cnn": cnn}[model](jax.random.key(seed)), np.random.default_rng(seed)
    params, static = eqx.partition(module, eqx.is_inexact_array)
    optimizer = optax.adam(RATE)
    opt_state = optimizer.init(params)

    def logits(params: Any, x: jax.Array) -> jax.Array:
        return jax.vmap(eqx.combine(params, static))(x)

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()

    @jax.jit(donate_argnums=(0, 1, 2))
    def step(
        params: Any, opt_state: Any, total: jax.Array, x: jax.Array, y: jax.Array, index: jax.Array
    ) -> Any:
        value, grads = jax.value_and_grad(loss)(params, x[index], y[index])
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return eqx.apply_updates(params, updates), opt_state, total + value * len(index)

    @jax.jit
    def labels(params: Any, x: jax.Array) -> jax.Array:
        return logits(params, x).argmax(-1)

    def epoch() -> float:
        nonlocal params, opt_state
        total = jnp.zeros(())
        for index in batches(rng, len(x)):
            params, opt_state, total = step(params, opt_state, total, x, y, index)
        jax.block_until_ready(params)
        return float(total) / len(x)

    return Contender(epoch, lambda images: np.asarray(labels(params, images.reshape(shape))))
