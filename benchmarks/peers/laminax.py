"""Laminax: `fit`, one epoch at a time; the images stay uint8 and are scaled as they are used."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from laminax import nn, optim, train

from . import BATCH, RATE, Contender, Data


def setup(data: Data, model: str, seed: int) -> Contender:
    net = nn.serial(
        lambda x: x.astype(jnp.float32) / 255,
        {"mlp": nn.mlp(512, 512, 10), "cnn": nn.cnn()}[model],
    )
    objective = train.supervised(net, nn.losses.cross_entropy)
    optimizer = optim.adam(RATE)
    pixels = _uint8(data.x), data.y
    state = train.init(objective, optimizer, pixels, seed=seed)

    def epoch() -> float:
        nonlocal state
        result = train.fit(
            objective, optimizer, pixels, epochs=1, batch_size=BATCH, state=state, progress=False
        )
        state = result.state
        return result.history["loss"][-1]

    def classify(images: Any) -> Any:
        return train.predict(net, state.variables, _uint8(images)).argmax(-1)

    return Contender(epoch, classify)


def _uint8(images: Any) -> np.ndarray[Any, Any]:
    return np.round(images * 255).astype(np.uint8)
