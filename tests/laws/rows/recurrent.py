"""Rows of cells."""

import jax.numpy as jnp

from laminax import nn

from ..kinds import Row, sequence


def _leaky(h, x):
    h = 0.5 * h + x
    return h, jnp.tanh(h)


def _with_parameters():
    def cell(c, pair):
        h, x = pair
        h = jnp.tanh(c.wi(x) + c.wh(h))
        return h, h

    return nn.rnn(
        nn.compose(cell, wi=nn.dense(4), wh=nn.dense(4, bias=False)),
        start=lambda x: jnp.zeros((len(x), 4), x.dtype),
    )


def _noisy():
    def cell(c, pair):
        h, x = pair
        h = c.drop(jnp.tanh(c.wi(x) + h))
        return h, h

    cell = nn.compose(cell, wi=nn.dense(3), drop=nn.dropout(0.5))
    return nn.rnn(cell, start=jnp.zeros_like)


LAYERS = [
    Row("bidirectional", lambda: nn.bidirectional(nn.gru(2)), sequence, cell=False),
    Row("gru", lambda: nn.gru(2), sequence),
    Row("lstm", lambda: nn.lstm(2), sequence),
    Row("lstm", lambda: nn.lstm(2, peepholes=True), sequence, variant="peepholes"),
    Row("lstm", lambda: nn.serial(nn.gru(2), nn.lstm(3)), sequence, variant="stacked"),
    Row("rnn", lambda: nn.rnn(_leaky, start=jnp.zeros_like), sequence),
    Row("rnn", _with_parameters, sequence, variant="parameters"),
    Row("rnn", _noisy, sequence, variant="noisy", random=True),
    Row("rnn", lambda: nn.rnn(nn.gru(2), carry=True), sequence, variant="carry", cell=False),
    Row("simple_rnn", lambda: nn.simple_rnn(2), sequence),
]
