"""Small models of every kind that is exported, each with an input and side inputs."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def pixels(x):
    return x.astype(jnp.float32) / 255


IMAGES = RANDOM.integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
TOKENS = RANDOM.integers(0, 11, (5, 6)).astype(np.int32)
MODELS = {
    "mlp": (nn.mlp(8, 3, norm=nn.batch_norm(), dropout=0.5), normal(5, 4), {}),
    "lenet": (nn.serial(pixels, nn.lenet()), IMAGES, {}),
    "lenet5": (nn.serial(pixels, nn.lenet5()), IMAGES, {}),
    "residual": (
        nn.serial(
            nn.repeat(nn.residual(nn.conv(4, 3), nn.group_norm(2), nn.relu), 2),
            *(nn.conv(6, 3, stride=2), nn.avg_pool(2), nn.flatten(), nn.dense(2)),
        ),
        normal(5, 8, 8, 4),
        {},
    ),
    "lstm": (
        nn.serial(nn.lstm(6), nn.dense(3)),
        normal(5, 7, 2),
        {"lengths": np.array([7, 1, 4, 6, 2], np.int32)},
    ),
    "gpt": (nn.gpt(11, layers=2, heads=2, features=8, context=6), TOKENS, {}),
    "bert": (nn.bert(11, layers=2, heads=2, features=8, context=6), TOKENS, {}),
}
OUTPUTS = {name: ["y"] for name in MODELS} | {"bert": ["y/0", "y/1"]}


def variables_of(model, x, side):
    """Variables that no initializer makes: every leaf is drawn, so that each one matters."""
    spec = jax.eval_shape(lambda x, side: model.init(jax.random.key(0), x, **side), x, side)
    random = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(random.uniform(0.1, 0.6, leaf.shape), leaf.dtype), spec
    )
