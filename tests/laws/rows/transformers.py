"""Rows of transformers."""

from typing import Any

from laminax import nn

from ..kinds import BATCH, Row, normal, tokens
from .attention import reading, vectors

TINY = {"layers": 2, "heads": 2, "features": 4}
GPT = {**TINY, "context": 5, "dropout": 0.3}


def translating() -> Any:
    """Encoder and decoder of one sequence, which is its own source."""
    model = nn.transformer(7, 7, **{**TINY, "layers": 1}, hidden=6)
    return nn.compose(lambda c, x: c.model((x, x)), model=model)


def decoder_block() -> Any:
    parts = nn.attention(2, causal=True), nn.cross_attention(2), nn.feed_forward(6)
    return reading(nn.decoder_block(*parts))


LAYERS = [
    Row(
        "encoder_block",
        lambda: nn.encoder_block(nn.attention(2), nn.feed_forward(6), dropout=0.3, post_norm=True),
        vectors,
        cell=False,
        random=True,
    ),
    Row("decoder_block", decoder_block, vectors, cell=False),
    Row("encoder", lambda: nn.encoder(2, 2, 6), vectors, cell=False),
    Row("decoder", lambda: reading(nn.decoder(2, 2, 6)), vectors, cell=False),
    Row("transformer", translating, tokens, cell=False, integer=True),
    Row("gpt", lambda: nn.gpt(7, **GPT), tokens, integer=True, random=True),
    Row("bert", lambda: nn.bert(7, **TINY, context=5), tokens, cell=False, integer=True),
    Row("bert_mlm", lambda: nn.bert_mlm(7, **TINY, context=5), tokens, cell=False, integer=True),
    Row(
        "vit",
        lambda: nn.vit(3, image=4, patch=2, **TINY),
        lambda: normal(BATCH, 4, 4, 2),
        cell=False,
    ),
]  # fmt: skip
