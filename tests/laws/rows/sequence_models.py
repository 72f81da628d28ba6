"""Rows of recurrent models of text and series."""

from typing import Any

from laminax import nn

from ..kinds import Row, sequence, tokens
from .attention import reading, vectors


def translating(**options: Any) -> Any:
    """Encoder and decoder of one sequence, which is its own source."""
    model = nn.seq2seq(7, 7, nn.gru(3), features=2, **options)
    return nn.compose(lambda c, x: c.model((x, x)), model=model)


def general() -> Any:
    return reading(nn.serial(nn.dense(6, bias=False), nn.dot_attention()))


LAYERS = [
    Row("last_step", lambda: nn.last_step(), sequence, cell=False),
    Row("mean_over_time", lambda: nn.mean_over_time(), sequence, cell=False),
    Row("max_over_time", lambda: nn.max_over_time(), sequence, cell=False),
    Row("additive_attention", lambda: reading(nn.additive_attention(3)), vectors, cell=False),
    Row("dot_attention", general, vectors, cell=False),
    Row("seq2seq", lambda: translating(), tokens, cell=False, integer=True),
    Row(
        "seq2seq",
        lambda: translating(attention=nn.dot_attention()),
        tokens,
        "attention",
        cell=False,
        integer=True,
    ),
    Row(
        "language_model",
        lambda: nn.language_model(7, nn.lstm(3), nn.gru(2), features=2),
        tokens,
        integer=True,
    ),
]
