"""Rows of autoencoders."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from laminax import nn

from ..kinds import BATCH, Row, images, sequence


def codes() -> np.ndarray:
    """Codes whose entries are far enough apart for bfloat16 to rank them alike."""
    order = np.random.default_rng(0).permuted(np.tile(np.arange(6.0), (BATCH, 5, 1)), axis=-1)
    return (order - 2.2).astype(np.float32)


def told() -> nn.Layer:
    def forward(c: Any, x: Any) -> Any:
        x = c.flat(x)
        return c.inner(x, condition=jnp.sin(x))

    return nn.compose(forward, flat=nn.flatten(), inner=nn.conditioned(nn.dense(3)))


def gaussian() -> nn.Layer:
    return nn.vae(
        2,
        encoder=nn.serial(nn.dense(4), nn.tanh),
        decoder=nn.parallel(mean=nn.dense(3), log_variance=nn.dense(3)),
    )


LAYERS = [
    Row("autoencoder", lambda: nn.autoencoder(3, 4, 2, activation=nn.tanh), sequence),
    Row(
        "autoencoder",
        lambda: nn.autoencoder(3, 4, 2, activation=nn.tanh, tied=True),
        sequence,
        "tied",
    ),
    Row(
        "conv_autoencoder",
        lambda: nn.conv_autoencoder(4, 3, activation=nn.tanh),
        images,
        cell=False,
    ),
    Row("masking_noise", lambda: nn.masking_noise(0.5), sequence, random=True),
    Row("random_shift", lambda: nn.random_shift(1), images, random=True, cell=False),
    Row("k_sparse", lambda: nn.k_sparse(2), codes),
    Row("l1_sparsity", lambda: nn.l1_sparsity(0.5), sequence, state=True),
    Row(
        "kl_sparsity",
        lambda: nn.serial(nn.dense(4), nn.sigmoid, nn.kl_sparsity(0.5)),
        sequence,
        state=True,
    ),
    Row("vae", gaussian, sequence, random=True),
    Row(
        "gaussian_sample",
        lambda: nn.serial(nn.dense(4), lambda h: (h, jnp.sin(h)), nn.gaussian_sample()),
        sequence,
        random=True,
    ),
    Row("conditioned", told, sequence, cell=False),
]
