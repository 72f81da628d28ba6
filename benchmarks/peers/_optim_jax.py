"""An optax transform in a jitted update of donated parameters and state."""

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .._optim_cases import START, Shape, gradients
from . import Updates, Updating

jax.devices()  # starts the back end, which is no part of an update


def updating(transform: optax.GradientTransformation, shapes: Mapping[str, Shape]) -> Updating:
    def init() -> tuple[Any, Any]:
        params = {path: jnp.full(shape, START, jnp.float32) for path, shape in shapes.items()}
        return params, transform.init(params)

    def step(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        updates, state = transform.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    spec = jax.eval_shape(init)
    began = time.perf_counter()
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(*spec, spec[0]).compile()
    first = time.perf_counter() - began
    started, grads = jax.jit(init).lower().compile(), jax.device_put(gradients(shapes))

    def start() -> Updates:
        params, state = started()

        def run(n: int) -> None:
            nonlocal params, state
            for _ in range(n):
                params, state = compiled(params, state, grads)
            jax.block_until_ready((params, state))

        def moved() -> float:
            squares = [float(jnp.square(leaf - START).sum()) for leaf in params.values()]
            return float(sum(squares) ** 0.5)

        return Updates(run, moved)

    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(spec[1]))
    return Updating(first, state, start)
