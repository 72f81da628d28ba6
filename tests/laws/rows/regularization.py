"""Rows of noise and of reparametrized weights."""

from laminax import nn

from ..kinds import Row, sequence, tokens


def deep() -> nn.Layer:
    """Two layers by themselves and two stacked ones, matched by one pattern."""
    return nn.serial(nn.dense(3), nn.repeat(nn.dense(3), 2))


LAYERS = [
    Row("dropout", lambda: nn.dropout(0.5), sequence, random=True),
    Row("channel_dropout", lambda: nn.channel_dropout(0.5), sequence, random=True),
    Row("gaussian_noise", lambda: nn.gaussian_noise(0.5), sequence, random=True),
    # Integers answer for integers.
    Row(
        "label_noise",
        lambda: nn.label_noise(0.5, 7),
        tokens,
        random=True,
        integer=True,
        precise=False,
    ),
    Row("weight_norm", lambda: nn.weight_norm(deep(), "*/w"), sequence),
    Row(
        "spectral_norm",
        lambda: nn.spectral_norm(deep(), "*/w"),
        sequence,
        state=True,
        smooth=False,
    ),
    Row("drop_connect", lambda: nn.drop_connect(deep(), "*/w", 0.5), sequence, random=True),
    Row(
        "freeze_random",
        lambda: nn.freeze_random(nn.serial(nn.dense(4), nn.dropout(0.5)), "*/w", 0.5),
        sequence,
        random=True,
        smooth=False,
    ),
    Row("weight_noise", lambda: nn.weight_noise(deep(), "*/w", 0.5), sequence, random=True),
]  # fmt: skip
