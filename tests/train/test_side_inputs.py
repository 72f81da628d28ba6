"""Side inputs travel with the batch: the third part of `(x, y, side)`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

N, TIME = 37, 5


def masked_mean(c, x):
    weights = c.ctx.side["mask"].astype(x.dtype)[..., None]
    return c.head((x * weights).sum(1) / weights.sum(1))


MODEL = nn.compose(masked_mean, head=nn.dense(1))
OBJECTIVE = train.supervised(MODEL, nn.losses.squared_error)


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(N, TIME, 3)).astype(np.float32)
    mask = np.arange(TIME) < random.integers(1, TIME + 1, N)[:, None]
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    x[~mask] = 1e3  # what is masked must not matter
    return x, mean @ np.array([[1.0], [-2.0], [0.5]], np.float32), {"mask": mask}


def test_a_model_that_reads_a_mask_is_fitted_evaluated_and_asked():
    x, y, side = data()
    result = train.fit(
        OBJECTIVE, optim.adam(0.1), (x, y, side), epochs=80, batch_size=8, progress=False
    )
    w = result.variables.params["head"]["w"]
    np.testing.assert_allclose(w, [[1.0], [-2.0], [0.5]], atol=0.02)
    asked = train.predict(MODEL, result.variables, x, batch_size=8, **side)
    np.testing.assert_allclose(asked, MODEL(result.variables, x, **side), rtol=1e-6, atol=1e-6)
    scores = train.evaluate(OBJECTIVE, result.variables, (x, y + x[:, 0, :1], side), batch_size=8)
    np.testing.assert_allclose(scores["loss"], np.square(x[:, 0, 0]).mean(), rtol=1e-4)


def test_rows_of_x_and_side_must_agree():
    x, y, side = data()
    with pytest.raises(ValueError, match=r"fit: .*mask"):
        train.fit(OBJECTIVE, optim.sgd(0.1), (x, y, {"mask": side["mask"][:3]}), epochs=1)


def test_the_third_part_is_a_dict():
    batch = jnp.zeros((2, TIME, 3)), jnp.zeros((2, 1)), jnp.ones((2, TIME), bool)
    with pytest.raises(TypeError, match=r"must be a dict of side inputs by name, got Array"):
        OBJECTIVE.init(jax.random.key(0), batch)
    with pytest.raises(TypeError, match=r"\(x, y\) or \(x, y, side\), got tuple of 4"):
        OBJECTIVE.init(jax.random.key(0), (*batch, batch[0]))
