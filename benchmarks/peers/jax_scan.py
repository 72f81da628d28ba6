"""Plain JAX: a whole epoch scanned in one program; the data on the device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import BATCH, Contender, Data, _raw, batches

# On a CPU the gradient of a convolution inside a loop is some twenty times slower than outside, so
# of the CNN's epoch only this many steps are run.
CNN_STEPS = 20


@jax.jit(donate_argnums=0)
def run(state: Any, x: jax.Array, y: jax.Array, indices: jax.Array) -> Any:
    return jax.lax.scan(lambda s, index: (_raw.step(s, x, y, index), None), state, indices)[0]


def setup(data: Data, model: str, seed: int) -> Contender:
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    state, rng = _raw.init(model, seed), np.random.default_rng(seed)
    n = len(x) if model == "mlp" else CNN_STEPS * BATCH  # images in one call

    def epoch() -> float:
        nonlocal state
        *full, rest = batches(rng, len(x))
        state = (*state[:2], jnp.zeros(()))
        state = run(state, x, y, np.stack(full[: n // BATCH]))
        if n == len(x):
            state = run(state, x, y, rest[None])
        return float(jax.block_until_ready(state)[2]) / n

    def classify(images: Any) -> Any:
        return np.asarray(_raw.classify(state[0], images))

    return Contender(epoch, classify, share=n / len(x))
