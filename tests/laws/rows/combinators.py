"""Rows of combinators and wrappers."""

from typing import Any

import jax.numpy as jnp

from laminax import nn

from ..kinds import Row, rows_over_devices, sequence


def tied() -> Any:
    def forward(c: Any, x: Any) -> Any:
        return jnp.tanh(c.encoder(x)) @ c.encoder.params["w"].T

    return nn.compose(forward, encoder=nn.dense(2))


LAYERS = [
    Row(
        "serial",
        lambda: nn.serial(
            nn.dense(4, bias=False), nn.batch_norm(), jnp.tanh, nn.dropout(0.3), nn.dense(2)
        ),
        sequence,
        state=True,
        random=True,
    ),
    Row("parallel", lambda: nn.parallel(nn.dense(4), skip=nn.dropout(0.3)), sequence, random=True),
    Row("residual", lambda: nn.residual(nn.dense(3), jnp.tanh), sequence),
    Row("residual", lambda: nn.residual(nn.dense(4), shortcut=nn.dense(4)), sequence, "shortcut"),
    Row("compose", tied, sequence),
    Row(
        "repeat",
        lambda: nn.repeat(nn.residual(nn.batch_norm(), nn.dense(3), nn.dropout(0.3)), 3),
        sequence,
        state=True,
        random=True,
    ),
    Row("remat", lambda: nn.remat(nn.serial(nn.dense(4), jnp.tanh)), sequence),
    Row("policy", lambda: nn.policy(nn.dense(4)), sequence, precise=False),
    Row("constrain", lambda: nn.constrain(nn.dense(4), rows_over_devices()), sequence),
    Row("rename", lambda: nn.serial(nn.rename(nn.dense(4), "head")), sequence),
]  # fmt: skip
