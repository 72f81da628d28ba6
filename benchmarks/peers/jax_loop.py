"""Plain JAX: one compiled step, called from a Python loop; the data on the device."""

import jax
import jax.numpy as jnp
import numpy as np

from . import Contender, Data, _raw, batches


def setup(data: Data, model: str, seed: int) -> Contender:
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    state, rng = _raw.init(model, seed), np.random.default_rng(seed)
    step = jax.jit(_raw.step, donate_argnums=0)

    def epoch() -> float:
        nonlocal state
        state = (*state[:2], jnp.zeros(()))
        for index in batches(rng, len(x)):
            state = step(state, x, y, index)
        return float(jax.block_until_ready(state)[2]) / len(x)

    return Contender(epoch, lambda images: np.asarray(_raw.classify(state[0], images)))
